use super::*;
use crate::build::builder::Builder;
use crate::fixture::*;
use crate::search::request::{SearchControls, SearchOutcome};
use crate::view::subschema::EntryAttributes;
use crate::view::tree::Tree;
use akldap_ldap::ber::Reader;
use akldap_ldap::control::VlvTarget;
use akldap_ldap::control::{
    DerefSpec, PAGED_RESULTS, PagedResults, SORT_RESPONSE, SortKey, VLV_RESPONSE, VlvRequest,
    encode_sort_response,
};
use akldap_ldap::message::{Scope, SearchRequest};
use std::sync::Arc;

fn denial(query: &Query) -> (ResultCode, String) {
    let result = query.open().unwrap_err();
    assert!(!result.diagnostic_message.is_empty());
    (result.code, String::from_utf8(result.matched_dn).unwrap())
}

#[test]
fn an_equality_search_finds_users_and_virtual_groups_in_order() {
    assert_eq!(
        query("(cn=BOB)").names(),
        ["cn=bob,ou=users", "cn=bob,ou=virtual-groups"]
    );
    assert_eq!(
        query("(&(cn=bob)(objectClass=user))").names(),
        ["cn=bob,ou=users"]
    );
}

#[test]
fn entries_come_in_a_fixed_order_under_their_own_names() {
    let entries = query("(objectClass=*)").entries();
    assert_eq!(entries[0].dn, BASE);
    let names: Vec<_> = entries[1..].iter().map(|entry| short(&entry.dn)).collect();
    assert_eq!(
        names,
        [
            "ou=users",
            "cn=alice,ou=users",
            "cn=bob,ou=users",
            "cn=plain,ou=users",
            "cn=x\\, y\\+z,ou=users",
            "cn=zoë,ou=users",
            "ou=groups",
            "cn=Sales\\, EMEA,ou=groups",
            "cn=admins,ou=groups",
            "cn=empty,ou=groups",
            "cn=staff,ou=groups",
            "ou=virtual-groups",
            "cn=alice,ou=virtual-groups",
            "cn=bob,ou=virtual-groups",
            "cn=plain,ou=virtual-groups",
            "cn=x\\, y\\+z,ou=virtual-groups",
            "cn=zoë,ou=virtual-groups",
        ]
    );
    assert!(entries[1..].iter().all(|entry| entry.dn.ends_with(SUFFIX)));
}

#[test]
fn scopes_cover_what_rfc_4511_says() {
    let count = |base: &str, scope| query("(objectClass=*)").base(base).scope(scope).entries().len();
    let users = "OU=Users, DC=ldaP, dc=goauthentik,dc=io";
    let leaf = &format!("cn=bob,ou=users,{SUFFIX}");
    for (base, expected) in [
        (SUFFIX, [1, 3, 18, 17]),
        (users, [1, 5, 6, 5]),
        (leaf, [1, 0, 1, 0]),
    ] {
        let scopes = [
            Scope::BaseObject,
            Scope::SingleLevel,
            Scope::WholeSubtree,
            Scope::SubordinateSubtree,
        ];
        assert_eq!(scopes.map(|scope| count(base, scope)), expected, "{base}");
    }
    let one = query("(objectClass=*)").scope(Scope::SingleLevel);
    assert_eq!(one.names(), ["ou=users", "ou=groups", "ou=virtual-groups"]);
}

#[test]
fn bases_are_found_in_every_spelling() {
    for base in [
        format!("cn=sales\\2c emea,ou=groups,{SUFFIX}"),
        format!("CN=\"Sales, EMEA\", OU=groups, {BASE}"),
        format!("cn=#0c0b53616c65732c20454d4541,ou=groups,{SUFFIX}"),
        // As authentik's own outpost writes it.
        format!("cn=Sales, EMEA,ou=groups,{SUFFIX}"),
        format!("2.5.4.3=Sales\\, EMEA,organizationalUnitName=groups,{SUFFIX}"),
    ] {
        let found = query("(objectClass=*)").base(&base).scope(Scope::BaseObject);
        assert_eq!(found.names(), ["cn=Sales\\, EMEA,ou=groups"], "{base}");
    }
    let plus = query("(cn=*)")
        .base(&format!("cn=x, y+z,ou=users,{SUFFIX}"))
        .scope(Scope::BaseObject);
    assert_eq!(plus.names(), ["cn=x\\, y\\+z,ou=users"]);
    let zoe = query("(cn=*)")
        .base(&format!("cn=ZOË,ou=users,{SUFFIX}"))
        .scope(Scope::BaseObject);
    assert_eq!(zoe.names(), ["cn=zoë,ou=users"]);
}

