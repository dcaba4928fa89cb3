//! How long LDAP operations took, by kind, plan and result code: a table with a cell for each combination, so that an
//! observation takes no lock. Must not know what plans and codes mean.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::durations::{DurationTally, Durations};
use super::labels::RequestType;
use super::words::{WordCounts, words};

/// Result codes that are counted separately: all that this server sends. Anything else counts as other (80).
const CODES: [u8; 33] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 16, 17, 18, 19, 21, 32, 34, 48, 49, 50, 51, 52, 53, 60, 61, 80,
    118, 119, 120, 121, UNANSWERED,
];
/// What is counted as the code of a request that is never answered: an unbind.
pub const UNANSWERED: u8 = u8::MAX;
const OTHER: u8 = 80;

/// How a request found its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationPlan {
    /// No way was chosen: it was refused before that, or there is only one.
    None,
    /// Bind: from what is known about an equal one, or refused without asking.
    AtOnce,
    /// Bind: authentik was asked.
    Authentik,
    /// Search: an index named the candidates.
    Index,
    /// Search: all entries in a part of the tree are candidates.
    Ranges,
    /// Search: the values of an attribute were looked through.
    Scan,
    /// Search: all entries in a kept order are candidates.
    Order,
    /// Search: an entry about the server itself.
    Server,
}

impl OperationPlan {
    const ALL: [Self; 8] = [
        Self::None,
        Self::AtOnce,
        Self::Authentik,
        Self::Index,
        Self::Ranges,
        Self::Scan,
        Self::Order,
        Self::Server,
    ];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::AtOnce => "at_once",
            Self::Authentik => "authentik",
            Self::Index => "index",
            Self::Ranges => "ranges",
            Self::Scan => "scan",
            Self::Order => "order",
            Self::Server => "server",
        }
    }
}

words! {
    /// An LDAP operation, by the name that OpenLDAP's monitor has for it.
    LdapOperation as "operation" {
        /// Bind.
        Bind = "Bind",
        /// Unbind.
        Unbind = "Unbind",
        /// Search.
        Search = "Search",
        /// Compare.
        Compare = "Compare",
        /// Modify.
        Modify = "Modify",
        /// Modify DN.
        ModifyDn = "Modrdn",
        /// Add.
        Add = "Add",
        /// Delete.
        Delete = "Delete",
        /// Abandon.
        Abandon = "Abandon",
        /// Extended.
        Extended = "Extended",
    }
}

type Codes = [OnceLock<Durations>; CODES.len()];

/// The table.
#[derive(Debug)]
pub(super) struct Operations {
    begun: WordCounts<LdapOperation>,
    rows: Box<[Codes]>,
}

impl Default for Operations {
    fn default() -> Self {
        let rows = RequestType::ALL.len() * OperationPlan::ALL.len();
        Self {
            begun: WordCounts::default(),
            rows: std::iter::repeat_with(|| [const { OnceLock::new() }; CODES.len()])
                .take(rows)
                .collect(),
        }
    }
}

impl Operations {
    /// Counts an operation whose request was received.
    pub(super) fn begin(&self, operation: LdapOperation) {
        self.begun.inc(operation);
    }

    /// How many were received.
    pub(super) fn initiated(&self, operation: LdapOperation) -> u64 {
        self.begun.get(operation)
    }

    /// How many have ended. Those that are refused or done at once end when they are received.
    pub(super) fn completed(&self, operation: LdapOperation) -> u64 {
        let request = match operation {
            LdapOperation::Bind => RequestType::Bind,
            LdapOperation::Search => RequestType::Search,
            LdapOperation::Compare => RequestType::Compare,
            LdapOperation::Extended => RequestType::Extended,
            LdapOperation::Unbind => RequestType::Unbind,
            _ => return self.initiated(operation),
        };
        self.tally(request).count()
    }

    /// Counts an operation that ended with this code.
    #[inline]
    pub(super) fn observe(&self, request: RequestType, plan: OperationPlan, code: u8, took: Duration) {
        let row = request as usize * OperationPlan::ALL.len() + plan as usize;
        let position = CODES.iter().position(|known| *known == code);
        let position = position.or_else(|| CODES.iter().position(|known| *known == OTHER));
        let cell = self
            .rows
            .get(row)
            .zip(position)
            .and_then(|(row, position)| row.get(position));
        if let Some(cell) = cell {
            cell.get_or_init(Durations::default).observe(took);
        }
    }

    /// What was counted about one kind of request so far, whatever its outcome.
    pub(super) fn tally(&self, request: RequestType) -> DurationTally {
        let of_request = self.cells().filter(|(known, ..)| *known == request);
        of_request.fold(DurationTally::default(), |sum, (_, _, _, durations)| {
            sum.plus(&durations.tally())
        })
    }

    fn cells(&self) -> impl Iterator<Item = (RequestType, OperationPlan, u8, &Durations)> {
        let names = RequestType::ALL
            .into_iter()
            .flat_map(|request| OperationPlan::ALL.map(|plan| (request, plan)));
        names.zip(&self.rows).flat_map(|((request, plan), row)| {
            CODES
                .iter()
                .zip(row)
                .filter_map(move |(code, cell)| Some((request, plan, *code, cell.get()?)))
        })
    }
}

impl Collector for Operations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if self.cells().next().is_none() {
            return Ok(());
        }
        let mut family = encoder.encode_descriptor(
            "akldap_operation_duration_seconds",
            "Seconds an LDAP operation took, by its kind, how it found its answer, and its result code",
            None,
            MetricType::Histogram,
        )?;
        for (request, plan, code, durations) in self.cells() {
            let code = match code {
                UNANSWERED => String::new(),
                code => code.to_string(),
            };
            let labels = [
                ("type", request.as_str()),
                ("plan", plan.as_str()),
                ("code", code.as_str()),
            ];
            durations.tally().encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
