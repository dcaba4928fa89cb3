//! Reading a whole list page by page, and knowing afterwards whether it was read whole.
//!
//! Every page of authentik is a snapshot of its own, so rows can slip from one page to another between two reads.
//! A scan is ordered by pk, drops rows seen twice, and in the end holds the number of distinct rows against the
//! count that every page reported. Knows nothing of what the rows are for; keeps only their keys.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use super::api::{GroupsQuery, UsersQuery};
use super::client::Client;
use super::error::ApiError;
use super::group::Group;
use super::row::{Page, Row};
use super::user::User;

/// How a list is read. Times pass on tokio's clock.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    /// Pages in flight at once. authentik has two web workers by default; more than two only queue there.
    pub parallel: usize,
    /// Tries for one page, the first included.
    pub attempts: u32,
    /// Wait before the second try of a page; doubles with each further one.
    pub backoff: Duration,
    /// The longest such wait.
    pub max_backoff: Duration,
    /// Gives numbers in `0.0..1.0`, by which waits are spread.
    pub jitter: fn() -> f64,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            parallel: 2,
            attempts: 4,
            backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(8),
            jitter: fastrand::f64,
        }
    }
}

/// Why a list was not read whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A page could not be had.
    #[error("page {page} of the {kind} list cannot be read: {source}")]
    Page {
        /// What is listed.
        kind: &'static str,
        /// The page.
        page: u64,
        /// The last error.
        source: Box<ApiError>,
    },
    /// The list changed while it was read, or the server contradicts itself. Nothing is wrong with reading it again.
    #[error("the {kind} list changed while it was read: {problem}")]
    Inconsistent {
        /// What is listed.
        kind: &'static str,
        /// What does not fit.
        problem: String,
    },
}

/// What a scan found, besides the rows themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanSummary {
    /// Distinct rows, those left out included; equal to the count of every page.
    pub rows: u64,
    /// Rows left out because they could not be decoded.
    pub skipped: u64,
    /// Rows that came twice and were dropped.
    pub duplicates: u64,
    /// Pages read.
    pub pages: u64,
    /// Requests made for them, repeats included.
    pub requests: u64,
}

/// Reads every page with `fetch` (given the 1-based page number; the list must be ordered by pk) and hands each to
/// `sink` in the order of arrival, without rows seen before. Page 1 comes first. When the result is an error, what
/// the sink got is not the whole list and must not be used as such.
pub async fn scan<T, Fetch, Answer, Sink>(
    options: &ScanOptions,
    fetch: Fetch,
    mut sink: Sink,
) -> Result<ScanSummary, ScanError>
where
    T: Row,
    Fetch: Fn(u32) -> Answer,
    Answer: Future<Output = Result<Page<T>, ApiError>>,
    Sink: FnMut(Page<T>),
{
    let mut tally = Tally::<T>::default();
    let first = fetch_page(options, &fetch, 1).await?;
    let last = first.1.pagination.total_pages.max(1);
    tally.take(first, &mut sink)?;
    let last = u32::try_from(last).map_err(|_| inconsistent::<T>(format!("it claims {last} pages")))?;
    let mut pages = stream::iter(2..=last)
        .map(|page| fetch_page(options, &fetch, page))
        .buffer_unordered(options.parallel.max(1));
    while let Some(page) = pages.next().await {
        tally.take(page?, &mut sink)?;
    }
    tally.close()
}

fn inconsistent<T: Row>(problem: String) -> ScanError {
    ScanError::Inconsistent {
        kind: T::KIND,
        problem,
    }
}

type Fetched<T> = (u64, Page<T>, u64);

/// One page with a bounded number of tries. Returns page number, page and requests made.
async fn fetch_page<T, Fetch, Answer>(
    options: &ScanOptions,
    fetch: &Fetch,
    page: u32,
) -> Result<Fetched<T>, ScanError>
where
    T: Row,
    Fetch: Fn(u32) -> Answer,
    Answer: Future<Output = Result<Page<T>, ApiError>>,
{
    let mut tries = 0;
    loop {
        tries += 1;
        match fetch(page).await {
            Ok(answer) => return Ok((u64::from(page), answer, u64::from(tries))),
            Err(ApiError::InvalidPage { .. }) if page > 1 => {
                return Err(inconsistent::<T>(format!(
                    "page {page} is gone, so rows were deleted"
                )));
            }
            Err(source) if tries >= options.attempts.max(1) || !source.is_transient() => {
                return Err(ScanError::Page {
                    kind: T::KIND,
                    page: u64::from(page),
                    source: Box::new(source),
                });
            }
            Err(error) => {
                tracing::debug!(%error, page, kind = T::KIND, "reading the page again");
                tokio::time::sleep(backoff(options, tries, (options.jitter)())).await;
            }
        }
    }
}

