//! The subschema entry `cn=subschema`: the schema in the form of RFC 4512 section 4.1.
//!
//! Knows how definitions are written. The names of authentik's three object classes are not RFC 4512 descriptors, and strict
//! parsers (Apache's LDAP API) refuse a schema with such a name, so these classes are declared under their descriptors.
//! Clients that look up the classes of an entry (phpLDAPadmin) or of a filter (ldap3) want them as they are served: a second
//! definition, without a name, says so in extensions, which those read. Names of custom attributes and of added classes may
//! contain `_` or begin with a digit or a hyphen, which no parser we know refuses; definitions that refer to such a name
//! give its OID.

use uuid::Uuid;

use crate::custom::legal_name;
use crate::schema::{
    ATTRIBUTE_TYPES, AttributeType, ClassKind, LDAP_SYNTAXES, MATCHING_RULES, MatchingRule, OBJECT_CLASSES,
    ObjectClass, Syntax, Usage, object_class,
};
use crate::values::timestamp;

/// The name of the subschema entry.
pub const SUBSCHEMA_DN: &str = "cn=subschema";

/// When the definitions of our own schema were last changed, for clients that cache them. Raise it with every change of
/// them.
pub const SUBSCHEMA_TIMESTAMP: &str = "20261129230000Z";

/// Content of an entry that is not authentik's: attribute names in the order in which they are served, with values.
pub type EntryAttributes = Vec<(&'static str, Vec<String>)>;

/// Which auxiliary classes entries of a structural class have here. ADSI wants content rules; RFC 4512 section 4.1.6
/// makes them say what may be combined.
const AUXILIARY_CLASSES: &[(&str, &[&str])] = &[
    (
        "inetOrgPerson",
        &["user", "posixAccount", "goauthentik.io/ldap/user"],
    ),
    ("organizationalUnit", &["nsContainer"]),
    (
        "groupOfNames",
        &[
            "group",
            "groupOfUniqueNames",
            "posixGroup",
            "goauthentik.io/ldap/group",
            "goauthentik.io/ldap/virtual-group",
        ],
    ),
];

/// What entries have beyond what our own schema says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Beyond {
    /// Names of attributes that it does not know, as admins chose them.
    pub custom: Vec<String>,
    /// The keys of its single-valued attributes of which an entry has several values.
    pub several: Vec<&'static str>,
    /// Object classes that it does not know, as admins added them, sorted.
    pub classes: Vec<AddedClass>,
    /// Its attributes that entries have from admins.
    pub known: Vec<&'static str>,
    /// The syntaxes of those of [`custom`](Self::custom) that are not text.
    pub syntaxes: Vec<(String, Syntax)>,
}

impl Beyond {
    fn syntax(&self, name: &str) -> Syntax {
        let mut syntaxes = self.syntaxes.iter();
        let stated = syntaxes.find(|(known, _)| known == name);
        stated.map_or(Syntax::DirectoryString, |(_, syntax)| *syntax)
    }
}

/// An object class that an admin gave to entries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddedClass {
    /// The name under which it is declared.
    name: String,
    /// The value as it is served.
    pub(crate) served: String,
}

impl AddedClass {
    pub(crate) fn new(served: &str) -> Self {
        let mut name = legal_name(served);
        // `goauthentik.io/ldap-user` is not the class whose descriptor it would have.
        if object_class(name.as_bytes()).is_some() {
            name.push('-');
        }
        Self {
            name,
            served: served.to_owned(),
        }
    }

    /// Sorts classes by name, so that those with one name are together, and leaves each in one of its spellings.
    pub(crate) fn sort(classes: &mut Vec<Self>) {
        let key = |class: &Self| (class.name.to_lowercase(), class.served.to_lowercase());
        classes.sort_by_cached_key(|class| (key(class), class.served.clone()));
        classes.dedup_by_key(|class| key(class));
    }
}

