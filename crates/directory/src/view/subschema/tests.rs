use std::collections::HashSet;

use super::*;
use crate::schema;

/// Attributes an admin made up.
const CUSTOM: &[&str] = &[
    "goauthentikio-user-debug",
    "shoesize",
    "nextcloud_quota",
    "2fa",
    "-x",
];

/// Classes an admin added, in the order of their legal names.
const CLASSES: &[&str] = &["it's", "ldapPublicKey", "my.class", "my/class", "next_cloud"];

fn beyond() -> Beyond {
    Beyond {
        custom: CUSTOM.iter().map(|name| (*name).to_owned()).collect(),
        syntaxes: Vec::new(),
        several: Vec::new(),
        classes: CLASSES.iter().map(|name| AddedClass::new(name)).collect(),
        known: vec!["department"],
    }
}

/// A token of a schema definition.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Dollar,
    Quoted(String),
    Word(String),
}

/// Splits a definition by the grammar of RFC 4512 section 4.1; spaces must be where it has SP or WSP.
fn tokens(definition: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = definition;
    while !rest.is_empty() {
        let (token, length) = if let Some(quoted) = rest.strip_prefix('\'') {
            let end = quoted.find('\'').expect("an unclosed quote");
            (Token::Quoted(quoted[..end].to_owned()), end + 2)
        } else {
            let end = rest.find(' ').unwrap_or(rest.len());
            let token = match &rest[..end] {
                "(" => Token::Open,
                ")" => Token::Close,
                "$" => Token::Dollar,
                word => Token::Word(word.to_owned()),
            };
            (token, end)
        };
        tokens.push(token);
        rest = &rest[length..];
        if !rest.is_empty() {
            rest = rest.strip_prefix(' ').expect("no space between tokens");
            assert!(!rest.starts_with(' '), "two spaces: {definition}");
        }
    }
    tokens
}

/// A parsed definition: its OID and its fields in order.
#[derive(Debug)]
struct Definition {
    oid: String,
    fields: Vec<(String, Vec<String>)>,
}

impl Definition {
    /// Reads a definition whose keywords must come from `keywords` and in their order.
    fn parse(text: &str, keywords: &[(&str, Shape)]) -> Self {
        let tokens = tokens(text);
        let mut tokens = tokens.iter().cloned().peekable();
        assert_eq!(tokens.next(), Some(Token::Open), "{text}");
        let Some(Token::Word(oid)) = tokens.next() else {
            panic!("no OID: {text}")
        };
        assert!(is_numeric_oid(&oid), "{text}");
        let mut fields = Vec::new();
        for (keyword, shape) in keywords {
            if tokens.peek() != Some(&Token::Word((*keyword).to_owned())) {
                continue;
            }
            tokens.next();
            let values = match shape {
                Shape::Flag => Vec::new(),
                Shape::Quoted => vec![quoted(tokens.next())],
                Shape::QuotedList => list(&mut tokens, None, quoted),
                Shape::Oid => vec![word(tokens.next())],
                Shape::OidList => list(&mut tokens, Some(Token::Dollar), word),
            };
            fields.push(((*keyword).to_owned(), values));
        }
        assert_eq!(tokens.next(), Some(Token::Close), "{text}");
        assert_eq!(tokens.next(), None, "{text}");
        Self { oid, fields }
    }

    fn field(&self, keyword: &str) -> &[String] {
        self.fields
            .iter()
            .find(|(name, _)| name == keyword)
            .map_or(&[], |(_, values)| values)
    }
}

#[derive(Clone, Copy)]
enum Shape {
    Flag,
    Quoted,
    QuotedList,
    Oid,
    OidList,
}

fn list(
    tokens: &mut std::iter::Peekable<impl Iterator<Item = Token>>,
    separator: Option<Token>,
    item: fn(Option<Token>) -> String,
) -> Vec<String> {
    if tokens.peek() != Some(&Token::Open) {
        return vec![item(tokens.next())];
    }
    tokens.next();
    let mut items = vec![item(tokens.next())];
    while tokens.peek() != Some(&Token::Close) {
        if separator.is_some() {
            assert_eq!(tokens.next(), separator);
        }
        items.push(item(tokens.next()));
    }
    tokens.next();
    items
}

