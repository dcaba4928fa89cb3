//! What is odd in the directory, told once and not at each refresh.

use std::collections::BTreeSet;

/// Warnings that are logged one by one; more are only counted.
const MAX_WARNINGS: usize = 20;
/// Warnings remembered between two full loads.
const MAX_KNOWN: usize = 10_000;

/// What was odd in the last loads.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    known: BTreeSet<String>,
    now: BTreeSet<String>,
}

impl Warnings {
    pub(super) fn add(&mut self, warning: impl ToString) {
        self.now.insert(warning.to_string());
    }

    /// Forgets what was added since the last time it was told.
    pub(super) fn start(&mut self) {
        self.now.clear();
    }

    /// Logs what is new. After a full load only what was odd in it stays known, so that it is told again if it comes
    /// back; a load of changes says nothing about the rest.
    pub(super) fn tell(&mut self, full: bool) {
        let fresh: Vec<&String> = self.now.difference(&self.known).collect();
        for warning in fresh.iter().take(MAX_WARNINGS) {
            tracing::warn!("{warning}");
        }
        if fresh.len() > MAX_WARNINGS {
            tracing::warn!(
                more = fresh.len() - MAX_WARNINGS,
                "further oddities in the directory are not listed"
            );
        }
        if full {
            self.known = std::mem::take(&mut self.now);
        } else if self.known.len() < MAX_KNOWN {
            self.known.append(&mut self.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(warnings: &Warnings) -> Vec<&String> {
        warnings.now.difference(&warnings.known).collect()
    }

    #[test]
    fn a_known_oddity_is_told_once_and_again_after_it_was_gone() {
        let mut warnings = Warnings::default();
        warnings.add("a");
        assert_eq!(fresh(&warnings), ["a"]);
        warnings.tell(true);
        warnings.start();
        warnings.tell(false);
        warnings.add("a");
        assert!(fresh(&warnings).is_empty());
        warnings.start();
        warnings.tell(true);
        warnings.add("a");
        assert_eq!(fresh(&warnings), ["a"]);
    }
}
