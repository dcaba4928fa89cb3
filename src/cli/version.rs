//! Which akldap this is: its version, and the commit it was built from if the build knew it.

/// The version, as `--version` says it.
#[must_use]
pub fn text() -> &'static str {
    match commit() {
        Some(_) => concat!(env!("CARGO_PKG_VERSION"), " (", env!("AKLDAP_COMMIT"), ")"),
        None => env!("CARGO_PKG_VERSION"),
    }
}

/// The commit. Archives without git and development builds have none.
#[must_use]
pub fn commit() -> Option<&'static str> {
    Some(env!("AKLDAP_COMMIT")).filter(|commit| !commit.is_empty())
}
