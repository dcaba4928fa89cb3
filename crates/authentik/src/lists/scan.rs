//! Reading a whole list page by page while it changes, so that no row that was there all the time is missed.
//!
//! Every page from authentik is a separate picture, so rows slip from one page to another between two reads. Ordered
//! by pk, new users come at the end and deleted ones pull later ones forward: pages read from the last to the first
//! can show a row twice, but never skip one. What was deleted meanwhile may still be among the rows; the caller has
//! to find that out. Knows nothing about what the rows are for; keeps only their keys.

use std::collections::HashMap;
use std::future::Future;
use std::time::SystemTime;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use super::error::ScanError;
use super::options::{PageRequest, ScanOptions};
use super::parallel::Parallel;
use super::split::{Chunk, UnreadableRow, is_row_fault, read_page, retry};
use super::zone::{self, Seam, Zone, zones};
use crate::error::ApiError;
use crate::page::{Listed, Page, RowWarning};

/// Rows per page that any server gives: authentik's default if no number is asked for.
const SAFE_PAGE_SIZE: u32 = 20;
/// If the end of the list cannot be shown, how many rows are tried from the end until one can.
const OPENING_TRIES: u32 = 4;

/// What a scan found, besides the rows themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanSummary {
    /// Distinct rows that were read, including those left out.
    pub rows: u64,
    /// Rows left out because they could not be decoded.
    pub skipped: u64,
    /// Rows that came twice and were dropped.
    pub duplicates: u64,
    /// Requests made, including repeats.
    pub requests: u64,
}

/// The state of the list when the scan began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening<K> {
    /// How many rows there were.
    pub count: u64,
    /// The highest key; `None` if there was no row or it cannot be shown.
    pub top: Option<K>,
    /// The server's clock before the first row was read, if it says.
    pub served: Option<SystemTime>,
    /// Rows of a full page as the server gives them.
    pub page_size: u32,
}

/// A list being read. When [`run`](Self::run) fails it can be run again and continues where it was: pages already
/// read stay as good as they were.
#[derive(Debug)]
pub struct Scan<T: Listed> {
    asked: u32,
    /// When what opened the list was asked for; before that, when the scan was made.
    began: Instant,
    opening: Option<Opening<T::Key>>,
    zones: Vec<Zone<T::Key>>,
    /// Pages read twice.
    seams: Option<Vec<Seam<T::Key>>>,
    /// Counts page reads, as a clock for what came before what.
    clock: u64,
    parallel: Parallel,
    seen: HashMap<T::Key, u64>,
    unreadable: Vec<UnreadableRow<T::Key>>,
    /// Rows left out whose key could not be read: each counts as one.
    nameless: u64,
    summary: ScanSummary,
}

impl<T: Listed> Scan<T> {
    /// A scan that asks for `page_size` rows a page.
    pub fn new(page_size: u32) -> Self {
        Self {
            asked: page_size.max(1),
            began: Instant::now(),
            opening: None,
            zones: Vec::new(),
            seams: None,
            clock: 0,
            parallel: Parallel::default(),
            seen: HashMap::new(),
            unreadable: Vec::new(),
            nameless: 0,
            summary: ScanSummary::default(),
        }
    }

    /// No row was read before: when the request was sent whose answer came first. Where requests fail for long, that is long after
    /// they were begun with.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The state of the list at the beginning; `None` before the first answer.
    pub fn opening(&self) -> Option<&Opening<T::Key>> {
        self.opening.as_ref()
    }

    /// Every key read, with the version of its row; those of rows left out have version 0.
    pub fn seen(&self) -> &HashMap<T::Key, u64> {
        &self.seen
    }

    /// Rows that cannot be read although those around them can.
    pub fn unreadable(&self) -> &[UnreadableRow<T::Key>] {
        &self.unreadable
    }

    /// How many rows were left out without their keys being known.
    pub fn nameless(&self) -> u64 {
        self.nameless
    }

    /// Reads what is left to be read with `fetch` and passes the rows to `sink` in the order of arrival, without
    /// those seen before. When the result is an error, what the sink got is not the whole list.
    pub async fn run<Fetch, Answer>(
        &mut self,
        options: &ScanOptions,
        fetch: Fetch,
        sink: impl FnMut(Page<T>),
    ) -> Result<ScanSummary, ScanError>
    where
        Fetch: Fn(PageRequest) -> Answer,
        Answer: Future<Output = Result<Page<T>, ApiError>>,
    {
        self.run_giving_way(options, fetch, || false, sink).await
    }

