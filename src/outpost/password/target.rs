//! Whose password a request is about: the forms in which clients name a user, and what of it whoever asks may know.
//!
//! Whoever does not see the whole directory learns nothing about other names, not even whether they are there. Must not know
//! passwords.

use std::sync::Arc;

use crate::outpost::access::Identity;
use crate::outpost::directory::CurrentDirectory;
use crate::outpost::provider::Provider;
use akldap_directory::{Snapshot, WrongNumber};
use akldap_ldap::dn::Name;

use super::failure::{self, ChangeFailure};

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
    /// Whether it is who asks.
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
    let known = |named| directory.sound(named).ok_or_else(failure::damaged);
    let named = match whose {
        WhosePassword::Bound => Some(own),
        WhosePassword::Entry(name) => known(entry(name, identity, provider, &snapshot))?,
        WhosePassword::Identity(name) => match form(name) {
            IdentityForm::Bound => Some(own),
            IdentityForm::Entry(name) => known(entry(name, identity, provider, &snapshot))?,
            IdentityForm::Username(name) => known(user(name, &snapshot))?,
        },
    };
    let unseen = || match identity.may_search_everything() {
        true => failure::nobody(),
        false => failure::somebody_else(),
    };
    let pk = named.ok_or_else(unseen)?;
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

/// The user with an entry of this name. Whoever asks goes by the name of the bind, too.
fn entry(
    name: &[u8],
    identity: &Identity,
    provider: &Provider,
    snapshot: &Snapshot,
) -> Result<Option<i64>, WrongNumber> {
    if name == identity.dn().as_bytes() {
        return Ok(Some(identity.user_pk()));
    }
    let named = provider.tree().user_named(snapshot, &Name::new(name));
    named.and_then(|user| user.map(|user| Ok(snapshot.user(user)?.pk)).transpose())
}

fn user(name: &[u8], snapshot: &Snapshot) -> Result<Option<i64>, WrongNumber> {
    let named = snapshot.users_by_name(name);
    named.and_then(|users| {
        let user = users.first();
        user.map(|user| Ok(snapshot.user(*user)?.pk)).transpose()
    })
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
