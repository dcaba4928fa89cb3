//! From looks at a directory that may be changing to what can be served: two looks that show the same, or, if it never
//! stops changing, the newest look.
//!
//! Knows how looks are compared with each other and with the users known before. Must not know how a directory is built
//! or what most of it was read from.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, timeout};

use super::deletions::{self, Deletions};
use super::error::{ReadError, ScanError};
use super::groups::GroupsSeen;
use super::look::{Look, LookError, LookWindow, UsersSeen, look};
use super::source::{ListSource, Lists};
use crate::page::Listed as _;
use crate::user::User;

/// How far before the last look the next one begins: authentik's servers date rows by their own clocks.
const OVERLAP: Duration = Duration::from_secs(60);
/// How long to wait for two looks that show the same. After that the newest look is served: each row is then as it was
/// within that look, which is better than none of the changes.
const MAX_SETTLING: Duration = Duration::from_secs(3);
/// If more users changed than this, and more than a fifth of all, everything is read.
const MANY_CHANGES: u64 = 1000;
/// Looks in a row that count more users than are known before something is taken to be missing for good.
const DEFICITS: u32 = 2;

/// What a look is compared with, and what was found out in earlier looks of the same refresh.
pub(super) struct Settling {
    /// Primary keys of all users known to exist, ascending.
    pub(super) pks: Vec<i64>,
    pub(super) nameless: u64,
    pub(super) gone: BTreeSet<i64>,
    pub(super) before: UsersSeen,
    pub(super) groups: Option<GroupsSeen>,
    pub(super) since: Option<i64>,
    /// Everything is read: changes are looked at however many there are, or not at all.
    pub(super) full: bool,
    /// Nothing is served yet: it is not worth waiting for the last deleted user to be found.
    pub(super) hurry: bool,
    /// Looks in a row that counted more users than are known.
    deficits: u32,
    /// More users than there are, with nobody missing from the list.
    in_doubt: usize,
    pub(super) longest_look: Duration,
}

/// How the known users compare with their actual number.
struct Balance {
    /// All users there are by this look, ascending.
    pks: Vec<i64>,
    /// This many too many.
    surplus: usize,
    /// This many more than are known.
    deficit: u64,
}

/// What to serve.
pub(super) struct Settled {
    pub(super) look: Look,
    /// All users there are by it, ascending.
    pub(super) pks: Vec<i64>,
    pub(super) nameless: u64,
    pub(super) gone: BTreeSet<i64>,
    /// Where the next look begins.
    pub(super) since: Option<i64>,
    /// How long the longest look took, the search for deleted users before it included.
    pub(super) longest_look: Duration,
    /// Two looks showed the same.
    pub(super) same: bool,
}

impl Settling {
    pub(super) fn new(pks: Vec<i64>, before: UsersSeen, since: Option<i64>) -> Self {
        Self {
            pks,
            nameless: 0,
            gone: BTreeSet::new(),
            before,
            groups: None,
            since,
            full: false,
            hurry: false,
            deficits: 0,
            in_doubt: 0,
            longest_look: Duration::ZERO,
        }
    }

    /// Whether there are as many users as are known. If an earlier look did not finish with those deleted, everything it
    /// showed may be unchanged and they are still known.
    pub(super) fn adds_up(&self, look: &Look) -> bool {
        self.pks.len() as u64 + self.nameless == look.users.count
    }

    /// Looks once.
    pub(super) async fn look<S: ListSource>(&mut self, lists: &Lists<'_, S>) -> Result<Look, ReadError> {
        let most = match self.full {
            true => u64::MAX,
            false => MANY_CHANGES.max(self.pks.len() as u64 / 5),
        };
        let began = Instant::now();
        loop {
            let window = LookWindow {
                since: self.since,
                most,
                known: &self.pks,
            };
            return match look(lists, window).await {
                Ok(look) => {
                    self.longest_look = self.longest_look.max(began.elapsed());
                    Ok(look)
                }
                Err(LookError::Scan(error @ ScanError::SmallerPages { .. })) => {
                    Err(ReadError::Unexplained(error.to_string()))
                }
                Err(LookError::Scan(error)) => Err(error.into()),
                // A full load manages without, and so do all after it.
                Err(LookError::Unfiltered) if self.full && self.since.is_some() => {
                    self.since = None;
                    continue;
                }
                Err(error) => Err(ReadError::Unexplained(error.to_string())),
            };
        }
    }

