//! What lists of users and groups hold, summed up row by row. Knows which numbers and names are served; must not ask anybody.

use std::collections::HashMap;
use std::sync::Arc;

use akldap_authentik::{Group, User};
use akldap_ldap::{dn, text};
use serde_json::Value;

use super::facts::People;
use crate::config::ProviderConfig;

/// Numbers that are remembered: beyond this many users and groups, duplicates are not looked for.
const MOST: usize = 2_000_000;
/// This many duplicates are reported, and this many numbers outside their range.
const TOLD: usize = 20;

/// Sums up rows.
#[derive(Default)]
pub(super) struct Tally {
    /// What was seen so far.
    pub people: People,
    numbers: HashMap<(&'static str, i64), String>,
    names: HashMap<(&'static str, Vec<u8>), String>,
    uid_start: i64,
    gid_start: i64,
    config: Option<Arc<ProviderConfig>>,
}

impl Tally {
    /// For a provider that begins its numbers here, and what is set for it.
    pub(super) fn new(uid_start: i64, gid_start: i64, config: Option<Arc<ProviderConfig>>) -> Self {
        Self {
            uid_start,
            gid_start,
            config,
            ..Self::default()
        }
    }

    /// Adds a user.
    pub(super) fn add_user(&mut self, user: &User) {
        self.people.users_read += 1;
        let attributes = user.attributes.as_ref().map_or("", |text| text.get());
        let own = self.uid_start.checked_add(user.pk);
        if let Some(number) = custom(attributes, "uidNumber").or(own) {
            self.number("uidNumber", number, &user.username, |config| {
                config
                    .entries
                    .numbers
                    .uids
                    .missed_by(number)
                    .map(ToString::to_string)
            });
        }
        self.name("user", &user.username);
        let groups = u64::try_from(user.groups.len()).unwrap_or(u64::MAX);
        self.people.memberships = self.people.memberships.saturating_add(groups);
    }

    /// Adds a group.
    pub(super) fn add_group(&mut self, group: &Group) {
        self.people.groups_read += 1;
        let attributes = group.attributes.as_ref().map_or("", |text| text.get());
        let own = group.num_pk.and_then(|number| self.gid_start.checked_add(number));
        if let Some(number) = custom(attributes, "gidNumber").or(own) {
            self.number("gidNumber", number, &group.name, |config| {
                config
                    .entries
                    .numbers
                    .gids
                    .missed_by(number)
                    .map(ToString::to_string)
            });
        }
        self.name("group", &group.name);
    }

    /// Notes a number; `missed` names the range where it is expected, if it is elsewhere.
    fn number(
        &mut self,
        what: &'static str,
        number: i64,
        name: &str,
        missed: impl FnOnce(&ProviderConfig) -> Option<String>,
    ) {
        self.note_twice(what, number, name);
        if let Some(range) = self.config.as_deref().and_then(missed)
            && self.people.outside_range.len() < TOLD
        {
            self.people
                .outside_range
                .push((what, number, name.to_owned(), range));
        }
    }

    fn note_twice(&mut self, what: &'static str, number: i64, name: &str) {
        if self.numbers.len() >= MOST {
            return;
        }
        match self.numbers.get(&(what, number)) {
            Some(other) if self.people.same_numbers.len() < TOLD => {
                let other = other.clone();
                self.people
                    .same_numbers
                    .push((what, number, other, name.to_owned()));
            }
            Some(_) => {}
            None => {
                self.numbers.insert((what, number), name.to_owned());
            }
        }
    }

    fn name(&mut self, what: &'static str, name: &str) {
        if self.people.doubtful_names.len() < TOLD
            && let Some(problem) = self.doubt(what, name)
        {
            self.people.doubtful_names.push(problem);
        }
        if dn::escape(name.as_bytes()) != name.as_bytes() {
            let (count, first) = &mut self.people.escaped;
            if *count == 0 {
                name.clone_into(first);
            }
            *count += 1;
        }
    }

    /// What is wrong with a name. One that comes again in the same spelling is the same row on another page.
    fn doubt(&mut self, what: &'static str, name: &str) -> Option<String> {
        if name.is_empty() {
            return Some(format!("a {what} has no name"));
        }
        let key = (what, text::fold(name.as_bytes()).into_owned());
        match self.names.get(&key) {
            Some(other) => (other != name).then(|| format!("the {what}s {other:?} and {name:?}")),
            None if self.names.len() < MOST => {
                self.names.insert(key, name.to_owned());
                None
            }
            None => None,
        }
    }
}

/// A number among custom attributes, which takes precedence over the derived one; lists never do.
fn custom(attributes: &str, name: &str) -> Option<i64> {
    let attributes: Value = serde_json::from_str(attributes).ok()?;
    match attributes.get(name)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_alike_or_empty_are_noted() {
        let mut tally = Tally::default();
        for (pk, name) in [(1, "alice"), (2, "ALICE"), (3, ""), (4, "bob")] {
            let user = format!(r#"{{"pk":{pk},"username":"{name}"}}"#);
            tally.add_user(&serde_json::from_str(&user).expect("a user"));
        }
        let group = r#"{"pk":"x","num_pk":1,"name":"bob"}"#;
        tally.add_group(&serde_json::from_str(group).expect("a group"));
        assert_eq!(
            tally.people.doubtful_names,
            ["the users \"alice\" and \"ALICE\"", "a user has no name"]
        );
    }

    #[test]
    fn doubles_and_odd_names_are_counted() {
        let user = |pk: i64, name: &str, attributes: &str| -> User {
            let text =
                format!(r#"{{"pk":{pk},"username":"{name}","groups":["a","b"],"attributes":{attributes}}}"#);
            serde_json::from_str(&text).expect("a user")
        };
        let config = ProviderConfig::of_settings(&[
            ("AUTHENTIK_LDAP__UID_NUMBER_RANGE", "2001-2500"),
            ("AUTHENTIK_LDAP__GID_NUMBER_RANGE", "5000-5999"),
        ]);
        let mut tally = Tally::new(2000, 4000, Some(Arc::new(config)));
        tally.add_user(&user(1, "one", "{}"));
        tally.add_user(&user(2, "two", r#"{"uidNumber":2001}"#));
        tally.add_user(&user(3, "Doe, John", r#"{"uidNumber":["2001"]}"#));
        tally.add_user(&user(4, "far", r#"{"uidNumber":2501}"#));
        let group = |number: i64, name: &str| -> Group {
            serde_json::from_str(&format!(r#"{{"pk":"x","num_pk":{number},"name":"{name}"}}"#))
                .expect("a group")
        };
        tally.add_group(&group(5, "g"));
        tally.add_group(&group(5, "h"));
        let people = tally.people;
        assert_eq!(
            people.same_numbers,
            [
                ("uidNumber", 2001, "one".to_owned(), "two".to_owned()),
                ("gidNumber", 4005, "g".to_owned(), "h".to_owned())
            ]
        );
        assert_eq!(people.doubtful_names, [""; 0]);
        assert_eq!(people.escaped, (1, "Doe, John".to_owned()));
        assert_eq!(people.memberships, 8);
        assert_eq!((people.users_read, people.groups_read), (4, 2));
        let outside =
            |what, number: i64, name: &str, range: &str| (what, number, name.to_owned(), range.to_owned());
        assert_eq!(
            people.outside_range,
            [
                outside("uidNumber", 2501, "far", "2001-2500"),
                outside("gidNumber", 4005, "g", "5000-5999"),
                outside("gidNumber", 4005, "h", "5000-5999")
            ]
        );
    }
}
