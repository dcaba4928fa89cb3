//! `cn=Monitor`: what Telegraf's `openldap` input and the exporters for Prometheus search there, and who may.

use std::collections::BTreeMap;

use ldap3_proto::proto::LdapSearchScope;

use akldap_testing::client::{Found, search};
use akldap_testing::stage::{BASE, Stage, entry_dn};

/// What Telegraf asks for, since its version 1.4.
const TELEGRAF: &str =
    "(|(objectClass=monitorCounterObject)(objectClass=monitorOperation)(objectClass=monitoredObject))";
const ATTRIBUTES: [&str; 4] = [
    "monitorCounter",
    "monitorOpInitiated",
    "monitorOpCompleted",
    "monitoredInfo",
];

/// The fields that Telegraf makes from an answer, with the names it uses unless told to reverse them.
fn fields(found: &Found) -> BTreeMap<String, i64> {
    let mut fields = BTreeMap::new();
    for entry in &found.entries {
        let name = entry.dn.trim().replace(' ', "_").to_lowercase();
        let name = name.trim_start_matches("cn=").replace("cn=monitor", "");
        let name = name.replace("cn=", "_").replace(',', "");
        for (attribute, suffix) in ATTRIBUTES.iter().zip(["", "_initiated", "_completed", ""]) {
            let values = entry.get(attribute).unwrap_or_default();
            if let Some(number) = values.first().and_then(|value| value.parse().ok()) {
                fields.insert(format!("{name}{suffix}"), number);
            }
        }
    }
    fields
}

#[tokio::test]
async fn telegraf_finds_its_numbers() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    client.subtree(BASE, "(cn=alice)", &[]).await;
    let found = client.subtree("cn=Monitor", TELEGRAF, &ATTRIBUTES).await;
    assert_eq!(found.outcome.code, 0, "{:?}", found.outcome);
    let first = fields(&found);
    for name in [
        "max_file_descriptors_connections",
        "total_connections",
        "current_connections",
        "bytes_statistics",
        "pdu_statistics",
        "entries_statistics",
        "bind_operations_completed",
        "search_operations_initiated",
        "search_operations_completed",
        "operations_completed",
        "max_threads",
    ] {
        assert!(
            first.get(name).is_some_and(|number| *number > 0),
            "{name}: {first:?}"
        );
    }
    for name in [
        "referrals_statistics",
        "modify_operations_completed",
        "uptime_time",
    ] {
        assert!(first.contains_key(name), "{name}: {first:?}");
    }
    let again = client.subtree("cn=Monitor", TELEGRAF, &ATTRIBUTES).await;
    let again = fields(&again);
    assert_eq!(
        again["search_operations_initiated"],
        first["search_operations_initiated"] + 1
    );
    assert!(again["bytes_statistics"] > first["bytes_statistics"]);
    assert!(again["entries_statistics"] > first["entries_statistics"] + 10);
}

#[tokio::test]
async fn exporters_that_ask_for_each_name_find_it() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    for (dn, attribute) in [
        ("cn=Total,cn=Connections,cn=Monitor", "monitorCounter"),
        ("CN=Current, CN=Connections, CN=Monitor", "monitorCounter"),
        (
            "cn=Max File Descriptors,cn=Connections,cn=Monitor",
            "monitorCounter",
        ),
        ("cn=Search,cn=Operations,cn=Monitor", "monitorOpCompleted"),
        ("cn=Modrdn,cn=Operations,cn=Monitor", "monitorOpCompleted"),
        ("cn=Bytes,cn=Statistics,cn=Monitor", "monitorCounter"),
        ("cn=Uptime,cn=Time,cn=Monitor", "monitoredInfo"),
    ] {
        let found = client.read(dn, &[attribute]).await;
        assert_eq!(found.entries.len(), 1, "{dn}: {:?}", found.outcome);
        assert_eq!(found.entries[0].names(), [attribute], "{dn}");
    }
    let missing = client.read("cn=Nothing,cn=Operations,cn=Monitor", &[]).await;
    assert_eq!(missing.outcome.code, 32);
    assert_eq!(missing.outcome.matched_dn, "cn=Operations,cn=Monitor");
}

#[tokio::test]
async fn all_scopes_and_the_size_limit_hold() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let operations = "cn=Operations,cn=Monitor";
    let count = async |client: &mut akldap_testing::client::Client, base: &str, scope| {
        let found = client.search(base, scope, "(objectClass=*)", &["1.1"]).await;
        assert_eq!(found.outcome.code, 0);
        found.entries.len()
    };
    assert_eq!(count(&mut client, operations, LdapSearchScope::Base).await, 1);
    assert_eq!(
        count(&mut client, operations, LdapSearchScope::OneLevel).await,
        10
    );
    assert_eq!(count(&mut client, operations, LdapSearchScope::Subtree).await, 11);
    assert_eq!(
        count(&mut client, operations, LdapSearchScope::Children).await,
        10
    );
    let leaf = "cn=Bind,cn=Operations,cn=Monitor";
    assert_eq!(count(&mut client, leaf, LdapSearchScope::OneLevel).await, 0);
    for (limit, code, entries) in [(3, 4, 3), (11, 0, 11), (12, 0, 11)] {
        let mut request = search(operations, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
        request.sizelimit = limit;
        let found = client.search_with(request, Vec::new()).await;
        assert_eq!(
            (found.outcome.code, found.entries.len()),
            (code, entries),
            "{limit}"
        );
    }
}

#[tokio::test]
async fn only_who_may_search_everything_sees_it_and_nobody_meets_it_elsewhere() {
    let stage = Stage::sample().await;
    let mut nobody = stage.client().await;
    let mut alice = stage.bound("alice").await;
    for client in [&mut nobody, &mut alice] {
        let found = client.subtree("cn=Monitor", "(objectClass=*)", &[]).await;
        assert_eq!((found.outcome.code, found.entries.len()), (50, 0));
        let compared = client.compare("cn=Monitor", "cn", b"Monitor").await;
        assert_eq!(compared.code, 50);
        assert!(
            client.read("", &["monitorContext"]).await.entries[0]
                .attributes
                .is_empty()
        );
    }
    let mut service = stage.bound("ldapservice").await;
    let root = service.read("", &["monitorContext"]).await;
    assert_eq!(root.entries[0].one("monitorContext"), "cn=Monitor");
    assert_eq!(service.compare("cn=Monitor", "cn", b"Monitor").await.code, 6);
    for base in ["", BASE] {
        let all = service.subtree(base, "(objectClass=*)", &["1.1"]).await;
        assert!(all.dns().contains(&entry_dn("alice").as_str()));
        assert!(
            all.dns()
                .iter()
                .all(|dn| !dn.to_lowercase().contains("cn=monitor"))
        );
    }
}
