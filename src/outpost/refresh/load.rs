//! One refresh of the directory: has authentik's lists read, and serves what they show.
//!
//! Knows what is served and what it was made of. Must not know when a refresh is due, or how lists are read.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use thiserror::Error;

use akldap_authentik::User;
use akldap_authentik::lists::{
    self, ChangesError, KnownUsers, ListReader, ListSource, Lists, Looked, ReadError, Reading, ScanOptions,
};
use akldap_directory::{Builder, CustomPolicy, Snapshot, Warning, WrongNumber};

use super::assembly::{Assembly, Ground};
use super::oddities::Oddities;
use super::records::user_record;

/// Why a directory was not loaded.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    /// The lists could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Building failed inside akldap.
    #[error("the directory could not be built: {0}")]
    Build(#[from] tokio::task::JoinError),
    /// What is served cannot be carried over.
    #[error(
        "the directory in memory is damaged: {0}: restart the server, and report this line and those before \
         it"
    )]
    Damaged(#[from] WrongNumber),
}

impl From<ChangesError<WrongNumber>> for LoadError {
    fn from(error: ChangesError<WrongNumber>) -> Self {
        match error {
            ChangesError::Read(error) => Self::Read(error),
            ChangesError::Known(wrong) => Self::Damaged(wrong),
        }
    }
}

/// How much a refresh covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coverage {
    /// What changed since the last one.
    Changes,
    /// Everything.
    Full,
}

/// What a refresh did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refreshed {
    /// What was read.
    pub(super) coverage: Coverage,
    /// Our clock when the newest look began: what is served shows everything that changed before.
    pub(super) made: SystemTime,
    /// How long the longest look took, the search for deleted users before it included.
    pub(super) longest_look: Duration,
    /// What is served was like this in authentik at one moment.
    pub(super) settled: bool,
}

impl Refreshed {
    fn new(coverage: Coverage, times: lists::LookTimes) -> Self {
        Self {
            coverage,
            made: times.made,
            longest_look: times.longest,
            settled: times.settled,
        }
    }
}

/// How a directory is loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadOptions {
    pub(super) scan: ScanOptions,
    /// Rows per page.
    pub(super) page_size: u32,
    /// What is made of custom attributes.
    pub(super) policy: CustomPolicy,
}

/// Where a loaded directory goes.
pub(super) trait InstallTarget: Sync {
    /// What is served now.
    fn snapshot(&self) -> Option<Arc<Snapshot>>;

    /// Builds the next snapshot and serves it, unless it is equal to what is already served. Returns what is then served, and what
    /// could not be served from the new one.
    fn install(
        &self,
        assembly: Assembly,
        full: bool,
    ) -> impl Future<Output = Result<(Arc<Snapshot>, Vec<Warning>), LoadError>> + Send;

    /// Another look showed what is served: it was like this in authentik at one moment.
    fn settle(&self, _snapshot: &Arc<Snapshot>) {}

    /// Whether what is served says more than the lists did that it was built from.
    fn has_more(&self) -> bool {
        false
    }
}

/// Loads the directory again and again.
#[derive(Default)]
pub(super) struct Loader {
    reader: ListReader<EncodedRows>,
    /// What the last load led to. Only to tell whether it is still the current one: what users fetched one by one have replaced is
    /// not kept.
    installed: Weak<Snapshot>,
    oddities: Oddities,
}

impl Loader {
    /// Refreshes what clients see.
    pub(super) async fn refresh(
        &mut self,
        source: &impl ListSource,
        target: &impl InstallTarget,
        options: &LoadOptions,
        coverage: Coverage,
    ) -> Result<Refreshed, LoadError> {
        let lists = Lists {
            source,
            options: options.scan,
            page_size: options.page_size,
        };
        if coverage == Coverage::Changes {
            let current = target.snapshot();
            let served = current.clone().map(|snapshot| self.served(snapshot));
            match self.reader.changes(&lists, served).await {
                Ok(Looked::Unchanged(times)) => {
                    current.iter().for_each(|current| target.settle(current));
                    return Ok(Refreshed::new(coverage, times));
                }
                Ok(Looked::Changed(reading)) => return self.serve(target, *reading, coverage).await,
                Ok(Looked::Unknown) => {}
                Err(ChangesError::Read(ReadError::Unexplained(problem))) => {
                    tracing::info!(problem, "reading the whole directory");
                }
                Err(error) => return Err(error.into()),
            }
        }
        let known = || {
            target.snapshot().map(|snapshot| ServedAtLook {
                snapshot,
                as_read: false,
            })
        };
        let rows = || EncodedRows(Box::new(Builder::with_policy(options.policy)));
        let reading = self.reader.whole(&lists, known, rows).await?;
        self.serve(target, reading, Coverage::Full).await
    }

