//! Finds out which users were deleted, when only their number is known: authentik leaves no trace of them.
//!
//! Users come in the order of their pks, so the first rank at which authentik shows another user than we know is found
//! by halving. No user counts as deleted before authentik said so when asked for it by pk.

use crate::authentik::paging::{PageRequest, ScanError, ScanOptions, retry};
use crate::authentik::{Client, Row as _, User};

use super::observation::users_query;

/// Requests spent on one search for deleted users. Beyond that a full load is not much dearer.
const MAX_REQUESTS: u32 = 200;

/// Why deleted users were not found.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeletionError {
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The list contradicts what was known of it.
    #[error("the list of users is not what it was: {0}")]
    Contradiction(&'static str),
}

/// Finds `missing` users of `known` (ascending pks) that are gone. Fewer if the list changes meanwhile.
pub(super) async fn find(
    client: &Client,
    options: &ScanOptions,
    page_size: u32,
    known: &[i64],
    missing: usize,
) -> Result<Vec<i64>, DeletionError> {
    let mut search = Search {
        client,
        options,
        page_size,
        requests: 0,
    };
    let mut known = known.to_vec();
    let mut gone = Vec::new();
    while gone.len() < missing {
        let found = search.first(&known).await?;
        if found.is_empty() {
            return Err(DeletionError::Contradiction(
                "nobody is missing although there are fewer",
            ));
        }
        known.retain(|pk| !found.contains(pk));
        gone.extend(found);
    }
    Ok(gone)
}

struct Search<'a> {
    client: &'a Client,
    options: &'a ScanOptions,
    page_size: u32,
    requests: u32,
}

impl Search<'_> {
    /// The users missing on the first page that differs from what is known.
    async fn first(&mut self, known: &[i64]) -> Result<Vec<i64>, DeletionError> {
        let size = self.page_size as usize;
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
        let rows = self.page(same + 1, self.page_size).await?;
        let last = rows.last().copied();
        let mut gone = Vec::new();
        for pk in expected.iter().take(size) {
            // Behind the last row others have followed up, unless the list ends here.
            let beyond = rows.len() == size && last.is_some_and(|last| *pk > last);
            if beyond || rows.contains(pk) {
                continue;
            }
            if self.exists(*pk).await? {
                return Err(DeletionError::Contradiction("a user is there and is not listed"));
            }
            gone.push(*pk);
        }
        Ok(gone)
    }

    fn count(&mut self) -> Result<(), DeletionError> {
        self.requests += 1;
        if self.requests > MAX_REQUESTS {
            return Err(DeletionError::Contradiction("too many users are missing"));
        }
        Ok(())
    }

    async fn at(&mut self, rank: usize) -> Result<Option<i64>, DeletionError> {
        Ok(self.page(rank + 1, 1).await?.first().copied())
    }

    async fn page(&mut self, page: usize, size: u32) -> Result<Vec<i64>, DeletionError> {
        self.count()?;
        let page = u32::try_from(page).map_err(|_| DeletionError::Contradiction("it is too long"))?;
        let query = users_query(PageRequest {
            page,
            size,
            descending: false,
            lean: true,
        });
        let fetch = || async {
            match self.client.users_page(&query).await {
                Err(crate::authentik::ApiError::InvalidPage { .. }) => Ok(None),
                other => other.map(Some),
            }
        };
        let Some(rows) = retry(self.options, User::KIND, page, fetch).await? else {
            return Ok(Vec::new());
        };
        let parsed = rows.skipped.iter().filter(|warning| warning.row_skipped);
        let mut pks: Vec<i64> = rows.rows.iter().map(|user| user.pk).collect();
        pks.extend(parsed.filter_map(|warning| User::parse_key(warning.pk.as_deref()?)));
        pks.sort_unstable();
        Ok(pks)
    }

    async fn exists(&mut self, pk: i64) -> Result<bool, DeletionError> {
        self.count()?;
        let found = retry(self.options, User::KIND, 1, || self.client.user(pk)).await?;
        Ok(found.is_some())
    }
}
