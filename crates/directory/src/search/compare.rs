//! The compare operation (RFC 4511 section 4.10).
//!
//! Must not know connections.

use crate::filter::evaluation::Scratch;
use crate::filter::node::Node;
use crate::index::snapshot::Snapshot;
use crate::model::number::WrongNumber;
use crate::model::place::{Container, Entry};
use crate::search::base::{base_entry, damaged};
use crate::search::request::Viewer;
use crate::search::start::empty_snapshot;
use crate::view::context::{Context, View};
use crate::view::subschema::EntryAttributes;
use crate::view::tree::Tree;
use akldap_ldap::dn::Name;
use akldap_ldap::filter::{AttributeValueAssertion, Filter};
use akldap_ldap::response::{LdapResult, ResultCode};

/// Whether an entry has a value: compareTrue or compareFalse; noSuchAttribute if it has no value of the attribute at
/// all, invalidAttributeSyntax if the value does not belong to the attribute's syntax and the entry does not store the
/// same text, noSuchObject if the viewer sees no such entry, invalidDNSyntax if the name is malformed; other if a number
/// in the snapshot points nowhere.
#[must_use]
pub fn compare(
    snapshot: &Snapshot,
    tree: &Tree,
    viewer: Viewer,
    name: &Name<'_>,
    attribute: &[u8],
    value: &[u8],
) -> LdapResult {
    let context = Context {
        snapshot,
        tree,
        view: viewer.view(snapshot),
    };
    match base_entry(&context, name) {
        Ok(entry) => compare_with(&context, entry, attribute, value).unwrap_or_else(damaged),
        Err(result) => result,
    }
}

/// The same for an entry that belongs to no provider: the rootDSE (`dn` empty) or the subschema.
#[must_use]
pub fn compare_entry(dn: &str, attributes: &EntryAttributes, attribute: &[u8], value: &[u8]) -> LdapResult {
    let tree = Tree::of_one_entry(dn, attributes);
    let snapshot = match empty_snapshot() {
        Ok(snapshot) => snapshot,
        Err(wrong) => return damaged(wrong),
    };
    let context = Context {
        snapshot: &snapshot,
        tree: &tree,
        view: View::Full,
    };
    let entry = Entry::Container(Container::Base);
    compare_with(&context, entry, attribute, value).unwrap_or_else(damaged)
}

fn compare_with(
    context: &Context<'_>,
    entry: Entry,
    attribute: &[u8],
    value: &[u8],
) -> Result<LdapResult, WrongNumber> {
    let meant = context.resolve(attribute);
    let known = meant.first.is_some() || meant.known.is_some();
    let has_values = match context.find(entry, &meant)? {
        Some(found) if known => !found.values()?.is_empty(),
        _ => false,
    };
    if !has_values {
        let text = "the entry has no such attribute";
        return Ok(LdapResult::new(ResultCode::NoSuchAttribute, text));
    }
    let filter = Filter::Equality(AttributeValueAssertion { attribute, value });
    let truth = match Node::compile(context, &filter)? {
        Some(filter) => filter.evaluate(context, entry, &mut Scratch::default())?,
        None => None,
    };
    Ok(match truth {
        Some(true) => LdapResult::new(ResultCode::CompareTrue, ""),
        Some(false) => LdapResult::new(ResultCode::CompareFalse, ""),
        None => LdapResult::new(
            ResultCode::InvalidAttributeSyntax,
            "the value does not have the attribute's syntax",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::*;

    fn code(viewer: Viewer, name: &str, attribute: &str, value: &str) -> ResultCode {
        let name = format!("{name},{SUFFIX}");
        compare(
            &snapshot(),
            &tree(),
            viewer,
            &Name::new(name.as_bytes()),
            attribute.as_bytes(),
            value.as_bytes(),
        )
        .code
    }

    #[test]
    fn values_compare_by_their_rules() {
        let staff = |attribute: &str, value: &str| code(Viewer::Full, "cn=staff,ou=groups", attribute, value);
        let bob = format!("CN=Bob, OU=users,{BASE}");
        for (attribute, value, expected) in [
            ("member", bob.as_str(), ResultCode::CompareTrue),
            ("uniqueMember", &bob, ResultCode::CompareTrue),
            ("memberUid", "bob", ResultCode::CompareTrue),
            ("gidNumber", "014000", ResultCode::CompareTrue),
            ("objectClass", "posixgroup", ResultCode::CompareTrue),
            ("cn", "other", ResultCode::CompareFalse),
            ("member", "cn=nobody,dc=x", ResultCode::CompareFalse),
            ("member", "nonsense", ResultCode::InvalidAttributeSyntax),
            ("member", "cn=a,,b", ResultCode::InvalidAttributeSyntax),
            ("gidNumber", "abc", ResultCode::InvalidAttributeSyntax),
            ("ak-superuser", "maybe", ResultCode::InvalidAttributeSyntax),
            ("entryUUID", "1", ResultCode::InvalidAttributeSyntax),
            ("objectClass", "two words", ResultCode::InvalidAttributeSyntax),
            ("objectClass", "computer", ResultCode::CompareFalse),
            ("memberOf", "cn=a,,b", ResultCode::NoSuchAttribute),
            ("memberOf", &bob, ResultCode::NoSuchAttribute),
            ("mail", "x", ResultCode::NoSuchAttribute),
            ("nosuch", "x", ResultCode::NoSuchAttribute),
            ("cn;lang-de", "staff", ResultCode::NoSuchAttribute),
            ("cn;binary", "staff", ResultCode::CompareTrue),
        ] {
            assert_eq!(staff(attribute, value), expected, "{attribute} {value}");
        }
    }

    #[test]
    fn only_what_the_viewer_sees_can_be_compared() {
        let own = Viewer::Own { user_pk: 1 };
        let bob = format!("cn=bob,ou=users,{SUFFIX}");
        assert_eq!(
            code(own, "cn=bob,ou=users", "cn", "bob"),
            ResultCode::NoSuchObject
        );
        assert_eq!(
            code(own, "cn=staff,ou=groups", "member", &bob),
            ResultCode::CompareFalse
        );
        assert_eq!(
            code(own, "cn=alice,ou=users", "cn", "alice"),
            ResultCode::CompareTrue
        );
        assert_eq!(
            code(Viewer::Full, "cn=nobody,ou=users", "cn", "x"),
            ResultCode::NoSuchObject
        );
        assert_eq!(
            code(Viewer::Full, "nonsense", "cn", "x"),
            ResultCode::InvalidDnSyntax
        );
    }
}
