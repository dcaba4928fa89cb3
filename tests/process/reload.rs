//! What SIGHUP does with a configuration file that was edited.

use std::process::Command;

use akldap_simulator::{Directory, Options, Simulator};
use akldap_testing::child;
use akldap_testing::client::Client;
use akldap_testing::stage::{BASE, user_dn};
use rustix::process::Signal;

/// Somebody who may search everything.
async fn login(server: &mut child::Server) -> Client {
    server.wait_for("directory loaded");
    for _ in 0..600 {
        let mut client = Client::connect(server.ldap).await;
        if client
            .bind(&user_dn("ldapservice"), "demo-ldapservice")
            .await
            .code
            == 0
        {
            return client;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("no login: {}", server.log());
}

async fn shells(client: &mut Client) -> Option<Vec<String>> {
    let found = client
        .subtree(BASE, "(&(objectClass=user)(cn=bob))", &["loginShell"])
        .await;
    assert_eq!((found.outcome.code, found.entries.len()), (0, 1));
    found.entries[0].get("loginShell")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_file_holds_from_sighup_on_and_a_bad_one_changes_nothing() {
    let simulator = Simulator::start(Directory::sample(30, 5), Options::default())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("akldap.toml");
    let write = |shell: &str| {
        let text = format!("[common.user.attributes]\nloginShell = {shell}\n");
        std::fs::write(&path, text).unwrap();
    };
    write("\"/bin/first\"");
    let mut command = Command::new(env!("CARGO_BIN_EXE_akldap"));
    command
        .env_clear()
        .env("TMPDIR", folder.path())
        .env("AUTHENTIK_LDAP__CONFIG_FILE", &path);
    let mut server = child::Server::start(&mut command, &simulator);
    let mut client = login(&mut server).await;
    assert_eq!(shells(&mut client).await.unwrap(), ["/bin/first"]);

    write("\"/bin/second\"");
    server.signal(Signal::HUP);
    server.wait_for("changes for providers are in effect");
    // The connection stays, and the login is looked at again before it counts.
    let mut seen = Vec::new();
    for _ in 0..600 {
        let found = client
            .subtree(BASE, "(&(objectClass=user)(cn=bob))", &["loginShell"])
            .await;
        if found.outcome.code == 0 {
            seen = found.entries[0].get("loginShell").unwrap();
            if seen == ["/bin/second"] {
                break;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(seen, ["/bin/second"], "{}", server.log());

    write("\"{{ nobody }}\"");
    server.signal(Signal::HUP);
    let told = server.wait_for("cannot be used; the old settings stay in effect");
    for part in ["akldap.toml", "2", "nobody"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(shells(&mut client).await.unwrap(), ["/bin/second"]);

    write("false");
    server.signal(Signal::HUP);
    for _ in 0..600 {
        if server.count("changes for providers are in effect") == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let mut gone = false;
    for _ in 0..600 {
        let found = client
            .subtree(BASE, "(&(objectClass=user)(loginShell=*))", &["1.1"])
            .await;
        gone = found.outcome.code == 0 && found.entries.is_empty();
        if gone {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(gone, "{}", server.log());
    server.signal(Signal::TERM);
    assert_eq!(server.ended(), Some(0));
}
