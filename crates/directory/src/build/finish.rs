//! Turns what was added to a builder into a snapshot: sorts, resolves memberships, and gets the indexes built.
//!
//! Must not know attributes, except by the flags of records.

use crate::build::builder::{ArenaPart, Builder, PendingGroup, Withheld, part_of};
use crate::build::filed;
use crate::build::pk_table::PkTable;
use crate::build::record::{RecordName, Warning};
use crate::index::indexing;
use crate::index::order::Orders;
use crate::index::snapshot::Snapshot;
use crate::model::account::Accounts;
use crate::model::branch::Branches;
use crate::model::built_in::AttributeId;
use crate::model::number::{Column, GroupIx, Met, Number as _, RecordIx, UserIx, WrongNumber, count_of};
use crate::model::place::Layout;
use crate::model::record::{self, Rdns, Record, UnescapedNames, UserRdn};
use crate::model::records::{GroupColumns, Memberships, Records, Users};
use crate::model::relation::Relation;
use crate::model::shown::Shown;
use crate::schema::password_attributes::PASSWORD_ATTRIBUTES;
use akldap_ldap::dn;

impl Builder {
    /// The snapshot, and what could not be served as it is.
    ///
    /// # Errors
    /// When a number points nowhere, or what was carried over is not whole: nobody is shown as somebody else, or left out
    /// silently.
    pub fn finish(mut self) -> Result<(Snapshot, Vec<Warning>), WrongNumber> {
        if let Some(wrong) = self.damage {
            return Err(wrong);
        }
        self.sort()?;
        self.resolve_superusers()?;
        self.arena.shrink_to_fit();
        let branches = match self.users_by_path {
            true => filed::branches(&self.users, &self.accounts, &self.names, &mut self.warnings)?,
            false => Branches::none()?,
        };
        let (rdns, unescaped_names) = self.name_tables(&branches)?;
        let memberships = self.memberships()?;
        self.warn_of_shared_numbers()?;
        let users = self.users.iter().map(|user| user.record);
        let all = users.chain(self.groups.iter().map(|group| group.record));
        let all = mark_unlike(all.collect(), &unescaped_names, &branches)?;
        let layout = Layout::new(
            count_of(&self.users, WrongNumber::User)?,
            count_of(&self.groups, WrongNumber::Group)?,
        )
        .with_branches(branches.count());
        let mut snapshot = Snapshot {
            policy: self.policy,
            shown: Shown::default(),
            part_of: None,
            records: Records {
                all: Column::from(all),
                layout,
                rdns,
                unescaped_names,
                users: Users {
                    pks: self.users.iter().map(|user| user.pk).collect(),
                    uuids: self.users.iter().map(|user| user.uuid).collect(),
                    uids: self.users.iter().map(|user| user.uid).collect(),
                    password_changes: self.users.iter().map(|user| user.password_change).collect(),
                    accounts: Accounts {
                        known: Column::from(self.accounts),
                        of_users: self.users.iter().map(|user| user.account).collect(),
                    },
                },
                groups: GroupColumns {
                    uuids: self.groups.iter().map(|group| group.uuid).collect(),
                    numbers: self.groups.iter().map(|group| group.number).collect(),
                    roles: self
                        .groups
                        .iter_mut()
                        .map(|group| std::mem::take(&mut group.roles))
                        .collect(),
                },
                memberships,
                branches,
                arena: self.arena,
                attributes: self.attributes,
                attribute_lists: self.attribute_lists,
            },
            users_by_uuid: hashbrown::HashTable::new(),
            groups_by_number: Vec::new(),
            indexes: Column::from(Vec::new()),
            all_flags: 0,
            orders: Orders::default(),
            name_order: std::sync::OnceLock::new(),
            hasher: hashbrown::DefaultHashBuilder::default(),
            fingerprint: std::sync::OnceLock::new(),
        };
        drop((
            self.users,
            self.groups,
            self.names,
            self.list_numbers,
            self.account_numbers,
        ));
        indexing::build(&mut snapshot, &self.counts)?;
        let withheld = PASSWORD_ATTRIBUTES.into_iter().zip(self.withheld);
        let mut warnings: Vec<Warning> = withheld
            .filter(|(_, count)| count.users + count.groups > 0)
            .map(
                |(attribute, Withheld { users, groups })| Warning::PasswordsWithheld {
                    attribute,
                    users,
                    groups,
                },
            )
            .collect();
        warnings.extend(self.warnings.finish());
        Ok((snapshot, warnings))
    }

