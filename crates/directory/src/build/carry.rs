//! Puts users and groups that were taken out of a snapshot or a file into a builder.
//!
//! Must not know how they are written as octets.

use crate::build::builder::{Builder, PendingGroup, PendingUser};
use crate::build::carried::{Carried, CarriedGroup, CarriedUser};
use crate::build::flags::flag;
use crate::build::record::{FULL, RecordName, Warning};
use crate::custom::{self, policy::CustomPolicy};
use crate::index::snapshot::Snapshot;
use crate::model::built_in::AttributeId;
use crate::model::encoded::{self, Elements, EncodedElement};
use crate::model::number::WrongNumber;
use crate::model::record;
use crate::view::subschema::declared_oid;

impl Builder {
    /// Adds a user taken from a snapshot or a file.
    pub fn carry_user(&mut self, user: &CarriedUser<'_>) {
        let whose = || RecordName::User(user.record.name.to_owned());
        let uid_offset = self.copy_attributes(&user.record, user.uid, whose);
        let active = flag(user.active, record::ACTIVE);
        let flags = user.record.flags() | active | user.number_source;
        let account = self.account(user.path, user.kind, &user.roles);
        let ended = match self.has_room_for_path(user.path) {
            true => self.end(user.record.name, flags, user.uid, uid_offset),
            false => None,
        };
        let (Some((record, name, uid)), Some(account)) = (ended, account) else {
            return self.skip(whose(), FULL);
        };
        self.users.push(PendingUser {
            pk: user.pk,
            uuid: user.uuid,
            record,
            uid,
            name,
            password_change: user.password_change,
            account,
        });
    }

    /// Adds a group taken from a snapshot or a file. Members and parents that are not added too are left out.
    pub fn carry_group(&mut self, group: &CarriedGroup<'_>) {
        let whose = || RecordName::Group(group.record.name.to_owned());
        self.copy_attributes(&group.record, "", whose);
        let ended = match self.has_room_for(group.members.len(), group.parents.len()) {
            true => self.end(group.record.name, group.record.flags(), "", None),
            false => None,
        };
        let Some((record, name, _)) = ended else {
            return self.skip(whose(), FULL);
        };
        let members = self.members.len();
        self.members.extend_from_slice(&group.members);
        let parents = self.parents.len();
        self.parents.extend_from_slice(&group.parents);
        self.groups.push(PendingGroup {
            uuid: group.uuid,
            number: group.number,
            record,
            name,
            members: members..self.members.len(),
            parents: parents..self.parents.len(),
            roles: group.roles.as_ref().into(),
        });
    }

    /// A builder without users or groups that treats custom attributes as a snapshot does.
    #[must_use]
    pub fn like(snapshot: &Snapshot) -> Self {
        let mut builder = Self::with_policy(snapshot.policy);
        builder.attributes.take_aliases(&snapshot.records.attributes);
        builder
    }

    /// Drops the users added so far whose primary key should not be kept, so that they can be added again.
    pub fn retain_users(&mut self, mut keep: impl FnMut(i64) -> bool) {
        self.users.retain(|user| keep(user.pk));
    }

    /// Copies the attributes into the record being encoded. Returns where in it the built-in uid is.
    fn copy_attributes(
        &mut self,
        record: &Carried<'_>,
        uid: &str,
        whose: impl Fn() -> RecordName,
    ) -> Option<usize> {
        self.begin();
        let mut uid_offset = None;
        for element in Elements(&record.attributes) {
            let (whole, name, values) = match element.and_then(counted) {
                Ok(read) => read,
                Err(wrong) => {
                    self.damaged(wrong);
                    continue;
                }
            };
            let id = match self.attributes.find_any_case(name) {
                Some(id) => Some(id),
                // What is numbered was admitted before.
                None if !self.policy.admits(name) => continue,
                None => {
                    // What is carried was read as text before.
                    let Ok(official) = std::str::from_utf8(name) else {
                        self.damaged(WrongNumber::Octets);
                        continue;
                    };
                    for other in custom::other_names(official) {
                        self.attributes.add_alias(&other, official);
                    }
                    self.attributes.add_alias(&declared_oid(official), official);
                    self.attributes.intern(name)
                }
            };
            let Some(id) = id else {
                self.warnings.push(|| Warning::AttributeSkipped {
                    whose: whose(),
                    attribute: String::from_utf8_lossy(name).into_owned(),
                    reason: "there are too many different attributes",
                });
                continue;
            };
            self.block.extend_from_slice(whole);
            if id == AttributeId::UID && !record.replaces(id) {
                // The one value ends the attribute.
                uid_offset = self.block.len().checked_sub(uid.len());
            }
            self.stored(id, values);
        }
        uid_offset
    }

    /// Notes that what is carried over is not whole: nothing is built from it.
    fn damaged(&mut self, wrong: WrongNumber) {
        self.damage.get_or_insert(wrong);
    }
}

/// An encoded attribute: all of it, its description, and how many values it has.
fn counted(element: EncodedElement<'_>) -> Result<(&[u8], &[u8], usize), WrongNumber> {
    let (name, set) = encoded::attribute(&element)?;
    let values = encoded::values(set).try_fold(0, |count, value| value.map(|_| count + 1));
    Ok((element.whole, name, values?))
}

impl Carried<'_> {
    fn flags(&self) -> u32 {
        self.replaced | flag(self.superuser, record::SUPERUSER)
    }
}

impl Snapshot {
    /// The same directory without the custom attributes that a policy does not admit.
    ///
    /// # Errors
    /// When a number points to nothing.
    pub fn under(self, policy: CustomPolicy) -> Result<Self, WrongNumber> {
        let admitted = self
            .records
            .attributes
            .iter()
            .all(|(name, id)| id.is_built_in() || policy.admits(name));
        if admitted {
            return Ok(Self { policy, ..self });
        }
        let mut builder = Builder::with_policy(policy);
        for user in self.users() {
            builder.carry_user(&self.carried_user(user)?);
        }
        for group in self.groups() {
            builder.carry_group(&self.carried_group(group)?);
        }
        Ok(builder.finish()?.0)
    }
}
