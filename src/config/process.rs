//! What the process is told of itself: its build, and where its socket is. Knows these settings only.

use std::path::PathBuf;

use super::error::ConfigError;
use super::kind::{Optional, Path, Text, Unset};
use super::reader::SettingReader;
use super::setting::{Setting, official};
use super::strings::Strings;

/// The file name of the unix socket that serves health and metrics, in the directory named by `TMPDIR`.
const METRICS_SOCKET: &str = "authentik-metrics.sock";

pub(super) static BUILD_HASH: Setting<Optional<Text>> = official(
    "GIT_BUILD_HASH",
    Optional(Text),
    Unset,
    "Build hash reported to authentik and in the metrics.",
);

pub(super) static TEMPORARY_DIRECTORY: Setting<Path> = official(
    "TMPDIR",
    Path,
    "/tmp",
    "Directory of the socket `authentik-metrics.sock`, which the health check asks. /dev/shm in the image.",
);

/// The unix socket for health and metrics.
pub(super) fn read_metrics_socket(reader: &mut SettingReader<'_>) -> Result<PathBuf, ConfigError> {
    Ok(reader.value(&TEMPORARY_DIRECTORY)?.join(METRICS_SOCKET))
}

/// The unix socket for health and metrics, without needing any `AUTHENTIK_…` variable: `$TMPDIR` or `/tmp`.
///
/// # Errors
/// `TMPDIR` is not UTF-8 or points nowhere.
pub fn metrics_socket(strings: &dyn Strings) -> Result<PathBuf, ConfigError> {
    read_metrics_socket(&mut SettingReader::new(strings))
}
