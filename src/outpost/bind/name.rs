//! From a bind DN to a provider and the name to log in with. Knows how people write bind DNs, and what Active Directory accepts
//! as one; must not know passwords.

use std::borrow::Cow;
use std::sync::Arc;

use thiserror::Error;

use crate::outpost::provider::Provider;
use crate::outpost::providers::table::{Based, Located, NotLocated, ProviderTable, Spelling};
use akldap_directory::{Snapshot, WrongNumber};
use akldap_ldap::dn::{Dn, DnError, Name, Rdn};
use akldap_ldap::text;

/// What a bind DN means.
#[derive(Debug)]
pub(super) struct BindName<P = Provider> {
    /// The provider it belongs to.
    pub(super) provider: Arc<P>,
    /// What the identification stage is given, except for the account's own spelling of it.
    pub(super) username: String,
    /// Whether it is not the DN we serve for the user, although it is accepted.
    pub(super) lax: bool,
    /// Whether it is the name of a user's entry, if there is such a user: then authentik is asked about that user, whatever
    /// the spelling. Otherwise authentik has to interpret the name.
    pub(super) of_entry: bool,
}

impl BindName {
    /// The same name as the directory has it, if it is one of an entry there: of several that differ only in case the one
    /// spelled so, otherwise the one with the lowest pk, which is also the one authentik picks.
    ///
    /// # Errors
    /// When a number in the directory points nowhere, so that it is unknown who is meant.
    pub(super) fn spelled_by(mut self, directory: Option<&Snapshot>) -> Result<Self, WrongNumber> {
        if self.of_entry
            && let Some(directory) = directory
            && let Some(user) = directory.users_by_name(self.username.as_bytes())?.first()
        {
            directory.user(*user)?.username.clone_into(&mut self.username);
        }
        Ok(self)
    }
}

/// Why a bind DN names nobody.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum BindNameError {
    /// Not a distinguished name.
    #[error("the bind DN is malformed: {0}")]
    Malformed(DnError),
    /// Outside every provider.
    #[error(
        "no LDAP provider of this outpost has a base DN at or above the bind DN: compare it with the provider's base DN in authentik"
    )]
    NoProvider,
    /// A name that is no DN could belong to any of several.
    #[error(
        "the bind name is not a DN, and this outpost has several LDAP providers: bind with \
         cn=<username>,ou=users,<base DN>"
    )]
    SeveralProviders,
    /// Nothing in it can be a user name.
    #[error("the bind DN has no cn, uid or mail that could be a user name")]
    NoUsername,
    /// A domain and nothing else.
    #[error("the bind name has a domain but no user name")]
    OnlyDomain,
    /// Strict names are asked for and this is not one.
    #[error(
        "the bind DN is not of the form cn=<username>,ou=users,<base DN>, which this server is set to require"
    )]
    NotStrict,
    /// The user name is not UTF-8.
    #[error("the user name in the bind DN is not UTF-8")]
    NotUtf8,
    /// A number in the directory points nowhere, so that it is not known who is meant.
    #[error(transparent)]
    Damaged(#[from] WrongNumber),
}

impl From<NotLocated> for BindNameError {
    fn from(error: NotLocated) -> Self {
        match error {
            NotLocated::Outside => Self::NoProvider,
            NotLocated::Malformed(error) => Self::Malformed(error),
        }
    }
}

