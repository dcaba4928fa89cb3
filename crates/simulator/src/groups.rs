//! A group as `core/groups/` shows it.

use std::fmt::Write;

use uuid::Uuid;

use super::attributes::{Attributes, Stored, write_text};

/// One group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Primary key.
    pub pk: Uuid,
    /// Unique name.
    pub name: Box<str>,
    /// Members of this group and of its children are superusers.
    pub is_superuser: bool,
    /// Roles every member holds.
    pub roles: Vec<Uuid>,
    pub(crate) attributes: Stored,
    pub(crate) parents: Vec<u32>,
    pub(crate) children: Vec<u32>,
    /// Direct members, ascending.
    pub(crate) members: Vec<i32>,
    /// Every group above this one, each once.
    pub(crate) ancestors: Vec<u32>,
    /// This group or one above it is a superuser group.
    pub(crate) grants_superuser: bool,
    /// The short form that rows of users repeat, as JSON.
    pub(crate) partial: Box<str>,
    /// The short form that rows of parents and children repeat, as JSON.
    pub(crate) related: Box<str>,
}

impl Group {
    pub(crate) fn new(pk: Uuid, name: &str) -> Self {
        let mut group = Self {
            pk,
            name: name.into(),
            is_superuser: false,
            roles: Vec::new(),
            attributes: Stored::default(),
            parents: Vec::new(),
            children: Vec::new(),
            members: Vec::new(),
            ancestors: Vec::new(),
            grants_superuser: false,
            partial: "".into(),
            related: "".into(),
        };
        group.render();
        group
    }

    /// How many users are in it directly.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// The custom attributes.
    pub fn attributes(&self) -> Attributes {
        self.attributes.read()
    }

    /// Replaces the custom attributes.
    pub fn set_attributes(&mut self, attributes: &Attributes) {
        self.attributes = Stored::new(attributes);
    }

    /// The number authentik derives from the key: the first five decimal digits of the UUID read as an integer.
    pub fn num_pk(&self) -> u32 {
        const DIGITS: u128 = 100_000;
        let mut number = self.pk.as_u128();
        while number >= DIGITS {
            number /= 10;
        }
        u32::try_from(number).unwrap_or_default()
    }

    /// Brings the prepared short forms up to date; call it after every change.
    pub(crate) fn render(&mut self) {
        let mut name = String::new();
        write_text(&mut name, &self.name);
        let (pk, superuser, attributes) = (self.pk, self.is_superuser, &self.attributes.text);
        self.partial = format!(
            "{{\"pk\":\"{pk}\",\"num_pk\":{},\"name\":{name},\"is_superuser\":{superuser},\"attributes\":{attributes}}}",
            self.num_pk()
        )
        .into();
        self.related = format!(
            "{{\"pk\":\"{pk}\",\"name\":{name},\"is_superuser\":{superuser},\"attributes\":{attributes},\
             \"group_uuid\":\"{pk}\"}}"
        )
        .into();
    }

    /// Appends everything up to the parents.
    pub(crate) fn write_head(&self, out: &mut String) {
        let _ = write!(
            out,
            "{{\"pk\":\"{}\",\"num_pk\":{},\"name\":",
            self.pk,
            self.num_pk()
        );
        write_text(out, &self.name);
        let _ = write!(out, ",\"is_superuser\":{}", self.is_superuser);
    }
}

/// What a list or a single answer shows besides the group itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupInclude {
    pub(crate) users: bool,
    pub(crate) parents: bool,
    pub(crate) children: bool,
    pub(crate) inherited_roles: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn num_pk_is_the_first_five_digits_of_the_uuid() {
        for (pk, number) in [
            ("6c2728df-d3ae-4db9-95dd-09ee85a2ed8c", 14375),
            ("92b00bb2-a17e-439e-8e93-e274f4f50551", 19498),
            ("3ef3c784-83ae-482b-af30-5d53b0ccb4ed", 83677),
        ] {
            assert_eq!(Group::new(pk.parse().expect("a uuid"), "g").num_pk(), number);
        }
    }
}
