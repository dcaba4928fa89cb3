//! The name by which a request asks for the page. A web page from elsewhere can let its own name lead to this server's address (DNS
//! rebinding): a browser then takes what is answered here for part of that page, and lets it read. No such page can have a name that
//! is an address or `localhost`. Knows the name and which are allowed; must not know who asks.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use url::Host;

/// Whether every name in the request is an address, `localhost` or one of `hosts`, and there is one (RFC 9112 section 3.2).
pub(super) fn all_lead_here(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> bool {
    let in_headers = headers.get_all(header::HOST).iter();
    let in_headers = in_headers.map(|name| name.to_str().ok().and_then(|name| name.parse().ok()));
    let mut names = in_headers.chain(uri.authority().cloned().map(Some)).peekable();
    names.peek().is_some() && names.all(|name| name.is_some_and(|name| leads_here(&name, hosts)))
}

fn leads_here(name: &Authority, hosts: &[String]) -> bool {
    match Host::parse(name.host()) {
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        Ok(Host::Domain(domain)) => {
            let domain = domain.strip_suffix('.').unwrap_or(&domain);
            // Browsers do not ask a name server for these (RFC 6761 section 6.3).
            domain == "localhost" || domain.ends_with(".localhost") || hosts.iter().any(|host| host == domain)
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(uri: &str, names: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(header::HOST, name.parse().unwrap());
        }
        let hosts = ["ldap.example.org".to_owned(), "xn--zo-ija.example".to_owned()];
        all_lead_here(&uri.parse().unwrap(), &headers, &hosts)
    }

    #[test]
    fn addresses_localhost_and_names_that_are_allowed_lead_here() {
        for name in [
            "127.0.0.1",
            "127.0.0.1:9300",
            "10.1.2.3:9300",
            "[::1]",
            "[2001:db8::1]:9300",
            "localhost",
            "LocalHost:9300",
            "localhost.",
            "status.localhost:9300",
            "ldap.example.org",
            "LDAP.example.org.:9300",
            "xn--zo-ija.example",
        ] {
            assert!(leads("/", &[name]), "{name}");
        }
    }

    #[test]
    fn no_other_name_does() {
        for name in [
            "attacker.example",
            "attacker.example:9300",
            "ldap.example.org.attacker.example",
            "x.ldap.example.org",
            "localhost.attacker.example",
            "notlocalhost",
            "127.0.0.1.attacker.example",
            "127.0.0.1@attacker.example",
            "authentik-ldap",
            "",
            "::1",
            "a b",
        ] {
            assert!(!leads("/", &[name]), "{name}");
        }
        assert!(!leads("/", &[]), "a request without a name");
        assert!(!leads("/", &["localhost", "attacker.example"]), "one of two");
        assert!(!leads("http://attacker.example/", &["localhost"]));
        assert!(leads("http://127.0.0.1:9300/", &["localhost"]));
    }
}