    /// The same, but while `gives_way` is true only one page is asked for at a time.
    pub async fn run_giving_way<Fetch, Answer>(
        &mut self,
        options: &ScanOptions,
        fetch: Fetch,
        gives_way: impl Fn() -> bool,
        mut sink: impl FnMut(Page<T>),
    ) -> Result<ScanSummary, ScanError>
    where
        Fetch: Fn(PageRequest) -> Answer,
        Answer: Future<Output = Result<Page<T>, ApiError>>,
    {
        if self.opening.is_none() {
            self.open(options, &fetch, &mut sink).await?;
        }
        self.read_zones(options, &fetch, &gives_way, &mut sink).await?;
        if self.seams.is_none() {
            self.seams = Some(zone::seams(&self.zones));
        }
        while let Some(page) = self
            .seams
            .as_ref()
            .and_then(|seams| seams.last())
            .map(|seam| seam.page)
        {
            let chunk = read_page(options, &fetch, self.request(page)).await?;
            self.pass_seam(chunk.as_ref());
            if let Some(chunk) = chunk {
                self.take(chunk, &mut sink);
            }
        }
        self.summary.rows = self.seen.len() as u64 + self.nameless + self.unreadable.len() as u64;
        Ok(self.summary)
    }

    /// Reads the highest rows, which tell how many there are in total and how many make a page.
    async fn open<Fetch, Answer>(
        &mut self,
        options: &ScanOptions,
        fetch: &Fetch,
        sink: &mut impl FnMut(Page<T>),
    ) -> Result<(), ScanError>
    where
        Fetch: Fn(PageRequest) -> Answer,
        Answer: Future<Output = Result<Page<T>, ApiError>>,
    {
        let mut request = PageRequest {
            page: 1,
            size: self.asked,
            descending: true,
            lean: false,
        };
        let mut tried = 0;
        let page = loop {
            let dated = || {
                let (sent, answer) = (Instant::now(), fetch(request));
                async move { Ok((sent, answer.await?)) }
            };
            match retry(options, T::KIND, request.page, dated).await {
                Ok((sent, page)) => {
                    self.began = sent;
                    break page;
                }
                // One of the highest rows cannot be shown: any row tells how many there are.
                Err(ScanError::Page { source, .. }) if is_row_fault(&source) && tried < OPENING_TRIES => {
                    self.summary.requests += 1;
                    tried += 1;
                    request = PageRequest {
                        page: tried,
                        size: 1,
                        lean: true,
                        ..request
                    };
                }
                Err(error) => return Err(error),
            }
        };
        let numbers = page.pagination;
        let received = u32::try_from(page.received()).unwrap_or(u32::MAX);
        let shown = if tried == 0 { u64::from(received) } else { 0 };
        let page_size = match (tried, numbers.next) {
            (0, 0) => self.asked,
            (0, _) => received.max(1),
            _ => self.learn_page_size(options, fetch).await?,
        };
        let rest = numbers.count.saturating_sub(shown);
        let pages =
            u32::try_from(rest.div_ceil(u64::from(page_size))).map_err(|_| ScanError::Inconsistent {
                kind: T::KIND,
                problem: format!("it claims {} rows", numbers.count),
            })?;
        self.opening = Some(Opening {
            count: numbers.count,
            top: page.rows.first().map(T::key).filter(|_| tried == 0),
            served: page.served,
            page_size,
        });
        self.zones = zones(pages, options.parallel);
        if tried == 0 {
            self.take(Chunk::of(page), sink);
        }
        Ok(())
    }

