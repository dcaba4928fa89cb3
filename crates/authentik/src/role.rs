//! Roles as rows of users and groups name them. Must not know whose they are.

use serde::{Deserialize, Deserializer};

use super::page::nullable;

/// A role.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ListedRole {
    pk: String,
    #[serde(default, deserialize_with = "nullable")]
    name: String,
}

impl From<ListedRole> for (String, String) {
    fn from(role: ListedRole) -> Self {
        (role.pk, role.name)
    }
}

/// Primary keys and names; none where authentik says nothing about roles.
pub(crate) fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let roles: Vec<ListedRole> = nullable(deserializer)?;
    Ok(roles.into_iter().map(ListedRole::into).collect())
}

#[cfg(test)]
mod tests {
    use crate::user::User;

    fn roles(field: &str) -> Vec<(String, String)> {
        let row = format!(r#"{{"pk":1,"username":"a"{field}}}"#);
        serde_json::from_str::<User>(&row).expect("a user").roles
    }

    #[test]
    fn roles_are_read_and_may_be_missing() {
        let role = (
            "829b538f-dfda-4d98-80cd-22fe1e63830a".to_owned(),
            "LDAP search".to_owned(),
        );
        let field = r#","roles":["829b538f-dfda-4d98-80cd-22fe1e63830a"],"roles_obj":[{"pk":"829b538f-dfda-4d98-80cd-22fe1e63830a","name":"LDAP search","more":1}]"#;
        assert_eq!(roles(field), [role]);
        for field in ["", r#","roles":["a"],"roles_obj":null"#, r#","roles_obj":[]"#] {
            assert_eq!(roles(field), [], "{field}");
        }
    }
}
