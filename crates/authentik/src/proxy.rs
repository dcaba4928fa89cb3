//! Whether calls to authentik go through an HTTP proxy.
//!
//! Knows the rules of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`; their values come from the configuration. The proxy
//! of a plain-text host sees the outpost's token, so the one in use is logged at the start.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use url::Url;

use super::endpoint::Endpoint;
use super::error::ApiError;
use super::settings::Settings;

/// The proxy for this server, if there should be one.
pub(super) fn of(settings: &Settings, endpoint: &Endpoint) -> Result<Option<reqwest::Proxy>, ApiError> {
    let Some((_, url)) = chosen(settings, endpoint) else {
        return Ok(None);
    };
    let shown = shown(url);
    match endpoint.is_tls() {
        true => tracing::info!(
            proxy = shown,
            "authentik is called through the proxy in HTTPS_PROXY"
        ),
        false => tracing::warn!(
            proxy = shown,
            "authentik is called through the proxy in HTTP_PROXY, which can read the outpost's token and \
             people's \
             passwords: use an https:// URL in AUTHENTIK_HOST, or name authentik's host in NO_PROXY"
        ),
    }
    reqwest::Proxy::all(url.clone())
        .map(Some)
        .map_err(|error| ApiError::Settings(format!("the proxy {shown} cannot be used: {error}")))
}

/// That proxy as people know it: without credentials, and with the variable that names it.
pub(super) fn described(settings: &Settings, endpoint: &Endpoint) -> Option<String> {
    let (variable, url) = chosen(settings, endpoint)?;
    Some(format!("{} ({variable})", shown(url)))
}

/// The variable that names the proxy for this server, and the proxy.
fn chosen<'s>(settings: &'s Settings, endpoint: &Endpoint) -> Option<(&'static str, &'s Url)> {
    // A proxy elsewhere would look on its own machine.
    if endpoint.is_loopback() {
        return None;
    }
    let proxies = &settings.proxies;
    let (variable, chosen) = if endpoint.is_tls() {
        ("HTTPS_PROXY", &proxies.https)
    } else {
        ("HTTP_PROXY", &proxies.http)
    };
    let is_direct = is_excepted(&proxies.except, endpoint.host(), endpoint.port());
    chosen.as_ref().filter(|_| !is_direct).map(|url| (variable, url))
}

/// A proxy without the credentials that its URL may contain.
fn shown(proxy: &Url) -> String {
    format!(
        "{}://{}:{}",
        proxy.scheme(),
        proxy.host_str().unwrap_or_default(),
        port_of(proxy)
    )
}

fn port_of(proxy: &Url) -> u16 {
    proxy.port_or_known_default().unwrap_or_default()
}

/// Whether `NO_PROXY` names this host, by the rules of Go's `httpproxy`: `*` names all; an address or network in CIDR
/// form names addresses; a name names itself and what is below it, with a leading dot only what is below; a port
/// restricts an entry to it. An IPv4 address counts as the same in its IPv6 form, and a name as the same with a dot at
/// its end or written in ASCII.
fn is_excepted(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok().map(|address: IpAddr| address.to_canonical());
    list.split(',').map(str::trim).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Ok(network) = entry.parse::<IpNet>() {
            return address.is_some_and(|address| canonical(network).contains(&address));
        }
        let (name, wanted) = split_port(entry);
        if wanted.is_some_and(|wanted| wanted != port) {
            return false;
        }
        if let Ok(named) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
            return address == Some(named.to_canonical());
        }
        let name = name
            .strip_prefix('*')
            .filter(|rest| rest.starts_with('.'))
            .unwrap_or(name);
        let (only_below, name) = match name.strip_prefix('.') {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let name = ascii(name.trim_end_matches('.'));
        let is_below = || {
            host.strip_suffix(&*name)
                .is_some_and(|front| front.ends_with('.'))
        };
        !name.is_empty() && (is_below() || (!only_below && host == name))
    })
}

