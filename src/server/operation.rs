//! The LDAP operations, one file each: from a request to its outcome. Here is what concerns all of them: what is refused
//! whatever the operation, what is counted, and what is advertised. Must not know how answers reach the client.

mod access;
pub(crate) mod bind;
mod compare;
mod controls;
mod extended;
mod monitor;
mod outcome;
pub(crate) mod password;
mod root_dse;
pub(crate) mod search;
mod update;
pub(crate) mod waiting;

use std::time::{Duration, Instant};

use crate::clock;
use crate::metrics::{LdapOperation, OperationPlan, RejectReason, RequestType, UNANSWERED};
use crate::outpost::Capabilities;
use akldap_ldap::dn::Name;
use akldap_ldap::message::{Message, Operation, OperationError, OperationKind};
use akldap_ldap::password_modify::PASSWORD_MODIFY;
use akldap_ldap::response::{self, ResultCode};

use super::poll_on_wake::PollOnWake;
use super::session::LdapSession;
use crate::traces;

pub(super) use bind::policy_of;
pub(super) use extended::START_TLS;
pub(super) use outcome::{Answer, Outcome, policy_control};

/// The name that a search is about, which is parsed once for whatever is done about the request; that of the root for other
/// requests.
pub(super) fn base_object<'a>(message: &Message<'a>) -> Name<'a> {
    Name::new(match &message.operation {
        Operation::Search(request) => request.base_object,
        _ => &[],
    })
}

/// Carries out a request as far as that goes without the connection. `base_object` is the [`base_object`] of the message,
/// `busy` is true while other operations of the session are under way.
pub(super) fn run(
    session: &LdapSession,
    message: &Message<'_>,
    base_object: &Name<'_>,
    busy: bool,
) -> Outcome {
    let started = clock::now();
    session
        .outpost
        .metrics()
        .operation_begins(operation_of(message.operation.kind()));
    let (outcome, is_recorded) = match refuse(session, message) {
        Some(answer) => (Outcome::Answer(answer), false),
        None => {
            // A search that begins has an observer, which reports its end.
            let is_search = matches!(message.operation, Operation::Search(_));
            (carry_out(session, message, base_object, busy, started), is_search)
        }
    };
    let kind = message.operation.kind();
    let code = match &outcome {
        Outcome::Waits { .. } => None,
        Outcome::Answer(answer) => Some(answer.result.code),
        _ => Some(ResultCode::Success),
    };
    if let Some(code) = code.filter(|_| !is_recorded) {
        trace(session, message.message_id, kind, code, clock::since(started));
    }
    match &outcome {
        Outcome::Answer(answer) => count(session, kind, answer.result.code.number(), clock::since(started)),
        Outcome::StartTls => count(session, kind, ResultCode::Success.number(), clock::since(started)),
        Outcome::Close => count(session, kind, UNANSWERED, clock::since(started)),
        // Counted when they end.
        Outcome::Search(_) | Outcome::Bound { .. } | Outcome::Waits { .. } | Outcome::Cancel(_) => {}
        // It has no answer, and what it ends is not counted either.
        Outcome::Abandon(_) => {}
    }
    if let Outcome::Answer(answer) = &outcome {
        let name = match &message.operation {
            Operation::Bind(request) => request.name,
            _ => &[],
        };
        count_refusal(session, message.message_id, kind, name, answer);
    }
    outcome
}

/// Counts and traces an operation, other than a bind, that ends after it waited for authentik.
pub(super) fn settled(
    session: &LdapSession,
    message_id: u32,
    kind: OperationKind,
    code: ResultCode,
    took: Duration,
) {
    session.metrics(|metrics| metrics.observe(password::request_type(kind), took));
    count(session, kind, code.number(), took);
    trace(session, message_id, kind, code, took);
}

