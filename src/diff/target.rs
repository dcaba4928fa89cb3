//! Where a server is and how its connections are secured. Knows LDAP URLs as they name servers (RFC 4516) and nothing about
//! searches.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use url::Url;

const LDAP_PORT: u16 = 389;
const LDAPS_PORT: u16 = 636;

/// How a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// By TLS from the start.
    Tls,
    /// By TLS after StartTLS.
    StartTls,
}

/// A server.
#[derive(Clone, Debug)]
pub struct Target {
    /// The URI as it was given.
    pub uri: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How connections are secured.
    pub security: Security,
    /// Whom TLS trusts; needed unless connections are not secured.
    pub tls: Option<Arc<ClientConfig>>,
    /// How long the server may be silent; `None`: as long as each step usually takes.
    pub patience: Option<Duration>,
}

impl Target {
    /// The server that `uri` names: `ldap://HOST[:PORT]` or `ldaps://HOST[:PORT]`.
    ///
    /// # Errors
    /// When it is not such a URI, in words for whoever wrote it.
    pub fn parse(uri: &str, start_tls: bool) -> Result<Self, String> {
        let broken = |why: &str| format!("{uri:?} is not an ldap:// or ldaps:// URI of a server: {why}");
        let url = Url::parse(uri).map_err(|_| broken("it is not a URI"))?;
        let (port, security) = match url.scheme() {
            "ldap" if start_tls => (LDAP_PORT, Security::StartTls),
            "ldap" => (LDAP_PORT, Security::None),
            "ldaps" => (LDAPS_PORT, Security::Tls),
            _ => return Err(broken("another scheme")),
        };
        // What follows the host would be a search, which is not asked for here, and an address must not contain a password.
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a server's URI must not contain an account; use --bind-dn and \
                 --password-file"
                .to_owned());
        }
        if !is_bare {
            return Err(broken("something follows the host"));
        }
        let host = match url.host() {
            Some(url::Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => return Err(broken("no host")),
        };
        Ok(Self {
            uri: uri.to_owned(),
            host,
            port: url.port().unwrap_or(port),
            security,
            tls: None,
            patience: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_name_host_port_and_security() {
        let parse = |uri, start_tls| {
            Target::parse(uri, start_tls).map(|target| (target.host, target.port, target.security))
        };
        let plain = Ok(("a.example".to_owned(), 389, Security::None));
        assert_eq!(parse("ldap://a.example", false), plain);
        let tls = Ok(("::1".to_owned(), 6636, Security::Tls));
        assert_eq!(parse("ldaps://[::1]:6636/", true), tls);
        let start_tls = Ok(("127.0.0.1".to_owned(), 3389, Security::StartTls));
        assert_eq!(parse("ldap://127.0.0.1:3389", true), start_tls);
        for broken in [
            "a.example",
            "http://a.example",
            "ldap://a/dc=x",
            "ldap:///",
            "ldap://a?x",
        ] {
            assert!(parse(broken, false).is_err(), "{broken}");
        }
        let secret = parse("ldap://cn=a:geheim@host", false).expect_err("an account");
        assert!(!secret.contains("geheim"), "{secret}");
    }
}
