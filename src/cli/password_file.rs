//! The file that holds an account's password. Knows the file; must not know whose password it is.

use std::path::Path;

use zeroize::Zeroizing;

/// The password: everything but line breaks at the end.
///
/// # Errors
/// When there is none. An account would be refused for it, as if another had been given.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let path_and = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let mut password = Zeroizing::new(std::fs::read(path).map_err(|error| path_and(&error))?);
    while password
        .last()
        .is_some_and(|octet| matches!(octet, b'\n' | b'\r'))
    {
        password.pop();
    }
    if password.is_empty() {
        return Err(path_and(&"the file of --password-file has no password in it"));
    }
    Ok(password)
}
