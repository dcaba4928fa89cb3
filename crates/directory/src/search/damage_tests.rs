//! A snapshot in which a number points to nothing answers `other (80)` where the number is needed, and everything else as
//! usual.

use std::sync::Arc;

use crate::fixture::*;
use crate::index::people::NameField;
use crate::index::snapshot::Snapshot;
use crate::model::encoded::{self, Elements};
use crate::model::number::{Column, GroupIx, UserIx, WrongNumber};
use crate::model::place::Entry;
use crate::model::record::{self, Rdns, Record, Span};
use crate::model::records::Records;
use crate::model::relation::Relation;
use crate::search::compare::compare;
use crate::search::paging::EntryKey;
use crate::search::request::Viewer;
use akldap_ldap::control::{PagedResults, SortKey};
use akldap_ldap::message::Scope;
use akldap_ldap::response::{LdapResult, ResultCode};

fn damaged(damage: impl FnOnce(&mut Records)) -> Arc<Snapshot> {
    let mut snapshot = builder().finish().unwrap().0;
    damage(&mut snapshot.records);
    Arc::new(snapshot)
}

/// Searches a damaged snapshot. What it returned before, and the result.
fn search(
    snapshot: &Arc<Snapshot>,
    change: impl FnOnce(Query) -> Query,
    filter: &str,
) -> (usize, LdapResult) {
    let mut query = change(query(filter));
    query.snapshot = Arc::clone(snapshot);
    match query.open() {
        // Every entry that was returned is whole.
        Ok(mut search) => {
            let (entries, outcome) = drive(&mut search, query.step);
            (entries.len(), outcome.result)
        }
        Err(result) => (0, result),
    }
}

fn other(wrong: WrongNumber) -> LdapResult {
    LdapResult::new(ResultCode::Other, format!("internal error: {wrong}"))
}

fn nowhere() -> Span {
    Span::new(1 << 30, 1).unwrap()
}

/// The same column, its last item changed.
fn with_last<N: crate::model::number::Number, T: Copy>(
    column: &Column<N, T>,
    change: impl FnOnce(&mut T),
) -> Column<N, T> {
    let mut items = column.as_slice().to_vec();
    items.last_mut().map(change);
    Column::from(items)
}

#[test]
fn an_entry_whose_octets_are_nowhere_is_not_returned_without_them() {
    // The last record is a group.
    let snapshot = damaged(|records| {
        records.all = with_last(&records.all, |record| record.attributes = nowhere());
    });
    let groups = |query: Query| {
        query
            .base(&format!("ou=groups,{SUFFIX}"))
            .scope(Scope::SingleLevel)
    };
    let (entries, result) = search(&snapshot, groups, "(objectClass=group)");
    assert_eq!(result, other(WrongNumber::Octets));
    assert!(entries < 4, "{entries}");
    // What does not need them is answered.
    let users = |query: Query| {
        query
            .base(&format!("ou=users,{SUFFIX}"))
            .scope(Scope::SingleLevel)
    };
    let (entries, result) = search(&snapshot, users, "(objectClass=user)");
    assert_eq!((entries, result.code), (5, ResultCode::Success));
}

#[test]
fn an_assertion_that_cannot_be_decided_is_neither_true_nor_false() {
    let snapshot = damaged(|records| {
        records.all = with_last(&records.all, |record| record.attributes = nowhere());
    });
    let own = format!("(uid={EMEA})");
    for filter in [
        own.as_str(),
        "(!(uid=zz))",
        "(|(cn=zz)(!(uid=zz)))",
        "(&(cn=*)(!(uid=zz*)))",
    ] {
        let (_, result) = search(&snapshot, |query| query, filter);
        assert_eq!(result, other(WrongNumber::Octets), "{filter}");
    }
}

#[test]
fn a_membership_that_is_nowhere_is_no_empty_one() {
    let nobody = || Relation::<UserIx, GroupIx>::new(0, 0, std::iter::empty()).unwrap();
    let snapshot = damaged(|records| records.memberships.user_groups = nobody());
    let bob = |query: Query| query.base(&format!("cn=bob,ou=users,{SUFFIX}"));
    for query in [
        |query: Query| query,
        |query: Query| query.attributes(&["memberOf"]),
    ] {
        let (entries, result) = search(&snapshot, |given| query(bob(given)), "(objectClass=*)");
        assert_eq!((entries, result), (0, other(WrongNumber::User)));
    }
    let (_, result) = search(&snapshot, |query| query.own(1), "(objectClass=group)");
    assert_eq!(result, other(WrongNumber::User));
    let name = format!("cn=bob,ou=users,{SUFFIX}");
    let group = format!("cn=staff,ou=groups,{SUFFIX}");
    let compared = |attribute: &str, value: &str| {
        compare(
            &snapshot,
            &tree(),
            Viewer::Full,
            &akldap_ldap::dn::Name::new(name.as_bytes()),
            attribute.as_bytes(),
            value.as_bytes(),
        )
    };
    assert_eq!(compared("memberOf", &group), other(WrongNumber::User));
    assert_eq!(compared("cn", "bob").code, ResultCode::CompareTrue);
}

