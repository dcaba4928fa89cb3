//! Which version this is, as authentik and clients are told.

use crate::config::Config;

/// The version we report to authentik and in the rootDSE.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What we report as the build. Never empty: with an empty one authentik compares versions and calls ours outdated.
pub(crate) fn build_hash(config: &Config) -> String {
    if config.build_hash.is_empty() {
        "akldap".to_owned()
    } else {
        config.build_hash.clone()
    }
}
