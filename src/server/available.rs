//! How much clients may make the server hold by default: a share of the memory this process may use.

use crate::machine_memory;

/// The share of the memory that clients may make the server hold unless an option says how much.
const CLIENT_PART: u64 = 4;
/// More than this is never held by default: honest clients need some megabytes.
const MOST: u64 = 1 << 30;
/// Less would not hold one large message and its answer.
const LEAST: u64 = 16 << 20;
/// Assumed if nothing is known about the machine.
const UNKNOWN: u64 = 1 << 30;

/// The default of what clients may make the server hold, in octets.
pub(super) fn client_memory() -> usize {
    let available = machine_memory::usable().unwrap_or(UNKNOWN);
    usize::try_from((available / CLIENT_PART).clamp(LEAST, MOST)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_within_its_bounds() {
        assert!((LEAST..=MOST).contains(&(client_memory() as u64)));
    }
}
