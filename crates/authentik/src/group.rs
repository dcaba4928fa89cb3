//! A group as `GET core/groups/` lists it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::page::{Listed, RowFields, check_attributes, nullable};
use super::role::{self, ListedRole};

/// A group. Every field but `pk` and `name` may be missing in the answer and is then empty.
#[derive(Clone, Debug, Deserialize)]
pub struct Group {
    /// Primary key: a UUID with dashes.
    pub pk: String,
    /// The first five decimal digits of the UUID as a number, from which gidNumber is made.
    #[serde(default)]
    pub num_pk: Option<i64>,
    /// The name.
    pub name: String,
    /// Whether members are superusers.
    #[serde(default, deserialize_with = "nullable")]
    pub is_superuser: bool,
    /// Primary keys of the groups directly above. Releases before 2025.12 have one `parent` instead.
    #[serde(default, deserialize_with = "nullable")]
    pub parents: Vec<String>,
    /// The one parent of earlier releases.
    #[serde(default)]
    pub parent: Option<String>,
    /// Primary keys of the groups directly below; `None` when the server does not say.
    #[serde(default)]
    pub children: Option<Vec<String>>,
    /// Primary keys of the direct members.
    #[serde(default, deserialize_with = "nullable")]
    pub users: Vec<i64>,
    /// Primary keys (UUIDs) and names of the roles that the group has itself.
    #[serde(default, rename = "roles_obj", deserialize_with = "role::pairs")]
    pub roles: Vec<(String, String)>,
    /// The JSON text of the attributes, always an object, as sent.
    #[serde(default)]
    pub attributes: Option<Box<RawValue>>,
}

impl Group {
    /// The groups directly above, whichever way the release says it.
    pub fn parent_keys(&self) -> impl Iterator<Item = &str> {
        let single = self.parent.as_deref().filter(|_| self.parents.is_empty());
        self.parents.iter().map(String::as_str).chain(single)
    }
}

impl Listed for Group {
    type Key = String;
    const KIND: &'static str = "group";

    fn key(&self) -> String {
        self.pk.clone()
    }

    fn label(&self) -> &str {
        &self.name
    }

    fn parse_key(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn salvage(fields: &mut RowFields<'_>) -> Result<Self, String> {
        Ok(Self {
            pk: fields.required("pk")?,
            num_pk: fields.optional("num_pk"),
            name: fields.required("name")?,
            is_superuser: fields.optional("is_superuser"),
            parents: fields.list("parents"),
            parent: fields.optional("parent"),
            children: fields.optional("children"),
            users: fields.list("users"),
            roles: fields
                .list::<ListedRole>("roles_obj")
                .into_iter()
                .map(ListedRole::into)
                .collect(),
            attributes: fields.optional("attributes"),
        })
    }

    fn check(&mut self) -> Vec<(&'static str, String)> {
        check_attributes(&mut self.attributes).into_iter().collect()
    }
}
