//! What can go wrong in a call to authentik, distinguished as far as an admin can act on it.
//!
//! Knows the statuses and bodies by which authentik, and what is in front of it, refuse. Has no token, cookie or
//! password: URLs carry none, and only the beginning of an answer is kept, without what it repeats of them.

use std::time::Duration;

use super::struck::Secrets;
use super::unreachable::{Unreachable, innermost};

/// The wait after a 429 that does not name one.
const THROTTLE_WAIT: Duration = Duration::from_secs(1);
/// A wait that one call may take by itself: shorter than any limit on a call.
const SHORT_WAIT: Duration = Duration::from_secs(3);
/// The longest wait that is respected: whoever names a longer one is asked again anyway, so that the directory does not get
/// old.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A failed call to authentik. Its `Display` names URL, status and cause; [`ApiError::hint`] adds the probable
/// reason and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// No connection.
    #[error("cannot reach authentik at {url}: {cause}")]
    Unreachable {
        /// The URL called.
        url: String,
        /// Why.
        cause: Unreachable,
    },
    /// No complete answer in time.
    #[error("authentik did not answer {url} within {} ms", after.as_millis())]
    TimedOut {
        /// The URL called.
        url: String,
        /// How long we waited.
        after: Duration,
    },
    /// The connection ended before the answer was complete.
    #[error("the connection to authentik broke during {url} ({cause})")]
    Interrupted {
        /// The URL called.
        url: String,
        /// What the HTTP library saw.
        cause: String,
    },
    /// `503`, or `200` with the same body, while authentik starts.
    #[error("authentik at {url} is still starting")]
    Starting {
        /// The URL called.
        url: String,
        /// The server's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// `403` with the detail of a refused token.
    #[error("authentik refused the outpost token at {url}: {detail}")]
    TokenInvalid {
        /// The URL called.
        url: String,
        /// authentik's words.
        detail: String,
    },
    /// `429`: authentik, or a proxy in front of it, wants fewer requests. Nothing was carried out.
    #[error("authentik throttles requests to {url} (429){}", .retry_after.map(|wait| format!(", for {} s", wait.as_secs())).unwrap_or_default())]
    Throttled {
        /// The URL called.
        url: String,
        /// The server's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// `404` "Invalid page.": the set has fewer pages than asked for.
    #[error("{url} no longer has this page")]
    InvalidPage {
        /// The URL called.
        url: String,
    },
    /// Any status other than the one expected.
    #[error("{} answered {url} with status {status}{}", answerer(*.status, .detail, .excerpt, .request_id), status_rest(.detail, .excerpt, .request_id))]
    Status {
        /// The URL called.
        url: String,
        /// The HTTP status.
        status: u16,
        /// `X-authentik-id`, which finds the request in authentik's log.
        request_id: Option<String>,
        /// The `detail` of a JSON error, by which authentik's API gives the reason of each refusal.
        detail: Option<String>,
        /// The beginning of the body when there is no detail.
        excerpt: String,
        /// Whether the body was plain text: authentik's own pages are HTML and its API errors JSON, so a plain-text
        /// 500 is a web worker that ended in the middle of the request.
        plain_text: bool,
    },
    /// A 2xx answer that is not what the API documents.
    #[error("authentik's answer to {url} could not be understood: {problem}")]
    Malformed {
        /// The URL called.
        url: String,
        /// What is wrong with it.
        problem: String,
        /// Whether it was not even announced as JSON: a page for people.
        is_page: bool,
        /// `X-authentik-id`.
        request_id: Option<String>,
    },
    /// The answer is larger than what is read.
    #[error("authentik's answer to {url} is larger than {limit} bytes")]
    TooLarge {
        /// The URL called.
        url: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The token sees no outpost.
    #[error("authentik at {url} lists no outpost for this token")]
    NoOutpost {
        /// The URL called.
        url: String,
    },
    /// The settings themselves do not allow a call.
    #[error("{0}")]
    Settings(String),
}

/// Whether a server answered something other than HTTP: a TLS server sends an alert, an LDAP server a notice.
pub(crate) fn is_no_http(cause: &str) -> bool {
    cause.contains("invalid HTTP version") || cause.contains("HTTP/0.9")
}

/// Whether a server says that its port wants TLS: Go's words, nginx's and Apache's.
pub(crate) fn refuses_http(excerpt: &str) -> bool {
    let excerpt = excerpt.to_ascii_lowercase();
    [
        "http request to an https server",
        "plain http request was sent to https port",
        "speaking plain http to an ssl-enabled",
    ]
    .iter()
    .any(|words| excerpt.contains(words))
}

/// Whether an answer of this status is somebody else's: a redirect, a demand for other credentials, which authentik's API never makes,
/// or a refusal that neither gives a reason in JSON, as that API does, nor has the request id of authentik's pages. What is wrong with a
/// request itself (400, 413 and the like), with the time it took or with a server (5xx) any server on the way says, authentik's own web
/// server included.
pub(crate) fn is_foreign_status(status: u16, has_detail: bool, has_id: bool) -> bool {
    match status {
        300..=399 | 401 | 407 => true,
        402..=406 | 409..=412 | 451 => !has_detail && !has_id,
        _ => false,
    }
}

/// Whose answer a status is.
fn answerer(
    status: u16,
    detail: &Option<String>,
    excerpt: &str,
    request_id: &Option<String>,
) -> &'static str {
    if is_foreign_status(status, detail.is_some(), request_id.is_some()) && !refuses_http(excerpt) {
        "something in front of authentik, or another service,"
    } else if status >= 500 && request_id.is_none() {
        "authentik, or a proxy in front of it,"
    } else {
        "authentik"
    }
}

fn status_rest(detail: &Option<String>, excerpt: &str, request_id: &Option<String>) -> String {
    let mut text = String::new();
    match detail {
        Some(detail) => text.push_str(&format!(": {detail}")),
        None if !excerpt.is_empty() => text.push_str(&format!(": {excerpt:?}")),
        None => {}
    }
    if let Some(id) = request_id {
        text.push_str(&format!(" (request id {id})"));
    }
    text
}

impl ApiError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Interrupted { .. }
            | Self::Starting { .. }
            | Self::Throttled { .. }
            | Self::Malformed { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 408,
            Self::TokenInvalid { .. }
            | Self::InvalidPage { .. }
            | Self::TooLarge { .. }
            | Self::NoOutpost { .. }
            | Self::Settings(_) => false,
        }
    }

    /// Whether no running authentik has answered: nothing did, or something else did in its place.
    pub fn is_unanswered(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Interrupted { .. }
            | Self::Starting { .. } => true,
            Self::Status { status, .. } if *status >= 500 => true,
            error => error.is_foreign(),
        }
    }

    /// Whether authentik's API says that what was asked about is not there, or not shown to whoever asks. It says so in JSON: a page
    /// with this status is about the address.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Status {
                status: 404,
                detail: Some(_),
                ..
            }
        )
    }

    /// Whether this answer is not authentik's: a page or a redirect of a proxy, a firewall or a login in front of it, or of another
    /// service. authentik's API answers in JSON and refuses with a `detail`, and its pages have a request id.
    pub fn is_foreign(&self) -> bool {
        match self {
            Self::Status {
                status,
                detail,
                request_id,
                ..
            } => is_foreign_status(*status, detail.is_some(), request_id.is_some()),
            Self::Malformed {
                is_page, request_id, ..
            } => *is_page && request_id.is_none(),
            _ => false,
        }
    }

    /// Whether what answered does not speak HTTP.
    pub fn is_no_http(&self) -> bool {
        matches!(self, Self::Interrupted { cause, .. } if is_no_http(cause))
    }

    /// Whether this looks like an authentik web worker recycled in mid-request, or a proxy in front of it that lost its
    /// upstream: an immediate second try goes to another worker.
    pub fn is_recycled_worker(&self) -> bool {
        match self {
            Self::Interrupted { .. } => true,
            Self::Status {
                status, plain_text, ..
            } => match status {
                500 => *plain_text,
                502 | 503 => true,
                _ => false,
            },
            _ => false,
        }
    }

    /// How long authentik asks to wait before the next call, at most a minute, if it throttles. While it starts it is asked
    /// all the time, so that an outage ends for us when it ends for authentik.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } => {
                Some(retry_after.unwrap_or(THROTTLE_WAIT).min(LONGEST_WAIT))
            }
            _ => None,
        }
    }

    /// The same for a throttled call if the wait is so short that the call may as well be made again.
    pub(crate) fn throttled_for(&self) -> Option<Duration> {
        self.retry_after().filter(|wait| *wait <= SHORT_WAIT)
    }

    /// The HTTP status, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Starting { .. } => Some(503),
            Self::Throttled { .. } => Some(429),
            Self::TokenInvalid { .. } => Some(403),
            Self::InvalidPage { .. } => Some(404),
            _ => None,
        }
    }

    /// Builds the error for a failed exchange from the HTTP library's error.
    pub(crate) fn from_transport(url: &str, error: &reqwest::Error) -> Self {
        let url = url.to_owned();
        if let Some(cause) = Unreachable::of(error) {
            return Self::Unreachable { url, cause };
        }
        Self::Interrupted {
            url,
            cause: innermost(error),
        }
    }

    /// Builds the error for an answer with an unexpected status. `bearer`: whether the outpost token was the
    /// credential, which decides what a 403 says.
    pub(crate) fn from_status(url: &str, answer: &StatusAnswer<'_>, bearer: bool) -> Self {
        let url = url.to_owned();
        let json = answer.json();
        let detail = json.as_ref().and_then(|body| answer.detail(body));
        match (answer.status, detail) {
            (503, Some(text)) if text.contains("starting") => {
                return Self::Starting {
                    url,
                    retry_after: answer.retry_after,
                };
            }
            (403, Some(text))
                if bearer
                    && (text.contains("Token invalid") || text.contains("credentials were not provided")) =>
            {
                return Self::TokenInvalid {
                    url,
                    detail: answer.secrets.excerpt(text),
                };
            }
            (429, _) => {
                return Self::Throttled {
                    url,
                    retry_after: answer.retry_after,
                };
            }
            (404, Some(text)) if text.starts_with("Invalid page") => return Self::InvalidPage { url },
            _ => {}
        }
        let plain_text = answer
            .content_type
            .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/plain"));
        Self::Status {
            url,
            status: answer.status,
            request_id: answer.request_id.map(str::to_owned),
            detail: detail.map(|text| answer.secrets.excerpt(text)),
            excerpt: answer.secrets.excerpt(&String::from_utf8_lossy(answer.body)),
            plain_text,
        }
    }
}

