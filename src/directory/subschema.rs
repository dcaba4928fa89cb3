//! The subschema entry `cn=subschema`: the schema in the form of RFC 4512 section 4.1.
//!
//! Knows how definitions are written. The names of authentik's three object classes are no RFC 4512 descriptors. Clients
//! that look up the classes of an entry (phpLDAPadmin) or of a filter (ldap3) must find them as they are served; parsers
//! that keep to the letter (Apache's LDAP API) refuse the whole schema for them: which is declared is the admin's choice. Names of custom attributes may have `_`, a digit or a hyphen in
//! front, which no parser we know refuses; where definitions refer to such a name they give its OID.

use uuid::Uuid;

use super::schema::{
    ATTRIBUTE_TYPES, AttributeType, ClassKind, LDAP_SYNTAXES, MATCHING_RULES, MatchingRule, OBJECT_CLASSES,
    ObjectClass, Syntax, Usage, object_class,
};
use super::timestamp;

/// The name of the subschema entry.
pub const SUBSCHEMA_DN: &str = "cn=subschema";

/// When the definitions of our own schema were last changed, for clients that cache them. To be raised with every change
/// of them.
pub const SUBSCHEMA_TIMESTAMP: &str = "20261129000000Z";

/// Content of an entry that is not authentik's: attribute names in the order in which they are served, with values.
pub type Attributes = Vec<(&'static str, Vec<String>)>;

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
    /// Whether object classes are declared by their descriptors, whatever they are served as.
    pub legal_names: bool,
}

/// The attributes of the subschema entry. `changed` is when what is beyond our own schema last changed, in seconds since
/// 1970, if it did.
#[must_use]
pub fn attributes(beyond: &Beyond, changed: Option<i64>) -> Attributes {
    let changed = changed.map(|seconds| {
        let time = timestamp::generalized_time(seconds.saturating_mul(1_000_000));
        String::from_utf8_lossy(&time).into_owned()
    });
    // Whatever the clock says, not before our own schema.
    let modified = changed.unwrap_or_default().max(SUBSCHEMA_TIMESTAMP.to_owned());
    let custom: Vec<CustomType<'_>> = beyond.custom.iter().map(|name| CustomType::new(name)).collect();
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
                .map(content_rule)
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
                .map(|class| object_class_definition(class, beyond.legal_names))
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

/// The type of a custom attribute: text. Its OID is made of its name, in the arc that is free for UUIDs (ITU-T X.667).
struct CustomType<'a> {
    name: &'a str,
    oid: String,
}

impl<'a> CustomType<'a> {
    fn new(name: &'a str) -> Self {
        let uuid = Uuid::new_v5(
            &Uuid::NAMESPACE_OID,
            format!("akldap attribute {name}").as_bytes(),
        );
        let oid = format!("2.25.{}", uuid.as_u128());
        Self { name, oid }
    }

    fn definition(&self) -> String {
        let Self { name, oid } = self;
        let (equality, ordering, substrings) = Syntax::DirectoryString.rules();
        let mut definition = format!("( {oid} NAME '{name}' EQUALITY {equality}");
        for (keyword, rule) in [("ORDERING", ordering), ("SUBSTR", substrings)] {
            if let Some(rule) = rule {
                definition += &format!(" {keyword} {rule}");
            }
        }
        definition + &format!(" SYNTAX {} )", Syntax::DirectoryString.oid())
    }

    /// What other definitions call it.
    fn reference(&self) -> &str {
        let legal = self.name.starts_with(|first: char| first.is_ascii_alphabetic())
            && self
                .name
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || character == '-');
        if legal { self.name } else { &self.oid }
    }
}

fn object_class_definition(class: &ObjectClass, legal_names: bool) -> String {
    let name = match legal_names {
        true => class.descriptor(),
        false => class.name.into(),
    };
    let mut definition = format!("( {} NAME '{name}'", class.oid);
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
    definition + " )"
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
    let custom = match rule.applies_to(Syntax::DirectoryString) {
        true => custom,
        false => &[],
    };
    let attributes: Vec<&str> = ATTRIBUTE_TYPES
        .iter()
        .filter(|attribute| rule.applies_to(attribute.syntax))
        .map(|attribute| attribute.name)
        .chain(custom.iter().map(CustomType::reference))
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

fn content_rule(class: &ObjectClass) -> String {
    let auxiliary = AUXILIARY_CLASSES.iter().find(|(name, _)| *name == class.name);
    match auxiliary {
        Some((_, classes)) => {
            let oids: Vec<&str> = classes
                .iter()
                .filter_map(|name| object_class(name.as_bytes()))
                .map(|class| class.oid)
                .collect();
            format!("( {} NAME '{}' AUX {} )", class.oid, class.name, oid_list(&oids))
        }
        None => format!("( {} NAME '{}' )", class.oid, class.name),
    }
}

fn oid_list(oids: &[&str]) -> String {
    match oids {
        [oid] => (*oid).to_owned(),
        oids => format!("( {} )", oids.join(" $ ")),
    }
}

#[cfg(test)]
mod tests;
