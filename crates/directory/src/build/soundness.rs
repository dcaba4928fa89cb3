//! Whether what was read is a user or group that the builder could have made: built-in attributes that say what the
//! fields say, and all that its kind always has.
//!
//! Must not know how it was written.

use crate::build::carried::{Carried, CarriedGroup, CarriedUser};
use crate::build::flags::upper;
use crate::build::group_value::of_group;
use crate::model::built_in::{AttributeId, BuiltIn, Shows};
use crate::model::encoded;
use crate::model::object_classes::{GROUP_CLASSES, USER_CLASSES};
use crate::model::record;

impl CarriedUser<'_> {
    pub(super) fn is_sound(&self) -> bool {
        let home = ["/home/", self.record.name].concat();
        let value = |shows| match shows {
            Shows::Name => Some(self.record.name),
            Shows::Uid => Some(self.uid),
            Shows::Home => Some(home.as_str()),
            Shows::Active => Some(upper(self.active)),
            Shows::Superuser => Some(upper(self.record.superuser)),
            // No field of a user says these.
            Shows::FullName
            | Shows::Uuid
            | Shows::Mail
            | Shows::NoSuperuser
            | Shows::PasswordChange
            | Shows::Joined
            | Shows::Updated
            | Shows::Computed => None,
        };
        let number = match self.number_source {
            record::OWN_GID_NUMBER => Some(AttributeId::GID_NUMBER),
            record::OWN_UID_NUMBER => Some(AttributeId::UID_NUMBER),
            _ => None,
        };
        number.is_none_or(|id| self.record.replaces(id))
            && self.record.agrees(Shows::FullName)
            && self.record.has_classes(&USER_CLASSES)
            && self.record.is_sound(|built_in| built_in.users, value)
    }
}

impl CarriedGroup<'_> {
    pub(super) fn is_sound(&self) -> bool {
        let text = self.uuid().as_hyphenated().to_string();
        let value = |shows| of_group(shows, self.record.name, &text, self.record.superuser);
        self.record.has_classes(&GROUP_CLASSES) && self.record.is_sound(|built_in| built_in.groups, value)
    }
}

impl Carried<'_> {
    /// Whether object classes, if they are kept, are those of its kind and more.
    fn has_classes(&self, own: &[&str]) -> bool {
        if !self.replaces(AttributeId::OBJECT_CLASS) {
            return true;
        }
        encoded::attributes(&self.attributes).any(|attribute| {
            attribute.is_ok_and(|(name, set)| {
                let mut values = encoded::values(set);
                name == AttributeId::OBJECT_CLASS.name().as_bytes()
                    && own
                        .iter()
                        .all(|class| values.next() == Some(Ok(class.as_bytes())))
                    && values.next().is_some_and(|value| value.is_ok())
            })
        })
    }

    /// Whether the built-in attributes that show the same about users have the same value, except those that custom
    /// values replace.
    fn agrees(&self, shows: Shows) -> bool {
        let mut values = encoded::attributes(&self.attributes).filter_map(|attribute| {
            let (name, set) = attribute.ok()?;
            let id = AttributeId::of_built_in(name)?;
            (id.definition()?.users == Some(shows) && !self.replaces(id)).then_some(set)
        });
        let first = values.next();
        values.all(|value| Some(value) == first)
    }

    /// Whether the built-in attributes are those of its kind and say what the fields say.
    fn is_sound<'v>(
        &self,
        shown: impl Fn(&BuiltIn) -> Option<Shows>,
        value: impl Fn(Shows) -> Option<&'v str>,
    ) -> bool {
        let stored_of = |id: AttributeId| shown(id.definition()?).filter(|shows| *shows != Shows::Computed);
        let mut found = Vec::new();
        let sound = encoded::attributes(&self.attributes).all(|attribute| {
            let Ok((name, set)) = attribute else {
                return false;
            };
            let Some(id) = AttributeId::of_built_in(name) else {
                return true;
            };
            found.push(id);
            if self.replaces(id) {
                return true;
            }
            let mut stored = encoded::values(set);
            let Some(shows) = stored_of(id) else {
                return false;
            };
            let expected = value(shows);
            let fits = stored.next().is_some_and(|value| {
                value.is_ok_and(|value| expected.is_none_or(|text| value == text.as_bytes()))
            });
            fits && stored.next().is_none()
        });
        let mut required = AttributeId::built_in()
            .map(|(id, _)| id)
            .filter(|id| stored_of(*id).is_some_and(Shows::is_always_known));
        sound && required.all(|id| found.contains(&id))
    }
}
