//! Filters as owned values, evaluated on one entry after the other.

use akldap_directory::schema::{self, Comparison, Syntax};
use akldap_directory::syntax;
use akldap_ldap::dn::Dn;
use akldap_ldap::filter::{self, Filter};
use akldap_ldap::text::Position;

use akldap_testing::contract::ContractEntry;

use super::Named;

#[derive(Clone, Debug)]
pub(crate) struct Assertion {
    pub(crate) attribute: String,
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) enum Query {
    And(Vec<Query>),
    Or(Vec<Query>),
    Not(Box<Query>),
    Equality(Assertion),
    Substrings {
        attribute: String,
        initial: Option<Vec<u8>>,
        any: Vec<Vec<u8>>,
        last: Option<Vec<u8>>,
    },
    GreaterOrEqual(Assertion),
    LessOrEqual(Assertion),
    Present(String),
    Approx(Assertion),
    Extensible {
        rule: Option<String>,
        attribute: Option<String>,
        value: Vec<u8>,
        dn_attributes: bool,
    },
}

impl Assertion {
    fn filter(&self) -> filter::AttributeValueAssertion<'_> {
        filter::AttributeValueAssertion {
            attribute: self.attribute.as_bytes(),
            value: &self.value,
        }
    }
}

impl Query {
    /// The query as it comes off the wire.
    pub(crate) fn filter(&self) -> Filter<'_> {
        match self {
            Self::And(queries) => Filter::And(queries.iter().map(Self::filter).collect()),
            Self::Or(queries) => Filter::Or(queries.iter().map(Self::filter).collect()),
            Self::Not(query) => Filter::Not(Box::new(query.filter())),
            Self::Equality(assertion) => Filter::Equality(assertion.filter()),
            Self::GreaterOrEqual(assertion) => Filter::GreaterOrEqual(assertion.filter()),
            Self::LessOrEqual(assertion) => Filter::LessOrEqual(assertion.filter()),
            Self::Approx(assertion) => Filter::Approx(assertion.filter()),
            Self::Present(attribute) => Filter::Present(attribute.as_bytes()),
            Self::Substrings {
                attribute,
                initial,
                any,
                last,
            } => Filter::Substrings(filter::SubstringFilter {
                attribute: attribute.as_bytes(),
                initial: initial.as_deref(),
                any: any.iter().map(Vec::as_slice).collect(),
                last: last.as_deref(),
            }),
            Self::Extensible {
                rule,
                attribute,
                value,
                dn_attributes,
            } => Filter::Extensible(filter::MatchingRuleAssertion {
                matching_rule: rule.as_deref().map(str::as_bytes),
                attribute: attribute.as_deref().map(str::as_bytes),
                value,
                dn_attributes: *dn_attributes,
            }),
        }
    }

    /// The same with other names of attributes, where there are any.
    pub(crate) fn renamed(&self, other: &impl Fn(&str) -> Option<String>) -> Self {
        let all = |queries: &[Self]| queries.iter().map(|query| query.renamed(other)).collect();
        let mut renamed = match self {
            Self::And(queries) => Self::And(all(queries)),
            Self::Or(queries) => Self::Or(all(queries)),
            Self::Not(query) => Self::Not(Box::new(query.renamed(other))),
            leaf => leaf.clone(),
        };
        let attribute = match &mut renamed {
            Self::And(_) | Self::Or(_) | Self::Not(_) => None,
            Self::Equality(assertion)
            | Self::GreaterOrEqual(assertion)
            | Self::LessOrEqual(assertion)
            | Self::Approx(assertion) => Some(&mut assertion.attribute),
            Self::Present(attribute) | Self::Substrings { attribute, .. } => Some(attribute),
            Self::Extensible { attribute, .. } => attribute.as_mut(),
        };
        if let Some(attribute) = attribute
            && let Some(name) = other(attribute)
        {
            *attribute = name;
        }
        renamed
    }

    /// Whether an entry matches; `None` is Undefined. `all` is what the viewer sees.
    pub(crate) fn matches(&self, entry: &ContractEntry, all: &[ContractEntry]) -> Option<bool> {
        match self {
            Self::And(queries) => combine(queries.iter().map(|query| query.matches(entry, all)), false),
            Self::Or(queries) => combine(queries.iter().map(|query| query.matches(entry, all)), true),
            Self::Not(query) => query.matches(entry, all).map(|truth| !truth),
            Self::Equality(assertion) | Self::Approx(assertion) => {
                let known = is_value(
                    schema::syntax_of(assertion.attribute.as_bytes()),
                    &assertion.value,
                );
                true_or(equal(entry, assertion), known)
            }
            Self::GreaterOrEqual(assertion) => ordered(entry, assertion, |value, asserted| value >= asserted),
            Self::LessOrEqual(assertion) => ordered(entry, assertion, |value, asserted| value <= asserted),
            Self::Present(attribute) => {
                // An unset e-mail address is shown as an empty value, but nobody has one.
                let is_mail = schema::canonical_name(attribute.as_bytes()) == "mail";
                Some(entry.values(attribute).any(|value| !is_mail || !value.is_empty()))
            }
            Self::Substrings {
                attribute,
                initial,
                any,
                last,
            } => {
                let mut parts = initial.iter().chain(any).chain(last);
                let is_text = parts.all(|part| std::str::from_utf8(part).is_ok());
                if schema::syntax_of(attribute.as_bytes()) != Syntax::OctetString && !is_text {
                    return None;
                }
                Some(substrings(
                    entry,
                    attribute,
                    initial.as_deref(),
                    any,
                    last.as_deref(),
                ))
            }
            Self::Extensible {
                rule,
                attribute,
                value,
                dn_attributes,
            } => extensible(
                entry,
                all,
                rule.as_deref(),
                attribute.as_deref()?,
                value,
                *dn_attributes,
            ),
        }
    }
}

