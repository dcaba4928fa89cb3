//! authentik's rows as the directory takes them. Must not know when they are read.

use akldap_authentik::{Group, User};
use akldap_directory::{GroupRecord, UserRecord, group_number};

/// A user.
pub fn user_record(user: &User) -> UserRecord<'_> {
    UserRecord {
        pk: user.pk,
        uuid: &user.uuid,
        uid: &user.uid,
        username: &user.username,
        name: &user.name,
        email: &user.email,
        is_active: user.is_active,
        is_superuser: user.is_superuser,
        path: &user.path,
        kind: &user.kind,
        roles: &user.roles,
        attributes: user.attributes.as_ref().map(|attributes| attributes.get()),
        password_change_date: user.password_change_date.micros(),
        date_joined: user.date_joined.micros(),
        last_updated: user.last_updated.micros(),
    }
}

/// A group, below these.
pub fn group_record<'a>(group: &'a Group, parents: &'a [String]) -> GroupRecord<'a> {
    GroupRecord {
        uuid: &group.pk,
        // Without a UUID there is neither this number nor a group: the directory says so, and leaves it out.
        num_pk: group.num_pk.or_else(|| num_pk(&group.pk)),
        name: &group.name,
        is_superuser: group.is_superuser,
        parents,
        users: &group.users,
        roles: &group.roles,
        attributes: group.attributes.as_ref().map(|attributes| attributes.get()),
    }
}

fn num_pk(uuid: &str) -> Option<i64> {
    uuid::Uuid::parse_str(uuid).ok().map(group_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_num_pk_is_computed_as_authentik_does() {
        assert_eq!(num_pk("6c2728df-d3ae-4db9-95dd-09ee85a2ed8c"), Some(14375));
        assert_eq!(num_pk("not a uuid"), None);
    }

    #[test]
    fn a_group_without_a_uuid_is_left_out_and_told_of() {
        let row = r#"{"pk":"not a uuid","name":"staff","is_superuser":false,"users":[],"parents":[]}"#;
        let group: Group = serde_json::from_str(row).unwrap();
        let mut builder = akldap_directory::Builder::new();
        builder.add_group(&group_record(&group, &[]));
        let (snapshot, warnings) = builder.finish().unwrap();
        assert_eq!((snapshot.group_count(), warnings.len()), (0, 1));
    }
}
