//! Cookies of paged results: any octets are refused or a position, and pages of any sizes are the whole answer.
#![no_main]

use std::sync::{Arc, LazyLock};

use akldap_directory::{
    Builder, GroupRecord, Progress, Search, SearchControls, SearchOutcome, Snapshot, Tree, UserRecord, Viewer,
};
use akldap_ldap::control::{PAGED_RESULTS, PagedResults, SortKey};
use akldap_ldap::filter::Filter;
use akldap_ldap::message::{Scope, SearchRequest};
use akldap_ldap::response::ResultCode;
use akldap_ldap::steps::within_budget;
use libfuzzer_sys::fuzz_target;

const KEY: [u8; 32] = [7; 32];
/// Kind and key of a position, before its signature.
const BODY: usize = 17;
const USERS: i64 = 9;

static DIRECTORY: LazyLock<(Arc<Snapshot>, Arc<Tree>)> = LazyLock::new(|| {
    let mut builder = Builder::new();
    for pk in 1..=USERS {
        let (name, uuid) = (format!("user{}", pk % 4 * 10 + pk), format!("{pk:032x}"));
        builder.add_user(&UserRecord {
            pk: pk * 3,
            uuid: &uuid,
            uid: &name,
            username: &name,
            is_active: true,
            ..UserRecord::default()
        });
    }
    for number in 1..=3u8 {
        let (name, uuid) = (format!("group{number}"), uuid(number));
        builder.add_group(&GroupRecord {
            uuid: &uuid,
            num_pk: Some(number.into()),
            name: &name,
            users: &[3, 6],
            ..GroupRecord::default()
        });
    }
    (
        Arc::new(builder.finish().unwrap().0),
        Arc::new(Tree::new("dc=x", 2000, 4000).expect("a base DN")),
    )
});

fn uuid(number: u8) -> String {
    format!("{number:02x}000000-0000-4000-8000-000000000000")
}

/// What a look at the whole directory costs, in octets read.
const WHOLE: usize = 10_000;

/// The answer to one request: what was written, and how it ended. A cookie costs what its octets cost.
fn search(cookie: Vec<u8>, size: u32, sorted: bool) -> Result<(Vec<u8>, SearchOutcome), ResultCode> {
    within_budget(WHOLE + cookie.len(), || search_on(cookie, size, sorted))
}

fn search_on(cookie: Vec<u8>, size: u32, sorted: bool) -> Result<(Vec<u8>, SearchOutcome), ResultCode> {
    let request = SearchRequest {
        base_object: b"dc=x",
        scope: Scope::WholeSubtree,
        deref_aliases: 0,
        size_limit: 0,
        time_limit: 0,
        types_only: false,
        filter: Filter::Present(b"objectClass"),
        attributes: vec![b"1.1"],
    };
    let key = SortKey {
        attribute: b"cn".to_vec(),
        ordering_rule: None,
        reverse_order: true,
    };
    let controls = SearchControls {
        paged: Some(PagedResults { size, cookie }),
        sort: sorted.then(|| vec![key]),
        cookie_key: KEY,
        ..SearchControls::default()
    };
    let (snapshot, tree) = &*DIRECTORY;
    let mut search = Search::new(
        Arc::clone(snapshot),
        Arc::clone(tree),
        Viewer::Full,
        &request,
        &controls,
    )
    .map_err(|refused| refused.code)?;
    let mut out = Vec::new();
    loop {
        if let Progress::Done(outcome) = search.advance(&mut out, 1, 200, 50) {
            assert_eq!(outcome.result.code, ResultCode::Success);
            assert!(outcome.entries <= u64::from(size));
            return Ok((out, outcome));
        }
    }
}

fn next_cookie(outcome: &SearchOutcome) -> Vec<u8> {
    let (_, value) = outcome
        .controls
        .iter()
        .find(|(oid, _)| *oid == PAGED_RESULTS)
        .expect("a paged search has a paged answer");
    PagedResults::read(value).expect("our own control").cookie
}

/// Any octets as a cookie.
fn check_cookie(cookie: &[u8], size: u32, sorted: bool) {
    match search(cookie.to_vec(), size, sorted) {
        Ok((_, outcome)) => {
            let next = next_cookie(&outcome);
            assert!(
                next.is_empty() || search(next, size, sorted).is_ok(),
                "our own cookies are good"
            );
        }
        Err(code) => assert_eq!(code, ResultCode::UnwillingToPerform),
    }
}

/// Pages of the sizes of `sizes`, over and over, until the end.
fn check_pages(sizes: &[u8], sorted: bool) {
    let (whole, all) = search(Vec::new(), 1000, sorted).expect("a first page");
    let (mut pages, mut entries, mut cookie) = (Vec::new(), 0, Vec::new());
    for size in sizes.iter().cycle() {
        let (page, outcome) =
            search(cookie, u32::from(*size % 32) + 1, sorted).expect("our own cookies are good");
        pages.extend(page);
        entries += outcome.entries;
        cookie = next_cookie(&outcome);
        if cookie.is_empty() {
            break;
        }
        assert!(outcome.entries > 0, "a page before the last is not empty");
    }
    assert_eq!(entries, all.entries);
    assert_eq!(pages, whole, "paged is unpaged");
}

fuzz_target!(|octets: &[u8]| {
    let Some((&mode, rest)) = octets.split_first() else {
        return;
    };
    let (sorted, size) = (mode & 1 != 0, u32::from(mode >> 4));
    match mode >> 1 & 3 {
        0 => check_cookie(rest, size, sorted),
        // What the key holder could have signed: every kind of position, existing or not.
        1 => {
            if let Some(body) = rest.first_chunk::<BODY>() {
                let signed = [&body[..], blake3::keyed_hash(&KEY, body).as_bytes()].concat();
                check_cookie(&signed, size, sorted);
            }
        }
        _ if rest.is_empty() => {}
        _ => check_pages(rest, sorted),
    }
});
