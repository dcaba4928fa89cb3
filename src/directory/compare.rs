//! The compare operation (RFC 4511 section 4.10).
//!
//! Must not know connections.

use super::entry::Context;
use super::evaluation::Scratch;
use super::filter::Node;
use super::search::{Viewer, named_entry};
use super::snapshot::Snapshot;
use super::tree::Tree;
use crate::ldap::filter::{AttributeValueAssertion, Filter};
use crate::ldap::response::{LdapResult, ResultCode};

/// Whether an entry has a value: compareTrue or compareFalse; noSuchAttribute if it has no value of the attribute at
/// all, noSuchObject if the viewer sees no such entry, invalidDNSyntax if the name is malformed.
#[must_use]
pub fn compare(
    snapshot: &Snapshot,
    tree: &Tree,
    viewer: Viewer,
    name: &[u8],
    attribute: &[u8],
    value: &[u8],
) -> LdapResult {
    let context = Context {
        snapshot,
        tree,
        view: viewer.view(snapshot),
    };
    let entry = match named_entry(&context, name) {
        Ok(entry) => entry,
        Err(result) => return result,
    };
    let meant = context.resolve(attribute);
    let known = meant.first.is_some() || meant.known.is_some();
    let found = context
        .find(entry, &meant)
        .filter(|found| known && !found.values().is_empty());
    if found.is_none() {
        return LdapResult::new(ResultCode::NoSuchAttribute, "the entry has no such attribute");
    }
    let filter = Node::compile(
        &context,
        &Filter::Equality(AttributeValueAssertion { attribute, value }),
    );
    match filter.evaluate(&context, entry, &mut Scratch::default()) {
        Some(true) => LdapResult::new(ResultCode::CompareTrue, ""),
        _ => LdapResult::new(ResultCode::CompareFalse, ""),
    }
}
