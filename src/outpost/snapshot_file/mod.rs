//! The optional snapshot file: written after loads, read once at the start, so that a process that starts while
//! authentik's lists cannot be read has the directory of before.
//!
//! Nobody gets in by it: a bind is judged by authentik as ever, so while authentik cannot be reached at all a process
//! that has just started serves what needs no bind, and 52. Knows when it is written and read and how it is replaced;
//! must not know how binds or searches use what it restores.

mod contents;
mod sealed;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use secrecy::SecretString;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use akldap_directory::{CustomPolicy, Snapshot};

use super::{Outpost, refresh};
use contents::{About, ContentsError, Reading};
use sealed::{Opener, SealError, Sealer, Secret};

/// The least time between two files: whatever changes in between is written with the next.
const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// An unchanged directory is written again after so long, so that the file tells that it was still true then.
const RENEWAL: Duration = Duration::from_secs(3600);
/// Older files are ignored: no outage takes that long, and who has left since should not be found again.
const MAX_AGE: Duration = Duration::from_secs(7 * 86_400);
/// Read and written at once.
const BUFFER: usize = 256 * 1024;
/// Owner only.
const MODE: u32 = 0o600;

/// Why a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Contents(#[from] ContentsError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the operating system gives no random numbers")]
    Random,
    #[error("it is older than {} days", MAX_AGE.as_secs() / 86_400)]
    Outdated,
}

impl FileError {
    fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == ErrorKind::NotFound)
    }
}

/// The file, if there is to be one.
pub(super) struct SnapshotFile {
    path: PathBuf,
    host: String,
    /// Made of the token of the moment, so that a process started with that token can read what this one wrote last.
    secret: ArcSwap<Secret>,
    policy: CustomPolicy,
    /// Something was loaded that is not in the file yet.
    due: Notify,
}

/// What a file that was written says.
#[derive(Debug)]
struct Written {
    about: About,
    fingerprint: [u8; 32],
    at: Instant,
}

impl SnapshotFile {
    pub(super) fn new(config: &crate::config::Config) -> Option<Self> {
        Some(Self {
            path: config.snapshot_file.clone()?,
            host: config.authentik.host.to_string(),
            secret: ArcSwap::from_pointee(Secret::new(
                &config.authentik.token,
                config.authentik.host.as_str(),
            )),
            policy: super::refresh::custom_policy(config),
            due: Notify::new(),
        })
    }

    /// To be called after each load that changed something.
    pub(super) fn note_load(&self) {
        self.due.notify_one();
    }

    /// Takes another token for what is written from now on.
    fn take_token(&self, token: &SecretString) {
        self.secret.store(Arc::new(Secret::new(token, &self.host)));
    }

    fn read(&self, now: SystemTime) -> Result<(About, Snapshot), FileError> {
        let file = BufReader::with_capacity(BUFFER, File::open(&self.path)?);
        let mut opener = Opener::new(&self.secret.load(), file)?;
        let mut reading = Reading::default();
        while let Some(octets) = opener.next()? {
            let described = reading.about().is_some();
            reading.push(octets)?;
            if let Some(about) = reading.about().filter(|_| !described)
                && age(about, now) > MAX_AGE
            {
                return Err(FileError::Outdated);
            }
        }
        let (about, snapshot) = reading.finish()?;
        // Other attributes may have been allowed when it was written.
        let snapshot = snapshot.under(self.policy);
        snapshot.warm_usual();
        Ok((about, snapshot))
    }

    fn write(&self, about: &About, snapshot: &Snapshot) -> Result<(), FileError> {
        let mut salt = [0; 32];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| FileError::Random)?;
        replace(&self.path, |file| {
            let mut sealer = Sealer::new(&self.secret.load(), &salt, BufWriter::with_capacity(BUFFER, file))?;
            contents::write(about, snapshot, |octets| sealer.push(octets))?;
            sealer.finish()?.flush()?;
            Ok(())
        })
    }
}

/// How long ago the directory was read from authentik.
fn age(about: &About, now: SystemTime) -> Duration {
    now.duration_since(time_of(about)).unwrap_or_default()
}

fn time_of(about: &About) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_secs(about.read))
        .unwrap_or(UNIX_EPOCH)
}

/// Where a file is written before it takes the place of the old one. Always the same, so that a process that is killed
/// meanwhile leaves one behind at most.
fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".tmp");
    PathBuf::from(name)
}

