//! Entries: where each is in the answer, and what its attributes are for one provider and one viewer.
//!
//! Knows which attributes are stored and how the others follow from a record's place, number and memberships. Nothing is
//! allocated. Must not know filters or selections.

use crate::model::attribute::AttributeRef;
use crate::model::built_in::AttributeId;
use crate::model::encoded;
use crate::model::number::{BranchIx, GroupIx, UserIx, WrongNumber, count_of};
use crate::model::object_classes::{ClassesOf, object_classes};
use crate::model::place::{Container, Entry, virtual_group_uuid};
use crate::model::record;
use crate::view::context::{Context, View};
use crate::view::subschema::SUBSCHEMA_DN;
use crate::view::values::{Attribute, Values};

impl<'a> Context<'a> {
    /// The attribute of an entry that a description means.
    #[inline]
    pub(crate) fn find(
        &self,
        entry: Entry,
        attribute: &AttributeRef,
    ) -> Result<Option<Attribute<'a>>, WrongNumber> {
        if let Some(held) = self.held(entry)? {
            return match (held.find(attribute)?, attribute.first) {
                (Some(element), _) => Ok(Some(Attribute::Stored(element))),
                (None, Some(first)) if !self.tree.alone => self.attribute(entry, first),
                (None, _) => Ok(None),
            };
        }
        for id in attribute.ids() {
            // Not split and put together again: this is done for each attribute of each entry.
            match self.attribute(entry, id) {
                Ok(None) => {}
                found => return found,
            }
        }
        Ok(None)
    }

    /// An attribute of an entry. For containers, only those that every entry has; the rest is found by name.
    #[inline]
    pub(crate) fn attribute(
        &self,
        entry: Entry,
        id: AttributeId,
    ) -> Result<Option<Attribute<'a>>, WrongNumber> {
        let records = &self.snapshot.records;
        let record = match entry {
            Entry::User(user) => records.user_record(user)?,
            Entry::Group(group) => records.layout.group_record(group),
            Entry::VirtualGroup(_) if id == AttributeId::OBJECT_CLASS => {
                return classes(ClassesOf::VirtualGroups).map(Some);
            }
            Entry::VirtualGroup(user) => return computed(id, self.of_virtual_group(user, id)),
            Entry::Container(_) if self.tree.alone => return Ok(None),
            Entry::Container(_) | Entry::Branch(_) => return computed(id, self.of_every_entry(entry, id)),
        };
        if !id.is_computed() || records.get(record)?.overrides(id) {
            return match records.stored(record, id) {
                Ok(Some(element)) => Ok(Some(Attribute::Stored(element))),
                Ok(None) => Ok(None),
                Err(wrong) => Err(wrong),
            };
        }
        match (entry, id) {
            (Entry::User(_), AttributeId::OBJECT_CLASS) => classes(ClassesOf::Users).map(Some),
            (Entry::Group(_), AttributeId::OBJECT_CLASS) => classes(ClassesOf::Groups).map(Some),
            (Entry::User(user), _) => computed(id, self.of_user(user, id)),
            (Entry::Group(group), _) => computed(id, self.of_group(group, id)),
            _ => Ok(None),
        }
    }

    fn of_user(&self, user: UserIx, id: AttributeId) -> Result<Option<Values<'a>>, WrongNumber> {
        Ok(Some(match id {
            AttributeId::UID_NUMBER | AttributeId::GID_NUMBER => Values::Number(self.user_number(user)?),
            AttributeId::MEMBER_OF => Values::Dns {
                users: &[],
                groups: self.snapshot.records.memberships.user_groups.of(user)?,
            },
            AttributeId::STRUCTURAL_OBJECT_CLASS => Values::Text(b"inetOrgPerson"),
            _ => return self.of_every_entry(Entry::User(user), id),
        }))
    }

    fn of_group(&self, group: GroupIx, id: AttributeId) -> Result<Option<Values<'a>>, WrongNumber> {
        Ok(Some(match id {
            AttributeId::GID_NUMBER => Values::Number(self.group_number(group)?),
            AttributeId::MEMBER | AttributeId::UNIQUE_MEMBER => {
                let (users, groups) = (self.members(group)?, self.child_groups(group)?);
                if users.is_empty() && groups.is_empty() {
                    return Ok(None);
                }
                Values::Dns { users, groups }
            }
            AttributeId::MEMBER_UID => match self.members(group)? {
                [] => return Ok(None),
                users => Values::Names(users),
            },
            AttributeId::MEMBER_OF => Values::Dns {
                users: &[],
                groups: self.parent_groups(group)?,
            },
            AttributeId::STRUCTURAL_OBJECT_CLASS => Values::Text(b"groupOfNames"),
            _ => return self.of_every_entry(Entry::Group(group), id),
        }))
    }

    fn of_virtual_group(&self, user: UserIx, id: AttributeId) -> Result<Option<Values<'a>>, WrongNumber> {
        let records = &self.snapshot.records;
        if let Some(text) = records.of_virtual_group(user, id)? {
            return Ok(Some(Values::Text(text)));
        }
        Ok(Some(match id {
            AttributeId::MEMBER_UID => Values::Text(records.name(records.user_record(user)?)?),
            AttributeId::GID_NUMBER => {
                let record = records.get(records.user_record(user)?)?;
                let source = match () {
                    () if record.has(record::OWN_GID_NUMBER) => AttributeId::GID_NUMBER,
                    () if record.has(record::OWN_UID_NUMBER) => AttributeId::UID_NUMBER,
                    () => return Ok(Some(Values::Number(self.user_number(user)?))),
                };
                return Ok(records
                    .stored_set(records.user_record(user)?, source)?
                    .map(Values::Set));
            }
            AttributeId::MEMBER | AttributeId::UNIQUE_MEMBER => Values::Dn(Entry::User(user)),
            AttributeId::MEMBER_OF => Values::None,
            AttributeId::STRUCTURAL_OBJECT_CLASS => Values::Text(b"groupOfNames"),
            _ => return self.of_every_entry(Entry::VirtualGroup(user), id),
        }))
    }

    fn of_every_entry(&self, entry: Entry, id: AttributeId) -> Result<Option<Values<'a>>, WrongNumber> {
        Ok(Some(match id {
            AttributeId::ENTRY_UUID => return Ok(self.uuid(entry)?.map(Values::Uuid)),
            AttributeId::ENTRY_DN | AttributeId::DISTINGUISHED_NAME => Values::Dn(entry),
            AttributeId::STRUCTURAL_OBJECT_CLASS => match entry {
                Entry::Container(Container::Base) => Values::Text(b"domain"),
                _ => Values::Text(b"organizationalUnit"),
            },
            AttributeId::HAS_SUBORDINATES if self.subordinates(entry)? == 0 => Values::Text(b"FALSE"),
            AttributeId::HAS_SUBORDINATES => Values::Text(b"TRUE"),
            AttributeId::NUM_SUBORDINATES => Values::Number(self.subordinates(entry)?),
            AttributeId::SUBSCHEMA_SUBENTRY => Values::Text(SUBSCHEMA_DN.as_bytes()),
            _ => return Ok(None),
        }))
    }

    fn uuid(&self, entry: Entry) -> Result<Option<[u8; 16]>, WrongNumber> {
        let records = &self.snapshot.records;
        Ok(match entry {
            Entry::Container(container) => Some(self.tree.container(container).uuid),
            Entry::Branch(branch) => Some(self.tree.branch_uuid(records.branches.get(branch)?)),
            Entry::User(user) => records.users.uuid(user)?,
            Entry::Group(group) => Some(*records.groups.uuids.get(group)?),
            Entry::VirtualGroup(user) => records.users.uuid(user)?.map(virtual_group_uuid),
        })
    }

    /// How many entries the viewer sees directly below an entry.
    fn subordinates(&self, entry: Entry) -> Result<i64, WrongNumber> {
        let layout = self.snapshot.records.layout;
        let container = match entry {
            Entry::Branch(branch) => return self.in_branch(branch),
            Entry::Container(container) => container,
            _ => return Ok(0),
        };
        Ok(match (container, self.view) {
            (Container::Base, _) => self.tree.unit_count(),
            (Container::Users, _) if self.snapshot.records.branches.are_made() => {
                self.in_branch(BranchIx::ROOT)?
            }
            (Container::Users | Container::VirtualGroups, View::Full) => i64::from(layout.user_count()),
            (Container::Groups, View::Full) => i64::from(layout.group_count()),
            (_, View::Own(None)) => 0,
            (Container::Users | Container::VirtualGroups, View::Own(Some(_))) => 1,
            (Container::Groups, View::Own(Some(own))) => {
                let groups = self.snapshot.records.memberships.user_groups.of(own)?;
                i64::from(count_of(groups, WrongNumber::Group)?)
            }
        })
    }

    /// How many entries the viewer sees directly below an organizational unit that is the one of users or below it.
    fn in_branch(&self, branch: BranchIx) -> Result<i64, WrongNumber> {
        let branches = &self.snapshot.records.branches;
        match self.view {
            View::Full => {
                let users = count_of(branches.users_in(branch)?, WrongNumber::User)?;
                Ok(i64::from(users) + i64::from(branches.count_below(branch)?))
            }
            // The user's own entry, or the unit that leads there.
            View::Own(own) => Ok(i64::from(own.is_some())),
        }
    }
}

#[inline]
fn computed<'a>(
    id: AttributeId,
    values: Result<Option<Values<'a>>, WrongNumber>,
) -> Result<Option<Attribute<'a>>, WrongNumber> {
    Ok(values?.map(|values| Attribute::Computed(id, values)))
}

fn classes(kind: ClassesOf) -> Result<Attribute<'static>, WrongNumber> {
    encoded::Elements(object_classes(kind))
        .read()
        .map(Attribute::Stored)
}

#[cfg(test)]
mod tests;
