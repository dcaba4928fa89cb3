//! The probable reason of each error, and what an admin should do next. Must not decide what an error is.

use super::error::{ApiError, is_no_http, refuses_http};
use super::unreachable::Unreachable;

const HTTP_TO_HTTPS: &str = "AUTHENTIK_HOST begins with http:// but names a port that speaks https (authentik's 9443): write \
     https://, or name the http port (authentik's 9000)";

impl ApiError {
    /// The probable reason and what an admin should do next. One sentence or two, without secrets.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { url, cause } => of_unreachable(url, cause),
            Self::TimedOut { .. } => {
                "authentik is overloaded or its database is slow: see its server log and load"
            }
            Self::Interrupted { url, cause } => of_interrupted(url, cause),
            Self::Starting { .. } => "wait: akldap tries again until authentik is up",
            Self::Throttled { .. } => {
                "raise throttle.default in authentik or the limit of the proxy in front of it, or lower the load"
            }
            // A refused token is named as such: these are the words for a request without one.
            Self::TokenInvalid { detail, .. } if detail.contains("credentials were not provided") => {
                "the token did not arrive: let the proxy in front of authentik pass the Authorization header on"
            }
            Self::TokenInvalid { .. } => {
                "copy the token again from the outpost's page in authentik to AUTHENTIK_TOKEN: it changes when the outpost is \
                 recreated"
            }
            Self::InvalidPage { .. } => {
                "objects were deleted while the list was being read: it is read again"
            }
            Self::Status {
                status: 400, excerpt, ..
            } if refuses_http(excerpt) => HTTP_TO_HTTPS,
            Self::Status {
                status,
                detail: None,
                request_id,
                ..
            } => of_page(*status, request_id.is_some()),
            Self::Status {
                status, request_id, ..
            } => of_status(*status, request_id.is_some()),
            Self::Malformed {
                is_page: true,
                request_id: None,
                ..
            } => {
                "something other than authentik may be answering at AUTHENTIK_HOST, such as a proxy's login page"
            }
            Self::Malformed { .. } => {
                "this release of authentik, or a proxy that changes its answers, says something other than the API of the releases in \
                 docs/compatibility.md: update akldap or authentik, or look at the proxy"
            }
            Self::TooLarge { url, .. } if is_of_people(url) => {
                "lower AUTHENTIK_LDAP__PAGE_SIZE (--page-size)"
            }
            Self::TooLarge { .. } => "no answer of authentik's is this large: look at what that URL answers",
            Self::NoOutpost { .. } => "create an LDAP outpost in authentik and use its token",
            Self::Settings(_) => "correct the configuration",
        }
    }
}

/// Whether this is a list whose pages are as large as an option says.
fn is_of_people(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default();
    path.ends_with("/core/users/") || path.ends_with("/core/groups/")
}

fn of_unreachable(url: &str, cause: &Unreachable) -> &'static str {
    match cause {
        Unreachable::Dns(_) => {
            "check the host name in AUTHENTIK_HOST and the resolver of this machine or container"
        }
        Unreachable::Refused => {
            "nothing listens there: check host and port in AUTHENTIK_HOST and whether authentik runs"
        }
        // A server that speaks http waits for the end of a line that a TLS client never sends.
        Unreachable::ConnectTimeout if url.starts_with("https://") => {
            "check routing, firewalls and network policies between this outpost and authentik; if AUTHENTIK_HOST begins with \
             https:// but names a port that speaks http (authentik's 9000), nothing answers: write http://, or name the https \
             port (authentik's 9443)"
        }
        Unreachable::Network(_) | Unreachable::ConnectTimeout => {
            "check routing, firewalls and network policies between this outpost and authentik"
        }
        Unreachable::UnknownAuthority => {
            "authentik's certificate is self-signed or from a private CA: add the CA to the trust store, name it \
             in AUTHENTIK_LDAP__CA_FILE (--ca-file), or set AUTHENTIK_INSECURE=true"
        }
        Unreachable::WrongName(_) => "use a host name in AUTHENTIK_HOST that the certificate covers",
        Unreachable::Expired => {
            "renew authentik's certificate together with its issuers', or correct the clock of this machine"
        }
        Unreachable::Tls(_) => {
            "AUTHENTIK_HOST may begin with https:// but name a port that speaks http (authentik's 9000): write http://, or name \
             the https port (authentik's 9443); or a proxy in between speaks another protocol"
        }
    }
}

fn of_interrupted(url: &str, cause: &str) -> &'static str {
    match (url.starts_with("http://"), is_no_http(cause)) {
        (true, true) => {
            "AUTHENTIK_HOST names a port that does not speak http: if it speaks https (authentik's 9443), write https://; \
             otherwise name authentik's http port (9000)"
        }
        (false, true) => {
            "AUTHENTIK_HOST names a port that speaks TLS, but not http within it: name authentik's https port (9443)"
        }
        // Many TLS servers say nothing at all to a client that does not begin a handshake.
        (true, false) => {
            "a web worker of authentik or a proxy closed the connection: akldap tries again; if this keeps happening, see \
             authentik's log; and if \
             AUTHENTIK_HOST names a port that speaks https (authentik's 9443), write https://"
        }
        (false, false) => {
            "a web worker of authentik or a proxy closed the connection: akldap tries again; if this keeps happening, see \
             authentik's log"
        }
    }
}

/// For an answer that gives no reason in JSON, as authentik's API does.
fn of_page(status: u16, is_authentiks: bool) -> &'static str {
    match status {
        403 | 404 if is_authentiks => {
            "authentik answered with a web page instead of from its API: AUTHENTIK_HOST may lack a path, or this release of authentik \
             has no \
             such call"
        }
        403 => {
            "a proxy or firewall in front of authentik refuses this itself, or puts its own page in the place of authentik's \
             answer: \
             let this server's requests and authentik's answers through"
        }
        404 => {
            "AUTHENTIK_HOST may lack a path or name another service, or a proxy in front of authentik does not pass this path on"
        }
        _ => of_status(status, is_authentiks),
    }
}

fn of_status(status: u16, has_id: bool) -> &'static str {
    match status {
        301 | 302 | 303 | 307 | 308 => {
            "authentik or a proxy redirects requests: set AUTHENTIK_HOST to the final URL, scheme included"
        }
        401 | 407 => {
            "a proxy in front of authentik demands its own credentials: let the outpost reach authentik directly"
        }
        403 => "the token is valid but not allowed to do this: use the token of the LDAP outpost itself",
        404 => {
            "AUTHENTIK_HOST may lack a path or name another service, or the object was deleted in authentik"
        }
        413 => {
            "authentik or a proxy in front of it accepts only shorter requests: raise the proxy's limit (nginx: \
             client_max_body_size) if this happens with passwords of ordinary length"
        }
        500..=599 if has_id => "see authentik's server log for the request id",
        500..=599 => "see the logs of authentik's server and of the proxy in front of it",
        _ => "see authentik's server log",
    }
}