/// The classes of authentik's outpost, and whether its virtual groups are made for a filter that ends with one.
const CLASSES: &[(&str, bool)] = &[
    ("top", false),
    ("person", false),
    ("user", false),
    ("organizationalPerson", false),
    ("inetOrgPerson", false),
    ("posixAccount", false),
    ("goauthentik.io/ldap/user", false),
    ("group", true),
    ("groupOfUniqueNames", true),
    ("groupOfNames", true),
    ("goauthentik.io/ldap/group", false),
    ("posixGroup", false),
    ("goauthentik.io/ldap/virtual-group", true),
    ("nsContainer", false),
    ("domain", false),
];

impl Query {
    /// Whether no virtual group is to be found: the last known class that is named is not one of theirs, or the very
    /// last class is unknown and is in an OR.
    pub(crate) fn hides_virtual_groups(&self) -> bool {
        let mut named = Vec::new();
        self.classes(false, &mut named);
        let known = |class: &[u8]| {
            let key = |class: &[u8]| syntax::equality_key(schema::Syntax::Oid, class).into_owned();
            CLASSES
                .iter()
                .find(|(name, _)| key(name.as_bytes()) == key(class))
                .map(|(_, theirs)| *theirs)
        };
        let last_known = named.iter().rev().find_map(|(class, _)| known(class));
        let ends_unknown = named
            .last()
            .is_some_and(|(class, in_or)| *in_or && known(class).is_none());
        ends_unknown || last_known == Some(false)
    }