#[test]
fn missing_bases_name_the_closest_entry_above() {
    let missing = |base: &str| denial(&query("(objectClass=*)").base(base));
    let no_object = |matched: &str| (ResultCode::NoSuchObject, matched.to_owned());
    let users = format!("ou=users,{SUFFIX}");
    assert_eq!(missing(&format!("cn=nobody,{users}")), no_object(&users));
    assert_eq!(missing(&format!("uid=alice,{users}")), no_object(&users));
    assert_eq!(
        missing(&format!("cn=a,cn=bob,{users}")),
        no_object(&format!("cn=bob,{users}"))
    );
    assert_eq!(missing(&format!("ou=nowhere,{SUFFIX}")), no_object(BASE));
    assert_eq!(missing(&format!("xou=users,{SUFFIX}")), no_object(BASE));
    assert_eq!(missing("dc=io"), no_object(""));
    assert_eq!(missing("dc=other"), no_object(""));
    assert_eq!(
        missing(&format!("nonsense,{SUFFIX}")).0,
        ResultCode::InvalidDnSyntax
    );
    assert_eq!(missing("cn=\\").0, ResultCode::InvalidDnSyntax);
}

#[test]
fn of_names_that_fold_alike_the_exact_one_is_meant_and_else_the_lowest_pk() {
    let mut builder = builder();
    add_user(&mut builder, 10, "ALICE", "{}");
    add_user(&mut builder, 11, "Bob", "{}");
    add_group(
        &mut builder,
        "50000000-0000-4000-8000-000000000005",
        "others",
        &[],
        &[10],
        "{}",
    );
    let snapshot = Arc::new(builder.finish().unwrap().0);
    let named = |name: &str| {
        let mut found = query("(objectClass=*)").base(&format!("cn={name},ou=users,{SUFFIX}"));
        found.snapshot = Arc::clone(&snapshot);
        found.names()
    };
    assert_eq!(named("ALICE"), ["cn=ALICE,ou=users"]);
    assert_eq!(named("alice"), ["cn=alice,ou=users"]);
    assert_eq!(named("AlIcE"), ["cn=alice,ou=users"]);
    let mut members =
        query(&format!("(member=cn=ALICE,ou=users,{SUFFIX})")).base(&format!("ou=groups,{SUFFIX}"));
    members.snapshot = Arc::clone(&snapshot);
    assert_eq!(members.names(), ["cn=others,ou=groups"]);
    let mut both = query("(cn=ALICE)").base(&format!("ou=users,{SUFFIX}"));
    both.snapshot = Arc::clone(&snapshot);
    assert_eq!(both.names(), ["cn=ALICE,ou=users", "cn=alice,ou=users"]);
    // Each reads their own entry, whatever spelling they logged in with; somebody else's exact name is not theirs
    // to read.
    for (own, asked, found) in [
        (1, "alice", "cn=alice,ou=users"),
        (1, "ALICE", "cn=alice,ou=users"),
        (10, "ALICE", "cn=ALICE,ou=users"),
        (10, "alice", "cn=ALICE,ou=users"),
        (10, "Alice", "cn=ALICE,ou=users"),
    ] {
        let mut read = query("(objectClass=*)")
            .base(&format!("cn={asked},ou=users,{SUFFIX}"))
            .own(own);
        read.scope = Scope::BaseObject;
        read.snapshot = Arc::clone(&snapshot);
        assert_eq!(read.names(), [found], "{own} {asked}");
    }
    let mut foreign = query("(objectClass=*)")
        .base(&format!("cn=bob,ou=users,{SUFFIX}"))
        .own(10);
    foreign.snapshot = Arc::clone(&snapshot);
    assert_eq!(foreign.open().unwrap_err().code, ResultCode::NoSuchObject);
}

