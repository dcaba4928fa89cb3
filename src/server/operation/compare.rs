//! Compare (RFC 4511 section 4.10), within what the bound user may see.

use akldap_directory as directory;
use akldap_ldap::message::{CompareRequest, OperationKind};
use akldap_ldap::response::LdapResult;

use super::super::session::Session;
use super::root_dse;
use super::search::{self, Allowed, Refusal};

/// Compares one value of one attribute of one entry.
pub(in crate::server) fn run(session: &Session, request: &CompareRequest) -> LdapResult {
    if let Some(result) = root_dse::compare(session, request) {
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
