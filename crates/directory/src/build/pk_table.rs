//! Users by pk, among those that a builder has sorted.
//!
//! Must not know what they are looked up for.

use std::num::NonZeroU32;

use crate::build::builder::PendingUser;
use crate::model::number::{Number as _, UserIx};

/// Finds users by pk while memberships are resolved: a plain table if the pks are close enough together, as they are.
pub(super) struct PkTable<'a> {
    users: &'a [PendingUser],
    first: i64,
    /// For each pk, beginning with the first, the user who has it, counted from 1.
    places: Vec<Option<NonZeroU32>>,
}

impl<'a> PkTable<'a> {
    pub(super) fn new(users: &'a [PendingUser]) -> Self {
        let first = users.first().map_or(0, |user| user.pk);
        let span = users.last().and_then(|last| last.pk.checked_sub(first));
        let mut places = Vec::new();
        if let Some(span) = span.and_then(|span| usize::try_from(span).ok())
            && span < users.len().saturating_mul(4)
        {
            places.resize(span + 1, None);
            for (count, user) in (1..).zip(users) {
                let offset = usize::try_from(user.pk - first).ok();
                if let Some(place) = offset.and_then(|offset| places.get_mut(offset)) {
                    *place = NonZeroU32::new(count);
                }
            }
        }
        Self { users, first, places }
    }

    pub(super) fn find(&self, pk: i64) -> Option<UserIx> {
        if self.places.is_empty() {
            let index = self.users.binary_search_by_key(&pk, |user| user.pk).ok()?;
            return UserIx::at(index);
        }
        let offset = usize::try_from(pk.checked_sub(self.first)?).ok()?;
        let count = (*self.places.get(offset)?)?;
        Some(UserIx::new(count.get() - 1))
    }
}
