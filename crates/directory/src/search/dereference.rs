//! The dereference control (draft-masarati-ldap-deref): attributes of the entries that an entry's DNs name.
//!
//! Must not know how the entry was found.

use crate::model::attribute::AttributeRef;
use crate::model::encoded;
use crate::model::number::WrongNumber;
use crate::model::place::Entry;
use crate::search::selection::Selection;
use crate::view::context::Context;
use crate::view::naming::{DnNameError, Resolved};
use crate::view::values::Values;
use akldap_ldap::ber;
use akldap_ldap::control::{Control, DEREF, DerefSpec};
use akldap_ldap::dn::Name;

/// Tag of `controls [0]` of a message, and of `attrVals [0]` of a result.
const CONTEXT_0: u8 = 0xa0;

/// What the entries that one entry names may cost, in the units of a search: a tenth of a second, which nothing
/// interrupts. A group of 100,000 members with ten attributes of each takes a third of it.
const MAX_WORK: usize = 100_000_000;

/// Why the names in an entry are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotFollowed {
    /// It is more than can be followed.
    TooMuch,
    Wrong(WrongNumber),
}

impl From<WrongNumber> for NotFollowed {
    fn from(wrong: WrongNumber) -> Self {
        Self::Wrong(wrong)
    }
}

/// What to follow, and what to return of the entries found.
#[derive(Clone, Debug)]
pub(crate) struct Dereference(Vec<(Vec<u8>, AttributeRef, Selection)>);

impl Dereference {
    pub(crate) fn new(context: &Context<'_>, specs: &[DerefSpec]) -> Self {
        Self(
            specs
                .iter()
                .filter(|spec| !spec.attributes.is_empty())
                .map(|spec| {
                    let names: Vec<&[u8]> = spec.attributes.iter().map(Vec::as_slice).collect();
                    let selection = Selection::new(&context.snapshot.records.attributes, &names, false);
                    (
                        spec.deref_attribute.clone(),
                        context.resolve(&spec.deref_attribute),
                        selection,
                    )
                })
                .collect(),
        )
    }

    /// Appends the encoded `controls [0]` element for an entry; nothing if it names none that the viewer sees. Gives up
    /// beyond `most` octets.
    pub(crate) fn write(
        &self,
        context: &Context<'_>,
        entry: Entry,
        most: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), NotFollowed> {
        let mut results = Vec::new();
        let mut work = 0_usize;
        for (name, attribute, selection) in &self.0 {
            let Some(found) = context.find(entry, attribute)? else {
                continue;
            };
            for_each_entry(context, &found.values()?, |named| {
                let within = work <= MAX_WORK && results.len() <= most;
                if within && context.is_visible(named)? {
                    let before = results.len();
                    write_result(context, name, named, selection, &mut results)?;
                    work += selection.work() + results.len() - before;
                }
                Ok(())
            })?;
            if work > MAX_WORK || results.len() > most {
                return Err(NotFollowed::TooMuch);
            }
        }
        if results.is_empty() {
            return Ok(());
        }
        let mut value = Vec::with_capacity(results.len() + 8);
        ber::write_element(&mut value, ber::SEQUENCE, &results);
        let control = Control {
            control_type: DEREF.as_bytes(),
            criticality: false,
            value: Some(&value),
        };
        ber::write_constructed(out, CONTEXT_0, |out| control.write(out));
        Ok(())
    }
}

fn write_result(
    context: &Context<'_>,
    name: &[u8],
    named: Entry,
    selection: &Selection,
    out: &mut Vec<u8>,
) -> Result<(), WrongNumber> {
    let dn = context.dn(named)?;
    let mut written = Ok(());
    ber::write_constructed(out, ber::SEQUENCE, |out| {
        ber::write_element(out, ber::OCTET_STRING, name);
        ber::write_header(out, ber::OCTET_STRING, dn.iter().map(|piece| piece.len()).sum());
        dn.iter().for_each(|piece| out.extend_from_slice(piece));
        let start = out.len();
        let mut empty = true;
        ber::write_constructed(out, CONTEXT_0, |out| {
            let start = out.len();
            written = selection.write_attributes(context, named, out);
            empty = out.len() == start;
        });
        if empty {
            out.truncate(start);
        }
    });
    written
}

/// The entries that values name.
fn for_each_entry(
    context: &Context<'_>,
    values: &Values<'_>,
    mut each: impl FnMut(Entry) -> Result<(), WrongNumber>,
) -> Result<(), WrongNumber> {
    match *values {
        Values::Dn(entry) => each(entry),
        Values::Dns { users, groups } => {
            users.iter().try_for_each(|&user| each(Entry::User(user)))?;
            groups.iter().try_for_each(|&group| each(Entry::Group(group)))
        }
        Values::Set(set) => encoded::values(set).try_for_each(|value| {
            match context.tree.resolve(context.snapshot, &Name::new(value?)) {
                Ok(Resolved::Entries(entries)) => entries.into_iter().take(1).try_for_each(&mut each),
                Err(DnNameError::Wrong(wrong)) => Err(wrong),
                Ok(_) | Err(DnNameError::Malformed(_)) => Ok(()),
            }
        }),
        _ => Ok(()),
    }
}
