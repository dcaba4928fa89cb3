//! What happens to an answer of the directory in which a number points nowhere: that is a fault of ours, or of the
//! memory.
//!
//! Must not know what was asked.

use akldap_directory::WrongNumber;

use crate::metrics::DirectoryDamage;

/// What was found. Otherwise it counts as not there, so that it lets nobody in; the log says so, and it is counted.
pub(super) fn sound<T>(found: Result<T, WrongNumber>, damage: &DirectoryDamage) -> Option<T> {
    found
        .inspect_err(|wrong| {
            damage.met();
            tracing::error!(
                error = %wrong,
                "the directory in memory is damaged, and what cannot be read from it counts as missing: \
                 restart the server, and report this line and those before it"
            );
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_points_nowhere_is_not_there_and_counted() {
        let damage = DirectoryDamage::default();
        assert_eq!((sound(Ok(7), &damage), damage.times()), (Some(7), 0));
        assert_eq!(sound::<()>(Err(WrongNumber::User), &damage), None);
        assert_eq!(damage.times(), 1);
    }
}