#[test]
fn unpaged_answers_come_by_name_whatever_the_plan_and_pages_by_pk() {
    let mut builder = builder();
    for pk in (100..400).rev() {
        add_user(
            &mut builder,
            pk,
            &format!("n{:03}", (pk * 8) % 301),
            r#"{"few":"x"}"#,
        );
    }
    let snapshot = Arc::new(builder.finish().unwrap().0);
    let sorted = |filter: &str, plan: &str| {
        let mut search = query(filter);
        search.snapshot = Arc::clone(&snapshot);
        assert!(
            search.open().unwrap().plan().to_string().starts_with(plan),
            "{filter}"
        );
        let names = search.names();
        let container = |name: &str| name.rsplit(',').next().unwrap().to_owned();
        let order = |name: &String| {
            let place = ["", "ou=users", "ou=groups", "ou=virtual-groups"]
                .iter()
                .position(|known| **known == container(name));
            (place, name.contains("cn="), name.clone())
        };
        assert!(names.is_sorted_by_key(order), "{filter} {names:?}");
        assert!(names.len() > 250, "{filter} {}", names.len());
        let mut one = search.clone();
        one.size_limit = 2;
        let (first, outcome) = one.run();
        assert_eq!(outcome.result.code, ResultCode::SizeLimitExceeded);
        let first: Vec<String> = first.iter().map(|entry| short(&entry.dn)).collect();
        assert_eq!(first, names[..2]);
        let mut paged = search.clone();
        paged.controls.paged = Some(PagedResults {
            size: 1000,
            cookie: Vec::new(),
        });
        let numbers: Vec<i64> = paged
            .run()
            .0
            .iter()
            .filter(|entry| entry.dn.contains(",ou=users"))
            .map(|entry| entry.get("uidNumber")[0].parse().unwrap())
            .collect();
        // The one user whose number is given comes fifth.
        let by_pk: Vec<i64> = numbers.iter().copied().filter(|number| *number != 7000).collect();
        assert!(by_pk.is_sorted(), "{filter}");
    };
    sorted("(objectClass=user)", "everything");
    sorted("(few=x)", "index");
    sorted("(cn=n*)", "index");
    sorted("(cn=*n*)", "scan");
    sorted("(!(cn=bob))", "everything");
}

#[test]
fn containers_match_no_filter_on_cn_but_on_their_own_common_name() {
    for filter in [
        "(cn=*)",
        "(cn=groups)",
        "(2.5.4.3=users)",
        "(cn=virtual-*)",
        "(cn>=a)",
    ] {
        assert!(
            query(filter).names().iter().all(|name| name.contains("cn=")),
            "{filter}"
        );
    }
    assert_eq!(query("(commonName=groups)").names(), ["ou=groups"]);
    assert_eq!(query("(CommonName=virtual-*)").names(), ["ou=virtual-groups"]);
    let all = query("(commonName=*)").names();
    assert_eq!(all.iter().filter(|name| name.starts_with("ou=")).count(), 3);
}

#[test]
fn in_direct_mode_no_virtual_group_has_the_member_asked_for() {
    let filter = format!("(&(objectClass=group)(member=cn=alice,ou=users,{SUFFIX}))");
    let mut found = query(&filter);
    let cached = [
        "cn=admins,ou=groups",
        "cn=staff,ou=groups",
        "cn=alice,ou=virtual-groups",
    ];
    assert_eq!(found.names(), cached);
    found.tree = Arc::new((*tree()).clone().in_direct_mode(true));
    assert_eq!(found.names(), cached[..2]);
    assert_eq!(found.clone().own(1).names(), cached);
    found.filter = "(objectClass=group)".to_owned();
    assert_eq!(found.names().len(), 4 + 5);
}

#[test]
fn the_own_view_holds_oneself_and_direct_groups_only() {
    let own = query("(objectClass=*)").own(1);
    assert_eq!(
        own.names(),
        [
            "",
            "ou=users",
            "cn=alice,ou=users",
            "ou=groups",
            "cn=admins,ou=groups",
            "cn=staff,ou=groups",
            "ou=virtual-groups",
            "cn=alice,ou=virtual-groups",
        ]
    );
    let entries = own.entries();
    for group in &entries[4..6] {
        assert_eq!(group.get("member"), [format!("cn=alice,ou=users,{SUFFIX}")]);
        assert_eq!(group.get("memberOf"), [""; 0]);
    }
    let numbers = query("(objectClass=nsContainer)")
        .own(1)
        .attributes(&["numSubordinates"])
        .entries();
    let numbers: Vec<_> = numbers.iter().map(|entry| entry.get("numSubordinates")).collect();
    assert_eq!(numbers, [["1"], ["2"], ["1"]]);
}

