//! Where redirects lead: further in the flow, into another one, or out of it.
//!
//! Must not know what follows from it.

use url::Url;

use crate::excerpt::excerpt;

/// Where a redirect leads.
pub(super) enum Destination {
    /// Further in the same flow.
    SameFlow(Url),
    /// Into another one.
    OtherFlow,
    /// Out of all flows.
    Elsewhere,
}

impl Destination {
    /// Where a redirect from `from` leads, in a flow whose executor is at `ours`. The path may come with or without the path
    /// of our base URL: a proxy may strip it.
    pub(super) fn of(from: &Url, to: &str, ours: Url) -> Self {
        let Ok(target) = from.join(to) else {
            return Self::Elsewhere;
        };
        let path = target.path();
        let executor = "/api/v3/flows/executor/";
        let bare = ours
            .path()
            .find(executor)
            .and_then(|at| ours.path().get(at..))
            .unwrap_or(ours.path());
        if target.origin() == ours.origin() && (path == ours.path() || path == bare) {
            let mut url = ours;
            url.set_query(target.query());
            return Self::SameFlow(url);
        }
        match path.contains(executor) || path.contains("/if/flow/") {
            true => Self::OtherFlow,
            false => Self::Elsewhere,
        }
    }
}

/// A target's query may carry tokens.
pub(super) fn without_query(target: &str) -> String {
    excerpt(target.split(['?', '#']).next().unwrap_or_default())
}
