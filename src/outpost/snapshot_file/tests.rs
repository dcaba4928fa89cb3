//! The file on a disk: replaced in one step, for its owner only, and ignored when it is not ours or too old.

use std::os::unix::fs::PermissionsExt as _;

use secrecy::SecretString;

use super::*;
use akldap_directory::Builder;
use akldap_directory::{CustomPolicy, UserRecord};

const HOST: &str = "https://authentik.example.org/";

fn file(folder: &Path, token: &str) -> SnapshotFile {
    SnapshotFile {
        policy: CustomPolicy::default(),
        path: folder.join("directory"),
        host: HOST.to_owned(),
        secret: ArcSwap::from_pointee(FileSecret::new(&SecretString::from(token), HOST)),
        due: Notify::new(),
    }
}

fn snapshot(username: &str) -> Snapshot {
    let mut builder = Builder::new();
    builder.add_user(&UserRecord {
        pk: 1,
        username,
        ..UserRecord::default()
    });
    builder.finish().unwrap().0
}

fn about(read: u64) -> ContentsHeader {
    ContentsHeader {
        read,
        ..ContentsHeader::default()
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_whole_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), "token");
    assert!(file.read(at(0)).unwrap_err().is_missing());
    // What a killed process left behind, with other rights.
    fs::write(temporary(&file.path), "half").unwrap();
    for username in ["alice", "bob"] {
        file.write(&about(100), &snapshot(username)).unwrap();
        let (found, restored) = file.read(at(200)).unwrap();
        assert_eq!(found, about(100));
        assert_eq!(restored.fingerprint(), snapshot(username).fingerprint());
        let mode = fs::metadata(&file.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["directory"]);
    }
    let octets = fs::read(&file.path).unwrap();
    assert!(!octets.windows(3).any(|window| window == b"bob"));
}

#[test]
fn what_is_written_after_a_token_was_replaced_opens_with_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let running = file(folder.path(), "old");
    running.write(&about(100), &snapshot("alice")).unwrap();
    running.take_token(&SecretString::from("new"));
    // What is there opens with the old token only; the running process has no need to read it again.
    assert!(file(folder.path(), "new").read(at(200)).is_err());
    running.write(&about(150), &snapshot("alice")).unwrap();
    assert!(file(folder.path(), "new").read(at(200)).is_ok());
    assert!(file(folder.path(), "old").read(at(200)).is_err());
}

#[test]
fn a_failed_write_keeps_the_file_there_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), "token");
    file.write(&about(100), &snapshot("alice")).unwrap();
    let failed = replace(&file.path, |mut out| {
        out.write_all(b"half")?;
        Err(FileError::Random)
    });
    assert!(failed.is_err());
    assert!(file.read(at(100)).is_ok());
    assert_eq!(names(folder.path()), ["directory"]);
    // A folder in its place cannot be replaced by a file.
    fs::remove_file(&file.path).unwrap();
    fs::create_dir(&file.path).unwrap();
    assert!(file.write(&about(100), &snapshot("alice")).is_err());
    assert_eq!(names(folder.path()), ["directory"]);
    let nowhere = self::file(&folder.path().join("missing"), "token");
    assert!(nowhere.write(&about(100), &snapshot("alice")).is_err());
}

#[test]
fn what_is_no_file_is_neither_replaced_nor_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), "token");
    let made = std::process::Command::new("mkfifo").arg(&file.path).status();
    assert!(made.unwrap().success());
    for _ in 0..2 {
        let error = file.write(&about(100), &snapshot("alice")).unwrap_err();
        assert!(matches!(error, FileError::NoFile), "{error}");
        let error = file.read(at(100)).unwrap_err();
        assert!(matches!(error, FileError::NoFile), "{error}");
        assert_eq!(names(folder.path()), ["directory"]);
        fs::remove_file(&file.path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &file.path).unwrap();
    }
}

#[test]
fn a_link_in_the_place_of_the_temporary_file_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), "token");
    let precious = folder.path().join("precious");
    fs::write(&precious, "keep me").unwrap();
    std::os::unix::fs::symlink(&precious, temporary(&file.path)).unwrap();
    file.write(&about(100), &snapshot("alice")).unwrap();
    assert_eq!(fs::read_to_string(&precious).unwrap(), "keep me");
    assert_eq!(names(folder.path()), ["directory", "precious"]);
}

#[test]
fn another_outposts_file_and_an_old_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "token")
        .write(&about(1000), &snapshot("alice"))
        .unwrap();
    let refused = file(folder.path(), "other").read(at(1000)).unwrap_err();
    assert!(refused.to_string().contains("another token"), "{refused}");
    let same = file(folder.path(), "token");
    let limit = 1000 + MAX_AGE.as_secs();
    assert!(same.read(at(limit)).is_ok());
    assert!(matches!(same.read(at(limit + 1)), Err(FileError::Outdated)));
    assert!(same.read(at(0)).is_ok(), "setting the clock back does no harm");
}

#[test]
fn whatever_is_done_to_a_file_it_is_refused_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), "token");
    file.write(&about(100), &snapshot("alice")).unwrap();
    let whole = fs::read(&file.path).unwrap();
    for end in 0..whole.len() {
        fs::write(&file.path, &whole[..end]).unwrap();
        assert!(file.read(at(100)).is_err(), "cut at {end}");
    }
    for position in 0..whole.len() {
        let mut changed = whole.clone();
        changed[position] ^= 1 << (position % 8);
        fs::write(&file.path, &changed).unwrap();
        assert!(file.read(at(100)).is_err(), "changed at {position}");
    }
}

#[test]
fn a_damaged_directory_does_not_replace_the_file_there_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), "token");
    let whole = snapshot("alice");
    file.write(&about(100), &whole).unwrap();
    let damaged = snapshot("alice").damaged_for_tests();
    assert!(matches!(
        file.write(&about(200), &damaged),
        Err(FileError::Damaged(WrongNumber::Octets))
    ));
    let (found, restored) = file.read(at(200)).unwrap();
    assert_eq!((found.read, restored.fingerprint()), (100, whole.fingerprint()));
}
