//! Passwords outside of logins: what the settings of a user offer, the way into the flow that changes one's own, setting
//! another's, and how one is written.
//!
//! Must not know stages.

use axum::http::{HeaderName, Method};
use serde_json::{Value, json};
use uuid::Uuid;

use super::caller::Caller;
use super::directory::{Directory, UserSetting};
use super::flows::PASSWORD_CHANGE;
use super::plan::{Plan, applies};
use super::reply::Reply;
use super::request::Request;
use super::state::State;
use super::text::strip;
use super::users::Password;

/// Earlier passwords remembered for each user.
const REMEMBERED: usize = 10;

impl Directory {
    /// Writes a password, as `User.set_password` does.
    pub(crate) fn write_password(&mut self, pk: i32, password: &str, now: i64) -> bool {
        let former = self.user(pk).map(|user| match &user.password {
            Password::Unusable => None,
            Password::Demo => Some(format!("demo-{}", user.username)),
            Password::Text(text) => Some(text.to_string()),
        });
        if let Some(former) = former.flatten() {
            let all = self.former_passwords.entry(pk).or_default();
            all.insert(0, former);
            all.truncate(REMEMBERED);
        }
        self.change_user(pk, |user| {
            user.password = Password::Text(strip(password).into());
            (user.password_change_date, user.last_updated) = (now, now);
        })
    }

    /// What authentik offers if nothing was changed: some authenticators and the password.
    pub fn offer_default_settings(&mut self) {
        let setting = |title: &str, component: &str, flow: &str| UserSetting {
            title: title.to_owned(),
            component: format!("ak-user-settings-{component}"),
            stage: Uuid::new_v5(&Uuid::NAMESPACE_OID, component.as_bytes()),
            flow: Some(flow.to_owned()),
        };
        let (fixed, totp) = (
            "default-authenticator-static-setup",
            "default-authenticator-totp-setup",
        );
        let webauthn = "default-authenticator-webauthn-setup";
        self.user_settings = vec![
            setting("Static tokens", "authenticator-static", fixed),
            setting("TOTP Device", "authenticator-totp", totp),
            setting("WebAuthn device", "authenticator-webauthn", webauthn),
            setting("Password Stage", "password", PASSWORD_CHANGE),
        ];
    }
}

/// `stages/all/user_settings/`
pub(crate) fn settings(directory: &Directory) -> Reply {
    let shown: Vec<Value> = directory
        .user_settings
        .iter()
        .filter(|setting| setting.flow.is_some())
        .map(|setting| {
            json!({"title": setting.title, "component": setting.component, "object_uid": setting.stage.to_string(),
                   "configure_url": format!("/flows/-/configure/{}/", setting.stage)})
        })
        .collect();
    Reply::ok(Value::Array(shown).to_string())
}

/// `/flows/-/configure/{stage}/`: plans the stage's flow from the start, even if the session is in the middle of it, and leads to its page, or to that of
/// the login. A flow that is not for this user is not found.
pub(crate) fn configure(state: &mut State, caller: &Caller, stage: &str) -> Reply {
    let Some(user) = caller.user() else {
        return Reply::redirect(&format!(
            "/flows/-/default/authentication/?next=/flows/-/configure/{stage}/"
        ));
    };
    let directory = &state.directory;
    let found = stage.parse::<Uuid>().ok().and_then(|stage| {
        let settings = &directory.user_settings;
        settings.iter().find(|setting| setting.stage == stage)
    });
    let Some(slug) = found.and_then(|setting| setting.flow.clone()) else {
        return Reply::html(404, "Not Found");
    };
    if let Some(flow) = directory.flows.get(&slug) {
        if !applies(directory, flow, directory.user(user), false) || flow.denied.is_some() {
            return Reply::html(404, "Not Found");
        }
        let plan = Plan::begin(flow, Some(user));
        if let Some(session) = caller.sid.as_deref().and_then(|sid| state.sessions.get_mut(sid)) {
            session.plan = Some(plan);
        }
    }
    Reply::redirect(&format!("/if/flow/{slug}/"))
}

/// `core/users/{pk}/set_password/`
pub(crate) fn set_password(
    directory: &mut Directory,
    caller: &Caller,
    pk: &str,
    request: &Request<'_>,
    now: i64,
) -> Reply {
    let reply = judge(directory, caller, pk, request).map_or_else(
        |refused| refused,
        |(pk, password)| {
            directory.write_password(pk, &password, now);
            Reply::new(204, super::reply::JSON, "")
        },
    );
    let allow = HeaderName::from_static("allow");
    reply.with(allow, "POST, OPTIONS")
}

fn judge(
    directory: &Directory,
    caller: &Caller,
    pk: &str,
    request: &Request<'_>,
) -> Result<(i32, String), Reply> {
    let user = caller.user().ok_or_else(Reply::not_authenticated)?;
    if *request.method != Method::POST {
        return Err(Reply::detail(
            405,
            &format!("Method \"{}\" not allowed.", request.method),
        ));
    }
    if caller.bearer.is_none() {
        let (header, cookie) = (
            request.header("x-authentik-csrf"),
            request.cookie("authentik_csrf"),
        );
        match header {
            None => return Err(Reply::detail(403, "CSRF Failed: CSRF token missing.")),
            Some(_) if header != cookie => {
                return Err(Reply::detail(403, "CSRF Failed: CSRF token incorrect."));
            }
            Some(_) => {}
        }
    }
    if !directory.is_permitted(user, "reset_user_password") {
        return Err(Reply::forbidden());
    }
    let target = pk.parse::<i32>().ok().and_then(|pk| directory.user(pk));
    let target = target.filter(|_| directory.is_permitted(user, "view_user"));
    let target = target.ok_or_else(|| Reply::no_match("User"))?;
    let body: Value = serde_json::from_slice(request.body).unwrap_or_default();
    let Some(password) = body.get("password").and_then(Value::as_str) else {
        return Err(Reply::invalid("password", "This field is required."));
    };
    if password.contains('\0') {
        return Err(Reply::invalid("password", "Null characters are not allowed."));
    }
    let password = strip(password);
    if password.is_empty() {
        return Err(Reply::invalid("password", "This field may not be blank."));
    }
    Ok((target.pk, password.to_owned()))
}
