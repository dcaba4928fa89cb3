//! What a refresh asks of authentik, and what it gives the outpost: the seam at which a list that changes can be played
//! without a network or a clock.
//!
//! Must not know how a directory is loaded.

use std::future::Future;
use std::sync::Arc;

use akldap_authentik::{ApiError, Client, Group, GroupsQuery, Page, RawPage, RowWarning, User, UsersQuery};
use akldap_directory::{Snapshot, Warning};

use super::assembly::Assembly;
use super::load::LoadError;

/// Lists of users and groups, page by page.
pub(super) trait Source: Sync {
    /// One page of users.
    fn users_page(&self, query: &UsersQuery) -> impl Future<Output = Result<Page<User>, ApiError>> + Send;

    /// One user; `None` when there is no such user.
    fn user(&self, pk: i64)
    -> impl Future<Output = Result<Option<(User, Vec<RowWarning>)>, ApiError>> + Send;

    /// One page of groups.
    fn groups_page(&self, query: &GroupsQuery) -> impl Future<Output = Result<Page<Group>, ApiError>> + Send;

    /// One page of groups, not yet decoded.
    fn raw_groups_page(&self, query: &GroupsQuery) -> impl Future<Output = Result<RawPage, ApiError>> + Send;
}

/// Where a loaded directory goes.
pub(super) trait Target: Sync {
    /// What is served now.
    fn snapshot(&self) -> Option<Arc<Snapshot>>;

    /// Builds the next snapshot and serves it, unless it says what is served already. Returns what is served then, and
    /// what could not be served of the new one.
    fn install(
        &self,
        assembly: Assembly,
        full: bool,
    ) -> impl Future<Output = Result<(Arc<Snapshot>, Vec<Warning>), LoadError>> + Send;
}

impl Source for Client {
    fn users_page(&self, query: &UsersQuery) -> impl Future<Output = Result<Page<User>, ApiError>> + Send {
        self.users_page(query)
    }

    fn user(
        &self,
        pk: i64,
    ) -> impl Future<Output = Result<Option<(User, Vec<RowWarning>)>, ApiError>> + Send {
        self.user(pk)
    }

    fn groups_page(&self, query: &GroupsQuery) -> impl Future<Output = Result<Page<Group>, ApiError>> + Send {
        self.groups_page(query)
    }

    fn raw_groups_page(&self, query: &GroupsQuery) -> impl Future<Output = Result<RawPage, ApiError>> + Send {
        self.raw_groups_page(query)
    }
}
