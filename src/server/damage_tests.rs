//! What a client, the log and the metrics are told about a damaged directory: by the whole server, over its
//! sockets.

use akldap_directory::Snapshot;
use akldap_ldap::password_modify::{PASSWORD_MODIFY, PasswordModify};
use akldap_simulator::{Directory, Options, Simulator};
use akldap_testing::captured_log::Log;
use akldap_testing::client::{Client, Outcome};
use akldap_testing::stage::{BASE, entry_dn, eventually, user_dn};
use ldap3_proto::LdapResultCode;

use super::Server;
use crate::config::{Config, StringMap};

/// A server of the sample directory that looks at authentik when it is asked to.
async fn server(simulator: &Simulator) -> Server {
    let mut settings = StringMap::default();
    settings.set("AUTHENTIK_HOST", simulator.url());
    settings.set("AUTHENTIK_TOKEN", simulator.token());
    for name in ["LDAP", "LDAPS", "METRICS"] {
        settings.set(format!("AUTHENTIK_LISTEN__{name}"), "127.0.0.1:0");
    }
    settings.set("AUTHENTIK_LDAP__REFRESH_DELTA_INTERVAL", "0");
    settings.set("AUTHENTIK_LDAP__PASSWORD_CHANGE", "self");
    let server = Server::start(Config::read(&settings).unwrap(), None)
        .await
        .unwrap();
    eventually("the server is ready", || server.outpost().is_ready()).await;
    server
}

/// The value of a metric, summed over its labels.
fn counted(server: &Server, metric: &str, labels: &str) -> f64 {
    let page = server.outpost().metrics().encode().unwrap();
    let lines = page
        .lines()
        .filter(|line| line.starts_with(metric) && line.contains(labels));
    let numbers = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    numbers.sum()
}

fn damage(server: &Server) -> f64 {
    counted(server, "akldap_directory_damage_total", "")
}

fn refused(server: &Server, operation: &str) -> f64 {
    let labels = format!("type=\"{operation}\",reason=\"internal_error\"");
    counted(server, "authentik_outpost_ldap_requests_rejected", &labels)
}

/// The lines of the log that are errors and say this.
fn errors(log: &Log, text: &str) -> usize {
    let text_of_log = log.text();
    let errors = text_of_log.lines().filter(|line| line.contains("ERROR"));
    errors.filter(|line| line.contains(text)).count()
}

const FAULT: &str = "answered with other (80) because of an internal error";

#[tokio::test]
async fn a_damaged_directory_is_answered_with_80_told_and_counted() {
    let (log, _guard) = Log::listen();
    let simulator = Simulator::start(Directory::sample(60, 12), Options::default())
        .await
        .unwrap();
    let server = server(&simulator).await;
    let mut client = Client::connect(server.addresses().ldap[0]).await;
    let bound = client.bind(&user_dn("ldapservice"), "demo-ldapservice").await;
    assert_eq!(bound.code, 0, "{bound:?}");
    let found = client.subtree(BASE, "(mail=alice@example.com)", &["mail"]).await;
    assert_eq!((found.entries.len(), found.outcome.code), (1, 0));
    let alice = entry_dn("alice");
    let equal = client.compare(&alice, "mail", b"alice@example.com").await;
    assert_eq!(equal.code, 6, "compareTrue: {equal:?}");
    assert_eq!((damage(&server), errors(&log, FAULT)), (0.0, 0), "{}", log.text());

    server
        .outpost()
        .damage_directory(Snapshot::without_attributes_for_tests);
    let told = |outcome: &Outcome| {
        outcome
            .message
            .starts_with("internal error: the number of octets")
    };
    // By an index, by looking at everybody, and one entry alone.
    let searches = [
        (BASE, "(mail=alice@example.com)"),
        (BASE, "(!(mail=nobody@example.com))"),
        (alice.as_str(), "(objectClass=*)"),
    ];
    for (times, (base, filter)) in (1..).zip(searches) {
        let found = client.subtree(base, filter, &["mail"]).await;
        let outcome = found.outcome;
        assert_eq!(outcome.code, 80, "{filter}: {outcome:?}");
        // Containers need nobody's attributes.
        let whole = found.entries.iter().all(|entry| !entry.dn.starts_with("cn="));
        assert!(whole, "{filter}: {:?}", found.entries);
        assert!(told(&outcome), "{outcome:?}");
        let after = (damage(&server), refused(&server, "search"), errors(&log, FAULT));
        assert_eq!(
            after,
            (f64::from(times), f64::from(times), times as usize),
            "{}",
            log.text()
        );
    }
    let compared = client.compare(&alice, "mail", b"alice@example.com").await;
    assert_eq!(compared.code, 80, "{compared:?}");
    assert!(told(&compared), "{compared:?}");
    let after = (damage(&server), refused(&server, "compare"), errors(&log, FAULT));
    assert_eq!(after, (4.0, 1.0, 4), "{}", log.text());

    // What is served stays: a directory without those that cannot be carried over would be worse.
    let served = server.outpost().directory().snapshot().unwrap();
    server.outpost().refresh_requests().update();
    eventually("the refresh found the damage", || damage(&server) > 4.0).await;
    assert_eq!(errors(&log, FAULT), 4);
    let refresh = log.text();
    let refresh = refresh
        .lines()
        .find(|line| line.contains("the directory in memory is damaged"));
    let refresh = refresh.expect("the refresh tells of it");
    assert!(refresh.contains("restart the server"), "{refresh}");
    assert!(std::sync::Arc::ptr_eq(
        &served,
        &server.outpost().directory().snapshot().unwrap()
    ));
    // The connection still works.
    let root = client.read("", &["supportedLDAPVersion"]).await;
    assert_eq!((root.entries.len(), root.outcome.code), (1, 0));
}

#[tokio::test]
async fn damage_that_hides_whose_password_is_meant_is_counted() {
    let simulator = Simulator::start(Directory::sample(60, 12), Options::default())
        .await
        .unwrap();
    let server = server(&simulator).await;
    let mut client = Client::connect(server.addresses().ldap[0]).await;
    let change = |user_identity| PasswordModify {
        user_identity,
        old_password: None,
        new_password: Some(b"a new passphrase"),
    };
    let mut asked = async |user_identity| {
        let value = change(user_identity).encode().to_vec();
        let answer = client.extended(PASSWORD_MODIFY, Some(value)).await;
        // In clear none is changed, but it is recorded who would be meant.
        assert_eq!(
            answer.res.code,
            LdapResultCode::ConfidentialityRequired,
            "{answer:?}"
        );
    };
    asked(Some(&b"u:alice"[..])).await;
    assert_eq!(damage(&server), 0.0);
    server.outpost().damage_directory(Snapshot::damaged_for_tests);
    asked(Some(b"u:alice")).await;
    assert_eq!(damage(&server), 1.0);
    asked(Some(b"u:nobody")).await;
    assert_eq!(damage(&server), 1.0);
}
