//! authentik's lists as the directory is read from them, with a count of what came: so that a long first load can be watched.
//!
//! Must not know what is made of the rows.

use std::future::Future;

use crate::outpost::right_of_way::RightOfWay;
use crate::outpost::status::LoadProgress;
use akldap_authentik::lists::ListSource;
use akldap_authentik::{ApiError, Group, GroupsQuery, Page, RawPage, RowWarning, User, UsersQuery};

/// authentik, watched.
pub(super) struct Watched<'a, S> {
    pub(super) source: &'a S,
    pub(super) progress: &'a LoadProgress,
    pub(super) right_of_way: &'a RightOfWay,
}

impl<S: ListSource> ListSource for Watched<'_, S> {
    async fn users_page(&self, query: &UsersQuery) -> Result<Page<User>, ApiError> {
        let page = self.source.users_page(query).await?;
        let (received, of) = (page.received(), page.pagination.count);
        // As `akldap_authentik::lists` asks: reading all users begins with the end of the list, and rows without groups are asked for
        // where only their number or keys matter.
        let from_the_end = query.ordering.as_deref() == Some("-pk");
        match query.include_groups {
            _ if query.last_updated_gt.is_some() => self.progress.users_changed(),
            Some(false) => self.progress.users_counted(of),
            _ if from_the_end => self.progress.users_begun(received, of),
            _ => self.progress.users(received, of),
        }
        Ok(page)
    }

    fn user(
        &self,
        pk: i64,
    ) -> impl Future<Output = Result<Option<(User, Vec<RowWarning>)>, ApiError>> + Send {
        self.source.user(pk)
    }

    async fn groups_page(&self, query: &GroupsQuery) -> Result<Page<Group>, ApiError> {
        let page = self.source.groups_page(query).await?;
        self.progress.groups(page.pagination.count);
        Ok(page)
    }

    async fn raw_groups_page(&self, query: &GroupsQuery) -> Result<RawPage, ApiError> {
        let page = self.source.raw_groups_page(query).await?;
        self.progress.groups(page.pagination().count);
        Ok(page)
    }

    fn is_wanted_elsewhere(&self) -> bool {
        self.right_of_way.is_taken()
    }
}
