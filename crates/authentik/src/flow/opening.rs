//! Which flows are known to begin with a plain identification stage, whose answer can be sent without fetching the
//! challenge first: one request of a bind saved.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Flows remembered. An outpost has a handful; beyond this the oldest knowledge is simply dropped.
const MAX_FLOWS: usize = 64;

/// The flows that begin with identification and nothing else to solve.
#[derive(Debug, Default)]
pub(super) struct Openings {
    plain: Mutex<HashSet<String>>,
}

impl Openings {
    pub(super) fn is_plain(&self, slug: &str) -> bool {
        self.plain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(slug)
    }

    pub(super) fn learn(&self, slug: &str) {
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        if plain.len() >= MAX_FLOWS && !plain.contains(slug) {
            plain.clear();
        }
        plain.insert(slug.to_owned());
    }

    pub(super) fn forget(&self, slug: &str) {
        self.plain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(slug);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_bounded() {
        let openings = Openings::default();
        for n in 0..1000 {
            openings.learn(&format!("flow-{n}"));
        }
        assert!(openings.is_plain("flow-999") && !openings.is_plain("flow-0"));
        assert!(openings.plain.lock().unwrap().len() <= MAX_FLOWS);
        openings.forget("flow-999");
        assert!(!openings.is_plain("flow-999"));
    }
}