/// Reads a bind DN. A name of a user's entry, in any spelling in which a search finds it, means that user. Otherwise anything
/// with a `cn`, otherwise a `uid`, otherwise a `mail` below a provider's base is a user's name unless that provider wants strict
/// names; the unescaped spelling `cn=a, b,ou=users,<base>` is accepted too. The directory is asked for only if the spelling is
/// unusual.
pub(super) fn resolve<P: Based>(
    name: &Name<'_>,
    providers: &ProviderTable<P>,
    directory: impl FnOnce() -> Option<Arc<Snapshot>>,
) -> Result<BindName<P>, BindNameError> {
    let all_strict = !providers.is_empty()
        && !providers
            .iter()
            .any(|provider| provider.config().accept_bare_names);
    if is_bare(name.octets()) && !all_strict {
        return resolve_bare(name.octets(), providers);
    }
    let Located { provider, spelling } = providers.locate(name)?;
    if spelling == Spelling::Plain
        && let Some(username) = provider.tree().plain_username(name.octets())
    {
        let username = std::str::from_utf8(username).map_err(|_| BindNameError::NotUtf8)?;
        return Ok(BindName {
            username: username.to_owned(),
            provider,
            lax: false,
            of_entry: true,
        });
    }
    let (username, lax) = match spelling {
        Spelling::Plain | Spelling::Parsed => {
            let dn = name.parsed().map_err(BindNameError::Malformed)?;
            let levels = dn.below(provider.tree().base()).unwrap_or_default();
            match provider.tree().username_in(levels) {
                // Whether a path is the user's is not asked: the answer would tell who there is, and where.
                Some(username) => (username.to_vec(), false),
                None => (
                    lax_username(levels).ok_or(BindNameError::NoUsername)?.to_vec(),
                    true,
                ),
            }
        }
        Spelling::Unescaped { front, error } => {
            let username = provider.tree().unescaped_username(front);
            let username = username.ok_or(BindNameError::Malformed(error))?;
            (username.to_vec(), true)
        }
    };
    if provider.config().strict_bind_dn && lax {
        return Err(BindNameError::NotStrict);
    }
    let directory = directory();
    let own = match directory.as_deref() {
        Some(directory) => {
            let user = provider.tree().user_named(directory, name)?;
            let user = user.map(|user| directory.user(user)).transpose()?;
            user.map(|user| user.username.to_owned())
        }
        None => None,
    };
    let of_entry = own.is_some();
    let username = match own {
        Some(own) => own,
        None => String::from_utf8(username).map_err(|_| BindNameError::NotUtf8)?,
    };
    if username.is_empty() {
        Err(BindNameError::NoUsername)
    } else {
        Ok(BindName {
            provider,
            username,
            lax,
            of_entry,
        })
    }
}

/// Octets of the longest name that is no DN: authentik's user names have 150 characters, e-mail addresses 254, each of up
/// to four octets, and a domain may come before it. Anything longer is nobody's and not worth a flow.
const MAX_BARE_NAME: usize = 1500;

/// Whether a name is no DN at all, for every RDN has a `=`, but can be a person's.
fn is_bare(name: &[u8]) -> bool {
    name.len() <= MAX_BARE_NAME
        && !name
            .iter()
            .any(|octet| *octet == b'=' || octet.is_ascii_control())
        && !name.trim_ascii().is_empty()
}

fn resolve_bare<P: Based>(name: &[u8], providers: &ProviderTable<P>) -> Result<BindName<P>, BindNameError> {
    let mut all = providers.iter();
    let provider = match (all.next(), all.next()) {
        (Some(only), None) => Arc::clone(only),
        (None, _) => return Err(BindNameError::NoProvider),
        (Some(_), Some(_)) => return Err(BindNameError::SeveralProviders),
    };
    let username = bare_username(name, provider.tree().base());
    let username = std::str::from_utf8(username).map_err(|_| BindNameError::NotUtf8)?;
    if username.trim().is_empty() {
        return Err(BindNameError::OnlyDomain);
    }
    Ok(BindName {
        username: username.to_owned(),
        provider,
        lax: true,
        of_entry: false,
    })
}

/// The user name in what Active Directory accepts as one: `name`, `name@domain` if the base DN is of that domain, and
/// `DOMAIN\name`. Any other `@` is part of the name, as in an e-mail address.
fn bare_username<'n>(name: &'n [u8], base: &Dn) -> &'n [u8] {
    // No domain has a backslash, a user name may.
    let behind = name
        .iter()
        .position(|octet| *octet == b'\\')
        .map_or(0, |at| at + 1);
    let name = name.get(behind..).unwrap_or_default();
    let at = name.iter().rposition(|octet| *octet == b'@');
    match at.and_then(|at| Some((name.get(..at)?, name.get(at + 1..)?))) {
        Some((before, domain)) if is_domain_of(domain, base) => before,
        _ => name,
    }
}

/// Whether a domain is spelled by the `dc` parts of a base DN.
fn is_domain_of(domain: &[u8], base: &Dn) -> bool {
    let labels: Vec<Cow<'_, [u8]>> = base
        .rdns
        .iter()
        .filter_map(|rdn| rdn.value_of("dc"))
        .map(text::fold_case)
        .collect();
    !labels.is_empty() && *text::fold_case(domain) == *labels.join(&b'.')
}

/// The value of the first `cn` below the base, otherwise of the first `uid`, otherwise of the first `mail`. The name of the base
/// itself (`cn=accounts,dc=example`) names no user.
fn lax_username(levels: &[Rdn]) -> Option<&[u8]> {
    let all = || levels.iter().flat_map(|rdn| &rdn.assertions);
    ["cn", "uid", "mail"].iter().find_map(|attribute| {
        all()
            .find(|assertion| assertion.attribute.eq_ignore_ascii_case(attribute))
            .map(|assertion| assertion.value.as_slice())
    })
}

#[cfg(test)]
mod tests;
