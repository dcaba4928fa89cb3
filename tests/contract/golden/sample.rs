//! The sample directory.

use akldap_simulator::Directory;

use crate::golden::{compare, dump};
use akldap_testing::stage::{BASE, Stage};

async fn sample() -> Stage {
    Stage::with(Directory::sample(20, 12), |_| {}).await
}

#[tokio::test]
async fn the_sample_directory() {
    let stage = sample().await;
    let mut client = stage.bound("ldapservice").await;
    let text = dump(&mut client, &[]).await;
    compare("sample.ldif", &text);
    for attributes in [&["*"][..], &[""], &["*", "*"]] {
        assert_eq!(dump(&mut client, attributes).await, text, "{attributes:?}");
    }
    stage.refresh().await;
    assert_eq!(
        dump(&mut client, &[]).await,
        text,
        "the order is the same after a refresh"
    );
}

/// What is served only when asked for by name.
const ON_REQUEST: &[&str] = &[
    "entryUUID",
    "entryDN",
    "structuralObjectClass",
    "hasSubordinates",
    "numSubordinates",
    "subschemaSubentry",
    "createTimestamp",
    "modifyTimestamp",
    "uniqueMember",
    "memberUid",
];

#[tokio::test]
async fn attributes_on_request() {
    let stage = sample().await;
    let mut client = stage.bound("ldapservice").await;
    compare("sample-on-request.ldif", &dump(&mut client, ON_REQUEST).await);
}

#[tokio::test]
async fn what_alice_sees() {
    let stage = sample().await;
    let mut client = stage.bound("alice").await;
    compare("sample-alice.ldif", &dump(&mut client, &[]).await);
    let every = [ON_REQUEST, &["member", "memberOf"]].concat();
    let text = dump(&mut client, &every).await;
    for stranger in ["bob", "engineering", "ldapservice"] {
        assert!(!text.contains(stranger), "{stranger} shows in {text}");
    }
    assert!(text.contains(BASE));
}
