//! Memberships as a shape shows them: those that authentik lists, or all that follow from groups within groups.
//!
//! What follows is what authentik itself considers a user to be in: each group of the user and every group above. Must not
//! know who is shown.

use crate::index::snapshot::Snapshot;
use crate::model::number::{GroupIx, UserIx, WrongNumber};
use crate::shape::Membership;

/// The members of a group and the groups above it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Related {
    pub(super) users: Vec<UserIx>,
    pub(super) above: Vec<GroupIx>,
}

impl Related {
    pub(super) fn of(base: &Snapshot, membership: Membership, group: GroupIx) -> Result<Self, WrongNumber> {
        let memberships = &base.records.memberships;
        if membership == Membership::Direct {
            return Ok(Self {
                users: memberships.group_users.of(group)?.to_vec(),
                above: memberships.group_parents.of(group)?.to_vec(),
            });
        }
        let count = base.group_count();
        // The directory is walked once for each group: as long as building it, whoever asks.
        let below = memberships.group_children.closure(&[group], count)?;
        let mut users = Vec::new();
        for group in below {
            users.extend_from_slice(memberships.group_users.of(group)?);
        }
        users.sort_unstable();
        users.dedup();
        let mut above = memberships.group_parents.closure(&[group], count)?;
        // In a circle a group is above itself, but not a member of itself.
        above.retain(|above| *above != group);
        Ok(Self { users, above })
    }
}