#[test]
fn the_own_view_tells_nothing_of_others_through_filters() {
    let chain = "1.2.840.113556.1.4.1941";
    for filter in [
        "(cn=bob)".to_owned(),
        format!("(member=cn=bob,ou=users,{SUFFIX})"),
        "(memberUid=bob)".to_owned(),
        format!("(memberOf=cn=Sales\\5c, EMEA,ou=groups,{SUFFIX})"),
        format!("(&(objectClass=group)(memberOf=cn=staff,ou=groups,{SUFFIX}))"),
        format!("(member:{chain}:=cn=bob,ou=users,{SUFFIX})"),
        format!("(member:{chain}:=cn=admins,ou=groups,{SUFFIX})"),
        format!("(&(objectClass=group)(memberOf:{chain}:=cn=staff,ou=groups,{SUFFIX}))"),
        "(uidNumber=2002)".to_owned(),
        format!("(entryUUID={})", uuid(2)),
    ] {
        assert_eq!(query(&filter).own(1).names(), [""; 0], "{filter}");
    }
    // zoë is in staff only through another group.
    let nested = format!("(memberOf:{chain}:=cn=staff,ou=groups,{SUFFIX})");
    assert_eq!(query(&nested).own(3).names(), [""; 0]);
    let hidden = query("(cn=*)").own(1).base(&format!("cn=bob,ou=users,{SUFFIX}"));
    assert_eq!(
        denial(&hidden),
        (ResultCode::NoSuchObject, format!("ou=users,{SUFFIX}"))
    );
    let beside = query("(cn=*)")
        .own(1)
        .base(&format!("cn=x,cn=bob,ou=users,{SUFFIX}"));
    assert_eq!(
        denial(&beside),
        (ResultCode::NoSuchObject, format!("ou=users,{SUFFIX}"))
    );
}

#[test]
fn a_viewer_unknown_to_the_snapshot_sees_base_and_containers() {
    let own = query("(objectClass=*)").own(999);
    assert_eq!(own.names(), ["", "ou=users", "ou=groups", "ou=virtual-groups"]);
}

#[test]
fn a_size_limit_is_exceeded_only_if_there_is_more() {
    let limited = |limit| {
        let mut limited = query("(objectClass=user)");
        limited.size_limit = limit;
        let (entries, outcome) = limited.run();
        (entries.len(), outcome.result.code)
    };
    assert_eq!(limited(4), (4, ResultCode::SizeLimitExceeded));
    assert_eq!(limited(5), (5, ResultCode::Success));
    assert_eq!(limited(0), (5, ResultCode::Success));
    assert_eq!(limited(1), (1, ResultCode::SizeLimitExceeded));
}

fn cookie(outcome: &SearchOutcome) -> Vec<u8> {
    let (_, value) = outcome
        .controls
        .iter()
        .find(|(oid, _)| *oid == PAGED_RESULTS)
        .unwrap();
    PagedResults::read(value).unwrap().cookie
}

/// All pages of a query, each with the next of `sizes`.
fn pages(query: &Query, sizes: &[u32]) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = Vec::new();
    for &size in sizes.iter().cycle() {
        let mut page = query.clone();
        page.controls.paged = Some(PagedResults { size, cookie: next });
        let (entries, outcome) = page.run();
        assert_eq!(outcome.result.code, ResultCode::Success);
        pages.push(entries.iter().map(|entry| short(&entry.dn)).collect());
        next = cookie(&outcome);
        if next.is_empty() {
            break;
        }
    }
    pages
}

#[test]
fn pages_of_every_size_add_up_to_the_whole() {
    for filter in [
        "(objectClass=*)",
        "(cn=*a*)",
        "(|(cn=bob)(cn=alice)(cn=staff))",
        "(!(cn=bob))",
        "(cn=a*)",
    ] {
        let whole = query(filter);
        // One page has it all, in the order of pages.
        let names = pages(&whole, &[100]).concat();
        let mut by_name = (names.clone(), whole.names());
        by_name.0.sort();
        by_name.1.sort();
        assert_eq!(by_name.0, by_name.1, "{filter}");
        for size in 1..20 {
            let pages = pages(&whole, &[size]);
            assert_eq!(pages.concat(), names, "{filter} {size}");
            let full = pages
                .iter()
                .take(pages.len() - 1)
                .all(|page| page.len() == size as usize);
            assert!(full, "{filter} {size}");
            assert!(!pages.last().unwrap().is_empty() || names.is_empty());
        }
        assert_eq!(pages(&whole, &[1, 5, 2]).concat(), names);
    }
}

