//! The calls around a change of a password that belong to no flow: which flow changes one's own, and setting another's.
//!
//! Knows what authentik's refusals of these calls mean. Must not know who may change whose password: authentik decides.

use std::net::IpAddr;
use std::time::SystemTime;

use reqwest::Method;
use reqwest::header::LOCATION;
use serde::Deserialize;

use crate::client::{AnswerKind, Caller, Client};
use crate::cookie::CookieJar;
use crate::error::ApiError;
use crate::excerpt::excerpt;
use crate::flow::answer::new_password;
use crate::flow::{FlowError, PasswordChangeFailure};
use crate::session::Session;

/// The setting of a user by which the own password is changed.
const PASSWORD_SETTINGS: &str = "ak-user-settings-password";
/// What the address of a stage's configuration has in it.
const CONFIGURE: &str = "/flows/-/configure/";
/// What the page of a flow has in its address.
const FLOW_PAGE: &str = "/if/flow/";
/// How authentik says that a session is nobody's.
const NOBODY: &str = "credentials were not provided";
/// And that a request lacks what shows that it comes from the session's own page.
const CSRF: &str = "CSRF";

/// What came of setting a user's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetPassword {
    /// authentik says that it is set.
    Done,
    /// The caller may not, or authentik shows the caller no such user.
    Forbidden {
        /// authentik's words.
        text: String,
    },
    /// authentik does not take the new password.
    Refused {
        /// authentik's words.
        text: String,
    },
    /// The caller's session is nobody's any more.
    SessionOver,
}

#[derive(Deserialize)]
struct UserSetting {
    #[serde(default)]
    component: String,
    #[serde(default)]
    configure_url: Option<String>,
}

impl Client {
    /// Has authentik begin the flow by which the session's user changes the own password
    /// (`GET stages/all/user_settings/`, then the address it names). Returns the flow's slug and the session's cookies.
    pub(crate) async fn password_flow(
        &self,
        session: &Session,
        client_ip: IpAddr,
    ) -> Result<(String, CookieJar), PasswordChangeFailure> {
        let mut cookies = session.cookies().clone();
        let url = self.endpoint().api("stages/all/user_settings/");
        let answer = match self
            .get_json(url, as_user(&cookies, client_ip), AnswerKind::Object)
            .await
        {
            Ok(answer) if session.is_ended_by(&answer.headers) => {
                return Err(PasswordChangeFailure::SessionOver);
            }
            Ok(answer) => answer,
            Err(error) if is_nobody(&error) => return Err(PasswordChangeFailure::SessionOver),
            Err(error) => return Err(error.into()),
        };
        let settings: Vec<UserSetting> =
            serde_json::from_slice(&answer.body).map_err(|error| answer.malformed(error.to_string()))?;
        cookies.absorb(&answer.headers, SystemTime::now());
        let configure = settings
            .into_iter()
            .find(|setting| setting.component == PASSWORD_SETTINGS)
            .and_then(|setting| setting.configure_url)
            .and_then(|path| self.endpoint().named(&path, CONFIGURE))
            .ok_or(PasswordChangeFailure::NotOffered)?;
        let answer = self
            .send(
                Method::GET,
                configure,
                as_user(&cookies, client_ip),
                None,
                AnswerKind::Object,
            )
            .await?;
        cookies.absorb(&answer.headers, SystemTime::now());
        let to = match answer.status {
            301 | 302 | 303 | 307 | 308 => answer.header(LOCATION.as_str()).unwrap_or_default(),
            404 => return Err(PasswordChangeFailure::NotOffered),
            200 => {
                answer.json_body()?;
                return Err(answer.malformed("it leads to no flow".to_owned()).into());
            }
            _ => return Err(answer.status_error(false).into()),
        };
        let slug = slug_of(to).ok_or_else(|| {
            let to = excerpt(to.split(['?', '#']).next().unwrap_or_default());
            PasswordChangeFailure::Flow(FlowError::ForeignRedirect { to })
        })?;
        Ok((slug.to_owned(), cookies))
    }

    /// Sets the password of a user, as the session's user (`POST core/users/{pk}/set_password/`). authentik asks for the
    /// permissions `reset_user_password` and `view_user`, and applies no password policy.
    ///
    /// # Errors
    /// When there was no verdict: the password may be set or not.
    pub async fn set_password(
        &self,
        session: &Session,
        pk: i64,
        password: &str,
        client_ip: IpAddr,
    ) -> Result<SetPassword, ApiError> {
        let url = self.endpoint().api(&format!("core/users/{pk}/set_password/"));
        let caller = as_user(session.cookies(), client_ip);
        let body = Some(new_password(password));
        let answer = self
            .send(Method::POST, url, caller, body, AnswerKind::Object)
            .await?;
        if answer.status == 204 {
            return Ok(SetPassword::Done);
        }
        let error = answer.status_error(false);
        let ApiError::Status { status, detail, .. } = &error else {
            return Err(error);
        };
        match (status, detail.as_deref()) {
            (400, _) => Ok(SetPassword::Refused {
                text: field_errors(&answer.body),
            }),
            (401 | 403, Some(text)) if text.contains(NOBODY) => Ok(SetPassword::SessionOver),
            (403, Some(text)) if !text.contains(CSRF) => Ok(SetPassword::Forbidden {
                text: text.to_owned(),
            }),
            // Only authentik's own JSON 404 is an answer to the question; a proxy's error page is not.
            (404, Some(text)) => Ok(SetPassword::Forbidden {
                text: text.to_owned(),
            }),
            _ => Err(error),
        }
    }
}

fn as_user(cookies: &CookieJar, client_ip: IpAddr) -> Caller<'_> {
    Caller::User {
        cookies,
        client_ip: Some(client_ip),
    }
}

fn is_nobody(error: &ApiError) -> bool {
    match error {
        ApiError::Status {
            status: 401 | 403,
            detail: Some(text),
            ..
        } => text.contains(NOBODY),
        _ => false,
    }
}

/// The slug in the address of a flow's page, if it is one.
fn slug_of(address: &str) -> Option<&str> {
    let path = address.split(['?', '#']).next()?;
    let slug = path
        .get(path.find(FLOW_PAGE)? + FLOW_PAGE.len()..)?
        .trim_end_matches('/');
    let is_slug = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    (!slug.is_empty() && slug.chars().all(is_slug)).then_some(slug)
}

/// What the API says against fields, in its words.
fn field_errors(body: &[u8]) -> String {
    fn texts(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::String(text) => found.push(text.clone()),
            serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            serde_json::Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_slice(body) {
        texts(&value, &mut found);
    }
    excerpt(&found.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_the_last_part_of_a_flows_page() {
        for (address, slug) in [
            (
                "/if/flow/default-password-change/",
                Some("default-password-change"),
            ),
            ("/sub/if/flow/change_2/?next=%2F", Some("change_2")),
            ("https://a.example/if/flow/x", Some("x")),
            ("/if/flow/", None),
            ("/if/flow/a/b/", None),
            ("/if/flow/..%2Fusers/", None),
            ("/if/user/", None),
            ("", None),
        ] {
            assert_eq!(slug_of(address), slug, "{address}");
        }
    }

    #[test]
    fn errors_of_fields_are_put_together() {
        let body = br#"{"password":["One.","Two."],"non_field_errors":["Three."]}"#;
        assert_eq!(field_errors(body), "One. Two. Three.");
        assert_eq!(field_errors(b"<html>"), "");
    }
}
