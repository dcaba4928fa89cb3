//! One look at the directory: the users updated recently, how many users there are, those created a moment ago, and the
//! groups.
//!
//! authentik's pages are pictures of different moments, so one look proves nothing. Two that show the same do: between
//! them nothing changed, and what they show was there at one moment. If a directory never stops changing, one look has to
//! be enough: it misses nobody who was created before it began, since the number of users and the newest of them come in
//! one answer. Groups come last, so that whoever is shown is shown with the memberships they were created with. Must not
//! know how a directory is built.

use std::collections::HashMap;
use std::time::SystemTime;

use super::error::ScanError;
use super::groups::{self, GroupList};
use super::options::{PageRequest, ScanOptions};
use super::source::{ListSource, Lists, users_query};
use super::split::{UnreadableRow, is_row_fault, read_page, retry};
use crate::api::UsersQuery;
use crate::page::{Listed as _, Page, RowWarning};
use crate::timestamp::Timestamp;
use crate::user::User;

/// How many users are asked for if the newest one is not known: nearly always enough to reach one that is.
const FEW: u32 = 20;
/// If the user with the highest pk cannot be shown, how many users are tried from the end until one can.
const TAIL_TRIES: u32 = 4;

/// What was seen of the users, for comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UsersSeen {
    /// Users updated since the beginning of the window, with the version of their rows.
    pub(super) versions: HashMap<i64, u64>,
    /// Those of them that cannot be shown.
    pub(super) unreadable: Vec<UnreadableRow<i64>>,
    /// How many users there are in total.
    pub(super) count: u64,
    /// The highest pk that can be shown.
    pub(super) top: Option<i64>,
}

/// What one look showed.
pub(super) struct Look {
    pub(super) groups: GroupList,
    /// Users changed or created recently, the one changed last at the end.
    pub(super) changed: Vec<User>,
    pub(super) skipped: Vec<RowWarning>,
    pub(super) users: UsersSeen,
    /// The server's clock before anything was read.
    pub(super) served: Option<SystemTime>,
    /// Our clock before anything was read: what is built from this look is as old as that.
    pub(super) made: SystemTime,
}

/// What a look needs to know about the users known before it.
pub(super) struct LookWindow<'a> {
    /// Where the window of changes begins, in microseconds since 1970; `None`: authentik cannot tell what changed.
    pub(super) since: Option<i64>,
    /// The most users changed since that are worth reading.
    pub(super) most: u64,
    /// Ascending.
    pub(super) known: &'a [i64],
}

/// Why a look at the changes is not enough.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// So much changed that a full load is cheaper.
    #[error("{0} users changed")]
    TooMuch(u64),
    /// authentik does not filter by time.
    #[error("authentik does not say which users changed")]
    Unfiltered,
}

