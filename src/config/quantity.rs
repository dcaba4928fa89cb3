//! Numbers, sizes and durations, each with a range.

use std::fmt::Display;
use std::time::Duration;

use super::setting::ValueKind;
use super::value::{self, Unreadable};

/// The largest duration any setting takes.
pub(super) const YEAR: Duration = Duration::from_hours(365 * 24);

/// A number in a range.
#[derive(Debug)]
pub(super) struct Count<N> {
    /// Smallest.
    pub(super) min: N,
    /// Largest.
    pub(super) max: N,
}

impl<N> ValueKind for Count<N>
where
    N: TryFrom<u64> + PartialOrd + Copy + Display + Sync + 'static,
{
    type Value = N;
    type Default = N;
    const PLACEHOLDER: &'static str = "N";

    fn expected(&self) -> String {
        format!("a number from {} to {}", self.min, self.max)
    }

    fn read(&self, text: &str) -> Result<N, Unreadable> {
        N::try_from(value::count(text)?)
            .ok()
            .filter(|number| (self.min..=self.max).contains(number))
            .ok_or(Unreadable::PLAIN)
    }

    fn unset(&self, default: &N) -> Option<N> {
        Some(*default)
    }

    fn shown(&self, default: &N) -> String {
        default.to_string()
    }
}

/// Bytes in a range.
#[derive(Debug)]
pub(super) struct Size {
    /// Smallest, in bytes.
    pub(super) min: u64,
    /// Largest, in bytes.
    pub(super) max: u64,
}

impl ValueKind for Size {
    type Value = usize;
    type Default = usize;
    const PLACEHOLDER: &'static str = "SIZE";

    fn expected(&self) -> String {
        format!(
            "a size from {} to {}, such as 65536 or 64KiB",
            shown_size(self.min),
            shown_size(self.max)
        )
    }

    fn read(&self, text: &str) -> Result<usize, Unreadable> {
        Some(value::size(text)?)
            .filter(|bytes| (self.min..=self.max).contains(bytes))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or(Unreadable::PLAIN)
    }

    fn unset(&self, default: &usize) -> Option<usize> {
        Some(*default)
    }

    fn shown(&self, default: &usize) -> String {
        shown_size(*default as u64)
    }
}

/// A duration of at least a second.
#[derive(Debug)]
pub(super) struct Period {
    /// Longest.
    pub(super) max: Duration,
    /// Whether 0 is allowed too, and means off.
    pub(super) off: bool,
}

impl ValueKind for Period {
    type Value = Duration;
    type Default = Duration;
    const PLACEHOLDER: &'static str = "DURATION";

    fn expected(&self) -> String {
        format!(
            "a duration from {} to {}, such as 30s, 5m or 1h{}",
            shown_duration(SHORTEST_PERIOD),
            shown_duration(self.max),
            if self.off { ", or 0 for off" } else { "" }
        )
    }

    fn read(&self, text: &str) -> Result<Duration, Unreadable> {
        let duration = value::duration(text)?;
        if (SHORTEST_PERIOD..=self.max).contains(&duration) || (self.off && duration.is_zero()) {
            Ok(duration)
        } else {
            Err(Unreadable::PLAIN)
        }
    }

    fn unset(&self, default: &Duration) -> Option<Duration> {
        Some(*default)
    }

    fn shown(&self, default: &Duration) -> String {
        shown_duration(*default)
    }
}

/// A duration of at least a second, or never, which is written 0.
#[derive(Debug)]
pub(super) struct Interval {
    /// Longest.
    pub(super) max: Duration,
}

impl Interval {
    const fn period(&self) -> Period {
        Period {
            max: self.max,
            off: true,
        }
    }
}

impl ValueKind for Interval {
    type Value = Option<Duration>;
    type Default = Option<Duration>;
    const PLACEHOLDER: &'static str = Period::PLACEHOLDER;

    fn expected(&self) -> String {
        self.period().expected()
    }

    fn read(&self, text: &str) -> Result<Option<Duration>, Unreadable> {
        let duration = self.period().read(text)?;
        Ok(Some(duration).filter(|duration| !duration.is_zero()))
    }

    fn unset(&self, default: &Option<Duration>) -> Option<Option<Duration>> {
        Some(*default)
    }

    fn shown(&self, default: &Option<Duration>) -> String {
        shown_duration(default.unwrap_or(Duration::ZERO))
    }
}

/// The shortest duration any setting takes, 0 aside.
const SHORTEST_PERIOD: Duration = Duration::from_secs(1);

fn shown_size(bytes: u64) -> String {
    if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) {
        format!("{}MiB", bytes >> 20)
    } else if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) {
        format!("{}KiB", bytes >> 10)
    } else {
        bytes.to_string()
    }
}

/// Whole seconds in the largest unit that takes them; a single minute is better known as 60 seconds.
fn shown_duration(duration: Duration) -> String {
    match duration.as_secs() {
        0 => "0".to_owned(),
        seconds if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        seconds if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        seconds if seconds.is_multiple_of(60) && seconds > 60 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
