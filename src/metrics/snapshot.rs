//! What the metrics say about the directory being served.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::gauge;

/// The installed snapshot. The age is worked out when asked for.
#[derive(Debug, Default)]
pub(super) struct SnapshotCollector {
    users: AtomicU64,
    groups: AtomicU64,
    /// Unix time; 0 while nothing is loaded.
    loaded_milliseconds: AtomicU64,
    /// It comes from the snapshot file.
    stale: AtomicBool,
}

impl SnapshotCollector {
    pub(super) fn installed(&self, users: usize, groups: usize, loaded: SystemTime, stale: bool) {
        self.stale.store(stale, Ordering::Relaxed);
        self.users
            .store(users.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        self.groups
            .store(groups.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        let milliseconds = loaded.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        self.loaded_milliseconds
            .store(milliseconds.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Collector for SnapshotCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let loaded = self.loaded_milliseconds.load(Ordering::Relaxed);
        if loaded == 0 {
            return Ok(());
        }
        let age = SystemTime::now()
            .duration_since(UNIX_EPOCH + Duration::from_millis(loaded))
            .unwrap_or_default();
        gauge(
            &mut encoder,
            "akldap_snapshot_users",
            "Users served",
            self.users.load(Ordering::Relaxed),
        )?;
        gauge(
            &mut encoder,
            "akldap_snapshot_groups",
            "Groups served",
            self.groups.load(Ordering::Relaxed),
        )?;
        gauge(
            &mut encoder,
            "akldap_snapshot_stale",
            "1 while the directory served comes from the snapshot file",
            u64::from(self.stale.load(Ordering::Relaxed)),
        )?;
        gauge(
            &mut encoder,
            "akldap_snapshot_age_seconds",
            "Seconds since the directory served was read from authentik",
            age.as_secs_f64(),
        )
    }
}
