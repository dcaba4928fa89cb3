//! Where authentik is: the URLs of its API, its flow executor and its websocket.
//!
//! Knows the paths of authentik's API. Opens no connection.

use std::fmt;

use url::Url;

use super::error::ApiError;

/// The base URL of an authentik server, ready to build others from.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Ends in a slash; has no user info, query or fragment.
    base: Url,
    /// The query of the configured host, which the websocket URL keeps.
    query: Option<String>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.base)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str())
    }
}

impl Endpoint {
    /// Splits the configured host. Only `http` and `https` with a host are possible.
    pub fn new(host: &Url) -> Result<Self, ApiError> {
        if !matches!(host.scheme(), "http" | "https") || host.host_str().is_none_or(str::is_empty) {
            return Err(ApiError::Settings(format!(
                "AUTHENTIK_HOST must be an http:// or https:// URL with a host, not a {}: URL",
                host.scheme()
            )));
        }
        let query = host.query().filter(|query| !query.is_empty()).map(str::to_owned);
        let mut base = host.clone();
        base.set_query(None);
        base.set_fragment(None);
        // Neither can fail for a URL that has a host.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        // `https://host//` means `https://host/`: authentik's own paths have no empty segments.
        let segments = base.path().split('/').filter(|segment| !segment.is_empty());
        let mut path: String = segments.flat_map(|segment| ["/", segment]).collect();
        path.push('/');
        base.set_path(&path);
        Ok(Self { base, query })
    }

    /// The host as configured, without the port and, for an IPv6 address, without brackets.
    pub fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// The port: the scheme's default if none was configured.
    pub fn port(&self) -> u16 {
        self.base.port_or_known_default().unwrap_or(443)
    }

    /// Whether the scheme is `https`.
    pub fn is_tls(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Whether the host is this machine, where a configured proxy makes no sense.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.base.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
            Some(url::Host::Domain(name)) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
            None => false,
        }
    }

    /// `scheme://host[:port]` as an `Origin` header carries it.
    pub(crate) fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// The URL of an API path such as `core/users/`.
    pub fn api(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}api/v3/{path}", self.base.path()));
        url
    }

    /// The path of an API URL after what [`api`](Self::api) puts before it; empty for any other.
    pub(crate) fn path_within_api<'a>(&self, url: &'a Url) -> &'a str {
        let path = url.path().strip_prefix(self.base.path());
        path.and_then(|path| path.strip_prefix("api/v3/"))
            .unwrap_or_default()
    }

    /// The URL of a path that authentik named and that has `marker` in it: what stands before the marker is ours, for
    /// a proxy may strip the path of our base URL or add one, and the origin is ours whatever was named.
    pub(crate) fn named(&self, path: &str, marker: &str) -> Option<Url> {
        let rest = path.get(path.find(marker)?..)?;
        let rest = rest.split(['?', '#']).next()?;
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path(), rest.trim_start_matches('/')));
        Some(url)
    }

    /// The executor URL of a flow with the given raw query, byte for byte.
    pub(crate) fn executor(&self, slug: &str, query: &str) -> Url {
        let mut url = self.api("flows/executor/");
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(slug).push("");
        }
        url.set_query(Some(query));
        url
    }

    /// The websocket URL of an outpost, with the scheme of the HTTP request that asks for the upgrade.
    pub(crate) fn websocket(&self, outpost: &str, instance: &str, attempt: u64) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}ws/outpost/", self.base.path()));
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(outpost).push("");
        }
        url.set_query(self.query.as_deref());
        url.query_pairs_mut()
            .append_pair("instance_uuid", instance)
            .append_pair("attempt", &attempt.to_string());
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str) -> Endpoint {
        Endpoint::new(&Url::parse(host).unwrap()).unwrap()
    }

    #[test]
    fn a_path_works_with_and_without_its_slash() {
        for host in [
            "https://a.example/sub",
            "https://a.example/sub/",
            "https://u:p@a.example/sub/?x=1#f",
            "https://a.example/sub//",
            "https://a.example//sub///",
        ] {
            assert_eq!(
                endpoint(host).api("core/users/").as_str(),
                "https://a.example/sub/api/v3/core/users/"
            );
        }
        for host in [
            "http://a:9000",
            "http://a:9000/",
            "http://a:9000//",
            "http://a:9000///",
        ] {
            assert_eq!(
                endpoint(host).api("core/users/").as_str(),
                "http://a:9000/api/v3/core/users/"
            );
            assert_eq!(
                endpoint(host).websocket("0-1", "2-3", 0).path(),
                "/ws/outpost/0-1/"
            );
        }
        assert_eq!(endpoint("https://a.example").port(), 443);
        assert!(Endpoint::new(&Url::parse("ftp://a/").unwrap()).is_err());
        assert!(Endpoint::new(&Url::parse("unix:///run/x").unwrap()).is_err());
    }

    #[test]
    fn the_executor_query_is_byte_exact() {
        let url =
            endpoint("http://a/").executor("my-flow", "query=goauthentik.io%252Foutpost%252Fldap%3Dtrue");
        assert_eq!(
            url.as_str(),
            "http://a/api/v3/flows/executor/my-flow/?query=goauthentik.io%252Foutpost%252Fldap%3Dtrue"
        );
        let odd = endpoint("http://a/").executor("../x?y", "query=");
        assert_eq!(odd.path(), "/api/v3/flows/executor/..%2Fx%3Fy/");
    }

    #[test]
    fn a_path_that_authentik_names_never_leaves_it() {
        let marker = "/flows/-/configure/";
        let named = |path: &str| {
            let url = endpoint("https://a.example/sub/").named(path, marker)?;
            Some(url.to_string())
        };
        let wanted = "https://a.example/sub/flows/-/configure/1-2/";
        for path in [
            "/flows/-/configure/1-2/",
            "/sub/flows/-/configure/1-2/?next=/#x",
            "https://evil.example/flows/-/configure/1-2/",
            "//evil.example/flows/-/configure/1-2/",
        ] {
            assert_eq!(named(path).as_deref(), Some(wanted), "{path}");
        }
        assert_eq!(named("/elsewhere/"), None);
    }

    #[test]
    fn the_websocket_keeps_path_and_query() {
        let url = endpoint("https://a.example/sub?k=v").websocket("0-1", "2-3", 4);
        assert_eq!(
            url.as_str(),
            "https://a.example/sub/ws/outpost/0-1/?k=v&instance_uuid=2-3&attempt=4"
        );
        let url = endpoint("http://[::1]:9000").websocket("0-1", "2-3", 0);
        assert_eq!(
            url.as_str(),
            "http://[::1]:9000/ws/outpost/0-1/?instance_uuid=2-3&attempt=0"
        );
    }
}
