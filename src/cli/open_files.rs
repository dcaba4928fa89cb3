//! The limit of open files: each connection is one, and the usual limit of 1024 is for programs that have few. Knows the
//! operating system's switches only.

/// Raises the limit to what the system allows this process, and logs it.
pub(super) fn raise() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    match setrlimit(Resource::Nofile, most) {
        Ok(()) => tracing::info!(
            before = before.current,
            now = getrlimit(Resource::Nofile).current,
            "limit of open files"
        ),
        Err(error) => {
            tracing::warn!(%error, limit = before.current, "the limit of open files could not be raised");
        }
    }
}