#[test]
fn a_cookie_survives_a_refresh_another_filter_and_the_end_of_its_entry() {
    let mut first = query("(objectClass=user)");
    first.controls.paged = Some(PagedResults {
        size: 2,
        cookie: Vec::new(),
    });
    let (entries, outcome) = first.run();
    assert_eq!(short(&entries[1].dn), "cn=bob,ou=users");
    let mut smaller = Builder::new();
    add_user(&mut smaller, 7, "new", "{}");
    add_user(&mut smaller, 3, "zoë", "{}");
    add_user(&mut smaller, 1, "alice", "{}");
    let mut second = query("(&(objectClass=user)(cn=*))");
    second.snapshot = Arc::new(smaller.finish().unwrap().0);
    second.controls.paged = Some(PagedResults {
        size: 10,
        cookie: cookie(&outcome),
    });
    assert_eq!(second.names(), ["cn=zoë,ou=users", "cn=new,ou=users"]);
}

#[test]
fn page_size_zero_ends_a_sequence() {
    for sort in [None, Some(vec![key("cn", false)])] {
        let mut end = query("(objectClass=*)");
        end.controls.sort = sort;
        end.controls.paged = Some(PagedResults {
            size: 0,
            cookie: b"anything".to_vec(),
        });
        let (entries, outcome) = end.run();
        assert_eq!((entries.len(), outcome.result.code), (0, ResultCode::Success));
        assert_eq!(cookie(&outcome), b"");
    }
}

#[test]
fn foreign_cookies_are_refused() {
    let mut foreign = query("(objectClass=*)");
    foreign.controls.paged = Some(PagedResults {
        size: 5,
        cookie: b"garbled".to_vec(),
    });
    assert_eq!(denial(&foreign).0, ResultCode::UnwillingToPerform);
    let first_page = |query: &Query| {
        let mut first = query.clone();
        first.controls.paged = Some(PagedResults {
            size: 2,
            cookie: Vec::new(),
        });
        cookie(&first.run().1)
    };
    let with = |query: &Query, cookie: Vec<u8>| {
        let mut next = query.clone();
        next.controls.paged = Some(PagedResults { size: 5, cookie });
        next
    };
    let mut other_key = with(&query("(objectClass=*)"), first_page(&query("(objectClass=*)")));
    other_key.controls.cookie_key = [9; 32];
    assert_eq!(denial(&other_key).0, ResultCode::UnwillingToPerform);
    // A position in one order is not one in another, nor where nothing is sorted.
    let orders = [
        query("(objectClass=*)"),
        sorted("(objectClass=*)", &[key("cn", false)]),
        sorted("(objectClass=*)", &[key("cn", true)]),
        sorted("(objectClass=*)", &[key("cn", false), key("uid", false)]),
        sorted("(objectClass=*)", &[key("uidNumber", false)]),
        sorted("(objectClass=*)", &[key("nosuch", false)]),
    ];
    for (index, first) in orders.iter().enumerate() {
        let cookie = first_page(first);
        for (other, next) in orders.iter().enumerate() {
            let next = with(next, cookie.clone());
            if index == other {
                assert_eq!(next.run().1.result.code, ResultCode::Success);
            } else {
                assert_eq!(denial(&next).0, ResultCode::UnwillingToPerform, "{index} {other}");
            }
        }
    }
}

#[test]
fn a_page_no_smaller_than_the_size_limit_is_no_page() {
    let both = |size_limit, size| {
        let mut both = query("(objectClass=user)");
        both.size_limit = size_limit;
        both.controls.paged = Some(PagedResults {
            size,
            cookie: Vec::new(),
        });
        let (entries, outcome) = both.run();
        (entries.len(), outcome.result.code, cookie(&outcome).is_empty())
    };
    assert_eq!(both(1, 126), (1, ResultCode::SizeLimitExceeded, true));
    assert_eq!(both(126, 2), (2, ResultCode::Success, false));
    assert_eq!(both(126, 126), (5, ResultCode::Success, true));
    let mut base = query("(objectClass=*)")
        .base(&format!("cn=bob,ou=users,{SUFFIX}"))
        .scope(Scope::BaseObject);
    base.size_limit = 1;
    base.controls.paged = Some(PagedResults {
        size: 126,
        cookie: Vec::new(),
    });
    assert_eq!(base.run().1.result.code, ResultCode::Success);
}

fn key(attribute: &str, reverse_order: bool) -> SortKey {
    SortKey {
        attribute: attribute.as_bytes().to_vec(),
        ordering_rule: None,
        reverse_order,
    }
}

