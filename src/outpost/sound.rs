//! What becomes of an answer of the directory in which a number points nowhere: that is a fault of ours, or the memory's.
//!
//! Must not know what was asked.

use akldap_directory::WrongNumber;

/// What was found. Otherwise it counts as not there, so that nobody gets in by it, and the log says so.
pub(super) fn sound<T>(found: Result<T, WrongNumber>) -> Option<T> {
    found
        .inspect_err(|wrong| {
            tracing::error!(
                error = %wrong,
                "the directory in memory is damaged, and what is asked of it counts as not there: restart the server, and \
                 report this with the lines before it"
            );
        })
        .ok()
}
