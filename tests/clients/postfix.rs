//! Postfix's LDAP tables, asked with `postmap`: the keys and answers a mail server sees.

use std::path::Path;

use crate::setting::USERS;
use crate::transport::{AUTHORITY, STRANGER, Target, Transport, over_tls};
use crate::version::package;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::{Output, command, run};
use akldap_testing::stage::{BASE, user_dn};

const NEEDS: [Need<'static>; 2] = [
    Need::Program("postmap"),
    Need::File("/usr/lib/postfix/postfix-ldap.so", "postfix-ldap"),
];

/// Writes a table's configuration.
fn table(folder: &Path, name: &str, target: &Target, container: &str, more: &str) {
    let text = format!(
        "server_host = {uri}
start_tls = {start_tls}
tls_ca_cert_file = {folder}/ca.pem
tls_require_cert = yes
version = 3
bind = yes
bind_dn = {service}
bind_pw = demo-ldapservice
search_base = ou={container},{BASE}
{more}
",
        uri = target.uri(),
        start_tls = target.transport.choose("no", "no", "yes"),
        folder = folder.display(),
        service = user_dn("ldapservice"),
    );
    std::fs::write(folder.join(name), text).expect("a file");
}

/// Mailboxes by address, alias groups expanded to their members' addresses, domains of addresses, keys that are not there.
#[client_test]
async fn lookups() {
    over(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS; nothing where the certificate cannot be verified.
    over_ldaps,
    /// The same over StartTLS.
    over_start_tls: over
}

async fn over(transport: Transport) {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    std::fs::write(path.join("main.cf"), "compatibility_level = 3.6\n").expect("a file");
    let trust = |authority: &str| std::fs::copy(authority, path.join("ca.pem")).expect("a file");
    trust(AUTHORITY);
    table(
        path,
        "mailboxes",
        &target,
        "users",
        "query_filter = (&(objectClass=user)(mail=%s))\nresult_attribute = cn",
    );
    table(
        path,
        "senders",
        &target,
        "users",
        "query_filter = (&(objectClass=user)(|(mail=%s)(mailAlias=%s)))\nresult_attribute = cn, mail",
    );
    // A group's name before the @ is everybody in it; its members are read one by one.
    table(
        path,
        "aliases",
        &target,
        "groups",
        "query_filter = (&(objectClass=groupOfNames)(cn=%u))\nresult_attribute = mail\nspecial_result_attribute = member",
    );
    table(
        path,
        "domains",
        &target,
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
    target.keep("postfix", "lookups", &package("postfix-ldap"));
    let key = "alice@example.com";
    if transport.is_secure() {
        trust(STRANGER);
        let refused = ask(path, key, "mailboxes").await;
        assert!(refused.code != 0 && refused.text.is_empty(), "{refused:?}");
        assert!(refused.errors.contains("Unable to "), "{refused:?}");
    }
    // A table is a service account that logs in: one that is refused finds nothing.
    trust(AUTHORITY);
    let wrong = std::fs::read_to_string(path.join("mailboxes")).expect("a table");
    let wrong = wrong.replace("bind_pw = demo-ldapservice", "bind_pw = wrong");
    std::fs::write(path.join("mailboxes"), wrong).expect("a file");
    let refused = ask(path, key, "mailboxes").await;
    assert!(
        refused.code != 0 && refused.errors.contains("Invalid credentials"),
        "{refused:?}"
    );
}

async fn ask(folder: &Path, key: &str, table: &str) -> Output {
    let mut command = command("postmap");
    command
        .arg("-c")
        .arg(folder)
        .args(["-q", key, &format!("ldap:{}", folder.join(table).display())]);
    run(&mut command).await
}

async fn postmap(folder: &Path, key: &str, table: &str) -> String {
    let output = ask(folder, key, table).await;
    // 1 is what it says of a key that is not there; an error has a message too.
    assert!(
        (output.code == 0) != output.text.is_empty() && output.errors.is_empty(),
        "{output:?}"
    );
    output.text
}
