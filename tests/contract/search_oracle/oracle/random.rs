//! Random directories and requests from one number, so that a failure can be repeated.

use akldap_directory::schema::{self, Syntax};
use akldap_ldap::dn::{self, Dn};
use akldap_ldap::text;
use akldap_testing::contract::{self, ContractEntry, Directory, Group, Json, User};

use super::Named;
use super::evaluation::{Assertion, Query};

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Names as people and machines give them, and some to trip over.
const NAMES: &[&str] = &[
    "alice",
    "Alice",
    "bob",
    "zoë",
    "ZOË",
    "Sales, EMEA",
    "a+b",
    "a=b",
    "a\"q\"",
    "back\\slash",
    "<angle>",
    "#hash",
    " lead",
    "trail ",
    "two  spaces",
    "semi;colon",
    "o'brien",
    "50%s",
    "*",
    "(x)",
    "日本",
    "straße",
    "STRASSE",
    "ak-outpost-1",
    "user@example.com",
    "0",
    "-1",
    "true",
    "users",
    "groups",
];

const CUSTOM_KEYS: &[&str] = &[
    "extraAttribute",
    "extra/attr",
    "extra.attr",
    "goauthentik.io/user/sources",
    "uidNumber",
    "gidNumber",
    "UIDNUMBER",
    "homeDirectory",
    "loginShell",
    "mail",
    "Mail",
    "cn",
    "sn",
    "displayName",
    "memberOf",
    "member",
    "objectClass",
    "ak-active",
    "entryUUID",
    "memberUid",
    "userPassword",
    "givenName",
    "telephoneNumber",
    "title",
    "with space",
    "straße",
    "under_score",
    "description",
    "employeeNumber",
    "manager",
    "seeAlso",
];

/// Where accounts are filed: one path inside another, one that only begins like another, some that differ in case or in what is blank, and
/// names that are escaped in a DN.
const PATHS: &[&str] = &[
    "users",
    "",
    "users/staff",
    "users/STAFF/emea",
    "Users/staff",
    "staff//emea/ /Zürich",
    "users/users",
    "users/R&D, all/#1",
    "users/ lead/a=b",
    "users/staff/emea",
    "users/staffing",
    "goauthentik.io/outposts",
];

const TYPES: &[&str] = &[
    "internal",
    "internal",
    "external",
    "service_account",
    "internal_service_account",
];

const TEXTS: &[&str] = &[
    "bar",
    "Bar",
    "  bar ",
    "x",
    "+49 30-123",
    "+4930123",
    "/home/%s",
    "100%",
    "2500",
    "02500",
    "-7",
    "99999999999999999999",
    "TRUE",
    "false",
    "20240101000000Z",
    "20240101010000+0100",
    "ä",
    "A\u{308}",
    "a*b",
    "(paren)",
    "top",
    "group",
    "cn=bob,ou=groups,dc=example",
    "user",
    "abc def",
    "abc",
    "two words",
    "CN=A,,B",
    "nonsense",
    "",
];

fn name(random: &mut Random, number: usize) -> String {
    if random.chance(75) {
        (*random.pick(NAMES)).to_owned()
    } else {
        format!("name{number}")
    }
}

fn json(random: &mut Random, depth: usize) -> Json {
    match random.below(if depth == 0 { 9 } else { 6 }) {
        0 => Json::Null,
        1 => Json::Bool(random.chance(50)),
        2 => {
            Json::Number((*random.pick(&["2500", "-3", "0", "18446744073709551615", "1.5", "7"])).to_owned())
        }
        3..=5 => Json::Text((*random.pick(TEXTS)).to_owned()),
        6 | 7 => Json::List((0..random.below(4)).map(|_| json(random, depth + 1)).collect()),
        _ => Json::Object(vec![("key".to_owned(), json(random, depth + 1))]),
    }
}

fn customs(random: &mut Random) -> Vec<(String, Json)> {
    let mut customs: Vec<(String, Json)> = Vec::new();
    for _ in 0..random.below(5) {
        let key = *random.pick(CUSTOM_KEYS);
        let plain = contract::sanitize(key);
        if customs
            .iter()
            .all(|(other, _)| !contract::sanitize(other).eq_ignore_ascii_case(&plain))
        {
            customs.push((key.to_owned(), json(random, 0)));
        }
    }
    customs
}

