//! Puts a snapshot together: what stayed is carried over, what changed is added, what cannot be read is kept as it was.
//!
//! Pure work on rows; runs on a thread that may block. Must not know authentik's client or when a refresh is due.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::time::Instant;

use akldap_authentik::lists::{Changes, GroupRows};
use akldap_authentik::{Timestamp, User};
use akldap_directory::{Builder, Snapshot, Warning, WrongNumber};

use super::records::{group_record, user_record};

/// Where most rows come from.
pub(super) enum Ground {
    /// The snapshot before.
    Snapshot(Arc<Snapshot>),
    /// A full load.
    Builder(Box<Builder>),
}

/// A single user, read because a login showed that the directory is out of date.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) user: User,
    /// When it arrived: a refresh that began before may have read an older row.
    pub(super) at: Instant,
}

/// All that makes up the next snapshot.
pub(super) struct Assembly {
    pub(super) ground: Ground,
    pub(super) changes: Changes,
    /// Two looks showed this: it was like this in authentik at one moment.
    pub(super) settled: bool,
}

impl Assembly {
    /// Puts in what was fetched while the rest was being read, unless that is newer. Returns what may have to be put into
    /// the next snapshot, too.
    pub(super) fn merge(&mut self, fetched: Vec<Fetched>) -> Vec<Fetched> {
        let changes = &mut self.changes;
        // A row that was on its way while the user changed may have been overtaken by the reading, whose row then is known, and not
        // among those changed.
        let (still, _): (Vec<Fetched>, Vec<Fetched>) = fetched
            .into_iter()
            .partition(|fetched| fetched.at >= changes.read && !is_overtaken(&fetched.user, &changes.dates));
        for Fetched { user, .. } in &still {
            if changes.gone.contains(&user.pk) {
                continue;
            }
            changes.changed.retain(|row| row.pk != user.pk);
            for group in &mut changes.groups.rows {
                let named = user.groups.iter().any(|pk| pk.eq_ignore_ascii_case(&group.pk));
                if named && !group.users.contains(&user.pk) {
                    group.users.push(user.pk);
                }
            }
            changes.changed.push(user.clone());
        }
        // Of two who were read with one name, the one changed later has it; where the dates say nothing, the one fetched.
        changes.changed.sort_by_key(|user| user.last_updated);
        still
    }

    /// The snapshot, and which parts of it could not be served.
    ///
    /// # Errors
    /// When a number in what is carried over points nowhere: nobody is left out silently.
    pub(super) fn build(self, previous: Option<&Snapshot>) -> Result<(Snapshot, Vec<Warning>), WrongNumber> {
        let Changes {
            gone,
            changed,
            kept,
            groups,
            ..
        } = self.changes;
        let replaced: HashSet<i64> = changed.iter().map(|user| user.pk).collect();
        let stays = |pk: i64| !gone.contains(&pk) && !replaced.contains(&pk);
        let mut builder = match self.ground {
            Ground::Snapshot(snapshot) => {
                let mut builder = Builder::like(&snapshot);
                for user in snapshot.users() {
                    let user = snapshot.carried_user(user)?;
                    if stays(user.pk()) {
                        builder.carry_user(&user);
                    }
                }
                builder
            }
            Ground::Builder(mut builder) => {
                builder.retain_users(|pk| stays(pk) && !kept.contains(&pk));
                *builder
            }
        };
        if let Some(previous) = previous {
            let kept = kept.iter().filter(|pk| stays(**pk));
            let kept = kept.filter_map(|pk| previous.user_by_pk(*pk));
            for user in kept {
                builder.carry_user(&previous.carried_user(user)?);
            }
        }
        // Of two users with one name the later one counts: authentik gives a name away only when it is free.
        for user in changed.iter().filter(|user| !gone.contains(&user.pk)) {
            builder.add_user(&user_record(user));
        }
        if let Some(previous) = previous {
            keep_groups(&mut builder, previous, &groups)?;
        }
        for group in &groups.rows {
            let parents: Vec<String> = group.parent_keys().map(str::to_owned).collect();
            builder.add_group(&group_record(group, &parents));
        }
        builder.superusers_by_groups();
        let (snapshot, warnings) = builder.finish()?;
        // What searches needed from the old directory they will need from the new one, and should not have to wait for.
        match previous {
            Some(previous) => snapshot.warm_like(previous),
            None => snapshot.warm_usual(),
        }
        Ok((snapshot, warnings))
    }
}

