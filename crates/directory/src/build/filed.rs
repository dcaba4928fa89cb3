//! Makes organizational units of the paths that users are filed under.
//!
//! They follow from the users who are there and nothing else: whoever is not shown makes none, and spells none. Must not know how the names of
//! users are put together.

use std::collections::BTreeMap;

use crate::build::builder::{PendingUser, part_of};
use crate::build::record::{RecordName, Warning, Warnings};
use crate::model::account::Account;
use crate::model::branch::{Branch, Branches, Levels, MAX_BRANCHES, append_level, level_key, rdn};
use crate::model::held::HeldAttributes;
use crate::model::number::{BranchIx, Column, Number as _, WrongNumber};

/// The units met so far, by their keys.
#[derive(Default)]
struct MetUnits<'p>(BTreeMap<Vec<u8>, MetUnit<'p>>);

/// A unit as the first path that leads there spells it.
#[derive(Default)]
struct MetUnit<'p> {
    name: &'p str,
    local_name: Vec<u8>,
}

/// Where a path leads.
struct Filed {
    key: Vec<u8>,
    /// Whether it leads further, where there is no room.
    is_cut: bool,
}

/// The units of these users, who come in ascending order of pk; each spelled as the path of the oldest account is.
pub(super) fn branches(
    users: &[PendingUser],
    accounts: &[Account],
    names: &[u8],
    warnings: &mut Warnings,
) -> Result<Branches, WrongNumber> {
    let mut units = MetUnits::default();
    units.0.insert(Vec::new(), MetUnit::default());
    let mut filed: Vec<Option<Filed>> = accounts.iter().map(|_| None).collect();
    let mut cut: Option<(&PendingUser, usize)> = None;
    for user in users {
        let place = filed.get_mut(user.account.index()).ok_or(WrongNumber::Account)?;
        let filed = match place {
            Some(filed) => filed,
            None => {
                let account = accounts.get(user.account.index()).ok_or(WrongNumber::Account)?;
                place.insert(units.enter(&account.path))
            }
        };
        if filed.is_cut {
            cut.get_or_insert((user, 0)).1 += 1;
        }
    }
    if let Some((first, count)) = cut {
        let name = String::from_utf8_lossy(part_of(names, &first.name)?).into_owned();
        warnings.push(|| Warning::PathCut {
            whose: RecordName::User(name),
            count,
        });
    }
    let numbers: Vec<Option<BranchIx>> = {
        let keys: Vec<&Vec<u8>> = units.0.keys().collect();
        let number = |filed: &Filed| BranchIx::at(keys.binary_search(&&filed.key).ok()?);
        filed.iter().map(|filed| number(filed.as_ref()?)).collect()
    };
    let of_user = |user: &PendingUser| {
        let number = numbers.get(user.account.index()).copied().flatten();
        number.ok_or(WrongNumber::Branch)
    };
    let of_users = users.iter().map(of_user).collect::<Result<Vec<_>, _>>()?;
    Branches::new(Column::from(units.into_branches()?), Column::from(of_users))
}

impl<'p> MetUnits<'p> {
    /// Adds the units that a path leads through.
    fn enter(&mut self, path: &'p str) -> Filed {
        let levels = Levels::of(path);
        let (mut key, mut local_name) = (Vec::new(), Vec::new());
        for name in levels.names {
            let mut below = key.clone();
            append_level(&mut below, &level_key(name.as_bytes()));
            local_name = match self.0.get(&below) {
                Some(unit) => unit.local_name.clone(),
                None if self.0.len() > MAX_BRANCHES => return Filed { key, is_cut: true },
                None => {
                    let mut own = rdn(name);
                    if !key.is_empty() {
                        own.push(b',');
                        own.extend_from_slice(&local_name);
                    }
                    let local_name = own.clone();
                    self.0.insert(below.clone(), MetUnit { name, local_name });
                    own
                }
            };
            key = below;
        }
        Filed {
            key,
            is_cut: !levels.are_all,
        }
    }

