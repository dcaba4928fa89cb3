//! Makes of a directory as it was loaded the one that a shape shows.
//!
//! Knows what each choice of a shape means for records. Must not know providers.

mod making;

use std::borrow::Cow;
use std::sync::Arc;

use crate::build::builder::Builder;
use crate::build::carried::{Carried, CarriedGroup};
use crate::build::inherited::Related;
use crate::build::record::Warning;
use crate::build::visible::Visible;
use crate::index::snapshot::Snapshot;
use crate::model::attribute::AttributeTable;
use crate::model::built_in::AttributeId;
use crate::model::encoded::{self, Elements};
use crate::model::number::{GroupIx, UserIx, WrongNumber};
use crate::model::record;
use crate::model::shown::Shown;
use crate::shape::{EntryShape, Membership, Shape, Show};
use akldap_ldap::response::write_attribute;
use making::{Entries, Making};

impl Snapshot {
    /// This directory, which was loaded and not shaped, as a shape shows it, and what could not be shown so.
    ///
    /// # Errors
    /// When a number points nowhere.
    pub fn shaped(&self, shape: &Shape) -> Result<(Self, Vec<Warning>), WrongNumber> {
        let mut warnings = Vec::new();
        let visible = Visible::of(self, shape, &mut warnings)?;
        let related = |group| Related::of(self, shape.membership, group);
        let (snapshot, odd) = self.with(shape, &visible, (self.users(), self.groups()), related)?;
        warnings.extend(odd);
        Ok((snapshot, warnings))
    }

    /// What a user sees who is not shown in a shape: the own entry, and of the groups that the user is in those that `shaped`,
    /// this directory in that shape, has. `None` if there is no such user.
    ///
    /// # Errors
    /// When a number points nowhere.
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
        let mut steps = usize::MAX;
        let groups = match shape.membership {
            Membership::Direct => Some(direct.to_vec()),
            Membership::Inherited => {
                let count = self.group_count();
                memberships.group_parents.closure(direct, count, &mut steps)?
            }
        };
        let mut shown = Vec::new();
        for group in groups.into_iter().flatten() {
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
        let these = (std::iter::once(user), shown.into_iter());
        let (mut own, _) = self.with(shape, &visible, these, alone)?;
        own.part_of = Some(Arc::clone(self));
        Ok(Some(own))
    }

    /// These users and groups in a shape, each group with what it is related to.
    fn with(
        &self,
        shape: &Shape,
        visible: &Visible,
        (users_shown, groups_shown): (impl Iterator<Item = UserIx>, impl Iterator<Item = GroupIx>),
        related: impl Fn(GroupIx) -> Result<Related, WrongNumber>,
    ) -> Result<(Self, Vec<Warning>), WrongNumber> {
        let mut builder = match visible.is_everything() {
            true => Builder::like(self),
            // Further names of attributes tell of those whose attributes they are.
            false => Builder::with_policy(self.policy),
        };
        let entries = Entries::new(self, visible)?;
        let mut users = Making::new(&shape.users, &mut builder.attributes);
        let mut groups = Making::new(&shape.groups, &mut builder.attributes);
        builder.user_rdn = shape.user_rdn;
        for user in users_shown {
            if visible.shows_user(user)? {
                let mut carried = self.carried_user(user)?;
                if users.changes() {
                    let made = users.of_user(&entries, user, &carried)?;
                    let had = carried.record.replaces(AttributeId::GID_NUMBER);
                    shape
                        .users
                        .apply(&mut carried.record, &made, users.is_irregular());
                    carried.number_source = number_source(&carried.record, carried.number_source, had);
                }
                builder.carry_user(&carried);
            }
        }
        for group in groups_shown {
            if visible.shows_group(group)? {
                let related = related(group)?;
                let mut carried = self.carried_group(group)?;
                self.relate(&mut carried, &related, visible)?;
                if groups.changes() {
                    let made = groups.of_group(&entries, group, &carried)?;
                    shape
                        .groups
                        .apply(&mut carried.record, &made, groups.is_irregular());
                }
                builder.carry_group(&carried);
            }
        }
        let shown = Shown {
            operational: operational(shape, &builder.attributes),
            always: [always(&shape.users), always(&shape.groups)],
        };
        let (mut snapshot, mut warnings) = builder.finish();
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

/// Where the number of a user's virtual group comes from when the user's attributes are others than they were.
fn number_source(record: &Carried<'_>, before: u32, had_own: bool) -> u32 {
    let stored = |id: AttributeId| {
        Elements(&record.attributes)
            .filter_map(|element| encoded::attribute(&element))
            .any(|(name, _)| name.eq_ignore_ascii_case(id.name().as_bytes()))
    };
    let own = record.replaces(AttributeId::GID_NUMBER) && stored(AttributeId::GID_NUMBER);
    match before {
        _ if own && !had_own => record::OWN_GID_NUMBER,
        record::OWN_GID_NUMBER if !own => 0,
        record::OWN_UID_NUMBER if !stored(AttributeId::UID_NUMBER) => 0,
        before => before,
    }
}

fn operational(shape: &Shape, attributes: &AttributeTable) -> Vec<AttributeId> {
    let all = shape.users.attributes().iter().chain(shape.groups.attributes());
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
    /// Leaves out what is hidden and puts in what templates made, in the order of the shape. What would be computed counts as
    /// replaced, by nothing where there are no values.
    fn apply(&self, record: &mut Carried<'_>, made: &[Vec<Vec<u8>>], irregular: bool) {
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
        for element in Elements(&record.attributes) {
            if encoded::attribute(&element).is_none_or(|(name, _)| !is_dropped(name)) {
                kept.extend_from_slice(element.whole);
            }
        }
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
    }
}

#[cfg(test)]
mod tests;
