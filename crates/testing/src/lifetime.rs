//! How long a login is answered without asking authentik. A machine that pauses makes calls late and answers later, so each call counts
//! by when it was made and when it was answered: it cannot be too late for the one and too early for the other.
//!
//! Knows binds by their result codes. Must not know why a login ends.

use std::time::{Duration, Instant};

/// How often a test is started again on a machine that paused at a crucial moment.
pub const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(40);

/// A bind: when it was asked for and answered, and with which code.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    asked: Instant,
    answered: Instant,
    code: i32,
}

impl Call {
    pub async fn of(bind: impl Future<Output = i32>) -> Self {
        let asked = Instant::now();
        let code = bind.await;
        Self {
            asked,
            answered: Instant::now(),
            code,
        }
    }
}

/// A login that was granted, and the same bind again and again afterwards.
#[derive(Debug)]
pub struct Lifetime {
    granted: Call,
    later: Vec<Call>,
}

impl Lifetime {
    pub async fn begin(bind: impl Future<Output = i32>) -> Self {
        let granted = Call::of(bind).await;
        assert_eq!(granted.code, 0, "the login");
        Self {
            granted,
            later: Vec::new(),
        }
    }

    /// Whether no more than this time has passed since the login was asked for.
    pub fn is_within(&self, time: Duration) -> bool {
        self.granted.asked.elapsed() < time
    }

    /// Binds again and again, for this time from the login on.
    pub async fn watch(&mut self, time: Duration, bind: impl AsyncFn() -> i32) {
        while self.is_within(time) {
            self.later.push(Call::of(bind()).await);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether there were a call that was made and answered between these ages, and one that was made after the later one.
    pub fn tells(&self, from: Duration, until: Duration) -> bool {
        let between = |call: &Call| {
            call.asked > self.granted.answered + from && call.answered < self.granted.asked + until
        };
        let after = |call: &Call| call.asked > self.granted.answered + until;
        self.later.iter().any(between) && self.later.iter().any(after)
    }

    /// Every call that was answered before this age was let in, and every one that was made after it was answered with `code`.
    pub fn assert_ends(&self, age: Duration, code: i32) {
        self.assert_lives(age);
        for call in &self.later {
            if call.asked > self.granted.answered + age {
                assert_eq!(call.code, code, "{call:?} of {:?}", self.granted);
            }
        }
    }

    /// Every call that was answered before this age was let in.
    pub fn assert_lives(&self, age: Duration) {
        for call in &self.later {
            if call.answered < self.granted.asked + age {
                assert_eq!(call.code, 0, "{call:?} of {:?}", self.granted);
            }
        }
    }
}
