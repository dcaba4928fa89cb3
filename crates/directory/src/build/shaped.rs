//! Turns a directory as it was loaded into the one that a shape shows.
//!
//! Knows what each choice of a shape means for records. Must not know providers.

mod making;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use crate::build::builder::Builder;
use crate::build::carried::{Carried, CarriedGroup, CarriedUser};
use crate::build::inherited::Related;
use crate::build::moved::Moved;
use crate::build::record::Warning;
use crate::build::visible::Visible;
use crate::index::snapshot::Snapshot;
use crate::model::attribute::AttributeTable;
use crate::model::built_in::AttributeId;
use crate::model::encoded;
use crate::model::number::{GroupIx, UserIx, WrongNumber};
use crate::model::record;
use crate::model::shown::Shown;
use crate::shape::{EntryShape, Membership, Shape, Show};
use akldap_ldap::response::write_attribute;
use making::{Entries, Making};

impl Snapshot {
    /// This directory, which was loaded and not shaped, as a shape shows it, and what could not be shown that way.
    ///
    /// # Errors
    /// When a number points to nothing.
    pub fn shaped(&self, shape: &Shape) -> Result<(Self, Vec<Warning>), WrongNumber> {
        if shape.roles_as_groups {
            let mut base = self.with_roles()?;
            let (snapshot, odd) = base.snapshot.shaped_with(shape, &base.roles)?;
            base.warnings.extend(odd);
            let warnings = base.warnings;
            return Ok((snapshot, warnings));
        }
        self.shaped_with(shape, &HashSet::new())
    }

    /// The same where these groups stand for roles.
    fn shaped_with(
        &self,
        shape: &Shape,
        roles: &HashSet<[u8; 16]>,
    ) -> Result<(Self, Vec<Warning>), WrongNumber> {
        let mut warnings = Vec::new();
        let mut visible = Visible::of(self, shape, &mut warnings)?;
        if !roles.is_empty() && !visible.is_everything() {
            visible = visible.of_groups(self, |visible, group| {
                let is_role = roles.contains(self.records.groups.uuids.get(group)?);
                Ok(!is_role || self.is_held(group, shape.membership, visible)?)
            })?;
        }
        let moved = Moved::of(self, shape, &visible, &mut warnings)?;
        let related = |group| Related::of(self, shape.membership, group);
        let (snapshot, odd) = self.with(
            shape,
            (&visible, &moved),
            (self.users(), self.groups(), Vec::new()),
            related,
        )?;
        warnings.extend(odd);
        warnings.extend(snapshot.numbers_outside(shape)?);
        Ok((snapshot, warnings))
    }

    /// The numbers that a shape has something to say about, although it [changes nothing](Shape::changes_nothing): who shares one, and whose are
    /// elsewhere than expected.
    ///
    /// # Errors
    /// When a number points to nothing.
    pub fn odd_numbers(&self, shape: &Shape) -> Result<Vec<Warning>, WrongNumber> {
        let mut warnings = Vec::new();
        let visible = Visible::of(self, shape, &mut warnings)?;
        Moved::of(self, shape, &visible, &mut warnings)?;
        warnings.extend(self.numbers_outside(shape)?);
        Ok(warnings)
    }

    /// What a user who is not shown in a shape sees: their own entry, and those of the user's groups that `shaped`, this
    /// directory in that shape, has. `None` if there is no such user.
    ///
    /// # Errors
    /// When a number points to nothing.
    pub fn own_view(
        self: &Arc<Self>,
        shaped: &Self,
        shape: &Shape,
        user_pk: i64,
    ) -> Result<Option<Self>, WrongNumber> {
        let Some(user) = self.user_by_pk(user_pk) else {
            return Ok(None);
        };
        let memberships = &self.records.memberships;
        let direct = memberships.user_groups.of(user)?;
        let groups = match shape.membership {
            Membership::Direct => direct.to_vec(),
            Membership::Inherited => memberships.group_parents.closure(direct, self.group_count())?,
        };
        let mut shown = Vec::new();
        let roles = match shape.roles_as_groups {
            true => self.own_roles(shaped, shape.membership, user, &groups)?,
            false => Vec::new(),
        };
        for group in groups {
            let uuid = self.records.groups.uuids.get(group)?;
            if shaped.records.group_by_uuid(uuid).is_some() {
                shown.push(group);
            }
        }
        let visible = Visible::just(self, user, &shown)?;
        let alone = |_| {
            let (users, above) = (vec![user], Vec::new());
            Ok(Related { users, above })
        };
        let these = (std::iter::once(user), shown.into_iter(), roles);
        // Groups have the numbers that they have for everybody.
        let mut told = Vec::new();
        let moved = match shape.numbers.is_nothing() {
            true => Moved::default(),
            false => Moved::of(self, shape, &Visible::of(self, shape, &mut told)?, &mut told)?,
        };
        let (mut own, _) = self.with(shape, (&visible, &moved), these, alone)?;
        own.part_of = Some(Arc::clone(self));
        Ok(Some(own))
    }

