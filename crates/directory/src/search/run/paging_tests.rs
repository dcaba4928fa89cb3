//! Pages of a directory that changes between them, the size limit over all pages, and searches below the empty name.
//! Random changes are in `tests/contract/search_oracle/paging.rs`.

use super::*;
use crate::build::builder::Builder;
use crate::fixture::*;
use crate::index::snapshot::Snapshot;
use akldap_ldap::control::SortKey;
use akldap_ldap::control::{PAGED_RESULTS, PagedResults};
use akldap_ldap::message::Scope;
use std::sync::Arc;

/// More than any search here has.
const MOST_PAGES: usize = 100;
const KEPT: &str = "everything in a kept order";

/// Users u01 to u20 with these pks left out, their rooms in twos.
fn without(gone: &[i64]) -> Arc<Snapshot> {
    let mut builder = Builder::new();
    for pk in (1..=20).filter(|pk| !gone.contains(pk)) {
        let room = format!(r#"{{"room":"{}","floor":"1"}}"#, pk / 2 % 5);
        add_user(&mut builder, pk, &format!("u{pk:02}"), &room);
    }
    Arc::new(builder.finish().unwrap().0)
}

fn keys(text: &[&str]) -> Option<Vec<SortKey>> {
    let keys = text.iter().map(|text| SortKey {
        attribute: text.trim_start_matches('-').into(),
        ordering_rule: None,
        reverse_order: text.starts_with('-'),
    });
    Some(keys.collect())
}

fn users(order: Option<Vec<SortKey>>) -> Query {
    let mut users = query("(objectClass=user)");
    users.snapshot = without(&[]);
    users.controls.sort = order;
    users
}

/// A page: names, code, and the cookie of the next.
fn page(query: &Query, size: u32, cookie: Vec<u8>) -> (Vec<String>, ResultCode, Vec<u8>) {
    let mut page = query.clone();
    page.controls.paged = Some(PagedResults { size, cookie });
    let (entries, outcome) = page.run();
    let (_, value) = outcome
        .controls
        .iter()
        .find(|(oid, _)| *oid == PAGED_RESULTS)
        .unwrap();
    let name = |dn: &str| short(dn).split(',').next().unwrap().replace("cn=", "");
    (
        entries.iter().map(|entry| name(&entry.dn)).collect(),
        outcome.result.code,
        PagedResults::read(value).unwrap().cookie,
    )
}

/// All pages, each from the next of `snapshots`, and the last one for all later pages.
fn pages(query: &Query, size: u32, snapshots: &[Arc<Snapshot>]) -> Vec<Vec<String>> {
    let (mut pages, mut cookie) = (Vec::new(), Vec::new());
    loop {
        let mut now = query.clone();
        if let Some(snapshot) = snapshots.get(pages.len()).or(snapshots.last()) {
            now.snapshot = Arc::clone(snapshot);
        }
        let (names, code, next) = page(&now, size, cookie);
        assert_eq!(code, ResultCode::Success);
        pages.push(names);
        assert!(pages.len() < MOST_PAGES, "the pages of {size} come to no end");
        cookie = next;
        if cookie.is_empty() {
            return pages;
        }
    }
}

/// Orders that are kept, and orders that are sorted for every page.
fn orders() -> [(Option<Vec<SortKey>>, bool); 6] {
    [
        (keys(&["cn"]), true),
        (keys(&["-cn"]), true),
        (keys(&["room"]), true),
        (keys(&["room", "-cn"]), false),
        (keys(&["-room", "floor", "cn"]), false),
        (keys(&["-uidNumber"]), false),
    ]
}

#[test]
fn who_stays_comes_once_when_others_go_between_sorted_pages() {
    for (order, kept) in orders() {
        let whole = users(order);
        assert_eq!(whole.open().unwrap().plan().to_string() == KEPT, kept);
        for size in [1, 3, 7, 19] {
            let all = pages(&whole, size, &[]).concat();
            assert_eq!(all.len(), 20);
            // The first and the last entry of the first page go, and one of those still to come.
            let first = pages(&whole, size, &[]).remove(0);
            let pk = |name: &String| name[1..].parse().unwrap();
            let gone: Vec<i64> = [first.first(), first.last(), all.last()]
                .into_iter()
                .flatten()
                .map(pk)
                .collect();
            let changed = pages(&whole, size, &[without(&[]), without(&gone)]).concat();
            let expected: Vec<&String> = all
                .iter()
                .filter(|name| first.contains(name) || !gone.contains(&pk(name)))
                .collect();
            assert_eq!(changed.iter().collect::<Vec<_>>(), expected, "{size}");
            // And back again: whoever returns after the position is found.
            let returned = pages(&whole, size, &[without(&gone), without(&[])]).concat();
            let mut once = returned.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), returned.len(), "{size}");
            assert!(returned.len() >= 20 - gone.len());
        }
    }
}

