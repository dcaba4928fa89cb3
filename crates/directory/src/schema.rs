//! The schema: attribute types, object classes, matching rules, and how to find them by the names that clients use.
//!
//! Knows RFC 4512 section 4 and the definitions of RFC 4519, 4524, 2798, 2307, of Active Directory and of authentik
//! that clients of authentik meet. Attributes it does not know are legal everywhere and behave like directory
//! strings. Must not know which entries exist.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

mod attributes;
mod classes;
mod definition;
pub mod password_attributes;
mod rules;
#[cfg(test)]
mod tests;

pub use attributes::ATTRIBUTE_TYPES;
pub use classes::OBJECT_CLASSES;
pub use definition::{
    AttributeType, AttributeTypeId, ClassKind, Comparison, LDAP_SYNTAXES, MatchingRule, ObjectClass, Syntax,
    Usage,
};
pub use rules::{BIT_AND, BIT_OR, IN_CHAIN, MATCHING_RULES};

/// Longest name in the schema; longer descriptions are custom without looking.
const MAX_NAME: usize = 64;

/// By name, alias and OID in lower case. The tables are fixed, so that nobody can fill them with names that collide.
type ByName<T> = HashMap<String, &'static T, hashbrown::DefaultHashBuilder>;

struct NameIndex {
    attributes: ByName<AttributeType>,
    classes: ByName<ObjectClass>,
    rules: ByName<MatchingRule>,
}

static INDEX: LazyLock<NameIndex> = LazyLock::new(|| NameIndex {
    attributes: ATTRIBUTE_TYPES
        .iter()
        .flat_map(|attribute| {
            [attribute.name, attribute.oid]
                .into_iter()
                .chain(attribute.names.iter().copied())
                .map(move |name| (name.to_ascii_lowercase(), attribute))
        })
        .collect(),
    classes: OBJECT_CLASSES
        .iter()
        .flat_map(|class| {
            let descriptor = class.descriptor().to_ascii_lowercase();
            [class.key.to_owned(), class.oid.to_owned(), descriptor].map(|name| (name, class))
        })
        .collect(),
    rules: MATCHING_RULES
        .iter()
        .flat_map(|rule| {
            [
                (rule.name.to_ascii_lowercase(), rule),
                (rule.oid.to_owned(), rule),
            ]
        })
        .collect(),
});

fn find<T>(map: &ByName<T>, name: &[u8]) -> Option<&'static T> {
    let mut buffer = [0; MAX_NAME];
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    map.get(std::str::from_utf8(lower).ok()?).copied()
}

/// A name or OID without what makes no difference: the prefix `OID.`, outer spaces.
fn base_name(name: &[u8]) -> &[u8] {
    let plain = name.trim_ascii();
    match plain.split_at_checked(4) {
        Some((prefix, oid)) if prefix.eq_ignore_ascii_case(b"OID.") => oid,
        _ => plain,
    }
}

/// An attribute description and its options (RFC 4512 section 2.5.2), without the semicolon between them.
pub(crate) fn split_options(description: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b';', description).and_then(|at| description.split_at_checked(at)) {
        Some((plain, options)) => (plain, options.get(1..)),
        None => (description, None),
    }
}

/// An attribute description without `;binary`, which is about how values are sent (RFC 4522): clients add it to what is
/// never text. `None` if it has another option: it then means a subtype of the attribute.
#[must_use]
pub fn without_binary(description: &[u8]) -> Option<&[u8]> {
    let (plain, options) = split_options(description);
    let is_binary = |options: &[u8]| options.trim_ascii().eq_ignore_ascii_case(b"binary");
    options.is_none_or(is_binary).then_some(plain)
}

/// The attribute type a description names: by name, alias or OID, whatever the case. A description with an option other
/// than `;binary` names a subtype, of which the schema has none.
#[must_use]
pub fn attribute_type(description: &[u8]) -> Option<&'static AttributeType> {
    find(&INDEX.attributes, base_name(without_binary(description)?))
}

/// The key under which an attribute's values are kept and looked up: the schema's key for a known attribute, the
/// description in lower case (`;binary` aside) for any other. Octets that are not UTF-8 become U+FFFD.
#[must_use]
pub fn canonical_name(description: &[u8]) -> Cow<'_, str> {
    if let Some(attribute) = attribute_type(description) {
        return Cow::Borrowed(attribute.key);
    }
    let base = base_name(without_binary(description).unwrap_or(description));
    let text = String::from_utf8_lossy(base);
    if text.bytes().any(|octet| octet.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        text
    }
}

/// The syntax of an attribute; directory string for one that the schema does not know. A subtype has the syntax of its
/// supertype (RFC 4512 section 2.5.1).
#[must_use]
pub fn syntax_of(description: &[u8]) -> Syntax {
    attribute_type(split_options(description).0).map_or(Syntax::DirectoryString, |attribute| attribute.syntax)
}

/// The object class with this name, descriptor or OID, whatever the case.
#[must_use]
pub fn object_class(name: &[u8]) -> Option<&'static ObjectClass> {
    find(&INDEX.classes, base_name(name))
}

/// The matching rule with this name or OID, whatever the case.
#[must_use]
pub fn matching_rule(name: &[u8]) -> Option<&'static MatchingRule> {
    find(&INDEX.rules, base_name(name))
}