    /// These users and groups in a shape, each group with what it is related to, and groups that are in the shape already.
    fn with(
        &self,
        shape: &Shape,
        (visible, moved): (&Visible, &Moved),
        (users_shown, groups_shown, others): (
            impl Iterator<Item = UserIx>,
            impl Iterator<Item = GroupIx>,
            Vec<CarriedGroup<'_>>,
        ),
        related: impl Fn(GroupIx) -> Result<Related, WrongNumber>,
    ) -> Result<(Self, Vec<Warning>), WrongNumber> {
        let mut builder = match visible.is_everything() {
            true => Builder::like(self),
            // Other names of attributes reveal those whose attributes they are.
            false => Builder::with_policy(self.policy),
        };
        let entries = Entries::new(self, visible)?;
        let mut users = Making::new(&shape.users, &mut builder.attributes);
        let mut groups = Making::new(&shape.groups, &mut builder.attributes);
        builder.user_rdn = shape.user_rdn;
        builder.users_by_path = shape.users_by_path;
        // The default answer of the other kind of entry has them, too.
        let hides = shape.hide_memberships(&mut builder.attributes);
        for user in users_shown {
            if visible.shows_user(user)? {
                let mut carried = self.carried_user(user)?;
                if let Some(number) = moved.user(user) {
                    carried.move_to(number)?;
                }
                if users.changes() || hides {
                    let made = users.of_user(&entries, user, &carried)?;
                    let had = carried.record.replaces(AttributeId::GID_NUMBER);
                    shape
                        .users
                        .apply(&mut carried.record, &made, users.is_irregular() || hides)?;
                    carried.number_source = number_source(&carried.record, carried.number_source, had)?;
                }
                builder.carry_user(&carried);
            }
        }
        for group in groups_shown {
            if visible.shows_group(group)? {
                let related = related(group)?;
                let mut carried = self.carried_group(group)?;
                self.relate(&mut carried, &related, visible)?;
                if let Some(number) = moved.group(group) {
                    carried.record.state(AttributeId::GID_NUMBER, number)?;
                }
                if groups.changes() || hides {
                    let made = groups.of_group(&entries, group, &carried)?;
                    shape
                        .groups
                        .apply(&mut carried.record, &made, groups.is_irregular() || hides)?;
                }
                builder.carry_group(&carried);
            }
        }
        for group in &others {
            builder.carry_group(group);
        }
        let shown = Shown {
            operational: [&shape.users, &shape.groups].map(|shape| operational(shape, &builder.attributes)),
            always: [always(&shape.users), always(&shape.groups)],
        };
        let (mut snapshot, mut warnings) = builder.finish()?;
        snapshot.shown = shown;
        warnings.extend(users.warnings().chain(groups.warnings()));
        Ok((snapshot, warnings))
    }

    /// Gives a group its members and the groups above it, as far as they are shown.
    fn relate(
        &self,
        group: &mut CarriedGroup<'_>,
        related: &Related,
        visible: &Visible,
    ) -> Result<(), WrongNumber> {
        group.members.clear();
        for &user in &related.users {
            if visible.shows_user(user)? {
                group.members.push(*self.records.users.pks.get(user)?);
            }
        }
        group.parents.clear();
        for &above in &related.above {
            if visible.shows_group(above)? {
                group.parents.push(*self.records.groups.uuids.get(above)?);
            }
        }
        Ok(())
    }
}

impl CarriedUser<'_> {
    /// Has another uidNumber, as if the user's attributes stated it: gidNumber follows it unless they state that, too.
    fn move_to(&mut self, number: i64) -> Result<(), WrongNumber> {
        self.record.state(AttributeId::UID_NUMBER, number)?;
        if self.number_source != record::OWN_GID_NUMBER {
            self.record.state(AttributeId::GID_NUMBER, number)?;
            self.number_source = record::OWN_UID_NUMBER;
        }
        Ok(())
    }
}

