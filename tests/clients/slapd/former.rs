//! A small OpenLDAP directory beside this server with the profile `openldap` and the same people: what its clients ask for is
//! answered alike but for what `docs/shape.md` lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use akldap_simulator::{Directory, Password, User};
use akldap_testing::client::{Client, Found, search};
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::stage::{SUFFIX, Stage};
use ldap3_proto::proto::LdapSearchScope::{self, Base, OneLevel, Subtree};

use super::Slapd;

/// User name, full name, and the groups.
const PEOPLE: &[(&str, &str, &[&str])] = &[
    ("mcubie", "Mr Cubie", &["Git", "Wiki"]),
    ("anna", "Anna Lena Berg", &["Git"]),
    ("jdoe", "John Doe", &["Wiki", "Everybody"]),
    ("zoe", "Zoë Müller", &["Everybody"]),
    ("o.neil", "Pat O'Neil", &["Git", "Everybody"]),
    ("bot", "Bot", &["Everybody"]),
];
const GROUPS: [&str; 3] = ["Git", "Wiki", "Everybody"];

/// Names in bases and filters: `P!` stands for the people's place, `G!` for that of groups, `B!` for the base.
const SEARCHES: &[(&str, LdapSearchScope, &str, &[&str])] = &[
    ("B!", Base, "(objectClass=*)", &[]),
    ("B!", OneLevel, "(objectClass=*)", &["ou"]),
    ("B!", OneLevel, "(objectClass=*)", &[]),
    ("B!", Subtree, "(objectClass=*)", &["1.1"]),
    ("B!", Subtree, "(uid=mcubie)", &[]),
    ("B!", Subtree, "(uid=MCubie)", &["uid", "mail"]),
    ("P!", Subtree, "(uid=mcubie)", &["cn", "mail", "memberOf"]),
    ("P!", OneLevel, "(uid=mcubie)", &["dn"]),
    (
        "P!",
        OneLevel,
        "(objectClass=inetOrgPerson)",
        &["uid", "cn", "sn", "givenName", "mail"],
    ),
    (
        "P!",
        Subtree,
        "(objectClass=posixAccount)",
        &["uid", "uidNumber", "gidNumber", "homeDirectory", "cn"],
    ),
    ("P!", Subtree, "(&(objectClass=inetOrgPerson)(uid=anna))", &["*"]),
    (
        "P!",
        Subtree,
        "(&(objectClass=inetOrgPerson)(uid=anna))",
        &["*", "+"],
    ),
    ("P!", Subtree, "(&(objectClass=inetOrgPerson)(uid=anna))", &["+"]),
    (
        "P!",
        Subtree,
        "(&(objectClass=inetOrgPerson)(uid=anna))",
        &["entryUUID", "entryDN"],
    ),
    ("P!", Subtree, "(mail=jdoe@example.org)", &["uid"]),
    ("P!", Subtree, "(mail=JDOE@Example.org)", &["uid"]),
    ("P!", Subtree, "(mail=*)", &["mail"]),
    ("P!", Subtree, "(|(uid=anna)(mail=anna@example.org))", &["uid"]),
    ("P!", Subtree, "(cn=anna lena berg)", &["cn"]),
    ("P!", Subtree, "(cn=mr  cubie)", &["cn"]),
    ("P!", Subtree, "(sn=Müller)", &["sn"]),
    ("P!", Subtree, "(sn=MÜLLER)", &["sn"]),
    ("P!", Subtree, "(cn=*e*)", &["cn"]),
    ("P!", Subtree, "(displayName=John*)", &["displayName"]),
    ("P!", Subtree, "(givenName=pat)", &["givenName"]),
    ("P!", Subtree, "(uidNumber=2101)", &["uid"]),
    ("P!", Subtree, "(&(uidNumber>=2101)(uidNumber<=2103))", &["uid"]),
    ("P!", Subtree, "(!(uid=bot))", &["uid"]),
    ("P!", Subtree, "(memberOf=cn=Git,G!)", &["uid"]),
    (
        "P!",
        Subtree,
        "(&(objectClass=inetOrgPerson)(memberOf=cn=git,G!))",
        &["uid", "memberOf"],
    ),
    ("P!", Subtree, "(&(uid=zoe)(memberOf=cn=Git,G!))", &["1.1"]),
    ("P!", Subtree, "(memberOf=cn=nobody,G!)", &["uid"]),
    ("P!", Subtree, "(memberOf=*)", &["uid"]),
    ("G!", Subtree, "(objectClass=groupOfNames)", &["cn", "member"]),
    ("G!", OneLevel, "(objectClass=groupOfNames)", &["cn"]),
    ("G!", Subtree, "(cn=wiki)", &[]),
    ("G!", Subtree, "(member=cn=mcubie,P!)", &["cn"]),
    (
        "G!",
        Subtree,
        "(&(objectClass=groupOfNames)(member=CN=MCUBIE, OU=people,B!))",
        &["cn", "description"],
    ),
    ("G!", Subtree, "(uniqueMember=cn=mcubie,P!)", &["cn"]),
    ("G!", Subtree, "(memberUid=mcubie)", &["cn"]),
    (
        "G!",
        Subtree,
        "(&(objectClass=posixGroup)(gidNumber=2101))",
        &["cn"],
    ),
    ("G!", Subtree, "(cn=*i*)", &["cn"]),
    ("G!", Subtree, "(!(description=*))", &["cn"]),
    ("cn=zoe,P!", Base, "(objectClass=*)", &[]),
    ("cn=zoe,P!", Base, "(objectClass=*)", &["memberOf"]),
    ("cn=zoe,P!", Base, "(memberOf=cn=Everybody,G!)", &["1.1"]),
    ("cn=zoe,P!", Subtree, "(objectClass=*)", &["uid"]),
    ("cn=zoe,P!", OneLevel, "(objectClass=*)", &["uid"]),
    ("cn=nobody,P!", Base, "(objectClass=*)", &[]),
    ("ou=nowhere,B!", Subtree, "(objectClass=*)", &[]),
    ("B!", Subtree, "(objectClass=organizationalUnit)", &["ou"]),
    ("B!", Subtree, "(nosuchattribute=x)", &["cn"]),
    (
        "P!",
        Subtree,
        "(&(objectClass=inetOrgPerson)(!(nosuchattribute=x)))",
        &["uid"],
    ),
    ("B!", Subtree, "(entryUUID=*)", &["1.1"]),
    ("P!", Subtree, "(createTimestamp>=20200101000000Z)", &["uid"]),
    ("B!", Subtree, "(hasSubordinates=TRUE)", &["1.1"]),
    ("B!", Subtree, "(sAMAccountName=mcubie)", &["cn"]),
    ("B!", Subtree, "(objectClass=user)", &["cn"]),
    ("P!", Subtree, "(objectClass=person)", &["cn"]),
    ("B!", Subtree, "(objectClass=top)", &["1.1"]),
];

