//! The text form of filters (RFC 4515) against two parsers: that of `ldap3`, which reads all of it, and that of
//! `ldap3_proto`, which knows no escapes; and our reader against `ldap3`.

use akldap_ldap::ber::Reader;
use akldap_ldap::filter::{AttributeValueAssertion, Filter, MatchingRuleAssertion, SubstringFilter, parser};
use bytes::BytesMut;
use ldap3::asn1::{ASNTag, write};
use proptest::prelude::*;

use akldap_testing::filter::translate;

/// A filter that owns what ours borrows.
#[derive(Clone, Debug)]
enum Tree {
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Not(Box<Tree>),
    Compared(u8, String, Vec<u8>),
    Present(String),
    Substrings(String, Vec<Vec<u8>>, bool, bool),
    Extensible(Option<String>, Option<String>, Vec<u8>, bool),
}

impl Tree {
    fn borrow(&self) -> Filter<'_> {
        match self {
            Self::And(trees) => Filter::And(trees.iter().map(Self::borrow).collect()),
            Self::Or(trees) => Filter::Or(trees.iter().map(Self::borrow).collect()),
            Self::Not(tree) => Filter::Not(Box::new(tree.borrow())),
            Self::Compared(kind, attribute, value) => {
                let assertion = AttributeValueAssertion {
                    attribute: attribute.as_bytes(),
                    value,
                };
                match kind {
                    0 => Filter::Equality(assertion),
                    1 => Filter::GreaterOrEqual(assertion),
                    2 => Filter::LessOrEqual(assertion),
                    _ => Filter::Approx(assertion),
                }
            }
            Self::Present(attribute) => Filter::Present(attribute.as_bytes()),
            Self::Substrings(attribute, parts, from_start, to_end) => {
                let mut any: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                let initial = from_start.then(|| any.remove(0));
                let last = if *to_end { any.pop() } else { None };
                Filter::Substrings(SubstringFilter {
                    attribute: attribute.as_bytes(),
                    initial,
                    any,
                    last,
                })
            }
            Self::Extensible(rule, attribute, value, dn_attributes) => {
                Filter::Extensible(MatchingRuleAssertion {
                    matching_rule: rule.as_deref().map(str::as_bytes),
                    attribute: attribute.as_deref().map(str::as_bytes),
                    value,
                    dn_attributes: *dn_attributes,
                })
            }
        }
    }
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9-]{0,8}"
}

/// Filters with values of `value`; lists have at least `fewest` components.
fn tree(
    value: impl Strategy<Value = Vec<u8>> + Clone + 'static,
    fewest: usize,
) -> impl Strategy<Value = Tree> {
    let part = value
        .clone()
        .prop_filter("a part is not empty", |part| !part.is_empty());
    let extensible = (
        prop::option::of("[a-zA-Z][a-zA-Z0-9]{3,9}"),
        name(),
        value.clone(),
        any::<bool>(),
    )
        .prop_filter("`:dn` is not read as the start of a rule", |(rule, ..)| {
            rule.as_deref().is_none_or(|rule| !rule.starts_with("dn"))
        })
        .prop_map(|(rule, name, value, dn)| Tree::Extensible(rule, Some(name), value, dn));
    let leaf = prop_oneof![
        (0..4u8, name(), value).prop_map(|(kind, name, value)| Tree::Compared(kind, name, value)),
        name().prop_map(Tree::Present),
        (
            name(),
            prop::collection::vec(part, 1..4),
            any::<bool>(),
            any::<bool>()
        )
            .prop_map(|(name, parts, from_start, to_end)| Tree::Substrings(name, parts, from_start, to_end)),
        extensible,
    ];
    leaf.prop_recursive(4, 16, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), fewest..4).prop_map(Tree::And),
            prop::collection::vec(inner.clone(), fewest..4).prop_map(Tree::Or),
            inner.prop_map(|tree| Tree::Not(Box::new(tree))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ldap3_reads_the_text_as_meant(tree in tree(prop::collection::vec(any::<u8>(), 0..8), 0)) {
        let filter = tree.borrow();
        let text = filter.to_string();
        let tag = ldap3::parse_filter(&text).map_err(|()| TestCaseError::fail(text.clone()))?;
        let mut octets = BytesMut::new();
        write::encode_into(&mut octets, tag.into_structure()).unwrap();
        prop_assert_eq!(Filter::read(&mut Reader::new(&octets)), Ok(filter), "{}", text);
    }

    #[test]
    fn we_read_the_text_as_ldap3_does(tree in tree(prop::collection::vec(any::<u8>(), 0..8), 0)) {
        let printed = tree.borrow().to_string();
        let tag = ldap3::parse_filter(&printed).map_err(|()| TestCaseError::fail(printed.clone()))?;
        let mut octets = BytesMut::new();
        write::encode_into(&mut octets, tag.into_structure()).unwrap();
        prop_assert_eq!(parser::octets(&printed), Ok(octets.to_vec()), "{}", printed);
    }

    #[test]
    fn ldap3_proto_reads_plain_text_as_meant(tree in tree("[a-zA-Z0-9@.,_/-]{1,8}".prop_map(String::into_bytes), 1)) {
        let filter = tree.borrow();
        let text = filter.to_string();
        let theirs = ldap3_proto::parse_ldap_filter_str(&text);
        prop_assert_eq!(theirs.ok(), translate(&filter), "{}", text);
    }
}
