//! authentik's lists, with a count of what was asked for and what came. Must not know what is read, or why.

use std::sync::atomic::{AtomicU64, Ordering};

use akldap_authentik::lists::ListSource;
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

    fn came(&self, rows: usize) {
        self.rows
            .fetch_add(rows.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

impl<S: ListSource> ListSource for CountedSource<'_, S> {
    async fn users_page(&self, query: &UsersQuery) -> Result<Page<User>, ApiError> {
        self.asked();
        let page = self.source.users_page(query).await?;
        self.came(page.rows.len());
        Ok(page)
    }

    async fn user(&self, pk: i64) -> Result<Option<(User, Vec<RowWarning>)>, ApiError> {
        self.asked();
        let user = self.source.user(pk).await?;
        self.came(usize::from(user.is_some()));
        Ok(user)
    }

    async fn groups_page(&self, query: &GroupsQuery) -> Result<Page<Group>, ApiError> {
        self.asked();
        let page = self.source.groups_page(query).await?;
        self.came(page.rows.len());
        Ok(page)
    }

    async fn raw_groups_page(&self, query: &GroupsQuery) -> Result<RawPage, ApiError> {
        self.asked();
        let page = self.source.raw_groups_page(query).await?;
        let pagination = page.pagination();
        // Both are numbers of rows, from 1; 0 where there are none.
        let rows = match pagination.start_index {
            0 => 0,
            first => (pagination.end_index + 1).saturating_sub(first),
        };
        self.rows.fetch_add(rows, Ordering::Relaxed);
        Ok(page)
    }

    fn is_wanted_elsewhere(&self) -> bool {
        self.source.is_wanted_elsewhere()
    }
}
