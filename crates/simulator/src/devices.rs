//! Authenticators of users: one-time codes, static tokens, Duo.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::clock::{iso, micros};

/// One authenticator.
#[derive(Debug, Clone)]
pub struct Device {
    /// Number of the device within its class, shown as `device_uid`.
    pub uid: i64,
    /// What it is.
    pub kind: DeviceKind,
    /// When it last let somebody in, microseconds since the epoch.
    pub last_used: Option<i64>,
    failures: u32,
    last_failure: i64,
}

/// The kinds of authenticator.
#[derive(Debug, Clone)]
pub enum DeviceKind {
    /// Printed tokens, each valid once.
    Static {
        /// The tokens not used yet.
        tokens: Vec<String>,
    },
    /// Codes from an app (RFC 6238).
    Totp {
        /// The shared key.
        key: Vec<u8>,
        /// 6 or 8.
        digits: u32,
        /// Steps of 30 s a clock may be off.
        tolerance: i64,
        /// The last step a code was accepted for.
        last_step: i64,
    },
    /// A push to a phone.
    Duo(DuoOutcome),
    /// A security key, which no headless client can answer.
    WebAuthn,
    /// A text message.
    Sms,
}

/// What the owner of the phone does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuoOutcome {
    /// Accepts after this long.
    Accept(Duration),
    /// Refuses after this long.
    Deny(Duration),
    /// Does nothing until Duo gives up after this long.
    TimeOut(Duration),
}

const STEP_SECONDS: i64 = 30;

impl Device {
    /// A device that was never used.
    pub fn new(uid: i64, kind: DeviceKind) -> Self {
        Self {
            uid,
            kind,
            last_used: None,
            failures: 0,
            last_failure: 0,
        }
    }

    /// A 6-digit code generator with one step of tolerance.
    pub fn totp(uid: i64, key: &[u8]) -> Self {
        Self::new(
            uid,
            DeviceKind::Totp {
                key: key.to_vec(),
                digits: 6,
                tolerance: 1,
                last_step: -1,
            },
        )
    }

    /// A list of printed tokens.
    pub fn static_tokens(uid: i64, tokens: &[&str]) -> Self {
        Self::new(
            uid,
            DeviceKind::Static {
                tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
            },
        )
    }

    /// The API's word for the kind.
    pub fn class(&self) -> &'static str {
        match self.kind {
            DeviceKind::Static { .. } => "static",
            DeviceKind::Totp { .. } => "totp",
            DeviceKind::WebAuthn => "webauthn",
            DeviceKind::Duo(_) => "duo",
            DeviceKind::Sms => "sms",
        }
    }

    pub(crate) fn challenge(&self) -> Value {
        json!({
            "device_class": self.class(), "device_uid": self.uid.to_string(), "challenge": {},
            "last_used": self.last_used.map(iso),
        })
    }

    /// Checks a code at time `now`; a right one is used up, a wrong one slows the device down.
    pub(crate) fn accepts(&mut self, code: &str, now: i64) -> bool {
        if self.failures > 0 {
            let pause = micros(Duration::from_secs(
                1_u64 << self.failures.saturating_sub(1).min(20),
            ));
            if now < self.last_failure.saturating_add(pause) {
                return false;
            }
        }
        let right = match &mut self.kind {
            DeviceKind::Static { tokens } => match tokens.iter().position(|token| token == code) {
                Some(at) => {
                    tokens.remove(at);
                    true
                }
                None => false,
            },
            DeviceKind::Totp {
                key,
                digits,
                tolerance,
                last_step,
            } => {
                let Ok(number) = code.trim().parse::<u32>() else {
                    return false;
                };
                let step = now
                    .div_euclid(micros(Duration::from_secs(1)))
                    .div_euclid(STEP_SECONDS);
                let hit = (-*tolerance..=*tolerance)
                    .map(|off| step + off)
                    .find(|step| *step > *last_step && totp_number(key, *step, *digits) == number);
                if let Some(hit) = hit {
                    *last_step = hit;
                }
                hit.is_some()
            }
            DeviceKind::Duo(_) | DeviceKind::WebAuthn | DeviceKind::Sms => return false,
        };
        if right {
            self.failures = 0;
            self.last_used = Some(now);
        } else {
            self.failures += 1;
            self.last_failure = now;
        }
        right
    }
}

/// The code for a key at a time, as an app would show it.
pub fn totp_code(key: &[u8], at: std::time::SystemTime) -> String {
    let seconds = at
        .duration_since(std::time::UNIX_EPOCH)
        .map(|since| since.as_secs())
        .unwrap_or_default();
    let step = i64::try_from(seconds).unwrap_or(i64::MAX) / STEP_SECONDS;
    format!("{:06}", totp_number(key, step, 6))
}

/// RFC 4226 truncation of RFC 6238's counter.
fn totp_number(key: &[u8], step: i64, digits: u32) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = bytes.last().map_or(0, |byte| usize::from(byte & 0x0f));
    let number = bytes
        .iter()
        .skip(offset)
        .take(4)
        .fold(0_u32, |number, byte| (number << 8) | u32::from(*byte))
        & 0x7fff_ffff;
    number % 10_u32.pow(digits)
}

/// RFC 4648 base 32 without padding, the form authenticator apps take keys in.
pub fn base32(key: &[u8]) -> String {
    let mut out = String::new();
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for byte in key {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.extend(base32_letter(buffer >> bits));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.extend(base32_letter(buffer << (5 - bits)));
    }
    out
}

/// The letter of the last five bits.
fn base32_letter(bits: u32) -> Option<char> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let octet = ALPHABET.get((bits & 31) as usize)?;
    Some(char::from(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    const KEY: &[u8] = b"12345678901234567890";
    const SECOND: i64 = 1_000_000;

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // The RFC's table gives 8 digits; 6 are their tail.
        for (at, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (2_000_000_000, "279037"),
        ] {
            assert_eq!(totp_code(KEY, UNIX_EPOCH + Duration::from_secs(at)), code);
        }
    }

    #[test]
    fn a_code_is_good_once_and_one_step_either_way() {
        let mut device = Device::totp(1, KEY);
        assert!(device.accepts("287082", 89 * SECOND), "one step late");
        assert!(!device.accepts("287082", 89 * SECOND), "replayed");
        let mut device = Device::totp(1, KEY);
        assert!(!device.accepts("287082", 120 * SECOND), "two steps late");
    }

    #[test]
    fn a_wrong_code_slows_the_device_down_twice_as_long_each_time() {
        let mut device = Device::static_tokens(1, &["aaaaaaaa"]);
        assert!(!device.accepts("zzzzzzzz", 100 * SECOND));
        assert!(
            !device.accepts("aaaaaaaa", 100 * SECOND + SECOND / 2),
            "throttled"
        );
        assert!(!device.accepts("zzzzzzzz", 101 * SECOND));
        assert!(
            !device.accepts("aaaaaaaa", 102 * SECOND),
            "throttled for two seconds now"
        );
        assert!(device.accepts("aaaaaaaa", 103 * SECOND));
        assert!(!device.accepts("aaaaaaaa", 103 * SECOND), "used up");
    }

    #[test]
    fn base32_matches_rfc_4648() {
        for (plain, encoded) in [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foobar", "MZXW6YTBOI")] {
            assert_eq!(base32(plain.as_bytes()), encoded);
        }
    }
}
