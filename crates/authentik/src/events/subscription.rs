//! What a connection for events is for, and its times.
//!
//! Must not know how it is made.

use std::time::Duration;

use super::hello::Hello;
use crate::backoff::Backoff;

/// The times of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// Between hellos. authentik forgets an instance after 15 s.
    pub hello: Duration,
    /// Limit on connecting, TLS and handshake included.
    pub handshake: Duration,
    /// After this long without any frame the connection counts as dead.
    pub silence: Duration,
    /// The waits between tries.
    pub backoff: Backoff,
    /// A connection is renewed at an age between these two.
    pub renew: (Duration, Duration),
    /// Gives numbers in `0.0..1.0`, with which waits are spread.
    pub jitter: fn() -> f64,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(30)),
            renew: (Duration::from_secs(6 * 3600), Duration::from_secs(12 * 3600)),
            jitter: fastrand::f64,
        }
    }
}

/// What to connect for.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// UUID of the outpost, with dashes.
    pub outpost: String,
    /// Identifies this process among the outpost's instances; stays the same across reconnects.
    pub instance: uuid::Uuid,
    /// What is said about this instance.
    pub hello: Hello,
    /// Times.
    pub timings: Timings,
}