/// Entries by name, attributes by name, both in lower case.
type Entries = BTreeMap<String, BTreeMap<String, BTreeSet<Vec<u8>>>>;

struct TypicalSearch {
    base: String,
    scope: LdapSearchScope,
    filter: String,
    attributes: &'static [&'static str],
}

impl TypicalSearch {
    fn names(&self, attribute: &str) -> bool {
        self.attributes.contains(&attribute)
    }
}

/// A way in which answers may differ.
struct Listed {
    /// As the page has it.
    told: &'static str,
    /// Takes the difference out of both answers, ours first.
    level: fn(&TypicalSearch, &mut Entries, &mut Entries),
}

const LISTED: &[Listed] = &[
    Listed {
        told: "Passwords are not there, neither in answers nor in filters",
        level: |_, _, theirs| {
            for entry in theirs.values_mut() {
                entry.remove("userpassword");
            }
        },
    },
    Listed {
        told: "`memberOf`, `createTimestamp` and `modifyTimestamp` are shown without being asked for",
        level: |_, ours, theirs| {
            for (dn, entry) in ours {
                if let Some(other) = theirs.get(dn) {
                    let shown = ["memberof", "createtimestamp", "modifytimestamp"];
                    entry.retain(|name, _| !shown.contains(&name.as_str()) || other.contains_key(name));
                }
            }
        },
    },
    Listed {
        told: "`createTimestamp` and `modifyTimestamp` are those of the account in authentik",
        level: |asked, ours, theirs| {
            for entries in [ours, theirs] {
                for entry in entries.values_mut().filter(|_| asked.names("+")) {
                    entry.retain(|name, _| !["createtimestamp", "modifytimestamp"].contains(&name.as_str()));
                }
            }
        },
    },
    Listed {
        told: "The base entry has what the root DSE says, and organizational units have `distinguishedName`, `commonName` and the object class `nsContainer`",
        level: |_, ours, theirs| {
            for (dn, entry) in ours.iter_mut().filter(|(dn, _)| !dn.starts_with("cn=")) {
                let other = theirs.get(dn).cloned().unwrap_or_default();
                entry.retain(|name, _| other.contains_key(name));
                if let Some(classes) = entry.get_mut("objectclass") {
                    classes.remove(b"nsContainer".as_slice());
                }
            }
        },
    },
    Listed {
        told: "`+` shows no `creatorsName`, `modifiersName` and `entryCSN`, but `numSubordinates`",
        level: |asked, ours, theirs| {
            if asked.names("+") {
                let own = ["creatorsname", "modifiersname", "entrycsn"];
                for entry in theirs.values_mut() {
                    entry.retain(|name, _| !own.contains(&name.as_str()));
                }
                for entry in ours.values_mut() {
                    entry.remove("numsubordinates");
                }
            }
        },
    },
    Listed {
        told: "The base entry and organizational units have no times",
        level: |asked, _, theirs| {
            if asked.filter.contains("createTimestamp") {
                theirs.retain(|dn, _| dn.starts_with("cn="));
            }
        },
    },
    Listed {
        told: "`subschemaSubentry` is `cn=subschema`, in lower case",
        level: |_, _, theirs| {
            for values in theirs
                .values_mut()
                .filter_map(|entry| entry.get_mut("subschemasubentry"))
            {
                *values = values.iter().map(|value| value.to_ascii_lowercase()).collect();
            }
        },
    },
    Listed {
        told: "`*` and `+` together show no operational attributes of users besides those times and `memberOf`",
        level: |asked, ours, theirs| {
            if asked.names("*") && asked.names("+") {
                for (dn, entry) in theirs {
                    entry.retain(|name, _| ours.get(dn).is_none_or(|own| own.contains_key(name)));
                }
            }
        },
    },
    Listed {
        told: "Spaces within `cn` and `uid` count: two are not one",
        level: |asked, ours, theirs| both_empty(asked.filter.contains("  "), ours, theirs),
    },
    Listed {
        told: "Groups are found by `memberUid` and `uniqueMember`, too",
        level: |asked, ours, theirs| {
            let named = ["(memberUid=", "(uniqueMember="]
                .iter()
                .any(|name| asked.filter.contains(name));
            both_empty(named, ours, theirs);
        },
    },
    Listed {
        told: "An attribute that no schema knows is one that nobody has, so that its negation is true",
        level: |asked, ours, theirs| both_empty(asked.filter.contains("(!(nosuchattribute="), ours, theirs),
    },
];

