//! Reads everything once, and then what changed. What it returns is what authentik held at one moment or, if the lists never stop
//! changing, what the newest look showed.
//!
//! Knows what was read last and what therefore need not be read again. Must not know when to read, or what a directory is.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::changes::{Changes, KnownUsers, LookTimes, Oddity, UserRows};
use super::error::{ChangesError, ReadError, ScanError};
use super::groups::GroupsSeen;
use super::look::{LookError, LookWindow, UsersSeen, users_seen};
use super::names::ask_for_namesakes;
use super::settling::{Settled, Settling, before};
use super::source::{ListSource, Lists};
use super::whole::Whole;
use crate::page::Listed as _;
use crate::user::User;

/// A full load that contradicts itself is begun again, up to this many times in total.
const FULL_ATTEMPTS: u32 = 3;
/// How long after the last page it is worth continuing with the pages already read. What changed since the first one is read in any
/// case, however long reading takes.
const MAX_BREAK: Duration = Duration::from_secs(15 * 60);

/// What is known from the last reading.
#[derive(Debug)]
struct Base {
    /// Where the next look begins, in microseconds since 1970; `None` if authentik cannot tell what changed.
    since: Option<i64>,
    users: UsersSeen,
    groups: GroupsSeen,
    /// Users that exist and are not shown.
    hidden: BTreeSet<i64>,
    /// More of them, whose pks are not known.
    nameless: u64,
    /// Rows per page as the server gives them.
    page_size: u32,
    /// The pages of groups fitted together.
    whole: bool,
    times: LookTimes,
}

/// What a reading showed.
#[derive(Debug)]
pub struct Reading<G> {
    /// What to apply the changes to.
    pub ground: G,
    /// The changes.
    pub changes: Changes,
    /// Oddities.
    pub oddities: Vec<Oddity>,
    /// When the newest look was.
    pub times: LookTimes,
    /// To be given back once what was read is shown.
    pub progress: ReadingProgress,
}

/// How far a reading got. Whoever shows what was read passes it to [`ListReader::shown`]; if it is dropped, the next look begins
/// where this one did.
#[derive(Debug)]
pub struct ReadingProgress {
    base: Base,
    /// All users there are, ascending.
    pks: Vec<i64>,
}

/// What a look at what changed led to.
#[derive(Debug)]
pub enum Looked<K> {
    /// Nothing changed.
    Unchanged(LookTimes),
    /// Something did, in what is known.
    Changed(Box<Reading<K>>),
    /// That cannot be known: everything has to be read.
    Unknown,
}

/// Reads the lists of one authentik.
#[derive(Debug)]
pub struct ListReader<R> {
    base: Option<Base>,
    /// A full load that broke off, and when.
    unfinished: Option<(Box<Whole<R>>, Instant)>,
}

impl<R> Default for ListReader<R> {
    fn default() -> Self {
        Self {
            base: None,
            unfinished: None,
        }
    }
}

/// What settled, and what it is compared with.
struct Read<'a> {
    settled: Settled,
    /// The versions of the rows that `known`, or the rows taken, were made of.
    versions: &'a HashMap<i64, u64>,
    kept: BTreeSet<i64>,
    /// When reading began.
    at: Instant,
    page_size: u32,
    oddities: Vec<Oddity>,
}

impl<R: UserRows> ListReader<R> {
    /// Looks at what changed in what is known.
    ///
    /// # Errors
    /// When authentik or `known` cannot be asked. With [`ReadError::Unexplained`] everything has to be read; after any other error the
    /// next look begins where this one did.
    pub async fn changes<S: ListSource, K: KnownUsers>(
        &mut self,
        lists: &Lists<'_, S>,
        known: Option<K>,
    ) -> Result<Looked<K>, ChangesError<K::Error>> {
        let looked = match (&self.base, known) {
            (Some(base), Some(known)) => look_for_changes(lists, base, known).await,
            _ => Ok(Changed::Unknown),
        };
        match looked {
            Ok(Changed::Nothing(base)) => {
                let times = base.times;
                self.base = Some(*base);
                Ok(Looked::Unchanged(times))
            }
            Ok(Changed::Something(reading)) => Ok(Looked::Changed(reading)),
            Ok(Changed::Unknown) => {
                self.base = None;
                Ok(Looked::Unknown)
            }
            Err(error) => {
                if matches!(error, ChangesError::Read(ReadError::Unexplained(_))) {
                    self.base = None;
                }
                Err(error)
            }
        }
    }

