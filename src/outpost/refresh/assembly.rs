//! Puts a snapshot together: what stayed is carried over, what changed is added, what cannot be read is kept as it was.
//!
//! Pure work on rows; runs on a thread that may block. Must not know authentik's client or when a refresh is due.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::authentik::User;
use crate::authentik::paging::Unreadable;
use crate::directory::{Builder, Snapshot, Warning};

use super::group_list::Groups;
use super::records::{group_record, user_record};

/// What most rows come from.
pub(super) enum Ground {
    /// The snapshot before.
    Snapshot(Arc<Snapshot>),
    /// A full load.
    Builder(Box<Builder>),
}

/// All that makes up the next snapshot.
pub(super) struct Assembly<'a> {
    pub(super) ground: Ground,
    /// Users deleted since the ground was laid.
    pub(super) gone: &'a BTreeSet<i64>,
    /// Users changed since.
    pub(super) changed: Vec<&'a User>,
    /// Users to be kept as the snapshot before has them.
    pub(super) kept: &'a BTreeSet<i64>,
    pub(super) groups: &'a Groups,
    pub(super) previous: Option<Arc<Snapshot>>,
}

impl Assembly<'_> {
    /// The snapshot, and what could not be served of it.
    pub(super) fn build(self) -> (Snapshot, Vec<Warning>) {
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
        for user in &self.changed {
            builder.add_user(&user_record(user));
        }
        if let Some(previous) = &self.previous {
            let kept = self.kept.iter().filter(|pk| stays(**pk));
            for user in kept.filter_map(|pk| previous.user_by_pk(*pk)) {
                builder.carry_user(&previous.carried_user(user));
            }
        }
        for group in &self.groups.rows {
            let parents: Vec<String> = group.parent_keys().map(str::to_owned).collect();
            builder.add_group(&group_record(group, &parents));
        }
        if let Some(previous) = &self.previous {
            keep_groups(&mut builder, previous, self.groups);
        }
        let (snapshot, warnings) = builder.finish();
        let snapshot = with_superusers(snapshot);
        // What searches needed of the old directory they will need of the new one, and not have to wait for.
        match &self.previous {
            Some(previous) => snapshot.warm_like(previous),
            None => snapshot.warm_usual(),
        }
        (snapshot, warnings)
    }
}

/// Carries over the groups that lie where a row could not be read.
fn keep_groups(builder: &mut Builder, previous: &Snapshot, groups: &Groups) {
    let within = |uuid: &str, row: &Unreadable<String>| {
        row.after.as_deref().is_none_or(|after| after < uuid)
            && row.before.as_deref().is_none_or(|before| uuid < before)
    };
    for group in previous.groups().map(|group| previous.carried_group(group)) {
        let uuid = group.uuid().as_hyphenated().to_string();
        let listed = groups
            .rows
            .binary_search_by(|row| row.pk.as_str().cmp(&uuid))
            .is_ok();
        if !listed && groups.unreadable.iter().any(|row| within(&uuid, row)) {
            builder.carry_group(&group);
        }
    }
}

/// Users become superusers by a group of theirs, or one above it, without their own row being touched: what it said is
/// brought in line with the groups.
fn with_superusers(snapshot: Snapshot) -> Snapshot {
    let Some(superusers) = superusers(&snapshot) else {
        return snapshot;
    };
    let right = |user| {
        let summary = snapshot.user(user);
        summary.is_superuser == superusers.contains(&summary.pk)
    };
    if snapshot.users().all(right) {
        return snapshot;
    }
    let mut builder = Builder::like(&snapshot);
    for user in snapshot.users() {
        let mut carried = snapshot.carried_user(user);
        carried.set_superuser(superusers.contains(&carried.pk()));
        builder.carry_user(&carried);
    }
    for group in snapshot.groups() {
        builder.carry_group(&snapshot.carried_group(group));
    }
    builder.finish().0
}

/// The members of superuser groups and of all groups below them. `None` where no group says that it makes superusers:
/// then only the users' own rows tell.
fn superusers(snapshot: &Snapshot) -> Option<HashSet<i64>> {
    let groups: HashMap<Uuid, _> = snapshot
        .groups()
        .map(|group| snapshot.carried_group(group))
        .map(|group| (group.uuid(), group))
        .collect();
    if !groups.values().any(|group| group.is_superuser()) {
        return None;
    }
    let mut members = HashSet::new();
    for group in groups.values() {
        let (mut seen, mut open) = (HashSet::new(), vec![group.uuid()]);
        let mut grants = false;
        while let Some(above) = open.pop().and_then(|uuid| groups.get(&uuid)).filter(|_| !grants) {
            grants = above.is_superuser();
            open.extend(above.parents().filter(|parent| seen.insert(*parent)));
        }
        if grants {
            members.extend(group.members());
        }
    }
    Some(members)
}
