//! Timestamps as LDAP writes them (generalized time, RFC 4517 section 3.3.13).
//!
//! Must not know a clock.

use crate::values::calendar::{SECONDS_PER_DAY, date_of_day};

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
            assert_eq!(String::from_utf8_lossy(&generalized_time(micros)), expected);
        }
    }
}
