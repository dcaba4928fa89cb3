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

/// What a page is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadingPhase {
    /// The end of the list of users: reading all of it begins there, and whoever came meanwhile is there.
    UsersBegun,
    /// A further page of the list of users.
    Users,
    /// How many users there are, or which, and nothing else about them.
    UsersCounted,
    /// The users that changed.
    UsersChanged,
    /// The list of groups.
    Groups,
}

/// A page as its reader reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedPage {
    /// What it is read for.
    pub phase: ReadingPhase,
    /// Rows on it, including those that say nothing.
    pub rows: u64,
    /// Rows on all pages together.
    pub of: u64,
}

impl ReceivedPage {
    fn of<T>(phase: ReadingPhase, page: &Page<T>) -> Self {
        Self {
            phase,
            rows: page.received().try_into().unwrap_or(u64::MAX),
            of: page.pagination.count,
        }
    }
}

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

    /// A page came that was asked for as the reader says here. Whoever shows how far a reading is, or counts its rows, takes note.
    fn came(&self, _page: ReceivedPage) {}

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

impl<S: ListSource> Lists<'_, S> {
    /// A page of the list of users, ascending or descending by pk.
    pub(super) async fn users(&self, request: PageRequest) -> Result<Page<User>, ApiError> {
        let phase = match request {
            PageRequest { lean: true, .. } => ReadingPhase::UsersCounted,
            PageRequest { descending: true, .. } => ReadingPhase::UsersBegun,
            _ => ReadingPhase::Users,
        };
        self.users_page(phase, &users_query(request)).await
    }

    /// A page of the users that changed.
    pub(super) async fn changed_users(&self, query: &UsersQuery) -> Result<Page<User>, ApiError> {
        self.users_page(ReadingPhase::UsersChanged, query).await
    }

    async fn users_page(&self, phase: ReadingPhase, query: &UsersQuery) -> Result<Page<User>, ApiError> {
        let page = self.source.users_page(query).await?;
        self.source.came(ReceivedPage::of(phase, &page));
        Ok(page)
    }

    /// A page of groups.
    pub(super) async fn groups(&self, query: &GroupsQuery) -> Result<Page<Group>, ApiError> {
        let page = self.source.groups_page(query).await?;
        self.source.came(ReceivedPage::of(ReadingPhase::Groups, &page));
        Ok(page)
    }

    /// A page of groups, not yet decoded.
    pub(super) async fn raw_groups(&self, query: &GroupsQuery) -> Result<RawPage, ApiError> {
        let page = self.source.raw_groups_page(query).await?;
        self.source.came(ReceivedPage {
            phase: ReadingPhase::Groups,
            rows: page.pagination().rows(),
            of: page.pagination().count,
        });
        Ok(page)
    }
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
