//! Base and scope of a search as places.
//!
//! Must not know filters or controls.

use crate::filter::within::Within;
use crate::index::snapshot::Snapshot;
use crate::model::number::{BranchIx, Met, WrongNumber};
use crate::model::place::{Container, Entry, Place, PlaceRange, UserOrGroup};
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
            _ => found(context, name, resolved).unwrap_or_else(|wrong| Err(damaged(wrong))),
        },
        Err(DnNameError::Wrong(wrong)) => Err(damaged(wrong)),
        Err(error @ DnNameError::Malformed(_)) => {
            Err(LdapResult::new(ResultCode::InvalidDnSyntax, error.to_string()))
        }
    }
}

fn found(
    context: &Context<'_>,
    name: &Name<'_>,
    resolved: Resolved,
) -> Result<Result<Entry, LdapResult>, WrongNumber> {
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
            // What the viewer does not see is answered like what is not there: by the name, not by where the entry is.
            let above = context.tree.units_above(context.snapshot, name)?;
            let twin = match first {
                Some(first) => visible_twin(context, first, &above)?,
                None => None,
            };
            match (twin, context.first_visible(above.into_iter().rev())?) {
                (Some(twin), _) => Ok(Ok(twin)),
                (None, Some(above)) => missing(Some(above)),
                (None, None) => missing(first.map(container_of)),
            }
        }
    }
}

/// The entry the viewer sees of those whose names differ from an entry's only in spelling: authentik lets people log in
/// with any spelling of their name, even one that is somebody else's exact name. A name with organizational units `above` that
/// paths make means only those who are in the lowest.
fn visible_twin(context: &Context<'_>, entry: Entry, above: &[Entry]) -> Result<Option<Entry>, WrongNumber> {
    let layout = context.snapshot.records.layout;
    let branches = &context.snapshot.records.branches;
    let Some(record) = layout.record_of(entry)? else {
        return Ok(None);
    };
    let twins = context.snapshot.twins(record)?.iter();
    let met = Met::default();
    let is_meant = |user| match above.last() {
        Some(Entry::Branch(branch)) => met.or(branches.of(user), BranchIx::ROOT) == *branch,
        _ => true,
    };
    let twin = context.first_visible(twins.filter_map(|&twin| match (layout.which(twin), entry) {
        (UserOrGroup::User(user), Entry::User(_)) => is_meant(user).then_some(Entry::User(user)),
        (UserOrGroup::User(user), Entry::VirtualGroup(_)) => Some(Entry::VirtualGroup(user)),
        (UserOrGroup::Group(group), Entry::Group(_)) => Some(Entry::Group(group)),
        _ => None,
    }))?;
    met.answer(twin)
}

/// The entry a leaf is in.
fn container_of(entry: Entry) -> Entry {
    Entry::Container(match entry {
        Entry::Container(_) => Container::Base,
        Entry::User(_) | Entry::Branch(_) => Container::Users,
        Entry::Group(_) => Container::Groups,
        Entry::VirtualGroup(_) => Container::VirtualGroups,
    })
}

/// The places that base and scope cover, and to which part of the tree they belong if others are among them.
pub(crate) fn in_scope(
    snapshot: &Snapshot,
    base: Entry,
    scope: Scope,
) -> Result<(InScope, Option<Within>), WrongNumber> {
    let (layout, branches) = (snapshot.records.layout, &snapshot.records.branches);
    let place = layout.place(base)?;
    let unit = match (base, scope) {
        (_, Scope::BaseObject) => None,
        (Entry::Branch(branch), _) => Some(branch),
        (Entry::Container(Container::Users), Scope::SingleLevel) => {
            branches.are_made().then_some(BranchIx::ROOT)
        }
        _ => None,
    };
    if let Some(unit) = unit {
        let end = layout.branch(unit)?.get() + (branches.get(unit)?.end.get() - unit.get());
        let below = PlaceRange::new(place.next(), Place::new(end));
        let users = layout.children(Container::Users);
        let of = |units| InScope::of([units, users, PlaceRange::default()]);
        return Ok(match scope {
            Scope::SingleLevel => (of(below), Some(Within::Directly(unit))),
            Scope::WholeSubtree => (
                of(PlaceRange::new(place, below.end)),
                Some(Within::Anywhere(unit)),
            ),
            _ => (of(below), Some(Within::Anywhere(unit))),
        });
    }
    let (children, below) = match base {
        Entry::Container(Container::Base) => {
            let containers = [Container::Users, Container::Groups, Container::VirtualGroups];
            (
                InScope::of(containers.map(|container| PlaceRange::one(layout.container(container)))),
                PlaceRange::new(place.next(), layout.end()),
            )
        }
        Entry::Container(container) => (InScope::one(layout.children(container)), layout.below(container)),
        _ => (InScope::default(), PlaceRange::new(place.next(), place.next())),
    };
    let covered = match scope {
        Scope::BaseObject => InScope::one(PlaceRange::one(place)),
        Scope::SingleLevel => children,
        Scope::WholeSubtree => InScope::one(PlaceRange::new(place, below.end)),
        Scope::SubordinateSubtree => InScope::one(below),
    };
    Ok((covered, None))
}

/// The result when a number points nowhere: `other (80)`, which the directory gives for nothing else.
pub(crate) fn damaged(wrong: WrongNumber) -> LdapResult {
    LdapResult::new(ResultCode::Other, format!("internal error: {wrong}"))
}
