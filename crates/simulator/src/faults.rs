//! Faults on demand: what to spoil, when, and how.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;

/// How a request is spoiled.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The connection is reset without an answer.
    Reset,
    /// The answer comes this much later.
    Stall(Duration),
    /// The answer never comes and the connection stays open.
    Hang,
    /// This answer instead of the real one: status, content type, body.
    Answer(u16, &'static str, &'static str),
    /// The same as something in front of authentik answers: without authentik's headers.
    Intercepted(u16, &'static str, &'static str),
    /// Something in front of authentik answers with this status and content type, and with what it received: the body, then the
    /// headers. JSON has it as `detail`, HTML spelled as such.
    Echoed(u16, &'static str),
    /// The request is carried out, and this is answered instead: status, content type, body.
    Replaced(u16, &'static str, &'static str),
    /// Something in front of authentik answers 302 to this address.
    Moved(&'static str),
    /// Something in front of authentik does not pass this header of the request on.
    Stripped(&'static str),
    /// 500 as a recycled worker gives it: plain text, connection closed.
    WorkerLost,
    /// 502 as a proxy in front gives it: HTML.
    BadGateway,
    /// 503 as authentik's front gives it while starting: JSON with Retry-After.
    Starting,
    /// 403 as for a bad token.
    Forbidden,
    /// 404 as for an object that is gone.
    NotFound,
    /// The right status and headers, no body.
    EmptyBody,
    /// The body ends in the middle, and the length says so.
    Truncated,
    /// The body ends in the middle, but the length does not say so: the connection breaks off.
    BrokenOff,
    /// The right body announced as HTML.
    WrongContentType,
    /// Login stages log nobody in, although the flow finishes.
    AnonymousSession,
    /// `check_access` passes for whoever asks.
    PassingForAnyone,
    /// The body in pieces of this many bytes, with a pause before each.
    SlowBody(usize, Duration),
}

/// Which of the matching requests are spoiled; counting starts at 1 when the rule is added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// All.
    Always,
    /// Only this one.
    Nth(u64),
    /// The first this many.
    First(u64),
    /// All after the first this many.
    After(u64),
    /// Each with this probability.
    Probability(f64),
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Method, or any.
    pub method: Option<Method>,
    /// A part of the path with its query; empty matches every request.
    pub path: String,
    /// Which of the matching requests.
    pub when: When,
    /// What happens.
    pub fault: Fault,
}

impl Rule {
    /// Spoils every request whose path contains `path`.
    pub fn new(path: &str, fault: Fault) -> Self {
        Self {
            method: None,
            path: path.to_owned(),
            when: When::Always,
            fault,
        }
    }

    /// Only requests of this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Only some of them.
    #[must_use]
    pub fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }
}

/// The rules in effect, shared with the running simulator.
#[derive(Debug, Default)]
pub struct Faults {
    inner: Mutex<FaultState>,
}

#[derive(Debug, Default)]
struct FaultState {
    rules: Vec<(u64, Rule, u64)>,
    next: u64,
    latency: Duration,
}

impl Faults {
    /// Adds a rule and returns its number. If several rules match, the one added first applies.
    pub fn add(&self, rule: Rule) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        inner.rules.push((number, rule, 0));
        number
    }

    /// Takes one rule away.
    pub fn remove(&self, number: u64) {
        self.lock().rules.retain(|(other, _, _)| *other != number);
    }

    /// Takes all rules away.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    /// From now on every answer comes this much later.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    pub(crate) fn latency(&self) -> Duration {
        self.lock().latency
    }

    /// The fault for a request, counted in every rule that it matches.
    pub(crate) fn choose(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut inner = self.lock();
        let mut chosen = None;
        for (_, rule, seen) in &mut inner.rules {
            if rule.method.as_ref().is_some_and(|wanted| wanted != method) || !path.contains(&rule.path) {
                continue;
            }
            *seen += 1;
            let hit = match rule.when {
                When::Always => true,
                When::Nth(n) => *seen == n,
                When::First(n) => *seen <= n,
                When::After(n) => *seen > n,
                When::Probability(probability) => fastrand::f64() < probability,
            };
            if hit && chosen.is_none() {
                chosen = Some(rule.fault.clone());
            }
        }
        chosen
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, FaultState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_their_own_requests() {
        let faults = Faults::default();
        faults.add(Rule::new("/users/", Fault::Reset).when(When::Nth(2)));
        let second = faults.add(Rule::new("", Fault::Hang).method(Method::POST));
        assert_eq!(faults.choose(&Method::GET, "/users/"), None);
        assert_eq!(faults.choose(&Method::GET, "/groups/"), None);
        assert_eq!(faults.choose(&Method::GET, "/users/"), Some(Fault::Reset));
        assert_eq!(faults.choose(&Method::GET, "/users/"), None);
        assert_eq!(faults.choose(&Method::POST, "/users/"), Some(Fault::Hang));
        faults.remove(second);
        assert_eq!(faults.choose(&Method::POST, "/users/"), None);
        faults.add(Rule::new("x", Fault::Hang).when(When::After(1)));
        assert_eq!(faults.choose(&Method::GET, "/x"), None);
        assert_eq!(faults.choose(&Method::GET, "/x"), Some(Fault::Hang));
    }
}
