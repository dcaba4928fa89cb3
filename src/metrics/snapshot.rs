//! What the metrics say about the directory being served.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::gauge::gauge;

/// The installed snapshot. The age, and whether that makes it stale, is worked out when asked for.
#[derive(Debug, Default)]
pub(super) struct SnapshotCollector {
    users: AtomicU64,
    groups: AtomicU64,
    /// Unix time of the newest look that it reflects; 0 while nothing is loaded.
    read_milliseconds: AtomicU64,
    /// The age from which it is stale: 0 if it comes from the snapshot file.
    stale_after_milliseconds: AtomicU64,
    octets: AtomicU64,
    alive: AtomicU64,
}

impl SnapshotCollector {
    pub(super) fn installed(&self, users: usize, groups: usize) {
        self.users
            .store(users.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        self.groups
            .store(groups.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn held(&self, octets: usize, alive: usize) {
        self.octets
            .store(octets.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        self.alive
            .store(alive.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// `stale_after`: `None` where an earlier process read it.
    pub(super) fn read(&self, at: SystemTime, stale_after: Option<Duration>) {
        let stale_after = stale_after.map_or(0, milliseconds);
        self.stale_after_milliseconds
            .store(stale_after, Ordering::Relaxed);
        let at = milliseconds(at.duration_since(UNIX_EPOCH).unwrap_or_default());
        self.read_milliseconds.store(at, Ordering::Relaxed);
    }
}

fn milliseconds(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

impl Collector for SnapshotCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let read = self.read_milliseconds.load(Ordering::Relaxed);
        if read == 0 {
            return Ok(());
        }
        let stale_after = self.stale_after_milliseconds.load(Ordering::Relaxed);
        let age = SystemTime::now()
            .duration_since(UNIX_EPOCH + Duration::from_millis(read))
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
            "akldap_snapshot_bytes",
            "Memory that the served directory takes",
            self.octets.load(Ordering::Relaxed),
        )?;
        gauge(
            &mut encoder,
            "akldap_snapshots_alive",
            "Directories in memory: the one served, and older ones that searches still read",
            self.alive.load(Ordering::Relaxed),
        )?;
        gauge(
            &mut encoder,
            "akldap_snapshot_stale",
            "1 while the served directory is older than two intervals and a minute, or comes from the \
             snapshot file",
            u64::from(milliseconds(age) > stale_after || stale_after == 0),
        )?;
        gauge(
            &mut encoder,
            "akldap_snapshot_age_seconds",
            "Seconds since the newest look at authentik that the served directory reflects",
            age.as_secs_f64(),
        )
    }
}
