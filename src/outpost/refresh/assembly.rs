//! Puts a snapshot together: what stayed is carried over, what changed is added, what cannot be read is kept as it was.
//!
//! Pure work on rows; runs on a thread that may block. Must not know authentik's client or when a refresh is due.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::Instant;

use akldap_authentik::User;
use akldap_authentik::lists::{Changes, GroupRows};
use akldap_directory::{Builder, Snapshot, Warning, WrongNumber};

use super::records::{group_record, user_record};

/// What most rows come from.
pub(super) enum Ground {
    /// The snapshot before.
    Snapshot(Arc<Snapshot>),
    /// A full load.
    Builder(Box<Builder>),
}

/// A user read by itself, because a login showed that the directory is behind.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) user: User,
    /// Before it was asked for.
    pub(super) at: Instant,
}

/// All that makes up the next snapshot.
pub(super) struct Assembly {
    pub(super) ground: Ground,
    pub(super) changes: Changes,
}

impl Assembly {
    /// Puts in what was fetched while the rest was being read, unless that is newer. Returns what may have to be put into
    /// the next snapshot, too.
    pub(super) fn merge(&mut self, fetched: Vec<Fetched>) -> Vec<Fetched> {
        let changes = &mut self.changes;
        let (still, _): (Vec<Fetched>, Vec<Fetched>) = fetched
            .into_iter()
            .partition(|fetched| fetched.at >= changes.read);
        for Fetched { user, .. } in &still {
            let newer = |row: &User| row.pk == user.pk && row.last_updated > user.last_updated;
            if changes.gone.contains(&user.pk) || changes.changed.iter().any(newer) {
                continue;
            }
            changes.changed.retain(|row| row.pk != user.pk);
            for group in &mut changes.groups.rows {
                let named = user.groups.iter().any(|pk| pk.eq_ignore_ascii_case(&group.pk));
                if named && !group.users.contains(&user.pk) {
                    group.users.push(user.pk);
                }
            }
            // Behind all others: what authentik said of one user now holds against whatever contradicts it.
            changes.changed.push(user.clone());
        }
        still
    }

    /// The snapshot, and what could not be served of it.
    ///
    /// # Errors
    /// When a number of what is carried over points nowhere: nobody is left out in silence.
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
        let (snapshot, warnings) = builder.finish();
        // What searches needed of the old directory they will need of the new one, and not have to wait for.
        match previous {
            Some(previous) => snapshot.warm_like(previous),
            None => snapshot.warm_usual(),
        }
        Ok((snapshot, warnings))
    }
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
