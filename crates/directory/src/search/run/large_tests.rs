//! Searches of directories too large for a plan that looks at everything: scans, kept orders, and the count of work.

use super::*;
use crate::build::builder::Builder;
use crate::fixture::*;
use crate::index::snapshot::Snapshot;
use crate::search::bounds::SearchLimits;
use crate::search::request::SearchOutcome;
use akldap_ldap::control::SortKey;
use std::sync::Arc;

/// Users with a mail address each and custom attributes of several values.
fn many(count: i64, attributes: impl Fn(i64) -> String) -> Arc<Snapshot> {
    let mut builder = Builder::new();
    for pk in 1..=count {
        add_user(&mut builder, pk, &format!("u{pk:04}"), &attributes(pk));
    }
    Arc::new(builder.finish().unwrap().0)
}

fn of(snapshot: &Arc<Snapshot>, filter: &str) -> Query {
    let mut query = query(filter);
    query.snapshot = Arc::clone(snapshot);
    query
}

#[test]
fn a_scan_finds_each_entry_once_whatever_its_values() {
    let long = "y".repeat(600_000);
    let snapshot = many(600, |pk| match pk {
        7 => format!(r#"{{"note":["{long}","{long} and needles"]}}"#),
        _ => format!(
            r#"{{"note":["a needle {pk}","another needle","hay {}"]}}"#,
            pk % 10
        ),
    });
    let names = |filter: &str| of(&snapshot, filter).attributes(&["1.1"]).names();
    assert!(
        of(&snapshot, "(note=*needle*)")
            .open()
            .unwrap()
            .plan()
            .to_string()
            .starts_with("scan")
    );
    assert_eq!(names("(note=*needle*)").len(), 600);
    assert_eq!(names("(note=*y*needles)"), ["cn=u0007,ou=users"]);
    assert_eq!(names("(note=*hay*3)").len(), 60);
    assert_eq!(names("(note=*nothing*)"), [""; 0]);
    assert_eq!(names("(&(note=*needle*)(cn=*10*))").len(), 16);
    // Users and virtual groups, which come later.
    assert_eq!(
        names("(cn=*u*59*9)"),
        ["cn=u0599,ou=users", "cn=u0599,ou=virtual-groups"]
    );
}

#[test]
fn a_kept_order_is_the_one_sorting_gives() {
    let snapshot = many(300, |pk| match pk % 3 {
        0 => "{}".to_owned(),
        _ => format!(r#"{{"room":["B{}","A{}"]}}"#, pk % 7, pk % 5),
    });
    let key = |attribute: &str, reverse_order| SortKey {
        attribute: attribute.as_bytes().to_vec(),
        ordering_rule: None,
        reverse_order,
    };
    for (attribute, reverse) in [
        ("room", false),
        ("room", true),
        ("commonName", false),
        ("cn", true),
    ] {
        let mut kept = of(&snapshot, "(|(objectClass=*)(room=A1))");
        kept.controls.sort = Some(vec![key(attribute, reverse)]);
        // A second key that is the same for all makes the answer be sorted.
        let mut sorted = kept.clone();
        sorted.controls.sort = Some(vec![key(attribute, reverse), key("subschemaSubentry", false)]);
        let plans = [&kept, &sorted].map(|query| query.open().unwrap().plan().to_string());
        assert_eq!(plans[0], "everything in a kept order");
        assert_ne!(plans[1], plans[0]);
        assert_eq!(kept.names().len(), 604);
        assert_eq!(kept.names(), sorted.names(), "{attribute} {reverse}");
        let mut few = kept.clone();
        few.filter = "(cn=u0004)".to_owned();
        assert!(few.open().unwrap().plan().to_string().starts_with("index"));
    }
    // What is kept is kept ready after a refresh.
    let next = many(10, |_| r#"{"shelf":"1","room":"2"}"#.to_owned());
    next.warm_like(&snapshot);
    assert_eq!(next.orders.keys().count(), 4);
    assert!(next.orders.size() > 0);
}

/// How much work the steps of a search took, each with this much allowed.
fn steps(query: &Query, allowed: usize) -> Vec<usize> {
    let mut search = query.open().unwrap();
    let mut taken = Vec::new();
    let mut out = Vec::new();
    loop {
        let progress = search.advance(&mut out, 1, 1 << 14, allowed);
        taken.push(search.scratch.work);
        out.clear();
        if progress != Progress::More {
            return taken;
        }
    }
}

#[test]
fn no_step_compares_much_more_than_it_may() {
    let snapshot = many(2000, |pk| {
        format!(r#"{{"note":"{}","name2":"Zoë {pk}"}}"#, "a b ".repeat(100))
    });
    let any_of = |count: usize| {
        let terms: String = (0..count)
            .map(|term| format!("(displayName=*x{term}x*)"))
            .collect();
        format!("(|{terms})")
    };
    let filters = [
        "(mail=*a*b*c*)".to_owned(),
        "(note=*c*)".to_owned(),
        "(!(note=*a*c*))".to_owned(),
        "(!(name2=*é*))".to_owned(),
        any_of(50),
        "(!(cn>=a))".to_owned(),
        "(:caseIgnoreMatch:=nothing)".to_owned(),
    ];
    const ALLOWED: usize = 100_000;
    // One candidate, or one step of a scan, may go beyond.
    const MORE: usize = 20_000;
    // On each entry these take many steps.
    let large = [
        any_of(10_000),
        format!("(&(objectClass=*)(!{})(cn=x))", any_of(8000)),
        format!("(!(&(!{})(!(cn=x))))", any_of(8000)),
    ];
    let few = many(5, |_| "{}".to_owned());
    let cases = filters.iter().map(|filter| (filter, &snapshot));
    for (filter, snapshot) in cases.chain(large.iter().map(|filter| (filter, &few))) {
        let steps = steps(&of(snapshot, filter), ALLOWED);
        let most = steps.iter().max().copied().unwrap_or_default();
        assert!(most <= ALLOWED + MORE, "{most} {filter}");
        let (_, all) = steps.split_last().unwrap();
        assert!(all.iter().all(|work| *work > 0), "{filter}");
    }
}

#[test]
fn a_large_filter_evaluated_in_steps_finds_what_a_small_one_does() {
    let snapshot = many(40, |_| "{}".to_owned());
    let fill = "(displayName=*x*y*z*)".repeat(300);
    for (small, large) in [
        ("(cn=*3*)", format!("(|{fill}(cn=*3*))")),
        ("(!(cn=*3*))", format!("(!(|{fill}(cn=*3*)))")),
        (
            "(&(cn=*3*)(cn=*1*))",
            format!("(&(cn=*3*)(|{fill}(&(cn=*1*)(!(|{fill})))))"),
        ),
        // Undefined stays so, even under a negation.
        (
            "(|(cn=*3*)(cn:nosuch:=x))",
            format!("(|{fill}(cn:nosuch:=x)(cn=*3*))"),
        ),
        (
            "(!(|(cn=*3*)(cn:nosuch:=x)))",
            format!("(!(|{fill}(cn:nosuch:=x)(cn=*3*)))"),
        ),
        (
            "(!(&(cn=*3*)(cn:nosuch:=x)))",
            format!("(!(&(!(|{fill}))(cn:nosuch:=x)(cn=*3*)))"),
        ),
    ] {
        let small = of(&snapshot, small).names();
        for allowed in [1, 1000, usize::MAX] {
            let mut search = of(&snapshot, &large).open().unwrap();
            let (entries, _) = drive(&mut search, (1 << 14, allowed));
            let names: Vec<String> = entries.iter().map(|entry| short(&entry.dn)).collect();
            assert_eq!(names, small, "{allowed}");
        }
    }
}

#[test]
fn work_grows_with_the_octets_compared() {
    let work = |filter: &str, value: &str| -> usize {
        let snapshot = many(1000, |_| format!(r#"{{"note":"{value}"}}"#));
        steps(&of(&snapshot, filter), usize::MAX).iter().sum()
    };
    let short = work("(!(note=*x*z*))", "xy");
    assert!(work("(!(note=*x*z*))", &"xy".repeat(500)) > short + 900_000);
    // Folding what is not ASCII takes longer.
    assert!(work("(!(note=*x*z*))", &"é".repeat(50)) > short + 1_000_000);
    assert!(work("(|(!(note=*x*z*))(!(note=*y*z*)))", "xy") < 2 * short);
    assert!(work("(&(!(note=*x*z*))(!(note=*y*z*)))", "xy") > short + 1000 * STEP_WORK);
}

fn limited(query: &Query, comparisons: u64, memory: usize) -> (Vec<Returned>, SearchOutcome) {
    let mut search = query.open().unwrap();
    search.limit(SearchLimits {
        comparisons,
        memory,
        comparisons_option: "WORK",
        memory_option: "MEMORY",
    });
    drive(&mut search, (1 << 14, 10_000))
}

#[test]
fn work_that_finds_nothing_is_limited_and_work_that_finds_something_is_not() {
    let snapshot = many(5000, |_| r#"{"note":"a b c"}"#.to_owned());
    let none = of(&snapshot, "(!(note=*))").attributes(&["1.1"]);
    let all = of(&snapshot, "(&(!(note=*x*))(!(cn=*x*))(objectClass=*))");
    // Each takes more than 10,000 comparisons.
    let (entries, outcome) = limited(&none, 1000, usize::MAX);
    assert_eq!(outcome.result.code, ResultCode::AdminLimitExceeded);
    assert!(outcome.result.diagnostic_message.contains("WORK"));
    assert!(entries.len() < 100);
    let (entries, outcome) = limited(&all, 1000, usize::MAX);
    assert_eq!(outcome.result, LdapResult::success());
    assert_eq!(entries.len(), 10_004);
    // In pages, sorted, with everything, nobody reaches the server's default limits.
    let mut listing = of(&snapshot, "(objectClass=*)").attributes(&["*", "+"]);
    listing.controls.sort = Some(vec![
        SortKey {
            attribute: b"memberOf".to_vec(),
            ordering_rule: None,
            reverse_order: false,
        },
        SortKey {
            attribute: b"cn".to_vec(),
            ordering_rule: None,
            reverse_order: true,
        },
    ]);
    let (entries, outcome) = limited(&listing, 200_000_000, 256 << 20);
    assert_eq!(outcome.result, LdapResult::success());
    assert_eq!(entries.len(), 10_004);
    let (entries, outcome) = limited(&listing, u64::MAX, 100_000);
    assert_eq!(outcome.result.code, ResultCode::AdminLimitExceeded);
    assert!(outcome.result.diagnostic_message.contains("MEMORY") && entries.is_empty());
}

#[test]
fn what_a_search_holds_is_counted() {
    let snapshot = many(10, |_| "{}".to_owned());
    let memory = |filter: &str| of(&snapshot, filter).open().unwrap().memory();
    let small = memory("(cn=u0001)");
    let large = memory(&format!("(|{})", "(mail=*abc*d*)".repeat(1000)));
    assert!(large > small + 1000 * 100, "{small} {large}");
    let names: String = (0..1000).map(|number| format!("(cn=q{number})")).collect();
    assert!(memory(&format!("(|{names})")) > small + 1000 * 50);
}

/// A directory of groups that are all within the first.
fn nested(groups: usize) -> Arc<Snapshot> {
    let mut builder = Builder::new();
    add_user(&mut builder, 1, "alice", "{}");
    let uuid = |number: usize| format!("10000000-0000-4000-8000-{number:012x}");
    let first = uuid(0);
    for number in 0..groups {
        let parents: &[&str] = if number == 0 { &[] } else { &[&first] };
        add_group(
            &mut builder,
            &uuid(number),
            &format!("g{number:05}"),
            parents,
            &[],
            "{}",
        );
    }
    Arc::new(builder.finish().unwrap().0)
}

#[test]
fn nested_groups_are_followed_so_far_and_no_further() {
    let snapshot = nested(2000);
    let in_chain = |name: &str| format!("(memberOf:1.2.840.113556.1.4.1941:=cn={name},ou=groups,{SUFFIX})");
    let one = of(&snapshot, &in_chain("g00000")).attributes(&["1.1"]);
    assert_eq!(one.names().len(), 1999);
    // Groups without any below them cost little, however many are named.
    let leaves: String = (1..1000)
        .map(|number| in_chain(&format!("g{number:05}")))
        .collect();
    assert_eq!(of(&snapshot, &format!("(|{leaves})")).names(), [""; 0]);
    for connective in ['|', '&'] {
        let filter = format!("({connective}{})", in_chain("g00000").repeat(2000));
        let result = of(&snapshot, &filter).open().unwrap_err();
        assert_eq!(result.code, ResultCode::AdminLimitExceeded);
        assert!(result.diagnostic_message.contains("nested groups"));
    }
    // A few do not matter.
    let several = format!("(|{})", in_chain("g00000").repeat(10));
    assert_eq!(of(&snapshot, &several).attributes(&["1.1"]).names().len(), 1999);
}

#[test]
fn what_is_added_to_one_entry_by_following_it_is_limited() {
    let mut builder = Builder::new();
    let members: Vec<i64> = (1..=400).collect();
    for pk in &members {
        add_user(&mut builder, *pk, &format!("u{pk:04}"), "{}");
    }
    add_group(&mut builder, STAFF, "staff", &[], &members, "{}");
    let snapshot = Arc::new(builder.finish().unwrap().0);
    let mut query = of(&snapshot, "(&(cn=staff)(objectClass=group))").attributes(&["cn"]);
    query.controls.deref = Some(vec![akldap_ldap::control::DerefSpec {
        deref_attribute: b"member".to_vec(),
        attributes: vec![b"mail".to_vec()],
    }]);
    let (entries, outcome) = limited(&query, u64::MAX, 10 << 20);
    assert_eq!(outcome.result, LdapResult::success());
    assert!(entries[0].controls.len() > 30_000);
    let (entries, outcome) = limited(&query, u64::MAX, 20_000);
    assert_eq!(outcome.result.code, ResultCode::AdminLimitExceeded);
    assert!(entries.is_empty() && outcome.result.diagnostic_message.contains("staff"));
}
