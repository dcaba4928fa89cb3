//! One look at what changed: the groups, the users updated of late, and how many users there are.
//!
//! authentik's pages are pictures of different moments, so one look proves nothing. Two that show the same do: between
//! them nothing changed, and what they show stood there at one moment. Must not know how a directory is built.

use std::collections::HashMap;
use std::time::SystemTime;

use crate::authentik::paging::{
    PageRequest, ScanError, ScanOptions, Unreadable, is_row_fault, read_page, retry,
};
use crate::authentik::{Client, Page, Row as _, RowWarning, User, UsersQuery};
use crate::directory::{iso_8601, parse_iso_8601};

use super::group_list::{self, GroupList};

/// Where the user with the highest pk cannot be shown, users tried from the end until one can.
const TAIL_TRIES: u32 = 4;

/// What was seen of the users, for comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UsersSeen {
    /// Users updated since the beginning of the window, with the version of their rows.
    pub(super) versions: HashMap<i64, u64>,
    /// Of these, such as cannot be shown.
    pub(super) unreadable: Vec<Unreadable<i64>>,
    /// How many users there are in all.
    pub(super) count: u64,
    /// The highest pk that can be shown.
    pub(super) top: Option<i64>,
}

/// What one look showed.
pub(super) struct Observation {
    pub(super) groups: GroupList,
    pub(super) changed: Vec<User>,
    pub(super) skipped: Vec<RowWarning>,
    pub(super) users: UsersSeen,
    /// The server's clock before anything was read.
    pub(super) served: Option<SystemTime>,
}

/// Why a look at the changes does not do.
#[derive(Debug, thiserror::Error)]
pub(super) enum ObservationError {
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// So much changed that a full load is cheaper.
    #[error("{0} users changed")]
    TooMuch(u64),
    /// authentik does not filter by time.
    #[error("authentik does not tell which users changed")]
    Unfiltered,
}

impl UsersSeen {
    /// Whether a later look shows no user that this one did not show just so.
    pub(super) fn covers(&self, later: &Self) -> bool {
        self.count == later.count
            && self.top == later.top
            && later.unreadable.iter().all(|row| self.unreadable.contains(row))
            && later
                .versions
                .iter()
                .all(|(pk, version)| self.versions.get(pk) == Some(version))
    }
}

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

/// Looks at groups, users changed after `since` (microseconds since 1970; `None`: authentik cannot tell), and counts.
/// `most` changed users are read.
pub(super) async fn observe(
    client: &Client,
    options: &ScanOptions,
    page_size: u32,
    since: Option<i64>,
    most: u64,
) -> Result<Observation, ObservationError> {
    let groups = group_list::read(client, options, page_size).await?;
    let mut observation = Observation {
        served: groups.served,
        groups,
        changed: Vec::new(),
        skipped: Vec::new(),
        users: UsersSeen::default(),
    };
    if let Some(since) = since {
        read_changed(client, options, page_size, since, most, &mut observation).await?;
    }
    let (count, top) = tail(client, options).await?;
    (observation.users.count, observation.users.top) = (count, top);
    Ok(observation)
}

async fn read_changed(
    client: &Client,
    options: &ScanOptions,
    page_size: u32,
    since: i64,
    most: u64,
    into: &mut Observation,
) -> Result<(), ObservationError> {
    let after = iso_8601(since);
    let fetch = |request: PageRequest| {
        let query = UsersQuery {
            last_updated_gt: Some(after.clone()),
            ..users_query(request)
        };
        async move { client.users_page(&query).await }
    };
    // The groups were read a moment ago.
    let options = &ScanOptions {
        alive: true,
        ..*options
    };
    let mut page = 1;
    loop {
        let request = PageRequest {
            page,
            size: page_size,
            descending: false,
            lean: false,
        };
        let Some(chunk) = read_page(options, &fetch, request).await? else {
            return Ok(());
        };
        let numbers = chunk.page.pagination;
        if numbers.count > most {
            return Err(ObservationError::TooMuch(numbers.count));
        }
        for user in chunk.page.rows {
            // The time asked for was cut to the second.
            if parse_iso_8601(&user.last_updated).is_none_or(|at| at < since - 1_000_000) {
                return Err(ObservationError::Unfiltered);
            }
            // A row that slipped to a later page comes twice; the later one is newer.
            if into.users.versions.insert(user.pk, user.version()).is_some() {
                into.changed.retain(|known| known.pk != user.pk);
            }
            into.changed.push(user);
        }
        into.skipped.extend(chunk.page.skipped);
        into.users.unreadable.extend(chunk.unreadable);
        if numbers.next == 0 || u64::from(page) >= numbers.total_pages {
            return Ok(());
        }
        page += 1;
    }
}

/// How many users there are, and the highest pk.
async fn tail(client: &Client, options: &ScanOptions) -> Result<(u64, Option<i64>), ScanError> {
    let mut page = 1;
    loop {
        let request = PageRequest {
            page,
            size: 1,
            descending: true,
            lean: true,
        };
        let last: Result<Page<User>, ScanError> = retry(options, User::KIND, page, || async {
            client.users_page(&users_query(request)).await
        })
        .await;
        match last {
            Ok(last) => return Ok((last.pagination.count, last.rows.first().map(|user| user.pk))),
            Err(ScanError::Page { source, .. }) if is_row_fault(&source) && page < TAIL_TRIES => page += 1,
            Err(error) => return Err(error),
        }
    }
}
