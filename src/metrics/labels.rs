//! The labels of the metrics and their words.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::terminal::{calm, shortened};

/// The type under which authentik knows this outpost.
const OUTPOST_TYPE: &str = "ldap";

/// Characters of a name of authentik that become a label.
const LONGEST_NAME: usize = 200;

/// A name that an admin gave in authentik as a label. The format escapes line breaks and lets other control characters through; whoever
/// reads the page in a terminal must not meet them.
pub(super) fn label_of(name: &str) -> String {
    let name = shortened(name, LONGEST_NAME);
    let lines: Vec<_> = name.split('\n').map(calm).collect();
    lines.join("\n")
}

/// What names this outpost in the metrics.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutpostLabels {
    /// The outpost's name in authentik; empty until authentik has given it.
    pub outpost_name: String,
    /// `ldap`.
    pub outpost_type: &'static str,
    /// The random id of this process.
    pub uuid: String,
    /// Our version.
    pub version: String,
    /// The build hash, possibly empty.
    pub build: String,
}

impl OutpostLabels {
    /// Labels of a process that does not know its outpost yet.
    #[must_use]
    pub fn new(uuid: impl Into<String>, version: impl Into<String>, build: impl Into<String>) -> Self {
        Self {
            outpost_name: String::new(),
            outpost_type: OUTPOST_TYPE,
            uuid: uuid.into(),
            version: version.into(),
            build: build.into(),
        }
    }

