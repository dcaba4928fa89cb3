//! What the whole server serves, entry by entry, against LDIF kept in the project and against the contract with authentik.
//!
//! `AKLDAP_WRITE_GOLDEN=1 cargo test --test contract golden` writes the LDIF again; then read the difference line by line.

mod entries;
mod ldif;
mod recordings;
mod sample;

use std::path::Path;

use akldap_testing::client::Client;
use akldap_testing::stage::{self, BASE, Stage};
use ldap3_proto::proto::LdapSearchScope;

/// The whole directory as LDIF, as seen by a client that asks for these attributes.
async fn dump(client: &mut Client, attributes: &[&str]) -> String {
    let found = client
        .search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", attributes)
        .await;
    assert_eq!(found.outcome.code, 0, "{:?}", found.outcome);
    ldif::write(&found.entries)
}

/// Compares text with a file of this folder, or writes the file.
fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/contract/golden")
        .join(name);
    if std::env::var_os("AKLDAP_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("writable");
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    if golden == text {
        return;
    }
    let different = golden
        .lines()
        .zip(text.lines())
        .position(|(golden, now)| golden != now);
    let line = different.unwrap_or_else(|| golden.lines().count().min(text.lines().count()));
    let show = |text: &str| {
        text.lines()
            .skip(line.saturating_sub(3))
            .take(8)
            .collect::<Vec<_>>()
            .join("\n")
    };
    panic!(
        "{name} differs from line {} on; AKLDAP_WRITE_GOLDEN=1 writes it again.\n--- kept\n{}\n--- served\n{}",
        line + 1,
        show(&golden),
        show(text)
    );
}

/// A client bound with its own password, not the sample's.
async fn bound_with(stage: &Stage, username: &str, password: &str) -> Client {
    let mut client = stage.client().await;
    let outcome = client.bind(&stage::user_dn(username), password).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    client
}
