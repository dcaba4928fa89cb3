//! The DN of whoever is bound.
//!
//! Must not know connections.

use std::borrow::Cow;
use std::sync::Arc;

use super::access::Identity;
use super::directory::CurrentDirectory;
use super::providers::Providers;
use akldap_directory::Snapshot;

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
    let entry_dn = |snapshot: Option<Arc<Snapshot>>| {
        let dn = identity.entry_dn(snapshot.as_deref(), provider);
        directory.sound(dn).flatten()
    };
    // Whom the provider does not show has a name, too.
    let shown = entry_dn(directory.in_shape(provider.shape())).or_else(|| entry_dn(directory.snapshot()));
    shown.map_or(Cow::Borrowed(identity.dn()), Cow::Owned)
}