    /// Whether what is served shows the users as they are, groups aside.
    pub(super) async fn users_stand(
        &self,
        source: &impl ListSource,
        target: &impl InstallTarget,
        options: &LoadOptions,
    ) -> Result<bool, LoadError> {
        let lists = Lists {
            source,
            options: options.scan,
            page_size: options.page_size,
        };
        match target.snapshot() {
            Some(snapshot) => Ok(self.reader.users_stand(&lists, &self.served(snapshot)).await?),
            None => Ok(false),
        }
    }

    fn served(&self, snapshot: Arc<Snapshot>) -> ServedAtLook {
        ServedAtLook {
            as_read: std::ptr::eq(Arc::as_ptr(&snapshot), self.installed.as_ptr()),
            snapshot,
        }
    }

    /// Builds and installs what was read.
    async fn serve(
        &mut self,
        target: &impl InstallTarget,
        reading: Reading<impl Into<Ground>>,
        coverage: Coverage,
    ) -> Result<Refreshed, LoadError> {
        let full = coverage == Coverage::Full;
        self.oddities.start();
        for oddity in &reading.oddities {
            self.oddities.add(oddity);
        }
        let assembly = Assembly {
            ground: reading.ground.into(),
            changes: reading.changes,
            settled: reading.times.settled,
        };
        let (snapshot, odd) = target.install(assembly, full).await?;
        odd.iter().for_each(|warning| self.oddities.add_odd(warning));
        self.oddities.tell(full);
        // Users fetched meanwhile were put into their groups; if they have left one since, that does not make a list differ from
        // this one.
        self.installed = match target.has_more() {
            true => Weak::new(),
            false => Arc::downgrade(&snapshot),
        };
        let shows = |pk| snapshot.user_by_pk(pk).is_some();
        self.reader.shown(reading.progress, shows);
        Ok(Refreshed::new(coverage, reading.times))
    }
}

/// The rows of a full load, encoded as they come.
struct EncodedRows(Box<Builder>);

impl lists::UserRows for EncodedRows {
    fn add(&mut self, user: &User) {
        self.0.add_user(&user_record(user));
    }

    fn namesakes(&self, others: &HashMap<&str, i64>) -> Vec<i64> {
        self.0.namesakes(others)
    }
}

impl From<EncodedRows> for Ground {
    fn from(rows: EncodedRows) -> Self {
        Self::Builder(rows.0)
    }
}

/// The directory served when a look began.
struct ServedAtLook {
    snapshot: Arc<Snapshot>,
    /// It is what the last load led to.
    as_read: bool,
}

impl KnownUsers for ServedAtLook {
    type Error = WrongNumber;

    fn pks(&self) -> Vec<i64> {
        self.snapshot.user_pks().to_vec()
    }

    fn has(&self, pk: i64) -> bool {
        self.snapshot.user_by_pk(pk).is_some()
    }

    fn namesakes(&self, user: &User) -> Result<Vec<i64>, WrongNumber> {
        namesakes(&self.snapshot, user)
    }

    fn is_as_read(&self) -> bool {
        self.as_read
    }
}

impl From<ServedAtLook> for Ground {
    fn from(served: ServedAtLook) -> Self {
        Self::Snapshot(served.snapshot)
    }
}

/// The users of a snapshot who have the name of another one.
pub(super) fn namesakes(snapshot: &Snapshot, user: &User) -> Result<Vec<i64>, WrongNumber> {
    let mut others = Vec::new();
    for found in snapshot.users_by_name(user.username.as_bytes())? {
        let found = snapshot.user(found)?;
        // Names that differ only in case are two names.
        if found.username == user.username && found.pk != user.pk {
            others.push(found.pk);
        }
    }
    Ok(others)
}

#[cfg(test)]
mod tests;
