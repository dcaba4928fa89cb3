//! Python's two LDAP libraries: ldap3 with what authentik's own end-to-end test expects, and python-ldap.

use std::process::Stdio;
use std::time::Duration;

use akldap_simulator::Directory;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use crate::setting::{USERS, odd_attributes};
use crate::transport::{AUTHORITY, STRANGER, Transport, distrusts, over_tls};
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::{self, PYTHON, run};
use akldap_testing::stage::eventually;

/// Longer than the script waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory like the one authentik's test makes: the accounts every authentik has, one more with an attribute that no
/// schema knows, and one that may not search. Without group names that DNs must escape, to keep the script plain.
fn end_to_end_directory() -> Directory {
    let mut directory = Directory::sample(0, 0);
    let unwanted: Vec<i32> = directory
        .users()
        .iter()
        .filter(|user| !user.username.starts_with("ak") && !["ldapservice", "bob"].contains(&&*user.username))
        .map(|user| user.pk)
        .collect();
    for pk in unwanted {
        directory.remove_user(pk);
    }
    let mut attributes = serde_json::Map::new();
    attributes.insert("extraAttribute".to_owned(), json!(["bar"]));
    let accounts: Vec<i32> = directory.users().iter().map(|user| user.pk).collect();
    for pk in accounts {
        directory.change_user(pk, |user| {
            let own = if &*user.username == "bob" {
                attributes.clone()
            } else {
                serde_json::Map::new()
            };
            user.set_attributes(&own);
        });
    }
    directory
}

#[client_test]
async fn authentiks_own_expectations_hold() {
    authentiks_own(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS.
    ldap3_over_ldaps,
    /// The same over StartTLS.
    ldap3_over_start_tls: authentiks_own
}

async fn authentiks_own(transport: Transport) {
    let Some(_exercise) = exercise(&[Need::PythonModule("ldap3")]) else {
        return;
    };
    let stage = transport.stage(end_to_end_directory()).await;
    eventually("the websocket is there", || stage.simulator.websockets() > 0).await;
    let script = |authority: &str| {
        let mut command = program::command(PYTHON);
        command
            .arg("tests/clients/authentik_e2e.py")
            .args(["--ldap-port", &stage.ldap().port().to_string()])
            .args(["--ldaps-port", &stage.ldaps().port().to_string()])
            .args(["--transport", transport.choose("clear", "ldaps", "start_tls")])
            .args(["--ca", authority])
            .args(["--authentik", &stage.simulator.url()])
            .args(["--token", &stage.simulator.token()])
            .args(["--searcher", "ldapservice", "--member", "bob"]);
        command
    };
    if transport.is_secure() {
        distrusts(&mut script(STRANGER)).await;
    }
    let mut command = script(AUTHORITY);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut answers = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut orders = child.stdin.take().expect("its input");
    let mut errors = child.stderr.take().expect("its errors");
    let first = timeout(PATIENCE, answers.next_line())
        .await
        .expect("it answers in time")
        .expect("readable");
    if first.as_deref() != Some("sessions") {
        let mut text = String::new();
        let _ = errors.read_to_string(&mut text).await;
        panic!("{first:?}\n{text}");
    }
    stage
        .simulator
        .end_sessions_of(stage.simulator.user_pk("bob").expect("bob"));
    orders.write_all(b"\n").await.expect("it listens");
    let last = timeout(PATIENCE, answers.next_line())
        .await
        .expect("it answers in time")
        .expect("readable");
    let mut text = String::new();
    let _ = errors.read_to_string(&mut text).await;
    let status = child.wait().await.expect("it ends");
    assert!(status.success(), "{last:?}\n{text}");
    let report: Value = serde_json::from_str(&last.expect("a report")).expect("JSON");
    let users = stage.simulator.look(|directory| directory.users().len());
    assert_eq!(report["users"], json!(users), "{report}");
    let ways = if transport.is_secure() { 0 } else { 4 };
    assert_eq!(report["binds"].as_array().map(Vec::len), Some(ways), "{report}");
    assert!(
        report["session_end_seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds < 3.0),
        "{report}"
    );
}

#[client_test]
async fn python_ldap_reads_pages_schema_and_comparisons() {
    python_ldap(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS.
    python_ldap_over_ldaps,
    /// The same over StartTLS.
    python_ldap_over_start_tls: python_ldap
}

async fn python_ldap(transport: Transport) {
    let Some(_exercise) = exercise(&[Need::PythonModule("ldap")]) else {
        return;
    };
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    let script = |authority: &str| {
        let mut command = program::command(PYTHON);
        command
            .arg("tests/clients/python_ldap.py")
            .args(target.arguments(authority));
        command
    };
    if transport.is_secure() {
        distrusts(&mut script(STRANGER)).await;
    }
    let output = run(&mut script(AUTHORITY)).await.expect(0);
    let report: Value = serde_json::from_str(&output.text).expect("JSON");
    assert_eq!(report["awkward"], json!(2), "{report}");
}

/// With the schema loaded, ldap3 sends no filter on a name that is missing there, and shows one value of what is single-valued.
#[client_test]
async fn ldap3_with_its_schema_takes_custom_names_and_lists() {
    let Some(_exercise) = exercise(&[Need::PythonModule("ldap3")]) else {
        return;
    };
    let stage = odd_attributes(false, Transport::Clear).await;
    let mut command = program::command(PYTHON);
    command
        .arg("tests/clients/ldap3_schema.py")
        .args(["--ldap-port", &stage.ldap().port().to_string()]);
    let output = run(&mut command).await.expect(0);
    let report: Value = serde_json::from_str(&output.text).expect("JSON");
    assert_eq!(
        report,
        json!({
            "found": {
                "(nextcloud_quota=1 GB)": ["alice"],
                "(2fa=true)": ["alice"],
                "(-x=*front)": ["alice"],
                "(with-space=b)": ["alice"],
                "(mobile=+491)": ["alice"],
                "(&(objectClass=goauthentik.io/ldap/user)(cn=alice))": ["alice"],
                "(&(objectClass=goauthentik-io-ldap-user)(cn=alice))": ["alice"],
                "(objectClass=ldapPublicKey)": ["alice"],
                "(objectClass=my.class/x)": ["alice"],
            },
            "mobile": ["+49 1", "+49 2"],
            "cn": "alice",
            "readers": {
                "inetOrgPerson": USERS,
                "goauthentik.io/ldap/user": USERS,
                "goauthentik-io-ldap-user": USERS,
                "goauthentik.io/ldap/group": report["readers"]["goauthentik.io/ldap/group"],
            },
        })
    );
}
