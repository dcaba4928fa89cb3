use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use akldap_directory::{Builder, SearchControls, Tree, UserRecord, Viewer};
use akldap_ldap::filter::Filter;
use akldap_ldap::message::{Scope, SearchRequest};

const BASE: &str = "dc=ldap,dc=goauthentik,dc=io";
const LIMIT: Duration = Duration::from_nanos(1);

/// A search that looks at everything, finds nothing and takes several steps. A processor may work on it for a nanosecond.
fn running(processor_time: fn() -> Duration) -> RunningSearch {
    let mut builder = Builder::new();
    for pk in 0..10_000 {
        let name = format!("user{pk}");
        builder.add_user(&UserRecord {
            pk,
            uuid: &format!("00000000-0000-4000-8000-{pk:012}"),
            uid: &name,
            username: &name,
            name: &name,
            is_active: true,
            ..UserRecord::default()
        });
    }
    let without = |name: &'static [u8]| Filter::Not(Box::new(Filter::Present(name)));
    let request = SearchRequest {
        base_object: b"ou=users,dc=ldap,dc=goauthentik,dc=io",
        scope: Scope::SingleLevel,
        deref_aliases: 0,
        size_limit: 0,
        time_limit: 0,
        types_only: false,
        filter: Filter::Or(vec![
            without(b"objectClass"),
            without(b"cn"),
            without(b"entryUUID"),
        ]),
        attributes: Vec::new(),
    };
    let (snapshot, tree) = (
        Arc::new(builder.finish().unwrap().0),
        Tree::new(BASE, 2000, 4000).unwrap(),
    );
    let controls = SearchControls::default();
    RunningSearch {
        message_id: 1,
        search: directory::Search::new(snapshot, Arc::new(tree), Viewer::Full, &request, &controls).unwrap(),
        started: Instant::now(),
        deadline: None,
        worked: Duration::ZERO,
        time_limit: Some(LIMIT),
        processor_time,
        time_option: "AUTHENTIK_LDAP__SEARCH_TIME_LIMIT",
        provider: None,
        outpost: Outpost::of_bases(&[BASE]),
        connection: 1,
        observer: None,
        entries: 0,
        others: Vec::new(),
        pattern: None,
        size_limit: 0,
        done_at: 0,
    }
}

/// The steps it took and what was answered.
fn drive(mut running: RunningSearch) -> (usize, Vec<u8>) {
    let (mut steps, mut out) = (1, Vec::new());
    while !running.step(&mut out, FIRST_STEP) {
        steps += 1;
    }
    (steps, out)
}

fn answer(code: ResultCode, text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    finish(&mut out, 1, &LdapResult::new(code, text), &[]);
    out
}

/// A busy machine makes each step long by the wall clock; that is nobody's fault.
#[tokio::test]
async fn time_that_no_processor_works_does_not_count() {
    let (steps, out) = drive(running(|| Duration::ZERO));
    assert!(steps > 3, "{steps}");
    assert_eq!(out, answer(ResultCode::Success, ""));
}

#[tokio::test]
async fn time_that_a_processor_works_is_limited() {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    let (steps, out) = drive(running(|| {
        Duration::from_nanos(TICKS.fetch_add(1, Ordering::Relaxed))
    }));
    // A nanosecond a step: the second is beyond the limit.
    assert_eq!(steps, 2);
    let text = "the server worked on this search for more than 1ns (AUTHENTIK_LDAP__SEARCH_TIME_LIMIT)";
    assert_eq!(out, answer(ResultCode::TimeLimitExceeded, text));
}

/// The client's own limit is one of elapsed time (RFC 4511 section 4.5.1.5).
#[tokio::test]
async fn the_clients_limit_counts_all_time() {
    let mut running = running(|| Duration::ZERO);
    running.deadline = Some(running.started);
    let (steps, out) = drive(running);
    assert_eq!(steps, 1);
    let text = "the search took longer than its time limit";
    assert_eq!(out, answer(ResultCode::TimeLimitExceeded, text));
}

#[test]
fn a_thread_that_waits_has_no_processor_time() {
    let (began, wall) = (processor_time(), Instant::now());
    let mut number = 1_u64;
    while processor_time() == began {
        number = std::hint::black_box(number.wrapping_mul(3));
    }
    // However busy the machine is, a processor gives one thread no more time than passes.
    assert!(processor_time() - began <= wall.elapsed() + Duration::from_millis(50));
}

#[tokio::test]
async fn a_fault_of_ours_is_answered_and_counted() {
    let running = running(|| Duration::ZERO);
    let mut out = Vec::new();
    let wrong = akldap_directory::WrongNumber::User.to_string();
    running.end(&mut out, &LdapResult::new(ResultCode::Other, wrong.as_str()), &[]);
    assert_eq!(out, answer(ResultCode::Other, &wrong));
    let metrics = running.outpost.metrics().encode().unwrap();
    let counted = "type=\"search\",reason=\"internal_error\",app=\"\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
}
