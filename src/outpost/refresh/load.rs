//! One refresh of the directory: a look at what changed, or all of it read anew, and a snapshot of what was read: of what
//! authentik held at one moment, or, where it never holds still, of the newest look.
//!
//! Knows what was read last and what therefore need not be read again. Must not know when a refresh is due.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use thiserror::Error;
use tokio::time::Instant;

use akldap_authentik::paging::{Scan, ScanError, ScanOptions, Unreadable, is_row_fault, retry};
use akldap_authentik::{Row as _, RowWarning, User};
use akldap_directory::{Builder, CustomPolicy, Snapshot};

use super::assembly::{Assembly, Ground};
use super::group_list::GroupsSeen;
use super::observation::{UsersSeen, sort_by_date, users_query};
use super::records::user_record;
use super::settling::{Settled, Settling, before};
use super::source::{Source, Target};
use super::warnings::Warnings;

/// A full load that contradicts itself is begun anew, so often.
const FULL_ATTEMPTS: u32 = 3;
/// How long pages already read are worth going on with.
const MAX_SCAN_AGE: Duration = Duration::from_secs(15 * 60);
/// Users asked for one by one to learn which of them breaks a page.
const MAX_SUSPECTS: usize = 64;
/// Users asked for one by one because somebody else has their name now.
const MAX_NAMESAKES: usize = 16;

/// Why a directory was not loaded.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    /// A list could not be read whole.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The changes do not add up to what is there: all has to be read.
    #[error("what changed cannot be told: {0}")]
    Unexplained(String),
    /// Building failed inside akldap.
    #[error("the directory could not be built: {0}")]
    Build(#[from] tokio::task::JoinError),
}

/// How a refresh is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    /// What changed since the last one.
    Changes,
    /// Everything.
    Full,
}

/// What a refresh did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refreshed {
    /// What was read.
    pub(super) extent: Extent,
    /// Our clock when the newest look began: what is served shows all that was changed before.
    pub(super) made: SystemTime,
    /// How long the longest look took, the search for deleted users before it included.
    pub(super) longest_look: Duration,
}

/// How lists are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) options: ScanOptions,
    /// Rows of a page.
    pub(super) page_size: u32,
    /// What is made of custom attributes.
    pub(super) policy: CustomPolicy,
}

/// What is known from the last refresh.
struct Base {
    /// Only to tell whether it is the current one still: what users fetched one by one have replaced is not kept.
    snapshot: Weak<Snapshot>,
    /// Where the next look begins, in microseconds since 1970; `None` where authentik cannot tell what changed.
    since: Option<i64>,
    users: UsersSeen,
    groups: GroupsSeen,
    /// Users that exist and are not in the snapshot.
    hidden: BTreeSet<i64>,
    /// Further ones whose pks are not known.
    nameless: u64,
    page_size: u32,
    /// The pages of groups fitted together.
    whole: bool,
    made: SystemTime,
    longest_look: Duration,
}

impl Base {
    fn refreshed(&self, extent: Extent) -> Refreshed {
        Refreshed {
            extent,
            made: self.made,
            longest_look: self.longest_look,
        }
    }
}

/// A full load that broke off.
struct Unfinished {
    scan: Scan<User>,
    builder: Builder,
    /// Whether authentik dates its users.
    dated: bool,
}

/// Where the rows come from that did not change, and what is known of them.
struct Rows {
    ground: Ground,
    versions: HashMap<i64, u64>,
    kept: BTreeSet<i64>,
    read: Instant,
    full: bool,
    page_size: u32,
}

/// Loads the directory again and again.
#[derive(Default)]
pub(super) struct Loader {
    base: Option<Base>,
    unfinished: Option<Box<Unfinished>>,
    warnings: Warnings,
}

