//! Finds out which users were deleted when only their number is known: authentik leaves no trace of them.
//!
//! Users come in the order of their pks, so the first rank at which authentik shows a different user from the one we
//! know is found by bisection, and no user found this way counts as deleted before authentik says so when asked for it
//! by pk. If many are missing the whole list is read: whoever stays is on it, however it changes meanwhile. The list
//! may change all the time: then some are found now, and the others later.

use std::collections::BTreeSet;

use super::error::ScanError;
use super::options::PageRequest;
use super::scan::Scan;
use super::source::{ListSource, Lists};
use super::split::{is_row_fault, retry};
use crate::error::ApiError;
use crate::page::Listed as _;
use crate::user::User;

/// Requests for a list so short that reading it is cheaper than anything else.
const FEW_PAGES: u32 = 4;

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    /// Users that are gone.
    pub(super) gone: BTreeSet<i64>,
    /// How many users there are whose pks are unknown, if that was found out, too.
    pub(super) nameless: Option<u64>,
}

/// Looks for `missing` users of `known` (ascending pks) that are gone; besides these there are `nameless` ones.
pub(super) async fn find<S: ListSource>(
    lists: &Lists<'_, S>,
    known: &[i64],
    (missing, nameless): (usize, u64),
    into: &mut Deletions,
) -> Result<(), ScanError> {
    let pages = u32::try_from(known.len() / lists.page_size.max(1) as usize).unwrap_or(u32::MAX);
    // Each one takes the bisection, a page and a question by pk.
    let each = pages.max(1).ilog2() + 3;
    let halving = u32::try_from(missing).unwrap_or(u32::MAX).saturating_mul(each);
    if nameless > 0 || halving > pages.max(FEW_PAGES) {
        return read_all(lists, known, into).await;
    }
    let mut search = DeletionSearch { lists, left: halving };
    let mut known = known.to_vec();
    let before = into.gone.len();
    while into.gone.len() - before < missing && search.left > 0 {
        let found = match search.first(&known).await {
            Ok(found) => found,
            // A row that breaks its page.
            Err(ScanError::Page { source, .. }) if is_row_fault(&source) => break,
            Err(error) => return Err(error),
        };
        if found.is_empty() {
            break;
        }
        known.retain(|pk| !found.contains(pk));
        into.gone.extend(found);
    }
    if into.gone.len() == before {
        read_all(lists, &known, into).await?;
    }
    Ok(())
}

/// Reads the whole list.
async fn read_all<S: ListSource>(
    lists: &Lists<'_, S>,
    known: &[i64],
    into: &mut Deletions,
) -> Result<(), ScanError> {
    let mut scan = Scan::<User>::new(lists.page_size);
    let fetch = |request: PageRequest| lists.users(request);
    let gives_way = || lists.source.is_wanted_elsewhere();
    scan.run_giving_way(&lists.options, fetch, gives_way, drop)
        .await?;
    let unseen = known.iter().copied().filter(|pk| !scan.seen().contains_key(pk));
    let mut nameless = scan.nameless() + scan.unreadable().len() as u64;
    for pk in unseen {
        if scan.unreadable().is_empty() || !exists(lists, pk).await? {
            into.gone.insert(pk);
        } else {
            nameless = nameless.saturating_sub(1);
        }
    }
    into.nameless = Some(nameless);
    Ok(())
}

/// Whether there is such a user, even one that cannot be shown.
async fn exists<S: ListSource>(lists: &Lists<'_, S>, pk: i64) -> Result<bool, ScanError> {
    match retry(&lists.options, User::KIND, 1, || lists.source.user(pk)).await {
        Ok(found) => Ok(found.is_some()),
        Err(ScanError::Page { source, .. }) if is_row_fault(&source) => Ok(true),
        Err(error) => Err(error),
    }
}

struct DeletionSearch<'a, S> {
    lists: &'a Lists<'a, S>,
    /// Requests left; the search stops between two users.
    left: u32,
}

impl<S: ListSource> DeletionSearch<'_, S> {
    /// The users missing on the first page that differs from what is known.
    async fn first(&mut self, known: &[i64]) -> Result<Vec<i64>, ScanError> {
        let size = self.lists.page_size as usize;
        // Pages whose last row is still where it was have lost nobody.
        let (mut same, mut end) = (0, known.len().div_ceil(size));
        while same < end {
            let page = usize::midpoint(same, end);
            let rank = (page + 1) * size - 1;
            let unmoved = match known.get(rank) {
                Some(pk) => self.at(rank).await? == Some(*pk),
                None => false,
            };
            if unmoved {
                same = page + 1;
            } else {
                end = page;
            }
        }
        let Some(expected) = known.get(same * size..) else {
            return Ok(Vec::new());
        };
        let rows = self.page(same + 1, self.lists.page_size).await?;
        let last = rows.last().copied();
        let mut gone = Vec::new();
        for pk in expected.iter().take(size) {
            // After the last row others have moved up, unless the list ends here.
            let beyond = rows.len() == size && last.is_some_and(|last| *pk > last);
            if beyond || rows.contains(pk) {
                continue;
            }
            self.left = self.left.saturating_sub(1);
            // Deletions since the bisection move others off this page.
            if !exists(self.lists, *pk).await? {
                gone.push(*pk);
            }
        }
        Ok(gone)
    }

    async fn at(&mut self, rank: usize) -> Result<Option<i64>, ScanError> {
        Ok(self.page(rank + 1, 1).await?.first().copied())
    }

    async fn page(&mut self, page: usize, size: u32) -> Result<Vec<i64>, ScanError> {
        self.left = self.left.saturating_sub(1);
        let page = u32::try_from(page).unwrap_or(u32::MAX);
        let request = PageRequest {
            page,
            size,
            descending: false,
            lean: true,
        };
        let fetch = || async {
            match self.lists.users(request).await {
                Err(ApiError::InvalidPage { .. }) => Ok(None),
                other => other.map(Some),
            }
        };
        let Some(rows) = retry(&self.lists.options, User::KIND, page, fetch).await? else {
            return Ok(Vec::new());
        };
        let parsed = rows.skipped.iter().filter(|warning| warning.row_skipped);
        let mut pks: Vec<i64> = rows.rows.iter().map(|user| user.pk).collect();
        pks.extend(parsed.filter_map(|warning| User::parse_key(warning.pk.as_deref()?)));
        pks.sort_unstable();
        Ok(pks)
    }
}
