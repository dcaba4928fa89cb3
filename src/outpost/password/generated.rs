//! Generated passwords, for agents that send none (RFC 3062). Must not know whose they are.

use zeroize::Zeroizing;

use super::failure::{self, ChangeFailure};

/// Characters of one: 116 bits of chance.
const LENGTH: usize = 20;
/// Without letters and digits that are mistaken for each other.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Random octets drawn at once. About one in eight is not used.
const DRAW: usize = 64;

/// A new one of at least this many characters.
pub(super) fn password(least: usize) -> Result<Zeroizing<String>, ChangeFailure> {
    let length = LENGTH.max(least);
    let mut password = Zeroizing::new(String::with_capacity(length));
    // Every character is equally likely: octets beyond the last whole alphabet are dropped.
    let fair = usize::from(u8::MAX) / ALPHABET.len() * ALPHABET.len();
    let mut octets = Zeroizing::new([0_u8; DRAW]);
    while password.len() < length {
        aws_lc_rs::rand::fill(&mut *octets).map_err(|_| failure::no_random_numbers())?;
        for octet in octets.iter().map(|octet| usize::from(*octet)) {
            if let Some(character) = ALPHABET.get(octet % ALPHABET.len())
                && octet < fair
                && password.len() < length
            {
                password.push(char::from(*character));
            }
        }
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike_and_none_is_short() {
        let one = password(8).unwrap();
        let other = password(8).unwrap();
        assert_ne!(one, other);
        assert_eq!((one.len(), password(100).unwrap().len()), (LENGTH, 100));
        assert!(one.bytes().all(|octet| ALPHABET.contains(&octet)));
        let mut seen = [false; 256];
        (0..500).for_each(|_| {
            password(0)
                .unwrap()
                .bytes()
                .for_each(|octet| seen[usize::from(octet)] = true);
        });
        assert!(ALPHABET.iter().all(|octet| seen[usize::from(*octet)]));
    }
}
