//! The values of an attribute: as stored, or as they follow from numbers and memberships, and how they are sent.
//!
//! Values are returned as references or in pieces; nothing is allocated. Must not know which entry has which
//! attribute.

use uuid::Uuid;

use crate::model::built_in::AttributeId;
use crate::model::encoded::{self, EncodedElement};
use crate::model::number::{GroupIx, RecordIx, UserIx, WrongNumber};
use crate::model::place::{Container, Entry};
use crate::values::digits::Digits;
use crate::view::context::Context;
use akldap_ldap::ber;
use akldap_ldap::response::{write_attribute_about, write_single_value};

/// The values of an attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values<'a> {
    None,
    /// Encoded OCTET STRINGs.
    Set(&'a [u8]),
    Text(&'a [u8]),
    Number(i64),
    Uuid([u8; 16]),
    /// The DN of an entry.
    Dn(Entry),
    /// The DNs of users, then of groups.
    Dns {
        users: &'a [UserIx],
        groups: &'a [GroupIx],
    },
    /// The names of users.
    Names(&'a [UserIx]),
}

/// An attribute of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attribute<'a> {
    /// As it is sent.
    Stored(EncodedElement<'a>),
    Computed(AttributeId, Values<'a>),
}

impl<'a> Values<'a> {
    /// Calls `each` with every value, in up to two pieces.
    #[inline]
    pub(crate) fn pieces(
        &self,
        context: &Context<'a>,
        mut each: impl FnMut([&[u8]; 2]),
    ) -> Result<(), WrongNumber> {
        match *self {
            Self::None => {}
            Self::Set(set) => {
                for value in encoded::values(set) {
                    each([value?, b""]);
                }
            }
            Self::Text(text) => each([text, b""]),
            Self::Number(number) => each([Digits::new(number).as_bytes(), b""]),
            Self::Uuid(uuid) => {
                let mut text = [0; 36];
                Uuid::from_bytes(uuid).as_hyphenated().encode_lower(&mut text);
                each([&text, b""]);
            }
            Self::Dn(entry) => each(context.dn(entry)?),
            Self::Dns { users, groups } => {
                for &user in users {
                    each(context.dn(Entry::User(user))?);
                }
                for &group in groups {
                    each(context.dn(Entry::Group(group))?);
                }
            }
            Self::Names(users) => {
                for &user in users {
                    each([
                        context
                            .snapshot
                            .records
                            .name(context.snapshot.records.user_record(user)?)?,
                        b"",
                    ]);
                }
            }
        }
        Ok(())
    }

    /// Calls `test` with every whole value until it says yes; `scratch` is for values that have to be put together.
    #[inline]
    pub(crate) fn any(
        &self,
        context: &Context<'a>,
        scratch: &mut Vec<u8>,
        mut test: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, WrongNumber> {
        match *self {
            Self::Set(set) => return encoded::any_value(set, test),
            Self::Text(text) => return Ok(test(text)),
            _ => {}
        }
        let mut found = false;
        self.pieces(context, |pieces| {
            if !found {
                scratch.clear();
                pieces.iter().for_each(|piece| scratch.extend_from_slice(piece));
                found = test(scratch);
            }
        })?;
        Ok(found)
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::Set(set) => set.is_empty(),
            Self::Dns { users, groups } => users.is_empty() && groups.is_empty(),
            Self::Names(users) => users.is_empty(),
            Self::Text(_) | Self::Number(_) | Self::Uuid(_) | Self::Dn(_) => false,
        }
    }

    fn write(&self, context: &Context<'a>, out: &mut Vec<u8>) -> Result<(), WrongNumber> {
        match *self {
            Self::Set(set) => {
                out.extend_from_slice(set);
                Ok(())
            }
            Self::Dns { users, groups } => {
                let layout = context.snapshot.records.layout;
                write_dns(
                    context,
                    users,
                    |user| layout.user_record(user),
                    Container::Users,
                    out,
                )?;
                write_dns(
                    context,
                    groups,
                    |group| Ok(layout.group_record(group)),
                    Container::Groups,
                    out,
                )
            }
            _ => self.pieces(context, |pieces| {
                let length = pieces.iter().map(|piece| piece.len()).sum();
                ber::write_header(out, ber::OCTET_STRING, length);
                pieces.iter().for_each(|piece| out.extend_from_slice(piece));
            }),
        }
    }

    /// About how many octets the values take when sent.
    fn expected_size(&self, context: &Context<'a>) -> usize {
        match *self {
            Self::None => 0,
            Self::Set(set) => set.len(),
            Self::Dns { users, groups } => {
                let suffix = context.tree.leaf_suffix(Container::Groups).len();
                (users.len() + groups.len()) * (suffix + TYPICAL_RDN)
            }
            Self::Names(users) => users.len() * TYPICAL_RDN,
            Self::Text(_) | Self::Number(_) | Self::Uuid(_) | Self::Dn(_) => 64,
        }
    }
}

/// About how many octets the members of a group take when sent.
pub(crate) fn expected_members(context: &Context<'_>, group: GroupIx) -> Result<usize, WrongNumber> {
    let users = context.members(group)?;
    Ok(Values::Dns { users, groups: &[] }.expected_size(context))
}

/// Octets of a name with its header: a guess, by which the space for a length is chosen.
const TYPICAL_RDN: usize = 16;

/// Octets of values for which space is made at once.
const LARGE: usize = 64 << 10;

/// Appends the DNs of users or groups of one container.
#[inline]
fn write_dns<N: Copy>(
    context: &Context<'_>,
    items: &[N],
    record_of: impl Fn(N) -> Result<RecordIx, WrongNumber>,
    container: Container,
    out: &mut Vec<u8>,
) -> Result<(), WrongNumber> {
    let suffix = context.tree.leaf_suffix(container);
    for &item in items {
        let rdn = context.snapshot.records.rdn(record_of(item)?)?;
        ber::write_header(out, ber::OCTET_STRING, rdn.len() + suffix.len());
        out.extend_from_slice(rdn);
        out.extend_from_slice(suffix);
    }
    Ok(())
}

/// Appends a PartialAttribute whose values `write` appends.
#[inline]
fn write_values(
    out: &mut Vec<u8>,
    name: &[u8],
    expected: usize,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), WrongNumber>,
) -> Result<(), WrongNumber> {
    let mut written = Ok(());
    write_attribute_about(out, name, expected, |out| written = write(out));
    written
}

impl<'a> Attribute<'a> {
    #[inline]
    pub(crate) fn values(&self) -> Result<Values<'a>, WrongNumber> {
        match self {
            Self::Stored(element) => encoded::attribute(element).map(|(_, set)| Values::Set(set)),
            Self::Computed(_, values) => Ok(*values),
        }
    }

    /// Appends the attribute as it is sent.
    #[inline]
    pub(crate) fn write(
        &self,
        context: &Context<'a>,
        types_only: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), WrongNumber> {
        match self {
            Self::Stored(element) if !types_only => {
                out.extend_from_slice(element.whole);
                Ok(())
            }
            _ => self.encode(context, types_only, out),
        }
    }

    /// The same for what is not stored just so.
    #[inline(never)] // What is stored is written without a call.
    fn encode(&self, context: &Context<'a>, types_only: bool, out: &mut Vec<u8>) -> Result<(), WrongNumber> {
        let (name, values) = match self {
            Self::Stored(element) => (encoded::attribute(element)?.0, Values::None),
            Self::Computed(id, _) if types_only => (id.name().as_bytes(), Values::None),
            Self::Computed(id, values) => (id.name().as_bytes(), *values),
        };
        match values {
            Values::Number(number) => {
                write_single_value(out, name, Digits::new(number).as_bytes());
                Ok(())
            }
            values => {
                let expected = values.expected_size(context);
                // Growing step by step would copy a large group's members several times.
                if expected >= LARGE {
                    out.reserve(expected);
                }
                write_values(out, name, expected, |out| values.write(context, out))
            }
        }
    }
}

/// Appends a PartialAttribute with the DNs of groups.
#[inline]
pub(crate) fn write_groups(
    context: &Context<'_>,
    name: &[u8],
    groups: &[GroupIx],
    out: &mut Vec<u8>,
) -> Result<(), WrongNumber> {
    let layout = context.snapshot.records.layout;
    let suffix = context.tree.leaf_suffix(Container::Groups).len();
    write_values(out, name, groups.len() * (suffix + TYPICAL_RDN), |out| {
        write_dns(
            context,
            groups,
            |group| Ok(layout.group_record(group)),
            Container::Groups,
            out,
        )
    })
}
