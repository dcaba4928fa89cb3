//! The default answer: every attribute of an entry that authentik's outpost serves, in a fixed order.
//!
//! Knows which of them are stored as they are sent and which are computed, and copies the usual entry in a few pieces.
//! Must not know what a search asks for.

use crate::model::built_in::AttributeId;
use crate::model::built_in::questions::{Those, count, ids};
use crate::model::encoded::Elements;
use crate::model::number::{UserIx, WrongNumber};
use crate::model::object_classes::{ClassesOf, object_classes};
use crate::model::place::Entry;
use crate::model::record::{self, Record};
use crate::values::digits::Digits;
use crate::view::context::Context;
use crate::view::values::{Attribute, write_groups};

/// The computed attributes of a default answer, by kind of entry.
const OF_USERS: [AttributeId; count(Those::DefaultOfUsers)] = ids(Those::DefaultOfUsers);
const OF_GROUPS: [AttributeId; count(Those::DefaultOfGroups)] = ids(Those::DefaultOfGroups);
const OF_VIRTUAL_GROUPS: [AttributeId; count(Those::DefaultOfVirtualGroups)] =
    ids(Those::DefaultOfVirtualGroups);

/// What organizational units that paths make have like those of a tree, where it is stored with the other attributes.
const NAME_OF_BRANCHES: AttributeId = AttributeId::DISTINGUISHED_NAME;

