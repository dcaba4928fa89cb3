//! How often the directory is read, and where it is kept for the next start. Knows these settings only.

use std::time::Duration;

use super::kind::{Optional, Path, Unset};
use super::quantity::{Count, Interval};
use super::setting::{Setting, own};

pub(super) static REFRESH_DELTA_INTERVAL: Setting<Interval> = own(
    "AUTHENTIK_LDAP__REFRESH_DELTA_INTERVAL",
    "refresh-delta-interval",
    Interval {
        max: Duration::from_hours(24),
    },
    Some(Duration::from_secs(30)),
    "How often to look for changes in the directory, if the outpost's configuration asks for fewer refreshes. A password changed in authentik voids cached binds at the next look, so after this time plus that of the look. 0: only as often as the configuration says.",
);

pub(super) static REFRESH_FULL_EVERY: Setting<Count<u32>> = own(
    "AUTHENTIK_LDAP__REFRESH_FULL_EVERY",
    "refresh-full-every",
    Count { min: 1, max: 10_000 },
    12,
    "One refresh in this many reads the whole directory. The others read only what changed. 1: every refresh reads it.",
);

pub(super) static SNAPSHOT_FILE: Setting<Optional<Path>> = own(
    "AUTHENTIK_LDAP__SNAPSHOT_FILE",
    "snapshot-file",
    Optional(Path),
    Unset,
    "Keep the directory in this file too, encrypted with a key made from the token, and serve it after a restart until authentik's lists can be read again. One file for each process; unset: none.",
);
