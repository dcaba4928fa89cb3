//! Searches that begin at the organizational units of paths, in a directory too large for a plan that looks at everything: each finds what a
//! search of the whole tree finds there.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::build::builder::Builder;
use crate::fixture::*;
use crate::index::snapshot::Snapshot;
use crate::plan::outline::PlanKind;
use crate::shape::Shape;
use crate::view::style::{DnStyle, VirtualGroups};
use crate::view::tree::Tree;
use crate::{UserRecord, Viewer};
use akldap_ldap::control::{PAGED_RESULTS, PagedResults, SortKey};
use akldap_ldap::dn::Dn;
use akldap_ldap::message::Scope;

fn filed(paths: impl Iterator<Item = String>) -> Arc<Snapshot> {
    let mut builder = Builder::new();
    for (pk, path) in (1..).zip(paths) {
        let name = format!("u{pk:04}");
        builder.add_user(&UserRecord {
            pk,
            uuid: &uuid(pk),
            uid: &uid(pk),
            username: &name,
            name: &name,
            email: &format!("{}@x", pk % 50),
            path: &path,
            ..UserRecord::default()
        });
    }
    let shape = Shape {
        users_by_path: true,
        ..Shape::default()
    };
    let base = builder.finish().unwrap().0;
    Arc::new(base.shaped(&shape).unwrap().0)
}

fn of(snapshot: &Arc<Snapshot>, filter: &str) -> Query {
    let style = DnStyle {
        by_path: true,
        ..DnStyle::default()
    };
    let tree = Tree::new(BASE, 2000, 4000).unwrap();
    let mut query = query(filter).attributes(&["1.1"]);
    query.snapshot = Arc::clone(snapshot);
    query.tree = Arc::new(tree.in_style(style, VirtualGroups::default()));
    query
}

/// The names of those that base and scope cover.
fn covered(all: &[String], base: &str, scope: Scope) -> Vec<String> {
    let parsed = |dn: &str| Dn::parse(dn.as_bytes()).unwrap();
    let base = parsed(base);
    let depth = |dn: &str| parsed(dn).below(&base).map(<[_]>::len);
    let is_covered = |dn: &&String| match (scope, depth(dn)) {
        (_, None) => false,
        (Scope::BaseObject, Some(depth)) => depth == 0,
        (Scope::SingleLevel, Some(depth)) => depth == 1,
        (Scope::WholeSubtree, Some(_)) => true,
        (Scope::SubordinateSubtree, Some(depth)) => depth > 0,
    };
    all.iter().filter(is_covered).cloned().collect()
}

fn dns(query: &Query) -> Vec<String> {
    query.entries().into_iter().map(|entry| entry.dn).collect()
}

/// All pages together.
fn pages(mut query: Query) -> Vec<String> {
    let (mut all, mut cookie) = (Vec::new(), Vec::new());
    loop {
        query.controls.paged = Some(PagedResults { size: 37, cookie });
        let (entries, outcome) = query.run();
        all.extend(entries.into_iter().map(|entry| entry.dn));
        let (_, value) = outcome
            .controls
            .iter()
            .find(|(oid, _)| *oid == PAGED_RESULTS)
            .unwrap();
        cookie = PagedResults::read(value).unwrap().cookie;
        if cookie.is_empty() {
            return all;
        }
    }
}

