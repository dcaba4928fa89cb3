//! Whose password a request is about: the forms in which clients name a user, and what the requester may learn about it.
//!
//! Whoever cannot see the whole directory learns nothing about other names, not even whether they exist. Must not know
//! passwords.

use std::sync::Arc;

use crate::outpost::access::Identity;
use crate::outpost::directory::CurrentDirectory;
use crate::outpost::provider::Provider;
use akldap_directory::{Snapshot, UserIx, WrongNumber};
use akldap_ldap::dn::Name;

use super::failure::{self, ChangeFailure};

/// What is recorded in place of a name that is nobody's and no DN: it may be a password in the wrong place.
const NO_NAME: &str = "nobody of that name";

/// Whose password, as the client says it.
#[derive(Clone, PartialEq, Eq)]
pub enum WhosePassword {
    /// Who is bound.
    Bound,
    /// The user whose entry has this name.
    Entry(Vec<u8>),
    /// A userIdentity of RFC 3062: a DN, `dn:` and a DN, `u:` and a user name, or a user name.
    Identity(Vec<u8>),
}

/// The user it is about.
pub(in crate::outpost) struct ChangeTarget {
    pub(in crate::outpost) pk: i64,
    pub(super) uid: String,
    pub(in crate::outpost) username: String,
    /// Whether it is the requester.
    pub(super) own: bool,
}

/// Finds the user.
pub(super) fn resolve(
    whose: &WhosePassword,
    identity: &Arc<Identity>,
    provider: &Provider,
    directory: &CurrentDirectory,
) -> Result<ChangeTarget, ChangeFailure> {
    let snapshot = directory.snapshot().ok_or_else(failure::not_loaded)?;
    let own = identity.user_pk();
    let meant = |snapshot: &Snapshot| {
        let named = directory.sound(named(whose, identity, provider, snapshot));
        named.ok_or_else(failure::damaged)
    };
    let mut named = meant(&snapshot)?;
    if identity.may_search_everything() && !matches!(named, NamedUsers::One(pk) if pk == own) {
        // Whom this provider does not show is not there for anybody else.
        let shown = directory.in_shape(provider.shape());
        named = meant(&*shown.ok_or_else(failure::not_in_this_shape)?)?;
    }
    let unseen = || match identity.may_search_everything() {
        true => failure::nobody(),
        false => failure::somebody_else(),
    };
    let pk = match named {
        NamedUsers::One(pk) => pk,
        NamedUsers::Several if identity.may_search_everything() => return Err(failure::ambiguous()),
        NamedUsers::Nobody | NamedUsers::Several => return Err(unseen()),
    };
    if pk != own && !identity.may_search_everything() {
        return Err(unseen());
    }
    let user = snapshot
        .user_by_pk(pk)
        .ok_or_else(failure::not_in_the_directory)?;
    let user = directory
        .sound(snapshot.user(user))
        .ok_or_else(failure::damaged)?;
    if pk == own && user.uid != identity.login().uid() {
        return Err(failure::not_in_the_directory());
    }
    Ok(ChangeTarget {
        pk,
        uid: user.uid.to_owned(),
        username: user.username.to_owned(),
        own: pk == own,
    })
}

/// Whom a name means.
enum NamedUsers {
    Nobody,
    One(i64),
    /// Users whose names differ in case only, and none of them exactly as it was written.
    Several,
}

impl NamedUsers {
    fn of(users: &[UserIx], snapshot: &Snapshot) -> Result<Self, WrongNumber> {
        Ok(match users {
            [] => Self::Nobody,
            [user] => Self::One(snapshot.user(*user)?.pk),
            _ => Self::Several,
        })
    }
}

/// The user that a request names, whether or not the requester may know.
fn named(
    whose: &WhosePassword,
    identity: &Identity,
    provider: &Provider,
    snapshot: &Snapshot,
) -> Result<NamedUsers, WrongNumber> {
    let own = Ok(NamedUsers::One(identity.user_pk()));
    match whose {
        WhosePassword::Bound => own,
        WhosePassword::Entry(name) => entry(name, identity, provider, snapshot),
        WhosePassword::Identity(name) => match form(name) {
            IdentityForm::Bound => own,
            IdentityForm::Entry(name) => entry(name, identity, provider, snapshot),
            IdentityForm::Username(name) => user(name, snapshot),
        },
    }
}

