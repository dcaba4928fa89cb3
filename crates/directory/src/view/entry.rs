//! Entries: where each stands in the answer, and what its attributes hold for one provider and one viewer.
//!
//! Knows which attributes are stored and how the others follow from a record's place, number and memberships. Nothing is
//! allocated. Must not know filters or selections.

use crate::model::attribute::AttributeRef;
use crate::model::built_in::AttributeId;
use crate::model::encoded;
use crate::model::object_classes::{ClassesOf, object_classes};
use crate::model::place::{Container, Entry, virtual_group_uuid};
use crate::model::row;
use crate::view::context::{Context, View};
use crate::view::subschema::SUBSCHEMA_DN;
use crate::view::values::{Attribute, Values};

impl<'a> Context<'a> {
    /// The attribute of an entry that a description means.
    #[inline]
    pub(crate) fn find(&self, entry: Entry, attribute: &AttributeRef) -> Option<Attribute<'a>> {
        if let Entry::Container(container) = entry {
            return match self.tree.container(container).find(attribute) {
                Some(element) => Some(Attribute::Stored(element)),
                None if self.tree.alone => None,
                None => self.attribute(entry, attribute.first?),
            };
        }
        attribute.ids().find_map(|id| self.attribute(entry, id))
    }

    /// An attribute of an entry. Of base and containers only those that every entry has; the rest is found by name.
    #[inline]
    pub(crate) fn attribute(&self, entry: Entry, id: AttributeId) -> Option<Attribute<'a>> {
        let computed = |values| Some(Attribute::Computed(id, values));
        let record = match entry {
            Entry::User(user) => user,
            Entry::Group(group) => self.snapshot.records.group_record(group),
            Entry::VirtualGroup(_) if id == AttributeId::OBJECT_CLASS => {
                return Some(classes(ClassesOf::VirtualGroups));
            }
            Entry::VirtualGroup(user) => return computed(self.of_virtual_group(user, id)?),
            Entry::Container(_) if self.tree.alone => return None,
            Entry::Container(_) => return computed(self.of_every_entry(entry, id)?),
        };
        if !id.is_computed() || self.snapshot.records.row(record).overrides(id) {
            return self.snapshot.records.stored(record, id).map(Attribute::Stored);
        }
        match (entry, id) {
            (Entry::User(_), AttributeId::OBJECT_CLASS) => Some(classes(ClassesOf::Users)),
            (Entry::Group(_), AttributeId::OBJECT_CLASS) => Some(classes(ClassesOf::Groups)),
            (Entry::User(user), _) => computed(self.of_user(user, id)?),
            (Entry::Group(group), _) => computed(self.of_group(group, id)?),
            _ => None,
        }
    }

    fn of_user(&self, user: u32, id: AttributeId) -> Option<Values<'a>> {
        Some(match id {
            AttributeId::UID_NUMBER | AttributeId::GID_NUMBER => Values::Number(self.user_number(user)),
            AttributeId::MEMBER_OF => Values::Dns {
                users: &[],
                groups: self.snapshot.records.memberships.user_groups.of(user),
            },
            AttributeId::STRUCTURAL_OBJECT_CLASS => Values::Text(b"inetOrgPerson"),
            _ => return self.of_every_entry(Entry::User(user), id),
        })
    }

    fn of_group(&self, group: u32, id: AttributeId) -> Option<Values<'a>> {
        Some(match id {
            AttributeId::GID_NUMBER => Values::Number(self.group_number(group)),
            AttributeId::MEMBER | AttributeId::UNIQUE_MEMBER => {
                let (users, groups) = (self.members(group), self.child_groups(group));
                if users.is_empty() && groups.is_empty() {
                    return None;
                }
                Values::Dns { users, groups }
            }
            AttributeId::MEMBER_UID => match self.members(group) {
                [] => return None,
                users => Values::Names(users),
            },
            AttributeId::MEMBER_OF => Values::Dns {
                users: &[],
                groups: self.parent_groups(group),
            },
            AttributeId::STRUCTURAL_OBJECT_CLASS => Values::Text(b"groupOfNames"),
            _ => return self.of_every_entry(Entry::Group(group), id),
        })
    }

    fn of_virtual_group(&self, user: u32, id: AttributeId) -> Option<Values<'a>> {
        if let Some(text) = self.snapshot.records.of_virtual_group(user, id) {
            return Some(Values::Text(text));
        }
        let row = self.snapshot.records.row(user);
        Some(match id {
            AttributeId::MEMBER_UID => Values::Text(self.snapshot.records.name(user)),
            AttributeId::GID_NUMBER if row.has(row::OWN_GID_NUMBER) => {
                Values::Set(self.snapshot.records.stored_set(user, AttributeId::GID_NUMBER)?)
            }
            AttributeId::GID_NUMBER if row.has(row::OWN_UID_NUMBER) => {
                Values::Set(self.snapshot.records.stored_set(user, AttributeId::UID_NUMBER)?)
            }
            AttributeId::GID_NUMBER => Values::Number(self.user_number(user)),
            AttributeId::MEMBER | AttributeId::UNIQUE_MEMBER => Values::Dn(Entry::User(user)),
            AttributeId::MEMBER_OF => Values::None,
            AttributeId::STRUCTURAL_OBJECT_CLASS => Values::Text(b"groupOfNames"),
            _ => return self.of_every_entry(Entry::VirtualGroup(user), id),
        })
    }

    fn of_every_entry(&self, entry: Entry, id: AttributeId) -> Option<Values<'a>> {
        let subordinates = || self.subordinates(entry);
        Some(match id {
            AttributeId::ENTRY_UUID => Values::Uuid(self.uuid(entry)?),
            AttributeId::ENTRY_DN | AttributeId::DISTINGUISHED_NAME => Values::Dn(entry),
            AttributeId::STRUCTURAL_OBJECT_CLASS => match entry {
                Entry::Container(Container::Base) => Values::Text(b"domain"),
                _ => Values::Text(b"organizationalUnit"),
            },
            AttributeId::HAS_SUBORDINATES if subordinates() == 0 => Values::Text(b"FALSE"),
            AttributeId::HAS_SUBORDINATES => Values::Text(b"TRUE"),
            AttributeId::NUM_SUBORDINATES => Values::Number(subordinates()),
            AttributeId::SUBSCHEMA_SUBENTRY => Values::Text(SUBSCHEMA_DN.as_bytes()),
            _ => return None,
        })
    }

    fn uuid(&self, entry: Entry) -> Option<[u8; 16]> {
        let user = |user: u32| {
            let uuid = self.snapshot.records.users.uuids.get(user as usize).copied()?;
            (uuid != [0; 16]).then_some(uuid)
        };
        match entry {
            Entry::Container(container) => Some(self.tree.container(container).uuid),
            Entry::User(index) => user(index),
            Entry::Group(group) => self.snapshot.records.groups.uuids.get(group as usize).copied(),
            Entry::VirtualGroup(index) => user(index).map(virtual_group_uuid),
        }
    }

    /// How many entries the viewer sees directly below an entry.
    fn subordinates(&self, entry: Entry) -> i64 {
        let Entry::Container(container) = entry else {
            return 0;
        };
        match (container, self.view) {
            (Container::Base, _) => 3,
            (Container::Users | Container::VirtualGroups, View::Full) => {
                i64::from(self.snapshot.records.user_count_u32())
            }
            (Container::Groups, View::Full) => i64::from(self.snapshot.records.group_count_u32()),
            (_, View::Own(None)) => 0,
            (Container::Users | Container::VirtualGroups, View::Own(Some(_))) => 1,
            (Container::Groups, View::Own(Some(own))) => {
                self.snapshot.records.memberships.user_groups.of(own).len() as i64
            }
        }
    }
}

fn classes(kind: ClassesOf) -> Attribute<'static> {
    match encoded::Elements(object_classes(kind)).next() {
        Some(element) => Attribute::Stored(element),
        None => Attribute::Computed(AttributeId::OBJECT_CLASS, Values::None),
    }
}

#[cfg(test)]
mod tests;