/// A network of IPv4 addresses in their IPv6 form as one of IPv4 addresses.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V4(_) => None,
        IpNet::V6(network) => network.addr().to_ipv4_mapped().and_then(|address| {
            let prefix = network.prefix_len().checked_sub(96)?;
            Some(IpNet::V4(Ipv4Net::new(address, prefix).ok()?))
        }),
    };
    mapped.unwrap_or(network)
}

/// A name as URLs have it: in lower case, and in ASCII where it is not (RFC 5890).
fn ascii(name: &str) -> String {
    match url::Host::parse(name) {
        Ok(host) if !name.is_ascii() => host.to_string(),
        _ => name.to_ascii_lowercase(),
    }
}

fn split_port(entry: &str) -> (&str, Option<u16>) {
    let is_bare_v6 = entry.matches(':').count() > 1 && !entry.starts_with('[');
    match entry.rsplit_once(':') {
        Some((name, port)) if !is_bare_v6 => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn exceptions_are_read_as_go_reads_them() {
        let table = [
            ("", "a.example", false),
            ("*", "a.example", true),
            ("a.example", "a.example", true),
            ("A.Example", "a.example.", true),
            ("example", "a.example", true),
            (".example", "a.example", true),
            ("*.example", "a.example", true),
            (".a.example", "a.example", false),
            ("xample", "a.example", false),
            ("b.example, a.example:443", "a.example", true),
            ("a.example:8443", "a.example", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/8", "10.example", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3:443", "10.1.2.3", true),
            ("10.1.2.3:80", "10.1.2.3", false),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::1", "2001:db8::1", true),
            ("[2001:db8::1]:443", "2001:db8::1", true),
            (".", "a.example", false),
            (",,", "a.example", false),
            ("a.example.", "a.example", true),
            (".example.:443", "a.example", true),
            ("bücher.example", "xn--bcher-kva.example", true),
            (".BÜCHER.example", "a.xn--bcher-kva.example", true),
            ("*.bücher.example.", "a.xn--bcher-kva.example", true),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.0/24", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("[::ffff:192.0.2.1]:443", "192.0.2.1", true),
            ("::ffff:192.0.2.0/120", "192.0.2.1", true),
            ("::ffff:192.0.2.0/120", "192.0.3.1", false),
            ("::/0", "192.0.2.1", false),
        ];
        for (list, host, excepted) in table {
            assert_eq!(is_excepted(list, host, 443), excepted, "{list:?} {host}");
        }
    }

    #[test]
    fn the_scheme_of_the_host_chooses_the_proxy() {
        let with = |host: &str, http: bool, https: bool, except: &str| {
            let mut settings = Settings::new(host.parse().unwrap(), SecretString::from("t"));
            let proxy = || Some("http://user:secret@proxy.example:3128".parse().unwrap());
            settings.proxies.http = if http { proxy() } else { None };
            settings.proxies.https = if https { proxy() } else { None };
            settings.proxies.except = except.to_owned();
            let endpoint = Endpoint::new(&settings.host).unwrap();
            let is_used = of(&settings, &endpoint).unwrap().is_some();
            let variable = if endpoint.is_tls() {
                "HTTPS_PROXY"
            } else {
                "HTTP_PROXY"
            };
            let expected = is_used.then(|| format!("http://proxy.example:3128 ({variable})"));
            assert_eq!(described(&settings, &endpoint), expected, "{host}");
            is_used
        };
        assert!(with("http://a.example", true, false, ""));
        assert!(!with("http://a.example", false, true, ""));
        assert!(with("https://a.example", false, true, ""));
        assert!(!with("https://a.example", true, false, ""));
        assert!(!with("https://a.example", true, true, "a.example"));
        assert!(with("https://a.example", true, true, "a.example:80"));
        for loopback in [
            "http://localhost:9000",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
            "http://[::ffff:127.0.0.1]:9000",
            "http://localhost.:9000",
            "http://LOCALHOST",
        ] {
            assert!(!with(loopback, true, true, ""), "{loopback}");
        }
        assert_eq!(
            shown(&"http://user:secret@proxy.example:3128".parse().unwrap()),
            "http://proxy.example:3128"
        );
    }
}
