//! Audit records: one for each login, each refusal, each login that was withdrawn and each change of a password, as
//! `docs/audit.md` describes them.
//!
//! Knows what a record says, and that refusals from one source may come in floods: then they are counted. Must not know
//! why somebody was let in.

use std::fmt::Display;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::clock;
use crate::logging::audit::{RequestId, TARGET};
use crate::logging::{Repeated, Repetition};
use crate::metrics::RejectReason;
use akldap_ldap::response::ResultCode;

/// How many refusals of one source and result code are written one by one in a window. Beyond that they are counted: a person
/// who mistypes, and even an office of them behind one address, stay below.
const REFUSALS: u64 = 20;
/// That window.
const WINDOW: Duration = Duration::from_secs(10);
/// Sources known at once; about 50 octets each. The refusals of any others are counted together.
const MAX_SOURCES: usize = 4096;

/// Records that may come in floods from one source: the first ones are written, the rest counted and reported at the end of the
/// window.
#[derive(Debug)]
struct CountedRecords<K> {
    counts: Repetition<K>,
    tell: fn(&Repeated<K>),
}

impl<K: Copy + Eq + Hash> CountedRecords<K> {
    fn told_by(tell: fn(&Repeated<K>)) -> Self {
        let counts = Repetition::new(WINDOW, REFUSALS, MAX_SOURCES);
        Self { counts, tell }
    }

    /// Whether this one is written.
    fn admits(&self, kind: K) -> bool {
        self.counts.admits(kind, clock::now())
    }

    /// Writes how many were counted, if the window is over.
    fn tell_repeated(&self, now: Instant) {
        self.counts.ended(now).iter().for_each(self.tell);
    }

    /// The same for all that are left, at the end of the process.
    fn finish(&self) {
        self.counts.finish().iter().for_each(self.tell);
    }
}

/// Writes the records of binds.
#[derive(Debug)]
pub(super) struct Audit {
    refusals: CountedRecords<(IpAddr, ResultCode)>,
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
            refusals: CountedRecords::told_by(repeated),
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
        if !self.refusals.admits((source, refused.code)) {
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
        self.refusals.tell_repeated(now);
    }

    /// The same for all that are left, at the end of the process.
    pub(super) fn finish(&self) {
        self.refusals.finish();
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

/// Writes the records of password changes. What unknown clients ask hides nothing of what accounts ask, and no account hides what
/// another asks, or what an agent asks about others.
#[derive(Debug)]
pub(super) struct PasswordAudit {
    of_strangers: CountedRecords<IpAddr>,
    of_accounts: CountedRecords<(IpAddr, AskedBy)>,
}

/// The account that a refused change counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct AskedBy {
    user_pk: i64,
    /// Of one that sees all others: about whom. Nobody else can name so many.
    about: Option<i64>,
}

/// A change of a password, whatever came of it.
pub(super) struct PasswordChanged {
    pub(super) request: RequestId,
    pub(super) client: IpAddr,
    /// Who asked; nobody before a bind.
    pub(super) bind_dn: String,
    pub(super) user_pk: Option<i64>,
    pub(super) provider: String,
    /// Whether who asked sees every user.
    pub(super) sees_all: bool,
    /// Whose password it is, if there is such a user.
    pub(super) target: Option<i64>,
    /// Their name, or what the client called them.
    pub(super) target_name: Option<String>,
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
    /// It was certainly not changed.
    Refused,
    /// It is unknown.
    Unknown,
}

impl Default for PasswordAudit {
    fn default() -> Self {
        Self {
            of_strangers: CountedRecords::told_by(repeated_of_strangers),
            of_accounts: CountedRecords::told_by(repeated_of_accounts),
        }
    }
}

impl PasswordAudit {
    /// Records a change; refusals from one source that come in floods are counted.
    pub(super) fn ended(&self, change: &PasswordChanged) {
        if change.outcome == ChangeOutcome::Refused && !self.admits(change) {
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
        macro_rules! record {
            ($level:ident, $event:literal) => {
                tracing::$level!(
                    target: TARGET,
                    audit = "password",
                    connection = change.request.connection,
                    requestId = %change.request,
                    client = %change.client,
                    bindDN = change.bind_dn,
                    provider = change.provider,
                    user = change.user_pk,
                    target = change.target,
                    targetName = change.target_name,
                    by,
                    outcome,
                    code = change.code as u8,
                    reference = change.reference,
                    cause = change.cause,
                    "took-ms" = milliseconds(change.took),
                    $event
                )
            };
        }
        match change.outcome {
            ChangeOutcome::Changed => record!(info, "password change"),
            ChangeOutcome::Refused => record!(warn, "password change refused"),
            ChangeOutcome::Unknown => record!(warn, "password change with unknown outcome"),
        }
    }

    fn admits(&self, change: &PasswordChanged) -> bool {
        let source = source(change.client);
        let Some(user_pk) = change.user_pk else {
            return self.of_strangers.admits(source);
        };
        let about = change.target.filter(|_| change.sees_all);
        self.of_accounts.admits((source, AskedBy { user_pk, about }))
    }

    /// Records how many refusals were counted.
    pub(super) fn tell_repeated(&self, now: Instant) {
        self.of_strangers.tell_repeated(now);
        self.of_accounts.tell_repeated(now);
    }

    /// The same for all that are left, at the end of the process.
    pub(super) fn finish(&self) {
        self.of_strangers.finish();
        self.of_accounts.finish();
    }
}

fn repeated_of_strangers(repeated: &Repeated<IpAddr>) {
    further_changes(repeated.kind, None, repeated.lines);
}

fn repeated_of_accounts(repeated: &Repeated<(IpAddr, AskedBy)>) {
    let (client, asked_by) = repeated.kind.unzip();
    further_changes(client, asked_by, repeated.lines);
}

fn further_changes(client: Option<IpAddr>, asked_by: Option<AskedBy>, repeated: u64) {
    tracing::warn!(
        target: TARGET,
        audit = "password",
        client = client.map(|client| client.to_string()),
        user = asked_by.map(|asked_by| asked_by.user_pk),
        target = asked_by.and_then(|asked_by| asked_by.about),
        outcome = "refused",
        repeated,
        window_s = WINDOW.as_secs(),
        "further password changes refused"
    );
}

/// Records that a login of a user, made by this client at this provider, was withdrawn. Its connections, which learn of it one
/// by one, have their own records.
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