/// Whether a look showed a newer row of this user. `dates` says when the users it showed were changed.
pub(super) fn is_overtaken(user: &User, dates: &HashMap<i64, Timestamp>) -> bool {
    dates.get(&user.pk).is_some_and(|date| *date > user.last_updated)
}

/// Carries over the groups that are not known to be gone.
fn keep_groups(builder: &mut Builder, previous: &Snapshot, groups: &GroupRows) -> Result<(), WrongNumber> {
    for group in previous.groups() {
        let group = previous.carried_group(group)?;
        let uuid = group.uuid().as_hyphenated().to_string();
        let listed = groups
            .rows
            .binary_search_by(|row| row.pk.as_str().cmp(&uuid))
            .is_ok();
        if !listed && !groups.is_gone(&uuid) {
            builder.carry_group(&group);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    fn user(name: &str, second: u32) -> User {
        let row = format!(
            r#"{{"pk":2,"username":"{name}","uid":"u2","uuid":"00000000-0000-4000-8000-000000000002","last_updated":"2026-03-04T05:06:{second:02}.5Z"}}"#
        );
        serde_json::from_str(&row).expect("a user")
    }

    /// Users 2 and 3 with one name, each as it was changed last.
    fn namesakes(seconds: [u32; 2]) -> [User; 2] {
        let [mut first, mut second] = seconds.map(|second| user("june", second));
        (first.pk, second.pk) = (2, 3);
        second.uuid = "00000000-0000-4000-8000-000000000003".parse().expect("a UUID");
        [first, second]
    }

    /// Everything was read, and nothing has changed since it began then.
    fn assembly(read: Builder, dates: HashMap<i64, Timestamp>, began: Instant) -> Assembly {
        Assembly {
            ground: Ground::Builder(Box::new(read)),
            changes: Changes {
                gone: BTreeSet::new(),
                changed: Vec::new(),
                kept: BTreeSet::new(),
                groups: GroupRows::default(),
                dates,
                read: began,
            },
            settled: true,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_fetched_with_one_name_the_one_changed_later_has_it_whichever_came_first() {
        for (seconds, owner) in [([7, 8], 3), ([8, 7], 2)] {
            let [first, second] = namesakes(seconds);
            for order in [[&first, &second], [&second, &first]] {
                let at = Instant::now();
                let mut assembly = assembly(Builder::new(), HashMap::new(), at);
                assembly.merge(
                    order
                        .map(|user| Fetched {
                            user: user.clone(),
                            at,
                        })
                        .to_vec(),
                );
                let (snapshot, _) = assembly.build(None).expect("a directory");
                assert_eq!(snapshot.user_pks(), [owner], "{seconds:?}");
            }
        }
    }

    /// The name served when everything was read, with `read` in it, and a row of the same user was fetched meanwhile.
    fn served(read: &User, fetched: User) -> String {
        let mut builder = Builder::new();
        builder.add_user(&user_record(read));
        let began = Instant::now();
        // It was read as it is now: no row has changed since.
        let dates = HashMap::from([(read.pk, read.last_updated)]);
        let mut assembly = assembly(builder, dates, began);
        let at = began + Duration::from_millis(1);
        assembly.merge(vec![Fetched { user: fetched, at }]);
        let (snapshot, _) = assembly.build(None).expect("a directory");
        let found = snapshot.user_by_pk(2).expect("the user");
        snapshot.user(found).expect("the user").username.to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_was_fetched_meanwhile_gives_way_to_a_newer_one_that_was_read() {
        assert_eq!(served(&user("after", 8), user("before", 7)), "after");
        assert_eq!(served(&user("before", 7), user("after", 8)), "after");
    }
}
