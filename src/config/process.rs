//! What the process is told about itself: its build, and where its socket is. Knows these settings
//! only.

use std::path::PathBuf;

use super::error::ConfigError;
use super::kind::{Optional, Path, Text, Unset};
use super::reader::SettingReader;
use super::setting::{Setting, official, own};

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
    "Directory of the socket `authentik-metrics.sock`, which the health check uses. /dev/shm in the image.",
);

pub(super) static CONFIG_FILE: Setting<Optional<Path>> = own(
    "AUTHENTIK_LDAP__CONFIG_FILE",
    "config-file",
    Optional(Path),
    Unset,
    "TOML file with any of these options, for all providers or for one. Flags and variables win over it. Read at start and on SIGHUP; docs/configuration.md describes it.",
);

/// The unix socket for health and metrics.
pub(super) fn read_metrics_socket(reader: &mut SettingReader<'_>) -> Result<PathBuf, ConfigError> {
    Ok(reader.value(&TEMPORARY_DIRECTORY)?.join(METRICS_SOCKET))
}
