use std::sync::Arc;

use super::*;
use crate::CustomPolicy;
use crate::build::record::RecordName;
use crate::fixture::{Query, Returned, add_group, add_user, builder, query, snapshot, tree};
use crate::schema::Syntax;
use crate::shape::location::Location;
use crate::shape::visibility::{About, Visibility, conditions};
use crate::shape::{Kind, Made, ShapeError, Template};

pub(super) fn made(kind: Kind, template: &str) -> Show {
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
            .map(|(name, template)| (*name, made(Kind::User, template))),
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
    let names = ["mail", "name", "uid", "uidNumber", "department", "objectClass"];
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
        "(objectClass=user)",
    ] {
        assert!(search(&shaped, filter).entries().is_empty(), "{filter}");
    }
    assert_eq!(search(&shaped, "(displayName=bob example)").entries().len(), 1);
    let mut shape = EntryShape::default();
    for name in ["memberOf", "entryUUID", "hasSubordinates"] {
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
    let base = builder.finish().0;
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
        templates: vec![Template::new("{{ path }}", Kind::User).unwrap()],
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
fn a_template_that_fails_leaves_the_attribute_out_and_is_told_once() {
    let mut builder = builder();
    add_user(&mut builder, 40, "dora", r#"{"number":"x1"}"#);
    let base = builder.finish().0;
    let mut shape = templates(&[
        ("shell", "/bin/{{ attributes.shell }}"),
        ("mail", "{{ username }}@x"),
    ]);
    let number = Show::Made(Made {
        templates: vec![Template::new("{{ attributes.number }}", Kind::User).unwrap()],
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
        "the template of badge failed for user \"dora\", who has no badge: \"x1\" is no value of its syntax"
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
        shape.groups.set(name, made(Kind::Group, template)).unwrap();
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
    let made = || made(Kind::User, "{{ username }}");
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
            .map(|class| Template::new(class, Kind::User).unwrap())
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

/// A directory of people and groups in cycles, whose templates are evaluated a second, naive way.
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
    let base = builder.finish().0;
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

/// That there is such a key in authentik tells of the one who has it.
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
        query.snapshot = Arc::new(builder.finish().0.shaped(&shape).unwrap().0);
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