impl Carried<'_> {
    /// Has this number instead of what it is or was.
    fn state(&mut self, id: AttributeId, number: i64) -> Result<(), WrongNumber> {
        let mut kept = Vec::with_capacity(self.attributes.len() + 32);
        let is_it = |name: &[u8]| name.eq_ignore_ascii_case(id.name().as_bytes());
        encoded::copy_without(&self.attributes, is_it, &mut kept)?;
        let number = number.to_string();
        write_attribute(
            &mut kept,
            id.name().as_bytes(),
            std::iter::once(number.as_bytes()),
        );
        self.attributes = Cow::Owned(kept);
        self.replaced |= id.override_bit();
        Ok(())
    }
}

impl Shape {
    /// Hides the memberships that are hidden, for whichever kind of entry it says so; returns whether there are any.
    fn hide_memberships(&self, attributes: &mut AttributeTable) -> bool {
        let all = self.users.attributes().iter().chain(self.groups.attributes());
        let hidden = all.filter(|attribute| attribute.show == Show::Nothing);
        let ids = hidden.filter_map(|attribute| AttributeId::of_built_in(attribute.name.as_bytes()));
        let ids = ids.filter(|id| id.is_membership());
        ids.map(|id| attributes.hide(id)).count() > 0
    }
}

/// Where the number of a user's virtual group comes from when the user's attributes have changed.
fn number_source(record: &Carried<'_>, before: u32, had_own: bool) -> Result<u32, WrongNumber> {
    let (mut has_gid, mut has_uid) = (false, false);
    for attribute in encoded::attributes(&record.attributes) {
        let (name, _) = attribute?;
        has_gid |= name.eq_ignore_ascii_case(AttributeId::GID_NUMBER.name().as_bytes());
        has_uid |= name.eq_ignore_ascii_case(AttributeId::UID_NUMBER.name().as_bytes());
    }
    let own = record.replaces(AttributeId::GID_NUMBER) && has_gid;
    Ok(match before {
        _ if own && !had_own => record::OWN_GID_NUMBER,
        record::OWN_GID_NUMBER if !own => 0,
        record::OWN_UID_NUMBER if !has_uid => 0,
        before => before,
    })
}

fn operational(shape: &EntryShape, attributes: &AttributeTable) -> Vec<AttributeId> {
    let all = shape.attributes().iter();
    let operational = all.filter(|attribute| matches!(&attribute.show, Show::Made(made) if made.operational));
    let mut ids: Vec<AttributeId> = operational
        .filter_map(|attribute| attributes.find_any_case(attribute.name.as_bytes()))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn always(shape: &EntryShape) -> Vec<AttributeId> {
    let always = shape
        .attributes()
        .iter()
        .filter(|attribute| attribute.show == Show::Always);
    always
        .filter_map(|attribute| AttributeId::of_built_in(attribute.name.as_bytes()))
        .collect()
}

impl EntryShape {
    /// Leaves out what is hidden and adds what templates made, in the order of the shape. What would be computed counts as
    /// replaced, by nothing if there are no values.
    fn apply(
        &self,
        record: &mut Carried<'_>,
        made: &[Vec<Vec<u8>>],
        irregular: bool,
    ) -> Result<(), WrongNumber> {
        let mut dropped: Vec<&str> = Vec::with_capacity(self.attributes().len());
        for attribute in self
            .attributes()
            .iter()
            .filter(|attribute| attribute.show != Show::Always)
        {
            let id = AttributeId::of_built_in(attribute.name.as_bytes());
            record.replaced |= id.map_or(0, AttributeId::override_bit);
            dropped.push(&attribute.name);
        }
        if irregular {
            record.replaced |= record::IRREGULAR;
        }
        let is_dropped = |name: &[u8]| {
            dropped
                .iter()
                .any(|other| other.as_bytes().eq_ignore_ascii_case(name))
        };
        let mut kept = Vec::with_capacity(record.attributes.len());
        encoded::copy_without(&record.attributes, is_dropped, &mut kept)?;
        for (attribute, values) in self.attributes().iter().zip(made) {
            if !values.is_empty() {
                write_attribute(
                    &mut kept,
                    attribute.name.as_bytes(),
                    values.iter().map(Vec::as_slice),
                );
            }
        }
        record.attributes = Cow::Owned(kept);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