/// Makes the span of a request that has ended. Binds have theirs where they are counted.
fn trace(session: &LdapSession, message_id: u32, kind: OperationKind, code: ResultCode, took: Duration) {
    if !traces::is_on() {
        return;
    }
    let operation = match kind {
        OperationKind::Bind => return,
        OperationKind::Search => "search",
        OperationKind::Compare => "compare",
        OperationKind::Extended => "extended",
        OperationKind::Add => "add",
        OperationKind::Modify => "modify",
        OperationKind::Delete => "delete",
        OperationKind::ModifyDn => "modify DN",
        OperationKind::Unbind => "unbind",
        OperationKind::Abandon => "abandon",
    };
    traces::record(&traces::TracedRequest {
        operation,
        id: session.request_id(message_id),
        client: session.client,
        code: Some(code as u8),
        entries: None,
        authentik: &[],
        took,
    });
}

/// What a request waits for before it is carried out, in direct search mode: whether it may be answered then.
pub(super) fn before(
    session: &LdapSession,
    message: &Message<'_>,
    base_object: &Name<'_>,
) -> Option<PollOnWake<bool>> {
    match &message.operation {
        Operation::Search(request) => search::before(session, message, request, base_object),
        _ => None,
    }
}

/// What a request that arrived at this moment waits for after that.
pub(super) fn confirmation(
    session: &LdapSession,
    message: &Message<'_>,
    base_object: &Name<'_>,
    arrived: tokio::time::Instant,
) -> Option<PollOnWake<bool>> {
    match &message.operation {
        Operation::Search(request) => search::confirmation(session, message, request, base_object, arrived),
        _ => None,
    }
}

/// The outcome of a search that authentik could not confirm.
pub(super) fn unconfirmed(session: &LdapSession, message: &Message<'_>) -> Outcome {
    let answer = Answer::refused(
        RejectReason::Unavailable,
        ResultCode::Unavailable,
        "authentik cannot confirm this search now, as the live mode of direct search requires",
    );
    count_refusal(
        session,
        message.message_id,
        message.operation.kind(),
        &[],
        &answer,
    );
    Outcome::Answer(answer)
}

/// The outcome of a request whose envelope is sound and whose operation is not. `in_clear` is the answer to one that may hold a
/// password that anybody could read.
pub(super) fn malformed(
    session: &LdapSession,
    message_id: u32,
    kind: OperationKind,
    error: &OperationError,
    text: String,
    in_clear: Option<Answer>,
) -> Outcome {
    if kind == OperationKind::Unbind {
        // However it is written, the client has said goodbye.
        return Outcome::Close;
    }
    let reason = match error {
        OperationError::Filter(_) => RejectReason::FilterParseFail,
        _ => RejectReason::ProtocolError,
    };
    let answer = in_clear.unwrap_or_else(|| Answer::refused(reason, ResultCode::ProtocolError, text));
    session.outpost.metrics().operation_begins(operation_of(kind));
    count(session, kind, answer.result.code.number(), Duration::ZERO);
    count_refusal(session, message_id, kind, &[], &answer);
    Outcome::Answer(answer)
}

fn operation_of(kind: OperationKind) -> LdapOperation {
    match kind {
        OperationKind::Bind => LdapOperation::Bind,
        OperationKind::Unbind => LdapOperation::Unbind,
        OperationKind::Search => LdapOperation::Search,
        OperationKind::Compare => LdapOperation::Compare,
        OperationKind::Modify => LdapOperation::Modify,
        OperationKind::ModifyDn => LdapOperation::ModifyDn,
        OperationKind::Add => LdapOperation::Add,
        OperationKind::Delete => LdapOperation::Delete,
        OperationKind::Abandon => LdapOperation::Abandon,
        OperationKind::Extended => LdapOperation::Extended,
    }
}

/// Counts an operation that is over, whatever the official names count.
pub(super) fn count(session: &LdapSession, kind: OperationKind, code: u8, took: Duration) {
    let (request, plan) = match kind {
        OperationKind::Bind => (RequestType::Bind, OperationPlan::AtOnce),
        OperationKind::Search => (RequestType::Search, OperationPlan::None),
        OperationKind::Compare => (RequestType::Compare, OperationPlan::None),
        OperationKind::Extended => (RequestType::Extended, OperationPlan::None),
        OperationKind::Unbind => (RequestType::Unbind, OperationPlan::None),
        OperationKind::Add | OperationKind::Modify | OperationKind::Delete | OperationKind::ModifyDn => {
            (RequestType::Update, OperationPlan::None)
        }
        OperationKind::Abandon => return,
    };
    session.outpost.metrics().operation(request, plan, code, took);
}

