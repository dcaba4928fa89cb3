//! Timestamps as authentik sends them (ISO 8601), as LDAP writes them (generalized time, RFC 4517 section 3.3.13).
//!
//! Must not know a clock.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

/// The instant of an ISO 8601 timestamp in microseconds since 1970-01-01T00:00:00Z; without an offset it is UTC.
/// `None` if it is not such a timestamp or lies outside the years 0 to 9999. A leap second counts as the one before it:
/// POSIX time has none.
pub fn parse_iso_8601(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text.trim_ascii()).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let local = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    let instant = offset.to_timestamp(local).ok()?;
    (0..=9999)
        .contains(&Offset::UTC.to_datetime(instant).year())
        .then(|| instant.as_microsecond())
}

/// `YYYYMMDDHHMMSSZ`, the fraction cut.
pub(crate) fn generalized_time(micros: i64) -> [u8; 15] {
    let time = utc(micros);
    let mut out = *b"00000000000000Z";
    let fields = [
        (0, 4, u16::try_from(time.year()).unwrap_or_default()),
        (4, 2, time.month().unsigned_abs().into()),
        (6, 2, time.day().unsigned_abs().into()),
        (8, 2, time.hour().unsigned_abs().into()),
        (10, 2, time.minute().unsigned_abs().into()),
        (12, 2, time.second().unsigned_abs().into()),
    ];
    for (start, width, mut value) in fields {
        for place in (start..start + width).rev() {
            out[place] = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
    out
}

/// `YYYY-MM-DDTHH:MM:SSZ`, the fraction cut.
#[must_use]
pub fn iso_8601(micros: i64) -> String {
    format!("{:.0}", floor(micros))
}

/// The nearest instant that can be written.
fn floor(micros: i64) -> Timestamp {
    let limit = if micros < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(micros.div_euclid(1_000_000)).unwrap_or(limit)
}

fn utc(micros: i64) -> DateTime {
    Offset::UTC.to_datetime(floor(micros))
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
