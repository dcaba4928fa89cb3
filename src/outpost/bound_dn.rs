//! The DN of whoever is bound.
//!
//! Must not know connections.

use std::borrow::Cow;

use super::access::Identity;
use super::directory::CurrentDirectory;
use super::providers::Providers;

/// As the newest directory shows it: `uid=alice,…` bound `cn=alice,…`, and a renamed user has a new one. The name the client bound
/// with if the directory does not know the user.
pub(crate) fn bound_dn<'a>(
    identity: &'a Identity,
    providers: &Providers,
    directory: &CurrentDirectory,
) -> Cow<'a, str> {
    let bound_to = identity.provider();
    let current = providers.current().by_pk(bound_to.pk());
    let provider = current.as_ref().unwrap_or(bound_to);
    let shown = identity.entry_dn(directory.snapshot().as_deref(), provider);
    let shown = directory.sound(shown).flatten();
    shown.map_or(Cow::Borrowed(identity.dn()), Cow::Owned)
}
