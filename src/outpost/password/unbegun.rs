//! What is recorded about a change before it begins, and about one that is refused before anything about it is
//! looked up.
//!
//! Must not know how a change is carried out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::logging::audit::RequestId;
use crate::outpost::access::Identity;
use crate::outpost::audit::{ByWhat, ChangeOutcome, PasswordChanged};
use crate::outpost::directory::CurrentDirectory;
use akldap_ldap::response::ResultCode;

use super::request::{PasswordRequest, RefusedRequest};
use super::target::{self, NamedUser};

/// What is recorded of a request that is refused before it is begun.
pub(super) fn refused(refused: &RefusedRequest<'_>, directory: &CurrentDirectory) -> PasswordChanged {
    let (identity, whose) = (refused.identity, refused.whose.named());
    let mut record = unbegun(identity, &whose, refused.client, refused.id, directory);
    record.outcome = ChangeOutcome::Refused;
    record.code = refused.result.code;
    refused.result.diagnostic_message.clone_into(&mut record.cause);
    record
}

/// What is recorded of a change that has not begun, of the password of `whose`.
pub(super) fn record_of(
    request: &PasswordRequest,
    whose: &NamedUser<'_>,
    directory: &CurrentDirectory,
) -> PasswordChanged {
    let identity = Some(&request.identity);
    unbegun(identity, whose, request.origin.client, request.id, directory)
}

fn unbegun(
    identity: Option<&Arc<Identity>>,
    whose: &NamedUser<'_>,
    client: IpAddr,
    id: RequestId,
    directory: &CurrentDirectory,
) -> PasswordChanged {
    let (target, target_name) = target::for_record(whose, identity.map(|identity| &**identity), directory);
    PasswordChanged {
        request: id,
        client,
        bind_dn: identity
            .map(|identity| identity.dn().to_owned())
            .unwrap_or_default(),
        user_pk: identity.map(|identity| identity.user_pk()),
        provider: identity
            .map(|identity| identity.provider().name().to_owned())
            .unwrap_or_default(),
        sees_all: identity.is_some_and(|identity| identity.may_search_everything()),
        target,
        target_name,
        by: ByWhat::Nothing,
        outcome: ChangeOutcome::Changed,
        code: ResultCode::Success,
        reference: None,
        cause: String::new(),
        took: Duration::ZERO,
    }
}
