//! What an instance says about itself. authentik is strict about the types: one null breaks its health page.

use serde::Serialize;

/// The instruction number of a hello.
const HELLO: u8 = 1;
/// Reported when the build has no hash. Anything that differs from authentik's keeps its UI from comparing
/// our version with its own.
const OWN_BUILD: &str = "akldap";

/// The arguments of a hello, shown in authentik's outpost list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// Must be a PEP 440 version.
    pub version: String,
    /// The build.
    pub build_hash: String,
    /// The instance, as in the connection's URL: a UUID with dashes.
    pub uuid: String,
    /// The field for a language version.
    pub golang_version: String,
    /// Whether OpenSSL does the cryptography.
    pub openssl_enabled: bool,
    /// What does.
    pub openssl_version: String,
    /// Whether it runs in FIPS mode.
    pub fips_enabled: bool,
    /// The host's name.
    pub hostname: String,
}

impl Hello {
    /// The hello of this program. `build_hash` is `GIT_BUILD_HASH`, empty for none.
    pub fn new(instance: uuid::Uuid, build_hash: &str, hostname: &str) -> Self {
        let build_hash = if build_hash.is_empty() {
            OWN_BUILD
        } else {
            build_hash
        };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build_hash: build_hash.to_owned(),
            uuid: instance.hyphenated().to_string(),
            golang_version: concat!("rust ", env!("CARGO_PKG_RUST_VERSION"), "+").to_owned(),
            openssl_enabled: false,
            openssl_version: "AWS-LC".to_owned(),
            fips_enabled: rustls::crypto::aws_lc_rs::default_provider().fips(),
            hostname: hostname.to_owned(),
        }
    }

    pub(super) fn text(&self) -> String {
        serde_json::json!({ "instruction": HELLO, "args": self }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_has_the_types_authentik_wants() {
        let hello = Hello::new(uuid::Uuid::nil(), "", "box");
        let frame = hello.text();
        let json: serde_json::Value = serde_json::from_str(&frame).unwrap();
        assert_eq!(json["instruction"], 1);
        let args = json["args"].as_object().unwrap();
        for key in [
            "version",
            "buildHash",
            "uuid",
            "golangVersion",
            "opensslVersion",
            "hostname",
        ] {
            assert!(args[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
        }
        for key in ["opensslEnabled", "fipsEnabled"] {
            assert!(args[key].is_boolean(), "{key}");
        }
        assert_eq!(
            (args["uuid"].as_str(), args["buildHash"].as_str()),
            (Some("00000000-0000-0000-0000-000000000000"), Some("akldap"))
        );
        // PEP 440 in its simplest form.
        assert!(hello.version.split('.').all(|part| part.parse::<u32>().is_ok()));
        assert_eq!(Hello::new(uuid::Uuid::nil(), "abc", "box").build_hash, "abc");
    }
}
