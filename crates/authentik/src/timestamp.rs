//! A moment as authentik writes it in its rows, decoded where it arrives.
//!
//! Must not know a clock, or how anybody else writes times.

use std::fmt;

use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer};

const MICROS: i64 = 1_000_000;

/// A moment, or none if authentik sends null, an empty text or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(Option<i64>);

impl Timestamp {
    /// The moment this many microseconds after 1970-01-01T00:00:00Z.
    pub fn at(micros: i64) -> Self {
        Self(Some(micros))
    }

    /// Reads ISO 8601; without an offset it is UTC. `None` if it is not such a time or is outside the years 0 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Some(Self(None));
        }
        let pieces = Pieces::parse(text).ok()?;
        let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
        let local = pieces.date().to_datetime(pieces.time().unwrap_or_default());
        let at = offset.to_timestamp(local).ok()?;
        (0..=9999)
            .contains(&Offset::UTC.to_datetime(at).year())
            .then(|| Self::at(at.as_microsecond()))
    }

    /// `YYYY-MM-DDTHH:MM:SSZ`, as a filter of the API accepts it, with the fraction cut; empty if there is no moment.
    pub fn whole_second(self) -> String {
        let second = |micros: i64| jiff::Timestamp::from_second(micros.div_euclid(MICROS)).ok();
        self.0
            .and_then(second)
            .map_or_else(String::new, |second| second.to_string())
    }

    /// Microseconds since 1970-01-01T00:00:00Z; `None` where authentik names no moment.
    pub fn micros(self) -> Option<i64> {
        self.0
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimestampVisitor;
        impl serde::de::Visitor<'_> for TimestampVisitor {
            type Value = Timestamp;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a time in ISO 8601")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse(text)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(TimestampVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        Timestamp::parse(text).and_then(Timestamp::micros).expect(text)
    }

    #[test]
    fn iso_8601_becomes_utc_seconds() {
        for (text, expected) in [
            ("2026-11-23T09:41:07.999999Z", "2026-11-23T09:41:07Z"),
            ("2026-11-23T01:41:07+02:30", "2026-11-22T23:11:07Z"),
            ("2024-02-29T23:59:59-0100", "2024-03-01T00:59:59Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z"),
            ("2000-01-01", "2000-01-01T00:00:00Z"),
            ("0001-01-01T00:00Z", "0001-01-01T00:00:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::at(micros(text)).whole_second(), expected, "{text}");
        }
    }

    #[test]
    fn seconds_are_written_as_they_are_read() {
        let at = micros("2024-02-29T23:59:58.7Z");
        let written = Timestamp::at(at).whole_second();
        assert_eq!(written, "2024-02-29T23:59:58Z");
        assert_eq!(micros(&written), at - 700_000);
    }

    #[test]
    fn what_is_not_a_timestamp_is_refused() {
        for text in [
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
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn microseconds_survive() {
        assert_eq!(micros("1970-01-01T00:00:00.000001Z"), 1);
        assert_eq!(micros("1970-01-01T00:00:01.1234569Z"), 1_123_456);
    }

    #[test]
    fn nothing_is_no_moment() {
        for json in ["\"\"", "\" \""] {
            assert_eq!(serde_json::from_str::<Timestamp>(json).unwrap().micros(), None);
        }
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
        assert_eq!(
            serde_json::from_str::<Timestamp>("\"1970-01-01T00:00:00Z\"").unwrap(),
            Timestamp::at(0)
        );
    }
}
