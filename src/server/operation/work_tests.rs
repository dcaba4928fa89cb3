//! Whatever is asked before a bind, the work is linear in the octets of the request: counted in steps, for requests of
//! one size and of eight times that.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use akldap_ldap::frame::{self, Frame};
use akldap_ldap::steps;

use crate::outpost::Outpost;
use crate::server::config::ServerConfig;
use crate::server::request;
use crate::server::session::LdapSession;

use super::{Outcome, base_object, run};
use requests::{BASE, kinds};

mod requests;

/// Octets of the smaller requests.
const SMALL: usize = 7_000;
const TIMES: usize = 8;

/// The steps that reading a request and answering it takes.
fn steps_of(session: &LdapSession, frame: &[u8], out: &mut Vec<u8>) -> u64 {
    let ((), steps) = steps::count(|| {
        let Ok(Frame::Complete { length }) = frame::split(frame, 2 * session.message_limit()) else {
            panic!("no frame");
        };
        let Ok(message) = request::decode(&frame[..length]) else {
            return;
        };
        match run(session, &message, &base_object(&message), false) {
            Outcome::Answer(answer) => answer.write(message.message_id, message.operation.kind(), out),
            Outcome::Search(mut search) => {
                let mut ended = search.first_step(out);
                while !ended {
                    ended = search.step(out, usize::MAX);
                }
            }
            _ => {}
        }
    });
    steps
}

#[tokio::test]
async fn work_before_a_bind_is_linear_in_the_octets_received() {
    let bases: Vec<String> = (0..40)
        .map(|number| format!("dc=n{number},{}", ["dc=io", BASE, "o=a\\, b,dc=io"][number % 3]))
        .collect();
    let mut bases: Vec<&str> = bases.iter().map(String::as_str).collect();
    bases.extend([BASE, "cn=accounts,dc=goauthentik,dc=io", "o=a\\,b\\,c,dc=io"]);
    let outpost = Outpost::of_bases(&bases);
    let config = Arc::new(ServerConfig::of_defaults());
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut failures = Vec::new();
    for (name, make) in kinds() {
        let session = LdapSession::new(
            Arc::clone(&outpost),
            Arc::clone(&config),
            [0; 32],
            1,
            client.into(),
            false,
        );
        let measure = |octets: usize| {
            let (frame, mut out) = (make(octets), Vec::new());
            let steps = steps_of(&session, &frame, &mut out);
            let budget = steps::FIXED + SCHEMA + steps::PER_OCTET * frame.len() as u64;
            (
                steps,
                steps <= budget && out.len() < 2 * frame.len() + LONGEST_ANSWER,
            )
        };
        let ((small, _), (large, within)) = (measure(SMALL), measure(SMALL * TIMES));
        if large > small * TIMES as u64 * 11 / 10 + steps::FIXED || !within {
            failures.push(format!(
                "{name}: {small} steps, {large} for {TIMES} times the octets"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Steps needed to look at every definition of the schema once for each test that an allowed filter can have.
const SCHEMA: u64 = 4_000_000;
/// Octets of the subschema, and some more.
const LONGEST_ANSWER: usize = 100_000;
