//! From a bind DN to a provider and the name to log in with. Knows how people write bind DNs; must not know passwords.

use std::sync::Arc;

use thiserror::Error;

use crate::ldap::dn::{Dn, DnError, Rdn};
use crate::outpost::providers::{Provider, ProviderTable};

/// What a bind DN means.
#[derive(Clone, Debug)]
pub(super) struct BindName {
    /// The provider it belongs to.
    pub(super) provider: Arc<Provider>,
    /// What the identification stage is given.
    pub(super) username: String,
    /// Whether it is not the DN we serve for the user, though accepted.
    pub(super) lax: bool,
}

/// Why a bind DN names nobody.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum NameError {
    /// Not a distinguished name.
    #[error("the bind DN is malformed: {0}")]
    Malformed(DnError),
    /// Outside every provider.
    #[error(
        "no LDAP provider of this outpost has a base DN at or above the bind DN: compare it with the provider's base DN in authentik"
    )]
    NoProvider,
    /// Nothing in it can be a user name.
    #[error("the bind DN has no cn, uid or mail that could be a user name")]
    NoUsername,
    /// Strict names are asked for and this is not one.
    #[error(
        "the bind DN is not of the form cn=<username>,ou=users,<base DN>, which this server is set to require"
    )]
    NotStrict,
    /// The user name is not UTF-8.
    #[error("the user name in the bind DN is not UTF-8")]
    NotUtf8,
}

/// Reads a bind DN. Anything with a `cn`, else a `uid`, else a `mail` below a provider's base is a user's
/// name unless `strict`; the unescaped spelling `cn=a, b,ou=users,<base>` is accepted too.
pub(super) fn resolve(name: &[u8], providers: &ProviderTable, strict: bool) -> Result<BindName, NameError> {
    if let Some(provider) = providers.for_plain_name(name)
        && let Some(username) = provider.tree().plain_username(name)
    {
        return Ok(BindName {
            provider: Arc::clone(provider),
            username: std::str::from_utf8(username)
                .map_err(|_| NameError::NotUtf8)?
                .to_owned(),
            lax: false,
        });
    }
    let (provider, username, lax) = match Dn::parse(name) {
        Ok(dn) => {
            let provider = providers.for_dn(&dn).ok_or(NameError::NoProvider)?;
            let levels = dn.below(provider.tree().base()).unwrap_or_default();
            match exact_username(levels) {
                Some(username) => (provider, username.to_vec(), false),
                None => {
                    let username = lax_username(levels).ok_or(NameError::NoUsername)?;
                    (provider, username.to_vec(), true)
                }
            }
        }
        Err(error) => {
            let (provider, front) = providers
                .for_unescaped_dn(name)
                .ok_or(NameError::Malformed(error))?;
            let username = unescaped_username(front).ok_or(NameError::Malformed(error))?;
            (provider, username.to_vec(), true)
        }
    };
    if strict && lax {
        return Err(NameError::NotStrict);
    }
    let username = String::from_utf8(username).map_err(|_| NameError::NotUtf8)?;
    if username.is_empty() {
        Err(NameError::NoUsername)
    } else {
        Ok(BindName {
            provider,
            username,
            lax,
        })
    }
}

/// The user name in `cn=<username>,ou=users`.
fn exact_username(levels: &[Rdn]) -> Option<&[u8]> {
    match levels {
        [user, container]
            if container
                .value_of("ou")
                .is_some_and(|ou| ou.eq_ignore_ascii_case(b"users")) =>
        {
            user.value_of("cn")
        }
        _ => None,
    }
}

/// The value of the first `cn` below the base, else of the first `uid`, else of the first `mail`. What the base itself is
/// called (`cn=accounts,dc=example`) names no user.
fn lax_username(levels: &[Rdn]) -> Option<&[u8]> {
    let all = || levels.iter().flat_map(|rdn| &rdn.assertions);
    ["cn", "uid", "mail"].iter().find_map(|attribute| {
        all()
            .find(|assertion| assertion.attribute.eq_ignore_ascii_case(attribute))
            .map(|assertion| assertion.value.as_slice())
    })
}