/// The attributes of the subschema entry. `changed` is when what is beyond our own schema last changed, in seconds since
/// 1970, if it did.
#[must_use]
pub fn attributes(beyond: &Beyond, changed: Option<i64>) -> EntryAttributes {
    let changed = changed.and_then(|seconds| {
        let time = timestamp::generalized_time(seconds.checked_mul(1_000_000)?)?;
        Some(String::from_utf8_lossy(&time).into_owned())
    });
    // Whatever the clock says, not before our own schema.
    let modified = changed.unwrap_or_default().max(SUBSCHEMA_TIMESTAMP.to_owned());
    let custom: Vec<CustomType<'_>> = beyond
        .custom
        .iter()
        .map(|name| CustomType::new(name, beyond.syntax(name)))
        .collect();
    let added = Added::all(&beyond.classes);
    vec![
        ("cn", vec!["subschema".to_owned()]),
        ("objectClass", vec!["top".to_owned(), "subSchema".to_owned()]),
        (
            "ldapSyntaxes",
            LDAP_SYNTAXES
                .iter()
                .map(|(oid, description)| format!("( {oid} DESC '{description}' )"))
                .collect(),
        ),
        (
            "matchingRules",
            MATCHING_RULES.iter().map(matching_rule_definition).collect(),
        ),
        (
            "matchingRuleUse",
            MATCHING_RULES
                .iter()
                .filter_map(|rule| matching_rule_use(rule, &custom))
                .collect(),
        ),
        (
            "dITContentRules",
            OBJECT_CLASSES
                .iter()
                .filter(|class| class.kind == ClassKind::Structural)
                .map(|class| content_rule(class, &custom, &added, &beyond.known))
                .collect(),
        ),
        (
            "attributeTypes",
            ATTRIBUTE_TYPES
                .iter()
                .map(|attribute| {
                    let several = beyond.several.contains(&attribute.key);
                    attribute_type_definition(attribute, attribute.single_value && !several)
                })
                .chain(custom.iter().map(CustomType::definition))
                .collect(),
        ),
        (
            "objectClasses",
            OBJECT_CLASSES
                .iter()
                .flat_map(object_class_definitions)
                .chain(added.iter().flat_map(Added::definitions))
                .collect(),
        ),
        ("createTimestamp", vec![SUBSCHEMA_TIMESTAMP.to_owned()]),
        ("modifyTimestamp", vec![modified]),
        ("entryDN", vec![SUBSCHEMA_DN.to_owned()]),
        ("structuralObjectClass", vec!["subschema".to_owned()]),
        ("subschemaSubentry", vec![SUBSCHEMA_DN.to_owned()]),
        ("hasSubordinates", vec!["FALSE".to_owned()]),
    ]
}

fn attribute_type_definition(attribute: &AttributeType, single_value: bool) -> String {
    let (equality, ordering, substrings) = attribute.syntax.rules();
    let mut definition = format!("( {} NAME ", attribute.oid);
    if attribute.names.is_empty() {
        definition += &format!("'{}'", attribute.name);
    } else {
        definition += &format!("( '{}'", attribute.name);
        attribute
            .names
            .iter()
            .for_each(|alias| definition += &format!(" '{alias}'"));
        definition += " )";
    }
    definition += &format!(" EQUALITY {equality}");
    for (keyword, rule) in [("ORDERING", ordering), ("SUBSTR", substrings)] {
        if let Some(rule) = rule {
            definition += &format!(" {keyword} {rule}");
        }
    }
    definition += &format!(" SYNTAX {}", attribute.syntax.oid());
    if single_value {
        definition += " SINGLE-VALUE";
    }
    // Users' own data cannot be changed over LDAP either, but RFC 4512 section 4.1.2 reserves the flag.
    match attribute.usage {
        Usage::UserApplications => {}
        Usage::DirectoryOperation => definition += " NO-USER-MODIFICATION USAGE directoryOperation",
        Usage::DsaOperation => definition += " NO-USER-MODIFICATION USAGE dSAOperation",
    }
    definition + " )"
}

