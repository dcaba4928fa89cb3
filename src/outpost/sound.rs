//! What becomes of an answer of the directory in which a number points nowhere: that is a fault of ours, or the memory's.
//!
//! Knows how often it was met. Must not know what was asked.

use std::sync::atomic::{AtomicU64, Ordering};

use akldap_directory::WrongNumber;

/// Counts for the whole process, as the memory is the process's.
static MET: AtomicU64 = AtomicU64::new(0);

/// How many answers of the directory came upon a number that points nowhere since the process started.
pub fn damage_met() -> u64 {
    MET.load(Ordering::Relaxed)
}

/// What was found. Otherwise it counts as not there, so that nobody gets in by it; the log says so, and it is counted.
pub(super) fn sound<T>(found: Result<T, WrongNumber>) -> Option<T> {
    found
        .inspect_err(|wrong| {
            MET.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                error = %wrong,
                "the directory in memory is damaged, and what is asked of it counts as not there: restart the server, and \
                 report this with the lines before it"
            );
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_points_nowhere_is_not_there_and_counted() {
        assert_eq!(sound(Ok(7)), Some(7));
        let before = damage_met();
        assert_eq!(sound::<()>(Err(WrongNumber::User)), None);
        assert!(damage_met() > before);
    }
}
