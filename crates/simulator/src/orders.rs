//! Orders of the user list, worked out when first asked for and forgotten at every change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::users::User;

/// A field the list of users can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Pk,
    Username,
    Name,
    Email,
    IsActive,
    LastLogin,
    DateJoined,
    LastUpdated,
    PasswordChangeDate,
    Uuid,
    Path,
    Kind,
}

/// A field and whether it counts backwards.
pub(crate) type Key = (Field, bool);

#[derive(Debug, Default)]
pub(crate) struct Orders {
    known: Mutex<HashMap<Vec<Key>, Arc<Vec<i32>>>>,
}

impl Orders {
    /// The pks of all users in this order.
    pub(crate) fn of(&self, users: &[User], keys: &[Key]) -> Arc<Vec<i32>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(order) = known.get(keys) {
            return Arc::clone(order);
        }
        let mut users: Vec<&User> = users.iter().collect();
        sort(&mut users, keys);
        let order = Arc::new(users.into_iter().map(|user| user.pk).collect::<Vec<i32>>());
        known.insert(keys.to_vec(), Arc::clone(&order));
        order
    }

    pub(crate) fn forget(&mut self) {
        self.known
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// A login moves only one field; the other orders stay, or every bind would cost the next page a sort.
    pub(crate) fn forget_logins(&mut self) {
        let known = self.known.get_mut().unwrap_or_else(PoisonError::into_inner);
        known.retain(|keys, _| keys.iter().all(|(field, _)| *field != Field::LastLogin));
    }
}

/// Reads an `ordering` parameter; unknown names are dropped, and if none is left the list's own order applies.
pub(crate) fn parse(ordering: Option<&str>) -> Vec<Key> {
    let keys: Vec<Key> = ordering
        .unwrap_or_default()
        .split(',')
        .filter_map(|name| {
            let name = name.trim();
            let (name, backwards) = name.strip_prefix('-').map_or((name, false), |name| (name, true));
            let field = match name {
                "pk" | "id" => Field::Pk,
                "username" => Field::Username,
                "name" => Field::Name,
                "email" => Field::Email,
                "is_active" => Field::IsActive,
                "last_login" => Field::LastLogin,
                "date_joined" => Field::DateJoined,
                "last_updated" => Field::LastUpdated,
                "password_change_date" => Field::PasswordChangeDate,
                "uuid" => Field::Uuid,
                "path" => Field::Path,
                "type" => Field::Kind,
                _ => return None,
            };
            Some((field, backwards))
        })
        .collect();
    if keys.is_empty() {
        vec![(Field::Username, false)]
    } else {
        keys
    }
}

/// Sorts a few users.
pub(crate) fn sort(users: &mut [&User], keys: &[Key]) {
    users.sort_by(|a, b| compare(keys, a, b));
}

fn compare(keys: &[Key], a: &User, b: &User) -> std::cmp::Ordering {
    keys.iter()
        .map(|(field, backwards)| {
            let ordering = match field {
                Field::Pk => a.pk.cmp(&b.pk),
                Field::Username => a.username.cmp(&b.username),
                Field::Name => a.name.cmp(&b.name),
                Field::Email => a.email.cmp(&b.email),
                Field::IsActive => a.is_active.cmp(&b.is_active),
                // PostgreSQL sorts NULL last.
                Field::LastLogin => a
                    .last_login
                    .unwrap_or(i64::MAX)
                    .cmp(&b.last_login.unwrap_or(i64::MAX)),
                Field::DateJoined => a.date_joined.cmp(&b.date_joined),
                Field::LastUpdated => a.last_updated.cmp(&b.last_updated),
                Field::PasswordChangeDate => a.password_change_date.cmp(&b.password_change_date),
                Field::Uuid => a.uuid.cmp(&b.uuid),
                Field::Path => a.path.cmp(&b.path),
                Field::Kind => a.kind.as_str().cmp(b.kind.as_str()),
            };
            if *backwards { ordering.reverse() } else { ordering }
        })
        .find(|ordering| ordering.is_ne())
        .unwrap_or_else(|| a.pk.cmp(&b.pk))
}