/// An OID made from a name, in the arc that is free for UUIDs (ITU-T X.667).
fn made_oid(what: &str, name: &str) -> String {
    let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("akldap {what} {name}").as_bytes());
    format!("2.25.{}", uuid.as_u128())
}

/// Whether a custom attribute is declared under the name it is served by, which is not always a descriptor.
pub(crate) fn is_declarable(name: &str) -> bool {
    name.chars()
        .all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))
}

/// The OID under which a custom attribute is declared.
pub(crate) fn declared_oid(served: &str) -> String {
    let mut name = if is_declarable(served) {
        served.to_owned()
    } else {
        legal_name(served)
    };
    name.make_ascii_lowercase();
    made_oid("attribute", &name)
}

fn is_descriptor(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '-')
}

/// The type of a custom attribute: text, unless a shape says otherwise.
struct CustomType<'a> {
    name: &'a str,
    oid: String,
    syntax: Syntax,
}

impl<'a> CustomType<'a> {
    fn new(name: &'a str, syntax: Syntax) -> Self {
        let oid = made_oid("attribute", name);
        Self { name, oid, syntax }
    }

    fn definition(&self) -> String {
        let Self { name, oid, syntax } = self;
        let (equality, ordering, substrings) = syntax.rules();
        let mut definition = format!("( {oid} NAME '{name}' EQUALITY {equality}");
        for (keyword, rule) in [("ORDERING", ordering), ("SUBSTR", substrings)] {
            if let Some(rule) = rule {
                definition += &format!(" {keyword} {rule}");
            }
        }
        definition + &format!(" SYNTAX {} )", syntax.oid())
    }

    /// Its name in other definitions.
    fn reference(&self) -> &str {
        if is_descriptor(self.name) {
            self.name
        } else {
            &self.oid
        }
    }
}

/// The definitions of a class that admins gave to entries. Nothing is known about it except that it goes with ours.
struct Added<'a> {
    class: &'a AddedClass,
    oid: String,
    /// Whether another with the same legal name was declared before.
    again: bool,
}

impl<'a> Added<'a> {
    fn all(classes: &'a [AddedClass]) -> Vec<Self> {
        let before = std::iter::once(None).chain(classes.iter().map(Some));
        classes
            .iter()
            .zip(before)
            .map(|(class, before)| Self {
                class,
                oid: made_oid("class", &class.name),
                again: before.is_some_and(|before| before.name.eq_ignore_ascii_case(&class.name)),
            })
            .collect()
    }

    fn definitions(&self) -> impl Iterator<Item = String> + use<> {
        let AddedClass { name, served } = self.class;
        let own = (!self.again).then(|| format!("( {} NAME '{name}' SUP top AUXILIARY )", self.oid));
        // phpLDAPadmin looks superiors up by name only.
        let superior = if is_descriptor(name) { name } else { "top" };
        let nameless = (served != name).then(|| nameless_definition(served, superior));
        own.into_iter().chain(nameless)
    }
}

/// What clients that look for a class as it is served find; to all others it is a class without a name. They take what comes
/// after NAME for the name, within an extension too: phpLDAPadmin and ldap3, which split definitions at spaces, in
/// `X-SERVED`, python-ldap, which drops the quotes, in `X-NAMED`.
fn nameless_definition(served: &str, superior: &str) -> String {
    let oid = made_oid("served class", served);
    // RFC 4512 section 4.1 escapes these two in strings.
    let served = served.replace('\\', "\\5c").replace('\'', "\\27");
    format!(
        "( {oid} SUP {superior} AUXILIARY X-NAMED ( 'NAME' '{served}' ) X-SERVED 'with the NAME {served}' )"
    )
}