fn sorted(filter: &str, keys: &[SortKey]) -> Query {
    let mut sorted = query(filter);
    sorted.controls.sort = Some(keys.to_vec());
    sorted
}

#[test]
fn answers_are_sorted_by_all_keys_with_missing_values_last() {
    let users = |keys: &[SortKey]| {
        let names = sorted("(objectClass=user)", keys).names();
        names
            .iter()
            .map(|name| name.split(',').next().unwrap()[3..].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        users(&[key("cn", false)]),
        ["alice", "bob", "plain", "x\\", "zoë"]
    );
    assert_eq!(
        users(&[key("commonName", true)]),
        ["zoë", "x\\", "plain", "bob", "alice"]
    );
    assert_eq!(
        users(&[key("uidNumber", true)]),
        ["x\\", "plain", "zoë", "bob", "alice"]
    );
    // Only zoë's and x's groups are Sales; bob and alice share the department's absence.
    assert_eq!(
        users(&[key("department", false), key("cn", true)]),
        ["bob", "zoë", "x\\", "plain", "alice"]
    );
    assert_eq!(users(&[key("department", true), key("cn", false)])[4], "bob");
    let (_, outcome) = sorted("(cn=bob)", &[key("cn", false)]).run();
    assert_eq!(outcome.controls, [(SORT_RESPONSE, encode_sort_response(0, None))]);
}

#[test]
fn pages_of_a_sorted_answer_make_up_the_whole() {
    let keys = [key("objectClass", true), key("cn", true)];
    let whole = sorted("(objectClass=*)", &keys);
    let names = whole.names();
    assert_eq!(names.len(), 18);
    for size in [1, 2, 5, 17, 18, 19] {
        assert_eq!(pages(&whole, &[size]).concat(), names);
    }
}

#[test]
fn what_cannot_be_sorted_says_so() {
    let unsorted = sorted("(objectClass=user)", &[key("nosuch", false)]);
    let (entries, outcome) = unsorted.run();
    assert_eq!((entries.len(), outcome.result.code), (5, ResultCode::Success));
    assert_eq!(
        outcome.controls,
        [(SORT_RESPONSE, encode_sort_response(16, Some(b"nosuch")))]
    );
    let mut critical = unsorted.clone();
    critical.controls.sort_critical = true;
    let (entries, outcome) = critical.run();
    assert_eq!(
        (entries.len(), outcome.result.code),
        (0, ResultCode::UnavailableCriticalExtension)
    );
    // An option makes it another attribute, which nobody has.
    assert_eq!(
        sorted("(objectClass=user)", &[key("cn;lang-de", false)])
            .run()
            .1
            .controls,
        [(SORT_RESPONSE, encode_sort_response(16, Some(b"cn;lang-de")))]
    );
    let mut rule = sorted("(objectClass=user)", &[key("cn", false)]);
    rule.controls.sort.as_mut().unwrap()[0].ordering_rule = Some(b"nosuchRule".to_vec());
    assert_eq!(
        rule.run().1.controls,
        [(SORT_RESPONSE, encode_sort_response(18, Some(b"cn")))]
    );
}

#[test]
fn large_answers_are_sorted_in_steps() {
    let mut builder = Builder::new();
    for pk in 0..5000 {
        add_user(&mut builder, pk, &format!("u{}", (pk * 7919) % 5000), "{}");
    }
    let mut all = sorted("(objectClass=user)", &[key("uidNumber", true)]);
    all.snapshot = Arc::new(builder.finish().unwrap().0);
    all.attributes = vec!["uidNumber"];
    all.step = (1 << 20, 100);
    let numbers: Vec<i64> = all
        .entries()
        .iter()
        .map(|entry| entry.get("uidNumber")[0].parse().unwrap())
        .collect();
    assert_eq!(numbers, (2000..7000).rev().collect::<Vec<_>>());
}

fn vlv(before: u32, after: u32, target: VlvTarget) -> (Vec<String>, Vec<i64>) {
    let mut view = sorted("(objectClass=user)", &[key("cn", false)]);
    view.controls.vlv = Some(VlvRequest {
        before_count: before,
        after_count: after,
        target,
        context_id: None,
    });
    let (entries, outcome) = view.run();
    let (_, value) = outcome
        .controls
        .iter()
        .find(|(oid, _)| *oid == VLV_RESPONSE)
        .unwrap();
    let mut response = Reader::new(value)
        .constructed(akldap_ldap::ber::SEQUENCE)
        .unwrap();
    let numbers = vec![
        response.integer().unwrap(),
        response.integer().unwrap(),
        response.enumerated().unwrap(),
    ];
    assert_eq!(numbers[2], outcome.result.code as i64);
    (entries.iter().map(|entry| short(&entry.dn)).collect(), numbers)
}

#[test]
fn a_virtual_list_view_shows_a_window() {
    let offset = |offset, content_count| VlvTarget::ByOffset {
        offset,
        content_count,
    };
    let window = vlv(1, 1, offset(2, 0));
    assert_eq!(
        window.0,
        ["cn=alice,ou=users", "cn=bob,ou=users", "cn=plain,ou=users"]
    );
    assert_eq!(window.1, [2, 5, 0]);
    assert_eq!(vlv(0, 0, offset(9, 9)).0, ["cn=zoë,ou=users"]);
    assert_eq!(vlv(0, 0, offset(51, 100)).1, [3, 5, 0]);
    assert_eq!(vlv(0, 9, offset(0, 0)).1[2], ResultCode::OffsetRangeError as i64);
    let value = |text: &str| VlvTarget::GreaterOrEqual(text.as_bytes().to_vec());
    assert_eq!(vlv(0, 0, value("BO")).0, ["cn=bob,ou=users"]);
    assert_eq!(
        vlv(1, 1, value("zzz")),
        (vec!["cn=zoë,ou=users".to_owned()], vec![6, 5, 0])
    );
    let mut unsorted = query("(objectClass=user)");
    unsorted.controls.vlv = Some(VlvRequest {
        before_count: 0,
        after_count: 0,
        target: offset(1, 0),
        context_id: None,
    });
    assert_eq!(denial(&unsorted).0, ResultCode::SortControlMissing);
}

#[test]
fn dereferenced_members_come_with_their_group() {
    let mut staff = query("(&(cn=staff)(objectClass=group))").attributes(&["cn"]);
    let spec = |attribute: &str, names: &[&str]| DerefSpec {
        deref_attribute: attribute.as_bytes().to_vec(),
        attributes: names.iter().map(|name| name.as_bytes().to_vec()).collect(),
    };
    staff.controls.deref = Some(vec![
        spec("member", &["uidNumber", "nosuch", "cn;lang-de"]),
        spec("cn", &["cn"]),
        spec("member;lang-de", &["cn"]),
    ]);
    let seen = |query: &Query| {
        let entries = query.entries();
        let mut controls = Reader::new(&entries[0].controls);
        let mut control = controls.constructed(0x30).unwrap();
        assert_eq!(control.octet_string(), Ok(akldap_ldap::control::DEREF.as_bytes()));
        let mut results = Reader::new(control.octet_string().unwrap())
            .constructed(0x30)
            .unwrap();
        let mut seen = Vec::new();
        while !results.is_empty() {
            let mut result = results.constructed(0x30).unwrap();
            assert_eq!(result.octet_string(), Ok(&b"member"[..]));
            let dn = String::from_utf8(result.octet_string().unwrap().to_vec()).unwrap();
            let number = result.optional(0xa0).unwrap().map(|attributes| {
                let mut attribute = Reader::new(attributes).constructed(0x30).unwrap();
                assert_eq!(attribute.octet_string(), Ok(&b"uidNumber"[..]));
                let value = attribute.constructed(0x31).unwrap().octet_string().unwrap();
                String::from_utf8(value.to_vec()).unwrap()
            });
            result.end().unwrap();
            seen.push((short(&dn), number));
        }
        seen
    };
    assert_eq!(
        seen(&staff),
        [
            ("cn=alice,ou=users".to_owned(), Some("2001".to_owned())),
            ("cn=bob,ou=users".to_owned(), Some("2002".to_owned())),
            ("cn=admins,ou=groups".to_owned(), None),
            ("cn=Sales\\, EMEA,ou=groups".to_owned(), None),
        ]
    );
    assert_eq!(
        seen(&staff.clone().own(2)),
        [("cn=bob,ou=users".to_owned(), Some("2002".to_owned()))]
    );
    let mut alice = staff.clone().base(&format!("ou=users,{SUFFIX}"));
    alice.filter = "(cn=alice)".to_owned();
    assert_eq!(alice.entries()[0].controls, b"");
}

#[test]
fn a_search_goes_on_in_steps_of_bounded_work_and_size() {
    let mut builder = Builder::new();
    for pk in 0..2000 {
        add_user(&mut builder, pk, &format!("u{pk}"), "{}");
    }
    let mut all = query("(!(mail=nobody))");
    all.snapshot = Arc::new(builder.finish().unwrap().0);
    let mut search = all.open().unwrap();
    let mut out = Vec::new();
    let mut steps = 0;
    while search.advance(&mut out, 5, 10_000, 50) == Progress::More {
        steps += 1;
        assert!(out.len() < 12_000);
        out.clear();
    }
    assert!(steps >= 4000 / 50, "{steps}");
    // A filter that never matches makes no visible progress but still yields.
    all.filter = "(&(!(mail=nobody))(!(objectClass=*)))".to_owned();
    let mut search = all.open().unwrap();
    assert_eq!(search.advance(&mut out, 5, 10_000, 50), Progress::More);
    let (entries, outcome) = drive(&mut search, (10_000, 50));
    assert_eq!((entries.len(), outcome.result.code), (0, ResultCode::Success));
    // What is done stays done.
    assert_eq!(
        search.advance(&mut Vec::new(), 5, 10, 10),
        Progress::Done(outcome)
    );
}

#[test]
fn the_plan_takes_the_cheapest_part_of_a_filter() {
    let plan = |filter: &str| query(filter).open().unwrap().plan().to_string();
    assert_eq!(
        plan("(&(objectClass=user)(sAMAccountName=bob))"),
        "index, 1 candidates"
    );
    assert_eq!(
        plan("(|(uid=bob)(sAMAccountName=bob)(mail=alice@example.com))"),
        "index, 3 candidates"
    );
    assert!(plan("(sudoUser=bob)").ends_with(" 0 candidates"));
    // Base and containers have their own classes.
    assert!(plan("(objectClass=sudoRole)").ends_with(" 4 candidates"));
    assert_eq!(plan("(&(nosuch=x)(objectClass=*))"), "index, 0 candidates");
    assert!(plan("(!(cn=bob))").starts_with("everything in"));
}

#[test]
fn searches_are_send_and_own_what_they_need() {
    fn check<T: Send + 'static>(_: &T) {}
    check(&query("(cn=bob)").open().unwrap());
}

#[test]
fn one_entry_outside_all_trees_can_be_searched() {
    let attributes: EntryAttributes = vec![
        ("objectClass", vec!["top".into()]),
        ("supportedLDAPVersion", vec!["3".into()]),
        ("entryDN", vec![String::new()]),
    ];
    let run = |scope, filter: &str, names: &[&'static str]| {
        let request = SearchRequest {
            base_object: b"",
            scope,
            deref_aliases: 0,
            size_limit: 0,
            time_limit: 0,
            types_only: false,
            filter: parse_filter(filter),
            attributes: names.iter().map(|name| name.as_bytes()).collect(),
        };
        let mut search = Search::of_entry("", &attributes, &request, &SearchControls::default()).unwrap();
        drive(&mut search, (1000, 1000)).0
    };
    let dse = run(Scope::BaseObject, "(objectClass=*)", &[]);
    assert_eq!((dse.len(), dse[0].dn.as_str()), (1, ""));
    assert_eq!(dse[0].names(), ["objectClass", "supportedLDAPVersion", "entryDN"]);
    assert_eq!(
        run(Scope::WholeSubtree, "(supportedldapversion=3)", &["1.1"])[0].names(),
        [""; 0]
    );
    assert_eq!(run(Scope::SingleLevel, "(objectClass=*)", &[]).len(), 0);
    assert_eq!(run(Scope::BaseObject, "(supportedLDAPVersion=2)", &[]).len(), 0);
    let by_name = run(Scope::BaseObject, "(objectClass=top)", &["SUPPORTEDldapversion"]);
    assert_eq!(by_name[0].names(), ["supportedLDAPVersion"]);
}

#[test]
fn two_trees_share_a_snapshot() {
    let mut other = query("(uidNumber=5001)").base("o=Acme");
    other.tree = Arc::new(Tree::new("o=Acme", 5000, 6000).unwrap());
    let entries = other.entries();
    assert_eq!(entries[0].dn, "cn=alice,ou=users,o=acme");
    assert_eq!(
        entries[0].get("memberOf"),
        ["cn=staff,ou=groups,o=acme", "cn=admins,ou=groups,o=acme"]
    );
    assert_eq!(query("(uidNumber=5001)").names(), [""; 0]);
}