    /// Whether the users are still those that were read last; no group is looked at. Takes two requests where nothing changed.
    /// Also false if that cannot be known: then [`changes`](Self::changes) shows the truth.
    ///
    /// # Errors
    /// When authentik cannot be asked.
    pub async fn users_stand<S: ListSource>(
        &self,
        lists: &Lists<'_, S>,
        known: &impl KnownUsers,
    ) -> Result<bool, ReadError> {
        let Some(base) = self
            .base
            .as_ref()
            .filter(|base| base.since.is_some() && known.is_as_read())
        else {
            return Ok(false);
        };
        let mut pks = known.pks();
        pks.extend(&base.hidden);
        pks.sort_unstable();
        pks.dedup();
        let lists = &Lists {
            page_size: base.page_size,
            ..*lists
        };
        let window = LookWindow {
            since: base.since,
            most: u64::from(base.page_size),
            known: &pks,
        };
        match users_seen(lists, window).await {
            Ok(seen) => Ok(base.users.covers(&seen) && pks.len() as u64 + base.nameless == seen.count),
            Err(
                LookError::Scan(ScanError::SmallerPages { .. })
                | LookError::TooMuch(_)
                | LookError::Unfiltered,
            ) => Ok(false),
            Err(LookError::Scan(error)) => Err(error.into()),
        }
    }