impl UsersSeen {
    /// Whether a later look shows no user that this one did not show in the same way.
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

/// Looks once.
pub(super) async fn look<S: ListSource>(
    lists: &Lists<'_, S>,
    window: LookWindow<'_>,
) -> Result<Look, LookError> {
    let made = (lists.options.time_of_day)();
    let (found, newest) = look_at_users(lists, window).await?;
    let groups = groups::read(lists).await?;
    let mut changed: Vec<User> = found.users.into_values().collect();
    sort_by_date(&mut changed);
    Ok(Look {
        groups,
        users: UsersSeen {
            versions: changed.iter().map(|user| (user.pk, user.version())).collect(),
            unreadable: found.unreadable,
            count: newest.count,
            top: newest.top,
        },
        changed,
        skipped: found.skipped,
        served: found.served,
        made,
    })
}

/// Looks at the users only: those changed, and how many there are.
pub(super) async fn users_seen<S: ListSource>(
    lists: &Lists<'_, S>,
    window: LookWindow<'_>,
) -> Result<UsersSeen, LookError> {
    let (found, newest) = look_at_users(lists, window).await?;
    let versions = found.users.iter().map(|(pk, user)| (*pk, user.version()));
    Ok(UsersSeen {
        versions: versions.collect(),
        unreadable: found.unreadable,
        count: newest.count,
        top: newest.top,
    })
}

async fn look_at_users<S: ListSource>(
    lists: &Lists<'_, S>,
    window: LookWindow<'_>,
) -> Result<(UsersRead, Newest), LookError> {
    let mut found = UsersRead::default();
    if let Some(since) = window.since {
        read_changed(lists, since, window.most, &mut found).await?;
    }
    let newest = newest(lists, window.known, &mut found).await?;
    Ok((found, newest))
}

/// Puts the user changed last at the end.
pub fn sort_by_date(users: &mut [User]) {
    users.sort_by_cached_key(|user| (user.last_updated, user.pk));
}

/// Users read in a look.
#[derive(Default)]
struct UsersRead {
    users: HashMap<i64, User>,
    skipped: Vec<RowWarning>,
    unreadable: Vec<UnreadableRow<i64>>,
    served: Option<SystemTime>,
}

/// Reads the users changed since, in the order of their changes: whoever changes meanwhile goes to the end, like new
/// rows.
async fn read_changed<S: ListSource>(
    lists: &Lists<'_, S>,
    since: i64,
    most: u64,
    into: &mut UsersRead,
) -> Result<(), LookError> {
    let after = Timestamp::at(since).whole_second();
    // The time asked for was cut to the second.
    let outside = |user: &User| user.last_updated.micros().is_none_or(|at| at < since - 1_000_000);
    let request_of = |page, size, descending| PageRequest {
        page,
        size,
        descending,
        lean: false,
    };
    let fetch = |request: PageRequest| {
        let ordering = if request.descending {
            "-last_updated,-pk"
        } else {
            "last_updated,pk"
        };
        let query = UsersQuery {
            last_updated_gt: Some(after.clone()),
            ordering: Some(ordering.to_owned()),
            ..users_query(request)
        };
        async move { lists.changed_users(&query).await }
    };
    // The server is known to be alive: only a row can break its page.
    let options = &ScanOptions {
        alive: true,
        ..lists.options
    };
    let mut size = lists.page_size;
    let mut pages = vec![request_of(1, size, false)];
    let mut first = true;
    while let Some(request) = pages.pop() {
        let Some(chunk) = read_page(options, &fetch, request).await? else {
            continue;
        };
        let numbers = chunk.page.pagination;
        if first {
            first = false;
            into.served = chunk.page.served;
            if numbers.count > most {
                return Err(LookError::TooMuch(numbers.count));
            }
            // All that was read before may have been on one page, which does not say how many rows a page can have.
            if !chunk.in_pieces && numbers.next != 0 {
                let received = u32::try_from(chunk.page.received()).unwrap_or(u32::MAX);
                size = received.clamp(1, size);
            }
            let last = u32::try_from(numbers.count.div_ceil(u64::from(size))).unwrap_or(u32::MAX);
            if last > 1 {
                // From the last to the first, since rows only move forward; then those that moved to the end meanwhile.
                pages.push(request_of(1, size, true));
                pages.extend((1..=last).map(|page| request_of(page, size, false)));
            }
        }
        let mut known = false;
        for user in chunk.page.rows {
            if outside(&user) {
                return Err(LookError::Unfiltered);
            }
            match into.users.get(&user.pk) {
                Some(earlier) if earlier.version() == user.version() => known = true,
                // The later one is newer.
                _ => drop(into.users.insert(user.pk, user)),
            }
        }
        if request.descending && !known && numbers.next != 0 {
            pages.push(request_of(request.page + 1, size, true));
        }
        into.skipped.extend(chunk.page.skipped);
        for row in chunk.unreadable {
            if !into.unreadable.contains(&row) {
                into.unreadable.push(row);
            }
        }
    }
    Ok(())
}

/// How many users there are, and the highest pk that can be shown.
struct Newest {
    count: u64,
    top: Option<i64>,
}

/// Counts the users, and reads those created since the known ones were read: in the same answer, so that the number and
/// the names are from one moment.
async fn newest<S: ListSource>(
    lists: &Lists<'_, S>,
    known: &[i64],
    into: &mut UsersRead,
) -> Result<Newest, ScanError> {
    let page_size = lists.page_size;
    let tail = tail(lists).await?;
    let is_known =
        |into: &UsersRead, pk: i64| known.binary_search(&pk).is_ok() || into.users.contains_key(&pk);
    if tail.top.is_none_or(|top| is_known(into, top)) {
        return Ok(tail);
    }
    let fetch = |request: PageRequest| lists.users(request);
    let (mut size, mut page, mut newest) = (FEW.min(page_size), 1, tail);
    loop {
        let request = PageRequest {
            page,
            size,
            descending: true,
            lean: false,
        };
        let chunk = read_page::<User, _, _>(&lists.options, &fetch, request).await?;
        let Some(chunk) = chunk.filter(|chunk| page > 1 || chunk.page.pagination.count > 0) else {
            // The end of the list; but it cannot end before the user just seen at its end.
            return match page {
                1 => Err(ScanError::Inconsistent {
                    kind: User::KIND,
                    problem: "it is empty and has a last user".to_owned(),
                }),
                _ => Ok(newest),
            };
        };
        let numbers = chunk.page.pagination;
        if page == 1 {
            newest = Newest {
                count: numbers.count,
                top: chunk.page.rows.first().map(|user| user.pk).or(newest.top),
            };
        }
        let mut reached = chunk.page.rows.is_empty() || numbers.next == 0;
        for user in chunk.page.rows {
            if known.binary_search(&user.pk).is_ok() {
                reached = true;
            } else {
                into.users.entry(user.pk).or_insert(user);
            }
        }
        into.skipped.extend(chunk.page.skipped);
        into.unreadable.extend(chunk.unreadable);
        if reached {
            return Ok(newest);
        }
        if size < page_size {
            size = page_size;
        } else {
            page += 1;
        }
    }
}

/// How many users there are, and the highest pk.
async fn tail<S: ListSource>(lists: &Lists<'_, S>) -> Result<Newest, ScanError> {
    let mut page = 1;
    loop {
        let request = PageRequest {
            page,
            size: 1,
            descending: true,
            lean: true,
        };
        let last: Result<Page<User>, ScanError> =
            retry(&lists.options, User::KIND, page, || lists.users(request)).await;
        match last {
            Ok(last) => {
                return Ok(Newest {
                    count: last.pagination.count,
                    top: last.rows.first().map(|user| user.pk),
                });
            }
            Err(ScanError::Page { source, .. }) if is_row_fault(&source) && page < TAIL_TRIES => page += 1,
            Err(error) => return Err(error),
        }
    }
}
