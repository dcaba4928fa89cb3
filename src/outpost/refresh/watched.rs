//! authentik's lists as the directory is read from them, with a count of what came: so that a long first load can be watched.
//!
//! Must not know what is made of the rows.

use std::future::Future;

use crate::outpost::status::LoadProgress;
use akldap_authentik::lists::ListSource;
use akldap_authentik::{ApiError, Client, Group, GroupsQuery, Page, RawPage, RowWarning, User, UsersQuery};

/// authentik, watched.
pub(super) struct Watched<'a> {
    pub(super) client: &'a Client,
    pub(super) progress: &'a LoadProgress,
}

impl ListSource for Watched<'_> {
    async fn users_page(&self, query: &UsersQuery) -> Result<Page<User>, ApiError> {
        let page = self.client.users_page(query).await?;
        self.progress.users(page.received(), page.pagination.count);
        Ok(page)
    }

    fn user(
        &self,
        pk: i64,
    ) -> impl Future<Output = Result<Option<(User, Vec<RowWarning>)>, ApiError>> + Send {
        self.client.user(pk)
    }

    async fn groups_page(&self, query: &GroupsQuery) -> Result<Page<Group>, ApiError> {
        let page = self.client.groups_page(query).await?;
        self.progress.groups(page.pagination.count);
        Ok(page)
    }

    async fn raw_groups_page(&self, query: &GroupsQuery) -> Result<RawPage, ApiError> {
        let page = self.client.raw_groups_page(query).await?;
        self.progress.groups(page.pagination().count);
        Ok(page)
    }
}