    /// Drops records whose name another one, added later, has too: authentik gives a name to one at a time, so the
    /// earlier row is out of date, and two entries must not have one DN.
    fn drop_namesakes(&mut self) -> Result<(), WrongNumber> {
        let Self {
            users,
            groups,
            names,
            warnings,
            ..
        } = self;
        let name = |part: &ArenaPart| part_of(names, part);
        let mut dropped = |whose: RecordName| {
            warnings.push(|| Warning::RecordSkipped {
                whose,
                reason: "its name has passed to another",
            });
        };
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        keep_last(
            users,
            |user| name(&user.name),
            |name| dropped(RecordName::User(text(name))),
        )?;
        keep_last(
            groups,
            |group| name(&group.name),
            |name| dropped(RecordName::Group(text(name))),
        )
    }

    fn sort(&mut self) -> Result<(), WrongNumber> {
        self.drop_namesakes()?;
        self.users.sort_by_key(|user| user.pk);
        self.groups.sort_by_key(|group| group.uuid);
        let Self {
            users,
            groups,
            names,
            warnings,
            ..
        } = self;
        let met = Met::default();
        let name = |part: &ArenaPart| String::from_utf8_lossy(met.or(part_of(names, part), &[])).into_owned();
        let mut repeated = |whose: RecordName| {
            warnings.push(|| Warning::RecordSkipped {
                whose,
                reason: "another one with the same primary key came before",
            });
        };
        users.dedup_by(|later, first| {
            let same = later.pk == first.pk;
            if same {
                repeated(RecordName::User(name(&later.name)));
            }
            same
        });
        groups.dedup_by(|later, first| {
            let same = later.uuid == first.uuid;
            if same {
                repeated(RecordName::Group(name(&later.name)));
            }
            same
        });
        met.answer(())
    }

    fn name_tables(&self, branches: &Branches) -> Result<(Rdns, UnescapedNames), WrongNumber> {
        let count = self.users.len() + self.groups.len();
        let mut rdns = Rdns::with_capacity(count, self.names.len() + count * record::RDN_TYPE.len());
        let mut unescaped = UnescapedNames::default();
        let mut rdn = Vec::new();
        let mut push = |rdns: &mut Rdns, prefix: &[u8], part: &ArenaPart, above: &[u8]| {
            let name = part_of(&self.names, part)?;
            rdn.clear();
            rdn.extend_from_slice(prefix);
            dn::escape_into(&mut rdn, name);
            let is_escaped = rdn.get(prefix.len()..) != Some(name);
            if !above.is_empty() {
                rdn.push(b',');
                rdn.extend_from_slice(above);
            }
            rdns.push(&rdn)?;
            Ok(is_escaped.then_some(name))
        };
        let users = count_of(&self.users, WrongNumber::User)?;
        for (number, user) in (0..).zip(&self.users) {
            let above: &[u8] = match branches.are_made() {
                true => &branches.get(branches.of(UserIx::new(number))?)?.local_name,
                false => &[],
            };
            if let Some(name) = push(&mut rdns, self.user_rdn.prefix(), &user.name, above)? {
                unescaped.push(RecordIx::new(number), name);
            }
        }
        for (number, group) in (users..).zip(&self.groups) {
            if let Some(name) = push(&mut rdns, record::RDN_TYPE, &group.name, &[])? {
                unescaped.push(RecordIx::new(number), name);
            }
        }
        if self.user_rdn != UserRdn::Cn || branches.are_made() {
            for user in &self.users {
                push(&mut rdns, record::RDN_TYPE, &user.name, &[])?;
            }
            rdns.name_apart(self.user_rdn, users);
        }
        Ok((rdns, unescaped))
    }

