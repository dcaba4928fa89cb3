//! All users read one after the other, and what is to be made of those that cannot be shown.
//!
//! Must not know what changed meanwhile.

use std::collections::BTreeSet;

use super::changes::{KnownUsers, Oddity, UserRows};
use super::error::{ReadError, ScanError};
use super::options::PageRequest;
use super::scan::Scan;
use super::source::{ListSource, Lists, users_query};
use super::split::{is_row_fault, retry};
use crate::page::Listed as _;
use crate::user::User;

/// Users asked for one by one to learn which of them breaks a page.
const MAX_SUSPECTS: usize = 64;

/// The list of users, read so far. Reading it again goes on where it broke off.
#[derive(Debug)]
pub(super) struct Whole<R> {
    pub(super) scan: Scan<User>,
    pub(super) rows: R,
    /// Whether authentik dates its users.
    pub(super) dated: bool,
}

/// Users that cannot be shown.
#[derive(Debug, Default)]
pub(super) struct Unshown {
    /// Those who are known from before.
    pub(super) kept: BTreeSet<i64>,
    /// How many others there are.
    pub(super) nameless: u64,
}

impl<R: UserRows> Whole<R> {
    pub(super) fn new(page_size: u32, rows: R) -> Self {
        Self {
            scan: Scan::new(page_size),
            rows,
            dated: true,
        }
    }

    /// Reads what is left to be read.
    pub(super) async fn read<S: ListSource>(
        &mut self,
        lists: &Lists<'_, S>,
        oddities: &mut Vec<Oddity>,
    ) -> Result<(), ScanError> {
        let Self { scan, rows, dated } = self;
        scan.run(
            &lists.options,
            |request: PageRequest| async move { lists.source.users_page(&users_query(request)).await },
            |page| {
                oddities.extend(Oddity::rows(page.skipped));
                for user in &page.rows {
                    *dated &= user.last_updated.micros().is_some();
                    rows.add(user);
                }
            },
        )
        .await?;
        Ok(())
    }

    /// Finds out which of the users known before are those that cannot be shown.
    pub(super) async fn identify<S: ListSource>(
        &self,
        lists: &Lists<'_, S>,
        known: Option<&impl KnownUsers>,
        oddities: &mut Vec<Oddity>,
    ) -> Result<Unshown, ReadError> {
        let scan = &self.scan;
        oddities.extend(Oddity::unreadable(User::KIND, scan.unreadable()));
        let mut unshown = Unshown {
            kept: BTreeSet::new(),
            nameless: scan.nameless(),
        };
        let mut asked = 0;
        for gap in scan.unreadable() {
            // Where the neighbour is on another page, it is the nearest one seen.
            let after = gap.after.or_else(|| {
                let before = gap.before?;
                scan.seen().keys().copied().filter(|pk| *pk < before).max()
            });
            let before = gap.before.or_else(|| {
                let after = after?;
                scan.seen().keys().copied().filter(|pk| *pk > after).min()
            });
            let mut suspects = known.map(KnownUsers::pks).unwrap_or_default();
            suspects.retain(|pk| {
                after.is_none_or(|after| after < *pk)
                    && before.is_none_or(|before| *pk < before)
                    && !scan.seen().contains_key(pk)
                    && !unshown.kept.contains(pk)
            });
            let mut found = false;
            for pk in suspects {
                asked += 1;
                if asked > MAX_SUSPECTS {
                    return Err(ReadError::Unexplained(
                        "too many users cannot be shown".to_owned(),
                    ));
                }
                match retry(&lists.options, User::KIND, 1, || lists.source.user(pk)).await {
                    Err(ScanError::Page { source: fault, .. }) if is_row_fault(&fault) => {
                        unshown.kept.insert(pk);
                        found = true;
                        break;
                    }
                    Err(error) => return Err(error.into()),
                    // Deleted, or readable again: the next look shows which.
                    Ok(_) => {}
                }
            }
            if !found {
                unshown.nameless += 1;
            }
        }
        Ok(unshown)
    }
}