impl Loader {
    /// Refreshes what clients see.
    pub(super) async fn refresh(
        &mut self,
        source: &impl Source,
        target: &impl Target,
        reading: &Reading,
        extent: Extent,
    ) -> Result<Refreshed, LoadError> {
        if extent == Extent::Changes
            && let Some(base) = self.base.take()
        {
            match self.changes(source, target, reading, &base).await {
                Ok(Some(next)) => {
                    let refreshed = next.refreshed(extent);
                    self.base = Some(next);
                    return Ok(refreshed);
                }
                Ok(None) => {}
                Err(LoadError::Unexplained(problem)) => {
                    tracing::info!(problem, "reading the whole directory");
                }
                Err(error) => {
                    self.base = Some(base);
                    return Err(error);
                }
            }
        }
        let mut attempt = 1;
        loop {
            match self.full(source, target, reading).await {
                Err(LoadError::Scan(ScanError::Inconsistent { .. }) | LoadError::Unexplained(_))
                    if attempt < FULL_ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
                Ok(base) => {
                    let refreshed = base.refreshed(Extent::Full);
                    self.base = Some(base);
                    return Ok(refreshed);
                }
            }
        }
    }

    /// Looks at what changed. `None` if that cannot be told.
    async fn changes(
        &mut self,
        source: &impl Source,
        target: &impl Target,
        reading: &Reading,
        base: &Base,
    ) -> Result<Option<Base>, LoadError> {
        let Some(current) = target.snapshot() else {
            return Ok(None);
        };
        if base.since.is_none() {
            return Ok(None);
        }
        self.warnings.start();
        let read = Instant::now();
        // Users fetched one by one meanwhile are in the current snapshot already; their rows come again.
        let mut pks: Vec<i64> = current.users().map(|user| current.user(user).pk).collect();
        pks.extend(&base.hidden);
        pks.sort_unstable();
        pks.dedup();
        let mut settling = Settling::new(pks, base.users.clone(), base.since, base.page_size);
        settling.nameless = base.nameless;
        settling.groups = Some(base.groups.clone());
        let look = settling.look(source, &reading.options).await?;
        let same_snapshot = std::ptr::eq(Arc::as_ptr(&current), base.snapshot.as_ptr());
        let covered = settling.before.covers(&look.users);
        let adds_up = settling.adds_up(&look);
        if same_snapshot && covered && adds_up && base.whole && look.groups.is(&base.groups) {
            return Ok(Some(Base {
                snapshot: Weak::clone(&base.snapshot),
                since: look.served.and_then(before).or(base.since),
                users: look.users,
                groups: base.groups.clone(),
                hidden: base.hidden.clone(),
                nameless: base.nameless,
                page_size: base.page_size,
                whole: base.whole,
                made: look.made,
                longest_look: settling.longest_look,
            }));
        }
        let mut settled = settling.settle(source, &reading.options, look).await?;
        let find = |changed: &[User]| {
            changed
                .iter()
                .flat_map(|user| namesakes(&current, user))
                .collect()
        };
        name_anew(source, &reading.options, find, &mut settled).await?;
        let rows = Rows {
            ground: Ground::Snapshot(current),
            versions: base.users.versions.clone(),
            kept: BTreeSet::new(),
            read,
            full: false,
            page_size: base.page_size,
        };
        self.serve(target, settled, rows).await.map(Some)
    }

    /// Reads everything.
    async fn full(
        &mut self,
        source: &impl Source,
        target: &impl Target,
        reading: &Reading,
    ) -> Result<Base, LoadError> {
        self.warnings.start();
        let resumed = self
            .unfinished
            .take()
            .filter(|unfinished| unfinished.scan.began().elapsed() < MAX_SCAN_AGE);
        let mut work = resumed.unwrap_or_else(|| {
            Box::new(Unfinished {
                scan: Scan::new(reading.page_size),
                builder: Builder::with_policy(reading.policy),
                dated: true,
            })
        });
        match self.read_all(source, target, reading, &mut work).await {
            Ok((settled, kept, page_size)) => {
                let Unfinished { scan, builder, .. } = *work;
                let rows = Rows {
                    ground: Ground::Builder(Box::new(builder)),
                    versions: scan.seen().clone(),
                    kept,
                    read: scan.began(),
                    full: true,
                    page_size,
                };
                self.serve(target, settled, rows).await
            }
            Err(error) => {
                // What was read stays as good as it was.
                if matches!(error, LoadError::Scan(ScanError::Page { .. })) {
                    self.unfinished = Some(work);
                }
                Err(error)
            }
        }
    }

