//! How the text of one value is read: switches, durations, sizes, addresses, networks, authentik's URL. Pure functions
//! from text to value; they know neither names nor sources.

use std::borrow::Cow;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

/// The text cannot be read. The caller knows what was expected, except where the value itself suggests more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable {
    /// Said instead of the general expectation.
    pub hint: Option<&'static str>,
    /// The value may hold a secret and must not be shown.
    pub hide: bool,
}

impl Unreadable {
    pub(crate) const PLAIN: Self = Self {
        hint: None,
        hide: false,
    };

    pub(crate) const fn hint(hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            hide: false,
        }
    }
}

/// The spellings of Go's `strconv.ParseBool`, which are those of the official outpost. Kubernetes secrets made by
/// authentik contain Python's `True` and `False`.
pub(crate) fn switch(text: &str) -> Result<bool, Unreadable> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(Unreadable::PLAIN),
    }
}

/// A decimal number.
pub(crate) fn count(text: &str) -> Result<u64, Unreadable> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unreadable::PLAIN);
    }
    text.parse().map_err(|_| Unreadable::PLAIN)
}

/// Bytes: a number, optionally followed by `KiB` or `MiB` (also `K`, `Ki`, `M`, `Mi`, any case).
pub(crate) fn size(text: &str) -> Result<u64, Unreadable> {
    let (number, unit) = split_number(text);
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "ki" | "kib" => 1 << 10,
        "m" | "mi" | "mib" => 1 << 20,
        _ => return Err(Unreadable::PLAIN),
    };
    count(number)?.checked_mul(factor).ok_or(Unreadable::PLAIN)
}

/// A duration such as `500ms`, `10s`, `5m`, `1h30m`, `1d`, or plain seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, Unreadable> {
    if let Ok(seconds) = count(text) {
        return Ok(Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return Err(Unreadable::PLAIN);
    }
    while !rest.is_empty() {
        let (number, tail) = split_number(rest);
        let unit_length = tail
            .find(|character: char| character.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_length).ok_or(Unreadable::PLAIN)?;
        let number = count(number)?;
        let part = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => Some(Duration::from_secs(number)),
            "m" => number.checked_mul(60).map(Duration::from_secs),
            "h" => number.checked_mul(3_600).map(Duration::from_secs),
            "d" => number.checked_mul(86_400).map(Duration::from_secs),
            _ => None,
        };
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or(Unreadable::PLAIN)?;
        rest = tail;
    }
    Ok(total)
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A comma-separated list of `address:port`. As in Go, `:3389` means every address of the host.
pub(crate) fn listen(text: &str) -> Result<Vec<SocketAddr>, Unreadable> {
    let mut addresses = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let address = listen_address(entry)?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        Err(Unreadable::PLAIN)
    } else {
        Ok(addresses)
    }
}

/// One `address:port` of a listen list.
pub(crate) fn listen_address(entry: &str) -> Result<SocketAddr, Unreadable> {
    if entry.parse::<std::net::IpAddr>().is_ok() {
        return Err(Unreadable::hint(
            "an address with a port, such as 0.0.0.0:3389 or [::]:3389",
        ));
    }
    if let Some(port) = entry.strip_prefix(':') {
        let port = port
            .parse()
            .map_err(|_| Unreadable::hint("a port from 0 to 65535 after the colon"))?;
        return Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    }
    if let Ok(address) = entry.parse() {
        return Ok(address);
    }
    let host = entry.rsplit_once(':').map_or(entry, |(host, _)| host);
    if host.contains(|character: char| character.is_ascii_alphabetic()) && !host.contains([':', '[']) {
        return Err(Unreadable::hint(
            "an IP address and a port, not a host name (a name may mean several addresses, or different ones tomorrow)",
        ));
    }
    Err(Unreadable::PLAIN)
}

/// A list of networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NetworkList {
    /// The networks.
    pub(super) networks: Vec<IpNet>,
    /// The entries that are not networks.
    pub(super) skipped: Vec<String>,
}

/// A comma-separated list of networks. A single address is a network of one. `none` is the empty list.
pub(crate) fn networks(text: &str) -> NetworkList {
    if text.trim().eq_ignore_ascii_case("none") {
        return NetworkList::default();
    }
    let mut networks = Vec::new();
    let mut skipped = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let network = entry
            .parse::<IpNet>()
            .or_else(|_| entry.parse::<std::net::IpAddr>().map(IpNet::from));
        match network {
            Ok(network) => networks.push(network.trunc()),
            Err(_) => skipped.push(entry.to_owned()),
        }
    }
    NetworkList { networks, skipped }
}

/// A comma-separated list of host names, in lower case and as they are written in requests: `xn--…` for what is not ASCII.
pub(crate) fn host_names(text: &str) -> Result<Vec<String>, Unreadable> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| match url::Host::parse(entry) {
            Ok(_) if entry.contains('*') => Err(Unreadable::PLAIN),
            Ok(host) => Ok(host.to_string().trim_end_matches('.').to_owned()),
            Err(_) => Err(Unreadable::PLAIN),
        })
        .collect()
}

/// A text as it may be shown: where it is a URL, without user name and password.
pub(super) fn without_credentials(text: &str) -> Cow<'_, str> {
    let Some((before, after)) = text.rsplit_once('@') else {
        return Cow::Borrowed(text);
    };
    // A password may contain characters that end the part it is in, so everything before the last @ is removed.
    match before.split_once("//") {
        Some((scheme, _)) if scheme.ends_with(':') => Cow::Owned(format!("{scheme}//…@{after}")),
        // A browser's idea of a URL needs no slashes.
        _ if Url::parse(text.trim()).is_ok_and(|url| url.has_host()) => Cow::Owned(format!("…@{after}")),
        _ => Cow::Borrowed(text),
    }
}

/// authentik's URL. The result always ends in `/`, so that `join("api/v3/")` keeps a path.
pub(crate) fn host(text: &str) -> Result<Url, Unreadable> {
    if text
        .get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("unix://"))
    {
        return Err(Unreadable::hint(
            "an http:// or https:// URL (a unix:// socket serves only the outpost embedded in authentik)",
        ));
    }
    let mut url = Url::parse(text).map_err(|_| Unreadable {
        hint: None,
        hide: text.contains('@'),
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(Unreadable {
            hint: None,
            hide: text.contains('@'),
        });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Unreadable {
            hint: Some("a URL without user name and password (AUTHENTIK_TOKEN is what authenticates)"),
            hide: true,
        });
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Unreadable::hint(
            "a URL without '?' and '#' parts, such as https://authentik.example.org/",
        ));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{path}/"));
    Ok(url)
}

/// The URL of an HTTP proxy. Without a scheme it is `http://`, as in Go.
pub(crate) fn proxy(text: &str) -> Result<Url, Unreadable> {
    // Such a URL may hold a password.
    let hidden = |hint| Unreadable { hint, hide: true };
    let with_scheme = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let url = Url::parse(&with_scheme).map_err(|_| hidden(None))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(hidden(Some(
            "the URL of an HTTP proxy (http:// or https://): other kinds are not supported",
        )));
    }
    match url.host_str() {
        None | Some("") => Err(hidden(None)),
        Some(_) => Ok(url),
    }
}

/// An API token: visible ASCII, because it travels in an HTTP header.
pub(crate) fn token(text: &str) -> Result<&str, Unreadable> {
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Unreadable {
            hint: Some("the token of the outpost, which consists of visible ASCII characters without spaces"),
            hide: true,
        });
    }
    Ok(token)
}
