//! Timestamps as authentik sends them (ISO 8601), as LDAP writes them (generalized time, RFC 4517 section 3.3.13).
//!
//! Must not know a clock.

use crate::values::calendar::{SECONDS_PER_DAY, date_of_day, days_from_epoch, days_in_month};

/// The instant of an ISO 8601 timestamp in microseconds since 1970-01-01T00:00:00Z; without an offset it is UTC.
/// `None` if it is not such a timestamp or lies outside the years 0 to 9999.
pub fn parse_iso_8601(text: &str) -> Option<i64> {
    let bytes = text.trim_ascii().as_bytes();
    let (date, time) = bytes.split_at_checked(10)?;
    let [year @ .., b'-', month_1, month_2, b'-', day_1, day_2] = date else {
        return None;
    };
    let (year, month, day) = (
        number(year)?,
        number(&[*month_1, *month_2])?,
        number(&[*day_1, *day_2])?,
    );
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let (micros, offset) = match time.split_first() {
        None => (0, 0),
        Some((b'T' | b't' | b' ', time)) => parse_time(time)?,
        Some(_) => return None,
    };
    let seconds = days_from_epoch(year, month, day) * SECONDS_PER_DAY - offset;
    let micros = seconds * 1_000_000 + micros;
    (0..=9999)
        .contains(&date_of_day(micros.div_euclid(1_000_000 * SECONDS_PER_DAY)).0)
        .then_some(micros)
}

/// Microseconds since midnight, and the offset from UTC in seconds.
fn parse_time(time: &[u8]) -> Option<(i64, i64)> {
    let (clock, rest) = time.split_at_checked(5)?;
    let [h1, h2, b':', m1, m2] = clock else {
        return None;
    };
    let (hour, minute) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (number(&[*s1, *s2])?, rest),
        _ => (0, rest),
    };
    let (fraction, rest) = match rest {
        [b'.' | b',', rest @ ..] => {
            let end = rest
                .iter()
                .position(|octet| !octet.is_ascii_digit())
                .unwrap_or(rest.len());
            let (digits, rest) = rest.split_at_checked(end).filter(|_| end > 0)?;
            let micros = (0..6).fold(0, |micros, place| {
                micros * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0'))
            });
            (micros, rest)
        }
        _ => (0, rest),
    };
    let offset = match rest {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, rest @ ..] => {
            let minutes = match rest {
                [] => 0,
                [b':', m1, m2] | [m1, m2] => number(&[*m1, *m2])?,
                _ => return None,
            };
            let offset = number(&[*h1, *h2])? * 3600 + minutes * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    // A leap second counts as the one before it: POSIX time has none.
    if hour > 23 || minute > 59 || second > 60 || offset.abs() > SECONDS_PER_DAY {
        return None;
    }
    Some((
        (hour * 3600 + minute * 60 + second.min(59)) * 1_000_000 + fraction,
        offset,
    ))
}

/// `YYYYMMDDHHMMSSZ`, the fraction cut.
pub(crate) fn generalized_time(micros: i64) -> [u8; 15] {
    let seconds = micros.div_euclid(1_000_000);
    let (year, month, day) = date_of_day(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let mut out = *b"00000000000000Z";
    let fields = [
        (0, 4, year),
        (4, 2, month),
        (6, 2, day),
        (8, 2, second / 3600),
        (10, 2, second / 60 % 60),
        (12, 2, second % 60),
    ];
    for (start, width, mut value) in fields {
        for place in (start..start + width).rev() {
            out[place] = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
    out
}

/// `YYYY-MM-DDTHH:MM:SSZ`, the fraction cut. Years outside 0 to 9999 lose digits.
#[must_use]
pub fn iso_8601(micros: i64) -> String {
    let digits = generalized_time(micros);
    let text = String::from_utf8_lossy(&digits);
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4),
        part(4..6),
        part(6..8),
        part(8..10),
        part(10..12),
        part(12..14)
    )
}

fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    digits.iter().try_fold(0, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + i64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(text: &str) -> Option<String> {
        parse_iso_8601(text).map(|micros| String::from_utf8(generalized_time(micros).to_vec()).unwrap())
    }

    #[test]
    fn iso_8601_becomes_utc_seconds() {
        for (text, expected) in [
            ("2026-11-23T09:41:07.999999Z", "20261123094107Z"),
            ("2026-11-23T01:41:07+02:30", "20261122231107Z"),
            ("2024-02-29T23:59:59-0100", "20240301005959Z"),
            ("1969-12-31T23:59:59.5Z", "19691231235959Z"),
            ("2000-01-01", "20000101000000Z"),
            ("0001-01-01T00:00Z", "00010101000000Z"),
            ("2016-12-31T23:59:60Z", "20161231235959Z"),
        ] {
            assert_eq!(convert(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn seconds_are_written_as_they_are_read() {
        let micros = parse_iso_8601("2024-02-29T23:59:58.7Z").unwrap();
        assert_eq!(iso_8601(micros), "2024-02-29T23:59:58Z");
        assert_eq!(parse_iso_8601(&iso_8601(micros)), Some(micros - 700_000));
    }

    #[test]
    fn what_is_not_a_timestamp_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1",
            "2026-01-01X00:00:00Z",
            "-001-01-01T00:00:00Z",
            "2026-01-01T00:00:00+99:00",
            "0000-01-01T00:00:00+01:00",
        ] {
            assert_eq!(convert(text), None, "{text}");
        }
    }

    #[test]
    fn microseconds_survive() {
        let parse = |text| parse_iso_8601(text).unwrap();
        assert_eq!(parse("1970-01-01T00:00:00.000001Z"), 1);
        assert_eq!(parse("1970-01-01T00:00:01.1234569Z"), 1_123_456);
    }
}
