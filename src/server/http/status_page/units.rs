//! Numbers as people read them. Must not know what they count.

use std::time::Duration;

/// A time span in its two largest units, such as `3 min` or `2 h 5 min`.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => match seconds % 3600 / 60 {
            0 => format!("{} h", seconds / 3600),
            minutes => format!("{} h {minutes} min", seconds / 3600),
        },
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How long something took, in the unit that suits it.
pub(super) fn took(took: Duration) -> String {
    let micros = took.as_micros();
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..10_000 => format!("{:.1} ms", took.as_secs_f64() * 1e3),
        10_000..1_000_000 => format!("{} ms", micros / 1000),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}

/// Octets in the unit that suits them.
pub(super) fn octets(octets: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB"];
    let mut value = octets;
    let mut unit = "B";
    for next in units {
        unit = next;
        if value < 1024.0 {
            break;
        }
        if next != "GiB" {
            value /= 1024.0;
        }
    }
    if value < 10.0 && unit != "B" {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

/// A rate per second, with only the significant digits.
pub(super) fn rate(rate: f64) -> String {
    if rate >= 100.0 || rate == 0.0 {
        format!("{rate:.0}")
    } else if rate >= 10.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.2}")
    }
}

/// A number with a thin space between thousands.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let seconds = Duration::from_secs;
        for (duration, text) in [
            (seconds(0), "0 s"),
            (seconds(59), "59 s"),
            (seconds(60), "1 min"),
            (seconds(7500), "2 h 5 min"),
            (seconds(7200), "2 h"),
            (seconds(400_000), "4 days"),
        ] {
            assert_eq!(span(duration), text);
        }
        for (micros, text) in [
            (80, "80 µs"),
            (2500, "2.5 ms"),
            (25_000, "25 ms"),
            (2_500_000, "2.5 s"),
        ] {
            assert_eq!(took(Duration::from_micros(micros)), text);
        }
        for (number, text) in [
            (0.0, "0 B"),
            (1023.0, "1023 B"),
            (1536.0, "1.5 KiB"),
            (5e7, "48 MiB"),
            (5e12, "4657 GiB"),
        ] {
            assert_eq!(octets(number), text);
        }
        for (number, text) in [(0.0, "0"), (0.25, "0.25"), (12.34, "12.3"), (1234.5, "1234")] {
            assert_eq!(rate(number), text);
        }
        assert_eq!(
            [count(7), count(1234), count(1_234_567)],
            ["7", "1\u{202f}234", "1\u{202f}234\u{202f}567"]
        );
    }
}
