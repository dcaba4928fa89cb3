//! The current directory: which snapshot is served, in which shapes, and what a new one means to those logged in by the
//! old one.
//!
//! Everything but a search reads the directory as it was loaded: who is who does not depend on what a provider shows. Must not
//! know where a snapshot comes from, nor who searches it.

mod changes;
mod generations;
mod served;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use crate::metrics::{DirectoryDamage, Metrics};
use crate::outpost::sound::sound;
use akldap_directory::{Shape, Snapshot, Warning, WrongNumber};

use super::access::Logins;
use super::bind::cache::BindCache;
use super::status::Status;
use changes::{RecentChanges, UnderWay};
use generations::Generations;
use served::Served;

/// A directory ready to be served, in all shapes that are wanted.
#[derive(Debug)]
pub(super) struct Candidate {
    served: Served,
    /// What could not be shown in some shape.
    pub(super) warnings: Vec<Warning>,
}

/// The directory that is served, and the one before it for as long as somebody reads it.
pub struct CurrentDirectory {
    served: ArcSwapOption<Served>,
    /// The shapes in which it is served besides the default one.
    shapes: ArcSwap<Vec<Arc<Shape>>>,
    /// Counts installed snapshots.
    generation: AtomicU64,
    generations: Generations,
    changes: RecentChanges,
    logins: Arc<Logins>,
    cached_binds: Arc<BindCache>,
    damage: DirectoryDamage,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
}

