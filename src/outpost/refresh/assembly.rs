//! Puts a snapshot together: what stayed is carried over, what changed is added, what cannot be read is kept as it was.
//!
//! Pure work on rows; runs on a thread that may block. Must not know authentik's client or when a refresh is due.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use tokio::time::Instant;

use akldap_authentik::User;
use akldap_directory::{Builder, Snapshot, Warning};

use super::group_list::Groups;
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
    /// Users deleted since the ground was laid.
    pub(super) gone: BTreeSet<i64>,
    /// Users changed since, the one changed last at the end.
    pub(super) changed: Vec<User>,
    /// Users to be kept as the snapshot before has them.
    pub(super) kept: BTreeSet<i64>,
    pub(super) groups: Groups,
    /// What was read of users is not older than this.
    pub(super) read: Instant,
}

impl Assembly {
    /// Puts in what was fetched while the rest was being read, unless that is newer. Returns what may have to be put into
    /// the next snapshot, too.
    pub(super) fn merge(&mut self, fetched: Vec<Fetched>) -> Vec<Fetched> {
        let (still, _): (Vec<Fetched>, Vec<Fetched>) =
            fetched.into_iter().partition(|fetched| fetched.at >= self.read);
        for Fetched { user, .. } in &still {
            let newer = |row: &User| row.pk == user.pk && row.last_updated > user.last_updated;
            if self.gone.contains(&user.pk) || self.changed.iter().any(newer) {
                continue;
            }
            self.changed.retain(|row| row.pk != user.pk);
            for group in &mut self.groups.rows {
                let named = user.groups.iter().any(|pk| pk.eq_ignore_ascii_case(&group.pk));
                if named && !group.users.contains(&user.pk) {
                    group.users.push(user.pk);
                }
            }
            // Behind all others: what authentik said of one user now holds against whatever contradicts it.
            self.changed.push(user.clone());
        }
        still
    }

    /// The snapshot, and what could not be served of it.
    pub(super) fn build(self, previous: Option<&Snapshot>) -> (Snapshot, Vec<Warning>) {
        let replaced: HashSet<i64> = self.changed.iter().map(|user| user.pk).collect();
        let stays = |pk: i64| !self.gone.contains(&pk) && !replaced.contains(&pk);
        let mut builder = match self.ground {
            Ground::Snapshot(snapshot) => {
                let mut builder = Builder::like(&snapshot);
                for user in snapshot.users().map(|user| snapshot.carried_user(user)) {
                    if stays(user.pk()) {
                        builder.carry_user(&user);
                    }
                }
                builder
            }
            Ground::Builder(mut builder) => {
                builder.retain_users(|pk| stays(pk) && !self.kept.contains(&pk));
                *builder
            }
        };
        if let Some(previous) = previous {
            let kept = self.kept.iter().filter(|pk| stays(**pk));
            for user in kept.filter_map(|pk| previous.user_by_pk(*pk)) {
                builder.carry_user(&previous.carried_user(user));
            }
        }
        // Of two users with one name the later one counts: authentik gives a name away only when it is free.
        for user in self.changed.iter().filter(|user| !self.gone.contains(&user.pk)) {
            builder.add_user(&user_record(user));
        }
        if let Some(previous) = previous {
            keep_groups(&mut builder, previous, &self.groups);
        }
        for group in &self.groups.rows {
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
        (snapshot, warnings)
    }
}

/// Carries over the groups that are not known to be gone.
fn keep_groups(builder: &mut Builder, previous: &Snapshot, groups: &Groups) {
    for group in previous.groups().map(|group| previous.carried_group(group)) {
        let uuid = group.uuid().as_hyphenated().to_string();
        let listed = groups
            .rows
            .binary_search_by(|row| row.pk.as_str().cmp(&uuid))
            .is_ok();
        if !listed && !groups.is_gone(&uuid) {
            builder.carry_group(&group);
        }
    }
}