/// The user name in an unescaped `cn=<username>,ou=users` as the official outpost spells it.
fn unescaped_username(front: &[u8]) -> Option<&[u8]> {
    let (prefix, rest) = front.split_at_checked(3)?;
    let (username, container) = rest.split_at_checked(rest.len().checked_sub(9)?)?;
    (prefix.eq_ignore_ascii_case(b"cn=") && container.eq_ignore_ascii_case(b",ou=users")).then_some(username)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn providers() -> ProviderTable {
        ProviderTable::of_bases(&["DC=ldap,DC=goauthentik,DC=io"])
    }

    fn username(name: &str, strict: bool) -> Result<(String, bool), NameError> {
        resolve(name.as_bytes(), &providers(), strict).map(|name| (name.username, name.lax))
    }

    #[test]
    fn names_as_people_write_them() {
        for (name, expected, lax) in [
            ("cn=alice,ou=users,DC=ldap,DC=goauthentik,DC=io", "alice", false),
            (
                "CN = Alice , OU=Users,dc=LDAP,dc=goauthentik,dc=io",
                "Alice",
                false,
            ),
            ("cn=alice,dc=ldap,dc=goauthentik,dc=io", "alice", true),
            ("cn=alice,ou=groups,dc=ldap,dc=goauthentik,dc=io", "alice", true),
            ("ou=x,cn=alice,ou=y,dc=ldap,dc=goauthentik,dc=io", "alice", true),
            ("uid=alice,ou=users,dc=ldap,dc=goauthentik,dc=io", "alice", true),
            (
                "mail=a@example.com,ou=users,dc=ldap,dc=goauthentik,dc=io",
                "a@example.com",
                true,
            ),
            (
                "cn=Sales\\2c EMEA,ou=users,dc=ldap,dc=goauthentik,dc=io",
                "Sales, EMEA",
                false,
            ),
            (
                "cn=Sales, EMEA,ou=users,dc=ldap,dc=goauthentik,dc=io",
                "Sales, EMEA",
                true,
            ),
            ("cn=a+b,ou=users,dc=ldap,dc=goauthentik,dc=io", "a+b", true),
            ("cn=zoë,ou=users,dc=ldap,dc=goauthentik,dc=io", "zoë", false),
        ] {
            assert_eq!(username(name, false), Ok((expected.to_owned(), lax)), "{name}");
            assert_eq!(username(name, true).is_ok(), !lax, "{name}");
        }
    }

    #[test]
    fn the_base_itself_names_nobody() {
        for base in [
            "cn=accounts,dc=x",
            "CN=accounts,dc=x",
            "uid=accounts,dc=x",
            "mail=accounts,dc=x",
            "o=y+cn=accounts,dc=x",
            "cn=a\\2c b\\, c,cn=accounts,dc=x",
        ] {
            let providers = ProviderTable::of_bases(&[base]);
            let resolved = |front: &str| {
                let name = format!("{front}{base}");
                resolve(name.as_bytes(), &providers, false).map(|name| name.username)
            };
            for nobody in ["", "ou=users,", " ou=users , ", "ou=x+l=y,ou=users,", "sn=a,"] {
                assert_eq!(resolved(nobody), Err(NameError::NoUsername), "{nobody}{base}");
            }
            for alice in [
                "cn=alice,ou=users,",
                "CN = alice;OU=users; ",
                "cn=alice,",
                "uid=alice,",
                "mail=alice,ou=users,",
                "uid=bob+cn=alice,ou=users,",
                "cn=alice+uid=bob,ou=users,",
                "ou=x,uid=alice,ou=users,",
                "l=x+uid=alice,",
            ] {
                assert_eq!(resolved(alice).as_deref(), Ok("alice"), "{alice}{base}");
            }
            assert_eq!(
                resolved("cn=Sales, EMEA,ou=users,").as_deref(),
                Ok("Sales, EMEA"),
                "{base}"
            );
            assert!(
                matches!(resolved("Sales, EMEA,ou=users,"), Err(NameError::Malformed(_))),
                "{base}"
            );
        }
    }

    #[test]
    fn names_of_nobody() {
        assert_eq!(
            username("cn=alice,dc=example,dc=com", false),
            Err(NameError::NoProvider)
        );
        assert_eq!(
            username("ou=users,dc=ldap,dc=goauthentik,dc=io", false),
            Err(NameError::NoUsername)
        );
        assert!(matches!(username("alice", false), Err(NameError::Malformed(_))));
        assert_eq!(
            username("cn=,ou=users,dc=ldap,dc=goauthentik,dc=io", false),
            Err(NameError::NoUsername)
        );
    }
}
