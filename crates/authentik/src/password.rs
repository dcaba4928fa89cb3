//! The calls for a password change that belong to no flow: which flow changes one's own, and setting another's.
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
use crate::flow::outcome::FlowError;
use crate::flow::password_change::PasswordChangeFailure;
use crate::session::Session;

/// The user setting through which users change their own passwords.
const PASSWORD_SETTINGS: &str = "ak-user-settings-password";
/// What the address of a stage's configuration contains.
const CONFIGURE: &str = "/flows/-/configure/";
/// What the address of a flow's page contains.
const FLOW_PAGE: &str = "/if/flow/";
/// How authentik says that a session belongs to nobody.
const NOBODY: &str = "credentials were not provided";
/// And that a request lacks what shows that it comes from the session's own page.
const CSRF: &str = "CSRF";

/// The outcome of setting a user's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetPassword {
    /// authentik says that it is set.
    Done,
    /// The caller may not, or authentik shows the caller no such user.
    Forbidden {
        /// authentik's words.
        text: String,
    },
    /// authentik does not accept the new password.
    Refused {
        /// authentik's words.
        text: String,
    },
    /// The caller's session no longer belongs to anybody.
    SessionOver,
    /// authentik does not take the request for one of the session's own page, and did nothing.
    NotTaken {
        /// authentik's words.
        text: String,
    },
}

impl SetPassword {
    /// authentik's words.
    fn text(&mut self) -> Option<&mut String> {
        match self {
            Self::Forbidden { text } | Self::Refused { text } | Self::NotTaken { text } => Some(text),
            Self::Done | Self::SessionOver => None,
        }
    }
}

#[derive(Deserialize)]
struct UserSetting {
    #[serde(default)]
    component: String,
    #[serde(default)]
    configure_url: Option<String>,
}

impl Client {
    /// Makes authentik begin the flow through which the session's user changes their own password
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
            404 => {
                let error = answer.status_error(false);
                return Err(match error.is_foreign() {
                    true => error.into(),
                    false => PasswordChangeFailure::NotOffered,
                });
            }
            200 => {
                answer.json_body()?;
                return Err(answer.malformed("it leads to no flow".to_owned()).into());
            }
            _ => return Err(answer.status_error(false).into()),
        };
        let slug = slug_of(to).ok_or_else(|| {
            let to = answer.quote(to.split(['?', '#']).next().unwrap_or_default());
            PasswordChangeFailure::Flow(FlowError::ForeignRedirect { to })
        })?;
        Ok((slug.to_owned(), cookies))
    }

    /// Sets the password of a user, as the session's user (`POST core/users/{pk}/set_password/`). authentik asks for the
    /// permissions `reset_user_password` and `view_user`, and applies no password policy.
    ///
    /// # Errors
    /// When there was no verdict: the password may have been set or not.
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
        // Whatever else is answered may come from something between, after authentik has set it.
        let verdict = answer.json_body().ok().and_then(|body| {
            let body = serde_json::from_slice(body).ok()?;
            verdict(answer.status, &body)
        });
        match verdict {
            Some(mut verdict) => {
                if let Some(text) = verdict.text() {
                    *text = answer.quote(text);
                }
                Ok(verdict)
            }
            None => Err(answer.status_error(false)),
        }
    }
}

/// What a refusal says, if it has the form that authentik gives it: the objections to fields, or one `detail`.
fn verdict(status: u16, body: &serde_json::Value) -> Option<SetPassword> {
    let body = body.as_object()?;
    let detail = body.get("detail").and_then(serde_json::Value::as_str);
    let text = detail.map(excerpt);
    match status {
        400 if detail.is_some() || (!body.is_empty() && body.values().all(serde_json::Value::is_array)) => {
            Some(SetPassword::Refused {
                text: field_errors(&body.clone().into()),
            })
        }
        401 | 403 if detail?.contains(NOBODY) => Some(SetPassword::SessionOver),
        403 if detail?.contains(CSRF) => text.map(|text| SetPassword::NotTaken { text }),
        403 | 404 => text.map(|text| SetPassword::Forbidden { text }),
        _ => None,
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

/// The API's objections to fields, in its words.
fn field_errors(errors: &serde_json::Value) -> String {
    fn texts(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::String(text) => found.push(text.clone()),
            serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            serde_json::Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    texts(errors, &mut found);
    in_words(&found.join(" "))
}

/// authentik's objections to a password, or that it has none.
pub(crate) fn in_words(text: &str) -> String {
    match text.trim() {
        "" => "authentik refuses it and does not say why".to_owned(),
        text => excerpt(text),
    }
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
        let body = serde_json::json!({"password": ["One.", "Two."], "non_field_errors": ["Three."]});
        assert_eq!(field_errors(&body), "One. Two. Three.");
        let silent = serde_json::json!({"password": [], "non_field_errors": [" "]});
        assert!(field_errors(&silent).contains("does not say why"));
    }
}
