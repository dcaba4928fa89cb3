//! Makes of a directory as it was loaded the one that a shape shows.
//!
//! Knows what each choice of a shape means for records. Must not know providers.

use std::borrow::Cow;

use crate::build::builder::Builder;
use crate::build::carried::{Carried, CarriedGroup};
use crate::build::inherited::Related;
use crate::build::record::Warning;
use crate::build::visible::Visible;
use crate::index::snapshot::Snapshot;
use crate::model::built_in::AttributeId;
use crate::model::encoded::{self, Elements};
use crate::model::number::WrongNumber;
use crate::shape::{EntryShape, Shape};

impl Snapshot {
    /// This directory, which was loaded and not shaped, as a shape shows it, and what could not be shown so.
    ///
    /// # Errors
    /// When a number points nowhere.
    pub fn shaped(&self, shape: &Shape) -> Result<(Self, Vec<Warning>), WrongNumber> {
        let mut warnings = Vec::new();
        let visible = Visible::of(self, shape, &mut warnings)?;
        let mut builder = match visible.is_everything() {
            true => Builder::like(self),
            // Further names of attributes tell of those whose attributes they are.
            false => Builder::with_policy(self.policy),
        };
        for user in self.users() {
            if visible.shows_user(user)? {
                let mut user = self.carried_user(user)?;
                shape.users.hide(&mut user.record);
                builder.carry_user(&user);
            }
        }
        for group in self.groups() {
            if visible.shows_group(group)? {
                let related = Related::of(self, shape.membership, group)?;
                let mut group = self.carried_group(group)?;
                self.relate(&mut group, &related, &visible)?;
                shape.groups.hide(&mut group.record);
                builder.carry_group(&group);
            }
        }
        let (snapshot, odd) = builder.finish();
        warnings.extend(odd);
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

impl EntryShape {
    /// Leaves attributes out. What would be computed counts as replaced, by nothing.
    fn hide(&self, record: &mut Carried<'_>) {
        if self.hidden.is_empty() {
            return;
        }
        for name in &self.hidden {
            let id = AttributeId::of_built_in(name.as_bytes());
            record.replaced |= id.map_or(0, AttributeId::override_bit);
        }
        let is_hidden = |name: &[u8]| {
            let mut hidden = self.hidden.iter();
            hidden.any(|hidden| hidden.as_bytes().eq_ignore_ascii_case(name))
        };
        let mut kept = Vec::with_capacity(record.attributes.len());
        for element in Elements(&record.attributes) {
            if encoded::attribute(&element).is_none_or(|(name, _)| !is_hidden(name)) {
                kept.extend_from_slice(element.whole);
            }
        }
        record.attributes = Cow::Owned(kept);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::CustomPolicy;
    use crate::fixture::{add_user, query, snapshot, tree};
    use crate::shape::location::Location;
    use crate::shape::visibility::{About, Visibility, conditions};

    fn hiding(names: &[&str]) -> Shape {
        let hidden = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Shape {
            users: EntryShape { hidden },
            ..Shape::default()
        }
    }

    #[test]
    fn the_default_shape_changes_nothing() {
        let base = snapshot();
        let (shaped, warnings) = base.shaped(&Shape::default()).unwrap();
        assert_eq!(shaped.fingerprint(), base.fingerprint());
        assert_eq!(warnings, []);
        assert!(Shape::default().is_default() && !hiding(&["mail"]).is_default());
    }

    #[test]
    fn hidden_attributes_are_neither_shown_nor_found() {
        let (shaped, _) = snapshot()
            .shaped(&hiding(&[
                "mail",
                "name",
                "uid",
                "uidNumber",
                "department",
                "objectClass",
            ]))
            .unwrap();
        let shaped = Arc::new(shaped);
        let find = |filter: &str| {
            let mut query = query(filter);
            query.snapshot = Arc::clone(&shaped);
            query.entries()
        };
        let bob = find("(sAMAccountName=bob)");
        let bob = bob.first().unwrap();
        for name in ["mail", "name", "uid", "uidNumber", "department", "objectClass"] {
            assert_eq!(bob.get(name), [""; 0], "{name}");
        }
        assert_eq!(bob.get("displayName"), ["bob Example"]);
        for filter in [
            "(mail=bob@example.com)",
            "(mail=*)",
            "(name=bob example)",
            "(uidNumber=2002)",
            "(department=*)",
            "(objectClass=user)",
        ] {
            assert!(find(filter).is_empty(), "{filter}");
        }
        assert_eq!(find("(displayName=bob example)").len(), 1);
    }

    /// That there is such a key in authentik tells of the one who has it.
    #[test]
    fn further_names_that_only_hidden_users_give_an_attribute_are_not_known() {
        let found = |hidden: &str, filter: &str| {
            let mut builder = Builder::with_policy(CustomPolicy::default().with_legal_names(true));
            add_user(&mut builder, 1, "alice", r#"{"with-space":"x"}"#);
            add_user(&mut builder, 2, "robot", r#"{"with space":"y"}"#);
            let shape = Shape {
                visible_users: Visibility {
                    hidden: conditions(hidden, About::Users).unwrap(),
                    ..Visibility::default()
                },
                location: Some(Location::of(tree())),
                ..Shape::default()
            };
            let mut query = query(filter);
            query.snapshot = Arc::new(builder.finish().0.shaped(&shape).unwrap().0);
            query.names()
        };
        let both = ["cn=alice,ou=users", "cn=robot,ou=users"];
        assert_eq!(found("", "(with space=*)"), both);
        assert_eq!(found("(cn=robot)", "(with space=*)"), [""; 0]);
        assert_eq!(found("(cn=robot)", "(with-space=*)"), ["cn=alice,ou=users"]);
    }

    #[test]
    fn a_condition_that_cannot_be_judged_shows_nobody_and_hides_everybody() {
        let users = |shown: &str, hidden: &str, location| {
            let shape = Shape {
                visible_users: Visibility {
                    shown: conditions(shown, About::Users).unwrap(),
                    hidden: conditions(hidden, About::Users).unwrap(),
                },
                location,
                ..Shape::default()
            };
            let (shaped, warnings) = snapshot().shaped(&shape).unwrap();
            (shaped.user_count(), warnings)
        };
        let here = || Some(Location::of(tree()));
        assert_eq!(users("(cn=bob)", "", here()), (1, Vec::new()));
        assert_eq!(users("(cn=bob)", "", None).0, 0);
        assert_eq!(users("", "(cn=bob)", None).0, 0);
        let unknown = |group: &str| Warning::UnknownGroup { group: group.into() };
        assert_eq!(users("group:nobody", "", here()), (0, vec![unknown("nobody")]));
        assert_eq!(users("", "group:nobody", here()), (5, vec![unknown("nobody")]));
        assert_eq!(
            users("group:staff", "", here()).0,
            4,
            "staff, and whoever is in the groups below"
        );
        assert_eq!(users("group:staff", r#"group:"Sales, EMEA""#, here()).0, 2);
    }
}
