//! A complete answer from authentik, and what it says when it is not the one awaited.
//!
//! Must not know who asked.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use url::Url;

use super::sent::Sent;
use crate::error::{ApiError, StatusAnswer, is_foreign_without_id, is_json};
use crate::request_ids::REQUEST_ID;
use crate::struck::Secrets;

/// Characters of an id as authentik makes it, a UUID.
const LONGEST_ID: usize = 36;
/// Bytes of the longest answer that only says that authentik is starting.
const LONGEST_EXCUSE: usize = 256;

/// A complete answer.
pub(crate) struct HttpAnswer {
    pub(crate) url: Url,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The clock by which a date in it becomes a time from now.
    pub(crate) time_of_day: fn() -> SystemTime,
    /// What was asked, which somebody on the way may repeat.
    pub(crate) sent: Sent,
}

impl HttpAnswer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The server's clock when it answered, to the second, if it said.
    pub(crate) fn served(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.header("date")?).ok()
    }

    pub(crate) fn request_id(&self) -> Option<String> {
        self.header(REQUEST_ID).map(|id| {
            // authentik's own: not every call needs to look for secrets.
            match id.len() <= LONGEST_ID && id.bytes().all(|octet| octet == b'-' || octet.is_ascii_hexdigit())
            {
                true => id.to_owned(),
                false => self.quote(id),
            }
        })
    }

    /// The beginning of a text of this answer, without what it repeats of the request's secrets.
    pub(crate) fn quote(&self, text: &str) -> String {
        self.sent.secrets().excerpt(text)
    }

    /// The error for a status nobody expects.
    pub(crate) fn status_error(&self, bearer: bool) -> ApiError {
        let retry_after = self
            .header(RETRY_AFTER.as_str())
            .and_then(|text| retry_after(text, (self.time_of_day)()));
        let (request_id, secrets) = (self.request_id(), self.sent.secrets());
        let answer = self.parts(request_id.as_deref(), retry_after, &secrets);
        ApiError::from_status(without_query(&self.url), &answer, bearer)
    }

    /// Whether something other than authentik answered.
    pub(super) fn is_foreign(&self) -> bool {
        self.header(REQUEST_ID).is_none() && {
            let secrets = Secrets::default();
            is_foreign_without_id(&self.parts(None, None, &secrets))
        }
    }

    fn parts<'a>(
        &'a self,
        request_id: Option<&'a str>,
        retry_after: Option<Duration>,
        secrets: &'a Secrets,
    ) -> StatusAnswer<'a> {
        StatusAnswer {
            status: self.status,
            content_type: self.header(CONTENT_TYPE.as_str()),
            request_id,
            retry_after,
            body: &self.body,
            secrets,
        }
    }

    /// Whether the front server speaks for an authentik that is not up yet: older ones do so with a 200.
    pub(super) fn is_starting(&self) -> bool {
        #[derive(serde::Deserialize)]
        struct Starting<'a> {
            error: &'a str,
        }
        self.body.len() <= LONGEST_EXCUSE
            && serde_json::from_slice::<Starting<'_>>(&self.body)
                .is_ok_and(|answer| answer.error.contains("starting"))
    }

    /// The body of a JSON answer, or what is wrong with it.
    pub(crate) fn json_body(&self) -> Result<&[u8], ApiError> {
        if self.is_starting() {
            return Err(ApiError::Starting {
                url: without_query(&self.url).to_owned(),
                retry_after: None,
            });
        }
        let kind = self.header(CONTENT_TYPE.as_str());
        if !is_json(kind) {
            return Err(ApiError::Malformed {
                url: without_query(&self.url).to_owned(),
                problem: format!(
                    "its content type is {:?} instead of JSON",
                    self.quote(kind.unwrap_or("missing"))
                ),
                is_page: true,
                request_id: self.request_id(),
            });
        }
        if self.body.is_empty() {
            return Err(self.malformed("it is empty".to_owned()));
        }
        Ok(&self.body)
    }

    pub(crate) fn malformed(&self, mut problem: String) -> ApiError {
        self.sent.secrets().strike(&mut problem);
        ApiError::Malformed {
            url: without_query(&self.url).to_owned(),
            problem,
            is_page: false,
            request_id: self.request_id(),
        }
    }
}

/// A `Retry-After`: seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    match text.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

/// Queries may contain names of users; the path says enough.
pub(super) fn without_query(url: &Url) -> &str {
    let text = url.as_str();
    text.split('?').next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(date, SystemTime::now()), Some(Duration::ZERO));
        for bad in ["", "soon", "-1", "1.5"] {
            assert_eq!(retry_after(bad, now), None, "{bad}");
        }
    }
}