    pub(super) fn connection(&self) -> ConnectionLabels {
        ConnectionLabels {
            outpost_name: self.outpost_name.clone(),
            outpost_type: self.outpost_type,
            uuid: self.uuid.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ConnectionLabels {
    outpost_name: String,
    outpost_type: &'static str,
    uuid: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) outpost_name: String,
    pub(super) r#type: RequestType,
    pub(super) app: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RejectedLabels {
    pub(super) outpost_name: String,
    pub(super) r#type: RequestType,
    pub(super) reason: RejectReason,
    pub(super) app: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LogLabels {
    pub(super) lines: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BuildLabels {
    version: String,
    build: String,
}

impl From<&OutpostLabels> for BuildLabels {
    fn from(outpost: &OutpostLabels) -> Self {
        Self {
            version: outpost.version.clone(),
            build: outpost.build.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CertificateLabels {
    pub(super) certificate: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DirectSearchLabels {
    mode: &'static str,
    outcome: &'static str,
}

impl From<DirectSearchOutcome> for DirectSearchLabels {
    fn from(outcome: DirectSearchOutcome) -> Self {
        use DirectSearchOutcome as Outcome;
        let (mode, outcome) = match outcome {
            Outcome::Recent => ("fresh", "recent"),
            Outcome::Looked => ("fresh", "looked"),
            Outcome::Late => ("fresh", "late"),
            Outcome::Away => ("fresh", "away"),
            Outcome::Confirmed => ("live", "confirmed"),
            Outcome::Unavailable => ("live", "unavailable"),
        };
        Self { mode, outcome }
    }
}

/// What a search in direct search mode is answered from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectSearchOutcome {
    /// What a look a moment ago showed.
    Recent,
    /// What the look that it waited for showed.
    Looked,
    /// What was served before: the look takes too long.
    Late,
    /// What was served before: authentik cannot be asked.
    Away,
    /// What was confirmed for it.
    Confirmed,
    /// Nothing: authentik could not confirm it.
    Unavailable,
}

impl DirectSearchOutcome {
    /// Each of them.
    pub(super) const ALL: [Self; 6] = [
        Self::Recent,
        Self::Looked,
        Self::Late,
        Self::Away,
        Self::Confirmed,
        Self::Unavailable,
    ];
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct FlowLabels {
    stage: String,
    flow: String,
}

impl FlowLabels {
    pub(super) fn new(stage: &str, flow: &str) -> Self {
        Self {
            stage: label_of(stage),
            flow: label_of(flow),
        }
    }
}

/// The kind of an LDAP request. The official outpost counts bind, search and unbind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestType {
    /// Bind.
    Bind,
    /// Search.
    Search,
    /// Unbind.
    Unbind,
    /// Compare.
    Compare,
    /// Any extended operation.
    Extended,
    /// Add, modify, delete or modify DN. None is carried out, so only their refusals are counted.
    Update,
}

impl RequestType {
    /// All kinds.
    pub(super) const ALL: [Self; 6] = [
        Self::Bind,
        Self::Search,
        Self::Unbind,
        Self::Compare,
        Self::Extended,
        Self::Update,
    ];

    /// Those whose duration is measured under the official name.
    pub(super) const TIMED: [Self; 5] = [
        Self::Bind,
        Self::Search,
        Self::Unbind,
        Self::Compare,
        Self::Extended,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Search => "search",
            Self::Unbind => "unbind",
            Self::Compare => "compare",
            Self::Extended => "extended",
            Self::Update => "update",
        }
    }
}

impl EncodeLabelValue for RequestType {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        self.as_str().encode(encoder)
    }
}

/// Why a request was refused. The first ten are official; the rest name refusals the official outpost does not make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// Bind: the DN belongs to no provider.
    NoProvider,
    /// Bind: the flow could not be run to its end.
    FlowError,
    /// Bind: the flow ended without a login.
    InvalidCredentials,
    /// Bind: the application's policies refuse the user.
    AccessDenied,
    /// Bind: the application's policies could not be asked.
    AccessCheckFail,
    /// Bind: the user could not be identified after the login.
    UserInfoFail,
    /// Search: no bind before it.
    EmptyBindDn,
    /// Search: the bind DN is outside the provider.
    InvalidBindDn,
    /// Search: the bound user is not in the snapshot.
    UserInfoNotCached,
    /// Search: the filter could not be read.
    FilterParseFail,
    /// authentik is not reachable, or nothing is loaded yet.
    Unavailable,
    /// Too many binds at once, or too many failed ones.
    Busy,
    /// TLS is required first.
    ConfidentialityRequired,
    /// The request is malformed, or asks for what is not implemented.
    ProtocolError,
    /// Search: it reached a limit on its time, its work or its memory.
    LimitExceeded,
    /// A fault of ours, such as a number in the directory that points nowhere.
    InternalError,
}

impl RejectReason {
    /// All of them.
    pub(super) const ALL: [Self; 16] = [
        Self::NoProvider,
        Self::FlowError,
        Self::InvalidCredentials,
        Self::AccessDenied,
        Self::AccessCheckFail,
        Self::UserInfoFail,
        Self::EmptyBindDn,
        Self::InvalidBindDn,
        Self::UserInfoNotCached,
        Self::FilterParseFail,
        Self::Unavailable,
        Self::Busy,
        Self::ConfidentialityRequired,
        Self::ProtocolError,
        Self::LimitExceeded,
        Self::InternalError,
    ];

    /// The label, which audit records use too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoProvider => "no_provider",
            Self::FlowError => "flow_error",
            Self::InvalidCredentials => "invalid_credentials",
            Self::AccessDenied => "access_denied",
            Self::AccessCheckFail => "access_check_fail",
            Self::UserInfoFail => "user_info_fail",
            Self::EmptyBindDn => "empty_bind_dn",
            Self::InvalidBindDn => "invalid_bind_dn",
            Self::UserInfoNotCached => "user_info_not_cached",
            Self::FilterParseFail => "filter_parse_fail",
            Self::Unavailable => "unavailable",
            Self::Busy => "busy",
            Self::ConfidentialityRequired => "confidentiality_required",
            Self::ProtocolError => "protocol_error",
            Self::LimitExceeded => "limit_exceeded",
            Self::InternalError => "internal_error",
        }
    }
}

impl EncodeLabelValue for RejectReason {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        self.as_str().encode(encoder)
    }
}