fn object_class_definitions(class: &ObjectClass) -> impl Iterator<Item = String> + use<> {
    let name = class.descriptor();
    let mut definition = format!("( {} NAME '{name}'", class.oid);
    let nameless = (name != class.name).then(|| {
        definition += &format!(" DESC 'served as {}'", class.name);
        nameless_definition(class.name, &name)
    });
    if let Some(superior) = class.superior {
        definition += &format!(" SUP {superior}");
    }
    definition += match class.kind {
        ClassKind::Abstract => " ABSTRACT",
        ClassKind::Structural => " STRUCTURAL",
        ClassKind::Auxiliary => " AUXILIARY",
    };
    for (keyword, attributes) in [("MUST", class.must), ("MAY", class.may)] {
        if !attributes.is_empty() {
            definition += &format!(" {keyword} {}", oid_list(attributes));
        }
    }
    std::iter::once(definition + " )").chain(nameless)
}

fn matching_rule_definition(rule: &MatchingRule) -> String {
    format!(
        "( {} NAME '{}' SYNTAX {} )",
        rule.oid,
        rule.name,
        rule.assertion_syntax_oid()
    )
}

/// Every attribute on which the rule can be used in an extensible match.
fn matching_rule_use(rule: &MatchingRule, custom: &[CustomType<'_>]) -> Option<String> {
    let custom = custom.iter().filter(|custom| rule.applies_to(custom.syntax));
    let attributes: Vec<&str> = ATTRIBUTE_TYPES
        .iter()
        .filter(|attribute| rule.applies_to(attribute.syntax))
        .map(|attribute| attribute.name)
        .chain(custom.map(CustomType::reference))
        .collect();
    (!attributes.is_empty()).then(|| {
        format!(
            "( {} NAME '{}' APPLIES {} )",
            rule.oid,
            rule.name,
            oid_list(&attributes)
        )
    })
}

/// Which classes may be added to a structural one, and which attributes entries may have that none of its classes names.
fn content_rule(
    class: &ObjectClass,
    custom: &[CustomType<'_>],
    added: &[Added<'_>],
    known: &[&str],
) -> String {
    let mut definition = format!("( {} NAME '{}'", class.oid, class.name);
    let Some((_, names)) = AUXILIARY_CLASSES.iter().find(|(name, _)| *name == class.name) else {
        return definition + " )";
    };
    let auxiliary: Vec<&ObjectClass> = names
        .iter()
        .filter_map(|name| object_class(name.as_bytes()))
        .collect();
    let has_custom = auxiliary.iter().any(|class| !is_descriptor(class.name));
    let mut classes: Vec<&str> = auxiliary.iter().map(|class| class.oid).collect();
    let mut attributes: Vec<&str> = Vec::new();
    if has_custom {
        classes.extend(
            added
                .iter()
                .filter(|added| !added.again)
                .map(|added| added.oid.as_str()),
        );
        // Whoever does not find a class by its served name must find its attributes here.
        let of_unfound = auxiliary
            .iter()
            .filter(|class| !is_descriptor(class.name))
            .flat_map(|class| class.must.iter().chain(class.may))
            .copied();
        let chain = std::iter::successors(Some(class), |class| object_class(class.superior?.as_bytes()));
        let found: Vec<&str> = chain
            .chain(
                auxiliary
                    .iter()
                    .copied()
                    .filter(|class| is_descriptor(class.name)),
            )
            .flat_map(|class| class.must.iter().chain(class.may))
            .copied()
            .collect();
        attributes.extend(
            of_unfound
                .chain(known.iter().copied())
                .filter(|name| !found.contains(name)),
        );
        attributes.extend(custom.iter().map(CustomType::reference));
        attributes.sort_unstable();
        attributes.dedup();
    }
    for (keyword, oids) in [("AUX", classes), ("MAY", attributes)] {
        if !oids.is_empty() {
            definition += &format!(" {keyword} {}", oid_list(&oids));
        }
    }
    definition + " )"
}

fn oid_list(oids: &[&str]) -> String {
    match oids {
        [oid] => (*oid).to_owned(),
        oids => format!("( {} )", oids.join(" $ ")),
    }
}

#[cfg(test)]
mod served_tests;
#[cfg(test)]
mod tests;
