//! The rootDSE and the subschema, which everybody may read, and that nothing else may be read without a bind.

use ldap3_proto::proto::LdapSearchScope;

use akldap_testing::stage::{BASE, SUFFIX, Stage, user_dn};

#[tokio::test]
async fn everybody_may_read_the_root_dse() {
    let stage = Stage::sample().await;
    let mut client = stage.client().await;
    let found = client.read("", &[]).await;
    assert_eq!((found.outcome.code, found.dns()), (0, vec![""]));
    let root = &found.entries[0];
    assert_eq!(root.get("supportedLDAPVersion").unwrap(), ["3"]);
    assert_eq!(root.get("namingContexts").unwrap(), [SUFFIX]);
    assert_eq!(root.get("defaultNamingContext").unwrap(), [SUFFIX]);
    assert_eq!(root.get("subschemaSubentry").unwrap(), ["cn=subschema"]);
    assert!(
        root.get("supportedExtension")
            .unwrap()
            .contains(&"1.3.6.1.4.1.1466.20037".to_owned())
    );
    assert!(
        root.get("supportedControl")
            .unwrap()
            .contains(&"1.2.840.113556.1.4.319".to_owned())
    );
    assert!(root.get("supportedSASLMechanisms").is_none());
    assert!(
        root.get("description").is_some(),
        "tells the anonymous that a bind is needed"
    );
    assert_eq!(
        client.read("", &["+"]).await.entries,
        found.entries,
        "all of it is operational"
    );
    for name in ["entryUUID", "structuralObjectClass", "numSubordinates"] {
        assert!(
            client.read("", &[name]).await.entries[0].attributes.is_empty(),
            "{name}"
        );
    }
    let bound = stage.bound("alice").await.read("", &["+", "*"]).await;
    assert!(bound.entries[0].get("description").is_none());
    assert_eq!(bound.entries[0].get("vendorName").unwrap(), ["goauthentik.io"]);
}

#[tokio::test]
async fn the_root_dse_is_selected_like_any_entry() {
    let stage = Stage::sample().await;
    let mut client = stage.client().await;
    let found = client.read("", &["NAMINGCONTEXTS"]).await;
    assert_eq!(found.entries[0].names(), ["namingContexts"]);
    let one_level = client
        .search("", LdapSearchScope::OneLevel, "(objectClass=*)", &[])
        .await;
    assert_eq!((one_level.outcome.code, one_level.entries.len()), (0, 0));
    let subtree = client.subtree("", "(objectClass=*)", &[]).await;
    assert_eq!(subtree.dns(), [""]);
    let no_match = client
        .search("", LdapSearchScope::Base, "(objectClass=person)", &[])
        .await;
    assert_eq!((no_match.outcome.code, no_match.entries.len()), (0, 0));
}

#[tokio::test]
async fn everybody_may_read_the_subschema() {
    let stage = Stage::sample().await;
    let mut client = stage.client().await;
    let found = client
        .read("CN=Subschema", &["objectClasses", "attributeTypes"])
        .await;
    assert_eq!((found.outcome.code, found.dns()), (0, vec!["cn=subschema"]));
    let classes = found.entries[0].get("objectClasses").unwrap();
    assert!(
        classes
            .iter()
            .any(|class| class.contains("'goauthentik.io/ldap/user'")),
        "{classes:?}"
    );
    let mut bound = stage.bound("alice").await;
    let below = bound.subtree(BASE, "(objectClass=subschema)", &["cn"]).await;
    assert_eq!(below.dns(), ["cn=subschema"]);
}

#[tokio::test]
async fn nothing_else_is_readable_without_a_bind() {
    let stage = Stage::sample().await;
    let mut client = stage.client().await;
    for base in [BASE, "ou=users,dc=ldap,dc=goauthentik,dc=io", "dc=io", "dc=other"] {
        let found = client.subtree(base, "(objectClass=*)", &[]).await;
        assert_eq!((found.outcome.code, found.entries.len()), (50, 0), "{base}");
        assert!(found.outcome.message.contains("bind"), "{:?}", found.outcome);
    }
    assert_eq!(client.compare(BASE, "dc", b"ldap").await.code, 50);
    assert_eq!(
        client.read("", &[]).await.outcome.code,
        0,
        "the connection lives on"
    );
}

#[tokio::test]
async fn values_of_the_root_dse_and_the_subschema_compare() {
    let stage = Stage::sample().await;
    let mut client = stage.client().await;
    for bound in [false, true] {
        if bound {
            assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
        }
        for (name, attribute, value, code) in [
            ("", "namingContexts", BASE, 6),
            ("", "supportedLDAPVersion", "3", 6),
            ("", "supportedLDAPVersion", "2", 5),
            ("", "mail", "x", 16),
            ("", "nosuch", "x", 16),
            ("cn=subschema", "objectClass", "SUBSCHEMA", 6),
            ("CN = Subschema", "cn", "other", 5),
            ("cn=subschema", "member", "x", 16),
        ] {
            let outcome = client.compare(name, attribute, value.as_bytes()).await;
            assert_eq!(outcome.code, code, "{name:?} {attribute}={value}: {outcome:?}");
        }
    }
}