/// Puts a file in place of another in one step: whenever the process or the machine stops, one of the two is there
/// whole.
fn replace(path: &Path, write: impl FnOnce(&File) -> Result<(), FileError>) -> Result<(), FileError> {
    let temporary = temporary(path);
    remove(&temporary)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&temporary)?;
    let done = write(&file).and_then(|()| {
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // The new name, too, must be on the disk.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(())
    });
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    done
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads the file, then writes it after loads until shutdown, away from the runtime's own threads.
pub(super) fn start(outpost: &Arc<Outpost>, tasks: &TaskTracker, shutdown: &CancellationToken) {
    if outpost.snapshot_file.is_none() {
        outpost.file_read.cancel();
        return;
    }
    let (outpost, shutdown) = (Arc::clone(outpost), shutdown.clone());
    tasks.spawn(async move {
        let reader = Arc::clone(&outpost);
        match tokio::task::spawn_blocking(move || read(&reader)).await {
            Ok(Some(read)) => restore(&outpost, read),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "reading the snapshot file failed inside akldap"),
        }
        outpost.file_read.cancel();
        keep_written(outpost, shutdown).await;
    });
}

fn read(outpost: &Outpost) -> Option<Result<(About, Snapshot), FileError>> {
    let file = outpost.snapshot_file.as_ref()?;
    // What a process that was killed left behind.
    let cleared = remove(&temporary(&file.path));
    Some(
        cleared
            .map_err(FileError::from)
            .and_then(|()| file.read(SystemTime::now())),
    )
}

/// Serves what the file holds unless authentik was faster.
fn restore(outpost: &Outpost, read: Result<(About, Snapshot), FileError>) {
    let path = outpost
        .snapshot_file
        .as_ref()
        .map(|file| file.path.display().to_string());
    let (about, snapshot) = match read {
        Ok(restored) => restored,
        Err(error) if error.is_missing() => {
            tracing::info!(
                path,
                "there is no snapshot file yet; it is written after the first load"
            );
            return;
        }
        Err(error) => {
            tracing::warn!(path, %error, "the snapshot file is ignored; it is written anew after the first load");
            return;
        }
    };
    let read = time_of(&about);
    let age_s = age(&about, SystemTime::now()).as_secs();
    let (users, groups) = (snapshot.user_count(), snapshot.group_count());
    let providers = refresh::restore_providers(outpost, about.providers, read);
    let directory = outpost.restore(snapshot, read);
    if providers || directory {
        // Whether authentik can be reached, and what works if not, is told elsewhere.
        tracing::info!(
            path,
            users,
            groups,
            age_s,
            "read the snapshot file: its directory, which may be out of date, is used until authentik's is loaded"
        );
    }
}

async fn keep_written(outpost: Arc<Outpost>, shutdown: CancellationToken) {
    let Some(file) = &outpost.snapshot_file else {
        return;
    };
    let (mut written, mut told) = (None::<Written>, false);
    let mut next = Instant::now();
    while !shutdown.is_cancelled() {
        let renewal = written.as_ref().map(|written| written.at + RENEWAL);
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = file.due.notified() => {}
            () = outpost.client.token_replaced() => {
                file.take_token(&outpost.client.current_token());
                // What is there can be opened with the old token only.
                written = None;
            }
            () = sleep_until(renewal.unwrap_or(next)), if renewal.is_some() => {}
        }
        // What comes meanwhile is written with it. At shutdown nothing more is waited for.
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep_until(next) => {}
        }
        let (Some(snapshot), Some(about)) = (outpost.snapshot(), outpost.about()) else {
            continue;
        };
        next = Instant::now() + MIN_INTERVAL;
        let (writer, before) = (Arc::clone(&outpost), written.take());
        let done = tokio::task::spawn_blocking(move || write(&writer, about, &snapshot, before)).await;
        match done {
            Ok(Ok(now)) => {
                written = now;
                told = false;
            }
            Ok(Err(error)) if !told => {
                told = true;
                tracing::warn!(path = %file.path.display(), %error, "cannot write the snapshot file; trying again after the next load");
            }
            Ok(Err(error)) => tracing::debug!(%error, "cannot write the snapshot file"),
            Err(error) => tracing::error!(%error, "writing the snapshot file failed inside akldap"),
        }
    }
}

/// Writes a file unless the one there says the same and is not old. Returns what is in the file afterwards.
fn write(
    outpost: &Outpost,
    about: About,
    snapshot: &Snapshot,
    before: Option<Written>,
) -> Result<Option<Written>, FileError> {
    let Some(file) = &outpost.snapshot_file else {
        return Ok(None);
    };
    let fingerprint = snapshot.fingerprint();
    if let Some(before) = before
        && before.at.elapsed() < RENEWAL
        && before.fingerprint == fingerprint
        && before.about.providers == about.providers
    {
        return Ok(Some(before));
    }
    file.write(&about, snapshot)?;
    tracing::debug!(path = %file.path.display(), users = snapshot.user_count(), "snapshot file written");
    Ok(Some(Written {
        about,
        fingerprint,
        at: Instant::now(),
    }))
}

impl Outpost {
    /// What the file is to say; `None` until everything in it was read from authentik by this process.
    fn about(&self) -> Option<About> {
        let read = self.status.directory().read?;
        self.status.configuration().read?;
        Some(About {
            read: read.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            providers: self
                .providers()
                .iter()
                .map(|provider| provider.settings().clone())
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests;