/// Records are users, then groups: the first number behind the users is the record of a group.
#[test]
fn a_member_that_is_the_record_of_a_group_is_no_user() {
    let group = UserIx::new(5);
    let snapshot = damaged(|records| {
        let lists = (0..4).map(|_| Ok(vec![UserIx::new(0), group]));
        records.memberships.group_users = Relation::new(4, 8, lists).unwrap();
    });
    let staff = format!("cn=staff,ou=groups,{SUFFIX}");
    for attributes in [&[][..], &["member"], &["uniqueMember"], &["memberUid"]] {
        let query = |query: Query| query.base(&staff).attributes(attributes);
        let (entries, result) = search(&snapshot, query, "(objectClass=*)");
        assert_eq!((entries, result), (0, other(WrongNumber::User)), "{attributes:?}");
    }
    // What matches in the index is found there, and cannot be returned.
    let members = |query: Query| query.attributes(&["member"]);
    let filter = format!("(member=cn=alice,ou=users,{SUFFIX})");
    let (entries, result) = search(&snapshot, members, &filter);
    assert_eq!((entries, result), (0, other(WrongNumber::User)));
    let layout = snapshot.records.layout;
    assert_eq!(layout.user_record(group), Err(WrongNumber::User));
    assert_eq!(
        layout.record_of(Entry::VirtualGroup(group)),
        Err(WrongNumber::User)
    );
    assert_eq!(snapshot.user(group), Err(WrongNumber::User));
}

/// The octets of a record end within an attribute, or before the last one.
#[test]
fn an_entry_is_not_returned_without_its_last_attributes() {
    let shorter = |by: usize| {
        damaged(move |records| {
            let shortened = records.all.as_slice().iter().map(|record| {
                let attributes = record.attributes.part(0, record.attributes.len() - by).unwrap();
                let flags = record.flags | (record::IRREGULAR * u32::from(by > 1));
                Record {
                    attributes,
                    flags,
                    ..*record
                }
            });
            records.all = shortened.collect();
        })
    };
    let bob = |query: Query| query.base(&format!("cn=bob,ou=users,{SUFFIX}"));
    let types_only = |query: Query| Query {
        types_only: true,
        ..bob(query)
    };
    let whole = shorter(0);
    for query in [&bob as &dyn Fn(Query) -> Query, &types_only] {
        let (entries, result) = search(&whole, query, "(objectClass=*)");
        assert_eq!((entries, result.code), (1, ResultCode::Success));
    }
    let (entries, result) = search(&shorter(1), types_only, "(objectClass=*)");
    assert_eq!((entries, result), (0, other(WrongNumber::Octets)));
    // A shape shows more or less than the default answer, which is put together by attribute.
    let record = whole.records.all.as_slice()[1];
    let last = Elements(whole.records.block(&record).unwrap())
        .last()
        .unwrap()
        .unwrap();
    for by in [2, last.whole.len()] {
        for query in [&bob as &dyn Fn(Query) -> Query, &types_only] {
            let (entries, result) = search(&shorter(by), query, "(objectClass=*)");
            assert_eq!((entries, result), (0, other(WrongNumber::Octets)), "{by}");
        }
    }
}

/// A value that says it is shorter than it is: what follows it in its set is no further value, and no end either.
#[test]
fn a_set_of_values_that_cannot_be_read_is_no_shorter_one() {
    let snapshot = damaged(|records| {
        let set = {
            let block = records.block(&records.all.as_slice()[1]).unwrap();
            let mut attributes = encoded::attributes(block).map(Result::unwrap);
            let found = attributes.find(|(name, _)| *name == b"mail");
            found.unwrap().1.as_ptr().addr() - records.arena.as_ptr().addr()
        };
        records.arena[set + 1] -= 1;
    });
    let bob = |query: Query| query.base(&format!("cn=bob,ou=users,{SUFFIX}"));
    for filter in ["(mail=*zz*)", "(!(mail=*zz*))", "(|(cn=zz)(mail>=zz))"] {
        let (entries, result) = search(&snapshot, bob, filter);
        assert_eq!((entries, result), (0, other(WrongNumber::Octets)), "{filter}");
    }
    let sorted = |mut query: Query| {
        query.controls.sort = Some(vec![SortKey {
            attribute: b"mail".to_vec(),
            ordering_rule: None,
            reverse_order: false,
        }]);
        query
    };
    let (_, result) = search(&snapshot, sorted, "(objectClass=user)");
    assert_eq!(result, other(WrongNumber::Octets));
    // What does not need it is answered.
    let (entries, result) = search(&snapshot, |query| bob(query).attributes(&["cn"]), "(cn=bob)");
    assert_eq!((entries, result.code), (1, ResultCode::Success));
}