impl CurrentDirectory {
    /// Nothing is served yet. Each directory that is installed ends those of `logins` and `cached_binds` that it shows to be
    /// over.
    pub(super) fn new(
        logins: Arc<Logins>,
        cached_binds: Arc<BindCache>,
        status: Arc<Status>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            served: ArcSwapOption::empty(),
            shapes: ArcSwap::default(),
            generation: AtomicU64::new(0),
            generations: Generations::default(),
            changes: RecentChanges::default(),
            logins,
            cached_binds,
            damage: metrics.directory_damage(),
            metrics,
            status,
        }
    }

    /// The directory as it was last loaded; `None` before the first time.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let served = self.served.load();
        served.as_ref().map(|served| Arc::clone(&served.base))
    }

    /// The same in a shape, of which `None` is the default; `None` also until it has that shape.
    pub fn in_shape(&self, shape: Option<&Arc<Shape>>) -> Option<Arc<Snapshot>> {
        let served = self.served.load();
        served.as_ref()?.in_shape(shape).cloned()
    }

    /// What was found in a directory. Where a number points nowhere it counts as not there; that is logged and counted.
    pub(super) fn sound<T>(&self, found: Result<T, WrongNumber>) -> Option<T> {
        sound(found, &self.damage)
    }

    /// Whether this is the current directory, and is known to have been like this in authentik at one moment.
    pub fn is_settled(&self, snapshot: &Arc<Snapshot>) -> bool {
        let served = self.served.load();
        served
            .as_ref()
            .is_some_and(|served| Arc::ptr_eq(&served.base, snapshot) && served.is_settled())
    }

    /// Two looks showed this directory, if it is still the current one.
    pub(super) fn settle(&self, snapshot: &Arc<Snapshot>) {
        if let Some(served) = &*self.served.load()
            && Arc::ptr_eq(&served.base, snapshot)
        {
            served.settle();
        }
    }

    /// Whether there is one.
    pub fn is_loaded(&self) -> bool {
        self.served.load().is_some()
    }

    /// Whether it shows a user as active.
    pub(super) fn shows(&self, pk: i64) -> bool {
        self.snapshot().is_some_and(|snapshot| {
            snapshot
                .user_by_pk(pk)
                .and_then(|user| self.sound(snapshot.user(user)))
                .is_some_and(|user| user.is_active)
        })
    }

    /// Whether a shape shows a user; `None` until the directory has that shape.
    pub(super) fn shows_in(&self, shape: Option<&Arc<Shape>>, pk: i64) -> Option<bool> {
        let snapshot = self.in_shape(shape)?;
        Some(shape.is_none() || snapshot.user_by_pk(pk).is_some())
    }

    /// Whether searches may go on reading a directory: the current one, or the one before it.
    pub fn is_served(&self, snapshot: &Arc<Snapshot>) -> bool {
        let current = self.served.load();
        let snapshot = snapshot.part_of().unwrap_or(snapshot);
        current.as_ref().is_some_and(|current| current.includes(snapshot))
            || self.generations.is_before(snapshot)
    }

    /// Octets that the directory takes in all its shapes.
    pub(super) fn memory(&self) -> usize {
        let served = self.served.load();
        let snapshots = served.iter().flat_map(|served| served.snapshots());
        snapshots.map(|snapshot| snapshot.memory()).sum()
    }

    /// How many directories are in memory, each shape for itself.
    pub(super) fn alive(&self) -> usize {
        self.generations.alive()
    }

    /// Changes when searches have to check whether theirs may still be read.
    pub fn retirements(&self) -> watch::Receiver<u64> {
        self.generations.retirements()
    }

    /// How many snapshots were installed so far.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Call this before a bind looks at [`generation`](Self::generation): until the returned value is dropped it is remembered
    /// about whom directories say something else.
    pub(super) fn watch_changes(&self) -> UnderWay<'_> {
        self.changes.begin()
    }

    /// Whether any of these generations says something else about a user than the one before it.
    pub(super) fn changed(&self, user_pk: i64, generations: RangeInclusive<u64>) -> bool {
        self.changes.concern(user_pk, generations)
    }

    /// Puts a new directory into every shape that is wanted. `settled`: it is known to have been like this in authentik at one
    /// moment. Takes as long as building it: to be called on a thread that may
    /// block, and by one caller at a time, until [`install`](Self::install).
    ///
    /// # Errors
    /// When a number points to nothing.
    pub(super) fn shape(&self, snapshot: Snapshot, settled: bool) -> Result<Candidate, WrongNumber> {
        let before = self.served.load_full();
        let (base, shapes) = (Arc::new(snapshot), self.shapes.load());
        let (served, warnings) = Served::new(base, &shapes, before.as_deref(), settled)?;
        self.count_failures(&warnings);
        Ok(Candidate { served, warnings })
    }

    /// Has the directory, this one and those to come, served in these shapes besides the default one. Blocks, and excludes
    /// [`shape`](Self::shape) and [`install`](Self::install), as that does. Returns what could not be shown so.
    ///
    /// # Errors
    /// When a number points nowhere; this directory stays in the shapes that it has.
    pub(super) fn want(&self, shapes: Vec<Arc<Shape>>) -> Result<Vec<Warning>, WrongNumber> {
        let shapes = Arc::new(shapes);
        self.shapes.store(Arc::clone(&shapes));
        let before = self.served.load_full();
        let Some(before) = before.filter(|before| !before.has_just(&shapes)) else {
            return Ok(Vec::new());
        };
        let base = Arc::clone(&before.base);
        let (served, warnings) = Served::new(base, &shapes, Some(&before), before.is_settled())?;
        self.generations.installed(served.snapshots());
        self.count_failures(&warnings);
        self.served.store(Some(Arc::new(served)));
        self.generations.look_again();
        Ok(warnings)
    }

    fn count_failures(&self, warnings: &[Warning]) {
        self.metrics
            .templates_failed(warnings.iter().map(Warning::failures).sum());
    }

    /// Puts a new directory in place of the old one and draws the consequences for those logged in: for all of them, or
    /// for those only who were put into the old one. About anybody else that says nothing.
    pub(super) fn install(&self, next: Candidate, added: Option<&BTreeSet<i64>>) -> Arc<Snapshot> {
        let snapshot = Arc::clone(&next.served.base);
        let (users, groups) = (snapshot.user_count(), snapshot.group_count());
        // A user fetched into a directory does not make the rest of it any newer.
        self.metrics.snapshot_installed(users, groups);
        self.generations.installed(next.served.snapshots());
        let before = self.served.swap(Some(Arc::new(next.served)));
        self.changes.note(self.generation() + 1, || {
            let before = before.as_deref()?;
            self.sound(snapshot.login_changes(&before.base))
        });
        self.generations
            .replaced(before.iter().flat_map(|before| before.snapshots()));
        drop(before);
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.end_what_is_over(&snapshot, |pk| added.is_none_or(|added| added.contains(&pk)));
        snapshot
    }

    /// Whoever is gone, deactivated or replaced is logged out; a changed password or name only voids cached binds.
    /// `concerns` says whose rows may have changed.
    fn end_what_is_over(&self, snapshot: &Snapshot, concerns: impl Fn(i64) -> bool) {
        let ended = self.logins.end_where(|login| {
            if !concerns(login.user_pk()) {
                return None;
            }
            login.verdict(
                snapshot
                    .user_by_pk(login.user_pk())
                    .and_then(|user| self.sound(snapshot.user(user))),
            )
        });
        let voided = self.cached_binds.retain_unchanged(snapshot, concerns);
        if ended > 0 || voided > 0 {
            tracing::info!(
                logins = ended,
                cached_binds = voided,
                "logins and cached binds ended because their users changed in authentik"
            );
        }
    }

    /// Serves a directory that an earlier process read, unless there is one already. Nobody is logged out by it: it
    /// knows nothing of what happened since. It has only the default shape until others are [wanted](Self::want) again.
    pub(super) fn restore(&self, snapshot: Snapshot, read: SystemTime) -> bool {
        let (users, groups) = (snapshot.user_count(), snapshot.group_count());
        let restored = Arc::new(Served::unshaped(snapshot));
        let before = self
            .served
            .compare_and_swap(&None::<Arc<Served>>, Some(Arc::clone(&restored)));
        if before.is_some() {
            return false;
        }
        self.generations.installed(restored.snapshots());
        self.metrics.snapshot_restored(users, groups, read);
        self.status.directory_restored(read);
        true
    }
}
