//! Which attributes hold passwords or what is made of them, by whatever name they come: their values are not shown.

use akldap_directory::password_attributes;

/// Their numbers, which a server may send in place of the names (RFC 4512 section 2.5).
const NUMBERS: [&str; 12] = [
    // userPassword (RFC 4519), authPassword (RFC 3112), pwdHistory.
    "2.5.4.35",
    "1.3.6.1.4.1.4203.1.3.4",
    "1.3.6.1.4.1.42.2.27.8.1.20",
    // unicodePwd, dBCSPwd, ntPwdHistory, lmPwdHistory, supplementalCredentials of Active Directory.
    "1.2.840.113556.1.4.90",
    "1.2.840.113556.1.4.55",
    "1.2.840.113556.1.4.94",
    "1.2.840.113556.1.4.160",
    "1.2.840.113556.1.4.125",
    // sambaLMPassword, sambaNTPassword, sambaPasswordHistory.
    "1.3.6.1.4.1.7165.2.1.24",
    "1.3.6.1.4.1.7165.2.1.25",
    "1.3.6.1.4.1.7165.2.1.54",
    // krbPrincipalKey.
    "2.16.840.1.113719.1.301.4.39.1",
];

/// Whether the values of an attribute are not shown, whatever options follow its name (RFC 4512 section 2.5.2).
pub(super) fn is_secret(description: &str) -> bool {
    let name = description.split(';').next().unwrap_or_default().trim();
    NUMBERS.contains(&name) || password_attributes::index_of(name.as_bytes()).is_some()
}