#[test]
fn names_that_are_nowhere_are_neither_found_nor_missing() {
    let snapshot = damaged(|records| records.rdns = Rdns::default());
    let (_, result) = search(
        &snapshot,
        |query| query.base(&format!("cn=bob,ou=users,{SUFFIX}")),
        "(cn=*)",
    );
    assert_eq!(result, other(WrongNumber::Record));
    let (entries, result) = search(&snapshot, |query| query, "(mail=bob@example.com)");
    assert_eq!((entries, result), (0, other(WrongNumber::Record)));
    // An order of names, and one by an attribute.
    let (_, result) = search(&snapshot, |query| query, "(displayName=*example)");
    assert_eq!(result, other(WrongNumber::Record));
    let sorted = |mut query: Query| {
        query.controls.sort = Some(vec![SortKey {
            attribute: b"sn".to_vec(),
            ordering_rule: None,
            reverse_order: false,
        }]);
        query
    };
    let (_, result) = search(&snapshot, sorted, "(objectClass=*)");
    assert_eq!(result.code, ResultCode::Other);
}

#[test]
fn a_page_that_ends_at_a_wrong_number_has_no_cookie() {
    let snapshot = damaged(|records| records.users.pks = records.users.pks.as_slice()[..1].to_vec().into());
    let layout = snapshot.records.layout;
    let last = layout.user(UserIx::new(4)).unwrap();
    assert_eq!(EntryKey::of(&snapshot, layout, last), Err(WrongNumber::User));
    let paged = |mut query: Query| {
        query.controls.paged = Some(PagedResults {
            size: 2,
            cookie: Vec::new(),
        });
        query
            .base(&format!("ou=users,{SUFFIX}"))
            .scope(Scope::SingleLevel)
            .attributes(&["cn"])
    };
    let (entries, result) = search(&snapshot, paged, "(objectClass=user)");
    assert_eq!((entries, result), (2, other(WrongNumber::User)));
}

#[test]
fn what_others_ask_of_a_user_is_no_answer_about_nobody() {
    let snapshot = snapshot();
    let nobody = UserIx::new(99);
    assert_eq!(snapshot.user(nobody), Err(WrongNumber::User));
    assert_eq!(snapshot.groups_of(nobody), Err(WrongNumber::User));
    assert_eq!(snapshot.carried_user(nobody), Err(WrongNumber::User));
    assert_eq!(snapshot.group_name(GroupIx::new(99)), Err(WrongNumber::Record));
    let damaged = damaged(|records| {
        records.users.uids = with_last(&records.users.uids, |uid| *uid = nowhere());
    });
    let last = damaged.users().last().unwrap();
    assert_eq!(damaged.user(last), Err(WrongNumber::Octets));
    assert_ne!(damaged.fingerprint(), snapshot.fingerprint());
}

#[test]
fn who_is_meant_by_a_name_is_not_known_where_octets_are_nowhere() {
    let snapshot = damaged(|records| {
        let octets = records.all.as_slice().iter().map(|record| Record {
            attributes: nowhere(),
            ..*record
        });
        records.all = octets.collect();
    });
    let wrong = Some(WrongNumber::Octets);
    let user = snapshot.users().next().unwrap();
    let email = NameField::Email;
    assert_eq!(snapshot.user_by_uid(&uid(2)).err(), wrong);
    assert_eq!(snapshot.user_by_login("bob@example.com").err(), wrong);
    assert_eq!(snapshot.users_called("bob@example.com", None).err(), wrong);
    assert_eq!(snapshot.is_called(user, &email, "bob@example.com").err(), wrong);
    assert_eq!(snapshot.name_field(user, "bob@example.com").err(), wrong);
    assert_eq!(
        snapshot.login_changes(&builder().finish().unwrap().0).err(),
        wrong
    );
    let nameless = damaged(|records| records.rdns = Rdns::default());
    let name = format!("cn=bob,ou=users,{SUFFIX}");
    let name = akldap_ldap::dn::Name::new(name.as_bytes());
    assert_eq!(tree().user_named(&nameless, &name), Err(WrongNumber::Record));
    let mut without_indexes = builder().finish().unwrap().0;
    without_indexes.indexes = Column::from(Vec::new());
    assert_eq!(
        without_indexes.beyond_schema().err(),
        Some(WrongNumber::Attribute)
    );
}

/// A number that was cut off would be that of everybody whose number is too large.
#[test]
fn a_number_that_would_be_too_large_is_none_at_all() {
    let large = |records: &mut Records| {
        records.users.pks = (0..records.users.pks.len() as i64)
            .rev()
            .map(|below| i64::MAX - below)
            .collect();
        records.groups.numbers = records.groups.numbers.numbers().map(|_| i64::MAX).collect();
    };
    let snapshot = damaged(large);
    for unit in ["users", "groups"] {
        let below = |query: Query| {
            query
                .base(&format!("ou={unit},{SUFFIX}"))
                .scope(Scope::SingleLevel)
                .attributes(&["uidNumber", "gidNumber"])
        };
        let (_, result) = search(&snapshot, below, "(objectClass=*)");
        assert_eq!(result, other(WrongNumber::Derived), "{unit}");
        let greatest = format!("(gidNumber={})", i64::MAX);
        let (entries, _) = search(&snapshot, below, &greatest);
        assert_eq!(entries, 0, "{unit}");
    }
}
