//! The lists of users and groups, read page by page. Finds facts and judges none.

use std::time::{Duration, Instant, SystemTime};

use akldap_authentik::{ApiError, Client, Group, GroupsQuery, LdapProvider, Page, User, UsersQuery};

use crate::check::facts::{CutOffList, Facts, ListError};
use crate::check::people::Tally;
use crate::check::promised::PromisedRows;
use crate::config::Config;

/// Reads the lists as far as this time allows, or their first pages alone; and finds out how far ahead our clock is.
pub(super) async fn read(
    client: &Client,
    config: &Config,
    providers: &[LdapProvider],
    limit: Option<Duration>,
    facts: &mut Facts,
) {
    let first = providers.first();
    let tally = Tally::new(
        first.map_or(0, |provider| provider.uid_start_number),
        first.map_or(0, |provider| provider.gid_start_number),
        first.map(|provider| config.providers.of(&provider.base_dn, &provider.application_slug)),
    );
    let mut reading = ListReading {
        client,
        page_size: config.authentik.page_size,
        limit,
        began: Instant::now(),
        tally,
        clock_ahead: None,
    };
    facts.users = Some(reading.users().await);
    facts.groups = Some(reading.groups().await);
    facts.clock_ahead = reading.clock_ahead;
    facts.people = reading.tally.people;
}

/// Reads the lists page by page.
struct ListReading<'a> {
    client: &'a Client,
    page_size: u32,
    /// What is not read within this time is skipped; `None`: all but the first pages.
    limit: Option<Duration>,
    began: Instant,
    tally: Tally,
    clock_ahead: Option<i64>,
}

impl ListReading<'_> {
    async fn users(&mut self) -> Result<(), ListError> {
        let (client, page_size) = (self.client, self.page_size);
        let ask = async |page: u32| {
            let query = UsersQuery {
                page,
                page_size: Some(page_size),
                ordering: Some("pk".to_owned()),
                include_roles: Some(false),
                ..UsersQuery::default()
            };
            client.users_page(&query).await
        };
        let note = |reading: &mut Self, number: u32, page: &Page<User>, took: Duration| {
            if number == 1 {
                reading.clock_ahead = page.served.map(|theirs| seconds_ahead(SystemTime::now(), theirs));
                let people = &mut reading.tally.people;
                people.users = page.pagination.count;
                people.first_page = page.received();
                people.took = took;
                people.has_more_pages = page.pagination.next != 0;
            }
            page.rows.iter().for_each(|user| reading.tally.add_user(user));
        };
        self.pages(("users", "core/users/"), ask, note).await
    }

    async fn groups(&mut self) -> Result<(), ListError> {
        let (client, page_size) = (self.client, self.page_size);
        let ask = async |page: u32| {
            let query = GroupsQuery {
                page,
                page_size: Some(page_size),
                ordering: Some("name".to_owned()),
                include_users: Some(false),
                include_children: Some(false),
                include_parents: Some(false),
                ..GroupsQuery::default()
            };
            client.groups_page(&query).await
        };
        let note = |reading: &mut Self, _: u32, page: &Page<Group>, _: Duration| {
            reading.tally.people.groups = page.pagination.count;
            page.rows.iter().for_each(|group| reading.tally.add_group(group));
        };
        self.pages(("groups", "core/groups/"), ask, note).await
    }

    /// Asks for one page after the other, and notes each one with its number and the time it took.
    async fn pages<T>(
        &mut self,
        (what, path): (&'static str, &str),
        ask: impl AsyncFn(u32) -> Result<Page<T>, ApiError>,
        note: impl Fn(&mut Self, u32, &Page<T>, Duration),
    ) -> Result<(), ListError> {
        let mut promised = PromisedRows::default();
        let mut number = 1;
        loop {
            let asked = Instant::now();
            let page = match ask(number).await {
                Ok(page) => page,
                Err(error) => return broken_off(number, error, ask).await,
            };
            note(self, number, &page, asked.elapsed());
            let unreadable = page.skipped.iter().map(ToString::to_string);
            self.tally.people.unreadable.extend(unreadable);
            promised
                .add(&page.pagination, page.received())
                .map_err(|problem| self.broken(path, number, problem))?;
            let Some(limit) = self.limit.filter(|_| page.pagination.next != 0) else {
                return Ok(());
            };
            if self.began.elapsed() >= limit {
                self.tally.people.cut_off.push(CutOffList {
                    what,
                    received: promised.received(),
                    listed: page.pagination.count,
                    within: limit,
                });
                return Ok(());
            }
            number += 1;
        }
    }

    /// What authentik sent is not a list.
    fn broken(&self, path: &str, page: u32, problem: String) -> ListError {
        let error = ApiError::Malformed {
            url: self.client.endpoint().api(path).to_string(),
            problem,
            is_page: false,
            request_id: None,
        };
        ListError { page, error }
    }
}

/// What to make of a page that failed. One that is not there any more is no fault if the page before it is the last by now:
/// the list has become shorter meanwhile.
async fn broken_off<T>(
    page: u32,
    error: ApiError,
    ask: impl AsyncFn(u32) -> Result<Page<T>, ApiError>,
) -> Result<(), ListError> {
    if page > 1
        && matches!(error, ApiError::InvalidPage { .. })
        && ask(page - 1).await.is_ok_and(|page| page.pagination.next == 0)
    {
        return Ok(());
    }
    Err(ListError { page, error })
}

fn seconds_ahead(ours: SystemTime, theirs: SystemTime) -> i64 {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match ours.duration_since(theirs) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    }
}
