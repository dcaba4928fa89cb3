//! One refresh of the directory: a look at what changed, or all of it read anew, and a snapshot only if what was read
//! is what authentik held at one moment.
//!
//! Knows what was read last and what therefore need not be read again. Must not know when a refresh is due.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;
use tokio::time::Instant;

use crate::authentik::paging::{Scan, ScanError, ScanOptions, Unreadable, is_row_fault};
use crate::authentik::{Row as _, RowWarning, User};
use crate::directory::{Builder, Snapshot};
use crate::outpost::Outpost;

use super::assembly::{Assembly, Ground};
use super::custom_policy;
use super::deletions::{self, DeletionError};
use super::group_list::GroupsSeen;
use super::observation::{Observation, ObservationError, UsersSeen, observe, users_query};
use super::records::user_record;
use super::warnings::Warnings;

/// How far before the last look the next one begins: authentik's servers date rows by clocks of their own.
const OVERLAP: Duration = Duration::from_secs(60);
/// A full load that contradicts itself is begun anew, so often.
const FULL_ATTEMPTS: u32 = 3;
/// How long pages already read are worth going on with.
const MAX_SCAN_AGE: Duration = Duration::from_secs(15 * 60);
/// Looks at a directory that changes all the time before the last one is taken as it is, and for how long at least: each
/// row is then as it was within the last look, which is better than none of the changes.
const MAX_LOOKS: u32 = 12;
const MAX_SETTLING: Duration = Duration::from_secs(30);
/// Where more users changed than this and than a fifth of all, they are all read.
const MANY_CHANGES: u64 = 1000;
/// Users asked for one by one to learn which of them breaks a page.
const MAX_SUSPECTS: usize = 64;

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
pub(super) enum Refreshed {
    /// Nothing had changed.
    Unchanged,
    /// The changes were read.
    Changes,
    /// Everything was read.
    Full,
}

/// What is known from the last refresh.
struct Base {
    snapshot: Arc<Snapshot>,
    /// Where the next look begins, in microseconds since 1970; `None` where authentik cannot tell what changed.
    since: Option<i64>,
    users: UsersSeen,
    groups: GroupsSeen,
    /// Users that exist and are not in the snapshot.
    hidden: BTreeSet<i64>,
    /// Further ones whose pks are not known.
    nameless: u64,
    page_size: u32,
}

/// A full load that broke off.
struct Unfinished {
    scan: Scan<User>,
    builder: Builder,
}

/// Loads the directory again and again.
#[derive(Default)]
pub(super) struct Loader {
    base: Option<Base>,
    unfinished: Option<Box<Unfinished>>,
    warnings: Warnings,
}

/// What a look is held against, and what was found out in earlier looks of the same refresh.
struct Settling {
    /// Primary keys of all users known to exist, ascending.
    pks: Vec<i64>,
    nameless: u64,
    gone: BTreeSet<i64>,
    before: UsersSeen,
    groups: Option<GroupsSeen>,
    since: Option<i64>,
    page_size: u32,
    full: bool,
}

