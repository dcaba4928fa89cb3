use proptest::prelude::*;

use super::*;
use crate::config::ProviderConfig;
use akldap_directory::{Builder, UserRecord};

fn providers() -> ProviderTable {
    ProviderTable::of_bases(&["DC=ldap,DC=goauthentik,DC=io"])
}

fn username(name: &str, strict: bool) -> Result<(String, bool), BindNameError> {
    let strict = if strict { "true" } else { "false" };
    let config = ProviderConfig::of_settings(&[("AUTHENTIK_LDAP__STRICT_BIND_DN", strict)]);
    let providers = ProviderTable::of_bases_with(&["DC=ldap,DC=goauthentik,DC=io"], &Arc::new(config));
    resolve(&Name::new(name.as_bytes()), &providers, || None).map(|name| (name.username, name.lax))
}

#[test]
fn names_as_people_write_them() {
    for (name, expected, lax) in [
        ("cn=alice,ou=users,DC=ldap,DC=goauthentik,DC=io", "alice", false),
        (
            "CN = Alice , OU=Users,dc=LDAP,dc=goauthentik,dc=io",
            "Alice",
            false,
        ),
        ("cn=alice,dc=ldap,dc=goauthentik,dc=io", "alice", true),
        ("cn=alice,ou=groups,dc=ldap,dc=goauthentik,dc=io", "alice", true),
        ("ou=x,cn=alice,ou=y,dc=ldap,dc=goauthentik,dc=io", "alice", true),
        ("uid=alice,ou=users,dc=ldap,dc=goauthentik,dc=io", "alice", true),
        (
            "mail=a@example.com,ou=users,dc=ldap,dc=goauthentik,dc=io",
            "a@example.com",
            true,
        ),
        (
            "cn=Sales\\2c EMEA,ou=users,dc=ldap,dc=goauthentik,dc=io",
            "Sales, EMEA",
            false,
        ),
        (
            "cn=Sales, EMEA,ou=users,dc=ldap,dc=goauthentik,dc=io",
            "Sales, EMEA",
            true,
        ),
        ("cn=a+b,ou=users,dc=ldap,dc=goauthentik,dc=io", "a+b", true),
        ("cn=zoë,ou=users,dc=ldap,dc=goauthentik,dc=io", "zoë", false),
    ] {
        assert_eq!(username(name, false), Ok((expected.to_owned(), lax)), "{name}");
        assert_eq!(username(name, true).is_ok(), !lax, "{name}");
    }
}

#[test]
fn the_base_itself_names_nobody() {
    for base in [
        "cn=accounts,dc=x",
        "CN=accounts,dc=x",
        "uid=accounts,dc=x",
        "mail=accounts,dc=x",
        "o=y+cn=accounts,dc=x",
        "cn=a\\2c b\\, c,cn=accounts,dc=x",
    ] {
        let providers = ProviderTable::of_bases(&[base]);
        let resolved = |front: &str| {
            let name = format!("{front}{base}");
            resolve(&Name::new(name.as_bytes()), &providers, || None).map(|name| name.username)
        };
        for nobody in ["", "ou=users,", " ou=users , ", "ou=x+l=y,ou=users,", "sn=a,"] {
            assert_eq!(resolved(nobody), Err(BindNameError::NoUsername), "{nobody}{base}");
        }
        for alice in [
            "cn=alice,ou=users,",
            "CN = alice;OU=users; ",
            "cn=alice,",
            "uid=alice,",
            "mail=alice,ou=users,",
            "uid=bob+cn=alice,ou=users,",
            "cn=alice+uid=bob,ou=users,",
            "ou=x,uid=alice,ou=users,",
            "l=x+uid=alice,",
        ] {
            assert_eq!(resolved(alice).as_deref(), Ok("alice"), "{alice}{base}");
        }
        assert_eq!(
            resolved("cn=Sales, EMEA,ou=users,").as_deref(),
            Ok("Sales, EMEA"),
            "{base}"
        );
        assert!(
            matches!(
                resolved("Sales, EMEA,ou=users,"),
                Err(BindNameError::Malformed(_))
            ),
            "{base}"
        );
    }
}

#[test]
fn names_of_nobody() {
    assert_eq!(
        username("cn=alice,dc=example,dc=com", false),
        Err(BindNameError::NoProvider)
    );
    assert_eq!(
        username("ou=users,dc=ldap,dc=goauthentik,dc=io", false),
        Err(BindNameError::NoUsername)
    );
    assert!(matches!(
        username("alice", true),
        Err(BindNameError::Malformed(_))
    ));
    assert!(matches!(
        username("a\"=alice", false),
        Err(BindNameError::Malformed(_))
    ));
    assert_eq!(
        username("cn=,ou=users,dc=ldap,dc=goauthentik,dc=io", false),
        Err(BindNameError::NoUsername)
    );
}

