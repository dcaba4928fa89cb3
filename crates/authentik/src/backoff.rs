//! How long to wait before the next try. Knows no clock, and takes its random numbers as arguments.

use std::time::Duration;

/// Waits between tries: doubling from a first one up to a longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Backoff {
    /// Waits from `first` to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The wait after a failure that follows `before` others without a success in between. A `random` number in
    /// `0.0..1.0` shortens it by up to half, so that many clients that failed together do not come back
    /// together.
    #[must_use]
    pub fn wait(&self, before: u32, random: f64) -> Duration {
        let factor = 1_u32.checked_shl(before).unwrap_or(u32::MAX);
        self.first
            .saturating_mul(factor)
            .min(self.longest)
            .mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let seconds = |before, random| backoff.wait(before, random).as_secs_f64();
        assert_eq!(
            [seconds(0, 0.0), seconds(1, 0.0), seconds(4, 0.0), seconds(5, 0.0)],
            [1.0, 2.0, 16.0, 30.0]
        );
        assert_eq!(
            [seconds(31, 0.0), seconds(32, 0.0), seconds(u32::MAX, 0.0)],
            [30.0; 3]
        );
        assert_eq!(seconds(0, 1.0), 0.5);
        assert_eq!(seconds(3, f64::INFINITY), 4.0);
    }
}
