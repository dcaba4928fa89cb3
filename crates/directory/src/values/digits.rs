//! Numbers in decimal digits, on the stack.

/// Octets of the longest: a sign and 19 digits.
const MOST: usize = 20;

/// A number as decimal digits.
pub(crate) struct Digits {
    octets: [u8; MOST],
    /// How many octets at the end of those are the number's.
    length: u8,
}

impl Digits {
    #[inline]
    pub(crate) fn new(number: i64) -> Self {
        let mut octets = [b'0'; MOST];
        let mut rest = number.unsigned_abs();
        let mut length = 0;
        for octet in octets.iter_mut().rev() {
            let [digit, ..] = (rest % 10).to_le_bytes();
            *octet = b'0' + digit;
            rest /= 10;
            length += 1;
            if rest == 0 {
                break;
            }
        }
        if number < 0
            && let Some(sign) = octets.iter_mut().rev().nth(usize::from(length))
        {
            *sign = b'-';
            length += 1;
        }
        Self { octets, length }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        let start = MOST - usize::from(self.length);
        self.octets.get(start..).unwrap_or(&self.octets)
    }

    /// How many octets they are: up to 20.
    #[inline]
    pub(crate) fn len(&self) -> u8 {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_number() {
        for number in [0, 7, -1, 10, 1_000_000, -90_210, i64::MAX, i64::MIN] {
            assert_eq!(Digits::new(number).as_bytes(), number.to_string().as_bytes());
        }
    }
}
