//! One page, however hard it is to get: tried again, asked for with less in it, and in the end split into pieces until
//! the rows that break it are alone.
//!
//! authentik answers 500 for any page that contains a number beyond 64 bits. Knows which errors can be the fault of a
//! row. Must not know what rows mean.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::ScanError;
use super::options::{PageRequest, ScanOptions};
use crate::error::ApiError;
use crate::page::{Listed, Page, Pagination};

/// Tries before a row is blamed for a 500.
const ROW_FAULT_ATTEMPTS: u32 = 3;
/// How many pieces fail one after the other before it is an outage after all: more than any one row can cause, since a
/// page of 10,000 is split 8 times.
const MAX_FAILURES: u32 = 24;

/// The rows of one page.
#[derive(Debug)]
pub(super) struct Chunk<T: Listed> {
    /// The rows that can be read, in order.
    pub page: Page<T>,
    /// Those that cannot.
    pub unreadable: Vec<UnreadableRow<T::Key>>,
    /// Requests made.
    pub requests: u32,
    /// It was split: the numbers of the page are those of its last piece.
    pub in_pieces: bool,
}

/// A row that authentik cannot show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRow<K> {
    /// The key of the row before, if it is on the same page.
    pub after: Option<K>,
    /// The key of the row after it, if it is on the same page.
    pub before: Option<K>,
    /// How many such rows come before it at the same position.
    pub position: usize,
}

impl<T: Listed> Chunk<T> {
    pub(super) fn of(page: Page<T>) -> Self {
        Self {
            page,
            unreadable: Vec::new(),
            requests: 1,
            in_pieces: false,
        }
    }
}

/// Whether an error can be the fault of a row: authentik's own 500, which comes again and again.
pub(super) fn is_row_fault(error: &ApiError) -> bool {
    matches!(
        error,
        ApiError::Status {
            status: 500,
            plain_text: false,
            ..
        }
    )
}

