//! Audit records: one for each login, each refusal, each login that was withdrawn and each change of a password, as
//! `docs/audit.md` describes them.
//!
//! Knows what a record says, and that refusals from one source may come in floods: then they are counted. Must not know
//! why somebody was let in.

use std::fmt::Display;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::clock;
use crate::logging::audit::{RequestId, TARGET};
use crate::logging::{Repeated, Repetition};
use crate::metrics::RejectReason;
use akldap_ldap::response::ResultCode;

/// Refusals of one source and result code that are written each in a window. Beyond it they are counted: a person who
/// mistypes, and an office of them behind one address, stay below.
const REFUSALS: u64 = 20;
/// That window.
const WINDOW: Duration = Duration::from_secs(10);
/// Sources known at once; about 50 octets each. The refusals of further ones are counted together.
const MAX_SOURCES: usize = 4096;

/// Writes the records of binds.
#[derive(Debug)]
pub(super) struct Audit {
    refusals: Repetition<(IpAddr, ResultCode)>,
}

/// A bind that succeeded.
pub(super) struct Granted<'a> {
    pub(super) request: RequestId,
    pub(super) client: IpAddr,
    pub(super) bind_dn: &'a str,
    pub(super) provider: &'a str,
    pub(super) user_pk: i64,
    pub(super) took: Duration,
}

/// A refused bind.
pub(super) struct Refused<'a> {
    pub(super) request: RequestId,
    pub(super) client: IpAddr,
    pub(super) bind_dn: &'a str,
    pub(super) provider: &'a str,
    pub(super) code: ResultCode,
    pub(super) reason: Option<RejectReason>,
    /// What the client was told to find this record by.
    pub(super) reference: Option<&'a str>,
    pub(super) cause: &'a str,
    pub(super) took: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            refusals: Repetition::new(WINDOW, REFUSALS, MAX_SOURCES),
        }
    }
}

impl Audit {
    /// Records a login.
    pub(super) fn granted(&self, granted: &Granted<'_>) {
        tracing::info!(
            target: TARGET,
            audit = "login",
            connection = granted.request.connection,
            requestId = %granted.request,
            client = %granted.client,
            bindDN = granted.bind_dn,
            provider = granted.provider,
            user = granted.user_pk,
            "took-ms" = milliseconds(granted.took),
            "bind"
        );
    }

    /// Records a refused bind, or counts it.
    pub(super) fn refused(&self, refused: &Refused<'_>) {
        let source = source(refused.client);
        if !self.refusals.admits((source, refused.code), clock::now()) {
            return;
        }
        tracing::warn!(
            target: TARGET,
            audit = "refusal",
            connection = refused.request.connection,
            requestId = %refused.request,
            client = %refused.client,
            bindDN = refused.bind_dn,
            provider = refused.provider,
            code = refused.code as u8,
            reason = refused.reason.map_or("internal_error", RejectReason::as_str),
            reference = refused.reference,
            cause = refused.cause,
            "took-ms" = milliseconds(refused.took),
            "bind refused"
        );
    }

    /// Records how many refusals were counted.
    pub(super) fn tell_repeated(&self, now: Instant) {
        self.refusals.ended(now).iter().for_each(repeated);
    }

    /// The same for all that are left, at the end of the process.
    pub(super) fn finish(&self) {
        self.refusals.finish().iter().for_each(repeated);
    }
}

fn repeated(repeated: &Repeated<(IpAddr, ResultCode)>) {
    let window_s = WINDOW.as_secs();
    match repeated.kind {
        Some((client, code)) => tracing::warn!(
            target: TARGET,
            audit = "refusal",
            client = %client,
            code = code as u8,
            repeated = repeated.lines,
            window_s,
            "further binds refused"
        ),
        None => tracing::warn!(
            target: TARGET,
            audit = "refusal",
            repeated = repeated.lines,
            window_s,
            "further binds from many addresses refused"
        ),
    }
}