impl Loader {
    /// Refreshes what clients see.
    pub(super) async fn refresh(
        &mut self,
        outpost: &Outpost,
        extent: Extent,
    ) -> Result<Refreshed, LoadError> {
        if extent == Extent::Changes
            && let Some(base) = self.base.take()
        {
            match self.changes(outpost, &base).await {
                Ok(Some(next)) => {
                    let installed = !Arc::ptr_eq(&next.snapshot, &base.snapshot);
                    self.base = Some(next);
                    return Ok(if installed {
                        Refreshed::Changes
                    } else {
                        Refreshed::Unchanged
                    });
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
            match self.full(outpost).await {
                Err(LoadError::Scan(ScanError::Inconsistent { .. }) | LoadError::Unexplained(_))
                    if attempt < FULL_ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
                Ok(base) => {
                    self.base = Some(base);
                    return Ok(Refreshed::Full);
                }
            }
        }
    }

    /// Looks at what changed. `None` if that cannot be told.
    async fn changes(&mut self, outpost: &Outpost, base: &Base) -> Result<Option<Base>, LoadError> {
        let Some(current) = outpost.snapshot() else {
            return Ok(None);
        };
        if base.since.is_none() {
            return Ok(None);
        }
        self.warnings.start();
        // Users fetched one by one meanwhile are in the current snapshot already; their rows come again.
        let ground = if Arc::ptr_eq(&current, &base.snapshot) {
            &base.snapshot
        } else {
            &current
        };
        let mut pks: Vec<i64> = ground.users().map(|user| ground.user(user).pk).collect();
        pks.extend(&base.hidden);
        pks.sort_unstable();
        pks.dedup();
        let mut settling = Settling {
            pks,
            nameless: base.nameless,
            gone: BTreeSet::new(),
            before: base.users.clone(),
            groups: Some(base.groups.clone()),
            since: base.since,
            page_size: base.page_size,
            full: false,
        };
        let look = settling.look(outpost).await?;
        let same_snapshot = Arc::ptr_eq(&current, &base.snapshot);
        if same_snapshot && settling.before.covers(&look.users) && look.groups.is(&base.groups) {
            return Ok(Some(Base {
                snapshot: Arc::clone(&base.snapshot),
                since: next_since(&look).or(base.since),
                users: look.users,
                groups: base.groups.clone(),
                hidden: base.hidden.clone(),
                nameless: base.nameless,
                page_size: base.page_size,
            }));
        }
        let versions = base.users.versions.clone();
        let ground = Arc::clone(ground);
        self.settle(
            outpost,
            settling,
            look,
            Ground::Snapshot(ground),
            &versions,
            &BTreeSet::new(),
        )
        .await
        .map(Some)
    }

    /// Reads everything.
    async fn full(&mut self, outpost: &Outpost) -> Result<Base, LoadError> {
        self.warnings.start();
        let options = options(outpost);
        let resumed = self
            .unfinished
            .take()
            .filter(|unfinished| unfinished.scan.began().elapsed() < MAX_SCAN_AGE);
        let mut work = resumed.unwrap_or_else(|| {
            Box::new(Unfinished {
                scan: Scan::new(outpost.config.authentik.page_size),
                builder: Builder::with_policy(custom_policy(&outpost.config)),
            })
        });
        let Unfinished { scan, builder } = &mut *work;
        let (warnings, mut dated) = (&mut self.warnings, true);
        let read = scan
            .run(
                &options,
                |request| async move { outpost.client.users_page(&users_query(request)).await },
                |page| {
                    warn_of_rows(warnings, &page.skipped);
                    for user in &page.rows {
                        dated &= !user.last_updated.is_empty();
                        builder.add_user(&user_record(user));
                    }
                },
            )
            .await;
        if let Err(error) = read {
            if matches!(error, ScanError::Page { .. }) {
                self.unfinished = Some(work);
            }
            return Err(error.into());
        }
        let previous = outpost.snapshot();
        let (kept, nameless) =
            identify(outpost, &options, scan, previous.as_deref(), &mut self.warnings).await?;
        let Some(opening) = scan.opening() else {
            return Err(LoadError::Unexplained(
                "the list of users was not read".to_owned(),
            ));
        };
        let mut pks: Vec<i64> = scan.seen().keys().copied().chain(kept.iter().copied()).collect();
        pks.sort_unstable();
        let mut settling = Settling {
            pks,
            nameless,
            gone: BTreeSet::new(),
            before: UsersSeen {
                versions: scan.seen().clone(),
                unreadable: scan.unreadable().to_vec(),
                count: opening.count,
                top: opening.top,
            },
            groups: None,
            since: opening.served.filter(|_| dated).and_then(before),
            page_size: opening.page_size,
            full: true,
        };
        let (versions, zones) = (scan.seen().clone(), scan.zones());
        let look = match settling.look(outpost).await {
            Ok(look) => look,
            Err(error) => {
                if matches!(error, LoadError::Scan(ScanError::Page { .. })) {
                    self.unfinished = Some(work);
                }
                return Err(error);
            }
        };
        // Where several readers shared the list, more deletions than a page holds can have moved rows past a seam.
        let created = look
            .changed
            .iter()
            .filter(|user| settling.before.top < Some(user.pk))
            .count();
        let deleted = (settling.before.count + created as u64).saturating_sub(look.users.count);
        if zones > 1 && deleted > u64::from(settling.page_size) {
            return Err(LoadError::Unexplained(format!(
                "{deleted} users were deleted meanwhile"
            )));
        }
        let ground = Ground::Builder(Box::new(work.builder));
        self.settle(outpost, settling, look, ground, &versions, &kept)
            .await
    }

    /// Looks until two looks show the same, then builds and installs what they show.
    async fn settle(
        &mut self,
        outpost: &Outpost,
        mut settling: Settling,
        first: Observation,
        ground: Ground,
        versions: &std::collections::HashMap<i64, u64>,
        kept: &BTreeSet<i64>,
    ) -> Result<Base, LoadError> {
        let (full, began) = (settling.full, Instant::now());
        let (mut look, mut looks) = (first, 1);
        let (pks, nameless) = loop {
            let (pks, surplus) = settling.balance(&look)?;
            let settled = settling.before.covers(&look.users)
                && (look.groups.is_one_page()
                    || settling
                        .groups
                        .as_ref()
                        .is_some_and(|groups| look.groups.is(groups)));
            let enough = looks >= MAX_LOOKS && began.elapsed() >= MAX_SETTLING;
            if surplus == 0 && (settled || enough) && look.groups.groups().is_ok() {
                break (pks, settling.nameless);
            }
            if looks >= 4 * MAX_LOOKS && began.elapsed() >= 4 * MAX_SETTLING {
                return Err(LoadError::Unexplained(
                    "the directory changes all the time".to_owned(),
                ));
            }
            if surplus > 0 {
                let options = options(outpost);
                let gone =
                    deletions::find(&outpost.client, &options, settling.page_size, &pks, surplus).await;
                settling.gone.extend(gone.map_err(unexplained)?);
            }
            settling.groups = Some(look.groups.seen());
            settling.before = look.users;
            look = settling.look(outpost).await?;
            looks += 1;
        };
        let Observation {
            groups,
            changed,
            skipped,
            users,
            served,
        } = look;
        warn_of_rows(&mut self.warnings, &skipped);
        let served_since = served
            .and_then(before)
            .filter(|_| settling.since.is_some())
            .or(settling.since);
        let previous = outpost.snapshot();
        let list = groups.groups()?;
        warn_of_rows(&mut self.warnings, &list.skipped);
        warn_of_unreadable(&mut self.warnings, "group", &list.unreadable);
        warn_of_unreadable(&mut self.warnings, "user", &users.unreadable);
        let seen = groups.seen();
        let (gone, kept, versions) = (settling.gone, kept.clone(), versions.clone());
        let (groups, changed) = (groups, changed);
        let build = tokio::task::spawn_blocking(move || {
            let list = groups.groups()?;
            let fresh = |user: &&User| versions.get(&user.pk) != Some(&user.version());
            let assembly = Assembly {
                ground,
                gone: &gone,
                changed: changed.iter().filter(fresh).collect(),
                kept: &kept,
                groups: list,
                previous,
            };
            Ok::<_, ScanError>(assembly.build())
        });
        let (snapshot, odd) = build.await??;
        odd.iter().for_each(|warning| self.warnings.add_odd(warning));
        self.warnings.tell(full);
        let hidden = pks
            .into_iter()
            .filter(|pk| snapshot.user_by_pk(*pk).is_none())
            .collect();
        let snapshot = outpost.install_refreshed(snapshot, full).await;
        Ok(Base {
            snapshot,
            since: served_since,
            users,
            groups: seen,
            hidden,
            nameless,
            page_size: settling.page_size,
        })
    }
}

impl Settling {
    async fn look(&mut self, outpost: &Outpost) -> Result<Observation, LoadError> {
        let most = MANY_CHANGES.max(self.pks.len() as u64 / 5);
        let options = options(outpost);
        let page_size = self.page_size;
        loop {
            return match observe(&outpost.client, &options, page_size, self.since, most).await {
                Ok(look) => Ok(look),
                Err(ObservationError::Scan(error)) => Err(error.into()),
                // A full load does without, and so do all after it.
                Err(ObservationError::Unfiltered) if self.full && self.since.is_some() => {
                    self.since = None;
                    continue;
                }
                Err(error) => Err(LoadError::Unexplained(error.to_string())),
            };
        }
    }

    /// All users there are by this look, and how many more than authentik counts.
    fn balance(&mut self, look: &Observation) -> Result<(Vec<i64>, usize), LoadError> {
        let mut pks = self.pks.clone();
        pks.extend(look.changed.iter().map(|user| user.pk));
        let left_out = look.skipped.iter().filter(|warning| warning.row_skipped);
        pks.extend(left_out.filter_map(|warning| User::parse_key(warning.pk.as_deref()?)));
        pks.sort_unstable();
        pks.dedup();
        pks.retain(|pk| !self.gone.contains(pk));
        let known = pks.len() as u64 + self.nameless;
        let count = look.users.count;
        if known < count {
            // Those that cannot be shown may be new.
            let new = look.users.unreadable.len() as u64;
            if count - known > new {
                return Err(LoadError::Unexplained(format!(
                    "there are {count} users, {known} are known"
                )));
            }
            self.nameless += count - known;
        }
        let surplus = usize::try_from(known.saturating_sub(count)).unwrap_or(usize::MAX);
        if surplus > 0 && self.nameless > 0 {
            return Err(LoadError::Unexplained(
                "users were deleted and others cannot be shown".to_owned(),
            ));
        }
        Ok((pks, surplus))
    }
}

fn unexplained(error: DeletionError) -> LoadError {
    match error {
        DeletionError::Scan(ScanError::Page { source, .. }) if is_row_fault(&source) => {
            LoadError::Unexplained("a user that cannot be shown hides who was deleted".to_owned())
        }
        DeletionError::Scan(error) => error.into(),
        error @ DeletionError::Contradiction(_) => LoadError::Unexplained(error.to_string()),
    }
}

/// How lists are read.
pub(super) fn options(outpost: &Outpost) -> ScanOptions {
    let defaults = ScanOptions::default();
    ScanOptions {
        timeout: defaults.timeout.min(outpost.config.authentik.request_timeout),
        ..defaults
    }
}

/// The beginning of the window that surely holds everything changed after a moment of the server's clock.
fn before(served: SystemTime) -> Option<i64> {
    let at = served.checked_sub(OVERLAP)?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(at.as_micros()).ok()
}

fn next_since(look: &Observation) -> Option<i64> {
    look.served.and_then(before)
}

fn warn_of_rows(warnings: &mut Warnings, skipped: &[RowWarning]) {
    skipped.iter().for_each(|warning| warnings.add(warning));
}

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
    outpost: &Outpost,
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
            match crate::authentik::paging::retry(options, User::KIND, 1, || outpost.client.user(pk)).await {
                Err(ScanError::Page { source, .. }) if is_row_fault(&source) => {
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
