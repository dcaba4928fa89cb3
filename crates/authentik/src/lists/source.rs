//! What a reader asks of authentik: the seam at which a changing list can be simulated without a network or a clock.
//!
//! Must not know what is made of the answers.

use std::future::Future;

use super::options::{PageRequest, ScanOptions};
use crate::api::{GroupsQuery, RawPage, UsersQuery};
use crate::client::Client;
use crate::error::ApiError;
use crate::group::Group;
use crate::page::{Page, RowWarning};
use crate::user::User;

/// Lists of users and groups, page by page.
pub trait ListSource: Sync {
    /// One page of users.
    fn users_page(&self, query: &UsersQuery) -> impl Future<Output = Result<Page<User>, ApiError>> + Send;

    /// One user; `None` when there is no such user.
    fn user(&self, pk: i64)
    -> impl Future<Output = Result<Option<(User, Vec<RowWarning>)>, ApiError>> + Send;

    /// One page of groups.
    fn groups_page(&self, query: &GroupsQuery) -> impl Future<Output = Result<Page<Group>, ApiError>> + Send;

    /// One page of groups, not yet decoded.
    fn raw_groups_page(&self, query: &GroupsQuery) -> impl Future<Output = Result<RawPage, ApiError>> + Send;

    /// Whether others who wait for their answers are asking the same server now: then only one page is asked for at a time.
    fn is_wanted_elsewhere(&self) -> bool {
        false
    }
}

impl ListSource for Client {
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

/// Whose lists are read, and how.
#[derive(Debug)]
pub struct Lists<'a, S> {
    /// Who is asked.
    pub source: &'a S,
    /// Tries, waits and limits.
    pub options: ScanOptions,
    /// Rows to ask for per page; the server caps it.
    pub page_size: u32,
}

impl<S> Clone for Lists<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Lists<'_, S> {}

/// The query for users as everybody asks it. Without groups and roles a page costs authentik more, not less: it then
/// asks for the keys of each user one by one.
pub(super) fn users_query(request: PageRequest) -> UsersQuery {
    UsersQuery {
        page: request.page,
        page_size: Some(request.size),
        ordering: Some(if request.descending { "-pk" } else { "pk" }.to_owned()),
        include_groups: request.lean.then_some(false),
        ..UsersQuery::default()
    }
}
