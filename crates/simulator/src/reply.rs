//! Answers in authentik's words.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::sessions::random_text;

/// An answer before it is put on the wire.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// Rows of the page, if this is one.
    pub(crate) rows: Option<usize>,
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

impl Reply {
    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<String>) -> Self {
        Self {
            status,
            content_type,
            body: body.into(),
            headers: Vec::new(),
            rows: None,
        }
    }

    /// A page of this many rows.
    pub(crate) fn page(rows: usize, body: String) -> Self {
        Self {
            rows: Some(rows),
            ..Self::ok(body)
        }
    }

    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self::new(200, JSON, body)
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, JSON, body.to_string())
    }

    pub(crate) fn detail(status: u16, text: &str) -> Self {
        Self::json(status, &json!({"detail": text}))
    }

    /// 400 naming a field.
    pub(crate) fn invalid(field: &str, text: &str) -> Self {
        Self::json(400, &json!({field: [text]}))
    }

    pub(crate) fn invalid_choice(field: &str, value: &str) -> Self {
        Self::invalid(
            field,
            &format!("Select a valid choice. {value} is not one of the available choices."),
        )
    }

    pub(crate) fn forbidden() -> Self {
        Self::detail(403, "You do not have permission to perform this action.")
    }

    pub(crate) fn not_authenticated() -> Self {
        Self::detail(403, "Authentication credentials were not provided.")
    }

    pub(crate) fn bad_token() -> Self {
        Self::detail(403, "Token invalid/expired")
    }

    pub(crate) fn no_match(model: &str) -> Self {
        Self::detail(404, &format!("No {model} matches the given query."))
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::new(302, HTML, "").with(header::LOCATION, to)
    }

    /// Django's page for people, whatever the client accepts.
    pub(crate) fn html(status: u16, title: &str) -> Self {
        let body = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"UTF-8\"><title>authentik</title></head>\n\
             <body><main><h1>{title}</h1><a href=\"/\">Go home</a></main></body>\n</html>\n"
        );
        Self::new(status, HTML, body)
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn cookie(&mut self, value: String) {
        self.headers.push((header::SET_COOKIE, value));
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        for (name, value) in [
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "same-origin"),
            (header::VARY, "Accept-Language, Cookie"),
            (header::CONTENT_LANGUAGE, "en"),
            (HeaderName::from_static("x-powered-by"), "authentik"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(id) = HeaderValue::from_str(&request_id()) {
            headers.insert(HeaderName::from_static("x-authentik-id"), id);
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.append(name, value);
            }
        }
        response
    }
}

/// A request id as authentik's log names it.
pub(crate) fn request_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// A CSRF token or a similar short secret.
pub(crate) fn short_secret() -> String {
    random_text(32)
}