    /// Reads everything. What is known, if anything, tells whom the rows that cannot be shown belong to.
    ///
    /// # Errors
    /// When authentik cannot be asked, or contradicts itself again and again. Pages read before an error are not read again
    /// for a while.
    pub async fn whole<S: ListSource, K: KnownUsers>(
        &mut self,
        lists: &Lists<'_, S>,
        known: impl Fn() -> Option<K>,
        rows: impl Fn() -> R,
    ) -> Result<Reading<R>, ReadError> {
        let mut attempt = 1;
        loop {
            match self.whole_once(lists, &known, &rows).await {
                Err(
                    ReadError::Scan(ScanError::Inconsistent { .. } | ScanError::SmallerPages { .. })
                    | ReadError::Unexplained(_),
                ) if attempt < FULL_ATTEMPTS => {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Takes note that what was read is shown; of its users, those for whom `shows` says so.
    pub fn shown(&mut self, progress: ReadingProgress, shows: impl Fn(i64) -> bool) {
        let ReadingProgress { base, pks } = progress;
        self.base = Some(Base {
            hidden: pks.into_iter().filter(|pk| !shows(*pk)).collect(),
            ..base
        });
    }

    async fn whole_once<S: ListSource, K: KnownUsers>(
        &mut self,
        lists: &Lists<'_, S>,
        known: &impl Fn() -> Option<K>,
        rows: &impl Fn() -> R,
    ) -> Result<Reading<R>, ReadError> {
        let resumed = self
            .unfinished
            .take()
            .filter(|(_, broke_off)| broke_off.elapsed() < MAX_BREAK);
        let mut whole = match resumed {
            Some((unfinished, _)) => unfinished,
            None => Box::new(Whole::new(lists.page_size, rows())),
        };
        let mut oddities = Vec::new();
        match read_whole(lists, known, &mut whole, &mut oddities).await {
            Ok((settled, kept, page_size)) => {
                let Whole { scan, rows, .. } = *whole;
                let read = Read {
                    settled,
                    versions: scan.seen(),
                    kept,
                    at: scan.began(),
                    page_size,
                    oddities,
                };
                read.conclude(rows, |_, _| true)
            }
            Err(error) => {
                // What was read stays as good as it was.
                if matches!(error, ReadError::Scan(ScanError::Page { .. })) {
                    self.unfinished = Some((whole, Instant::now()));
                }
                Err(error)
            }
        }
    }
}

enum Changed<K> {
    Nothing(Box<Base>),
    Something(Box<Reading<K>>),
    Unknown,
}

async fn look_for_changes<S: ListSource, K: KnownUsers>(
    lists: &Lists<'_, S>,
    base: &Base,
    known: K,
) -> Result<Changed<K>, ChangesError<K::Error>> {
    if base.since.is_none() {
        return Ok(Changed::Unknown);
    }
    let lists = &Lists {
        page_size: base.page_size,
        ..*lists
    };
    let at = Instant::now();
    // Users fetched one by one meanwhile are known already; their rows come again.
    let mut pks = known.pks();
    pks.extend(&base.hidden);
    pks.sort_unstable();
    pks.dedup();
    let mut settling = Settling::new(pks, base.users.clone(), base.since);
    settling.nameless = base.nameless;
    settling.groups = Some(base.groups.clone());
    let look = settling.look(lists).await?;
    let covered = settling.before.covers(&look.users);
    let adds_up = settling.adds_up(&look);
    if known.is_as_read() && covered && adds_up && base.whole && look.groups.is(&base.groups) {
        return Ok(Changed::Nothing(Box::new(Base {
            since: look.served.and_then(before).or(base.since),
            users: look.users,
            groups: base.groups.clone(),
            hidden: base.hidden.clone(),
            nameless: base.nameless,
            page_size: base.page_size,
            whole: base.whole,
            times: LookTimes {
                made: look.made,
                longest: settling.longest_look,
                settled: true,
            },
        })));
    }
    let mut settled = settling.settle(lists, look).await?;
    let find = |changed: &[User]| {
        let mut namesakes = Vec::new();
        for user in changed {
            namesakes.extend(known.namesakes(user).map_err(ChangesError::Known)?);
        }
        Ok::<_, ChangesError<K::Error>>(namesakes)
    };
    ask_for_namesakes(lists, find, &mut settled).await?;
    let read = Read {
        settled,
        versions: &base.users.versions,
        kept: BTreeSet::new(),
        at,
        page_size: base.page_size,
        oddities: Vec::new(),
    };
    // A row that was seen but is not known had to give way to another one with its name.
    let reading = read.conclude(known, K::has)?;
    Ok(Changed::Something(Box::new(reading)))
}

/// Reads all users, then looks at what changed meanwhile.
async fn read_whole<S: ListSource, K: KnownUsers, R: UserRows>(
    lists: &Lists<'_, S>,
    known: &impl Fn() -> Option<K>,
    whole: &mut Whole<R>,
    oddities: &mut Vec<Oddity>,
) -> Result<(Settled, BTreeSet<i64>, u32), ReadError> {
    whole.read(lists, oddities).await?;
    let known = known();
    let unshown = whole.identify(lists, known.as_ref(), oddities).await?;
    let Whole {
        scan, rows, dated, ..
    } = whole;
    let Some(opening) = scan.opening() else {
        return Err(ReadError::Unexplained(
            "the list of users was not read".to_owned(),
        ));
    };
    let mut pks: Vec<i64> = scan
        .seen()
        .keys()
        .copied()
        .chain(unshown.kept.iter().chain(&unshown.read).copied())
        .collect();
    pks.sort_unstable();
    let seen = UsersSeen {
        versions: scan.seen().clone(),
        unreadable: scan.unreadable().to_vec(),
        count: opening.count,
        top: opening.top,
    };
    let since = opening.served.filter(|_| *dated).and_then(before);
    let lists = &Lists {
        page_size: opening.page_size,
        ..*lists
    };
    let mut settling = Settling::new(pks, seen, since);
    settling.nameless = unshown.nameless;
    settling.full = true;
    settling.hurry = known.is_none();
    let look = settling.look(lists).await?;
    let mut settled = settling.settle(lists, look).await?;
    let find = |changed: &[User]| {
        let changed = changed.iter().map(|user| (user.username.as_str(), user.pk));
        Ok::<_, ReadError>(rows.namesakes(&changed.collect()))
    };
    ask_for_namesakes(lists, find, &mut settled).await?;
    Ok((settled, unshown.kept, opening.page_size))
}

impl Read<'_> {
    /// What to show of it: `ground`, which has the users for whom `has` says so, with the changes.
    fn conclude<G>(self, ground: G, has: impl Fn(&G, i64) -> bool) -> Result<Reading<G>, ReadError> {
        let Settled {
            look,
            pks,
            nameless,
            gone,
            since,
            longest_look,
            same,
        } = self.settled;
        let mut oddities = self.oddities;
        oddities.extend(Oddity::rows(look.skipped));
        let seen = look.groups.seen();
        let mut groups = look.groups.into_groups()?;
        oddities.extend(Oddity::rows(std::mem::take(&mut groups.skipped)));
        oddities.extend(Oddity::unreadable("group", &groups.unreadable));
        // Nearly all of these are of the list of changes.
        oddities.extend(Oddity::unreadable(
            "user, in the order of updates,",
            &look.users.unreadable,
        ));
        let fresh =
            |user: &User| self.versions.get(&user.pk) != Some(&user.version()) || !has(&ground, user.pk);
        let dates = look.changed.iter().map(|user| (user.pk, user.last_updated));
        let dates = dates.collect();
        let changed = look.changed.into_iter().filter(fresh).collect();
        let times = LookTimes {
            made: look.made,
            longest: longest_look,
            settled: same,
        };
        let base = Base {
            since,
            users: look.users,
            groups: seen,
            hidden: BTreeSet::new(),
            nameless,
            page_size: self.page_size,
            whole: groups.is_whole(),
            times,
        };
        Ok(Reading {
            ground,
            changes: Changes {
                gone,
                changed,
                kept: self.kept,
                groups,
                dates,
                read: self.at,
            },
            oddities,
            times,
            progress: ReadingProgress { base, pks },
        })
    }
}

#[cfg(test)]
mod tests;