/// The wait after the given number of tries: doubling, capped, and shortened by up to half.
fn backoff(options: &ScanOptions, tries: u32, random: f64) -> Duration {
    let factor = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    options
        .backoff
        .saturating_mul(factor)
        .min(options.max_backoff)
        .mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
}

/// What has been seen so far.
struct Tally<T: Row> {
    seen: HashSet<T::Key>,
    /// Rows left out whose key could not be read: each counts as one.
    nameless: u64,
    count: Option<u64>,
    total_pages: u64,
    /// First and last key of each page that is sorted by key, to find pages that overlap.
    bounds: Vec<(u64, T::Key, T::Key)>,
    sorted: bool,
    summary: ScanSummary,
}

impl<T: Row> Default for Tally<T> {
    fn default() -> Self {
        Self {
            seen: HashSet::new(),
            nameless: 0,
            count: None,
            total_pages: 0,
            bounds: Vec::new(),
            sorted: true,
            summary: ScanSummary::default(),
        }
    }
}

impl<T: Row> Tally<T> {
    fn take(
        &mut self,
        (number, mut page, requests): Fetched<T>,
        sink: &mut impl FnMut(Page<T>),
    ) -> Result<(), ScanError> {
        self.summary.pages += 1;
        self.summary.requests += requests;
        let numbers = page.pagination;
        match self.count {
            None => (self.count, self.total_pages) = (Some(numbers.count), numbers.total_pages),
            Some(count) if count != numbers.count || self.total_pages != numbers.total_pages => {
                return Err(inconsistent::<T>(format!(
                    "page {number} counts {} rows in {} pages, page 1 counted {count} in {}",
                    numbers.count, numbers.total_pages, self.total_pages
                )));
            }
            Some(_) => {}
        }
        if numbers.current != 0 && numbers.current != number {
            return Err(inconsistent::<T>(format!(
                "page {} came instead of page {number}",
                numbers.current
            )));
        }
        self.note_bounds(number, &page.rows);
        page.rows.retain(|row| {
            let fresh = self.seen.insert(row.key());
            self.summary.duplicates += u64::from(!fresh);
            fresh
        });
        for warning in page.skipped.iter().filter(|warning| warning.row_skipped) {
            self.summary.skipped += 1;
            match warning.pk.as_deref().and_then(T::parse_key) {
                Some(key) => {
                    self.seen.insert(key);
                }
                None => self.nameless += 1,
            }
        }
        sink(page);
        Ok(())
    }

    fn note_bounds(&mut self, number: u64, rows: &[T]) {
        self.sorted &= rows.is_sorted_by_key(T::key);
        if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
            self.bounds.push((number, first.key(), last.key()));
        }
    }

    fn close(mut self) -> Result<ScanSummary, ScanError> {
        let distinct = u64::try_from(self.seen.len())
            .unwrap_or(u64::MAX)
            .saturating_add(self.nameless);
        let count = self.count.unwrap_or_default();
        if distinct != count {
            return Err(inconsistent::<T>(format!(
                "{distinct} different rows came, {count} were announced"
            )));
        }
        // Counts can agree although a row was missed, when another was created meanwhile; then pages overlap. Only
        // where the server does sort by key can that be seen.
        if self.sorted {
            self.bounds.sort_unstable_by_key(|(number, _, _)| *number);
            for pair in self.bounds.windows(2) {
                if let [(before, _, last), (after, first, _)] = pair
                    && first <= last
                {
                    return Err(inconsistent::<T>(format!("pages {before} and {after} overlap")));
                }
            }
        }
        self.summary.rows = distinct;
        Ok(self.summary)
    }
}

impl Client {
    /// Reads all users that match `query`, whose page and ordering are set here.
    pub async fn all_users(
        &self,
        query: &UsersQuery,
        options: &ScanOptions,
        sink: impl FnMut(Page<User>),
    ) -> Result<ScanSummary, ScanError> {
        let fetch = |page| async move {
            let query = UsersQuery {
                page,
                ordering: Some("pk".to_owned()),
                ..query.clone()
            };
            self.users_page(&query).await
        };
        scan(options, fetch, sink).await
    }

    /// Reads all groups that match `query`, whose page and ordering are set here.
    pub async fn all_groups(
        &self,
        query: &GroupsQuery,
        options: &ScanOptions,
        sink: impl FnMut(Page<Group>),
    ) -> Result<ScanSummary, ScanError> {
        let fetch = |page| async move {
            let query = GroupsQuery {
                page,
                ordering: Some("pk".to_owned()),
                ..query.clone()
            };
            self.groups_page(&query).await
        };
        scan(options, fetch, sink).await
    }
}

#[cfg(test)]
mod tests;
