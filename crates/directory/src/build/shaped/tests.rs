use std::sync::Arc;

use super::*;
use crate::CustomPolicy;
use crate::build::record::RecordName;
use crate::fixture::{Query, Returned, add_group, add_user, builder, query, snapshot, tree};
use crate::schema::Syntax;
use crate::shape::location::Location;
use crate::shape::visibility::{About, Visibility, conditions};
use crate::shape::{Made, RecordKind, ShapeError, Template};

pub(super) fn made(kind: RecordKind, template: &str) -> Show {
    Show::Made(Made {
        templates: vec![Template::new(template, kind).unwrap()],
        syntax: None,
        operational: false,
    })
}

fn users(attributes: impl IntoIterator<Item = (&'static str, Show)>) -> Shape {
    let mut shape = Shape::default();
    for (name, show) in attributes {
        shape.users.set(name, show).unwrap();
    }
    shape
}

fn templates(attributes: &[(&'static str, &str)]) -> Shape {
    users(
        attributes
            .iter()
            .map(|(name, template)| (*name, made(RecordKind::User, template))),
    )
}

fn shaped(base: &Snapshot, shape: &Shape) -> (Arc<Snapshot>, Vec<Warning>) {
    let (snapshot, warnings) = base.shaped(shape).unwrap();
    (Arc::new(snapshot), warnings)
}

fn search(snapshot: &Arc<Snapshot>, filter: &str) -> Query {
    let mut query = query(filter);
    query.snapshot = Arc::clone(snapshot);
    query
}

fn user(snapshot: &Arc<Snapshot>, name: &str) -> Returned {
    let user = search(snapshot, &format!("(&(sAMAccountName={name})(ak-active=*))"));
    user.entries().remove(0)
}

#[test]
fn the_default_shape_changes_nothing() {
    let base = snapshot();
    let (shaped, warnings) = base.shaped(&Shape::default()).unwrap();
    assert_eq!(shaped.fingerprint(), base.fingerprint());
    assert_eq!(warnings, []);
    assert!(Shape::default().is_default() && !users([("mail", Show::Nothing)]).is_default());
}

#[test]
fn hidden_attributes_are_neither_shown_nor_found() {
    let names = ["mail", "name", "uid", "uidNumber", "department"];
    let (shaped, _) = shaped(&snapshot(), &users(names.map(|name| (name, Show::Nothing))));
    let bob = user(&shaped, "bob");
    for name in names {
        assert_eq!(bob.get(name), [""; 0], "{name}");
    }
    assert_eq!(bob.get("displayName"), ["bob Example"]);
    for filter in [
        "(mail=bob@example.com)",
        "(mail=*)",
        "(name=bob example)",
        "(uidNumber=2002)",
        "(department=*)",
    ] {
        assert!(search(&shaped, filter).entries().is_empty(), "{filter}");
    }
    assert_eq!(search(&shaped, "(displayName=bob example)").entries().len(), 1);
    let mut shape = EntryShape::default();
    for name in ["entryUUID", "hasSubordinates", "numSubordinates"] {
        assert_eq!(
            shape.set(name, Show::Nothing),
            Err(ShapeError::NotHidden),
            "{name}"
        );
    }
}

/// Each use that admins ask for is one line.
#[test]
fn one_line_each_gives_what_clients_want() {
    let json = r#"{"shell":"/bin/zsh","keys":["ssh-ed25519 AAAA","ssh-rsa BBBB"],"quota":5,"kind":"staff",
        "photo":"/9j/2Q=="}"#;
    let mut builder = builder();
    add_user(&mut builder, 40, "dora", json);
    let base = builder.finish().unwrap().0;
    let guid = base
        .users()
        .last()
        .map(|user| base.user(user).unwrap().uuid.unwrap())
        .unwrap();
    let cases: &[(&str, &str, &[&str], &str)] = &[
        ("uid", "{{ username }}", &["dora"], "(uid=DORA)"),
        (
            "givenName",
            "{{ name | split | first }}",
            &["dora"],
            "(givenName=do*)",
        ),
        ("sn", "{{ name | split | last }}", &["Example"], "(sn=exam*)"),
        (
            "userPrincipalName",
            "{{ username }}@example.org",
            &["dora@example.org"],
            "(userPrincipalName=DORA@*)",
        ),
        (
            "mailPrimaryAddress",
            "{{ email | lower }}",
            &["dora@example.com"],
            "(mailPrimaryAddress=*@example.com)",
        ),
        (
            "loginShell",
            "{{ attributes.shell | default('/bin/bash') }}",
            &["/bin/zsh"],
            "(loginShell=/bin/zsh)",
        ),
        (
            "homeDirectory",
            "/srv/home/{{ username }}",
            &["/srv/home/dora"],
            "(homeDirectory=/srv/home/dora)",
        ),
        (
            "gecos",
            "{{ name | ascii }},,,",
            &["dora Example,,,"],
            "(gecos=dora example,,,)",
        ),
        (
            "sshPublicKey",
            "{{ attributes.keys }}",
            &["ssh-ed25519 AAAA", "ssh-rsa BBBB"],
            "(sshPublicKey=ssh-rsa BBBB)",
        ),
        (
            "quota",
            "{% if attributes.quota %}{{ attributes.quota }} GB{% endif %}",
            &["5 GB"],
            "(quota=5 gb)",
        ),
        (
            "employeeType",
            "{{ attributes.kind | default(type) }}",
            &["staff"],
            "(employeeType=staff)",
        ),
        (
            "departmentNumber",
            "{{ all_groups | select('startingwith', 'st') | list }}",
            &[],
            "(departmentNumber=staff)",
        ),
    ];
    for (name, template, values, filter) in cases {
        let shape = templates(&[(name, template)]);
        let (snapshot, warnings) = shaped(&base, &shape);
        assert_eq!(user(&snapshot, "dora").get(name), *values, "{name}");
        let found = search(&snapshot, filter).entries();
        assert_eq!(
            found.iter().any(|entry| entry.get("sAMAccountName") == ["dora"]),
            !values.is_empty(),
            "{filter}"
        );
        let failed = warnings
            .iter()
            .any(|warning| matches!(warning, Warning::TemplateFailed { .. }));
        assert!(!failed, "{name}: {warnings:?}");
    }
    let (snapshot, _) = shaped(
        &base,
        &templates(&[
            ("objectGUID", "{{ uuid | guid }}"),
            ("jpegPhoto", "{{ attributes.photo | base64 }}"),
        ]),
    );
    let escaped: String = guid
        .to_bytes_le()
        .iter()
        .map(|octet| format!("\\{octet:02x}"))
        .collect();
    let found = search(&snapshot, &format!("(objectGUID={escaped})")).names();
    assert_eq!(found, ["cn=dora,ou=users"]);
    assert_eq!(
        search(&snapshot, "(jpegPhoto=\\ff\\d8\\ff\\d9)").names(),
        ["cn=dora,ou=users"]
    );
}

#[test]
fn a_computed_attribute_can_be_shown_to_all() {
    let mut shape = Shape::default();
    shape.groups.set("memberUid", Show::Always).unwrap();
    let (snapshot, _) = shaped(&snapshot(), &shape);
    let group = |attributes: &[&'static str]| {
        let query = search(&snapshot, "(&(cn=staff)(objectClass=goauthentik.io/ldap/group))");
        query.attributes(attributes).entries().remove(0)
    };
    assert_eq!(group(&[]).get("memberUid"), ["alice", "bob"]);
    assert_eq!(
        group(&["*", "memberUid"]).get("memberUid"),
        ["alice", "bob"],
        "once"
    );
    assert_eq!(group(&["*"]).names().last(), Some(&"memberUid"));
    assert_eq!(shape.groups.set("cn", Show::Always), Err(ShapeError::NotComputed));
}

#[test]
fn an_operational_attribute_is_shown_to_those_who_ask() {
    let mut shape = users([]);
    let show = Show::Made(Made {
        templates: vec![Template::new("{{ path }}", RecordKind::User).unwrap()],
        syntax: None,
        operational: true,
    });
    shape.users.set("filedUnder", show).unwrap();
    let (snapshot, _) = shaped(&snapshot(), &shape);
    let asked = |attributes: &[&'static str]| {
        let query = search(&snapshot, "(&(cn=bob)(objectClass=person))").attributes(attributes);
        let entry = query.entries().remove(0);
        (entry.get("filedUnder").len(), entry.get("mail").len())
    };
    assert_eq!(asked(&[]), (0, 1));
    assert_eq!(asked(&["*"]), (0, 1));
    assert_eq!(asked(&["+"]), (1, 0));
    assert_eq!(asked(&["*", "+"]), (1, 1));
    assert_eq!(asked(&["*", "filedUnder"]), (1, 1));
    assert_eq!(asked(&["+", "filedUnder"]), (1, 0));
    assert_eq!(asked(&["filedunder", "mail"]), (1, 1));
    assert_eq!(search(&snapshot, "(filedUnder=users)").entries().len(), 4);
}

#[test]
fn what_is_operational_of_users_is_not_of_groups() {
    let mut shape = users([]);
    let key = |kind, template: &str, operational| {
        Show::Made(Made {
            templates: vec![Template::new(template, kind).unwrap()],
            syntax: None,
            operational,
        })
    };
    shape
        .users
        .set("recordKey", key(RecordKind::User, "{{ pk }}", true))
        .unwrap();
    shape
        .groups
        .set("recordKey", key(RecordKind::Group, "{{ num_pk }}", false))
        .unwrap();
    // Whatever else is shown differently.
    shape.groups.set("memberUid", Show::Always).unwrap();
    let (snapshot, _) = shaped(&snapshot(), &shape);
    let asked = |filter: &str, attributes: &[&'static str]| {
        let entry = search(&snapshot, filter)
            .attributes(attributes)
            .entries()
            .remove(0);
        entry.get("recordKey").len()
    };
    let (bob, staff) = ("(&(cn=bob)(objectClass=person))", "(cn=staff)");
    for (attributes, of_bob, of_staff) in [(&[][..], 0, 1), (&["+"], 1, 0), (&["*", "recordKey"], 1, 1)] {
        assert_eq!(
            (asked(bob, attributes), asked(staff, attributes)),
            (of_bob, of_staff),
            "{attributes:?}"
        );
    }
}

#[test]
fn a_template_that_fails_leaves_the_attribute_out_and_is_told_once() {
    let mut builder = builder();
    add_user(&mut builder, 40, "dora", r#"{"number":"x1"}"#);
    let base = builder.finish().unwrap().0;
    let mut shape = templates(&[
        ("shell", "/bin/{{ attributes.shell }}"),
        ("mail", "{{ username }}@x"),
    ]);
    let number = Show::Made(Made {
        templates: vec![Template::new("{{ attributes.number }}", RecordKind::User).unwrap()],
        syntax: Some(Syntax::Integer),
        operational: false,
    });
    shape.users.set("badge", number).unwrap();
    let (snapshot, warnings) = shaped(&base, &shape);
    let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with(
            "the template of shell failed for user \"alice\" and 5 more, who have no shell: undefined"
        ),
        "{told:?}"
    );
    assert_eq!(
        told[1],
        "the template of badge failed for user \"dora\", who has no badge: \"x1\" is not a value of its syntax"
    );
    let dora = user(&snapshot, "dora");
    assert_eq!((dora.get("shell").len(), dora.get("badge").len()), (0, 0));
    assert_eq!(dora.get("mail"), ["dora@x"]);
    let Warning::TemplateFailed { whose, .. } = &warnings[1] else {
        panic!("{warnings:?}");
    };
    assert_eq!(*whose, RecordName::User("dora".to_owned()));
}

#[test]
fn groups_are_made_of_what_groups_have() {
    let mut shape = Shape::default();
    for (name, template) in [
        ("description", "{{ members | length }} people"),
        ("owner", "{{ attributes.none }}"),
        (
            "seeAlso",
            "{% for parent in all_parents %}cn={{ parent }}{% endfor %}",
        ),
    ] {
        shape.groups.set(name, made(RecordKind::Group, template)).unwrap();
    }
    let (snapshot, warnings) = shaped(&snapshot(), &shape);
    let group = |name: &str| {
        let filter = format!("(&(cn={name})(objectClass=goauthentik.io/ldap/group))");
        search(&snapshot, &filter).entries().remove(0)
    };
    assert_eq!(group("staff").get("description"), ["2 people"]);
    assert_eq!(group("admins").get("seeAlso"), ["cn=staff"]);
    assert_eq!(warnings, []);
}

#[test]
fn numbers_follow_templates() {
    let shape = templates(&[
        ("uidNumber", "{{ pk + 90000 }}"),
        ("gidNumber", "{{ pk + 80000 }}"),
    ]);
    let (snapshot, _) = shaped(&snapshot(), &shape);
    let bob = user(&snapshot, "bob");
    assert_eq!(
        (bob.get("uidNumber"), bob.get("gidNumber")),
        (vec!["90002".to_owned()], vec!["80002".to_owned()])
    );
    let group = search(&snapshot, "(&(cn=bob)(objectClass=group))")
        .entries()
        .remove(0);
    assert_eq!(group.get("gidNumber"), ["80002"]);
    assert_eq!(search(&snapshot, "(uidNumber>=90000)").entries().len(), 5);
    assert_eq!(search(&snapshot, "(gidNumber=80002)").entries().len(), 2);
}

#[test]
fn what_the_server_alone_says_is_not_made() {
    let mut shape = EntryShape::default();
    let made = || made(RecordKind::User, "{{ username }}");
    for (name, error) in [
        ("memberOf", ShapeError::Reserved),
        ("entryUUID", ShapeError::Reserved),
        ("dn", ShapeError::Reserved),
        ("userPassword", ShapeError::Password),
        ("sambaNTPassword", ShapeError::Password),
        ("a b", ShapeError::Name),
        ("", ShapeError::Name),
        ("cn;x", ShapeError::Name),
    ] {
        assert_eq!(shape.set(name, made()), Err(error), "{name}");
    }
    for name in ["objectClass", "CN", "entryUUID", "entryDN"] {
        assert_eq!(
            shape.set(name, Show::Nothing),
            Err(ShapeError::NotHidden),
            "{name}"
        );
    }
    let wrong = Show::Made(Made {
        templates: Vec::new(),
        syntax: Some(Syntax::OctetString),
        operational: false,
    });
    assert_eq!(
        shape.set("mail", wrong),
        Err(ShapeError::Syntax("directory-string"))
    );
    for number in 0..crate::shape::MAX_SHAPED {
        shape.set(&format!("a{number}"), Show::Nothing).unwrap();
    }
    assert_eq!(shape.set("b", Show::Nothing), Err(ShapeError::TooMany));
    assert_eq!(shape.set("A0", Show::Nothing), Ok(()));
}

#[test]
fn classes_are_those_the_template_names() {
    let classes = Show::Made(Made {
        templates: ["top", "inetOrgPerson"]
            .map(|class| Template::new(class, RecordKind::User).unwrap())
            .into(),
        syntax: None,
        operational: false,
    });
    let (snapshot, _) = shaped(&snapshot(), &users([("objectClass", classes)]));
    assert_eq!(
        user(&snapshot, "bob").get("objectClass"),
        ["top", "inetOrgPerson"]
    );
    assert_eq!(
        search(&snapshot, "(objectClass=inetOrgPerson)").entries().len(),
        5
    );
    assert!(
        search(&snapshot, "(objectClass=posixAccount)")
            .entries()
            .is_empty()
    );
}

#[test]
fn the_schema_names_the_syntax_of_what_is_made() {
    let shape = templates(&[("objectGUID", "{{ uuid | guid }}"), ("quota", "{{ pk }}")]);
    let (snapshot, _) = shaped(&snapshot(), &shape);
    let beyond = snapshot.beyond_schema().unwrap();
    let attributes = crate::subschema::attributes(&beyond, None);
    let (_, types) = attributes
        .iter()
        .find(|(name, _)| *name == "attributeTypes")
        .unwrap();
    let of = |name: &str| {
        types
            .iter()
            .find(|definition| definition.contains(&format!("NAME '{name}'")))
            .unwrap()
    };
    assert!(
        of("objectguid").contains("EQUALITY octetStringMatch"),
        "{}",
        of("objectguid")
    );
    assert!(of("objectguid").contains("SYNTAX 1.3.6.1.4.1.1466.115.121.1.40"));
    assert!(of("quota").contains("EQUALITY caseIgnoreMatch"));
}

/// A directory of people and groups in cycles, whose templates are also evaluated in a second, naive way.
#[test]
fn what_templates_make_is_what_a_naive_reader_makes() {
    let mut builder = crate::Builder::new();
    let group = |number: u32| format!("{number:08x}-0000-4000-8000-000000000000");
    for pk in 0..60i64 {
        let name = format!("u{pk}");
        let json = format!(
            r#"{{"n":{},"list":["a{}","b"],"odd":{}}}"#,
            pk % 7,
            pk % 3,
            pk % 2 == 1
        );
        add_user(&mut builder, pk, &name, &json);
    }
    for number in 0..12u32 {
        let parents = [group((number * 5 + 1) % 12), group((number + 3) % 12)];
        let parents: Vec<&str> = parents
            .iter()
            .map(String::as_str)
            .take((number % 3) as usize)
            .collect();
        let members: Vec<i64> = (0..60).filter(|pk| (pk + i64::from(number)) % 4 == 0).collect();
        add_group(
            &mut builder,
            &group(number),
            &format!("g{number}"),
            &parents,
            &members,
            "{}",
        );
    }
    let base = builder.finish().unwrap().0;
    let (snapshot, warnings) = shaped(
        &base,
        &templates(&[
            ("x1", "{{ username | upper }}-{{ pk }}"),
            ("x2", "{{ attributes.list }}"),
            ("x3", "{% if attributes.n | int > 3 %}big{% endif %}"),
            ("x4", "{{ groups | sort | join(' ') }}"),
            ("x5", "{{ all_groups | sort | last }}"),
        ]),
    );
    let failed = |warning: &Warning| matches!(warning, Warning::TemplateFailed { .. });
    assert!(!warnings.iter().any(failed), "{warnings:?}");
    for number in base.users() {
        let summary = base.user(number).unwrap();
        let pk = summary.pk;
        let entry = user(&snapshot, summary.username);
        assert_eq!(entry.get("x1"), [format!("U{pk}-{pk}")]);
        assert_eq!(entry.get("x2"), [format!("a{}", pk % 3), "b".to_owned()]);
        assert_eq!(entry.get("x3"), vec!["big".to_owned(); usize::from(pk % 7 > 3)]);
        let direct: Vec<u32> = (0..12)
            .filter(|group| (pk + i64::from(*group)) % 4 == 0)
            .collect();
        let mut names: Vec<String> = direct.iter().map(|group| format!("g{group}")).collect();
        names.sort();
        assert_eq!(entry.get("x4"), [names.join(" ")]);
        let mut all = direct;
        let mut next = 0;
        while next < all.len() {
            let number = all[next];
            let parents = [(number * 5 + 1) % 12, (number + 3) % 12];
            for parent in parents.into_iter().take((number % 3) as usize) {
                if !all.contains(&parent) {
                    all.push(parent);
                }
            }
            next += 1;
        }
        let last = all.iter().map(|group| format!("g{group}")).max().unwrap();
        assert_eq!(entry.get("x5"), [last]);
    }
}

/// The existence of such a key in authentik reveals the one who has it.
#[test]
fn further_names_that_only_hidden_users_give_an_attribute_are_not_known() {
    let found = |hidden: &str, filter: &str| {
        let mut builder = Builder::with_policy(CustomPolicy::default().with_legal_names(true));
        add_user(&mut builder, 1, "alice", r#"{"with-space":"x"}"#);
        add_user(&mut builder, 2, "robot", r#"{"with space":"y"}"#);
        let shape = Shape {
            visible_users: Visibility {
                hidden: conditions(hidden, About::Users).unwrap(),
                ..Visibility::default()
            },
            location: Some(Location::of(tree())),
            ..Shape::default()
        };
        let mut query = query(filter);
        query.snapshot = Arc::new(builder.finish().unwrap().0.shaped(&shape).unwrap().0);
        query.names()
    };
    let both = ["cn=alice,ou=users", "cn=robot,ou=users"];
    assert_eq!(found("", "(with space=*)"), both);
    assert_eq!(found("(cn=robot)", "(with space=*)"), [""; 0]);
    assert_eq!(found("(cn=robot)", "(with-space=*)"), ["cn=alice,ou=users"]);
}

#[test]
fn a_condition_that_cannot_be_judged_shows_nobody_and_hides_everybody() {
    let users = |shown: &str, hidden: &str, location| {
        let shape = Shape {
            visible_users: Visibility {
                shown: conditions(shown, About::Users).unwrap(),
                hidden: conditions(hidden, About::Users).unwrap(),
            },
            location,
            ..Shape::default()
        };
        let (shaped, warnings) = snapshot().shaped(&shape).unwrap();
        (shaped.user_count(), warnings)
    };
    let here = || Some(Location::of(tree()));
    assert_eq!(users("(cn=bob)", "", here()), (1, Vec::new()));
    assert_eq!(users("(cn=bob)", "", None).0, 0);
    assert_eq!(users("", "(cn=bob)", None).0, 0);
    let unknown = |group: &str| Warning::UnknownGroup { group: group.into() };
    assert_eq!(users("group:nobody", "", here()), (0, vec![unknown("nobody")]));
    assert_eq!(users("", "group:nobody", here()), (5, vec![unknown("nobody")]));
    assert_eq!(
        users("group:staff", "", here()).0,
        4,
        "staff, and whoever is in the groups below"
    );
    assert_eq!(users("group:staff", r#"group:"Sales, EMEA""#, here()).0, 2);
}

#[test]
fn hidden_memberships_are_neither_shown_nor_found_nor_compared() {
    let shape = users(["memberOf", "member"].map(|name| (name, Show::Nothing)));
    let (hidden, _) = shaped(&snapshot(), &shape);
    let base = snapshot();
    for filter in ["(memberOf=*)", "(member=*)", "(2.5.4.31=*)"] {
        assert!(!search(&base, filter).entries().is_empty(), "{filter}");
        assert!(search(&hidden, filter).entries().is_empty(), "{filter}");
    }
    // As of an attribute that there is not.
    let number = |filter| search(&hidden, filter).entries().len();
    assert_eq!(number("(!(member=*))"), number("(!(nosuch=*))"));
    let chain = "(memberOf:1.2.840.113556.1.4.1941:=cn=staff,ou=groups,dc=ldap,dc=goauthentik,dc=io)";
    assert!(search(&hidden, chain).entries().is_empty());
    for attributes in [
        &[][..],
        &["*", "+"],
        &["member", "memberOf"],
        &["@group", "@user"],
    ] {
        let mut entries = search(&hidden, "(objectClass=*)")
            .attributes(attributes)
            .entries();
        assert!(!entries.is_empty());
        for entry in &mut entries {
            for name in ["member", "memberOf"] {
                assert_eq!(entry.get(name), [""; 0], "{attributes:?}");
            }
        }
    }
    // What is not hidden is there.
    assert!(!search(&hidden, "(memberUid=*)").entries().is_empty());
}

#[test]
fn what_is_missing_is_no_value_of_octets_either_and_octets_need_no_syntax_stated() {
    let (shaped, warnings) = shaped(
        &snapshot(),
        &templates(&[
            ("photo", "{{ attributes.nothing | base64 }}"),
            ("token", "{{ uuid | guid }}"),
            ("plainUuid", "{{ uuid | octets }}"),
        ]),
    );
    let failed = |warning: &Warning| matches!(warning, Warning::TemplateFailed { .. });
    assert!(!warnings.iter().any(failed), "{warnings:?}");
    let bob = user(&shaped, "bob");
    assert!(bob.get("photo").is_empty());
    assert_eq!((bob.get("token").len(), bob.get("plainUuid").len()), (1, 1));
    let syntax = |name: &str| {
        let attributes = &shaped.records.attributes;
        attributes.syntax(attributes.find_any_case(name.as_bytes()).unwrap())
    };
    assert_eq!(syntax("token"), Ok(Syntax::OctetString));
    assert_eq!(syntax("plainUuid"), Ok(Syntax::OctetString));
}

mod numbers {
    use super::*;
    use crate::build::record::MAX_WARNINGS;
    use crate::shape::numbers::{NumberRange, NumberRanges, Numbers};

    fn ranges(expected: &str, shared: &str) -> NumberRanges {
        NumberRanges {
            expected: NumberRange::read(expected),
            shared: NumberRange::read(shared),
        }
    }

    /// Users whose numbers begin at 2000 and groups whose numbers begin at 4000, as the fixture's tree has them.
    fn moved(base: &Snapshot, uids: &str, gids: &str, more: Shape) -> (Arc<Snapshot>, Vec<Warning>) {
        let shape = Shape {
            numbers: Numbers {
                uids: ranges("", uids),
                gids: ranges("", gids),
            },
            location: Some(Location::of(tree())),
            ..more
        };
        let (snapshot, warnings) = shaped(base, &shape);
        let shared = warnings
            .into_iter()
            .filter(|warning| matches!(warning, Warning::NumberShared { .. }));
        (snapshot, shared.collect())
    }

    fn base(users: &[(i64, &str, &str)], groups: &[(u32, &str, &str)]) -> Snapshot {
        let mut builder = crate::Builder::new();
        for (pk, name, attributes) in users {
            add_user(&mut builder, *pk, name, attributes);
        }
        for (number, name, attributes) in groups {
            let uuid = format!("{number:08x}-0000-4000-8000-000000000000");
            add_group(&mut builder, &uuid, name, &[], &[], attributes);
        }
        builder.finish().unwrap().0
    }

    fn of(snapshot: &Arc<Snapshot>, name: &str, attribute: &'static str) -> String {
        let mut found = search(
            snapshot,
            &format!("(&(cn={name})(!(objectClass=goauthentik.io/ldap/virtual-group)))"),
        )
        .attributes(&[attribute])
        .entries();
        found.remove(0).get(attribute).remove(0)
    }

    const USERS: [(i64, &str, &str); 4] = [
        (1, "first", "{}"),
        (2, "second", r#"{"uidNumber": 2001}"#),
        (3, "third", r#"{"uidNumber": "2001"}"#),
        (4, "fourth", "{}"),
    ];

    #[test]
    fn whose_number_is_taken_gets_one_of_the_range_and_files_of_others_stay_theirs() {
        let base = base(&USERS, &[]);
        let (snapshot, warnings) = moved(&base, "300000-399999", "", Shape::default());
        let number = |name| of(&snapshot, name, "uidNumber");
        // Whoever states a number keeps it, the older account first; whoever has one by chance moves.
        assert_eq!(
            (number("second"), number("fourth")),
            ("2001".into(), "2004".into())
        );
        for name in ["first", "third"] {
            let moved: i64 = number(name).parse().unwrap();
            assert!((300_000..400_000).contains(&moved), "{name} {moved}");
            assert_eq!(of(&snapshot, name, "gidNumber"), number(name));
            // It can be found by it, and so can the virtual group.
            assert_eq!(
                search(&snapshot, &format!("(uidNumber={moved})")).entries().len(),
                1
            );
            let own = format!("(&(objectClass=group)(gidNumber={moved}))");
            assert_eq!(search(&snapshot, &own).entries().len(), 1, "{name}");
        }
        assert_ne!(number("first"), number("third"));
        assert_eq!(search(&snapshot, "(uidNumber=2001)").entries().len(), 1);
        let text = warnings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        assert_eq!(warnings.len(), 2, "{text}");
        assert!(text.contains(&format!("user \"second\" and user \"first\" share the uidNumber 2001: user \"first\" is shown with {}", number("first"))), "{text}");
    }

    #[test]
    fn who_has_no_number_because_it_would_be_too_large_shares_none() {
        let last = [(i64::MAX - 1, "late", "{}"), (i64::MAX, "last", "{}")];
        let (_, warnings) = moved(&base(&last, &[]), "300000-399999", "", Shape::default());
        assert_eq!(warnings, []);
    }

    #[test]
    fn a_moved_number_depends_on_nobody_who_came_later() {
        let few = base(&USERS, &[]);
        let mut more = USERS.to_vec();
        more.extend((5..300).map(|pk| (pk, "x", r#"{"uidNumber": 2001}"#)));
        let names: Vec<String> = (0..300).map(|number| format!("u{number}")).collect();
        for (user, name) in more.iter_mut().skip(4).zip(&names) {
            user.1 = name;
        }
        // In whatever order they come.
        more.reverse();
        let many = base(&more, &[]);
        let range = "300000-300999";
        let [few, many] = [few, many].map(|base| moved(&base, range, "", Shape::default()).0);
        // The one who has the number by chance moves last, and may collide with those who came since.
        assert_eq!(of(&few, "third", "uidNumber"), of(&many, "third", "uidNumber"));
        let all: std::collections::BTreeSet<String> = many
            .users()
            .map(|user| of(&many, many.user(user).unwrap().username, "uidNumber"))
            .collect();
        assert_eq!(all.len(), many.user_count());
    }

    #[test]
    fn groups_share_numbers_with_each_other_and_with_users() {
        let groups = [
            (1, "stated", r#"{"gidNumber": 5000}"#),
            (2, "also", r#"{"gidNumber": "5000"}"#),
            (3, "own", r#"{"gidNumber": 2004}"#),
        ];
        let base = base(&USERS, &groups);
        let (snapshot, warnings) = moved(&base, "", "700000-700009", Shape::default());
        assert_eq!(of(&snapshot, "stated", "gidNumber"), "5000");
        for name in ["also", "own"] {
            assert!(of(&snapshot, name, "gidNumber").starts_with("70000"), "{name}");
        }
        // No range, no other number; it is still reported.
        assert_eq!(of(&snapshot, "first", "uidNumber"), "2001");
        assert!(warnings.iter().any(|warning| matches!(
            warning,
            Warning::NumberShared {
                moved_to: None,
                attribute: "uidNumber",
                ..
            }
        )));
        assert!(
            warnings
                .iter()
                .any(|warning| warning.to_string().contains("AUTHENTIK_LDAP__SHARED_UID_NUMBERS"))
        );
    }

    #[test]
    fn nobody_moves_for_those_who_are_hidden_or_against_a_template() {
        let base = base(&USERS, &[]);
        let hiding = Shape {
            visible_users: Visibility {
                shown: Vec::new(),
                hidden: conditions("(cn=second),(cn=third)", About::Users).unwrap(),
            },
            ..Shape::default()
        };
        let (snapshot, warnings) = moved(&base, "300000-399999", "", hiding);
        assert_eq!(
            (of(&snapshot, "first", "uidNumber"), warnings.len()),
            ("2001".into(), 0)
        );
        let made = templates(&[("uidNumber", "{{ pk + 7 }}")]);
        let (snapshot, _) = moved(&base, "300000-399999", "", made);
        assert_eq!(of(&snapshot, "first", "uidNumber"), "8");
    }

    fn expecting(uids: NumberRanges, gids: NumberRanges) -> Shape {
        Shape {
            numbers: Numbers { uids, gids },
            location: Some(Location::of(tree())),
            ..Shape::default()
        }
    }

    fn outside(warnings: &[Warning]) -> Vec<(&'static str, String, i64)> {
        let all = warnings.iter().filter_map(|warning| match warning {
            Warning::NumberOutside {
                attribute,
                whose,
                number,
                ..
            } => Some((*attribute, whose.to_string(), *number)),
            _ => None,
        });
        all.collect()
    }

    #[test]
    fn whose_number_is_outside_the_range_is_told_and_keeps_it() {
        let groups = [
            (1, "low", r#"{"gidNumber": 100}"#),
            (2, "high", r#"{"gidNumber": "5000"}"#),
        ];
        let mut users = USERS.to_vec();
        users.push((5, "without", r#"{"uidNumber": "none"}"#));
        let base = base(&users, &groups);
        let shape = expecting(ranges("2002-2010", ""), ranges("4000-6000", ""));
        assert!(shape.changes_nothing() && shape.depends_on_location() && !shape.is_default());
        let (snapshot, warnings) = shaped(&base, &shape);
        assert_eq!(snapshot.fingerprint(), base.fingerprint(), "nobody is renumbered");
        assert_eq!(
            outside(&warnings),
            [
                ("uidNumber", "user \"first\"".into(), 2001),
                ("uidNumber", "user \"second\"".into(), 2001),
                ("uidNumber", "user \"third\"".into(), 2001),
                ("gidNumber", "group \"low\"".into(), 100),
            ]
        );
        let text = warnings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        assert!(
            text.contains("the gidNumber 100 of group \"low\" is outside 4000-6000"),
            "{text}"
        );
        assert!(
            text.contains("set the attribute gidNumber in authentik"),
            "{text}"
        );
        // Who shares a number is reported, too, though nobody is moved.
        assert!(
            text.contains("user \"second\" and user \"first\" share the uidNumber 2001"),
            "{text}"
        );
        // The directory that nothing is changed in says the same.
        assert_eq!(base.odd_numbers(&shape).unwrap(), warnings);
    }

    #[test]
    fn a_number_that_was_moved_or_made_counts_as_it_is_shown() {
        let base = base(&USERS, &[]);
        let moving = expecting(ranges("2000-2999", "300000-399999"), NumberRanges::default());
        assert!(!moving.changes_nothing());
        assert_eq!(outside(&shaped(&base, &moving).1), []);
        let made = Shape {
            users: templates(&[("uidNumber", "{{ pk + 2500 }}")]).users,
            ..expecting(ranges("2502-2999", ""), NumberRanges::default())
        };
        assert_eq!(
            outside(&shaped(&base, &made).1),
            [("uidNumber", "user \"first\"".into(), 2501)]
        );
    }

    /// Whose number would be too large has none, as a search says.
    #[test]
    fn a_number_that_would_be_too_large_is_not_named() {
        let shape = expecting(ranges("1-2", ""), NumberRanges::default());
        let users = [(7, "seven", "{}"), (i64::MAX, "last", "{}")];
        let warnings = base(&users, &[]).odd_numbers(&shape).unwrap();
        assert_eq!(outside(&warnings), [("uidNumber", "user \"seven\"".into(), 2007)]);
    }

    #[test]
    fn of_very_many_numbers_outside_some_are_named() {
        let names: Vec<String> = (0..MAX_WARNINGS + 5).map(|number| format!("u{number}")).collect();
        let users: Vec<(i64, &str, &str)> = (1..)
            .zip(&names)
            .map(|(pk, name)| (pk, name.as_str(), "{}"))
            .collect();
        let shape = expecting(ranges("1-2", ""), NumberRanges::default());
        let warnings = base(&users, &[]).odd_numbers(&shape).unwrap();
        assert_eq!(outside(&warnings).len(), MAX_WARNINGS);
        assert_eq!(warnings.last(), Some(&Warning::More(5)));
    }
}