fn quoted(token: Option<Token>) -> String {
    match token {
        Some(Token::Quoted(text)) => text,
        other => panic!("{other:?} instead of a quoted string"),
    }
}

fn word(token: Option<Token>) -> String {
    match token {
        Some(Token::Word(text)) => {
            assert!(is_numeric_oid(&text) || is_descriptor(&text), "{text}");
            text
        }
        other => panic!("{other:?} instead of an OID"),
    }
}

fn is_numeric_oid(text: &str) -> bool {
    text.contains('.')
        && text.split('.').all(|number| {
            !number.is_empty()
                && number.bytes().all(|octet| octet.is_ascii_digit())
                && (number == "0" || !number.starts_with('0'))
        })
}

fn is_descriptor(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

fn definitions(attribute: &str, keywords: &[(&str, Shape)]) -> Vec<Definition> {
    let (_, values) = attributes(&beyond(), None)
        .into_iter()
        .find(|(name, _)| *name == attribute)
        .unwrap();
    values
        .iter()
        .map(|text| Definition::parse(text, keywords))
        .collect()
}

/// Names and OIDs of definitions, as references may use them.
fn known(definitions: &[Definition]) -> HashSet<String> {
    definitions
        .iter()
        .flat_map(|definition| definition.field("NAME").iter().chain([&definition.oid]))
        .cloned()
        .collect()
}

fn syntaxes() -> HashSet<String> {
    known(&definitions("ldapSyntaxes", &[("DESC", Shape::Quoted)]))
}

fn rules() -> Vec<Definition> {
    definitions(
        "matchingRules",
        &[("NAME", Shape::QuotedList), ("SYNTAX", Shape::Oid)],
    )
}

fn types() -> Vec<Definition> {
    definitions(
        "attributeTypes",
        &[
            ("NAME", Shape::QuotedList),
            ("EQUALITY", Shape::Oid),
            ("ORDERING", Shape::Oid),
            ("SUBSTR", Shape::Oid),
            ("SYNTAX", Shape::Oid),
            ("SINGLE-VALUE", Shape::Flag),
            ("NO-USER-MODIFICATION", Shape::Flag),
            ("USAGE", Shape::Oid),
        ],
    )
}

fn classes() -> Vec<Definition> {
    definitions(
        "objectClasses",
        &[
            ("NAME", Shape::QuotedList),
            ("DESC", Shape::Quoted),
            ("SUP", Shape::OidList),
            ("ABSTRACT", Shape::Flag),
            ("STRUCTURAL", Shape::Flag),
            ("AUXILIARY", Shape::Flag),
            ("MUST", Shape::OidList),
            ("MAY", Shape::OidList),
            ("X-NAMED", Shape::QuotedList),
            ("X-SERVED", Shape::Quoted),
        ],
    )
}

fn contents() -> Vec<Definition> {
    definitions(
        "dITContentRules",
        &[
            ("NAME", Shape::QuotedList),
            ("AUX", Shape::OidList),
            ("MAY", Shape::OidList),
        ],
    )
}

#[test]
fn every_definition_is_strict_and_refers_to_declared_things_only() {
    let (syntaxes, rules, types, classes) = (syntaxes(), rules(), types(), classes());
    for rule in &rules {
        assert!(syntaxes.contains(&rule.field("SYNTAX")[0]), "{rule:?}");
    }
    let rule_names = known(&rules);
    for attribute in &types {
        assert!(syntaxes.contains(&attribute.field("SYNTAX")[0]), "{attribute:?}");
        for keyword in ["EQUALITY", "ORDERING", "SUBSTR"] {
            for rule in attribute.field(keyword) {
                assert!(rule_names.contains(rule), "{attribute:?}");
            }
        }
        let has = |keyword: &str| attribute.fields.iter().any(|(name, _)| name == keyword);
        assert!(!has("NO-USER-MODIFICATION") || has("USAGE"), "{attribute:?}");
    }
    let (type_names, class_names) = (known(&types), known(&classes));
    for class in &classes {
        for superior in class.field("SUP") {
            assert!(class_names.contains(superior), "{class:?}");
        }
        for keyword in ["MUST", "MAY"] {
            let attributes = class.field(keyword);
            assert!(
                attributes.iter().all(|name| type_names.contains(name)),
                "{class:?}"
            );
            let distinct: HashSet<_> = attributes.iter().collect();
            assert_eq!(distinct.len(), attributes.len(), "{class:?}");
        }
    }
    let uses = definitions(
        "matchingRuleUse",
        &[("NAME", Shape::QuotedList), ("APPLIES", Shape::OidList)],
    );
    for rule_use in &uses {
        assert!(rule_names.contains(&rule_use.oid));
        assert!(
            rule_use
                .field("APPLIES")
                .iter()
                .all(|name| type_names.contains(name))
        );
    }
    for rule in &contents() {
        assert!(class_names.contains(&rule.oid));
        assert!(rule.field("MAY").iter().all(|name| type_names.contains(name)));
        assert!(rule.field("AUX").iter().all(|name| class_names.contains(name)));
    }
}

#[test]
fn names_are_descriptors_but_for_what_admins_chose() {
    let odd: Vec<String> = rules()
        .iter()
        .chain(&types())
        .chain(&classes())
        .flat_map(|definition| definition.field("NAME").to_vec())
        .filter(|name| !is_descriptor(name))
        .collect();
    assert_eq!(odd, ["nextcloud_quota", "2fa", "-x", "next_cloud"]);
}

#[test]
fn authentiks_classes_have_a_descriptor_that_declares_and_finds_them() {
    let class = schema::object_class(b"goauthentik.io/ldap/virtual-group").unwrap();
    assert_eq!(class.descriptor(), "goauthentik-io-ldap-virtual-group");
    for class in OBJECT_CLASSES {
        let by_descriptor = schema::object_class(class.descriptor().as_bytes()).unwrap();
        assert_eq!(by_descriptor.name, class.name);
        assert!(is_descriptor(&class.descriptor()), "{}", class.name);
    }
}

/// What a parser of RFC 4512 knows about classes that are served under a name that is not a descriptor: a class with a
/// descriptor, and one without a name, below it, which says what is served.
#[test]
fn classes_are_declared_under_descriptors_and_tell_what_is_served() {
    let classes = classes();
    let own = [
        ("goauthentik-io-ldap-user", "goauthentik.io/ldap/user"),
        ("goauthentik-io-ldap-group", "goauthentik.io/ldap/group"),
        (
            "goauthentik-io-ldap-virtual-group",
            "goauthentik.io/ldap/virtual-group",
        ),
    ];
    for (name, served) in own {
        let named = classes
            .iter()
            .find(|class| class.field("NAME") == [name])
            .unwrap();
        assert_eq!(named.field("DESC"), [format!("served as {served}")]);
        let oid = schema::object_class(served.as_bytes()).unwrap().oid;
        assert_eq!(named.oid, oid);
    }
    let added = [
        ("it-s", "it\\27s"),
        ("my-class", "my.class"),
        ("my-class", "my/class"),
    ];
    for (name, served) in own.into_iter().chain(added) {
        let named: Vec<_> = classes
            .iter()
            .filter(|class| class.field("NAME") == [name])
            .collect();
        assert_eq!(named.len(), 1, "{name}");
        let telling = format!("with the NAME {served}");
        let nameless = classes
            .iter()
            .find(|class| class.field("X-SERVED") == [telling.as_str()])
            .unwrap();
        assert!(nameless.field("NAME").is_empty());
        assert_eq!(nameless.field("X-NAMED"), ["NAME", served]);
        assert_eq!(nameless.field("SUP"), [name]);
    }
    let nameless = classes.iter().filter(|class| class.field("NAME").is_empty());
    assert_eq!(nameless.count(), 6);
    let oids: HashSet<_> = classes.iter().map(|class| &class.oid).collect();
    assert_eq!(oids.len(), classes.len());
}

/// RFC 4512 section 4.1.6: attributes beyond those of the classes.
#[test]
fn content_rules_allow_what_admins_gave_to_entries() {
    let may = |name: &str| {
        let rule = contents().into_iter().find(|rule| rule.field("NAME") == [name]);
        rule.unwrap().field("MAY").to_vec()
    };
    for class in ["inetOrgPerson", "groupOfNames"] {
        assert!(may(class).contains(&"shoesize".to_owned()), "{class}");
        assert!(may(class).contains(&"ak-superuser".to_owned()), "{class}");
    }
    // Which organizationalPerson allows.
    assert!(!may("inetOrgPerson").contains(&"department".to_owned()));
    assert!(may("groupOfNames").contains(&"department".to_owned()));
    assert!(may("domain").is_empty());
}

/// RFC 4512 section 4.1.4: all attributes that the rule can be used with.
#[test]
fn the_uses_of_matching_rules_are_complete() {
    let uses = definitions(
        "matchingRuleUse",
        &[("NAME", Shape::QuotedList), ("APPLIES", Shape::OidList)],
    );
    let types = types();
    let known = ATTRIBUTE_TYPES.iter().map(|attribute| attribute.syntax);
    let syntaxes: Vec<Syntax> = known
        .chain(CUSTOM.iter().map(|_| Syntax::DirectoryString))
        .collect();
    assert_eq!(syntaxes.len(), types.len());
    for rule in MATCHING_RULES {
        let expected: HashSet<&str> = types
            .iter()
            .zip(&syntaxes)
            .filter(|(_, syntax)| rule.applies_to(**syntax))
            .map(|(definition, _)| match &definition.field("NAME")[0] {
                name if is_descriptor(name) => name.as_str(),
                _ => definition.oid.as_str(),
            })
            .collect();
        let found = uses.iter().find(|rule_use| rule_use.oid == rule.oid);
        let applies: HashSet<&str> = found
            .map(|rule_use| rule_use.field("APPLIES").iter().map(String::as_str).collect())
            .unwrap_or_default();
        assert_eq!(applies, expected, "{}", rule.name);
    }
    // Each attribute is under the rules it names itself.
    for definition in &types {
        let name = &definition.field("NAME")[0];
        for keyword in ["EQUALITY", "ORDERING", "SUBSTR"] {
            for rule in definition.field(keyword) {
                let rule_use = uses.iter().find(|rule_use| rule_use.field("NAME")[0] == *rule);
                let applies = rule_use.unwrap().field("APPLIES");
                assert!(
                    applies.contains(name) || applies.contains(&definition.oid),
                    "{rule} {name}"
                );
            }
        }
    }
}

/// RFC 4512 section 4.1.6: a content rule is one of a structural class, and lists auxiliary ones.
#[test]
fn content_rules_are_those_of_structural_classes() {
    let contents = contents();
    let added: HashSet<String> = known(&classes());
    let kind = |oid: &str| match schema::object_class(oid.as_bytes()) {
        Some(class) => class.kind,
        None if added.contains(oid) => ClassKind::Auxiliary,
        None => panic!("{oid}"),
    };
    assert!(contents.len() > 3);
    for rule in &contents {
        assert_eq!(kind(&rule.oid), ClassKind::Structural, "{rule:?}");
        for class in rule.field("AUX") {
            assert_eq!(kind(class), ClassKind::Auxiliary, "{rule:?}");
        }
    }
}

#[test]
fn what_has_several_values_is_declared_so() {
    let single = |beyond: &Beyond, name: &str| {
        let entry = attributes(beyond, None);
        let (_, types) = entry.iter().find(|(name, _)| *name == "attributeTypes").unwrap();
        let start = format!("NAME '{name}'");
        let definition = types
            .iter()
            .find(|text| text.contains(&start) || text.contains(&format!("NAME ( '{name}'")))
            .unwrap();
        definition.contains(" SINGLE-VALUE")
    };
    let ours = Beyond::default();
    for name in ["cn", "mail", "uidNumber", "entryUUID", "modifyTimestamp"] {
        assert!(single(&ours, name), "{name}");
    }
    for name in [
        "mobile",
        "telephoneNumber",
        "pager",
        "l",
        "title",
        "givenName",
        "department",
    ] {
        assert!(!single(&ours, name), "{name}");
    }
    let several = Beyond {
        several: vec!["mail"],
        ..Beyond::default()
    };
    assert!(!single(&several, "mail"));
    assert!(single(&several, "cn"));
}

#[test]
fn the_time_of_a_change_is_shown_and_none_lies_before_our_own_schema() {
    let modified = |changed| {
        let entry = attributes(&beyond(), changed);
        let (_, values) = entry
            .into_iter()
            .find(|(name, _)| *name == "modifyTimestamp")
            .unwrap();
        values
    };
    assert_eq!(modified(None), [SUBSCHEMA_TIMESTAMP]);
    assert_eq!(modified(Some(1)), [SUBSCHEMA_TIMESTAMP]);
    assert_eq!(modified(Some(1_893_456_000)), ["20300101000000Z"]);
}

#[test]
fn the_definitions_say_what_the_schema_says() {
    let types = types();
    assert_eq!(types.len(), ATTRIBUTE_TYPES.len() + CUSTOM.len());
    for (definition, attribute) in types.iter().zip(ATTRIBUTE_TYPES) {
        assert_eq!(definition.oid, attribute.oid);
        assert_eq!(definition.field("NAME")[0], attribute.name);
        assert_eq!(&definition.field("NAME")[1..], attribute.names);
        assert_eq!(definition.field("SYNTAX"), [attribute.syntax.oid()]);
        let single = definition.fields.iter().any(|(name, _)| name == "SINGLE-VALUE");
        assert_eq!(single, attribute.single_value);
    }
    let classes = classes();
    let named = classes
        .iter()
        .filter(|definition| !definition.field("NAME").is_empty());
    for (definition, class) in named.zip(OBJECT_CLASSES) {
        assert_eq!(definition.oid, class.oid);
        assert_eq!(definition.field("MUST"), class.must);
        assert_eq!(definition.field("MAY"), class.may);
    }
}

#[test]
fn the_entry_declares_its_own_attributes() {
    for (name, values) in attributes(&beyond(), None) {
        let attribute = schema::attribute_type(name.as_bytes()).unwrap();
        assert_eq!(attribute.name, name);
        assert!(!values.is_empty());
        assert!(values.len() == 1 || !attribute.single_value, "{name}");
    }
}

#[test]
fn an_entry_has_one_chain_of_structural_classes() {
    for entry in [
        &[
            "top",
            "person",
            "organizationalPerson",
            "inetOrgPerson",
            "user",
            "posixAccount",
            "goauthentik.io/ldap/user",
        ][..],
        &[
            "group",
            "groupOfUniqueNames",
            "groupOfNames",
            "goauthentik.io/ldap/group",
            "goauthentik.io/ldap/virtual-group",
            "posixGroup",
        ],
        &["top", "nsContainer", "organizationalUnit"],
        &["top", "domain"],
        &["top", "subSchema"],
    ] {
        let structural: Vec<_> = entry
            .iter()
            .map(|name| schema::object_class(name.as_bytes()).unwrap())
            .filter(|class| class.kind == ClassKind::Structural)
            .collect();
        let leaves = structural
            .iter()
            .filter(|class| !structural.iter().any(|other| other.superior == Some(class.name)))
            .count();
        assert_eq!(leaves, 1, "{entry:?}");
    }
}

/// Clients cache the schema until its timestamp changes, so a change of the definitions has to move it.
#[test]
fn a_change_of_the_definitions_moves_the_timestamp() {
    // FNV-1a over the definitions; after changing them, set a new timestamp and take the new number from the failure.
    let mut digest = 0xcbf2_9ce4_8422_2325u64;
    for (name, values) in attributes(&Beyond::default(), None) {
        for octet in values.iter().flat_map(|value| value.bytes()).chain(name.bytes()) {
            digest = (digest ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    assert_eq!(
        (SUBSCHEMA_TIMESTAMP, digest),
        ("20261129230000Z", 14_200_050_521_032_268_271)
    );
}