#[test]
fn names_that_are_no_dns() {
    let of = |bases: &[&str], name: &[u8]| {
        resolve(&Name::new(name), &ProviderTable::of_bases(bases), || None).map(|name| name.username)
    };
    const EXAMPLE: &str = "DC=Example,DC=com";
    for (base, name, expected) in [
        (EXAMPLE, "alice", "alice"),
        (EXAMPLE, "Zoë Example", "Zoë Example"),
        (EXAMPLE, "Sales, EMEA", "Sales, EMEA"),
        (EXAMPLE, "alice@example.com", "alice"),
        (EXAMPLE, "Alice@EXAMPLE.Com", "Alice"),
        (EXAMPLE, "a@b@example.com", "a@b"),
        (EXAMPLE, "alice@corp.example.com", "alice@corp.example.com"),
        (EXAMPLE, "alice@com", "alice@com"),
        (EXAMPLE, "alice@example.com.", "alice@example.com."),
        (EXAMPLE, "alice@", "alice@"),
        (EXAMPLE, "EXAMPLE\\alice", "alice"),
        (EXAMPLE, "\\alice", "alice"),
        (EXAMPLE, "EXAMPLE\\a\\b", "a\\b"),
        (EXAMPLE, "EXAMPLE\\alice@example.com", "alice"),
        (EXAMPLE, "EXAMPLE\\alice@elsewhere.org", "alice@elsewhere.org"),
        ("ou=ldap,dc=example,dc=com", "alice@example.com", "alice"),
        ("o=acme", "alice@acme", "alice@acme"),
        ("o=acme", "alice@", "alice@"),
    ] {
        assert_eq!(
            of(&[base], name.as_bytes()).as_deref(),
            Ok(expected),
            "{base} {name}"
        );
    }
    for nobody in [
        "@example.com",
        "EXAMPLE\\",
        " @example.com",
        "EXAMPLE\\@example.com",
    ] {
        assert_eq!(
            of(&[EXAMPLE], nobody.as_bytes()),
            Err(BindNameError::OnlyDomain),
            "{nobody}"
        );
    }
    assert_eq!(of(&[EXAMPLE], b"al\xffice"), Err(BindNameError::NotUtf8));
    assert!(of(&[EXAMPLE], &vec![b'a'; MAX_BARE_NAME]).is_ok());
    for nonsense in [
        vec![b'a'; MAX_BARE_NAME + 1],
        b"ali\0ce".to_vec(),
        b"alice\n".to_vec(),
    ] {
        assert!(matches!(
            of(&[EXAMPLE], &nonsense),
            Err(BindNameError::Malformed(_))
        ));
    }
    assert_eq!(
        of(&[EXAMPLE], b"   "),
        Err(BindNameError::NoProvider),
        "the name of the root DSE"
    );
    assert_eq!(
        of(&[EXAMPLE, "dc=other"], b"alice"),
        Err(BindNameError::SeveralProviders)
    );
    assert_eq!(of(&[], b"alice"), Err(BindNameError::NoProvider));
}

fn directory(names: &[&str]) -> Arc<Snapshot> {
    let mut builder = Builder::new();
    for (pk, username) in (1..).zip(names) {
        builder.add_user(&UserRecord {
            pk,
            username,
            uid: username,
            is_active: true,
            ..UserRecord::default()
        });
    }
    Arc::new(builder.finish().unwrap().0)
}

const NAMES: &[&str] = &[
    "alice",
    "my uid",
    "my  uid",
    "Max",
    "MAX",
    "Sales",
    "Sales, x=EMEA",
    "a+uid=b",
    "a",
    "zoë",
    "\"q\"",
    "back\\slash",
    "#1",
    "ſam",
    "a;b",
    "a=b",
    "<x>",
    "a/b",
    "NFC \u{e9}",
    "NFC e\u{301}",
];

/// What authentik is asked for.
fn asked(name: &str, directory: &Arc<Snapshot>) -> Result<String, BindNameError> {
    resolve(&Name::new(name.as_bytes()), &providers(), || {
        Some(Arc::clone(directory))
    })
    .and_then(|name| Ok(name.spelled_by(Some(directory))?.username))
}

