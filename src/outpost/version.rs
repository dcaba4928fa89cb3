//! Which version this is, as authentik and clients are told.

/// The version we report to authentik and in the rootDSE.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What we report as the build, given what we are told to. Never empty: with an empty one authentik compares versions and calls
/// ours outdated.
pub(super) fn build_hash(configured: String) -> String {
    if configured.is_empty() {
        "akldap".to_owned()
    } else {
        configured
    }
}
