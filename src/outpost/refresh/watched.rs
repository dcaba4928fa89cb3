//! authentik's lists as the directory is read from them, with a note of what came: so that a long first load can be watched.
//!
//! Must not know how they are asked for, nor what is made of the rows.

use std::future::Future;

use crate::outpost::right_of_way::RightOfWay;
use crate::outpost::status::LoadProgress;
use akldap_authentik::lists::{ListSource, ReadingPhase, ReceivedPage};
use akldap_authentik::{ApiError, Group, GroupsQuery, Page, RawPage, RowWarning, User, UsersQuery};

/// authentik, watched.
pub(super) struct Watched<'a, S> {
    pub(super) source: &'a S,
    pub(super) progress: &'a LoadProgress,
    pub(super) right_of_way: &'a RightOfWay,
}

impl<S: ListSource> ListSource for Watched<'_, S> {
    fn users_page(&self, query: &UsersQuery) -> impl Future<Output = Result<Page<User>, ApiError>> + Send {
        self.source.users_page(query)
    }

    fn user(
        &self,
        pk: i64,
    ) -> impl Future<Output = Result<Option<(User, Vec<RowWarning>)>, ApiError>> + Send {
        self.source.user(pk)
    }

    fn groups_page(&self, query: &GroupsQuery) -> impl Future<Output = Result<Page<Group>, ApiError>> + Send {
        self.source.groups_page(query)
    }

    fn raw_groups_page(&self, query: &GroupsQuery) -> impl Future<Output = Result<RawPage, ApiError>> + Send {
        self.source.raw_groups_page(query)
    }

    fn came(&self, page: ReceivedPage) {
        let ReceivedPage { phase, rows, of } = page;
        match phase {
            ReadingPhase::UsersBegun => self.progress.users_begun(rows, of),
            ReadingPhase::Users => self.progress.users(rows, of),
            ReadingPhase::UsersCounted => self.progress.users_counted(of),
            ReadingPhase::UsersChanged => self.progress.users_changed(),
            ReadingPhase::Groups => self.progress.groups(of),
        }
        self.source.came(page);
    }

    fn is_wanted_elsewhere(&self) -> bool {
        self.right_of_way.is_taken()
    }
}
