//! Postfix's LDAP tables, asked with `postmap`: the keys and answers a mail server sees.

use std::path::Path;

use crate::exercise::{Need, exercise};
use crate::program::{command, run};
use crate::recorder::{DEMO, Recorder};
use crate::setting::{USERS, demo};
use crate::stage::{BASE, user_dn};
use crate::version::package;

const NEEDS: [Need<'static>; 2] = [
    Need::Program("postmap"),
    Need::File("/usr/lib/postfix/postfix-ldap.so", "postfix-ldap"),
];

/// Writes a table's configuration.
fn table(folder: &Path, name: &str, uri: &str, container: &str, more: &str) {
    let text = format!(
        "server_host = {uri}
version = 3
bind = yes
bind_dn = {service}
bind_pw = demo-ldapservice
search_base = ou={container},{BASE}
{more}
",
        service = user_dn("ldapservice"),
    );
    std::fs::write(folder.join(name), text).expect("a file");
}

/// Mailboxes by address, alias groups expanded to their members' addresses, domains of addresses, keys that are not there.
#[tokio::test]
async fn lookups() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    std::fs::write(path.join("main.cf"), "compatibility_level = 3.6\n").expect("a file");
    let uri = recorder.uri();
    table(
        path,
        "mailboxes",
        &uri,
        "users",
        "query_filter = (&(objectClass=user)(mail=%s))\nresult_attribute = cn",
    );
    table(
        path,
        "senders",
        &uri,
        "users",
        "query_filter = (&(objectClass=user)(|(mail=%s)(mailAlias=%s)))\nresult_attribute = cn, mail",
    );
    // A group's name before the @ is everybody in it; its members are read one by one.
    table(
        path,
        "aliases",
        &uri,
        "groups",
        "query_filter = (&(objectClass=groupOfNames)(cn=%u))\nresult_attribute = mail\nspecial_result_attribute = member",
    );
    table(
        path,
        "domains",
        &uri,
        "users",
        "query_filter = (mail=*@%s)\nresult_attribute = mail\nresult_format = %d",
    );
    for (name, key, answers) in [
        ("mailboxes", "alice@example.com", &["alice"][..]),
        ("mailboxes", "ALICE@EXAMPLE.COM", &["alice"]),
        ("mailboxes", "pat@example.com", &["pat o'brien"]),
        ("mailboxes", "nobody@example.com", &[]),
        ("mailboxes", "*@example.com", &[]),
        ("mailboxes", "alice@example.com)(cn=*", &[]),
        ("senders", "bob@example.com", &["bob", "bob@example.com"]),
        (
            "aliases",
            "backend@example.com",
            &[
                "alice@example.com",
                "inactive@example.com",
                "static@example.com",
                "totp@example.com",
            ],
        ),
        ("aliases", "nosuchgroup@example.com", &[]),
        ("domains", "example.org", &[]),
    ] {
        let output = postmap(path, key, name).await;
        let mut found: Vec<&str> = output
            .trim_end()
            .split(',')
            .filter(|part| !part.is_empty())
            .collect();
        found.sort_unstable();
        assert_eq!(found, answers, "{name} {key}");
    }
    let domain = postmap(path, "example.com", "domains").await;
    // All but the service account and the outpost's, which have no address.
    assert_eq!(domain.matches("example.com").count(), USERS - 2);
    recorder.keep("postfix", "lookups", &package("postfix-ldap"), DEMO);
}

async fn postmap(folder: &Path, key: &str, table: &str) -> String {
    let mut command = command("postmap");
    command
        .arg("-c")
        .arg(folder)
        .args(["-q", key, &format!("ldap:{}", folder.join(table).display())]);
    let output = run(&mut command).await;
    // 1 is what it says of a key that is not there; an error has a message too.
    assert!(
        (output.code == 0) != output.text.is_empty() && output.errors.is_empty(),
        "{output:?}"
    );
    output.text
}
