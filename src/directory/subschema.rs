//! The subschema entry `cn=subschema`: the schema in the form of RFC 4512 section 4.1.
//!
//! Knows how definitions are written. The names of authentik's three object classes are no RFC 4512 descriptors, yet
//! clients look them up by name; they are written as names and everywhere else by OID, so that all else is strict.

use uuid::Uuid;

use super::schema::{
    ATTRIBUTE_TYPES, AttributeType, ClassKind, LDAP_SYNTAXES, MATCHING_RULES, MatchingRule, OBJECT_CLASSES,
    ObjectClass, Syntax, Usage, object_class,
};

/// The name of the subschema entry.
pub const SUBSCHEMA_DN: &str = "cn=subschema";

/// When the definitions were last changed, for clients that cache them. To be raised with every change of them.
pub const SUBSCHEMA_TIMESTAMP: &str = "20261123000000Z";

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

/// The attributes of the subschema entry. `custom` are names of attributes beyond our own schema, as admins chose them.
#[must_use]
pub fn attributes(custom: &[&str]) -> Attributes {
    let timestamp = || vec![SUBSCHEMA_TIMESTAMP.to_owned()];
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
            MATCHING_RULES.iter().filter_map(matching_rule_use).collect(),
        ),
        (
            "dITContentRules",
            OBJECT_CLASSES.iter().map(content_rule).collect(),
        ),
        (
            "attributeTypes",
            ATTRIBUTE_TYPES
                .iter()
                .map(attribute_type_definition)
                .chain(custom.iter().map(|name| custom_attribute_definition(name)))
                .collect(),
        ),
        (
            "objectClasses",
            OBJECT_CLASSES.iter().map(object_class_definition).collect(),
        ),
        ("createTimestamp", timestamp()),
        ("modifyTimestamp", timestamp()),
        ("entryDN", vec![SUBSCHEMA_DN.to_owned()]),
        ("structuralObjectClass", vec!["subschema".to_owned()]),
        ("subschemaSubentry", vec![SUBSCHEMA_DN.to_owned()]),
        ("hasSubordinates", vec!["FALSE".to_owned()]),
    ]
}

fn attribute_type_definition(attribute: &AttributeType) -> String {
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
    if attribute.single_value {
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

/// A text attribute. Its OID is made of its name, in the arc that is free for UUIDs (ITU-T X.667).
fn custom_attribute_definition(name: &str) -> String {
    let uuid = Uuid::new_v5(
        &Uuid::NAMESPACE_OID,
        format!("akldap attribute {name}").as_bytes(),
    );
    let (equality, _, substrings) = Syntax::DirectoryString.rules();
    let mut definition = format!("( 2.25.{} NAME '{name}' EQUALITY {equality}", uuid.as_u128());
    if let Some(substrings) = substrings {
        definition += &format!(" SUBSTR {substrings}");
    }
    definition + &format!(" SYNTAX {} )", Syntax::DirectoryString.oid())
}

fn object_class_definition(class: &ObjectClass) -> String {
    let mut definition = format!("( {} NAME '{}'", class.oid, class.name);
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

fn matching_rule_use(rule: &MatchingRule) -> Option<String> {
    let attributes: Vec<&str> = ATTRIBUTE_TYPES
        .iter()
        .filter(|attribute| rule.applies_to(attribute.syntax))
        .map(|attribute| attribute.name)
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