/// Calls with a bounded number of tries, waits between them, and a time limit on each. Errors that seem to be the fault
/// of a row are given up earlier.
pub(super) async fn retry<R, Answer>(
    options: &ScanOptions,
    kind: &'static str,
    page: u32,
    call: impl Fn() -> Answer,
) -> Result<R, ScanError>
where
    Answer: Future<Output = Result<R, ApiError>>,
{
    let mut tries = 0;
    loop {
        let limit = options.timeout.saturating_mul(1 << tries.min(8));
        tries += 1;
        let result = tokio::time::timeout(limit, call()).await.unwrap_or_else(|_| {
            Err(ApiError::TimedOut {
                url: format!("page {page} of the {kind} list"),
                after: limit,
            })
        });
        let error = match result {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let attempts = if is_row_fault(&error) {
            options.attempts.min(ROW_FAULT_ATTEMPTS)
        } else {
            options.attempts
        };
        if tries >= attempts.max(1) || !error.is_transient() {
            return Err(ScanError::Page {
                kind,
                page,
                source: Box::new(error),
            });
        }
        tracing::debug!(%error, page, kind, "reading the page again");
        let wait = options.backoff.wait(tries.saturating_sub(1), (options.jitter)());
        tokio::time::sleep(wait.max(error.retry_after().unwrap_or_default())).await;
    }
}

/// Reads one page. `None` when the list ends before it.
pub(super) async fn read_page<T, Fetch, Answer>(
    options: &ScanOptions,
    fetch: &Fetch,
    request: PageRequest,
) -> Result<Option<Chunk<T>>, ScanError>
where
    T: Listed,
    Fetch: Fn(PageRequest) -> Answer,
    Answer: Future<Output = Result<Page<T>, ApiError>>,
{
    let requests = AtomicU32::new(0);
    let counted = |request| {
        requests.fetch_add(1, Ordering::Relaxed);
        fetch(request)
    };
    let whole = match retry(options, T::KIND, request.page, || counted(request)).await {
        Err(ScanError::Page { source, .. }) if is_row_fault(&source) => {
            let lean = PageRequest {
                lean: true,
                ..request
            };
            retry(options, T::KIND, request.page, || counted(lean)).await
        }
        other => other,
    };
    let chunk = match whole {
        Ok(page) => {
            if page.pagination.current != 0 && page.pagination.current != u64::from(request.page) {
                return Err(ScanError::Inconsistent {
                    kind: T::KIND,
                    problem: format!(
                        "page {} came instead of page {}",
                        page.pagination.current, request.page
                    ),
                });
            }
            Chunk::of(page)
        }
        Err(ScanError::Page { source, .. })
            if matches!(*source, ApiError::InvalidPage { .. }) && request.page > 1 =>
        {
            return Ok(None);
        }
        Err(ScanError::Page { source, .. }) if is_row_fault(&source) => {
            in_pieces(options, &counted, request, *source).await?
        }
        Err(error) => return Err(error),
    };
    Ok(Some(Chunk {
        requests: requests.load(Ordering::Relaxed),
        ..chunk
    }))
}

fn once(options: &ScanOptions) -> ScanOptions {
    ScanOptions {
        attempts: 1,
        ..*options
    }
}

/// Reads a page in ever smaller pieces.
async fn in_pieces<T, Fetch, Answer>(
    options: &ScanOptions,
    fetch: &Fetch,
    request: PageRequest,
    fault: ApiError,
) -> Result<Chunk<T>, ScanError>
where
    T: Listed,
    Fetch: Fn(PageRequest) -> Answer,
    Answer: Future<Output = Result<Page<T>, ApiError>>,
{
    let mut pieces = JoinedRows::<T>::default();
    let mut waiting = halves(PageRequest {
        lean: true,
        ..request
    });
    if waiting.is_empty() {
        pieces.unreadable();
    }
    let mut failures = 0;
    while let Some(piece) = waiting.pop() {
        // A piece that can be split further is not worth waiting for; a single row is condemned only after several
        // tries.
        let tries = if piece.size > 1 { once(options) } else { *options };
        match retry(&tries, T::KIND, request.page, || fetch(piece)).await {
            Ok(page) => {
                failures = 0;
                pieces.take(whole_piece(page, piece)?);
            }
            Err(ScanError::Page { source, .. }) if is_row_fault(&source) => {
                failures += 1;
                if failures > MAX_FAILURES {
                    return Err(ScanError::Page {
                        kind: T::KIND,
                        page: request.page,
                        source: Box::new(fault),
                    });
                }
                let smaller = halves(piece);
                if smaller.is_empty() {
                    pieces.unreadable();
                }
                waiting.extend(smaller);
            }
            // The list ends before this piece.
            Err(ScanError::Page { source, .. }) if matches!(*source, ApiError::InvalidPage { .. }) => {}
            // Only now is there a second chance, so that a piece failing for another reason fails the page.
            Err(ScanError::Page { source, .. }) if source.is_transient() && piece.size > 1 => {
                let page = retry(options, T::KIND, request.page, || fetch(piece)).await?;
                pieces.take(whole_piece(page, piece)?);
            }
            Err(error) => return Err(error),
        }
    }
    pieces.finish(options.alive, request.page, fault)
}

/// A piece, if it has all its rows. Where the server gives fewer than asked for, pieces do not line up.
fn whole_piece<T: Listed>(page: Page<T>, piece: PageRequest) -> Result<Page<T>, ScanError> {
    if page.pagination.next != 0 && page.received() < piece.size as usize {
        return Err(ScanError::SmallerPages { kind: T::KIND });
    }
    Ok(page)
}

/// The requests that together show what one shows, the first row's last; none for a single row. Pages have to line up,
/// so a page is split by the smallest divisor of its size.
fn halves(request: PageRequest) -> Vec<PageRequest> {
    let Some(parts) = (2..=request.size).find(|parts| request.size.is_multiple_of(*parts)) else {
        return Vec::new();
    };
    let before = (request.page - 1).saturating_mul(parts);
    (1..=parts)
        .rev()
        .map(|part| PageRequest {
            page: before.saturating_add(part),
            size: request.size / parts,
            ..request
        })
        .collect()
}

/// What was put together so far.
struct JoinedRows<T: Listed> {
    page: Option<Page<T>>,
    unreadable: Vec<UnreadableRow<T::Key>>,
    /// The last ones in `unreadable` that still lack the key after them.
    open: usize,
    /// Whether a single row was ever shown.
    shown: bool,
}

impl<T: Listed> Default for JoinedRows<T> {
    fn default() -> Self {
        Self {
            page: None,
            unreadable: Vec::new(),
            open: 0,
            shown: false,
        }
    }
}

impl<T: Listed> JoinedRows<T> {
    fn take(&mut self, mut piece: Page<T>) {
        self.shown = true;
        if let Some(first) = piece.rows.first().map(T::key) {
            let open = std::mem::take(&mut self.open);
            for row in self.unreadable.iter_mut().rev().take(open) {
                row.before = Some(first.clone());
            }
        }
        match &mut self.page {
            None => self.page = Some(piece),
            Some(page) => {
                page.pagination = piece.pagination;
                page.rows.append(&mut piece.rows);
                page.skipped.append(&mut piece.skipped);
            }
        }
    }

    fn unreadable(&mut self) {
        let after = self.page.as_ref().and_then(|page| page.rows.last()).map(T::key);
        self.unreadable.push(UnreadableRow {
            after,
            before: None,
            position: self.open,
        });
        self.open += 1;
    }

    fn finish(self, alive: bool, number: u32, fault: ApiError) -> Result<Chunk<T>, ScanError> {
        // A page of which nothing can be shown is an outage, unless it never had more than a row.
        if !self.shown && !alive && self.unreadable.len() > 1 {
            return Err(ScanError::Page {
                kind: T::KIND,
                page: number,
                source: Box::new(fault),
            });
        }
        Ok(Chunk {
            page: self.page.unwrap_or(Page {
                pagination: Pagination::default(),
                rows: Vec::new(),
                skipped: Vec::new(),
                served: None,
            }),
            unreadable: self.unreadable,
            requests: 0,
            in_pieces: true,
        })
    }
}
