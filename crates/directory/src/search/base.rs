//! Base and scope of a search as places.
//!
//! Must not know filters or controls.

use crate::model::place::{Container, Entry, Layout};
use crate::plan::outline::InScope;
use crate::view::context::Context;
use crate::view::tree::Resolved;
use akldap_ldap::dn::Name;
use akldap_ldap::message::Scope;
use akldap_ldap::response::{LdapResult, ResultCode};

/// The entry a search starts from.
pub(crate) fn base_entry(context: &Context<'_>, name: &Name<'_>) -> Result<Entry, LdapResult> {
    let missing = |above: Option<Entry>| LdapResult {
        code: ResultCode::NoSuchObject,
        matched_dn: above.map(|entry| context.dn(entry).concat()).unwrap_or_default(),
        diagnostic_message: "no such entry".into(),
    };
    match context.tree.resolve(context.snapshot, name) {
        Err(error) => Err(LdapResult::new(
            ResultCode::InvalidDnSyntax,
            format!("malformed name: {error}"),
        )),
        Ok(Resolved::Outside) => Err(missing(None)),
        Ok(Resolved::Missing(above)) => Err(missing(
            above.into_iter().rfind(|&entry| context.is_visible(entry)),
        )),
        Ok(Resolved::Entries(entries)) => {
            let first = entries.first().copied();
            entries
                .into_iter()
                .find(|&entry| context.is_visible(entry))
                .or_else(|| first.and_then(|first| visible_twin(context, first)))
                .ok_or_else(|| missing(first.map(container_of)))
        }
    }
}

/// The entry the viewer sees of those whose names differ from an entry's only in spelling: authentik lets people log in
/// by any spelling of their name, also by one that is another's exact name.
fn visible_twin(context: &Context<'_>, entry: Entry) -> Option<Entry> {
    let (record, entry_of): (_, fn(u32) -> Entry) = match entry {
        Entry::Container(_) => return None,
        Entry::User(user) => (user, Entry::User),
        Entry::VirtualGroup(user) => (user, Entry::VirtualGroup),
        Entry::Group(group) => (context.snapshot.records.group_record(group), Entry::Group),
    };
    context
        .snapshot
        .twins(record)
        .map(entry_of)
        .find(|&entry| context.is_visible(entry))
}

/// The entry a leaf is in.
fn container_of(entry: Entry) -> Entry {
    Entry::Container(match entry {
        Entry::Container(_) => Container::Base,
        Entry::User(_) => Container::Users,
        Entry::Group(_) => Container::Groups,
        Entry::VirtualGroup(_) => Container::VirtualGroups,
    })
}

/// The places that base and scope cover.
pub(crate) fn in_scope(layout: Layout, base: Entry, scope: Scope) -> InScope {
    let place = layout.place(base);
    let own = place..place + 1;
    let (children, below) = match base {
        Entry::Container(Container::Base) => {
            let containers = [Container::Users, Container::Groups, Container::VirtualGroups];
            let places = containers.map(|container| layout.place(Entry::Container(container)));
            (
                InScope::of(places.map(|place| place..place + 1)),
                place + 1..layout.end(),
            )
        }
        Entry::Container(container) => {
            let children = layout.children(container);
            (InScope::one(children.clone()), children)
        }
        _ => (InScope::default(), place + 1..place + 1),
    };
    match scope {
        Scope::BaseObject => InScope::one(own),
        Scope::SingleLevel => children,
        Scope::WholeSubtree => InScope::one(place..below.end),
        Scope::SubordinateSubtree => InScope::one(below),
    }
}