    /// Reads all users, then looks at what changed meanwhile.
    async fn read_all(
        &mut self,
        source: &impl Source,
        target: &impl Target,
        reading: &Reading,
        work: &mut Unfinished,
    ) -> Result<(Settled, BTreeSet<i64>, u32), LoadError> {
        let options = &reading.options;
        let Unfinished { scan, builder, dated } = work;
        let warnings = &mut self.warnings;
        scan.run(
            options,
            |request| async move { source.users_page(&users_query(request)).await },
            |page| {
                warn_of_rows(warnings, &page.skipped);
                for user in &page.rows {
                    *dated &= user.last_updated.micros().is_some();
                    builder.add_user(&user_record(user));
                }
            },
        )
        .await?;
        let previous = target.snapshot();
        let (kept, nameless) =
            identify(source, options, scan, previous.as_deref(), &mut self.warnings).await?;
        let Some(opening) = scan.opening() else {
            return Err(LoadError::Unexplained(
                "the list of users was not read".to_owned(),
            ));
        };
        let mut pks: Vec<i64> = scan.seen().keys().copied().chain(kept.iter().copied()).collect();
        pks.sort_unstable();
        let seen = UsersSeen {
            versions: scan.seen().clone(),
            unreadable: scan.unreadable().to_vec(),
            count: opening.count,
            top: opening.top,
        };
        let since = opening.served.filter(|_| *dated).and_then(before);
        let mut settling = Settling::new(pks, seen, since, opening.page_size);
        settling.nameless = nameless;
        settling.full = true;
        settling.hurry = previous.is_none();
        let look = settling.look(source, options).await?;
        let mut settled = settling.settle(source, options, look).await?;
        let find = |changed: &[User]| {
            let changed = changed.iter().map(|user| (user.username.as_str(), user.pk));
            builder.namesakes(&changed.collect())
        };
        name_anew(source, options, find, &mut settled).await?;
        Ok((settled, kept, opening.page_size))
    }

    /// Builds and installs what was read.
    async fn serve(&mut self, target: &impl Target, settled: Settled, rows: Rows) -> Result<Base, LoadError> {
        let Settled {
            look,
            pks,
            nameless,
            gone,
            since,
            longest_look,
        } = settled;
        warn_of_rows(&mut self.warnings, &look.skipped);
        let seen = look.groups.seen();
        let groups = look.groups.into_groups()?;
        let whole = groups.is_whole();
        warn_of_rows(&mut self.warnings, &groups.skipped);
        warn_of_unreadable(&mut self.warnings, "group", &groups.unreadable);
        // Nearly all of these are of the list of changes.
        warn_of_unreadable(
            &mut self.warnings,
            "user, in the order of updates,",
            &look.users.unreadable,
        );
        let ground = match &rows.ground {
            Ground::Snapshot(snapshot) => Some(Arc::clone(snapshot)),
            Ground::Builder(_) => None,
        };
        // A row that was seen and is not in the ground had to give way to another one of its name.
        let fresh = |user: &User| {
            rows.versions.get(&user.pk) != Some(&user.version())
                || ground
                    .as_ref()
                    .is_some_and(|ground| ground.user_by_pk(user.pk).is_none())
        };
        let assembly = Assembly {
            changed: look.changed.into_iter().filter(fresh).collect(),
            ground: rows.ground,
            gone,
            kept: rows.kept,
            groups,
            read: rows.read,
        };
        let (snapshot, odd) = target.install(assembly, rows.full).await?;
        odd.iter().for_each(|warning| self.warnings.add_odd(warning));
        self.warnings.tell(rows.full);
        let hidden = pks
            .into_iter()
            .filter(|pk| snapshot.user_by_pk(*pk).is_none())
            .collect();
        Ok(Base {
            snapshot: Arc::downgrade(&snapshot),
            since,
            users: look.users,
            groups: seen,
            hidden,
            nameless,
            page_size: rows.page_size,
            whole,
            made: look.made,
            longest_look,
        })
    }
}

