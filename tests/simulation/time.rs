//! The time of a history: microseconds since its beginning, on tokio's paused clock. The time of day begins at a fixed date.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Microseconds since the beginning.
pub type Time = u64;

pub const MILLISECOND: Time = 1_000;
pub const SECOND: Time = 1_000_000;

/// The date at the beginning: 2026-03-01T00:00:00Z.
const DATE: u64 = 1_772_323_200;

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Begins a history on this thread.
pub fn begin() {
    BEGAN.set(Some(Instant::now()));
}

pub fn now() -> Time {
    let began = BEGAN.get().expect("a history has begun on this thread");
    Instant::now().duration_since(began).as_micros() as Time
}

pub fn time_of_day() -> SystemTime {
    at(now())
}

pub fn at(time: Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(DATE) + Duration::from_micros(time)
}

/// As authentik writes it.
pub fn iso(time: Time) -> String {
    // Histories last hours, so the date stays within its month.
    let (seconds, micros) = (time / SECOND, time % SECOND);
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    format!(
        "2026-03-{:02}T{:02}:{:02}:{:02}.{micros:06}Z",
        day + 1,
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Reads what a look asks for; the beginning for anything before it.
pub fn parse(text: &str) -> Time {
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<u64>().ok());
    if text.get(..8) != Some("2026-03-") {
        return 0;
    }
    let (Some(day), Some(hour), Some(minute), Some(second)) =
        (number(8..10), number(11..13), number(14..16), number(17..19))
    else {
        return 0;
    };
    ((day - 1) * 86_400 + hour * 3600 + minute * 60 + second) * SECOND
}