    fn into_branches(self) -> Result<Vec<Branch>, WrongNumber> {
        let mut all: Vec<Branch> = Vec::with_capacity(self.0.len());
        // The one that came last, and those above it.
        let mut open: Vec<usize> = Vec::new();
        let close = |all: &mut Vec<Branch>, index: usize| {
            let end = BranchIx::at(all.len()).ok_or(WrongNumber::Branch)?;
            all.get_mut(index).ok_or(WrongNumber::Branch)?.end = end;
            Ok(())
        };
        for (key, MetUnit { name, local_name }) in self.0 {
            while let Some(&last) = open.last()
                && !all.get(last).is_some_and(|above| key.starts_with(&above.key))
            {
                close(&mut all, last)?;
                open.pop();
            }
            let parent = BranchIx::at(open.last().copied().unwrap_or(0)).ok_or(WrongNumber::Branch)?;
            let mut held = HeldAttributes::default();
            held.add_unit(name);
            open.push(all.len());
            all.push(Branch {
                parent,
                end: parent,
                name: name.into(),
                local_name: local_name.into(),
                key: key.into(),
                held,
            });
        }
        open.into_iter().try_for_each(|index| close(&mut all, index))?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::builder::Builder;
    use crate::{Snapshot, UserRecord};

    fn filed(paths: &[&str]) -> (Snapshot, Vec<Warning>) {
        let mut builder = Builder::new();
        builder.users_by_path = true;
        for (pk, path) in (1..).zip(paths) {
            builder.add_user(&UserRecord {
                pk,
                username: &format!("user{pk}"),
                path,
                uuid: &crate::fixture::uuid(pk),
                ..UserRecord::default()
            });
        }
        builder.finish().unwrap()
    }

    /// The units in their order: each with its DN, those above it, and how many users and units are in it.
    fn told(snapshot: &Snapshot) -> Vec<String> {
        let branches = &snapshot.records.branches;
        let tell = |number: BranchIx| {
            let branch = branches.get(number).unwrap();
            let above: Vec<&str> = branches
                .upwards(number)
                .map(|found| &*found.unwrap().1.name)
                .collect();
            format!(
                "{} [{}] {}+{} of {}",
                String::from_utf8_lossy(&branch.local_name),
                above.join("<"),
                branches.users_in(number).unwrap().len(),
                branches.count_below(number).unwrap(),
                branches.users_within(number).unwrap().len(),
            )
        };
        std::iter::once(BranchIx::ROOT)
            .chain(branches.numbers())
            .map(tell)
            .collect()
    }

    #[test]
    fn each_level_of_a_path_is_a_unit() {
        let (snapshot, warnings) = filed(&[
            "users",
            "users/Staff/IT",
            "users/staff",
            "goauthentik.io/outposts",
            "users/staff/it, all",
            "users/staff/IT",
            "users/zoo",
        ]);
        assert_eq!(warnings, []);
        assert_eq!(
            told(&snapshot),
            [
                " [] 1+3 of 7",
                "ou=goauthentik.io [goauthentik.io] 0+1 of 1",
                "ou=outposts,ou=goauthentik.io [outposts<goauthentik.io] 1+0 of 1",
                "ou=Staff [Staff] 1+2 of 4",
                "ou=IT,ou=Staff [IT<Staff] 2+0 of 2",
                "ou=it\\, all,ou=Staff [it, all<Staff] 1+0 of 1",
                "ou=zoo [zoo] 1+0 of 1",
            ]
        );
        let branches = &snapshot.records.branches;
        let below = |above, name: &str| branches.below(above, name.as_bytes()).unwrap();
        let staff = below(BranchIx::ROOT, "staff").unwrap();
        let it = below(staff, "it").unwrap();
        assert_eq!(branches.get(it).unwrap().parent, staff);
        assert!(branches.is_within(it, staff).unwrap() && !branches.is_within(staff, it).unwrap());
        assert_eq!(below(staff, "zoo"), None);
        assert_eq!(below(BranchIx::ROOT, "it"), None);
        // Names are what they were.
        let names: Vec<&str> = snapshot
            .users()
            .map(|user| snapshot.user(user).unwrap().username)
            .collect();
        assert_eq!(
            names,
            ["user1", "user2", "user3", "user4", "user5", "user6", "user7"]
        );
    }

    #[test]
    fn what_there_is_no_room_for_is_in_the_unit_above_and_told() {
        let deep = ["users/a", &"/b".repeat(40_000)].concat();
        let many: Vec<String> = (0..MAX_BRANCHES + 5)
            .map(|number| format!("users/{number}/x"))
            .collect();
        let mut paths: Vec<&str> = vec!["users", &deep, &deep];
        paths.extend(many.iter().map(String::as_str));
        let (snapshot, warnings) = filed(&paths);
        let branches = &snapshot.records.branches;
        assert_eq!(branches.count() as usize, MAX_BRANCHES);
        // Two units go with each of the others.
        let count = 2 + many.len() - (MAX_BRANCHES - 32) / 2;
        assert_eq!(
            warnings,
            [Warning::PathCut {
                whose: RecordName::User("user2".to_owned()),
                count
            }]
        );
        let last = snapshot.users().last().unwrap();
        assert_eq!(branches.of(last), Ok(BranchIx::ROOT));
    }

    #[test]
    fn without_paths_there_are_no_units() {
        assert_eq!(told(&filed(&["users"]).0), [" [] 1+0 of 1"]);
        assert_eq!(told(&filed(&[]).0), [" [] 0+0 of 0"]);
        let mut builder = Builder::new();
        crate::fixture::add_user(&mut builder, 1, "alice", "{}");
        let (snapshot, _) = builder.finish().unwrap();
        assert!(!snapshot.records.branches.are_made());
        assert_eq!(
            snapshot.records.branches.of(crate::UserIx::new(0)),
            Ok(BranchIx::ROOT)
        );
    }
}
