//! Searches that ask for as much work and memory as a message can hold, and listings, which must not notice the limits
//! that stop them.

use std::fmt::Write as _;
use std::time::Duration;

use akldap_simulator::Directory;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{LdapOp, LdapSearchScope};

use crate::hostile::process::Server;
use akldap_testing::client::{Client, Outcome, search};
use akldap_testing::stage::{BASE, user_dn};

const ADMIN_LIMIT_EXCEEDED: i32 = 11;
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

/// Groups within the first, so that what is below it is nearly everything.
fn nested(users: usize, groups: usize) -> Directory {
    let mut directory = Directory::sample(users, groups);
    let generated: Vec<_> = (1..)
        .map(|number| format!("group{number:04}"))
        .map_while(|name| directory.group_named(&name).map(|group| group.pk))
        .collect();
    if let Some((first, others)) = generated.split_first() {
        for group in others {
            directory.set_parents(*group, &[*first]);
        }
    }
    directory
}

/// Refused for what it costs, in words that name the cause.
fn assert_refused(outcome: &Outcome, cause: &str) {
    assert_eq!(outcome.code, ADMIN_LIMIT_EXCEEDED, "{}", outcome.message);
    assert!(outcome.message.contains(cause), "{}", outcome.message);
}

/// A client that may search everything, once the directory is loaded: a large one takes longer than a login.
pub async fn service(server: &Server) -> Client {
    let mut client = Client::connect(server.ldap).await;
    let outcome = client.bind(&user_dn("ldapservice"), "demo-ldapservice").await;
    assert_eq!(outcome.code, 0);
    while client.read(BASE, &["1.1"]).await.outcome.code != 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client
}

/// One search with as many in-chain assertions as the largest message holds, each of which stands for a thousand groups.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_full_of_in_chain_assertions_is_refused_before_it_costs_anything() {
    let server = Server::with(nested(60, 1000), &[]).await;
    let mut client = service(&server).await;
    let before = server.usage();
    let name = format!("cn=group0001,ou=groups,{BASE}");
    let mut filter = String::new();
    for number in 0..8000 {
        write!(filter, "(memberOf:{IN_CHAIN}:={name})(cn=x{number})").unwrap();
    }
    for connective in ['|', '&'] {
        let found = client
            .subtree(BASE, &format!("({connective}{filter})"), &["1.1"])
            .await;
        assert_refused(&found.outcome, "nested groups");
    }
    server.assert_used(before, 10.0, 64 << 20);
    let grown = server.peak().saturating_sub(before.rss);
    assert!(
        grown <= 128 << 20,
        "{grown} octets more memory at the highest point"
    );
    // What people ask for is far below that.
    let found = client
        .subtree(BASE, &format!("(memberOf:{IN_CHAIN}:={name})"), &["1.1"])
        .await;
    assert_eq!(found.outcome.code, 0);
    assert!(found.entries.len() > 900, "{}", found.entries.len());
}

/// A search that no index answers, with thousands of alternatives, none of which is ever true.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_looks_at_everything_for_thousands_of_alternatives_ends() {
    let settings = [
        ("AUTHENTIK_LDAP__SEARCH_WORK_LIMIT", "2000000"),
        ("AUTHENTIK_LDAP__SEARCH_WORK_LIMIT_OWN", "100000"),
    ];
    let server = Server::with(Directory::sample(3000, 50), &settings).await;
    let alternatives: String = (0..10_000)
        .map(|number| format!("(mail=*q{number}*z*)"))
        .collect();
    let filter = format!("(|{alternatives})");
    let before = server.usage();
    let mut client = service(&server).await;
    let found = client.subtree(BASE, &filter, &["1.1"]).await;
    assert_refused(&found.outcome, "AUTHENTIK_LDAP__SEARCH_WORK_LIMIT");
    let mut plain = Client::connect(server.ldap).await;
    assert_eq!(plain.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    let wide = format!("(|{}{})", alternatives, alternatives);
    let found = plain.subtree(BASE, &wide, &["1.1"]).await;
    assert_refused(&found.outcome, "AUTHENTIK_LDAP__SEARCH_WORK_LIMIT_OWN");
    server.assert_used(before, 20.0, 128 << 20);
}