/// Whom a request is about, for the record: a user's key and name, or what the client called somebody who is not there.
pub(super) fn for_record(
    whose: &WhosePassword,
    identity: Option<&Identity>,
    directory: &CurrentDirectory,
) -> (Option<i64>, Option<String>) {
    if let Some(snapshot) = directory.snapshot()
        && let Ok(NamedUsers::One(pk)) = match (identity, whose) {
            (Some(identity), whose) => named(whose, identity, identity.provider(), &snapshot),
            (None, WhosePassword::Identity(name)) => match form(name) {
                IdentityForm::Username(name) => user(name, &snapshot),
                _ => Ok(NamedUsers::Nobody),
            },
            (None, _) => Ok(NamedUsers::Nobody),
        }
    {
        let user = snapshot.user_by_pk(pk).map(|user| snapshot.user(user));
        let name = user.and_then(Result::ok).map(|user| user.username.to_owned());
        return (Some(pk), name);
    }
    let asked = match whose {
        WhosePassword::Bound => return (None, None),
        WhosePassword::Entry(name) => Some(&name[..]),
        WhosePassword::Identity(name) => match form(name) {
            IdentityForm::Bound => return (None, None),
            IdentityForm::Entry(name) => Some(name),
            IdentityForm::Username(_) => None,
        },
    };
    // Whoever types a new password where the user belongs gives it away as a name.
    let name = asked.filter(|name| is_long_dn(name));
    let name = name.map_or(NO_NAME.into(), String::from_utf8_lossy);
    (None, Some(name.into_owned()))
}

/// Whether this is a DN of two parts or more: a password with an equals sign would pass for one of a single part.
fn is_long_dn(name: &[u8]) -> bool {
    Name::new(name)
        .parsed()
        .is_ok_and(|dn| dn.parent().is_some_and(|parent| !parent.is_empty()))
}

/// A userIdentity by its form.
#[derive(Debug, PartialEq, Eq)]
enum IdentityForm<'a> {
    Bound,
    Entry(&'a [u8]),
    Username(&'a [u8]),
}

fn form(name: &[u8]) -> IdentityForm<'_> {
    fn behind<'a>(name: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
        let (front, rest) = name.split_at_checked(prefix.len())?;
        front.eq_ignore_ascii_case(prefix).then_some(rest)
    }
    if name.is_empty() {
        return IdentityForm::Bound;
    }
    if let Some(dn) = behind(name, b"dn:") {
        return match dn {
            [] => IdentityForm::Bound,
            dn => IdentityForm::Entry(dn),
        };
    }
    if let Some(username) = behind(name, b"u:") {
        return IdentityForm::Username(username);
    }
    match name.contains(&b'=') {
        true => IdentityForm::Entry(name),
        false => IdentityForm::Username(name),
    }
}

/// The user with an entry of this name. The name of the bind also means the requester.
fn entry(
    name: &[u8],
    identity: &Identity,
    provider: &Provider,
    snapshot: &Snapshot,
) -> Result<NamedUsers, WrongNumber> {
    if name == identity.dn().as_bytes() {
        return Ok(NamedUsers::One(identity.user_pk()));
    }
    NamedUsers::of(
        &provider.tree().users_named(snapshot, &Name::new(name))?,
        snapshot,
    )
}

fn user(name: &[u8], snapshot: &Snapshot) -> Result<NamedUsers, WrongNumber> {
    NamedUsers::of(&snapshot.users_by_name(name)?, snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_identity_is_told_from_the_others() {
        for (name, wanted) in [
            (&b""[..], IdentityForm::Bound),
            (b"dn:", IdentityForm::Bound),
            (b"DN:cn=alice,dc=x", IdentityForm::Entry(b"cn=alice,dc=x")),
            (b"cn=alice,dc=x", IdentityForm::Entry(b"cn=alice,dc=x")),
            (b"u:alice", IdentityForm::Username(b"alice")),
            (b"U:a=b", IdentityForm::Username(b"a=b")),
            (b"alice", IdentityForm::Username(b"alice")),
            (b"u:", IdentityForm::Username(b"")),
        ] {
            assert_eq!(form(name), wanted, "{}", String::from_utf8_lossy(name));
        }
    }
}
