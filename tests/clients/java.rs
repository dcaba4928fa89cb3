//! Java's JNDI, as Keycloak and Jenkins use it, and the libraries of Java that read schemas.

use std::path::Path;

use serde_json::json;
use tokio::process::Command;

use crate::conversation::Conversation;
use crate::setting::{USERS, demo, odd_attributes};
use crate::transport::{AUTHORITY, Transport, distrusts, over_tls};
use crate::version::said;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise, kept};
use akldap_testing::program::{command, run};
use akldap_testing::stage::SUFFIX;

/// Keycloak's shape: sync in critical pages, look-up by entryUUID, groups, logins, and the sync of what changed since.
/// Jenkins' shape: root, logins, groups, names that are not there, limits, a list left unread.
#[client_test]
async fn syncs_and_logins() {
    syncs(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS.
    syncs_over_ldaps,
    /// The same over StartTLS.
    syncs_over_start_tls: syncs
}

/// Java with options for one short run: compiling well would take longer than running badly. Trusts the server's authority, or
/// only those that Java comes with.
async fn java(folder: &Path, trusting: bool) -> Command {
    let mut java = command("java");
    java.args(["-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8"]);
    if trusting {
        let store = folder.join("authorities");
        let path = store.to_str().expect("text");
        if !store.exists() {
            let mut keytool = command("keytool");
            keytool
                .args(["-importcert", "-noprompt", "-storepass", "public"])
                .args(["-file", AUTHORITY, "-keystore", path]);
            run(&mut keytool).await.expect(0);
        }
        java.arg(format!("-Djavax.net.ssl.trustStore={path}"))
            .arg("-Djavax.net.ssl.trustStorePassword=public");
    }
    java
}

async fn syncs(transport: Transport) {
    let Some(_exercise) = exercise(&[Need::Program("javac")]) else {
        return;
    };
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    let folder = tempfile::tempdir().expect("a folder");
    let script = async |trusting: bool| {
        let mut java = java(folder.path(), trusting).await;
        java.arg("tests/clients/java/Keycloak.java")
            .args(target.arguments(AUTHORITY));
        java
    };
    if transport.is_secure() {
        distrusts(&mut script(false).await).await;
    }
    let mut script = Conversation::start(&mut script(transport.is_secure()).await);
    let report = script.report().await;
    target.keep("jndi", "keycloak-and-jenkins", &said("javac", &["-version"]));
    assert_eq!(
        report,
        json!({
            "keycloak": {
                "users": USERS,
                "pages": 4,
                "uuids": USERS,
                "without times": 0,
                "again": ["alice"],
                "groups": ["backend", "everyone"],
                "all groups": ["backend", "company", "engineering", "everyone"],
                "lists": true,
                "logins": {"right": "in", "wrong": "wrong", "inactive": "wrong", "mallory": "refused"},
            },
            "jenkins": {
                "root": SUFFIX,
                "groups": ["Sales, EMEA", "everyone", "sales"],
                "comma": format!("cn=Sales\\, EMEA,ou=groups,{SUFFIX}"),
                "read": "Sales, EMEA",
                "missing": true,
                "limited": true,
                "entries": 3,
                "after": USERS,
                "star": 0,
            },
            "newest": report["newest"],
        })
    );

    let bob = stage.simulator.user_pk("bob").expect("bob");
    stage
        .simulator
        .save_user(bob, |user| user.email = "robert@example.com".into());
    stage.refresh().await;
    script.go_on().await;
    let changes = script.report().await;
    script.end().await;
    // Those that were the newest before are found again, since the time asked for is theirs.
    let changed = changes["changed"].as_array().expect("names");
    assert!(changed.contains(&json!("bob")) && changed.len() < 5, "{changes}");
    assert_eq!(changes["mail"], json!(["robert@example.com"]));
    assert_eq!(changes["everything"], json!(USERS));
}

/// The schema with names and lists that only admins give: Apache's LDAP API (Apache Directory Studio), UnboundID's SDK with its
/// validator, and JNDI.
#[client_test]
async fn schema_parsers() {
    schema(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS.
    schema_over_ldaps,
    /// The same over StartTLS.
    schema_over_start_tls: schema
}

async fn schema(transport: Transport) {
    let jars = kept().join("java");
    let jar = |name: &str| jars.join(name).display().to_string();
    let (apache, unboundid) = (jar("api-all-2.1.7.jar"), jar("unboundid-ldapsdk-7.0.2.jar"));
    let Some(_exercise) = exercise(&[
        Need::Program("javac"),
        Need::File(&apache, "Apache's LDAP API"),
        Need::File(&unboundid, "UnboundID's LDAP SDK"),
    ]) else {
        return;
    };
    let plain = demo().await;
    let stage = odd_attributes(false, transport).await;
    let target = transport.to(&stage).await;
    let folder = tempfile::tempdir().expect("a folder");
    let script = async |trusting: bool| {
        let mut java = java(folder.path(), trusting).await;
        java.args(["-cp", &jar("*"), "tests/clients/java/SchemaReader.java"])
            .args(target.arguments(AUTHORITY))
            .arg(plain.uri());
        java
    };
    if transport.is_secure() {
        distrusts(&mut script(false).await).await;
    }
    let script = Conversation::start(&mut script(transport.is_secure()).await);
    let report = script.only_report().await;
    let custom = json!(["nextcloud_quota", "2fa", "-x", "with-space"]);
    let single = json!(["mobile false", "cn true"]);
    assert_eq!(
        report,
        json!({
            "apache": {
                "custom": custom,
                "single": single,
                "class": "goauthentik-io-ldap-user",
                "entries": ["1 GB, 2"],
                "errors": [],
            },
            "strict": ["goauthentik-io-ldap-user", USERS],
            "unboundid": {
                "custom": custom,
                "single": single,
                "class": "goauthentik-io-ldap-user",
                // alice has an attribute that is declared under its legal spelling only.
                "valid": USERS - 1,
                "complaints": [],
            },
            "jndi": {
                "custom": custom,
                "single": single,
                "class": "1.3.6.1.4.1.26027.1.1.1",
                "definitions": {
                    "ldap": ["domain", "top"],
                    "users": ["organizationalUnit", "top", "nsContainer"],
                    "alice": [
                        "top", "person", "organizationalPerson", "inetOrgPerson", "user", "posixAccount",
                        "goauthentik-io-ldap-user", "ldapPublicKey", "my-class-x",
                    ],
                    "backend": ["group", "groupOfUniqueNames", "groupOfNames", "goauthentik-io-ldap-group", "posixGroup"],
                },
            },
        })
    );
}