    fn classes(&self, in_or: bool, named: &mut Vec<(Vec<u8>, bool)>) {
        let is_class = |attribute: &str| schema::canonical_name(attribute.as_bytes()) == "objectclass";
        match self {
            Self::And(queries) => queries.iter().for_each(|query| query.classes(in_or, named)),
            Self::Or(queries) => queries.iter().for_each(|query| query.classes(true, named)),
            Self::Not(query) => query.classes(in_or, named),
            Self::Equality(assertion) | Self::Approx(assertion) if is_class(&assertion.attribute) => {
                named.push((assertion.value.clone(), in_or));
            }
            Self::Extensible {
                rule,
                attribute: Some(attribute),
                value,
                ..
            } if is_class(attribute)
                && rule.as_ref().is_none_or(|rule| {
                    schema::matching_rule(rule.as_bytes())
                        .is_some_and(|rule| rule.name == "objectIdentifierMatch")
                }) =>
            {
                named.push((value.clone(), in_or));
            }
            _ => {}
        }
    }
}

/// And (`decisive` false) and Or (`decisive` true) of RFC 4511 section 4.5.1.7.
fn combine(truths: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let truths: Vec<Option<bool>> = truths.collect();
    if truths.contains(&Some(decisive)) {
        Some(decisive)
    } else if truths.contains(&None) {
        None
    } else {
        Some(!decisive)
    }
}

/// True if found; otherwise false, or Undefined if what is asserted is not a value.
fn true_or(found: bool, known: bool) -> Option<bool> {
    match (found, known) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

/// Whether octets are a value of a syntax, decided without the code that compares values.
pub(crate) fn is_value(syntax: Syntax, value: &[u8]) -> bool {
    if syntax == Syntax::OctetString {
        return true;
    }
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let text = text.trim_matches(|character: char| character.is_ascii_whitespace());
    match syntax {
        Syntax::Integer => {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit())
        }
        Syntax::Boolean => ["true", "false"].contains(&text.to_lowercase().as_str()),
        Syntax::Uuid => {
            let digits = text.replace('-', "");
            digits.len() == 32 && digits.chars().all(|digit| digit.is_ascii_hexdigit())
        }
        // A year, month, day and hour at least, and then a zone; the generator's are of this century.
        Syntax::GeneralizedTime => text.len() >= 11 && text.starts_with("20") && !text.starts_with("202413"),
        Syntax::DistinguishedName => Dn::parse(value).is_ok(),
        Syntax::NameAndOptionalUid => {
            let name = match text.split_once("#'") {
                Some((name, _)) => name,
                None => text,
            };
            Dn::parse(name.as_bytes()).is_ok()
        }
        Syntax::Oid => !text.is_empty() && !text.contains(char::is_whitespace),
        _ => true,
    }
}

fn equal(entry: &ContractEntry, assertion: &Assertion) -> bool {
    let syntax = schema::syntax_of(assertion.attribute.as_bytes());
    let asserted = syntax::equality_key(syntax, &assertion.value);
    entry
        .values(&assertion.attribute)
        .any(|value| syntax::equality_key(syntax, value) == asserted)
}

fn ordered(entry: &ContractEntry, assertion: &Assertion, holds: fn(&[u8], &[u8]) -> bool) -> Option<bool> {
    let syntax = schema::syntax_of(assertion.attribute.as_bytes());
    if !is_value(syntax, &assertion.value) {
        return None;
    }
    let asserted = syntax::ordering_key(syntax, &assertion.value)?;
    Some(
        entry
            .values(&assertion.attribute)
            .filter_map(|value| syntax::ordering_key(syntax, value))
            .any(|value| holds(&value, &asserted)),
    )
}

