//! Which flows are known to begin with a plain identification stage, whose answer can be sent without fetching the
//! challenge first, which saves a bind one request.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Flows remembered. An outpost has a handful; beyond this the oldest knowledge is simply dropped.
const MAX_FLOWS: usize = 64;

/// The flows that begin with identification and nothing else to solve.
#[derive(Debug, Default)]
pub(super) struct Openings {
    /// And whether that stage asks for the password too.
    plain: Mutex<HashMap<String, bool>>,
}

impl Openings {
    /// Whether the first stage of a flow asks for the password, if that stage is known.
    pub(super) fn plain(&self, slug: &str) -> Option<bool> {
        self.plain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(slug)
            .copied()
    }

    pub(super) fn learn(&self, slug: &str, asks_password: bool) {
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        if plain.len() >= MAX_FLOWS && !plain.contains_key(slug) {
            plain.clear();
        }
        plain.insert(slug.to_owned(), asks_password);
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
            openings.learn(&format!("flow-{n}"), n % 2 == 0);
        }
        assert_eq!(
            (openings.plain("flow-999"), openings.plain("flow-0")),
            (Some(false), None)
        );
        assert!(openings.plain.lock().unwrap().len() <= MAX_FLOWS);
        openings.forget("flow-999");
        assert_eq!(openings.plain("flow-999"), None);
    }
}
