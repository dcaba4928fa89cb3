//! Values of the commands' own flags, with errors in our words: those of the standard library say nothing to an admin.

use std::net::SocketAddr;
use std::time::Duration;

/// A number.
pub(super) fn number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("expected a number from 0 to {}", u32::MAX))
}

/// An address with a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:3389 or [::1]:3389".to_owned())
}

/// A duration in whole seconds, minutes or hours.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, factor) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) if text.ends_with('m') => (number, 60),
        Some(number) if text.ends_with('h') => (number, 60 * 60),
        Some(number) => (number, 1),
        None => (text, 1),
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "a number of seconds, or one with s, m or h".to_owned())
}

/// The same, but not none.
pub(super) fn some_time(text: &str) -> Result<Duration, String> {
    let longer = duration(text)?;
    if longer.is_zero() {
        return Err("at least one second".to_owned());
    }
    Ok(longer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_have_a_unit() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("0", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "soon", "-1", "1d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn some_time_is_not_none() {
        assert_eq!(some_time("5m"), Ok(Duration::from_secs(300)));
        assert!(some_time("0").is_err() && some_time("soon").is_err());
    }
}
