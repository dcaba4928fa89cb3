//! Telegraf's `openldap` input, compiled from Telegraf's own source, which reads `cn=Monitor`.

use std::collections::BTreeMap;

use crate::transport::{AUTHORITY, STRANGER, Transport, over_tls};
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise, kept};
use akldap_testing::program::{Output, command, run};
use akldap_testing::stage::{Stage, user_dn};

/// The release that is compiled.
pub fn release() -> String {
    let mut lines = include_str!("telegraf/go.mod").lines();
    let release = lines.find_map(|line| line.strip_prefix("require github.com/influxdata/telegraf v"));
    release.expect("a release").to_owned()
}

/// Every field that is gathered, under reversed names and under the others, and a login that may not look.
#[client_test]
async fn gathers_every_number() {
    gathers(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS.
    gathers_over_ldaps,
    /// The same over StartTLS.
    gathers_over_start_tls: gathers
}

/// One collection by the input, with the names reversed or not.
async fn collect(
    stage: &Stage,
    transport: Transport,
    authority: &str,
    account: &str,
    reversed: bool,
) -> Output {
    let address = match transport {
        Transport::Ldaps => stage.ldaps(),
        Transport::Clear | Transport::StartTls => stage.ldap(),
    };
    let program = kept().join("telegraf");
    let mut program = command(program.to_str().expect("text"));
    program
        .args([address.ip().to_string(), address.port().to_string()])
        .args([transport.choose("", "ldaps", "starttls"), authority])
        .args([user_dn(account), format!("demo-{account}"), reversed.to_string()]);
    run(&mut program).await
}

fn fields(output: Output) -> BTreeMap<String, i64> {
    serde_json::from_str(&output.expect(0).text).expect("one JSON object")
}

async fn gathers(transport: Transport) {
    let program = kept().join("telegraf");
    let program = program.to_str().expect("text");
    let Some(exercise) = exercise(&[Need::File(program, "Telegraf's openldap input")]) else {
        return;
    };
    let stage = transport.demo().await;
    if transport.is_secure() {
        let distrusting = collect(&stage, transport, STRANGER, "ldapservice", false).await;
        assert!(
            distrusting.code != 0 && distrusting.text.is_empty(),
            "{distrusting:?}"
        );
    }
    if transport == Transport::StartTls {
        // It begins TLS, and then has no name to verify.
        let output = collect(&stage, transport, AUTHORITY, "ldapservice", false).await;
        let why = "either ServerName or InsecureSkipVerify must be specified";
        assert!(output.code == 1 && output.errors.contains(why), "{output:?}");
        exercise.is_beyond_the_client(
            "this input gives StartTLS no name to verify, so TLS fails unless certificates are not verified; it works over LDAPS",
        );
        return;
    }
    let first = fields(collect(&stage, transport, AUTHORITY, "ldapservice", false).await);
    let second = fields(collect(&stage, transport, AUTHORITY, "ldapservice", false).await);
    let reversed = fields(collect(&stage, transport, AUTHORITY, "ldapservice", true).await);
    let operations = [
        "bind", "unbind", "search", "compare", "modify", "modrdn", "add", "delete", "abandon", "extended",
    ];
    for (plain, other) in [
        (
            "max_file_descriptors_connections",
            "connections_max_file_descriptors",
        ),
        ("total_connections", "connections_total"),
        ("current_connections", "connections_current"),
        ("bytes_statistics", "statistics_bytes"),
        ("pdu_statistics", "statistics_pdu"),
        ("entries_statistics", "statistics_entries"),
        ("referrals_statistics", "statistics_referrals"),
        ("max_threads", "threads_max"),
        ("open_threads", "threads_open"),
        ("uptime_time", "time_uptime"),
        ("operations_initiated", "operations_initiated"),
        ("operations_completed", "operations_completed"),
    ] {
        assert!(first.contains_key(plain), "{plain}: {first:?}");
        assert!(reversed.contains_key(other), "{other}: {reversed:?}");
    }
    for operation in operations {
        for end in ["initiated", "completed"] {
            assert!(
                first.contains_key(&format!("{operation}_operations_{end}")),
                "{first:?}"
            );
            assert!(
                reversed.contains_key(&format!("operations_{operation}_{end}")),
                "{reversed:?}"
            );
        }
    }
    let more = |name: &str| {
        second
            .get(name)
            .zip(first.get(name))
            .map(|(after, before)| after - before)
    };
    // What the second collection did: one connection, a bind and a search, whose entries the first one had been sent.
    assert_eq!(more("total_connections"), Some(1), "{second:?}");
    assert_eq!(more("bind_operations_completed"), Some(1), "{second:?}");
    assert_eq!(more("search_operations_completed"), Some(1), "{second:?}");
    assert!(
        more("entries_statistics").is_some_and(|entries| entries > 20),
        "{second:?}"
    );
    assert!(
        more("bytes_statistics").is_some_and(|octets| octets > 1000),
        "{second:?}"
    );
    // A person sees no numbers, and Telegraf says so.
    let person = collect(&stage, transport, AUTHORITY, "alice", false).await;
    assert_eq!((person.code, person.text.as_str()), (1, ""), "{person:?}");
    assert!(person.errors.contains("Insufficient Access Rights"), "{person:?}");
}