/// Writes the records of changes of passwords.
#[derive(Debug)]
pub(super) struct PasswordAudit {
    failures: Repetition<IpAddr>,
}

/// A change of a password, whatever came of it.
pub(super) struct PasswordChanged {
    pub(super) request: RequestId,
    pub(super) client: IpAddr,
    /// Who asked.
    pub(super) bind_dn: String,
    pub(super) user_pk: i64,
    pub(super) provider: String,
    /// Whose password it is, once that is known.
    pub(super) target: Option<(i64, String)>,
    pub(super) by: ByWhat,
    pub(super) outcome: ChangeOutcome,
    pub(super) code: ResultCode,
    pub(super) reference: Option<String>,
    pub(super) cause: String,
    pub(super) took: Duration,
}

/// In whose name authentik was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByWhat {
    /// It was not asked.
    Nothing,
    /// The session of the bind.
    Bind,
    /// One that the old password opened.
    FreshLogin,
    /// That of somebody else, who is permitted.
    Agent,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeOutcome {
    /// The new password was shown to be right.
    Changed,
    /// It surely was not changed.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl Default for PasswordAudit {
    fn default() -> Self {
        Self {
            failures: Repetition::new(WINDOW, REFUSALS, MAX_SOURCES),
        }
    }
}

impl PasswordAudit {
    /// Records a change; refusals from one source that come in floods are counted.
    pub(super) fn ended(&self, change: &PasswordChanged) {
        let refused = change.outcome == ChangeOutcome::Refused;
        if refused && !self.failures.admits(source(change.client), clock::now()) {
            return;
        }
        let by = match change.by {
            ByWhat::Nothing => "nothing",
            ByWhat::Bind => "the session of the bind",
            ByWhat::FreshLogin => "a login with the old password",
            ByWhat::Agent => "the session of an agent",
        };
        let outcome = match change.outcome {
            ChangeOutcome::Changed => "changed",
            ChangeOutcome::Refused => "refused",
            ChangeOutcome::Unknown => "unknown",
        };
        let (target, target_name) = match &change.target {
            Some((pk, name)) => (Some(*pk), Some(name.as_str())),
            None => (None, None),
        };
        tracing::info!(
            target: TARGET,
            audit = "password",
            connection = change.request.connection,
            requestId = %change.request,
            client = %change.client,
            bindDN = change.bind_dn,
            provider = change.provider,
            user = change.user_pk,
            target = target,
            targetName = target_name,
            by,
            outcome,
            code = change.code as u8,
            reference = change.reference,
            cause = change.cause,
            "took-ms" = milliseconds(change.took),
            "change of a password"
        );
    }

    /// Records how many refusals were counted.
    pub(super) fn tell_repeated(&self, now: Instant) {
        self.failures.ended(now).iter().for_each(repeated_failures);
    }

    /// The same for all that are left, at the end of the process.
    pub(super) fn finish(&self) {
        self.failures.finish().iter().for_each(repeated_failures);
    }
}

fn repeated_failures(repeated: &Repeated<IpAddr>) {
    let client = repeated.kind.map(|client| client.to_string());
    tracing::warn!(
        target: TARGET,
        audit = "password",
        client,
        outcome = "refused",
        repeated = repeated.lines,
        window_s = WINDOW.as_secs(),
        "further changes of passwords refused"
    );
}

/// Records that a login of a user, made by this client at this provider, was withdrawn. Its connections, which learn of it
/// one by one, have records of their own.
pub(super) fn revoked(client: IpAddr, provider: &str, user_pk: i64, cause: &dyn Display) {
    tracing::info!(
        target: TARGET,
        audit = "revocation",
        client = %client,
        provider,
        user = user_pk,
        cause = %cause,
        "a login was withdrawn"
    );
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

/// The address a client counts under: an IPv6 client owns a whole /64.
fn source(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (u128::MAX << 64)).into()),
        address @ IpAddr::V4(_) => address,
    }
}