fn both_empty(when: bool, ours: &mut Entries, theirs: &mut Entries) {
    if when {
        ours.clear();
        theirs.clear();
    }
}

fn entries(found: &Found) -> Entries {
    let attributes = |entry: &akldap_testing::client::Entry| {
        let all = entry.attributes.iter();
        all.map(|(name, values)| (name.to_lowercase(), values.iter().cloned().collect()))
            .collect()
    };
    let all = found.entries.iter();
    all.map(|entry| (entry.dn.to_lowercase(), attributes(entry)))
        .collect()
}

/// The people as this server gets them from authentik.
fn authentik() -> Directory {
    let mut directory = Directory::sample(0, 0);
    let groups = GROUPS.map(|name| {
        directory.add_group(
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()),
            name,
        )
    });
    for (pk, (username, name, member_of)) in (100..).zip(PEOPLE) {
        let mut user = User::new(pk, username, name, &format!("{username}@example.org"));
        user.path = "people".into();
        user.password = Password::Demo;
        directory.add_user(user);
        for (group, _) in groups
            .iter()
            .zip(GROUPS)
            .filter(|(_, name)| member_of.contains(name))
        {
            directory.join(pk, *group);
        }
    }
    directory
}

/// The same people as an admin of OpenLDAP would have entered them.
fn ldif(directory: &Directory) -> String {
    let mut text = format!("dn: {SUFFIX}\nobjectClass: top\nobjectClass: domain\ndc: ldap\n\n");
    for unit in ["People", "Groups"] {
        let _ = writeln!(
            text,
            "dn: ou={unit},{SUFFIX}\nobjectClass: top\nobjectClass: organizationalUnit\nou: {unit}\n"
        );
    }
    for (pk, (username, name, member_of)) in (100..).zip(PEOPLE) {
        let (first, last) = (
            name.split(' ').next().unwrap(),
            name.split(' ').next_back().unwrap(),
        );
        let uuid = directory.user(pk).expect("a user").uuid;
        let number = 2000 + pk;
        let _ = write!(
            text,
            "dn: cn={username},ou=People,{SUFFIX}\nobjectClass: top\nobjectClass: person\nobjectClass: organizationalPerson\n\
             objectClass: inetOrgPerson\nobjectClass: posixAccount\ncn: {username}\ncn: {name}\nuid: {username}\n\
             givenName: {first}\nsn: {last}\ndisplayName: {name}\nmail: {username}@example.org\nuidNumber: {number}\n\
             gidNumber: {number}\nhomeDirectory: /home/{username}\nentryUUID: {uuid}\nuserPassword: demo-{username}\n"
        );
        for group in *member_of {
            let _ = writeln!(text, "memberOf: cn={group},ou=Groups,{SUFFIX}");
        }
        text.push('\n');
    }
    for group in GROUPS {
        let uuid = directory.group_named(group).expect("a group").pk;
        let _ = writeln!(
            text,
            "dn: cn={group},ou=Groups,{SUFFIX}\nobjectClass: top\nobjectClass: groupOfNames\ncn: {group}\nentryUUID: {uuid}"
        );
        for (username, ..) in PEOPLE
            .iter()
            .filter(|(_, _, member_of)| member_of.contains(&group))
        {
            let _ = writeln!(text, "member: cn={username},ou=People,{SUFFIX}");
        }
        text.push('\n');
    }
    text
}