fn timestamp(random: &mut Random) -> String {
    match random.below(4) {
        0 => String::new(),
        1 => "2024-01-01T01:00:00+01:00".to_owned(),
        _ => format!(
            "2024-0{}-01T00:00:00.{:06}Z",
            1 + random.below(9),
            random.below(1_000_000)
        ),
    }
}

fn uuid(random: &mut Random) -> String {
    let (high, low) = (random.next(), random.next());
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

/// Whether two entries differ only in the spelling of their names, so that other spellings name both.
pub(crate) fn has_twins(entries: &[ContractEntry]) -> bool {
    let normal = |entry: &ContractEntry| Dn::parse(entry.dn.as_bytes()).unwrap().normal_form();
    let mut names: Vec<_> = entries.iter().map(normal).collect();
    names.sort();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

/// A directory of this many users and groups. Users' names are unique, as in authentik; names that differ only in
/// case are not the same, and occur if `twins`.
pub(crate) fn directory(random: &mut Random, users: usize, groups: usize, twins: bool) -> Directory {
    let same = |one: &str, other: &str| {
        one == other || (!twins && text::fold(one.as_bytes()) == text::fold(other.as_bytes()))
    };
    let mut directory = Directory::default();
    for number in 0..users {
        let username = name(random, number);
        if directory.users.iter().any(|user| same(&user.username, &username)) {
            continue;
        }
        directory.users.push(User {
            pk: 1 + number as i64 * 3,
            uuid: uuid(random),
            uid: format!("{:016x}{:016x}", random.next(), random.next()),
            username,
            name: if random.chance(20) {
                String::new()
            } else {
                name(random, number)
            },
            email: if random.chance(30) {
                String::new()
            } else {
                format!("Mail{number}@Example.com")
            },
            is_active: random.chance(80),
            is_superuser: random.chance(20),
            path: (*random.pick(PATHS)).to_owned(),
            kind: (*random.pick(TYPES)).to_owned(),
            attributes: customs(random),
            password_change_date: timestamp(random),
            date_joined: timestamp(random),
            last_updated: timestamp(random),
        });
    }
    for number in 0..groups {
        let name = name(random, number);
        if directory.groups.iter().any(|group| same(&group.name, &name)) {
            continue;
        }
        let parents = directory
            .groups
            .iter()
            .filter(|_| random.chance(25))
            .map(|group| group.uuid.clone())
            .collect();
        let users = directory
            .users
            .iter()
            .filter(|_| random.chance(40))
            .map(|user| user.pk)
            .collect();
        directory.groups.push(Group {
            uuid: uuid(random),
            num_pk: 10_000 + number as i64,
            name,
            is_superuser: random.chance(20),
            parents,
            users,
            attributes: customs(random),
        });
    }
    directory
}

const ATTRIBUTES: &[&str] = &[
    "cn",
    "CN",
    "commonName",
    "2.5.4.3",
    "sn",
    "uid",
    "mail",
    "rfc822Mailbox",
    "objectClass",
    "memberOf",
    "member",
    "uidNumber",
    "gidNumber",
    "displayName",
    "sAMAccountName",
    "ak-active",
    "ak-superuser",
    "createTimestamp",
    "modifyTimestamp",
    "pwdChangedTime",
    "extraAttribute",
    "extra-attr",
    "homeDirectory",
    "telephoneNumber",
    "title",
    "noSuchAttribute",
    "name",
    "description",
    "employeeNumber",
    "givenName",
    "ou",
    "with space",
    "straße",
    "memberUid",
    "userPassword",
    "above",
    "gecos",
    "loginShell",
];

const CLASSES: &[&str] = &[
    "top",
    "person",
    "user",
    "inetOrgPerson",
    "group",
    "groupOfNames",
    "groupOfUniqueNames",
    "posixGroup",
    "posixAccount",
    "goauthentik.io/ldap/user",
    "goauthentik.io/ldap/group",
    "goauthentik.io/ldap/virtual-group",
    "nsContainer",
    "2.5.6.6",
    "USER",
    "domain",
    "bar",
    "device",
];

/// A value that often occurs: one of the directory's own, perhaps in other case, or one of the odd ones.
fn value(random: &mut Random, entries: &[ContractEntry], attribute: &str) -> Vec<u8> {
    if attribute.eq_ignore_ascii_case("objectClass") && random.chance(85) {
        return random.pick(CLASSES).as_bytes().to_vec();
    }
    let mut value = Vec::new();
    if random.chance(75) {
        let values: Vec<&Vec<u8>> = entries.iter().flat_map(|entry| entry.values(attribute)).collect();
        if !values.is_empty() {
            value = random.pick(&values).to_vec();
        }
    } else {
        value = random.pick(TEXTS).as_bytes().to_vec();
    }
    if random.chance(25) {
        value = String::from_utf8_lossy(&value).to_uppercase().into_bytes();
    }
    value
}

/// Values that do not belong to one syntax or another.
const ODD_VALUES: &[&[u8]] = &[
    b"",
    b"abc",
    b"1.5",
    b"0x10",
    b"two words",
    b"maybe",
    b"nonsense",
    b"cn=a,,b",
    b"=x",
    b"20241301000000Z",
    b"yesterday",
    b"deadbeef",
    b"\xff\xfe",
    b"zo\xeb",
];

/// Attributes of syntaxes that know only some octets, and some that know nearly all.
const STRICT_ATTRIBUTES: &[&str] = &[
    "uidNumber",
    "gidNumber",
    "numSubordinates",
    "memberOf",
    "member",
    "uniqueMember",
    "manager",
    "seeAlso",
    "createTimestamp",
    "modifyTimestamp",
    "entryUUID",
    "ak-active",
    "ak-superuser",
    "objectClass",
    "cn",
    "mail",
    "telephoneNumber",
    "noSuchAttribute",
    "jpegPhoto",
];

/// An assertion of a value that the syntax of its attribute or of its rule often does not know.
fn odd(random: &mut Random) -> Query {
    let attribute = (*random.pick(STRICT_ATTRIBUTES)).to_owned();
    let syntax = schema::syntax_of(attribute.as_bytes());
    let mut value = random.pick(ODD_VALUES).to_vec();
    // The same in another spelling; what an entry may have is still compared as text.
    if random.chance(20) {
        value = value.to_ascii_uppercase();
    }
    let assertion = Assertion {
        attribute: attribute.clone(),
        value: value.clone(),
    };
    let by_rule = |rule: &str, dn_attributes| Query::Extensible {
        rule: Some(rule.to_owned()),
        attribute: Some(attribute.clone()),
        value: value.clone(),
        dn_attributes,
    };
    match random.below(10) {
        0 => Query::GreaterOrEqual(assertion),
        1 => Query::LessOrEqual(assertion),
        2 => Query::Approx(assertion),
        3 => Query::Substrings {
            attribute: "title".to_owned(),
            initial: random
                .chance(50)
                .then(|| value.clone())
                .filter(|value| !value.is_empty()),
            any: vec![b"\xff".to_vec()],
            last: None,
        },
        4 => by_rule(syntax.rules().0, random.chance(50)),
        5 if matches!(syntax, Syntax::DistinguishedName | Syntax::NameAndOptionalUid) => {
            by_rule("1.2.840.113556.1.4.1941", false)
        }
        6 => by_rule("1.2.840.113556.1.4.803", false),
        7 => {
            let rule = *random.pick(&["integerMatch", "booleanMatch", "uuidMatch"]);
            by_rule(rule, random.chance(50))
        }
        _ => Query::Equality(assertion),
    }
}

fn assertion(random: &mut Random, entries: &[ContractEntry]) -> Assertion {
    let mut attribute = (*random.pick(ATTRIBUTES)).to_owned();
    while schema::syntax_of(attribute.as_bytes()) == Syntax::DistinguishedName && has_twins(entries) {
        attribute = (*random.pick(ATTRIBUTES)).to_owned();
    }
    let value = value(random, entries, &attribute);
    Assertion { attribute, value }
}

/// Some octets of a value, cut at character boundaries; never empty.
fn piece(random: &mut Random, value: &[u8]) -> Vec<u8> {
    let text: Vec<char> = String::from_utf8_lossy(value).chars().collect();
    let start = random.below(text.len());
    let piece: String = text.iter().skip(start).take(1 + random.below(4)).collect();
    if piece.is_empty() {
        b"a".to_vec()
    } else {
        piece.into_bytes()
    }
}

/// A random filter, at most `depth` levels deep.
pub(crate) fn query(random: &mut Random, entries: &[ContractEntry], depth: usize) -> Query {
    let several = |random: &mut Random| {
        (0..random.below(4))
            .map(|_| query(random, entries, depth - 1))
            .collect::<Vec<_>>()
    };
    if random.chance(15) {
        let odd = odd(random);
        return match random.chance(30) {
            true => Query::Not(Box::new(odd)),
            false => odd,
        };
    }
    match random.below(if depth > 0 { 14 } else { 9 }) {
        0 => Query::Present((*random.pick(ATTRIBUTES)).to_owned()),
        1 => Query::GreaterOrEqual(assertion(random, entries)),
        2 => Query::LessOrEqual(assertion(random, entries)),
        3 => Query::Approx(assertion(random, entries)),
        4 | 5 => {
            let Assertion { attribute, value } = assertion(random, entries);
            let initial = random.chance(50).then(|| piece(random, &value));
            let any = (0..random.below(3))
                .map(|_| piece(random, &value))
                .collect::<Vec<_>>();
            let last =
                (random.chance(40) || (initial.is_none() && any.is_empty())).then(|| piece(random, &value));
            Query::Substrings {
                attribute,
                initial,
                any,
                last,
            }
        }
        6 => extensible(random, entries),
        7 | 8 => Query::Equality(assertion(random, entries)),
        9 | 10 => Query::And(several(random)),
        11 | 12 => Query::Or(several(random)),
        _ => Query::Not(Box::new(query(random, entries, depth - 1))),
    }
}

fn extensible(random: &mut Random, entries: &[ContractEntry]) -> Query {
    let Assertion { attribute, value } = assertion(random, entries);
    let (rule, attribute, value) = match random.below(6) {
        0 => (
            Some("1.2.840.113556.1.4.803"),
            Some("uidNumber".to_owned()),
            b"3".to_vec(),
        ),
        1 => (
            Some("1.2.840.113556.1.4.804"),
            Some("gidNumber".to_owned()),
            b"5".to_vec(),
        ),
        2 => (Some("caseExactMatch"), Some(attribute), value),
        3 => (Some("2.5.13.2"), Some(attribute), value),
        4 => (Some("1.2.3.4"), Some(attribute), value),
        _ => (None, Some(attribute), value),
    };
    Query::Extensible {
        rule: rule.map(str::to_owned),
        attribute,
        value,
        dn_attributes: random.chance(25),
    }
}

/// Membership in chain, usually for a random entry's name, or that it is none.
pub(crate) fn in_chain(random: &mut Random, entries: &[ContractEntry]) -> Query {
    let attribute = *random.pick(&["memberOf", "member"]);
    let value = match random.chance(10) {
        true => b"cn=a,,b".to_vec(),
        false => random.pick(entries).dn.clone().into_bytes(),
    };
    let query = Query::Extensible {
        rule: Some("1.2.840.113556.1.4.1941".to_owned()),
        attribute: Some(attribute.to_owned()),
        value,
        dn_attributes: false,
    };
    match random.chance(20) {
        true => Query::Not(Box::new(query)),
        false => query,
    }
}

/// A base: usually an entry's name, in the client's own spelling.
pub(crate) fn base(random: &mut Random, entries: &[ContractEntry], base_dn: &str) -> String {
    let kind = if has_twins(entries) {
        random.below(4)
    } else {
        random.below(8)
    };
    match kind {
        0 => format!("cn=nobody,ou=users,{base_dn}"),
        1 => format!("ou=users,{base_dn}").to_uppercase(),
        2 => format!("ou = groups , {base_dn}"),
        3 => format!("ou=virtual-groups,{base_dn}"),
        4 => {
            let entry = random.pick(entries);
            match entry.dn.split_once('=') {
                Some((_, rest)) => format!("2.5.4.3={rest}"),
                None => entry.dn.clone(),
            }
        }
        5 => random.pick(entries).dn.clone(),
        6 => {
            let name = String::from_utf8(dn::escape(random.pick(NAMES).as_bytes())).unwrap();
            format!("cn={name},ou=users,{base_dn}")
        }
        _ => base_dn.to_owned(),
    }
}

/// A list of attributes to ask for.
pub(crate) fn selection(random: &mut Random) -> Vec<String> {
    const SELECTIONS: &[&str] = &[
        "*",
        "+",
        "1.1",
        "",
        "cn",
        "CN",
        "commonName",
        "2.5.4.3",
        "mail",
        "memberOf",
        "member",
        "uid,cn,sn",
        "extraAttribute",
        "uidNumber",
        "objectClass",
        "noSuchAttribute",
        "uniqueMember",
        "memberUid",
        "entryUUID",
        "cn;lang-en",
        "createTimestamp",
        "above",
        "title,gecos",
    ];
    (0..random.below(4))
        .map(|_| (*random.pick(SELECTIONS)).to_owned())
        .collect()
}
