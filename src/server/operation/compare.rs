//! Compare (RFC 4511 section 4.10), within what the bound user may see.

use akldap_directory as directory;
use akldap_ldap::message::{CompareRequest, OperationKind};
use akldap_ldap::response::LdapResult;

use super::super::session::Session;
use super::search::{self, Allowed, Refusal};

/// Compares one value of one attribute of one entry.
pub(in crate::server) fn run(session: &Session, request: &CompareRequest) -> LdapResult {
    let identity = session.identity.as_deref();
    if let Some(result) = session.outpost.special_compare(request, identity) {
        return result;
    }
    let Allowed {
        provider,
        viewer,
        snapshot,
    } = match search::authorise(session, request.entry.as_bytes()) {
        Ok(allowed) => allowed,
        Err(Refusal { reason, result }) => {
            if let Some(reason) = reason {
                session.count_refusal(OperationKind::Compare, reason);
            }
            return result;
        }
    };
    directory::compare(
        &snapshot,
        provider.tree(),
        viewer,
        request.entry.as_bytes(),
        request.attribute.as_bytes(),
        &request.value,
    )
}
