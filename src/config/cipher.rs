//! TLS versions and cipher suites by name. Knows names and IANA numbers; the server chooses the TLS library that
//! implements them, and a test there compares its list with this one.

use super::value::Unreadable;

/// A version of TLS that can be demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

/// A cipher suite that can be offered. All of them encrypt with authentication and keep earlier sessions secret when a
/// key leaks.
#[derive(Debug, PartialEq, Eq)]
pub struct CipherSuite {
    /// The name in IANA's registry.
    pub name: &'static str,
    /// The name OpenSSL and most scanners use.
    openssl: &'static str,
    /// The number in IANA's registry.
    pub code: u16,
    /// The version of TLS it belongs to.
    pub version: TlsVersion,
}

const fn suite(name: &'static str, openssl: &'static str, code: u16, version: TlsVersion) -> CipherSuite {
    CipherSuite {
        name,
        openssl,
        code,
        version,
    }
}

use TlsVersion::{V1_2, V1_3};

/// Every suite that can be offered, best first.
pub static CIPHER_SUITES: &[CipherSuite] = &[
    suite("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", 0x1302, V1_3),
    suite("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", 0x1301, V1_3),
    suite(
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_CHACHA20_POLY1305_SHA256",
        0x1303,
        V1_3,
    ),
    suite(
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        0xc02c,
        V1_2,
    ),
    suite(
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        0xc02b,
        V1_2,
    ),
    suite(
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        0xcca9,
        V1_2,
    ),
    suite(
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        0xc030,
        V1_2,
    ),
    suite(
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        0xc02f,
        V1_2,
    ),
    suite(
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305",
        0xcca8,
        V1_2,
    ),
];

/// `1.2` or `1.3`, also as `TLS1.2` or `TLSv1.2`.
pub(super) fn version(text: &str) -> Result<TlsVersion, Unreadable> {
    let lower = text.to_ascii_lowercase();
    let number = lower.strip_prefix("tls").unwrap_or(&lower);
    match number.strip_prefix('v').unwrap_or(number) {
        "1.2" => Ok(V1_2),
        "1.3" => Ok(V1_3),
        _ => Err(Unreadable::hint(
            "1.2 or 1.3 (older versions of TLS are broken and not implemented)",
        )),
    }
}

/// A list of suites by either name, separated by commas, colons or blanks; each is taken once, in the order given.
pub(super) fn suites(text: &str) -> Result<Vec<&'static CipherSuite>, Unreadable> {
    let mut suites = Vec::new();
    for name in text
        .split(|separator: char| separator == ',' || separator == ':' || separator.is_whitespace())
        .filter(|name| !name.is_empty())
    {
        let known = CIPHER_SUITES
            .iter()
            .find(|suite| suite.name.eq_ignore_ascii_case(name) || suite.openssl.eq_ignore_ascii_case(name))
            .ok_or(Unreadable::PLAIN)?;
        if !suites.contains(&known) {
            suites.push(known);
        }
    }
    if suites.is_empty() {
        return Err(Unreadable::PLAIN);
    }
    Ok(suites)
}

/// The known names, for an error message.
pub(super) fn known_names() -> String {
    let names: Vec<&str> = CIPHER_SUITES.iter().map(|suite| suite.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigError, StringMap, TlsConfig};

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<TlsConfig, ConfigError> {
        let mut strings: StringMap = [("AUTHENTIK_HOST", "https://a.example"), ("AUTHENTIK_TOKEN", "t")]
            .into_iter()
            .collect();
        for (name, text) in pairs {
            strings.set(*name, *text);
        }
        Config::read(&strings).map(|config| config.tls)
    }

    #[test]
    fn an_unknown_suite_is_refused_with_the_known_ones_named() {
        let name = "AUTHENTIK_LDAP__TLS_CIPHER_SUITES";
        let message = read(&[(name, "AES128-SHA")]).expect_err("unknown").to_string();
        assert!(message.starts_with(name) && !message.contains('\n'), "{message}");
        for suite in CIPHER_SUITES {
            assert!(message.contains(suite.name), "{message}");
        }
    }

    #[test]
    fn a_list_without_a_suite_for_the_version_is_a_contradiction() {
        let suites = ("AUTHENTIK_LDAP__TLS_CIPHER_SUITES", "ECDHE-RSA-AES256-GCM-SHA384");
        let version = ("AUTHENTIK_LDAP__TLS_MIN_VERSION", "1.3");
        assert!(matches!(
            read(&[suites, version]),
            Err(ConfigError::Conflict { .. })
        ));
        assert_eq!(read(&[suites]).expect("1.2 alone").cipher_suites.len(), 1);
        assert_eq!(read(&[version]).expect("1.3").min_version, V1_3);
    }

    #[test]
    fn suites_are_found_by_either_name() {
        let found = suites(
            "ECDHE-RSA-AES256-GCM-SHA384:tls_aes_128_gcm_sha256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        )
        .expect("known");
        let codes: Vec<u16> = found.iter().map(|suite| suite.code).collect();
        assert_eq!(codes, [0xc030, 0x1301]);
        for unknown in [
            "",
            ",",
            "AES128-SHA",
            "TLS_AES_128_GCM_SHA256,NULL",
            "HIGH:!aNULL",
        ] {
            assert!(suites(unknown).is_err(), "{unknown}");
        }
        for suite in CIPHER_SUITES {
            assert!(known_names().contains(suite.name));
        }
    }

    #[test]
    fn versions_are_found_in_every_spelling() {
        for text in ["1.2", "TLS1.2", "tlsv1.2", "TLSv1.2"] {
            assert_eq!(version(text), Ok(V1_2), "{text}");
        }
        assert_eq!(version("1.3"), Ok(V1_3));
        for text in ["1.1", "1.0", "SSLv3", "1.4", ""] {
            assert!(version(text).is_err(), "{text}");
        }
    }
}
