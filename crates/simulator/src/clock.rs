//! The simulator's clock and the way authentik writes times.
//!
//! The clock is the machine's plus an offset, so that a test can let sessions expire and one-time codes age without
//! waiting. Times are microseconds since the Unix epoch throughout the simulator.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

const MICROS: i64 = 1_000_000;

/// A clock that can be advanced.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset: AtomicI64,
}

impl Clock {
    /// Microseconds since the epoch.
    pub(crate) fn now(&self) -> i64 {
        machine_now().saturating_add(self.offset.load(Ordering::Relaxed))
    }

    /// Moves the clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.offset.fetch_add(micros(by), Ordering::Relaxed);
    }

    /// Makes the clock show `at`; it continues from there.
    pub(crate) fn set(&self, at: SystemTime) {
        let at = at.duration_since(UNIX_EPOCH).map(micros).unwrap_or_default();
        self.offset
            .store(at.saturating_sub(machine_now()), Ordering::Relaxed);
    }
}

fn machine_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(micros)
        .unwrap_or_default()
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A point in time for the HTTP date format.
pub(crate) fn system_time(at: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(at).unwrap_or_default())
}

/// `2026-01-02T03:04:05.123456Z`; the fraction is left out when it is zero.
pub(crate) fn iso(at: i64) -> String {
    let precision = if at % MICROS == 0 { 0 } else { 6 };
    Timestamp::from_microsecond(at).map_or_else(|_| String::new(), |at| format!("{at:.precision$}"))
}

/// Reads an ISO 8601 time as a filter or a recording writes it: date, optional time, fraction and offset; without an offset
/// it is UTC.
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text.trim()).ok()?;
    let time = pieces.time().unwrap_or_default();
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    let at = offset.to_timestamp(pieces.date().to_datetime(time)).ok()?;
    Some(at.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_the_same_instant() {
        for at in [
            0,
            1,
            951_782_400_000_000,
            1_795_438_952_765_075,
            1_798_031_444_161_924,
            4_102_444_799_000_000,
        ] {
            assert_eq!(parse_iso(&iso(at)), Some(at), "{}", iso(at));
        }
        assert_eq!(iso(951_782_400_000_000), "2000-02-29T00:00:00Z");
        assert_eq!(
            parse_iso("2026-11-23T14:02:32.765075+01:00"),
            parse_iso("2026-11-23T13:02:32.765075Z")
        );
        assert_eq!(parse_iso("2026-11-23 13:02"), parse_iso("2026-11-23T13:02:00Z"));
    }

    #[test]
    fn refuses_what_is_not_a_time() {
        for text in ["", "zz", "2026-13-01T00:00:00Z", "2026-01-01X", "2026-01-01T1"] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
    }

    #[test]
    fn can_be_set_and_moved() {
        let clock = Clock::default();
        clock.set(UNIX_EPOCH + Duration::from_secs(1000));
        clock.advance(Duration::from_secs(5));
        let now = clock.now();
        assert!((1_005_000_000..1_006_000_000).contains(&now), "{now}");
    }
}
