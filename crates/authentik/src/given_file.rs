//! A file that an option names, read whole.
//!
//! What is named need not be on a disk: `/dev/stdin`, the shell's `<(…)`, a FIFO, a device. Such a file may have no end, or nobody who
//! writes to it, so there is a limit to what is read and to how long. Must not know what is in the file.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// How long a file may take to end. A program that writes to a pipe may ask somebody for a passphrase first.
const PATIENCE: Duration = Duration::from_secs(60);
/// A shorter time, for a command that ends within one.
static LIMIT: OnceLock<Duration> = OnceLock::new();

/// Octets read at once.
const CHUNK: usize = 16 << 10;
/// What some editors write before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Lets no file take longer than this from now on. For the beginning of a command; the first limit stays.
pub fn limit_patience(limit: Duration) {
    let _ = LIMIT.set(limit);
}

/// How long a file may take.
#[must_use]
pub fn patience() -> Duration {
    LIMIT.get().map_or(PATIENCE, |limit| PATIENCE.min(*limit))
}

/// The whole file, if it has at most this many octets and ends within this time. With no patience, only what is there at
/// once is read. The end of a FIFO is when somebody has written to it and nobody does any more.
///
/// # Errors
/// The system's, or one that names the limit which was reached.
pub fn read(path: &Path, most: usize, patience: Duration) -> io::Result<Zeroizing<Vec<u8>>> {
    // Opening a FIFO would otherwise wait for somebody who writes to it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let mut file = File::from(open(path, flags, Mode::empty())?);
    let kind = file.metadata()?.file_type();
    let until = Instant::now() + patience;
    let mut octets = Zeroizing::new(Vec::with_capacity(CHUNK));
    let mut chunk = Zeroizing::new([0; CHUNK]);
    loop {
        let must_wait = match file.read(chunk.as_mut_slice()) {
            // Nobody has begun to write yet, or nobody ever will.
            Ok(0) if octets.is_empty() && kind.is_fifo() => true,
            Ok(0) => return Ok(octets),
            Ok(count) => {
                append(&mut octets, chunk.get(..count).unwrap_or_default());
                if octets.len() > most {
                    return Err(io::Error::other(format!("it is larger than {}", size(most))));
                }
                false
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => true,
            Err(error) if error.kind() == ErrorKind::Interrupted => false,
            Err(error) => return Err(error),
        };
        if must_wait {
            // What is there at once is read whatever time it takes: its octets are limited.
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late(octets.is_empty(), patience));
            }
            if !is_coming(&file, left)? {
                return Ok(octets);
            }
        }
    }
}

/// The octets without the mark that some editors write before a text.
#[must_use]
pub fn without_mark(octets: &[u8]) -> &[u8] {
    octets.strip_prefix(BYTE_ORDER_MARK).unwrap_or(octets)
}

/// Waits until there is something to read, or for this long; `false`: there never will be.
fn is_coming(file: &File, limit: Duration) -> io::Result<bool> {
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    let mut waited = [PollFd::new(file, PollFlags::IN)];
    match poll(&mut waited, Some(&limit)) {
        Ok(0) | Err(Errno::INTR) => Ok(true),
        Ok(_) => {
            let [found] = waited.map(|found| found.revents());
            Ok(found.contains(PollFlags::IN))
        }
        Err(error) => Err(error.into()),
    }
}

/// Appends without leaving a copy in memory that was given back.
fn append(octets: &mut Zeroizing<Vec<u8>>, more: &[u8]) {
    if octets.capacity() - octets.len() < more.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity(octets.capacity() * 2));
        larger.extend_from_slice(octets);
        *octets = larger;
    }
    octets.extend_from_slice(more);
}

fn late(is_silent: bool, patience: Duration) -> io::Error {
    let seconds = patience.as_secs();
    let what = if is_silent {
        "nothing came from it"
    } else {
        "it did not end"
    };
    io::Error::other(format!("{what} within {seconds} s"))
}

fn size(octets: usize) -> String {
    match octets >> 20 {
        0 => format!("{} KiB", octets >> 10),
        mebibytes => format!("{mebibytes} MiB"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    use std::path::PathBuf;

    use super::*;

    /// So little that waiting for it is no matter.
    const MOMENT: Duration = Duration::from_millis(20);
    /// Never reached, however busy the machine is.
    const EVER: Duration = Duration::from_secs(24 * 60 * 60);

    fn told(path: impl Into<PathBuf>, most: usize, patience: Duration) -> String {
        read(&path.into(), most, patience)
            .expect_err("a limit")
            .to_string()
    }

    fn fifo(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo").success());
        path
    }

    #[test]
    fn a_file_has_as_many_octets_as_it_may_have_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("..data"), folder.path().join("token"));
        let contents = b"0123456789".repeat(3000);
        std::fs::write(&file, &contents).unwrap();
        // As Kubernetes mounts secrets.
        std::os::unix::fs::symlink("..data", &link).unwrap();
        assert_eq!(*read(&link, 30_000, Duration::ZERO).unwrap(), contents);
        assert_eq!(told(&file, 28 << 10, EVER), "it is larger than 28 KiB");
        std::fs::write(&file, b"").unwrap();
        assert!(read(&link, 0, Duration::ZERO).unwrap().is_empty());
        assert!(
            read(&folder.path().join("none"), 1, EVER)
                .is_err_and(|error| error.kind() == ErrorKind::NotFound)
        );
        assert!(read(folder.path(), 1, EVER).is_err(), "a folder");
    }

    #[test]
    fn a_device_without_an_end_is_given_up() {
        assert_eq!(told("/dev/zero", 1 << 20, EVER), "it is larger than 1 MiB");
        assert!(read(Path::new("/dev/null"), 1, EVER).unwrap().is_empty());
    }

    #[test]
    fn a_pipe_is_read_until_nobody_writes_to_it() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        writer.write_all(b"se").unwrap();
        let writing = std::thread::spawn(move || {
            std::thread::sleep(MOMENT);
            writer.write_all(b"cret").unwrap();
        });
        assert_eq!(**read(&path, 6, EVER).unwrap(), *b"secret");
        writing.join().unwrap();
        // Whoever wrote has left without a word.
        assert!(read(&path, 6, EVER).unwrap().is_empty());
    }

    #[test]
    fn a_fifo_waits_for_whoever_writes_to_it_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(&folder);
        assert_eq!(told(&path, 9, MOMENT), "nothing came from it within 0 s");
        assert_eq!(told(&path, 9, Duration::ZERO), "nothing came from it within 0 s");
        let writing = std::thread::spawn({
            let path = path.clone();
            move || std::fs::write(path, b"secret").unwrap()
        });
        assert_eq!(**read(&path, 9, EVER).unwrap(), *b"secret");
        writing.join().unwrap();
        let _silent = File::options().read(true).write(true).open(&path).unwrap();
        (&_silent).write_all(b"half").unwrap();
        assert_eq!(told(&path, 9, MOMENT), "it did not end within 0 s");
    }
}