/// A stranger may read the rootDSE and the subschema, and asks as expensively as 64 KiB allow.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_little_work_for_64_kib() {
    let server = Server::start(&[]).await;
    let mut stranger = Client::connect(server.ldap).await;
    assert_eq!(stranger.read("", &[]).await.outcome.code, 0);
    assert_eq!(stranger.read("cn=subschema", &["+"]).await.outcome.code, 0);
    let assertions: String = (0..2000)
        .map(|number| format!("(attributeTypes=*q{number}*z*)"))
        .collect();
    let before = server.usage();
    let request = search(
        "cn=subschema",
        LdapSearchScope::Base,
        &format!("(|{assertions})"),
        &[],
    );
    let found = stranger.search_with(request, vec![]).await;
    assert_refused(&found.outcome, "before a bind");
    server.assert_used(before, 2.0, 32 << 20);
}

/// Everything there is, as Nextcloud asks for it: in one answer, in pages, sorted, with every attribute.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_a_large_directory_never_meets_a_limit() {
    let server = Server::with(Directory::sample(20_000, 200), &[]).await;
    let mut client = service(&server).await;
    let whole = client
        .subtree(BASE, "(objectClass=*)", &["cn", "mail", "memberOf"])
        .await;
    assert_eq!(whole.outcome.code, 0, "{}", whole.outcome.message);
    let count = whole.entries.len();
    assert!(count > 40_000, "{count}");
    // A filter that no index answers and everything satisfies.
    let filter = "(&(!(cn=*no such*))(!(description=*no such*))(objectClass=*))";
    let unindexed = client.subtree(BASE, filter, &["1.1"]).await;
    assert_eq!(
        (unindexed.outcome.code, unindexed.entries.len()),
        (0, count),
        "{}",
        unindexed.outcome.message
    );
    let (mut cookie, mut paged) = (Vec::new(), 0);
    loop {
        let control = LdapControl::SimplePagedResults { size: 500, cookie };
        let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
        let page = client.search_with(request, vec![control]).await;
        assert_eq!(page.outcome.code, 0, "{}", page.outcome.message);
        paged += page.entries.len();
        let Some(LdapControl::SimplePagedResults { cookie: next, .. }) = page.outcome.controls.first() else {
            panic!("{:?}", page.outcome)
        };
        if next.is_empty() {
            break;
        }
        cookie = next.clone();
    }
    assert_eq!(paged, count);
}

/// Abandoned at once, again and again: what a search was given is freed.
#[tokio::test(flavor = "multi_thread")]
async fn sorted_answers_that_nobody_reads_are_bounded() {
    let settings = [("AUTHENTIK_LDAP__SEARCH_MEMORY_LIMIT", "1MiB")];
    let server = Server::with(Directory::sample(10_000, 50), &settings).await;
    let mut client = service(&server).await;
    let before = server.usage();
    // Sorted by a computed attribute and a second one, so no kept order helps.
    let keys = LdapControl::Unknown {
        oid: "1.2.840.113556.1.4.473".to_owned(),
        criticality: true,
        value: Some(sort_keys(&["memberOf", "cn"])),
    };
    let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
    let id = client.send(LdapOp::SearchRequest(request), vec![keys]).await;
    let found = client.collect(id).await;
    assert_refused(&found.outcome, "AUTHENTIK_LDAP__SEARCH_MEMORY_LIMIT");
    server.assert_used(before, 20.0, 32 << 20);
}

/// SortKeyList (RFC 2891 section 1.1) of attributes with short names.
fn sort_keys(attributes: &[&str]) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| {
        let mut out = vec![tag, u8::try_from(content.len()).unwrap()];
        out.extend_from_slice(content);
        out
    };
    let keys: Vec<u8> = attributes
        .iter()
        .flat_map(|attribute| element(0x30, &element(0x04, attribute.as_bytes())))
        .collect();
    element(0x30, &keys)
}
