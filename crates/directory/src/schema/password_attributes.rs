//! The attributes that hold passwords, hashes of passwords or keys made from them: one list for what the directory leaves
//! out and for what the configuration can name. Knows names only.

/// Every one that is not served unless it is named, in its usual spelling (RFC 4519 section 2.41, RFC 3112, Active
/// Directory, Samba, MIT Kerberos, FreeIPA, the password policy draft).
pub const PASSWORD_ATTRIBUTES: [&str; 13] = [
    "userPassword",
    "unicodePwd",
    "sambaNTPassword",
    "sambaLMPassword",
    "krbPrincipalKey",
    "authPassword",
    "dBCSPwd",
    "ipaNTHash",
    "supplementalCredentials",
    "ntPwdHistory",
    "lmPwdHistory",
    "sambaPasswordHistory",
    "pwdHistory",
];

/// The index of an attribute in the list, whatever its case; `None` for an attribute that is not in it.
#[must_use]
pub fn index_of(name: &[u8]) -> Option<usize> {
    PASSWORD_ATTRIBUTES
        .iter()
        .position(|known| known.as_bytes().eq_ignore_ascii_case(name))
}