fn substrings(
    entry: &ContractEntry,
    attribute: &str,
    initial: Option<&[u8]>,
    any: &[Vec<u8>],
    last: Option<&[u8]>,
) -> bool {
    let syntax = schema::syntax_of(attribute.as_bytes());
    let prepared = |part: &[u8], position| {
        let mut out = Vec::new();
        syntax::substring_part(syntax, part, position, &mut out);
        out
    };
    entry.values(attribute).any(|value| {
        let value = syntax::substring_value(syntax, value);
        let mut rest: &[u8] = &value;
        if let Some(initial) = initial {
            match rest.strip_prefix(prepared(initial, Position::Initial).as_slice()) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        for part in any {
            let part = prepared(part, Position::Any);
            match (0..=rest.len()).find(|&start| rest[start..].starts_with(&part)) {
                Some(start) => rest = &rest[start + part.len()..],
                None => return false,
            }
        }
        last.is_none_or(|last| rest.ends_with(&prepared(last, Position::Final)))
    })
}

fn extensible(
    entry: &ContractEntry,
    all: &[ContractEntry],
    rule: Option<&str>,
    attribute: &str,
    value: &[u8],
    dn_attributes: bool,
) -> Option<bool> {
    let own = schema::syntax_of(attribute.as_bytes());
    let (comparison, syntax) = match rule {
        None => (Comparison::Equality, own),
        Some(rule) => {
            let rule = schema::matching_rule(rule.as_bytes())?;
            (rule.comparison, rule.syntax)
        }
    };
    let key = schema::canonical_name(attribute.as_bytes()).into_owned();
    let values: Vec<&Vec<u8>> = entry.values(attribute).collect();
    let of_name: Vec<&Vec<u8>> = entry
        .name_parts
        .iter()
        .filter(|(name, _)| dn_attributes && schema::canonical_name(name.as_bytes()) == key)
        .map(|(_, value)| value)
        .collect();
    match comparison {
        Comparison::Equality => {
            // Text that is not a value is found only by the attribute's own rule.
            if syntax != own && !is_value(syntax, value) {
                return None;
            }
            let asserted = syntax::equality_key(syntax, value);
            let is_asserted = |value: &&Vec<u8>| syntax::equality_key(syntax, value) == asserted;
            let found = if syntax == own {
                let (attribute, value) = (attribute.to_owned(), value.to_vec());
                equal(entry, &Assertion { attribute, value }) || of_name.iter().any(is_asserted)
            } else {
                values.iter().chain(&of_name).any(is_asserted)
            };
            true_or(found, is_value(syntax, value))
        }
        Comparison::BitAnd | Comparison::BitOr => {
            let bits: i64 = std::str::from_utf8(value).ok()?.parse().ok()?;
            let numbers = values
                .iter()
                .chain(&of_name)
                .filter_map(|value| std::str::from_utf8(value).ok()?.parse::<i64>().ok());
            Some(match comparison {
                Comparison::BitAnd => numbers.into_iter().any(|number| number & bits == bits),
                _ => numbers.into_iter().any(|number| number & bits != 0),
            })
        }
        Comparison::InChain => {
            if !matches!(own, Syntax::DistinguishedName | Syntax::NameAndOptionalUid) {
                return None;
            }
            let known = is_value(Syntax::DistinguishedName, value);
            let found = match known {
                true => in_chain(entry, all, &key, value),
                false => equal(
                    entry,
                    &Assertion {
                        attribute: attribute.to_owned(),
                        value: value.to_vec(),
                    },
                ),
            };
            true_or(found, known)
        }
        Comparison::Ordering | Comparison::Substrings => None,
    }
}

/// Follows an attribute from the entry over every entry it names until the asserted name turns up.
fn in_chain(entry: &ContractEntry, all: &[ContractEntry], attribute: &str, value: &[u8]) -> bool {
    let normal = |name: &[u8]| Dn::parse(name).ok().map(|dn| dn.normal_form());
    let Some(target) = normal(value) else {
        return false;
    };
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut open: Vec<&ContractEntry> = vec![entry];
    while let Some(entry) = open.pop() {
        for name in entry.values(attribute).filter_map(|name| normal(name)) {
            if name == target {
                return true;
            }
            if !seen.contains(&name) {
                open.extend(
                    all.iter()
                        .filter(|other| normal(other.dn.as_bytes()).as_ref() == Some(&name)),
                );
                seen.push(name);
            }
        }
    }
    false
}