    fn memberships(&mut self) -> Result<Memberships, WrongNumber> {
        let Self {
            users,
            groups,
            members,
            parents,
            names,
            warnings,
            ..
        } = self;
        let places = PkTable::new(users);
        let mut list = |group: &PendingGroup| {
            let pks = part_of(members, &group.members)?;
            let found: Vec<UserIx> = pks.iter().filter_map(|&pk| places.find(pk)).collect();
            let uuids = part_of(parents, &group.parents)?;
            let place = |uuid| groups.binary_search_by_key(uuid, |group| group.uuid).ok();
            let above: Vec<GroupIx> = uuids
                .iter()
                .filter_map(|uuid| GroupIx::at(place(uuid)?))
                .collect();
            let count = pks.len() - found.len() + uuids.len() - above.len();
            if count > 0 {
                let name = part_of(names, &group.name)?;
                warnings.push(|| Warning::UnknownMembers {
                    group: String::from_utf8_lossy(name).into_owned(),
                    count,
                });
            }
            Ok((found, above))
        };
        let mut above = Vec::with_capacity(groups.len());
        let group_users = Relation::new(
            groups.len(),
            members.len(),
            groups.iter().map(|group| {
                let (found, parents) = list(group)?;
                above.push(parents);
                Ok(found)
            }),
        )?;
        let above = above.into_iter().map(Ok);
        let group_parents = Relation::new(groups.len(), parents.len(), above)?;
        *members = Vec::new();
        Ok(Memberships {
            user_groups: group_users.inverse(users.len())?,
            group_children: group_parents.inverse(groups.len())?,
            group_users,
            group_parents,
        })
    }

    fn warn_of_shared_numbers(&mut self) -> Result<(), WrongNumber> {
        let mut numbered: Vec<&PendingGroup> = self
            .groups
            .iter()
            .filter(|group| !group.record.overrides(AttributeId::GID_NUMBER))
            .collect();
        numbered.sort_by_key(|group| (group.number, group.uuid));
        let name = |part| {
            let name = part_of(&self.names, part)?;
            Ok(String::from_utf8_lossy(name).into_owned())
        };
        for pair in numbered.windows(2) {
            if let [first, second] = pair
                && first.number == second.number
            {
                let (number, first, second) = (first.number, name(&first.name)?, name(&second.name)?);
                self.warnings.push(|| Warning::GidNumberCollision {
                    first,
                    second,
                    number,
                });
            }
        }
        Ok(())
    }
}

/// Drops the records whose name a later one has; `drop` gets the name of each.
fn keep_last<'a, T>(
    records: &mut Vec<T>,
    name: impl Fn(&T) -> Result<&'a [u8], WrongNumber>,
    mut drop: impl FnMut(&[u8]),
) -> Result<(), WrongNumber> {
    let mut seen = hashbrown::HashSet::<&[u8]>::with_capacity(records.len());
    let mut repeated = Vec::new();
    for (place, record) in records.iter().enumerate().rev() {
        let name = name(record)?;
        if !seen.insert(name) {
            drop(name);
            repeated.push(place);
        }
    }
    if !repeated.is_empty() {
        let mut place = 0;
        records.retain(|_| {
            place += 1;
            repeated.last() != Some(&(place - 1)) || repeated.pop().is_none()
        });
    }
    Ok(())
}

/// Marks the records whose names are not what follows the type in their RDNs.
fn mark_unlike(
    mut records: Vec<Record>,
    unescaped: &UnescapedNames,
    branches: &Branches,
) -> Result<Vec<Record>, WrongNumber> {
    let mut mark = |index: usize| {
        let record = records.get_mut(index).ok_or(WrongNumber::Record)?;
        record.flags |= record::NAME_APART;
        Ok(())
    };
    unescaped.records().try_for_each(|number| mark(number.index()))?;
    for branch in branches.numbers() {
        for user in branches.users_in(branch)? {
            mark(user.index())?;
        }
    }
    Ok(records)
}