    /// How many rows make a page, if the highest ones cannot be shown: any other page tells.
    async fn learn_page_size<Fetch, Answer>(
        &mut self,
        options: &ScanOptions,
        fetch: &Fetch,
    ) -> Result<u32, ScanError>
    where
        Fetch: Fn(PageRequest) -> Answer,
        Answer: Future<Output = Result<Page<T>, ApiError>>,
    {
        for page in 1..=OPENING_TRIES {
            let request = PageRequest {
                page,
                size: self.asked,
                descending: false,
                lean: true,
            };
            self.summary.requests += 1;
            match retry(options, T::KIND, page, || fetch(request)).await {
                Ok(answer) if answer.pagination.next != 0 => {
                    return Ok(u32::try_from(answer.received()).unwrap_or(self.asked).max(1));
                }
                Ok(answer) if page > 1 => {
                    let before = answer.pagination.start_index.saturating_sub(1) / u64::from(page - 1);
                    let size = u32::try_from(before)
                        .ok()
                        .filter(|size| (1..=self.asked).contains(size));
                    return Ok(size.unwrap_or(self.asked));
                }
                // All rows make one page, or fewer pages than this.
                Ok(_) => return Ok(self.asked),
                Err(ScanError::Page { source, .. }) if matches!(*source, ApiError::InvalidPage { .. }) => {
                    return Ok(self.asked);
                }
                Err(ScanError::Page { source, .. }) if is_row_fault(&source) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.asked.min(SAFE_PAGE_SIZE))
    }

    fn request(&self, page: u32) -> PageRequest {
        PageRequest {
            page,
            size: self
                .opening
                .as_ref()
                .map_or(self.asked, |opening| opening.page_size),
            descending: false,
            lean: false,
        }
    }

    async fn read_zones<Fetch, Answer>(
        &mut self,
        options: &ScanOptions,
        fetch: &Fetch,
        gives_way: &impl Fn() -> bool,
        sink: &mut impl FnMut(Page<T>),
    ) -> Result<(), ScanError>
    where
        Fetch: Fn(PageRequest) -> Answer,
        Answer: Future<Output = Result<Page<T>, ApiError>>,
    {
        let mut running = FuturesUnordered::new();
        let mut failure = None;
        // Pages until those in flight were all asked for undisturbed.
        let mut disturbed = 0;
        loop {
            let most = if gives_way() {
                disturbed = options.parallel;
                1
            } else {
                self.parallel.level(options.parallel)
            };
            while failure.is_none() && running.len() < most {
                let Some((index, page)) = self.start_page() else {
                    break;
                };
                let request = self.request(page);
                running.push(async move {
                    let started = Instant::now();
                    (index, read_page(options, fetch, request).await, started.elapsed())
                });
            }
            let Some((index, result, took)) = running.next().await else {
                break;
            };
            match result {
                Ok(chunk) => {
                    let tries = chunk.as_ref().map_or(1, |chunk| chunk.requests);
                    self.parallel.note(took, tries == 1, options.parallel);
                    if disturbed > 0 {
                        disturbed -= 1;
                        self.parallel.disturbed();
                    }
                    self.finish_page(index, chunk.as_ref());
                    if let Some(chunk) = chunk {
                        self.take(chunk, sink);
                    }
                }
                Err(error) => {
                    if let Some(zone) = self.zones.get_mut(index) {
                        zone.busy = false;
                    }
                    self.parallel.note(took, false, options.parallel);
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// The next page of the uppermost zone that nobody is reading.
    fn start_page(&mut self) -> Option<(usize, u32)> {
        let clock = self.clock;
        let (index, zone) = self
            .zones
            .iter_mut()
            .enumerate()
            .find(|(_, zone)| !zone.busy && zone.next >= zone.first)?;
        zone.busy = true;
        zone.begun.get_or_insert(clock);
        self.clock += 1;
        Some((index, zone.next))
    }

    fn finish_page(&mut self, index: usize, chunk: Option<&Chunk<T>>) {
        if let Some(zone) = self.zones.get_mut(index) {
            zone.busy = false;
            zone.next -= 1;
            zone.finished = self.clock;
            if zone.top.is_none() {
                zone.top = chunk.and_then(|chunk| chunk.page.rows.iter().map(T::key).max());
            }
        }
        self.clock += 1;
    }

    /// Continues with the page below until it reaches what the lower zone had seen: however many rows were deleted
    /// meanwhile, those that slipped past the seam are above it.
    fn pass_seam(&mut self, chunk: Option<&Chunk<T>>) {
        let Some(seams) = &mut self.seams else {
            return;
        };
        if let Some(seam) = seams.last_mut() {
            let reached = chunk.is_some_and(|chunk| {
                let mut rows = chunk.page.rows.iter();
                rows.any(|row| seam.seen.as_ref().is_some_and(|seen| row.key() <= *seen))
            });
            seam.page -= 1;
            if reached || seam.page == 0 {
                seams.pop();
            }
        }
    }

    fn take(&mut self, chunk: Chunk<T>, sink: &mut impl FnMut(Page<T>)) {
        self.summary.requests += u64::from(chunk.requests);
        let Chunk {
            mut page, unreadable, ..
        } = chunk;
        page.rows.retain(|row| {
            let fresh = match self.seen.entry(row.key()) {
                std::collections::hash_map::Entry::Occupied(_) => false,
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(row.version());
                    true
                }
            };
            self.summary.duplicates += u64::from(!fresh);
            fresh
        });
        self.summary.skipped += self.note_skipped(&page.skipped);
        for row in unreadable {
            if !self.unreadable.contains(&row) {
                self.unreadable.push(row);
            }
        }
        sink(page);
    }

    fn note_skipped(&mut self, skipped: &[RowWarning]) -> u64 {
        let mut count = 0;
        for warning in skipped.iter().filter(|warning| warning.row_skipped) {
            count += 1;
            match warning.pk.as_deref().and_then(T::parse_key) {
                Some(key) => {
                    self.seen.entry(key).or_insert(0);
                }
                None => self.nameless += 1,
            }
        }
        count
    }
}

#[cfg(test)]
mod tests;