/// Counts an answer that refuses, and records that of a bind; `name` is the one it was for, where it could be read.
fn count_refusal(
    session: &LdapSession,
    message_id: u32,
    kind: OperationKind,
    name: &[u8],
    Answer { result, refusal, .. }: &Answer,
) {
    let Some(reason) = *refusal else { return };
    let request = match kind {
        OperationKind::Bind => {
            let request = session.request_id(message_id);
            session
                .outpost
                .binds()
                .observe_refused(request, session.client, name, reason, result);
            return;
        }
        OperationKind::Search => RequestType::Search,
        OperationKind::Compare => RequestType::Compare,
        OperationKind::Extended => RequestType::Extended,
        OperationKind::Add | OperationKind::Modify | OperationKind::Delete | OperationKind::ModifyDn => {
            RequestType::Update
        }
        // They have no answer in which to refuse them.
        OperationKind::Unbind | OperationKind::Abandon => return,
    };
    session.metrics(|metrics| metrics.rejected(request, reason));
}

/// What must be refused whatever the operation.
fn refuse(session: &LdapSession, message: &Message<'_>) -> Option<Answer> {
    let kind = message.operation.kind();
    // RFC 4511 section 4.1.11: criticality has no meaning for requests without a response, unbind and abandon.
    kind.response_tag()?;
    let mut controls = message.controls.iter();
    let passwords = session.outpost.passwords().is_on();
    if let Some(control) =
        controls.find(|control| control.criticality && !controls::supports(kind, control, passwords))
    {
        let oid = response::excerpt(control.control_type);
        return Some(Answer::refused(
            RejectReason::ProtocolError,
            ResultCode::UnavailableCriticalExtension,
            format!("control {oid} is not supported for this operation"),
        ));
    }
    let exempt = match &message.operation {
        Operation::Extended(request) => request.name == START_TLS,
        _ => false,
    };
    (session.config.tls.required && !session.secure && !exempt).then(|| {
        Answer::refused(
            RejectReason::ConfidentialityRequired,
            ResultCode::ConfidentialityRequired,
            "this server requires TLS: use StartTLS or the LDAPS port",
        )
    })
}

fn carry_out(
    session: &LdapSession,
    message: &Message<'_>,
    base_object: &Name<'_>,
    busy: bool,
    started: Instant,
) -> Outcome {
    let (outcome, observed) = match &message.operation {
        Operation::Bind(request) => return bind::run(session, request, &message.controls, started),
        Operation::Search(request) => return search::start(session, message, request, base_object, started),
        Operation::Abandon(target) => return Outcome::Abandon(*target),
        Operation::Update(update) => return update::run(session, update, message, started),
        Operation::Unbind => (Outcome::Close, RequestType::Unbind),
        Operation::Compare(request) => (
            Outcome::Answer(compare::run(session, request)),
            RequestType::Compare,
        ),
        Operation::Extended(request) if request.name == PASSWORD_MODIFY => {
            return extended::modify_password(session, request, message, started);
        }
        Operation::Extended(request) => (extended::run(session, request, busy), RequestType::Extended),
    };
    session.metrics(|metrics| metrics.observe(observed, clock::since(started)));
    outcome
}

/// What the root DSE says about us, made from what is implemented.
pub(super) fn capabilities() -> Capabilities {
    Capabilities {
        controls: controls::supported().collect(),
        extensions: extended::SUPPORTED.to_vec(),
        password_control: controls::PASSWORD_POLICY.0,
        password_extension: PASSWORD_MODIFY,
        features: SUPPORTED_FEATURES.to_vec(),
    }
}

/// What the rootDSE says under supportedFeatures: all operational attributes by `+` (RFC 3673) and absolute true and
/// false filters (RFC 4526), requesting attributes by object class (RFC 4529).
const SUPPORTED_FEATURES: &[&str] = &[
    "1.3.6.1.4.1.4203.1.5.1",
    "1.3.6.1.4.1.4203.1.5.2",
    "1.3.6.1.4.1.4203.1.5.3",
];

#[cfg(all(test, debug_assertions))]
mod work_tests;
