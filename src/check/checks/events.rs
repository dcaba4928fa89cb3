//! The stream of events: a websocket, which proxies treat in ways of their own.

use crate::check::cause::code_of_events;
use crate::check::facts::Facts;
use crate::check::verdict::{Area, Check, Verdict, after};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "AK801",
        area: Area::Events,
        title: "authentik's events arrive",
        why: "without them changes show only at the next look, and ended sessions are noticed late",
        fix: "let the proxy between this server and authentik pass websockets on (Upgrade and Connection headers, HTTP/1.1)",
        judge: |facts| of_events(facts, "AK801", "the websocket is open"),
    },
    Check {
        code: "AK802",
        area: Area::Events,
        title: "authentik takes the token for its events",
        why: "without them changes show only at the next look, and ended sessions are noticed late",
        fix: "let the proxy between this server and authentik pass the Authorization header on with websockets too; otherwise save the outpost in \
              authentik once more, which gives its account the permission to view it",
        judge: |facts| of_events(facts, "AK802", "it does"),
    },
];

/// What a check says that is about the websocket.
fn of_events(facts: &Facts, code: &str, well: &str) -> Verdict {
    match &facts.events {
        Some(Ok(())) => Verdict::Well(well.to_owned()),
        Some(Err(cause)) => match code_of_events(cause) {
            its if its == code => Verdict::Fault(cause.to_string()),
            other => after(other),
        },
        None => after("AK202"),
    }
}
