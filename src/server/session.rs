//! One connection's LDAP state: who is bound, and what each request becomes. Requests that can be answered at once
//! are answered into the output buffer; searches and binds become work for the connection to drive.
//!
//! Identity lives here and nowhere else: it is that of the last bind answered with success, with no bind request,
//! StartTLS or withdrawal by authentik since. Must not know sockets.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::LimitConfig;
use crate::logging::audit::RequestId;
use crate::metrics::{RejectReason, RequestType};
use crate::outpost::Outpost;
use crate::outpost::access::Identity;
use crate::outpost::bind::{Begun, BindAnswer, Origin};
use akldap_ldap::message::{Authentication, BindRequest, Message, Operation, OperationKind};
use akldap_ldap::response::{self, LdapResult, ResultCode};

use super::config::ServerConfig;
use super::operation::{BindFuture, Running, bind, compare, extended, search};
use super::request;

/// The state of one connection.
pub(super) struct Session {
    pub(super) outpost: Arc<Outpost>,
    pub(super) config: Arc<ServerConfig>,
    /// The number of the connection in this process.
    pub(super) connection: u64,
    /// The client's address, after the PROXY header.
    pub(super) client: IpAddr,
    /// Who named that address, if it may be invented.
    pub(super) proxy: Option<IpAddr>,
    /// Who is bound; `None` is anonymous.
    pub(super) identity: Option<Arc<Identity>>,
    /// Whether TLS is in place.
    pub(super) secure: bool,
}

/// What a request became.
pub(super) enum Action {
    /// It is answered, or needs no answer.
    Done,
    /// A search that has ended; where in the buffer its SearchResultDone begins.
    Searched { done_at: usize },
    /// A search to go on with after what is in the buffer.
    Search(Box<Running>),
    /// A bind judged at once.
    Bound {
        message_id: u32,
        started: Instant,
        answer: BindAnswer,
    },
    /// A bind to wait for.
    Bind {
        message_id: u32,
        started: Instant,
        answer: BindFuture,
    },
    /// Success is in the buffer; after it, TLS begins.
    StartTls,
    /// Give up this operation.
    Abandon(u32),
    /// Give up this operation and answer both.
    Cancel { message_id: u32, target: u32 },
    /// The client said goodbye.
    Unbind,
}

impl Session {
    pub(super) fn new(
        outpost: Arc<Outpost>,
        config: Arc<ServerConfig>,
        connection: u64,
        origin: Origin,
        secure: bool,
    ) -> Self {
        Self {
            outpost,
            config,
            connection,
            client: origin.client,
            proxy: origin.proxy,
            identity: None,
            secure,
        }
    }

    /// The largest message to accept now, in octets.
    pub(super) fn message_limit(&self, limits: &LimitConfig) -> usize {
        if self.identity.is_some() {
            limits.max_message_size
        } else {
            limits.max_message_size_unbound
        }
    }

    /// Carries out one request, or says what is left to do. `busy` is true while other operations of this connection
    /// are under way.
    pub(super) fn handle(&mut self, message: &Message<'_>, busy: bool, out: &mut Vec<u8>) -> Action {
        let (message_id, started) = (message.message_id, Instant::now());
        if matches!(message.operation, Operation::Bind(_)) {
            self.forget_identity();
        }
        if let Some(result) = self.refuse(message) {
            match &message.operation {
                Operation::Bind(request) => self.record_refusal(message_id, request.name, &result),
                operation => self.count_refusal(operation.kind(), reason_of(&result)),
            }
            self.finish(message, &result, out);
            return Action::Done;
        }
        match &message.operation {
            Operation::Bind(request) => self.bind(message_id, request, out),
            Operation::Unbind => {
                self.observe(RequestType::Unbind, started);
                Action::Unbind
            }
            Operation::Search(request) => search::start(self, message, request, started, out),
            Operation::Compare(request) => {
                let result = compare::run(self, request);
                self.finish(message, &result, out);
                self.observe(RequestType::Compare, started);
                Action::Done
            }
            Operation::Abandon(target) => Action::Abandon(*target),
            Operation::Extended(request) => {
                let action = extended::run(self, message_id, request, busy, out);
                self.observe(RequestType::Extended, started);
                action
            }
            Operation::Update(update) => {
                let result = if request::is_of_password(update) {
                    extended::password_unchangeable()
                } else {
                    read_only()
                };
                self.finish(message, &result, out);
                Action::Done
            }
        }
    }

    fn observe(&self, request: RequestType, started: Instant) {
        match &self.identity {
            Some(identity) => identity.provider().metrics().observe(request, started.elapsed()),
            None => self.outpost.unclaimed().observe(request, started.elapsed()),
        }
    }

    /// RFC 4511 section 4.2.1: a bind request makes the session anonymous until it succeeds, also one that is refused
    /// before it is judged.
    pub(super) fn forget_identity(&mut self) {
        self.identity = None;
    }