#[test]
fn a_search_from_a_unit_is_its_part_of_the_whole() {
    let snapshot = filed((0..800).map(|number| match number % 3 {
        0 => format!("users/a/{}/z", number % 7),
        1 => "users/B, all".to_owned(),
        _ => "users".to_owned(),
    }));
    let users = format!("ou=users,{SUFFIX}");
    let bases = [
        users.clone(),
        format!("ou=a,{users}"),
        format!("ou=A,ou=users,{BASE}"),
        format!("ou=3,ou=a,{users}"),
        format!("ou=z,ou=3,ou=a,{users}"),
        format!("ou=b\\, ALL,{users}"),
        format!("cn=u0001,ou=z,ou=0,ou=a,{users}"),
    ];
    let mut plans = BTreeSet::new();
    let filters = [
        "(objectClass=*)",
        "(objectClass=organizationalUnit)",
        "(objectClass=user)",
        "(cn=u0004)",
        "(cn>=u03)",
        "(mail=1@x)",
        "(cn=*0*0)",
        "(ou=*A*)",
        "(|(ou=z)(cn=u0001))",
        "(!(cn=u0001))",
        "(&(!(cn=u0002))(cn=u00*))",
        "(ou:dn:=z)",
        "(numSubordinates>=2)",
        "(entryUUID=*)",
    ];
    for (number, filter) in filters.into_iter().enumerate() {
        let whole = of(&snapshot, filter);
        let all = dns(&whole);
        for base in &bases {
            for scope in [
                Scope::BaseObject,
                Scope::SingleLevel,
                Scope::WholeSubtree,
                Scope::SubordinateSubtree,
            ] {
                let part = |query: &Query| query.clone().base(base).scope(scope);
                let told = format!("{filter} {base} {scope:?}");
                let expected = covered(&all, base, scope);
                plans.insert(format!("{:?}", part(&whole).open().unwrap().plan_kind()));
                assert_eq!(dns(&part(&whole)), expected, "{told}");
                let mut paged = pages(part(&whole));
                paged.sort();
                let mut sorted = expected.clone();
                sorted.sort();
                assert_eq!(paged, sorted, "{told}");
                // A kept order, one of containers, and one that is made each time.
                for attribute in ["mail", "commonName", "uidNumber"]
                    .iter()
                    .skip(number % 3)
                    .step_by(3)
                {
                    let mut ordered = whole.clone();
                    ordered.controls.sort = Some(vec![SortKey {
                        attribute: (*attribute).into(),
                        ordering_rule: None,
                        reverse_order: base.len() % 2 == 0,
                    }]);
                    let expected = covered(&dns(&ordered), base, scope);
                    plans.insert(format!("{:?}", part(&ordered).open().unwrap().plan_kind()));
                    assert_eq!(dns(&part(&ordered)), expected, "{told} by {attribute}");
                    assert_eq!(pages(part(&ordered)), expected, "{told} by {attribute}");
                }
                let own = Viewer::Own { user_pk: 1 };
                let mut seen = Query {
                    viewer: own,
                    ..whole.clone()
                };
                let expected = covered(&dns(&seen), base, scope);
                seen = part(&seen);
                if seen.open().is_ok() {
                    assert_eq!(dns(&seen), expected, "{told} seen by one of them");
                }
            }
        }
    }
    let kinds = [PlanKind::Index, PlanKind::Ranges, PlanKind::Scan, PlanKind::Order];
    assert_eq!(plans, kinds.map(|kind| format!("{kind:?}")).into());
}

#[test]
fn many_units_cost_those_nothing_who_ask_for_none() {
    let snapshot = filed((0..3000).map(|number| format!("users/{number}/x")));
    // Every container has a UUID and a name.
    for (filter, candidates, found) in [
        ("(cn=u0004)", 2, 2),
        ("(entryUUID=00000000-0000-4000-8000-000000000004)", 5, 1),
        ("(entryDN=ou=x,ou=4,ou=users,dc=ldap,dc=goauthentik,dc=io)", 5, 1),
        ("(memberUid=u0004)", 1, 1),
    ] {
        let query = of(&snapshot, filter);
        let plan = query.open().unwrap().plan().to_string();
        assert_eq!(plan, format!("index, {candidates} candidates"), "{filter}");
        assert_eq!(dns(&query).len(), found, "{filter}");
    }
    // What is in one of them is found without looking at the others.
    let unit = format!("ou=7,ou=users,{SUFFIX}");
    for filter in ["(objectClass=*)", "(cn=*7*)", "(!(cn=x))"] {
        let plan = of(&snapshot, filter)
            .base(&unit)
            .open()
            .unwrap()
            .plan()
            .to_string();
        assert_eq!(plan, "index, 3 candidates", "{filter}");
    }
    // Each is named by its UUID, too.
    let found = of(&snapshot, "(objectClass=*)")
        .base(&unit)
        .attributes(&["entryUUID"])
        .entries();
    let uuids: BTreeSet<String> = found.iter().flat_map(|entry| entry.get("entryUUID")).collect();
    assert_eq!(uuids.len(), 3);
    let uuid = found[0].get("entryUUID").concat();
    assert_eq!(dns(&of(&snapshot, &format!("(entryUUID={uuid})"))), [unit]);
}