/// The parts of an answer that its status error is made from.
pub(crate) struct StatusAnswer<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: &'a [u8],
    /// What the answer may repeat and nobody is to read.
    pub(crate) secrets: &'a Secrets,
}

impl StatusAnswer<'_> {
    fn json(&self) -> Option<serde_json::Value> {
        let is_json = is_json(self.content_type);
        is_json.then(|| serde_json::from_slice(self.body).ok()).flatten()
    }

    /// The reason in a JSON body.
    fn detail<'j>(&self, json: &'j serde_json::Value) -> Option<&'j str> {
        // authentik's front server gives its reasons another name, and has none for a refusal.
        let error = || json.get("error").filter(|_| self.status >= 500);
        json.get("detail").or_else(error)?.as_str()
    }
}

/// Whether an answer without a request id is somebody else's: see [`ApiError::is_foreign`].
pub(crate) fn is_foreign_without_id(answer: &StatusAnswer<'_>) -> bool {
    match answer.status {
        200..=299 => !answer.body.is_empty() && !is_json(answer.content_type),
        status => {
            let has_detail = answer.json().is_some_and(|json| answer.detail(&json).is_some());
            is_foreign_status(status, has_detail, false)
        }
    }
}

/// Whether a `Content-Type` is JSON, whatever its parameters.
pub(crate) fn is_json(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> &'static Secrets {
        static NONE: std::sync::LazyLock<Secrets> = std::sync::LazyLock::new(Secrets::default);
        &NONE
    }

    fn answer<'a>(status: u16, content_type: &'a str, body: &'a str) -> StatusAnswer<'a> {
        StatusAnswer {
            status,
            content_type: Some(content_type),
            request_id: Some("abc"),
            retry_after: None,
            body: body.as_bytes(),
            secrets: none(),
        }
    }

    #[test]
    fn statuses_are_told_apart() {
        let json = "application/json";
        let from = |status, kind, body, bearer| {
            ApiError::from_status("http://x/", &answer(status, kind, body), bearer)
        };
        assert!(matches!(
            from(403, json, r#"{"detail":"CurrentToken invalid/expired"}"#, true),
            ApiError::TokenInvalid { .. }
        ));
        let session = from(
            403,
            json,
            r#"{"detail":"Authentication credentials were not provided."}"#,
            false,
        );
        assert_eq!(session.status(), Some(403));
        assert!(!session.is_transient());
        assert!(matches!(
            from(503, json, r#"{"error":"authentik starting"}"#, true),
            ApiError::Starting { .. }
        ));
        assert!(matches!(
            from(404, json, r#"{"detail":"Invalid page."}"#, true),
            ApiError::InvalidPage { .. }
        ));
        let throttled = |header: Option<u64>| {
            let mut answer = answer(429, json, r#"{"detail":"Request was throttled."}"#);
            answer.retry_after = header.map(Duration::from_secs);
            ApiError::from_status("http://x/", &answer, true)
        };
        assert!(throttled(None).is_transient() && !throttled(None).is_unanswered());
        assert_eq!(throttled(None).throttled_for(), Some(Duration::from_secs(1)));
        assert_eq!(throttled(Some(3)).throttled_for(), Some(SHORT_WAIT));
        assert_eq!(throttled(Some(4)).throttled_for(), None);
        assert_eq!(throttled(Some(86_400)).retry_after(), Some(LONGEST_WAIT));
        assert!(throttled(Some(7)).to_string().contains("for 7 s"));
        let large = from(413, "text/html", "<html>413</html>", true);
        assert!(!large.is_transient() && large.hint().contains("client_max_body_size"));
        let worker = from(500, "text/plain; charset=utf-8", "Internal Server Error", true);
        assert!(worker.is_recycled_worker() && worker.is_transient());
        let poison = from(
            500,
            "text/html; charset=utf-8",
            "<html>\n\n<title>x</title>",
            true,
        );
        assert!(!poison.is_recycled_worker() && poison.is_transient());
        assert!(poison.to_string().contains("status 500") && poison.to_string().contains("abc"));
        assert!(!poison.to_string().contains('\n'));
        assert!(from(302, "text/html", "", true).hint().contains("AUTHENTIK_HOST"));
        let elsewhere = |status, kind, body| {
            let mut answer = answer(status, kind, body);
            answer.request_id = None;
            ApiError::from_status("http://x/", &answer, true)
        };
        for status in [401, 403, 404, 407] {
            for (kind, body) in [
                ("text/html", "<html>Log in</html>"),
                ("text/plain", "page not found"),
                (json, r#"{"message":"no"}"#),
                (json, r#"{"error":"no"}"#),
                (json, "{}"),
                (json, "[]"),
            ] {
                let foreign = elsewhere(status, kind, body);
                assert!(foreign.is_foreign() && !foreign.is_transient(), "{foreign}");
                let told = format!("{foreign}: {}", foreign.hint());
                assert!(
                    !told.starts_with("authentik answered") && told.contains("proxy"),
                    "{told}"
                );
            }
            let reasoned = elsewhere(status, json, r#"{"detail":"No."}"#);
            let own_page = from(status, "text/html", "<html>authentik</html>", true);
            for own in [&reasoned, &own_page] {
                // Which authentik's API never answers.
                let foreign = [401, 407].contains(&status);
                assert_eq!(own.is_foreign(), foreign, "{own}");
                assert_eq!(
                    own.to_string().starts_with("authentik answered"),
                    !foreign,
                    "{own}"
                );
            }
            assert_eq!(reasoned.is_not_found(), status == 404, "{reasoned}");
            assert!(!own_page.is_not_found(), "{own_page}");
        }
        for status in [400, 408, 413, 429, 500, 502, 503] {
            assert!(!elsewhere(status, "text/html", "<html>").is_foreign(), "{status}");
        }
        for words in [
            "Client sent an HTTP request to an HTTPS server.",
            "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title>",
            "Reason: You're speaking plain HTTP to an SSL-enabled server port.",
        ] {
            assert!(
                from(400, "text/html", words, true)
                    .hint()
                    .contains("write https://"),
                "{words}"
            );
        }
        assert!(!from(400, json, "{}", true).hint().contains("https://"));
    }
}