    /// What must be refused whatever the operation is.
    fn refuse(&self, message: &Message<'_>) -> Option<LdapResult> {
        let kind = message.operation.kind();
        // RFC 4511 section 4.1.11: criticality has no meaning for requests without a response, unbind and abandon.
        kind.response_tag()?;
        if let Some(control) = message
            .controls
            .iter()
            .find(|control| control.criticality && !super::operation::supports(kind, control))
        {
            let oid = response::excerpt(control.control_type);
            return Some(LdapResult::new(
                ResultCode::UnavailableCriticalExtension,
                format!("control {oid} is not supported for this operation"),
            ));
        }
        let exempt = match &message.operation {
            Operation::Extended(request) => request.name == extended::START_TLS,
            _ => false,
        };
        if self.config.tls.required && !self.secure && !exempt {
            return Some(LdapResult::new(
                ResultCode::ConfidentialityRequired,
                "this server asks for TLS: use StartTLS or the LDAPS port",
            ));
        }
        None
    }

    /// Answers a request with its own kind of response; requests without one stay unanswered.
    fn finish(&self, message: &Message<'_>, result: &LdapResult, out: &mut Vec<u8>) {
        if let Some(tag) = message.operation.kind().response_tag() {
            response::write_result(out, message.message_id, tag, result, &[]);
        }
    }

    fn bind(&mut self, message_id: u32, request: &BindRequest<'_>, out: &mut Vec<u8>) -> Action {
        let started = Instant::now();
        let answer = |result: LdapResult, out: &mut Vec<u8>| {
            if result.code != ResultCode::Success {
                self.record_refusal(message_id, request.name, &result);
            }
            bind::write(out, message_id, &result);
            Action::Done
        };
        if request.version != 3 {
            let text = format!(
                "LDAP version {} is not supported, only version 3",
                request.version
            );
            return answer(LdapResult::new(ResultCode::ProtocolError, text), out);
        }
        let secret = match request.authentication {
            Authentication::Simple(secret) => secret,
            Authentication::Sasl(mechanism) => {
                let mechanism = response::excerpt(mechanism);
                let text = format!("SASL mechanism \"{mechanism}\" is not supported, only simple binds are");
                return answer(LdapResult::new(ResultCode::AuthMethodNotSupported, text), out);
            }
            Authentication::Unknown(_) => {
                let text = "this authentication choice is not supported, only simple binds are";
                return answer(LdapResult::new(ResultCode::AuthMethodNotSupported, text), out);
            }
        };
        if request.name.is_empty() && secret.is_empty() {
            return answer(LdapResult::success(), out);
        }
        let origin = Origin {
            client: self.client,
            proxy: self.proxy,
        };
        match self.outpost.binds().begin(request.name, secret, origin) {
            Begun::Answered(answer) => Action::Bound {
                message_id,
                started,
                answer,
            },
            Begun::Pending(pending) => Action::Bind {
                message_id,
                started,
                answer: bind::run(&self.outpost, pending, self.client),
            },
        }
    }

    /// Takes the outcome of a bind: the only place where a connection gains an identity.
    pub(super) fn bound(&mut self, message_id: u32, started: Instant, answer: BindAnswer, out: &mut Vec<u8>) {
        let request = self.request_id(message_id);
        self.outpost.binds().observe(request, &answer, started.elapsed());
        bind::write(out, message_id, answer.result());
        self.identity = answer.into_identity();
    }

    /// Records a bind that is refused before it is judged; `name` is empty where it could not be read.
    pub(super) fn record_refusal(&self, message_id: u32, name: &[u8], result: &LdapResult) {
        self.outpost.binds().observe_refused(
            self.request_id(message_id),
            self.client,
            name,
            reason_of(result),
            result,
        );
    }

    /// Counts a refusal of any other request.
    pub(super) fn count_refusal(&self, kind: OperationKind, reason: RejectReason) {
        let request = match kind {
            OperationKind::Search => RequestType::Search,
            OperationKind::Compare => RequestType::Compare,
            OperationKind::Extended => RequestType::Extended,
            OperationKind::Add | OperationKind::Modify | OperationKind::Delete | OperationKind::ModifyDn => {
                RequestType::Update
            }
            // Binds are recorded too, and the others have no answer that could refuse them.
            OperationKind::Bind | OperationKind::Unbind | OperationKind::Abandon => return,
        };
        match &self.identity {
            Some(identity) => identity.provider().metrics().rejected(request, reason),
            None => self.outpost.unclaimed().rejected(request, reason),
        }
    }

    /// What names a request of this connection in the log.
    pub(super) fn request_id(&self, message_id: u32) -> RequestId {
        RequestId {
            connection: self.connection,
            message_id,
        }
    }

    /// Who is bound, by the DN of their entry: for log lines.
    pub(super) fn bound_dn(&self) -> Cow<'_, str> {
        let identity = self.identity.as_ref();
        identity.map_or(Cow::Borrowed(""), |identity| self.outpost.bound_dn(identity))
    }
}

/// Why a request is refused that nobody has judged yet.
fn reason_of(result: &LdapResult) -> RejectReason {
    match result.code {
        ResultCode::ConfidentialityRequired => RejectReason::ConfidentialityRequired,
        _ => RejectReason::ProtocolError,
    }
}

fn read_only() -> LdapResult {
    LdapResult::new(
        ResultCode::InsufficientAccessRights,
        "this directory is read-only: users and groups are changed in authentik",
    )
}

/// Searches are driven in steps; one step compares about this many octets, a tenth of a millisecond, and then lets others
/// run.
pub(super) const WORK_PER_STEP: usize = 100_000;

/// How long a search may take when its time limit says `seconds`; zero means no limit.
pub(super) fn time_limit(seconds: u32) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}

#[cfg(all(test, debug_assertions))]
mod work;
