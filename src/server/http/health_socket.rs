//! The unix socket of the health check: `authentik-metrics.sock` in TMPDIR, which is often a directory where everybody
//! may write. So neither side accepts a file there that belongs to somebody else.
//!
//! Knows the file and its owner; must not know what is spoken.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use thiserror::Error;
use tokio::net::UnixListener;

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum HealthSocketError {
    /// A file of that name belongs to another user.
    #[error(
        "{path} belongs to {owner}, not to {user}: remove it, or set TMPDIR to a directory that is only {user}'s, for the \
         server and its health check alike",
        path = path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: String,
        /// Who we are.
        user: String,
    },
    /// A file of that name is not a socket.
    #[error("{path} is not a socket: remove it, or set TMPDIR to another directory", path = path.display())]
    NoSocket {
        /// The file.
        path: PathBuf,
    },
    /// No socket can have such a long path.
    #[error(
        "{path} has {length} octets, more than the path of a unix socket may have: set TMPDIR to a shorter directory",
        path = path.display(), length = path.as_os_str().len()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses it.
    #[error("{path}: {source}; set TMPDIR to a writable directory", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The socket, open.
pub(super) struct HealthSocket {
    pub(super) listener: UnixListener,
    pub(super) _file: SocketFile,
}

impl HealthSocket {
    /// Opens the socket in place of one that an earlier process of the same user left behind.
    pub(super) fn open(path: &Path) -> Result<Self, HealthSocketError> {
        let failed = |source| HealthSocketError::Io {
            path: path.to_owned(),
            source,
        };
        if check_owner(path)? {
            fs::remove_file(path).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let metadata = fs::symlink_metadata(path).map_err(failed)?;
        let file = SocketFile {
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
        };
        Ok(Self {
            listener,
            _file: file,
        })
    }
}

/// Makes sure that the file, if there is one, is a socket of our own user. Returns whether there is one.
///
/// # Errors
/// When it is somebody else's, or not a socket, or cannot be one.
pub fn check_owner(path: &Path) -> Result<bool, HealthSocketError> {
    if SocketAddr::from_pathname(path).is_err() {
        return Err(HealthSocketError::TooLong {
            path: path.to_owned(),
        });
    }
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => {
            return Err(HealthSocketError::Io {
                path: path.to_owned(),
                source,
            });
        }
    };
    let user = geteuid().as_raw();
    if metadata.uid() != user {
        return Err(HealthSocketError::Foreign {
            path: path.to_owned(),
            owner: name_of(metadata.uid()),
            user: name_of(user),
        });
    }
    if !metadata.file_type().is_socket() {
        return Err(HealthSocketError::NoSocket {
            path: path.to_owned(),
        });
    }
    Ok(true)
}

/// A user by number, and by name where `/etc/passwd` has one.
fn name_of(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = uid.to_string();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then_some(name)
    });
    match name {
        Some(name) => format!("user {uid} ({name})"),
        None => format!("user {uid}"),
    }
}

/// The file of an open socket; removed when this is dropped, unless another process has put its own in its place.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_an_earlier_process_left_is_replaced_and_what_a_later_one_made_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authentik-metrics.sock");
        let first = HealthSocket::open(&path).unwrap();
        let second = HealthSocket::open(&path).unwrap();
        drop(first);
        assert!(check_owner(&path).unwrap(), "the second one's stays");
        drop(second);
        assert!(!check_owner(&path).unwrap(), "nothing is left behind");
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authentik-metrics.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(
            HealthSocket::open(&path),
            Err(HealthSocketError::NoSocket { .. })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn users_are_named() {
        assert_eq!(name_of(0), "user 0 (root)");
        assert_eq!(name_of(3_999_999_999), "user 3999999999");
    }
}
