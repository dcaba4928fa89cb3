//! authentik's lists, with a count of what was asked for and what came. Must not know what is read, or why.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use akldap_authentik::lists::{ListSource, ReceivedPage};
use akldap_authentik::{ApiError, Group, GroupsQuery, Page, RawPage, RowWarning, User, UsersQuery};

/// A source whose requests are counted.
pub(super) struct CountedSource<'a, S> {
    source: &'a S,
    rows: AtomicU64,
    requests: AtomicU64,
}

impl<'a, S> CountedSource<'a, S> {
    pub(super) fn new(source: &'a S) -> Self {
        Self {
            source,
            rows: AtomicU64::new(0),
            requests: AtomicU64::new(0),
        }
    }

    /// Rows that came. One that came twice counts twice.
    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Requests that were made.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn count(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    fn asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

impl<S: ListSource> ListSource for CountedSource<'_, S> {
    fn users_page(&self, query: &UsersQuery) -> impl Future<Output = Result<Page<User>, ApiError>> + Send {
        self.asked();
        self.source.users_page(query)
    }

    async fn user(&self, pk: i64) -> Result<Option<(User, Vec<RowWarning>)>, ApiError> {
        self.asked();
        let user = self.source.user(pk).await?;
        self.count(u64::from(user.is_some()));
        Ok(user)
    }

    fn groups_page(&self, query: &GroupsQuery) -> impl Future<Output = Result<Page<Group>, ApiError>> + Send {
        self.asked();
        self.source.groups_page(query)
    }

    fn raw_groups_page(&self, query: &GroupsQuery) -> impl Future<Output = Result<RawPage, ApiError>> + Send {
        self.asked();
        self.source.raw_groups_page(query)
    }

    fn came(&self, page: ReceivedPage) {
        self.count(page.rows);
        self.source.came(page);
    }

    fn is_wanted_elsewhere(&self) -> bool {
        self.source.is_wanted_elsewhere()
    }
}