/// Something to copy into an answer.
pub(crate) enum Piece<'a> {
    Attribute(Attribute<'a>),
    /// A run of encoded attributes.
    Run(&'a [u8]),
}

impl<'a> Piece<'a> {
    pub(crate) fn write(
        &self,
        context: &Context<'a>,
        types_only: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), WrongNumber> {
        match self {
            Self::Attribute(attribute) => attribute.write(context, types_only, out),
            Self::Run(run) if types_only => {
                Elements(run).try_for_each(|element| Attribute::Stored(element?).write(context, true, out))
            }
            Self::Run(run) => {
                out.extend_from_slice(run);
                Ok(())
            }
        }
    }
}

/// Calls `each` with the parts of the default answer.
pub(crate) fn pieces<'a>(
    context: &Context<'a>,
    entry: Entry,
    each: &mut impl FnMut(Piece<'a>) -> Result<(), WrongNumber>,
) -> Result<(), WrongNumber> {
    let records = &context.snapshot.records;
    let computed: &[AttributeId] = match entry {
        Entry::Container(container) => {
            return each(Piece::Run(&context.tree.container(container).held.block));
        }
        Entry::Branch(branch) => {
            each(Piece::Run(&records.branches.get(branch)?.held.block))?;
            return match context.attribute(entry, NAME_OF_BRANCHES)? {
                Some(name) => each(Piece::Attribute(name)),
                None => Ok(()),
            };
        }
        Entry::User(_) => &OF_USERS,
        Entry::Group(_) => &OF_GROUPS,
        Entry::VirtualGroup(_) => {
            for id in std::iter::once(AttributeId::OBJECT_CLASS).chain(OF_VIRTUAL_GROUPS) {
                if !records.attributes.is_hidden(id)
                    && let Some(attribute) = context.attribute(entry, id)?
                {
                    each(Piece::Attribute(attribute))?;
                }
            }
            return Ok(());
        }
    };
    let Some(record) = records.layout.record_of(entry)? else {
        return Ok(());
    };
    let record = records.get(record)?;
    if record.has(record::IRREGULAR) {
        return irregular_pieces(context, entry, record, computed, each);
    }
    let mut run = Some(records.block(record)?);
    for id in std::iter::once(AttributeId::OBJECT_CLASS).chain(computed.iter().copied()) {
        if !record.overrides(id)
            && let Some(attribute) = context.attribute(entry, id)?
        {
            each(Piece::Attribute(attribute))?;
        }
        if let Some(run) = run.take() {
            each(Piece::Run(run))?;
        }
    }
    Ok(())
}

/// The same for a user or group that a shape shows with more or less than that.
fn irregular_pieces<'a>(
    context: &Context<'a>,
    entry: Entry,
    record: &Record,
    computed: &[AttributeId],
    each: &mut impl FnMut(Piece<'a>) -> Result<(), WrongNumber>,
) -> Result<(), WrongNumber> {
    let records = &context.snapshot.records;
    let mut stored = Elements(records.block(record)?);
    let mut list = Some(records.attribute_lists.get(record.attribute_list)?);
    let shown = &context.snapshot.shown;
    let (always, operational) = (shown.always(entry), shown.operational(entry));
    let always = always.iter().filter(|id| !computed.contains(id));
    let computed = computed.iter().chain(always).copied();
    for id in std::iter::once(AttributeId::OBJECT_CLASS).chain(computed) {
        if !record.overrides(id)
            && !records.attributes.is_hidden(id)
            && let Some(attribute) = context.attribute(entry, id)?
        {
            each(Piece::Attribute(attribute))?;
        }
        for id in list.take().into_iter().flatten() {
            let element = stored.read()?;
            if !operational.contains(id) {
                each(Piece::Run(element.whole))?;
            }
        }
    }
    stored.end()
}

/// Whether the default answer has an attribute found under a number; if it is stored, under any of its names.
pub(crate) fn is_in_default_answer(
    context: &Context<'_>,
    entry: Entry,
    id: AttributeId,
    attribute: &Attribute<'_>,
) -> bool {
    let shown = &context.snapshot.shown;
    if matches!(attribute, Attribute::Stored(_)) {
        return !shown.operational(entry).contains(&id);
    }
    if id == AttributeId::OBJECT_CLASS || shown.always(entry).contains(&id) {
        return true;
    }
    match entry {
        Entry::Container(_) => false,
        Entry::Branch(_) => id == NAME_OF_BRANCHES,
        Entry::User(_) => OF_USERS.contains(&id),
        Entry::Group(_) => OF_GROUPS.contains(&id),
        Entry::VirtualGroup(_) => OF_VIRTUAL_GROUPS.contains(&id),
    }
}

/// Appends the default answer.
#[inline]
pub(crate) fn write(context: &Context<'_>, entry: Entry, out: &mut Vec<u8>) -> Result<(), WrongNumber> {
    if let Entry::User(user) = entry {
        let record = context
            .snapshot
            .records
            .get(context.snapshot.records.user_record(user)?)?;
        if record.flags & OVERRIDES_OF_USERS == 0 {
            return write_usual_user(context, user, record, out);
        }
    }
    pieces(context, entry, &mut |piece| piece.write(context, false, out))
}

/// The overrides of what is computed in the default answer of a user, and whatever else makes it unusual.
const OVERRIDES_OF_USERS: u32 = {
    let [first, second, third] = OF_USERS;
    record::IRREGULAR
        | AttributeId::OBJECT_CLASS.override_bit()
        | first.override_bit()
        | second.override_bit()
        | third.override_bit()
};

// What [`write_usual_user`] writes after what is stored, in this order.
const _: () = {
    let [first, second, third] = OF_USERS;
    assert!(first.0 == AttributeId::UID_NUMBER.0);
    assert!(second.0 == AttributeId::GID_NUMBER.0);
    assert!(third.0 == AttributeId::MEMBER_OF.0);
};
const UID_NUMBER: [u8; 9] = AttributeId::UID_NUMBER.name_octets();
const GID_NUMBER: [u8; 9] = AttributeId::GID_NUMBER.name_octets();
const MEMBER_OF: [u8; 8] = AttributeId::MEMBER_OF.name_octets();

/// A user without such overrides: nearly every one.
fn write_usual_user(
    context: &Context<'_>,
    user: UserIx,
    record: &Record,
    out: &mut Vec<u8>,
) -> Result<(), WrongNumber> {
    out.extend_from_slice(object_classes(ClassesOf::Users));
    out.extend_from_slice(context.snapshot.records.block(record)?);
    let number = Digits::new(context.user_number(user)?);
    for name in [&UID_NUMBER, &GID_NUMBER] {
        write_number(out, name, &number);
    }
    let groups = context.snapshot.records.memberships.user_groups.of(user)?;
    write_groups(context, &MEMBER_OF, groups, out)
}

/// Appends a PartialAttribute with one number; it is always shorter than 128 octets.
#[inline]
fn write_number(out: &mut Vec<u8>, name: &[u8; 9], number: &Digits) {
    let digits = number.as_bytes();
    let size = number.len();
    let mut front = [
        0x30,
        15 + size,
        0x04,
        9,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0x31,
        2 + size,
        0x04,
        size,
    ];
    front[4..13].copy_from_slice(name);
    out.extend_from_slice(&front);
    out.extend_from_slice(digits);
}
