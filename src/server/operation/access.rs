//! Who may ask about which names, and what they are shown: one decision for search and compare.

use std::sync::Arc;

use crate::metrics::RejectReason;
use crate::outpost::provider::Provider;
use crate::outpost::providers::table::NotLocated;
use akldap_directory::{Snapshot, Viewer};
use akldap_ldap::dn::Name;
use akldap_ldap::response::{LdapResult, ResultCode};

use crate::server::session::LdapSession;

use super::outcome::Answer;
use super::search::running::{is_limit, note_damage, tell_fault};

/// Whose tree the request is about, what part of it is shown, and the current directory.
pub(super) struct Allowed {
    pub(super) provider: Arc<Provider>,
    pub(super) viewer: Viewer,
    pub(super) snapshot: Arc<Snapshot>,
}

/// What the bound user is shown, if they may ask about `base_object` at all.
pub(super) fn authorise(session: &LdapSession, base_object: &Name<'_>) -> Result<Allowed, Answer> {
    let refused = |code, text: &str| refused(session, LdapResult::new(code, text));
    // An outage looks like one to everybody: nobody can bind before the first load, so "bind first" would mislead.
    let Some(directory) = session.outpost.directory().snapshot() else {
        let text = "the directory has not been loaded from authentik yet";
        return Err(refused(ResultCode::Unavailable, text));
    };
    let Some(identity) = &session.identity else {
        let text = "bind first: without a bind only the rootDSE and the subschema are readable";
        return Err(refused(ResultCode::InsufficientAccessRights, text));
    };
    // All trees are below the empty name, and this is the one that the bound user may see.
    let provider = match base_object.octets() {
        [] => session
            .outpost
            .providers()
            .current()
            .by_pk(identity.provider().pk()),
        _ => provider_for(session, base_object)?,
    };
    let Some(provider) = provider else {
        if !session.outpost.status().configured() {
            let text = "the configuration has not been loaded from authentik yet";
            return Err(refused(ResultCode::Unavailable, text));
        }
        let text = "no LDAP provider of this outpost has a base DN at or above this name";
        return Err(refused(ResultCode::NoSuchObject, text));
    };
    if provider.pk() != identity.provider().pk() {
        let text = "this tree belongs to a provider other than the one bound to";
        return Err(refused(ResultCode::InsufficientAccessRights, text));
    }
    if !identity.may_search_everything() && directory.user_by_pk(identity.user_pk()).is_none() {
        session.outpost.users().soon(identity.user_pk());
        return Err(Answer::refused(
            RejectReason::UserInfoNotCached,
            ResultCode::Unavailable,
            "this account is newer than the directory: it is being fetched",
        ));
    }
    let Some(snapshot) = session.outpost.directory().in_shape(provider.shape()) else {
        let text = "the directory is being put into the shape of this provider";
        return Err(refused(ResultCode::Unavailable, text));
    };
    let viewer = identity.viewer();
    let snapshot = match (viewer, provider.shape()) {
        (Viewer::Own { user_pk }, Some(shape)) if snapshot.user_by_pk(user_pk).is_none() => {
            let own = directory.own_view(&snapshot, shape, user_pk);
            let own = own.map_err(|wrong| refused(ResultCode::Other, &format!("internal error: {wrong}")))?;
            own.map_or(snapshot, Arc::new)
        }
        _ => snapshot,
    };
    Ok(Allowed {
        provider,
        viewer,
        snapshot,
    })
}

fn provider_for(session: &LdapSession, base_object: &Name<'_>) -> Result<Option<Arc<Provider>>, Answer> {
    match session.outpost.providers().current().locate(base_object) {
        // The official outpost's unescaped spelling is not RFC 4514; the directory judges it within its tree.
        Ok(located) => Ok(Some(located.provider)),
        Err(NotLocated::Outside) => Ok(None),
        Err(NotLocated::Malformed(error)) => {
            let text = format!("the base DN is malformed: {error}");
            Err(refused(
                session,
                LdapResult::new(ResultCode::InvalidDnSyntax, text),
            ))
        }
    }
}

/// The answer to a search or compare that the directory refuses with this result.
pub(super) fn refused_by_directory(session: &LdapSession, result: LdapResult) -> Answer {
    note_damage(&session.outpost, &result);
    refused(session, result)
}

/// The answer to a search or compare that is refused with this result, and what it counts as: nothing if the entry simply
/// does not exist.
pub(super) fn refused(session: &LdapSession, result: LdapResult) -> Answer {
    let refusal = match (&session.identity, result.code) {
        (None, ResultCode::InsufficientAccessRights) => Some(RejectReason::EmptyBindDn),
        (Some(_), ResultCode::InsufficientAccessRights) => Some(RejectReason::InvalidBindDn),
        (_, ResultCode::Unavailable) => Some(RejectReason::Unavailable),
        (_, ResultCode::ProtocolError) => Some(RejectReason::ProtocolError),
        _ if tell_fault(session.connection, &result) => Some(RejectReason::InternalError),
        (_, code) => is_limit(code).then_some(RejectReason::LimitExceeded),
    };
    Answer {
        refusal,
        ..Answer::from(result)
    }
}
