//! The file that holds an account's password. Knows the file; must not know whose password it is.

use std::path::Path;

use akldap_authentik::given_file;
use zeroize::Zeroizing;

/// Octets read of it at most. Passwords are shorter, and a larger file is another one.
const MOST_OCTETS: usize = 64 << 10;

/// The password: everything but line breaks at the end, and the mark that some editors write at the beginning.
///
/// # Errors
/// When there is none. An account would be refused for it, as if another had been given.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let broken = |problem: &dyn std::fmt::Display| {
        format!("the file {} of --password-file: {problem}", path.display())
    };
    let octets =
        given_file::read(path, MOST_OCTETS, given_file::patience()).map_err(|error| broken(&error))?;
    let mut password = given_file::without_mark(&octets);
    while let Some((b'\n' | b'\r', shorter)) = password.split_last() {
        password = shorter;
    }
    if password.is_empty() {
        return Err(broken(&"it has no password in it"));
    }
    Ok(Zeroizing::new(password.to_vec()))
}
