//! What a search may cost the server, and the answer when it costs more: adminLimitExceeded (RFC 4511 appendix A.2).
//!
//! Finding entries may be expensive; returning them is paid for by whoever reads them, so a listing of everything never
//! reaches these limits. Must not know filters or who sets the limits.

use std::sync::OnceLock;

use crate::filter::evaluation::STEP_WORK;
use akldap_ldap::response::{LdapResult, ResultCode};

/// Comparisons that a returned entry may cost without being counted.
const COMPARISONS_PER_ENTRY: usize = 128;

/// What a search may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchLimits {
    /// Comparisons: checking an assertion against an entry is one, plus one for each 32 octets of the values looked at.
    /// 128 for each entry returned are free.
    pub comparisons: u64,
    /// Octets of its filter and of what it sorts, and of the entries that the dereference control adds to one.
    pub memory: usize,
    /// The option that sets the number of comparisons, for the diagnosticMessage.
    pub comparisons_option: &'static str,
    /// The option that sets the memory.
    pub memory_option: &'static str,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self {
            comparisons: u64::MAX,
            memory: usize::MAX,
            comparisons_option: "",
            memory_option: "",
        }
    }
}

/// The limits of one search, and what it has used.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) limits: SearchLimits,
    /// Work done, and work that does not count.
    spent: u64,
    earned: u64,
    /// Octets of the filter and the selection, once they were asked for.
    pub(crate) compiled: OnceLock<usize>,
}

impl Bounds {
    pub(crate) fn spend(&mut self, work: u64) {
        self.spent = self.spent.saturating_add(work);
    }

    /// An entry was returned, which took this much work.
    #[inline]
    pub(crate) fn earn(&mut self, written: usize) {
        self.earned += (written + COMPARISONS_PER_ENTRY * STEP_WORK) as u64;
    }

    pub(crate) fn too_much_work(&self) -> Option<LdapResult> {
        let SearchLimits {
            comparisons,
            comparisons_option: option,
            ..
        } = self.limits;
        let used = self.spent.saturating_sub(self.earned) / STEP_WORK as u64;
        (used > comparisons).then(|| {
            refused(format!(
                "the search made more than {comparisons} comparisons ({option}); use equality filters, or \
                 fewer alternatives"
            ))
        })
    }

    pub(crate) fn too_much_memory(&self, used: usize) -> Option<LdapResult> {
        let SearchLimits {
            memory,
            memory_option: option,
            ..
        } = self.limits;
        (used > memory).then(|| {
            refused(format!(
                "the search needs more than {memory} octets of memory ({option}); ask for less at once, or unsorted"
            ))
        })
    }

    pub(crate) fn too_much_named(&self, dn: &[u8]) -> LdapResult {
        let SearchLimits {
            memory,
            memory_option: option,
            ..
        } = self.limits;
        let name = String::from_utf8_lossy(dn);
        refused(format!(
            "{name} names more entries than one answer can hold ({memory} octets, {option}); ask for them \
             without the dereference control"
        ))
    }
}

pub(crate) fn nested_too_far() -> LdapResult {
    refused(
        "the filter asks for the members of too many nested groups at once; ask in several searches"
            .to_owned(),
    )
}

fn refused(message: String) -> LdapResult {
    LdapResult::new(ResultCode::AdminLimitExceeded, message)
}