#[test]
fn a_position_is_good_for_other_page_sizes_filters_and_plans() {
    for (order, _) in orders() {
        let whole = users(order.clone());
        let names = whole.names();
        let (_, _, cookie) = page(&whole, 8, Vec::new());
        let mut few = users(order);
        few.filter = "(&(objectClass=user)(|(cn=u03)(cn=u04)(cn=u05)(cn=u13)))".to_owned();
        let (rest, _, end) = page(&few, 100, cookie);
        assert_eq!(end, b"");
        let expected: Vec<String> = names
            .iter()
            .skip(8)
            .map(|name| name[3..6].to_owned())
            .filter(|name| ["u03", "u04", "u05", "u13"].contains(&name.as_str()))
            .collect();
        assert_eq!(rest, expected);
    }
}

#[test]
fn sort_keys_are_cut_and_cookies_stay_small() {
    let long = "x".repeat(2000);
    let mut builder = Builder::new();
    for (pk, end) in [(1, "c"), (2, "a"), (3, "b")] {
        let attributes = format!(r#"{{"note":"{long}{end}","mark":"{}{end}"}}"#, "y".repeat(255));
        add_user(&mut builder, pk, &format!("u{pk}"), &attributes);
    }
    let snapshot = Arc::new(builder.finish().unwrap().0);
    let many: Vec<&str> = std::iter::repeat_n(["note", "-note"], 8).flatten().collect();
    for (order, expected) in [
        (keys(&["note"]), ["u1", "u2", "u3"]),
        (keys(&["-note"]), ["u1", "u2", "u3"]),
        (keys(&["mark"]), ["u2", "u3", "u1"]),
        (keys(&many), ["u1", "u2", "u3"]),
    ] {
        let mut users = users(order);
        users.snapshot = Arc::clone(&snapshot);
        assert_eq!(pages(&users, 1, &[]), expected.map(|name| [name.to_owned()]));
        let (_, _, cookie) = page(&users, 1, Vec::new());
        assert!(cookie.len() < 9 * 1024, "{}", cookie.len());
    }
}

#[test]
fn an_attribute_that_comes_or_goes_between_pages_changes_no_order() {
    let bare = {
        let mut builder = Builder::new();
        (1..=20).for_each(|pk| add_user(&mut builder, pk, &format!("u{pk:02}"), "{}"));
        Arc::new(builder.finish().unwrap().0)
    };
    let by_room = users(keys(&["room"]));
    let (first, _, cookie) = page(&by_room, 7, Vec::new());
    let mut gone = by_room.clone();
    gone.snapshot = Arc::clone(&bare);
    // Nobody has a key now: all come after the position.
    let (rest, ..) = page(&gone, 100, cookie);
    assert_eq!(rest.len(), 20);
    let back = pages(
        &by_room,
        7,
        &[without(&[]), Arc::clone(&bare), bare.clone(), bare.clone()],
    );
    assert_eq!(back[0], first);
    // What began unsorted stays so.
    let mut unsorted = by_room.clone();
    unsorted.snapshot = Arc::clone(&bare);
    let all = pages(&unsorted, 7, &[bare, without(&[])]).concat();
    assert_eq!(all, (1..=20).map(|pk| format!("u{pk:02}")).collect::<Vec<_>>());
    let (_, _, cookie) = page(&unsorted, 7, Vec::new());
    let mut critical = by_room;
    critical.controls.sort_critical = true;
    critical.controls.paged = Some(PagedResults { size: 7, cookie });
    assert_eq!(critical.open().unwrap_err().code, ResultCode::UnwillingToPerform);
}

#[test]
fn the_last_page_of_a_kept_order_costs_what_the_first_does() {
    let mut builder = Builder::new();
    (1..=3000).for_each(|pk| add_user(&mut builder, pk, &format!("u{pk:04}"), "{}"));
    let mut users = users(keys(&["cn"]));
    users.snapshot = Arc::new(builder.finish().unwrap().0);
    let cost = |cookie: Vec<u8>| {
        let mut page = users.clone();
        page.controls.paged = Some(PagedResults { size: 50, cookie });
        let mut search = page.open().unwrap();
        assert_eq!(search.plan().to_string(), KEPT);
        let mut out = Vec::new();
        while search.advance(&mut out, 1, usize::MAX, usize::MAX) == Progress::More {}
        search.scratch.work
    };
    let (_, _, far) = page(&users, 2900, Vec::new());
    let (first, last) = (cost(Vec::new()), cost(far));
    assert!(last < first * 3 / 2, "{first} {last}");
}

#[test]
fn the_size_limit_counts_over_all_pages() {
    let all = orders().into_iter().map(|(order, _)| order).chain([None]);
    for order in all {
        let mut limited = users(order);
        for (limit, size, expected) in [
            (10, 3, &[3, 3, 3, 1][..]),
            (9, 3, &[3, 3, 3]),
            (10, 10, &[10]),
            (10, 11, &[10]),
            (1, 1, &[1]),
        ] {
            limited.size_limit = limit;
            let (mut sizes, mut cookie) = (Vec::new(), Vec::new());
            let code = loop {
                let (names, code, next) = page(&limited, size, cookie);
                sizes.push(names.len());
                cookie = next;
                if cookie.is_empty() {
                    break code;
                }
            };
            assert_eq!(
                (sizes.as_slice(), code),
                (expected, ResultCode::SizeLimitExceeded),
                "{limit} {size}"
            );
        }
        for limit in [0, 20, 21] {
            limited.size_limit = limit;
            assert_eq!(pages(&limited, 6, &[]).concat().len(), 20, "{limit}");
        }
    }
}

#[test]
fn from_the_empty_name_the_root_dse_comes_before_what_lies_below() {
    let root = |filter: &str, scope| query(filter).at_root().scope(scope);
    let all = query("(objectClass=*)").names();
    let with_root = |names: &[String]| [&[String::new()], names].concat();
    let dns = |query: &Query| {
        let entries = query.entries();
        entries.into_iter().map(|entry| entry.dn).collect::<Vec<_>>()
    };
    let found = root("(objectClass=*)", Scope::WholeSubtree);
    assert_eq!(dns(&found)[..2], [String::new(), BASE.to_owned()]);
    assert_eq!(found.names(), with_root(&all));
    assert_eq!(found.entries()[0].get("namingContexts"), [SUFFIX]);
    assert_eq!(dns(&root("(objectClass=*)", Scope::SingleLevel)), [BASE]);
    assert_eq!(dns(&root("(objectClass=*)", Scope::BaseObject)), [""]);
    assert_eq!(root("(objectClass=*)", Scope::SubordinateSubtree).names(), all);
    assert_eq!(
        root("(cn=bob)", Scope::WholeSubtree).names(),
        query("(cn=bob)").names()
    );
    assert_eq!(dns(&root("(vendorName=*)", Scope::WholeSubtree)), [""]);
    // What is found in no order is sorted by name, after the root DSE.
    let scanned = root("(|(cn=*b*)(vendorName=*)(mail=*Ex*))", Scope::WholeSubtree);
    let below = query("(|(cn=*b*)(mail=*Ex*))").names();
    assert_eq!(scanned.names(), with_root(&below));
    let own = root("(objectClass=*)", Scope::WholeSubtree).own(2);
    assert_eq!(own.names(), with_root(&query("(objectClass=*)").own(2).names()));
}

#[test]
fn pages_and_orders_hold_from_the_empty_name_on() {
    let sorts = orders().into_iter().map(|(order, _)| order);
    let by_class = [keys(&["objectClass"]), keys(&["-objectClass", "cn"]), None];
    for filter in [
        "(objectClass=*)",
        "(objectClass=top)",
        "(|(cn=*1*)(vendorName=*))",
    ] {
        for order in sorts.clone().chain(by_class.clone()) {
            let mut whole = query(filter).at_root();
            whole.snapshot = without(&[]);
            whole.controls.sort = order.clone();
            let all = pages(&whole, 1000, &[]).concat();
            assert_eq!(
                all.iter().filter(|name| name.is_empty()).count(),
                2 - usize::from(filter.contains("cn="))
            );
            let mut unpaged = whole.names();
            assert_eq!(unpaged.len(), all.len());
            if order.is_none() {
                assert_eq!(all[0], "");
                unpaged.truncate(0);
            }
            for size in [1, 2, 7, 44] {
                assert_eq!(pages(&whole, size, &[]).concat(), all, "{filter} {size}");
            }
            whole.size_limit = 3;
            let (names, code, cookie) = page(&whole, 2, Vec::new());
            assert_eq!((names.len(), code), (2, ResultCode::Success));
            let (names, code, _) = page(&whole, 2, cookie);
            assert_eq!((names.len(), code), (1, ResultCode::SizeLimitExceeded));
        }
    }
    // It has no cn, so it comes among the last; in reverse order among the first, where ids decide.
    let last = |order: &[&str]| {
        let mut whole = query("(objectClass=*)").at_root();
        whole.controls.sort = keys(order);
        let names: Vec<String> = whole.entries().into_iter().map(|entry| entry.dn).collect();
        names.iter().position(String::is_empty).unwrap()
    };
    assert_eq!(last(&["cn"]), 18);
    assert_eq!(last(&["cn", "uid"]), 18);
    assert_eq!(last(&["-cn"]), 4);
    assert_eq!(last(&["vendorName"]), 0);
}