    /// Looks until two looks show the same or it takes too long.
    pub(super) async fn settle<S: ListSource>(
        mut self,
        lists: &Lists<'_, S>,
        first: Look,
    ) -> Result<Settled, ReadError> {
        let began = Instant::now();
        let (mut look, mut searched) = (first, false);
        loop {
            let balance = self.balance(&look)?;
            let late = began.elapsed() >= MAX_SETTLING;
            let whole = match look.groups.groups() {
                Ok(groups) => groups.is_whole(),
                Err(error) if late => return Err(error.into()),
                Err(_) => false,
            };
            let same = self.before.covers(&look.users)
                && (look.groups.is_one_page()
                    || self.groups.as_ref().is_some_and(|groups| look.groups.is(groups)));
            let before = Instant::now();
            let new = balance.surplus.saturating_sub(self.in_doubt);
            if balance.deficit == 0
                && if new == 0 {
                    late || (same && whole)
                } else {
                    late && searched
                }
            {
                return Ok(self.settled(look, balance.pks, new == 0 && same && whole));
            }
            if new > 0 && !(late && searched) {
                searched = true;
                self.search(lists, &balance).await?;
            }
            self.groups = Some(look.groups.seen());
            self.before = look.users;
            look = self.look(lists).await?;
            self.longest_look = self.longest_look.max(before.elapsed());
        }
    }

    async fn search<S: ListSource>(
        &mut self,
        lists: &Lists<'_, S>,
        balance: &Balance,
    ) -> Result<(), ReadError> {
        let mut findings = Deletions::default();
        let wanted = (balance.surplus, self.nameless);
        let search = deletions::find(lists, &balance.pks, wanted, &mut findings);
        let ended = match self.hurry {
            true => timeout(MAX_SETTLING, search).await.ok(),
            false => Some(search.await),
        };
        if let Some(Err(error)) = ended {
            return Err(error.into());
        }
        if let Some(nameless) = findings.nameless {
            self.nameless = nameless;
            // The whole list was read: any surplus left is only in the count.
            self.in_doubt = balance.surplus.saturating_sub(findings.gone.len());
        }
        self.gone.extend(findings.gone);
        Ok(())
    }

    fn settled(self, look: Look, pks: Vec<i64>, same: bool) -> Settled {
        let served = look.served.and_then(before);
        Settled {
            since: served.filter(|_| self.since.is_some()).or(self.since),
            look,
            pks,
            nameless: self.nameless,
            gone: self.gone,
            longest_look: self.longest_look,
            same,
        }
    }

    /// Compares the known users with their number.
    fn balance(&mut self, look: &Look) -> Result<Balance, ReadError> {
        let mut pks = self.pks.clone();
        pks.extend(look.changed.iter().map(|user| user.pk));
        let left_out = look.skipped.iter().filter(|warning| warning.row_skipped);
        pks.extend(left_out.filter_map(|warning| User::parse_key(warning.pk.as_deref()?)));
        pks.sort_unstable();
        pks.dedup();
        pks.retain(|pk| !self.gone.contains(pk));
        let known = pks.len() as u64 + self.nameless;
        let count = look.users.count;
        let mut deficit = count.saturating_sub(known);
        // Those that cannot be shown may be new.
        if deficit > 0 && deficit <= look.users.unreadable.len() as u64 {
            self.nameless += deficit;
            deficit = 0;
        }
        self.deficits = if deficit > 0 { self.deficits + 1 } else { 0 };
        if self.deficits >= DEFICITS {
            return Err(ReadError::Unexplained(format!(
                "there are {count} users, {known} are known"
            )));
        }
        Ok(Balance {
            pks,
            surplus: usize::try_from(known.saturating_sub(count)).unwrap_or(usize::MAX),
            deficit,
        })
    }
}

/// The beginning of the window that certainly contains everything changed after a moment of the server's clock.
pub(super) fn before(served: SystemTime) -> Option<i64> {
    let at = served.checked_sub(OVERLAP)?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(at.as_micros()).ok()
}
