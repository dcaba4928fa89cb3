//! What a login depends on besides the password: the names a login flow may find a person by, and what changed about
//! people from one snapshot to the next.
//!
//! Knows which fields authentik's identification stage asks: user name, e-mail address, UPN, and whatever attribute an
//! admin's policy takes. If a number points to nothing it is unknown who is meant, and that is reported. Must not
//! know binds.

use std::cmp::Ordering;

use uuid::Uuid;

use crate::index::snapshot::{Snapshot, text};
use crate::model::built_in::AttributeId;
use crate::model::number::{RecordIx, UserIx, WrongNumber};
use crate::model::record;
use crate::model::records::Records;
use crate::values::syntax;

/// The attribute in which authentik keeps a user principal name.
const UPN: &str = "upn";
/// Its upper case is that of `i`, its folded case is its own.
const DOTLESS_I: char = 'ı';

/// A field of a user that a login name can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameField {
    /// The user name.
    Username,
    /// The e-mail address.
    Email,
    /// A custom attribute, by its name in lower case.
    Attribute(Box<str>),
}

impl Snapshot {
    /// The field of a user that equals a name as it was typed, case ignored, as authentik compares by default. The user
    /// name comes first, then the e-mail address, then the UPN, then any other custom attribute.
    ///
    /// # Errors
    /// When the number belongs to another snapshot, or one in the snapshot points to nothing.
    pub fn name_field(&self, user: UserIx, typed: &str) -> Result<Option<NameField>, WrongNumber> {
        let usual = [
            NameField::Username,
            NameField::Email,
            NameField::Attribute(UPN.into()),
        ];
        for field in usual {
            if self.is_called(user, &field, typed)? {
                return Ok(Some(field));
            }
        }
        let mut others: Vec<&[u8]> = Vec::new();
        for (name, id) in self.records.attributes.iter() {
            if !id.is_built_in() && self.has_name(user, id, typed)? {
                others.push(name);
            }
        }
        let first = others.into_iter().min().map(text).transpose()?;
        Ok(first.map(|name| NameField::Attribute(name.into())))
    }

    /// Whether that field of the user equals the name.
    ///
    /// # Errors
    /// When the number belongs to another snapshot, or one in the snapshot points to nothing.
    pub fn is_called(&self, user: UserIx, field: &NameField, typed: &str) -> Result<bool, WrongNumber> {
        self.name_id(field)
            .map_or(Ok(false), |id| self.has_name(user, id, typed))
    }

