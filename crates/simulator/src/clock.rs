//! The simulator's clock and the way authentik writes times.
//!
//! The clock is the machine's plus an offset, so that a test can let sessions expire and one-time codes age without
//! waiting. Times are microseconds since the Unix epoch throughout the simulator.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MICROS: i64 = 1_000_000;
const DAY: i64 = 86_400;

/// A clock that can be set forward.
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

    /// Makes the clock show `at`; it runs on from there.
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
    let (seconds, fraction) = (at.div_euclid(MICROS), at.rem_euclid(MICROS));
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    if fraction == 0 {
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    } else {
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
    }
}

/// Reads an ISO 8601 time as a filter or a recording writes it: date, optional time, fraction and offset.
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    let text = text.trim();
    let mut date = text.get(..10)?.split('-');
    let year: i64 = date.next()?.parse().ok()?;
    let month: i64 = date.next()?.parse().ok()?;
    let day: i64 = date.next()?.parse().ok()?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let midnight = days_from_civil(year, month, day) * DAY;
    let rest = text.get(10..)?;
    if rest.is_empty() {
        return Some(midnight * MICROS);
    }
    let rest = rest.strip_prefix(['T', ' '])?;
    let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone_at);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.split(':');
    let hour: i64 = parts.next()?.parse().ok()?;
    let minute: i64 = parts.next()?.parse().ok()?;
    let second: i64 = parts.next().unwrap_or("0").parse().ok()?;
    let fraction: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let offset = match zone {
        "" | "Z" => 0,
        zone => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
            let hours: i64 = digits.get(..2)?.parse().ok()?;
            let minutes: i64 = digits.get(2..4).unwrap_or("00").parse().ok()?;
            sign * (hours * 3600 + minutes * 60)
        }
    };
    Some((midnight + hour * 3600 + minute * 60 + second - offset) * MICROS + fraction)
}

/// Days since the epoch to year, month, day (proleptic Gregorian).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month_index = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month_index + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
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
