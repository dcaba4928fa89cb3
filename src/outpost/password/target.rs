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
    whose: &NamedUser<'_>,
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
    whose: &NamedUser<'_>,
    identity: &Identity,
    provider: &Provider,
    snapshot: &Snapshot,
) -> Result<NamedUsers, WrongNumber> {
    match whose {
        NamedUser::Bound => Ok(NamedUsers::One(identity.user_pk())),
        NamedUser::Entry(name) => entry(name, identity, provider, snapshot),
        NamedUser::Username(name) => user(name, snapshot),
    }
}

/// Whom a request is about, for the record: a user's key and name, or what the client called somebody who is not there.
pub(super) fn for_record(
    whose: &NamedUser<'_>,
    identity: Option<&Identity>,
    directory: &CurrentDirectory,
) -> (Option<i64>, Option<String>) {
    if let Some(snapshot) = directory.snapshot()
        && let Some(NamedUsers::One(pk)) = directory.sound(match (identity, whose) {
            (Some(identity), whose) => named(whose, identity, identity.provider(), &snapshot),
            (None, NamedUser::Username(name)) => user(name, &snapshot),
            (None, NamedUser::Bound | NamedUser::Entry(_)) => Ok(NamedUsers::Nobody),
        })
    {
        let user = snapshot.user_by_pk(pk);
        let user = user.and_then(|user| directory.sound(snapshot.user(user)));
        return (Some(pk), user.map(|user| user.username.to_owned()));
    }
    // Whoever types a new password where the user belongs gives it away as a name.
    let name = match whose {
        NamedUser::Bound => return (None, None),
        NamedUser::Entry(name) if is_long_dn(name) => String::from_utf8_lossy(name.octets()),
        NamedUser::Entry(_) | NamedUser::Username(_) => NO_NAME.into(),
    };
    (None, Some(name.into_owned()))
}

/// Whether this is a DN of two parts or more: a password with an equals sign would pass for one of a single part.
fn is_long_dn(name: &Name<'_>) -> bool {
    name.parsed()
        .is_ok_and(|dn| dn.parent().is_some_and(|parent| !parent.is_empty()))
}

/// Whose password, as it is understood: made once for each request, so that a name is parsed once.
#[derive(Debug)]
pub(super) enum NamedUser<'a> {
    /// Who is bound.
    Bound,
    /// The user whose entry has this name.
    Entry(Name<'a>),
    /// The user with this name.
    Username(&'a [u8]),
}

impl WhosePassword {
    /// What it means.
    pub(super) fn named(&self) -> NamedUser<'_> {
        match self {
            Self::Bound => NamedUser::Bound,
            Self::Entry(name) => NamedUser::Entry(Name::new(name)),
            Self::Identity(name) => of_identity(name),
        }
    }
}

/// Whom a userIdentity names, by its form.
fn of_identity(name: &[u8]) -> NamedUser<'_> {
    fn behind<'a>(name: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
        let (front, rest) = name.split_at_checked(prefix.len())?;
        front.eq_ignore_ascii_case(prefix).then_some(rest)
    }
    if name.is_empty() {
        return NamedUser::Bound;
    }
    if let Some(dn) = behind(name, b"dn:") {
        return match dn {
            [] => NamedUser::Bound,
            dn => NamedUser::Entry(Name::new(dn)),
        };
    }
    if let Some(username) = behind(name, b"u:") {
        return NamedUser::Username(username);
    }
    match name.contains(&b'=') {
        true => NamedUser::Entry(Name::new(name)),
        false => NamedUser::Username(name),
    }
}

/// The user with an entry of this name. The name of the bind also means the requester.
fn entry(
    name: &Name<'_>,
    identity: &Identity,
    provider: &Provider,
    snapshot: &Snapshot,
) -> Result<NamedUsers, WrongNumber> {
    if name.octets() == identity.dn().as_bytes() {
        return Ok(NamedUsers::One(identity.user_pk()));
    }
    NamedUsers::of(&provider.tree().users_named(snapshot, name)?, snapshot)
}

fn user(name: &[u8], snapshot: &Snapshot) -> Result<NamedUsers, WrongNumber> {
    NamedUsers::of(&snapshot.users_by_name(name)?, snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_identity_is_told_from_the_others() {
        let entry = |name| NamedUser::Entry(Name::new(name));
        for (name, wanted) in [
            (&b""[..], NamedUser::Bound),
            (b"dn:", NamedUser::Bound),
            (b"DN:cn=alice,dc=x", entry(b"cn=alice,dc=x")),
            (b"cn=alice,dc=x", entry(b"cn=alice,dc=x")),
            (b"u:alice", NamedUser::Username(b"alice")),
            (b"U:a=b", NamedUser::Username(b"a=b")),
            (b"alice", NamedUser::Username(b"alice")),
            (b"u:", NamedUser::Username(b"")),
        ] {
            let named = WhosePassword::Identity(name.to_vec());
            let (named, wanted) = (format!("{:?}", named.named()), format!("{wanted:?}"));
            assert_eq!(named, wanted, "{}", String::from_utf8_lossy(name));
        }
    }
}
