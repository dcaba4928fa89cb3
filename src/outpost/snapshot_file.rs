//! The optional snapshot file: written after loads, read once at the start, so that a process that starts while
//! authentik's lists cannot be read has the previous directory.
//!
//! It lets nobody in: authentik judges binds as usual, so while authentik cannot be reached at all a process
//! that has just started serves what needs no bind, and 52. Knows when it is written and read and how it is replaced;
//! must not know how binds or searches use what it restores.

mod contents;
mod sealed;
pub(super) mod task;

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
use tokio::time::Instant;

use akldap_directory::{CustomPolicy, Snapshot, WrongNumber};

use contents::{ContentsError, ContentsHeader, ContentsReader};
use sealed::{FileSecret, Opener, SealError, Sealer};

/// The least time between two files: whatever changes in between is written with the next.
const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// An unchanged directory is written again after this long, so that the file tells that it was still true then.
const RENEWAL: Duration = Duration::from_secs(3600);
/// Older files are ignored: no outage lasts that long, and people who have left since should not be found again.
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
    #[error(transparent)]
    Damaged(#[from] WrongNumber),
    #[error("it is no regular file, which alone can be replaced; name another path")]
    NoFile,
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
    /// Made from the current token, so that a process started with that token can read what this one wrote last.
    secret: ArcSwap<FileSecret>,
    policy: CustomPolicy,
    /// Something was loaded that is not in the file yet.
    due: Notify,
}

/// What a written file says.
#[derive(Debug)]
struct Written {
    about: ContentsHeader,
    fingerprint: [u8; 32],
    at: Instant,
}

impl SnapshotFile {
    /// The file at this path, for the directory of this host, kept from all who lack the token. `policy` is what is allowed of
    /// custom attributes.
    pub(super) fn new(path: PathBuf, host: String, token: &SecretString, policy: CustomPolicy) -> Self {
        Self {
            path,
            secret: ArcSwap::from_pointee(FileSecret::new(token, &host)),
            host,
            policy,
            due: Notify::new(),
        }
    }

    /// Call this after each load that changed something.
    pub(super) fn note_load(&self) {
        self.due.notify_one();
    }

    /// Uses another token for what is written from now on.
    fn take_token(&self, token: &SecretString) {
        self.secret.store(Arc::new(FileSecret::new(token, &self.host)));
    }

    fn read(&self, now: SystemTime) -> Result<(ContentsHeader, Snapshot), FileError> {
        ensure_file(&self.path)?;
        let file = BufReader::with_capacity(BUFFER, File::open(&self.path)?);
        let mut opener = Opener::new(&self.secret.load(), file)?;
        let mut reading = ContentsReader::default();
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
        let snapshot = snapshot.under(self.policy)?;
        snapshot.warm_usual();
        Ok((about, snapshot))
    }

    fn write(&self, about: &ContentsHeader, snapshot: &Snapshot) -> Result<(), FileError> {
        let mut salt = [0; 32];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| FileError::Random)?;
        replace(&self.path, |file| {
            let mut sealer = Sealer::new(&self.secret.load(), &salt, BufWriter::with_capacity(BUFFER, file))?;
            contents::write(about, snapshot, |octets| {
                sealer.push(octets).map_err(FileError::from)
            })?;
            sealer.finish()?.flush()?;
            Ok(())
        })
    }

    /// Writes a file unless the existing one says the same and is not old. Returns what is in the file afterwards.
    fn write_if_changed(
        &self,
        about: ContentsHeader,
        snapshot: &Snapshot,
        before: Option<Written>,
    ) -> Result<Option<Written>, FileError> {
        let fingerprint = snapshot.fingerprint();
        if let Some(before) = before
            && before.at.elapsed() < RENEWAL
            && before.fingerprint == fingerprint
            && before.about.providers == about.providers
        {
            return Ok(Some(before));
        }
        self.write(&about, snapshot)?;
        tracing::debug!(path = %self.path.display(), users = snapshot.user_count(), "snapshot file written");
        Ok(Some(Written {
            about,
            fingerprint,
            at: Instant::now(),
        }))
    }
}

/// How long ago the directory was read from authentik.
fn age(about: &ContentsHeader, now: SystemTime) -> Duration {
    now.duration_since(time_of(about)).unwrap_or_default()
}

fn time_of(about: &ContentsHeader) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_secs(about.read))
        .unwrap_or(UNIX_EPOCH)
}

/// Opening a FIFO would wait for ever, and a device must not be replaced by a file.
fn ensure_file(path: &Path) -> Result<(), FileError> {
    match fs::metadata(path)?.is_file() {
        true => Ok(()),
        false => Err(FileError::NoFile),
    }
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
    match ensure_file(path) {
        Err(error) if !error.is_missing() => return Err(error),
        _ => {}
    }
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

#[cfg(test)]
mod tests;
