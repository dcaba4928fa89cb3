//! Timestamps as LDAP writes them (generalized time, RFC 4517 section 3.3.13).
//!
//! Must not know a clock.

use std::num::NonZeroU64;

use crate::values::calendar::{SECONDS_PER_DAY, date_of_day};

/// An instant in microseconds since 1970-01-01T00:00:00Z, kept so that an optional one takes no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredTime(NonZeroU64);

/// What the least number that is kept becomes: 0, which stands for no instant.
const SIGN: u64 = 1 << 63;

/// Stands for "no instant" where one is written as a number: the one number that is not an instant.
const NONE: i64 = i64::MIN;

impl StoredTime {
    /// `None` for the least number, which is long before the year 0.
    pub(crate) fn new(micros: i64) -> Option<Self> {
        NonZeroU64::new(micros.cast_unsigned() ^ SIGN).map(Self)
    }

    pub(crate) fn micros(self) -> i64 {
        (self.0.get() ^ SIGN).cast_signed()
    }

    /// Eight octets, different ones for all instants and for none; [`new`](Self::new) reads the number that they are.
    pub(crate) fn octets(of: Option<Self>) -> [u8; 8] {
        of.map_or(NONE, Self::micros).to_le_bytes()
    }
}

/// `YYYYMMDDHHMMSSZ`, the fraction cut; `None` outside the years 0 to 9999, which have no such form.
pub(crate) fn generalized_time(micros: i64) -> Option<[u8; 15]> {
    let seconds = micros.div_euclid(1_000_000);
    let (year, month, day) = date_of_day(seconds.div_euclid(SECONDS_PER_DAY));
    if !(0..=9999).contains(&year) {
        return None;
    }
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let digit = |value: i64| b'0'.wrapping_add(value.rem_euclid(10).to_le_bytes()[0]);
    let pair = |value: i64| [digit(value / 10), digit(value)];
    let ([y1, y2], [y3, y4]) = (pair(year / 100), pair(year));
    let [[o1, o2], [d1, d2]] = [month, day].map(pair);
    let [[h1, h2], [m1, m2], [s1, s2]] = [second / 3600, second / 60 % 60, second % 60].map(pair);
    Some([y1, y2, y3, y4, o1, o2, d1, d2, h1, h2, m1, m2, s1, s2, b'Z'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_become_generalized_time_without_their_fraction() {
        for (micros, expected) in [
            (1_795_426_867_999_999, "20261123094107Z"),
            (-500_000, "19691231235959Z"),
            (-62_135_596_800_000_000, "00010101000000Z"),
            (1_709_251_199_000_000, "20240229235959Z"),
        ] {
            let time = generalized_time(micros).unwrap();
            assert_eq!(String::from_utf8_lossy(&time), expected);
        }
        // A year before 0 or with five digits would be taken for another one.
        let (first, behind) = (-62_167_219_200_000_000, 253_402_300_800_000_000);
        assert!(generalized_time(first).is_some() && generalized_time(behind - 1).is_some());
        for micros in [i64::MIN, first - 1, behind, i64::MAX] {
            assert_eq!(generalized_time(micros), None, "{micros}");
        }
    }

    #[test]
    fn an_optional_instant_takes_no_more_room_than_a_number() {
        assert_eq!(size_of::<Option<StoredTime>>(), size_of::<i64>());
        assert_eq!(StoredTime::new(i64::MIN), None);
        for micros in [i64::MIN + 1, -1, 0, 1, i64::MAX] {
            let time = StoredTime::new(micros);
            assert_eq!(time.map(StoredTime::micros), Some(micros));
            assert_eq!(StoredTime::octets(time), micros.to_le_bytes());
        }
        let none = i64::from_le_bytes(StoredTime::octets(None));
        assert_eq!(StoredTime::new(none), None);
    }
}
