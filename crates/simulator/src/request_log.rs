//! The log of requests. Secrets are kept: it is there for tests to look at.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// One request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// Method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// The query as sent.
    pub query: String,
    /// Names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl RecordedRequest {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// The parts of the API by which requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `outposts/instances/`
    OutpostInstances,
    /// `outposts/ldap/`
    LdapProviders,
    /// `outposts/ldap/{pk}/check_access/`
    CheckAccess,
    /// `core/users/`
    UserList,
    /// `core/users/{pk}/`
    User,
    /// `core/users/me/`
    UsersMe,
    /// `core/groups/`
    GroupList,
    /// `core/groups/{pk}/`
    Group,
    /// `crypto/certificatekeypairs/`
    Certificates,
    /// `root/config/`
    RootConfig,
    /// `flows/executor/{slug}/`
    FlowExecutor,
    /// `/ws/outpost/{uuid}/`
    Websocket,
    /// Everything else.
    Other,
}

const ENDPOINTS: usize = 13;

impl Endpoint {
    pub(crate) fn of(path: &str) -> Self {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts.as_slice() {
            ["api", "v3", "outposts", "instances", ..] => Self::OutpostInstances,
            ["api", "v3", "outposts", "ldap", _, "check_access"] => Self::CheckAccess,
            ["api", "v3", "outposts", "ldap", ..] => Self::LdapProviders,
            ["api", "v3", "core", "users"] => Self::UserList,
            ["api", "v3", "core", "users", "me"] => Self::UsersMe,
            ["api", "v3", "core", "users", ..] => Self::User,
            ["api", "v3", "core", "groups"] => Self::GroupList,
            ["api", "v3", "core", "groups", ..] => Self::Group,
            ["api", "v3", "crypto", ..] => Self::Certificates,
            ["api", "v3", "root", ..] => Self::RootConfig,
            ["api", "v3", "flows", ..] => Self::FlowExecutor,
            ["ws", ..] => Self::Websocket,
            _ => Self::Other,
        }
    }
}

/// The log and the counters.
#[derive(Debug, Default)]
pub struct Requests {
    recording: AtomicBool,
    log: Mutex<Vec<RecordedRequest>>,
    counts: [AtomicU64; ENDPOINTS],
    /// Being answered now.
    busy: [AtomicU64; ENDPOINTS],
    /// The most there ever were.
    peaks: [AtomicU64; ENDPOINTS],
}

/// Counts a request as being answered until it is dropped.
pub(crate) struct Busy<'a>(&'a AtomicU64);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Requests {
    /// Starts or stops keeping requests. Counting never stops.
    pub fn record(&self, on: bool) {
        self.recording.store(on, Ordering::Relaxed);
    }

    /// The requests kept since the start or the last [`clear`](Self::clear).
    pub fn all(&self) -> Vec<RecordedRequest> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests kept whose path contains `path`.
    pub fn to(&self, path: &str) -> Vec<RecordedRequest> {
        self.all()
            .into_iter()
            .filter(|request| request.path.contains(path))
            .collect()
    }

    /// Requests counted at one endpoint.
    pub fn count(&self, endpoint: Endpoint) -> u64 {
        self.counts
            .get(endpoint as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// The most requests of one endpoint that were being answered at the same time since the start or the last
    /// [`clear`](Self::clear).
    pub fn peak(&self, endpoint: Endpoint) -> u64 {
        self.peaks
            .get(endpoint as usize)
            .map_or(0, |peak| peak.load(Ordering::Acquire))
    }

    /// Requests of one endpoint that came in and are not answered yet.
    pub fn under_way(&self, endpoint: Endpoint) -> u64 {
        self.busy
            .get(endpoint as usize)
            .map_or(0, |busy| busy.load(Ordering::Acquire))
    }

    pub(crate) fn begin(&self, endpoint: Endpoint) -> Option<Busy<'_>> {
        let (busy, peak) = (
            self.busy.get(endpoint as usize)?,
            self.peaks.get(endpoint as usize)?,
        );
        peak.fetch_max(busy.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
        Some(Busy(busy))
    }

    /// Requests counted in total.
    pub fn total(&self) -> u64 {
        self.counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    /// Forgets requests and counts.
    pub fn clear(&self) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for count in self.counts.iter().chain(&self.peaks) {
            count.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.recording.load(Ordering::Relaxed)
    }

    pub(crate) fn tally(&self, endpoint: Endpoint) -> u64 {
        self.counts
            .get(endpoint as usize)
            .map_or(0, |count| count.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn keep(&self, request: RecordedRequest) {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
    }
}
