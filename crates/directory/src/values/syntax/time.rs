//! Generalized time (RFC 4517 section 3.3.13) as an instant.
//!
//! Read here because no time library reads all of its forms: minutes and seconds may be missing, the fraction may be of an hour or
//! a minute and stand behind a comma, an offset may lack its minutes. It is also read once for each value that is compared; why
//! the calendar is no library's either is said [there](crate::values::calendar). Must not know which attributes are times.

use crate::values::calendar::{SECONDS_PER_DAY, days_from_epoch, days_in_month};

/// A point in time: whole seconds since 1970-01-01 00:00 UTC, and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime {
    /// Seconds since the epoch; negative before it.
    pub seconds: i64,
    /// Nanoseconds after the second.
    pub nanoseconds: u32,
}

/// Digits of a fraction that are used; anything finer than nanoseconds is cut.
const FRACTION_DIGITS: usize = 9;

impl UnixTime {
    /// Twelve octets that sort as the instants do.
    #[must_use]
    pub fn key(self) -> [u8; 12] {
        // From the least to the greatest, seconds become numbers without a sign.
        let [s1, s2, s3, s4, s5, s6, s7, s8] = (self.seconds ^ i64::MIN).to_be_bytes();
        let [n1, n2, n3, n4] = self.nanoseconds.to_be_bytes();
        [s1, s2, s3, s4, s5, s6, s7, s8, n1, n2, n3, n4]
    }
}

/// Reads `YYYYMMDDHH[MM[SS]][(.|,)fraction](Z|±HH[MM])`. A missing zone, which RFC 4517 does not allow, is taken as
/// UTC: clients send it. A leap second is the second after it.
#[must_use]
pub fn parse_generalized_time(value: &[u8]) -> Option<UnixTime> {
    let mut reader = TimeReader(value.trim_ascii());
    let year = reader.digits(4)?;
    let month = reader.digits(2)?;
    let day = reader.digits(2)?;
    let hour = reader.digits(2)?;
    let minute = reader.optional_pair()?;
    let second = match minute {
        Some(_) => reader.optional_pair()?,
        None => None,
    };
    let valid = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour <= 23
        && minute.unwrap_or(0) <= 59
        && second.unwrap_or(0) <= 60;
    if !valid {
        return None;
    }
    // The fraction applies to the smallest unit given.
    let unit: i64 = match (minute, second) {
        (_, Some(_)) => 1,
        (Some(_), None) => 60,
        (None, _) => 3600,
    };
    let nanoseconds = reader.fraction()?.checked_mul(unit)?;
    let offset = reader.zone()?;
    let local = days_from_epoch(year, month, day)
        .checked_mul(SECONDS_PER_DAY)?
        .checked_add(hour * 3600 + minute.unwrap_or(0) * 60 + second.unwrap_or(0))?;
    Some(UnixTime {
        seconds: local
            .checked_sub(offset)?
            .checked_add(nanoseconds / 1_000_000_000)?,
        nanoseconds: u32::try_from(nanoseconds % 1_000_000_000).ok()?,
    })
}

struct TimeReader<'a>(&'a [u8]);

impl TimeReader<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let number = digits.iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i64::from(digit - b'0'))
        })?;
        self.0 = rest;
        Some(number)
    }

    /// Two digits if any digit follows; `None` if only one does.
    fn optional_pair(&mut self) -> Option<Option<i64>> {
        if self.0.first().is_some_and(u8::is_ascii_digit) {
            self.digits(2).map(Some)
        } else {
            Some(None)
        }
    }

    /// The fraction in billionths, 0 without one.
    fn fraction(&mut self) -> Option<i64> {
        let [b'.' | b',', rest @ ..] = self.0 else {
            return Some(0);
        };
        let length = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
        let (digits, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        if digits.is_empty() {
            return None;
        }
        let padded = digits.iter().copied().chain(std::iter::repeat(b'0'));
        Some(
            padded
                .take(FRACTION_DIGITS)
                .fold(0, |number, digit| number * 10 + i64::from(digit - b'0')),
        )
    }

    /// The offset from UTC in seconds; nothing may follow.
    fn zone(&mut self) -> Option<i64> {
        let (sign, rest) = match self.0 {
            [] | [b'Z' | b'z'] => return Some(0),
            [b'+', rest @ ..] => (1, rest),
            [b'-', rest @ ..] => (-1, rest),
            _ => return None,
        };
        self.0 = rest;
        let hours = self.digits(2)?;
        let minutes = self.optional_pair()?.unwrap_or(0);
        (self.0.is_empty() && hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
    }
}
