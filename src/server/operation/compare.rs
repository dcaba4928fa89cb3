//! Compare (RFC 4511 section 4.10), within what the bound user may see.

use akldap_directory as directory;
use akldap_ldap::dn::Name;
use akldap_ldap::message::CompareRequest;
use akldap_ldap::response::ResultCode;

use crate::server::session::LdapSession;

use super::access::{self, Allowed};
use super::monitor;
use super::outcome::Answer;
use super::root_dse;

/// Compares one value of one attribute of one entry.
pub(super) fn run(session: &LdapSession, request: &CompareRequest) -> Answer {
    let name = Name::new(request.entry.as_bytes());
    if let Some(result) = root_dse::compare(session, &name, request) {
        return result.into();
    }
    if let Some(result) = monitor::compare(session, &name, request) {
        return access::refused(session, result);
    }
    match access::authorise(session, &name) {
        Ok(Allowed {
            provider,
            viewer,
            snapshot,
        }) => {
            let result = directory::compare(
                &snapshot,
                provider.tree(),
                viewer,
                &name,
                request.attribute.as_bytes(),
                &request.value,
            );
            match result.code {
                ResultCode::Other => access::refused_by_directory(session, result),
                _ => result.into(),
            }
        }
        Err(refusal) => refusal,
    }
}
