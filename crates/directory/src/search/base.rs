//! Base and scope of a search as places.
//!
//! Must not know filters or controls.

use crate::model::number::WrongNumber;
use crate::model::place::{Container, Entry, Layout, PlaceRange, UserOrGroup};
use crate::plan::in_scope::InScope;
use crate::view::context::{Context, View};
use crate::view::naming::{DnNameError, Resolved};
use akldap_ldap::dn::Name;
use akldap_ldap::message::Scope;
use akldap_ldap::response::{LdapResult, ResultCode};

/// The entry a search starts from.
pub(crate) fn base_entry(context: &Context<'_>, name: &Name<'_>) -> Result<Entry, LdapResult> {
    match context.tree.resolve(context.snapshot, name) {
        Ok(resolved) => match (context.view, &resolved) {
            // Whoever sees everything sees the first one.
            (View::Full, Resolved::Entries(entries)) if let [first, ..] = entries.as_slice() => Ok(*first),
            _ => found(context, resolved).unwrap_or_else(|wrong| Err(damaged(wrong))),
        },
        Err(DnNameError::Wrong(wrong)) => Err(damaged(wrong)),
        Err(error @ DnNameError::Malformed(_)) => {
            Err(LdapResult::new(ResultCode::InvalidDnSyntax, error.to_string()))
        }
    }
}

fn found(context: &Context<'_>, resolved: Resolved) -> Result<Result<Entry, LdapResult>, WrongNumber> {
    let missing = |above: Option<Entry>| {
        let matched_dn = match above {
            Some(entry) => context.dn(entry)?.concat(),
            None => Vec::new(),
        };
        Ok(Err(LdapResult {
            code: ResultCode::NoSuchObject,
            matched_dn,
            diagnostic_message: "no such entry".into(),
        }))
    };
    match resolved {
        Resolved::Outside => missing(None),
        Resolved::Missing(above) => missing(context.first_visible(above.into_iter().rev())?),
        Resolved::Entries(entries) => {
            let first = entries.first().copied();
            if let Some(entry) = context.first_visible(entries)? {
                return Ok(Ok(entry));
            }
            let twin = match first {
                Some(first) => visible_twin(context, first)?,
                None => None,
            };
            match twin {
                Some(twin) => Ok(Ok(twin)),
                None => missing(first.map(container_of)),
            }
        }
    }
}

/// The entry the viewer sees of those whose names differ from an entry's only in spelling: authentik lets people log in
/// with any spelling of their name, even one that is somebody else's exact name.
fn visible_twin(context: &Context<'_>, entry: Entry) -> Result<Option<Entry>, WrongNumber> {
    let layout = context.snapshot.records.layout;
    let Some(record) = layout.record_of(entry)? else {
        return Ok(None);
    };
    let twins = context.snapshot.twins(record)?.iter();
    context.first_visible(twins.filter_map(|&twin| match (layout.which(twin), entry) {
        (UserOrGroup::User(user), Entry::User(_)) => Some(Entry::User(user)),
        (UserOrGroup::User(user), Entry::VirtualGroup(_)) => Some(Entry::VirtualGroup(user)),
        (UserOrGroup::Group(group), Entry::Group(_)) => Some(Entry::Group(group)),
        _ => None,
    }))
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
pub(crate) fn in_scope(layout: Layout, base: Entry, scope: Scope) -> Result<InScope, WrongNumber> {
    let place = layout.place(base)?;
    let (children, below) = match base {
        Entry::Container(Container::Base) => {
            let containers = [Container::Users, Container::Groups, Container::VirtualGroups];
            (
                InScope::of(containers.map(|container| PlaceRange::one(layout.container(container)))),
                PlaceRange::new(place.next(), layout.end()),
            )
        }
        Entry::Container(container) => {
            let children = layout.children(container);
            (InScope::one(children), children)
        }
        _ => (InScope::default(), PlaceRange::new(place.next(), place.next())),
    };
    Ok(match scope {
        Scope::BaseObject => InScope::one(PlaceRange::one(place)),
        Scope::SingleLevel => children,
        Scope::WholeSubtree => InScope::one(PlaceRange::new(place, below.end)),
        Scope::SubordinateSubtree => InScope::one(below),
    })
}

/// The result when a number points nowhere: `other (80)`, which the directory gives for nothing else.
pub(crate) fn damaged(wrong: WrongNumber) -> LdapResult {
    LdapResult::new(ResultCode::Other, format!("internal error: {wrong}"))
}
