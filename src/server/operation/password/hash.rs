//! Values with which clients send a hash instead of the password. authentik would take it for the password itself, and nobody could then
//! log in with what was typed. Both operations refuse them. Must not know what happens to a password.

/// The first words of the schemes that OpenLDAP, 389 Directory Server, Dovecot and Roundcube write; digits may follow.
const SCHEMES: &[&str] = &[
    "ARGON2",
    "ARGON2D",
    "ARGON2I",
    "ARGON2ID",
    "BCRYPT",
    "BLF",
    "CLEAR",
    "CLEARTEXT",
    "CRAM",
    "CRYPT",
    "DES",
    "DIGEST",
    "HOTP",
    "K5KEY",
    "KERBEROS",
    "LANMAN",
    "LM",
    "MD",
    "NT",
    "NTLM",
    "OTP",
    "PBKDF",
    "PLAIN",
    "RPA",
    "SASL",
    "SCRAM",
    "SCRYPT",
    "SHA",
    "SKEY",
    "SMD",
    "SSHA",
    "TOTP",
];

/// Whether a value is `{SCHEME}` and a hash (RFC 2307 section 5.3), such as `{SSHA256}…` and `{BLF-CRYPT}…`.
pub(super) fn is_hash(value: &[u8]) -> bool {
    let Some(rest) = value.strip_prefix(b"{") else {
        return false;
    };
    let Some(end) = rest.iter().position(|octet| *octet == b'}') else {
        return false;
    };
    let scheme = rest.get(..end).unwrap_or_default();
    if !scheme.iter().all(u8::is_ascii_graphic) {
        return false;
    }
    // After the first word another may follow behind a sign.
    let first = scheme
        .split(|octet| !octet.is_ascii_alphanumeric())
        .next()
        .unwrap_or_default();
    SCHEMES.iter().any(|known| {
        let (name, digits) = first.split_at_checked(known.len()).unwrap_or((first, &[]));
        name.eq_ignore_ascii_case(known.as_bytes()) && digits.iter().all(u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_not_taken_for_a_password() {
        for hash in [
            "{SSHA}abc",
            "{crypt}$6$x",
            "{SSHA512}x",
            "{PBKDF2-SHA256}x",
            "{ssha-256}x",
            "{ARGON2}x",
            "{ARGON2I}$argon2i$v=19$m=1,t=1,p=1$c2Fs$aGFzaA",
            "{ARGON2ID}x",
            "{BLF-CRYPT}$2y$10$x",
            "{bcrypt}x",
            "{CRAM-MD5}x",
            "{PLAIN-MD5}x",
            "{DES-CRYPT}x",
            "{NTLM}x",
            "{CLEARTEXT}x",
            "{SCRAM-SHA-256}x",
            "{LANMAN}x",
            "{SMD5}x",
            "{K5KEY}",
            "{TOTP1}x",
        ] {
            assert!(is_hash(hash.as_bytes()), "{hash}");
        }
        for password in [
            "{",
            "{}",
            "{SSHA",
            "SSHA}x",
            "{curly} braces",
            "{SHAPE}x!",
            "a{SSHA}b",
            "{CRYPTIC !}",
            "{MDX}x",
            "{plains}x",
            "{NT work}x",
        ] {
            assert!(!is_hash(password.as_bytes()), "{password}");
        }
    }
}