    /// The pks, ascending, of all users whose user name, e-mail address, UPN or `field` equals the name, case ignored.
    ///
    /// # Errors
    /// When a number points to nothing.
    pub fn users_called(&self, typed: &str, field: Option<&NameField>) -> Result<Vec<i64>, WrongNumber> {
        let upn = NameField::Attribute(UPN.into());
        let fields = [
            Some(&NameField::Username),
            Some(&NameField::Email),
            Some(&upn),
            field,
        ];
        let mut found = Vec::new();
        let fields = fields.into_iter().flatten();
        for id in fields.filter_map(|field| self.name_id(field)) {
            for user in self.named_in(id, typed)? {
                found.push(*self.records.users.pks.get(user)?);
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The user that somebody who logs in under a name means, as authentik's identification stage finds them: of all with
    /// that user name or e-mail address, case ignored, the one with the lowest pk; otherwise the one with that UUID.
    ///
    /// # Errors
    /// When a number points to nothing.
    pub fn user_by_login(&self, typed: &str) -> Result<Option<UserIx>, WrongNumber> {
        let mut found = self.named_in(AttributeId::RDN, typed)?;
        found.extend(self.named_in(AttributeId::MAIL, typed)?);
        if let Some(user) = found.into_iter().min() {
            return Ok(Some(user));
        }
        match Uuid::try_parse(without_white_space_around(typed)) {
            Ok(uuid) => self.user_by_uuid(uuid.as_bytes()),
            Err(_) => Ok(None),
        }
    }

    /// The pks, ascending, of the users of either snapshot about whom something differs that a login depends on: whether
    /// they exist and are active, who they are, when their password was changed, and the names they log in with. A
    /// unknown date counts as different, to be safe.
    ///
    /// # Errors
    /// When a number of either points nowhere.
    pub fn login_changes(&self, before: &Self) -> Result<Vec<i64>, WrongNumber> {
        let mut changed = Vec::new();
        let users = |snapshot: &Self| snapshot.records.users.pks.numbers();
        let (mut new, mut old) = (users(self).peekable(), users(before).peekable());
        let upn = [self, before].map(|snapshot| snapshot.records.attributes.find(UPN.as_bytes()));
        let pk = |snapshot: &Self, user: Option<&UserIx>| {
            let pk = user.map(|user| snapshot.records.users.pks.get(*user).copied());
            pk.transpose()
        };
        loop {
            let (now, then) = (pk(self, new.peek())?, pk(before, old.peek())?);
            let order = match (now, then) {
                (None, None) => return Ok(changed),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(now), Some(then)) => now.cmp(&then),
            };
            let user = if order.is_le() { new.next() } else { None };
            let earlier = if order.is_ge() { old.next() } else { None };
            let same = match (user, earlier) {
                (Some(user), Some(earlier)) => self.logs_in_like(user, before, earlier, upn)?,
                _ => false,
            };
            if !same {
                changed.extend(now.filter(|_| order.is_le()).or(then));
            }
        }
    }

    fn logs_in_like(
        &self,
        user: UserIx,
        before: &Self,
        earlier: UserIx,
        upn: [Option<AttributeId>; 2],
    ) -> Result<bool, WrongNumber> {
        let (now, then) = (&self.records, &before.records);
        let (record, old_record) = (now.user_record(user)?, then.user_record(earlier)?);
        let date = *now.users.password_changes.get(user)?;
        let mail = Some(AttributeId::MAIL);
        let [upn_now, upn_then] = upn;
        let is_active = |records: &Records, number| Ok(records.get(number)?.has(record::ACTIVE));
        fn set(
            snapshot: &Snapshot,
            record: RecordIx,
            id: Option<AttributeId>,
        ) -> Result<Option<&[u8]>, WrongNumber> {
            id.map_or(Ok(None), |id| snapshot.records.stored_set(record, id))
        }
        Ok(date.is_some()
            && date == *then.users.password_changes.get(earlier)?
            && is_active(now, record)? == is_active(then, old_record)?
            && now.users.uuids.get(user)? == then.users.uuids.get(earlier)?
            && now.user_uid(user)? == then.user_uid(earlier)?
            && now.name(record)? == then.name(old_record)?
            && set(self, record, mail)? == set(before, old_record, mail)?
            && set(self, record, upn_now)? == set(before, old_record, upn_then)?)
    }

    fn name_id(&self, field: &NameField) -> Option<AttributeId> {
        match field {
            NameField::Username => Some(AttributeId::RDN),
            NameField::Email => Some(AttributeId::MAIL),
            NameField::Attribute(name) => self.records.attributes.find(name.as_bytes()),
        }
    }

    /// The users with a field that equals the name, case ignored.
    fn named_in(&self, id: AttributeId, typed: &str) -> Result<Vec<UserIx>, WrongNumber> {
        let typed = without_white_space_around(typed);
        // The one letter that indexes distinguish from another and authentik does not. A user whose own name has it is not
        // found here under the other, which only means that the two spellings count as two persons.
        let dotted = typed.contains(DOTLESS_I).then(|| typed.replace(DOTLESS_I, "i"));
        let mut found = Vec::new();
        let syntax = self.records.attributes.syntax(id)?;
        for spelling in [Some(typed), dotted.as_deref()].into_iter().flatten() {
            let key = syntax::equality_key(syntax, spelling.as_bytes());
            let records = self.lookup_key(id, &key)?.iter();
            for user in records.filter_map(|&record| self.records.layout.user_of(record)) {
                if self.has_name(user, id, typed)? {
                    found.push(user);
                }
            }
        }
        Ok(found)
    }

    fn has_name(&self, user: UserIx, id: AttributeId, typed: &str) -> Result<bool, WrongNumber> {
        self.records
            .any_value(self.records.user_record(user)?, id, |value| {
                std::str::from_utf8(value).is_ok_and(|value| is_same_name(value, typed))
            })
    }
}

/// A name as authentik takes it, which removes what Python's `str.strip` does: Unicode's white space and the four
/// separators U+001C to U+001F.
#[must_use]
pub fn without_white_space_around(name: &str) -> &str {
    name.trim_matches(|character: char| {
        character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
    })
}

/// A form that two login names share exactly if authentik treats them as one: white space around them and case do not
/// matter, everything else does.
///
/// authentik asks PostgreSQL whether their `UPPER` is equal (Django's `iexact`), which turns each character into at most one
/// other. So `ı` and `ſ` are `I` and `S`, while `ß`, `ﬁ` and `İ` stay what they are, and the signs of Kelvin, Ångström and
/// Ohm, which [`text::fold_case`](akldap_ldap::text::fold_case) treats as their letters, are not. Entries are distinguished
/// by that function, as in authentik's outpost; people who log in, by this one. A database with another collation may
/// distinguish names that are one here (`C`: all but ASCII) or the reverse (ICU: `ß` and `ss`): then two persons share a
/// count of failures, or one has two, and a login under such a name is re-checked like any other.
#[must_use]
pub fn login_key(name: &str) -> String {
    fn single(mut mapped: impl Iterator<Item = char>) -> Option<char> {
        mapped.next().filter(|_| mapped.next().is_none())
    }
    without_white_space_around(name)
        .chars()
        .map(|character| {
            // Where Rust's upper case has several characters, the few that have a single one too share their lower case.
            single(character.to_uppercase())
                .or_else(|| single(character.to_lowercase()))
                .unwrap_or(character)
        })
        .collect()
}

fn is_same_name(left: &str, right: &str) -> bool {
    let (left, right) = (login_key(left), login_key(right));
    !left.is_empty() && left == right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Syntax;
    use crate::{Builder, UserRecord};

    type Person<'a> = (i64, &'a str, &'a str, &'a str, Option<i64>);

    const OLD: Option<i64> = Some(1_767_323_045_000_000);
    const NEW: Option<i64> = Some(1_767_323_046_000_000);

    fn snapshot(people: &[Person<'_>]) -> Snapshot {
        let mut builder = Builder::new();
        for &(pk, username, email, attributes, password_change_date) in people {
            builder.add_user(&UserRecord {
                pk,
                username,
                email,
                attributes: Some(attributes),
                password_change_date,
                is_active: true,
                uid: username,
                uuid: &crate::fixture::uuid(pk),
                ..UserRecord::default()
            });
        }
        builder.finish().unwrap().0
    }

    fn field(snapshot: &Snapshot, pk: i64, typed: &str) -> Option<NameField> {
        snapshot
            .name_field(snapshot.user_by_pk(pk).unwrap(), typed)
            .unwrap()
    }

    fn attribute(name: &str) -> Option<NameField> {
        Some(NameField::Attribute(name.into()))
    }

    #[test]
    fn a_name_is_one_of_the_fields_or_none() {
        let snapshot = snapshot(&[
            (
                1,
                "alice",
                "Alice@Example.com",
                r#"{"upn":"al@corp","number":"E-17"}"#,
                OLD,
            ),
            (2, "straße", "alice@example.com", "{}", OLD),
        ]);
        assert_eq!(field(&snapshot, 1, " ALICE "), Some(NameField::Username));
        assert_eq!(field(&snapshot, 2, "STRAßE"), Some(NameField::Username));
        assert_eq!(field(&snapshot, 2, "ſtraße"), Some(NameField::Username));
        assert_eq!(field(&snapshot, 1, "alice@example.com"), Some(NameField::Email));
        assert_eq!(field(&snapshot, 1, "AL@corp"), attribute("upn"));
        assert_eq!(field(&snapshot, 1, "e-17"), attribute("number"));
        // Nothing but case is folded.
        for other in ["al ice", "ａlice", "alice@", "", " "] {
            assert_eq!(field(&snapshot, 1, other), None, "{other}");
        }
        assert_eq!(snapshot.users_called("ALICE@example.com", None).unwrap(), [1, 2]);
        assert_eq!(snapshot.users_called("alice", None).unwrap(), [1]);
        assert_eq!(snapshot.users_called("e-17", None).unwrap(), [0_i64; 0]);
        let number = attribute("number");
        assert_eq!(snapshot.users_called("e-17", number.as_ref()).unwrap(), [1]);
    }

    #[test]
    fn a_login_name_is_whose_authentik_says() {
        let snapshot = snapshot(&[
            (1, "alice", "third@example.com", "{}", OLD),
            (2, "ALICE", "", "{}", OLD),
            (3, "third@example.com", "first@example.com", "{}", OLD),
            (4, "kelvin", "", "{}", OLD),
            (5, "\u{212a}elvin", "", "{}", OLD),
            (6, "strasse", "ıda@example.com", "{}", OLD),
            (7, "ſam", "", r#"{"upn":"IDA@corp"}"#, OLD),
        ]);
        let person = |typed: &str| {
            let user = snapshot.user_by_login(typed).unwrap()?;
            Some(snapshot.user(user).unwrap().pk)
        };
        for (typed, pk) in [
            ("ALICE", Some(1)),
            ("alıce", Some(1)),
            ("AlıCE\u{1f}", Some(1)),
            ("third@example.com", Some(1)),
            ("FIRST@example.com", Some(3)),
            ("KELVIN", Some(4)),
            ("\u{212a}ELVIN", Some(5)),
            ("ſtraſſe", Some(6)),
            ("straße", None),
            ("ıda@example.com", Some(6)),
            ("SAM", Some(7)),
            ("ａlice", None),
            ("", None),
            (" ", None),
        ] {
            assert_eq!(person(typed), pk, "{typed}");
        }
        assert_eq!(field(&snapshot, 1, "ALıCE"), Some(NameField::Username));
        assert_eq!(field(&snapshot, 7, "ıda@corp"), attribute("upn"));
        assert_eq!(field(&snapshot, 4, "\u{212a}elvin"), None);
        assert_eq!(snapshot.users_called("alıce", None).unwrap(), [1, 2]);
        assert_eq!(snapshot.users_called("kelvin", None).unwrap(), [4]);
    }

    /// Of the letters that authentik treats as one, indexes distinguish a single one. Letters of newer Unicode versions,
    /// which one library folds and another does not yet, are left out.
    #[test]
    fn indexes_find_whatever_is_one_name_to_authentik() {
        let mut apart = Vec::new();
        for character in '\0'..'\u{a7c0}' {
            let mut buffer = [0; 4];
            let name: &str = character.encode_utf8(&mut buffer);
            let upper = login_key(name);
            assert_eq!(login_key(&upper), upper, "{character:?}");
            for syntax in [Syntax::AccountName, Syntax::DirectoryString] {
                let key = |name: &str| syntax::equality_key(syntax, name.as_bytes()).into_owned();
                if !upper.is_empty() && upper != name && key(name) != key(&upper) {
                    apart.push((character, syntax));
                }
            }
        }
        let both = [Syntax::AccountName, Syntax::DirectoryString];
        assert_eq!(apart, both.map(|syntax| (DOTLESS_I, syntax)));
    }

    #[test]
    fn only_what_a_login_hangs_on_is_a_change() {
        let person = (1, "alice", "a@x", r#"{"upn":"al","other":"1"}"#, OLD);
        let before = snapshot(&[person, (2, "bob", "", "{}", OLD), (3, "carol", "", "{}", None)]);
        let changes = |people: &[Person<'_>]| snapshot(people).login_changes(&before).unwrap();
        let bob = (2, "bob", "", "{}", OLD);
        // An unknown date is never the same.
        assert_eq!(changes(&[person, bob, (3, "carol", "", "{}", None)]), [3]);
        assert_eq!(
            changes(&[(1, "alice", "a@x", r#"{"upn":"al","other":"2"}"#, OLD), bob]),
            [3]
        );
        for changed in [
            (1, "alice2", "a@x", r#"{"upn":"al"}"#, OLD),
            (1, "alice", "b@x", r#"{"upn":"al"}"#, OLD),
            (1, "alice", "a@x", r#"{"upn":"b"}"#, OLD),
            (1, "alice", "a@x", r#"{"upn":"al"}"#, NEW),
            (1, "alice", "a@x", r#"{"upn":"al"}"#, None),
        ] {
            assert_eq!(changes(&[changed, bob]), [1, 3], "{changed:?}");
        }
        assert_eq!(changes(&[bob, (9, "new", "", "{}", OLD)]), [1, 3, 9]);
        let uuid = crate::fixture::uuid(1);
        let alone = |change: fn(&mut UserRecord<'_>)| {
            let mut alice = UserRecord {
                pk: 1,
                username: "alice",
                email: "a@x",
                attributes: Some(r#"{"upn":"al"}"#),
                password_change_date: OLD,
                is_active: true,
                uid: "alice",
                uuid: &uuid,
                ..UserRecord::default()
            };
            change(&mut alice);
            let mut builder = Builder::new();
            builder.add_user(&alice);
            builder.finish().unwrap().0.login_changes(&before).unwrap()
        };
        assert_eq!(alone(|_| {}), [2, 3], "the others are gone");
        for change in [
            |alice: &mut UserRecord<'_>| alice.is_active = false,
            |alice: &mut UserRecord<'_>| alice.uid = "somebody else",
            |alice: &mut UserRecord<'_>| alice.uuid = "00000000-0000-4000-8000-00000000000f",
        ] {
            assert_eq!(alone(change), [1, 2, 3]);
        }
    }
}