#[client_test]
async fn clients_of_a_former_openldap_see_the_listed_differences_only() {
    let Some(_exercise) = exercise(&[Need::File("/usr/sbin/slapd", "slapd")]) else {
        return;
    };
    let (searcher, password) = (format!("cn=ldapservice,ou=People,{SUFFIX}"), "demo-ldapservice");
    let directory = authentik();
    let database = format!(
        "database mdb\nsuffix {SUFFIX}\nrootdn \"{searcher}\"\nrootpw {password}\noverlay memberof\n"
    );
    let slapd = Slapd::of(&database, &ldif(&directory)).await;
    let stage = Stage::with(directory, |map| {
        map.set("AUTHENTIK_LDAP__PROFILE", "openldap");
        map.set("AUTHENTIK_LDAP__SHOWN_USERS", "path:people");
        map.set(
            "AUTHENTIK_LDAP__SHOWN_GROUPS",
            GROUPS.map(|name| format!("(cn={name})")).join(","),
        );
    })
    .await;
    let mut clients = [
        Client::connect(stage.ldap()).await,
        Client::connect(slapd.address).await,
    ];
    for (username, ..) in PEOPLE {
        for client in &mut clients {
            let dn = format!("cn={username},ou=People,{SUFFIX}");
            assert_eq!(client.bind(&dn, "wrong").await.code, 49);
            assert_eq!(client.bind(&dn, &format!("demo-{username}")).await.code, 0);
        }
    }
    for client in &mut clients {
        assert_eq!(client.bind(&searcher, password).await.code, 0);
    }
    assert!(SEARCHES.len() >= 50);
    let (mut seen, mut with_entries, mut unlisted) = (BTreeSet::new(), 0, String::new());
    for (base, scope, filter, attributes) in SEARCHES {
        let written = |text: &str| {
            text.replace("P!", &format!("ou=People,{SUFFIX}"))
                .replace("G!", &format!("ou=Groups,{SUFFIX}"))
                .replace("B!", SUFFIX)
        };
        let asked = TypicalSearch {
            base: written(base),
            scope: scope.clone(),
            filter: written(filter),
            attributes,
        };
        let [ours, theirs] = &mut clients;
        let request = || search(&asked.base, asked.scope.clone(), &asked.filter, asked.attributes);
        let ours = ours.search_with(request(), Vec::new()).await;
        let theirs = theirs.search_with(request(), Vec::new()).await;
        let told = |found: &Found| (found.outcome.code, found.outcome.matched_dn.to_lowercase());
        assert_eq!(told(&ours), told(&theirs), "{base} {filter}");
        with_entries += usize::from(!theirs.entries.is_empty());
        let (mut ours, mut theirs) = (entries(&ours), entries(&theirs));
        for listed in LISTED {
            let before = (ours.clone(), theirs.clone());
            (listed.level)(&asked, &mut ours, &mut theirs);
            if before.0 != before.1 && before != (ours.clone(), theirs.clone()) {
                seen.insert(listed.told);
            }
        }
        if ours != theirs {
            let _ = writeln!(
                unlisted,
                "{base} {filter} {attributes:?}\n  {ours:?}\n  {theirs:?}"
            );
        }
    }
    assert!(unlisted.is_empty(), "{unlisted}");
    assert!(with_entries >= 40, "{with_entries} searches found somebody");
    let page = include_str!("../../../docs/shape.md");
    for Listed { told, .. } in LISTED {
        assert!(seen.contains(told), "no search shows it: {told}");
        assert!(page.contains(told), "docs/shape.md does not say: {told}");
    }
}