/// Asks for the users whose names are others' by now and of whom nothing else was seen yet: what they are called
/// themselves is not known otherwise. `find` finds users of these names among the rows read before.
async fn name_anew(
    source: &impl Source,
    options: &ScanOptions,
    find: impl Fn(&[User]) -> Vec<i64>,
    settled: &mut Settled,
) -> Result<(), LoadError> {
    for _ in 0..MAX_NAMESAKES {
        let changed = &settled.look.changed;
        let unseen = |pk: &i64| !settled.gone.contains(pk) && changed.iter().all(|user| user.pk != *pk);
        let Some(pk) = find(changed).into_iter().find(unseen) else {
            return Ok(());
        };
        match retry(options, User::KIND, 1, || source.user(pk)).await {
            Ok(Some((user, _))) => {
                settled.look.changed.push(user);
                sort_by_date(&mut settled.look.changed);
            }
            Ok(None) => {
                settled.gone.insert(pk);
            }
            // It gives way until it can be read.
            Err(ScanError::Page { source, .. }) if is_row_fault(&source) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The users of a snapshot who have the name of another one.
pub(super) fn namesakes(snapshot: &Snapshot, user: &User) -> Vec<i64> {
    let named = snapshot.users_by_name(user.username.as_bytes()).into_iter();
    let others = named.map(|found| snapshot.user(found)).filter(|found| {
        // Names that differ in case only are two names.
        found.username == user.username && found.pk != user.pk
    });
    others.map(|found| found.pk).collect()
}

fn warn_of_rows(warnings: &mut Warnings, skipped: &[RowWarning]) {
    skipped.iter().for_each(|warning| warnings.add(warning));
}

/// `kind` may say in which order they are, if not by pk.
fn warn_of_unreadable<K: std::fmt::Display>(warnings: &mut Warnings, kind: &str, rows: &[Unreadable<K>]) {
    for row in rows {
        let place = match (&row.after, &row.before) {
            (Some(after), Some(before)) => format!("between the pks {after} and {before}"),
            (Some(after), None) => format!("behind the pk {after}"),
            (None, Some(before)) => format!("before the pk {before}"),
            (None, None) => "at a place that cannot be told".to_owned(),
        };
        warnings.add(format!(
            "authentik answers 500 for a {kind} {place}: the last known version of it is served, if there is one. A \
             number of more than 64 bits in its attributes does this; correct it in authentik"
        ));
    }
}

/// Finds out which users of the previous snapshot are those that cannot be read. Returns them, and how many others there
/// are of whom nothing is known.
async fn identify(
    source: &impl Source,
    options: &ScanOptions,
    scan: &Scan<User>,
    previous: Option<&Snapshot>,
    warnings: &mut Warnings,
) -> Result<(BTreeSet<i64>, u64), LoadError> {
    warn_of_unreadable(warnings, "user", scan.unreadable());
    let (mut kept, mut nameless) = (BTreeSet::new(), scan.nameless());
    let mut asked = 0;
    for gap in scan.unreadable() {
        let seen = |pk: &i64| scan.seen().contains_key(pk);
        // Where the neighbour is on another page, it is the nearest one seen.
        let after = gap.after.or_else(|| {
            let before = gap.before?;
            scan.seen().keys().copied().filter(|pk| *pk < before).max()
        });
        let before = gap.before.or_else(|| {
            let after = after?;
            scan.seen().keys().copied().filter(|pk| *pk > after).min()
        });
        let suspects = previous.into_iter().flat_map(|snapshot| {
            let pks = snapshot.users().map(|user| snapshot.user(user).pk);
            pks.filter(|pk| after.is_none_or(|after| after < *pk) && before.is_none_or(|before| *pk < before))
        });
        let suspects: Vec<i64> = suspects.filter(|pk| !seen(pk) && !kept.contains(pk)).collect();
        let mut found = false;
        for pk in suspects {
            asked += 1;
            if asked > MAX_SUSPECTS {
                return Err(LoadError::Unexplained(
                    "too many users cannot be shown".to_owned(),
                ));
            }
            match retry(options, User::KIND, 1, || source.user(pk)).await {
                Err(ScanError::Page { source: fault, .. }) if is_row_fault(&fault) => {
                    kept.insert(pk);
                    found = true;
                    break;
                }
                Err(error) => return Err(error.into()),
                // Deleted, or readable again: the next look shows which.
                Ok(_) => {}
            }
        }
        if !found {
            nameless += 1;
        }
    }
    Ok((kept, nameless))
}

#[cfg(test)]
mod tests;