#[test]
fn the_name_of_an_entry_means_its_user() {
    let directory = directory(NAMES);
    for (front, expected) in [
        ("cn=ALICE,ou=users,", "alice"),
        ("cn=my  uid,ou=users,", "my  uid"),
        ("cn=my   uid,ou=users,", "my   uid"),
        ("cn=max,ou=users,", "Max"),
        ("cn=MAX , ou = users,", "MAX"),
        ("cn=Sales, x=EMEA,ou=users,", "Sales, x=EMEA"),
        ("cn=Sales, x=APAC,ou=users,", "Sales"),
        ("cn=a+uid=b,ou=users,", "a+uid=b"),
        ("cn=a+uid=c,ou=users,", "a"),
        ("cn=back\\slash,ou=users,", "back\\slash"),
        ("cn=SAM,ou=users,", "ſam"),
        ("uid=ALICE,ou=users,", "ALICE"),
        ("cn=ALICE,", "ALICE"),
        ("cn=ALICE,ou=groups,", "ALICE"),
        ("cn=ALICE,ou=virtual-groups,", "ALICE"),
    ] {
        let name = format!("{front}DC=ldap,DC=goauthentik,DC=io");
        assert_eq!(asked(&name, &directory).as_deref(), Ok(expected), "{name}");
    }
}

#[test]
fn a_plain_name_asks_no_directory() {
    let name = b"cn=ALICE,ou=users,dc=ldap,dc=goauthentik,dc=io";
    let found = resolve(&Name::new(name), &providers(), || panic!("it is plain")).unwrap();
    assert_eq!((found.username.as_str(), found.of_entry), ("ALICE", true));
    resolve(&Name::new(b"alice@example.com"), &providers(), || {
        panic!("it is no DN")
    })
    .unwrap();
}

/// A value written so that it is read as it is: each octet plain, behind a backslash or as its number.
fn written(value: &str, choices: &[u8]) -> String {
    let plain = |character: char| character.is_alphanumeric() || character == '/';
    let mut out = String::new();
    let last = value.chars().count() - 1;
    for (index, character) in value.chars().enumerate() {
        match choices.get(index % choices.len().max(1)) {
            Some(0) if !character.is_ascii() || character.is_ascii_alphanumeric() || character == ' ' => {
                let mut buffer = [0; 4];
                for octet in character.encode_utf8(&mut buffer).bytes() {
                    out += &format!("\\{octet:02x}");
                }
            }
            _ if plain(character) || (character == ' ' && index > 0 && index < last) => out.push(character),
            _ => {
                out.push('\\');
                out.push(character);
            }
        }
    }
    out
}

proptest! {
    /// Checked against RFC 4514 and case folding: however the name of an entry is written.
    #[test]
    fn any_spelling_of_the_name_of_an_entry_means_its_user(
        user in 0..NAMES.len(),
        upper in any::<bool>(),
        choices in prop::collection::vec(0..3_u8, 1..6),
        separators in prop::collection::vec(prop::sample::select(vec![",", ", ", " ,", ";", " ; "]), 4),
        equals in prop::sample::select(vec!["=", " = ", "= ", " ="]),
        cn in prop::sample::select(vec!["cn", "CN", "commonName", "2.5.4.3", "OID.2.5.4.3"]),
        users in prop::sample::select(vec!["users", "Users", "\"USERS\"", "\\75sers"]),
    ) {
        let directory = directory(NAMES);
        let meant = NAMES[user];
        let spelled = if upper { meant.to_ascii_uppercase() } else { meant.to_owned() };
        let fold = |name: &str| name.to_lowercase();
        let expected = NAMES.iter().find(|name| **name == spelled)
            .or_else(|| NAMES.iter().find(|name| fold(name) == fold(&spelled)))
            .unwrap();
        let value = written(&spelled, &choices);
        let [first, second, third, fourth] = separators.as_slice() else { unreachable!() };
        let name = format!("{cn}{equals}{value}{first}ou{equals}{users}{second}dc=LDAP{third}DC{equals}goauthentik{fourth}dc=io");
        prop_assert_eq!(asked(&name, &directory), Ok((*expected).to_owned()), "{}", name);
    }

    /// A search with the same name as its base finds the same user, if it finds one at all.
    #[test]
    fn a_bind_means_whom_a_search_finds(front in "(cn=|CN = |uid=)?[aAmMxX ,;=+\\\\\"]{0,8}(,ou=users)?") {
        let directory = directory(&["a", "A", "m x", "m  x", "a, x=m", "a+x", "x\\a", "MX"]);
        let name = format!("{front},DC=ldap,DC=goauthentik,DC=io");
        let providers = providers();
        let tree = providers.iter().next().unwrap().tree();
        if let Some(user) = tree.user_named(&directory, &Name::new(name.as_bytes())).unwrap() {
            let expected = directory.user(user).unwrap().username.to_owned();
            prop_assert_eq!(asked(&name, &directory), Ok(expected), "{}", name);
        }
    }
}
