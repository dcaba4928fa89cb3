//! What each stage asks and accepts.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::device_offer::{check_selected, offered, rank};
use super::devices::{Device, DeviceKind, DuoOutcome};
use super::directory::Directory;
use super::field_errors::{errors, null_error};
use super::flows::{Identification, NewPassword, NotConfigured, Stage, UserLogin};
use super::new_password;
use super::plan::{Pending, Plan};
use super::text::strip;
use super::users::User;

/// A stage of a flow while it works on a request: what it may look at and change.
pub(crate) struct StageView<'a> {
    pub(crate) directory: &'a mut Directory,
    pub(crate) plan: &'a mut Plan,
    /// Microseconds since the epoch.
    pub(crate) now: i64,
    /// What a password check costs.
    pub(crate) hash_cost: Duration,
    /// Time spent so far.
    pub(crate) delay: Duration,
}

type Answer = Map<String, Value>;

/// The result of a request to a stage.
pub(crate) enum StageResponse {
    /// Show this challenge.
    Challenge(Value),
    /// The stage is done.
    Done,
    /// Logged in as this user for this long.
    LoggedIn {
        user: i32,
        lifetime: Duration,
        remember_device: bool,
        end_others: bool,
    },
    /// The user's new password was written.
    Written(i32),
    /// Logged out.
    LoggedOut,
    /// Refused for good.
    Denied(String),
    /// Go to this address.
    Redirect(String),
}

/// Runs a stage; `posted` is the answer, none for a GET.
pub(crate) fn run(view: &mut StageView<'_>, stage: &Stage, posted: Option<&Answer>) -> StageResponse {
    match stage {
        Stage::Identification(settings) => view.identification(settings, posted),
        Stage::Password {
            failed_attempts_before_cancel,
        } => view.password(*failed_attempts_before_cancel, posted),
        Stage::AuthenticatorValidate {
            not_configured,
            classes,
        } => view.validate(*not_configured, classes, posted),
        Stage::UserLogin(settings) => view.login(settings, posted),
        Stage::Deny { message } => StageResponse::Denied(message.clone()),
        Stage::Consent => view.consent(posted),
        Stage::Prompt { fields } => view.prompt(fields, posted),
        Stage::Captcha => view.captcha(posted),
        Stage::Redirect { to } => StageResponse::Redirect(to.clone()),
        Stage::UserLogout => StageResponse::LoggedOut,
        Stage::NewPassword(settings) => view.new_password(settings, posted),
        Stage::UserWrite => view.write(),
    }
}

/// A text field of an answer; numbers count as their text, as in authentik's serializer.
fn text(posted: &Answer, field: &str) -> Option<String> {
    match posted.get(field)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A challenge with the errors right after its component.
fn challenge(component: &str, response_errors: Option<Value>, fields: Value) -> StageResponse {
    let mut out = Map::new();
    out.insert("component".into(), component.into());
    if let Some(errors) = response_errors {
        out.insert("response_errors".into(), errors);
    }
    if let Value::Object(fields) = fields {
        out.extend(fields);
    }
    StageResponse::Challenge(Value::Object(out))
}

impl StageView<'_> {
    fn identification(&mut self, settings: &Identification, posted: Option<&Answer>) -> StageResponse {
        let failed = match posted {
            None => None,
            Some(posted) => match self.identify(settings, posted) {
                Ok(pending) => {
                    self.plan.pending = Some(pending);
                    return StageResponse::Done;
                }
                Err(errors) => Some(errors),
            },
        };
        let captcha = settings.captcha.then(|| {
            json!({"component": "ak-stage-captcha", "site_key": "demo", "js_url": "/captcha.js", "interactive": true,
                   "pending_user": "", "pending_user_avatar": ""})
        });
        challenge(
            "ak-stage-identification",
            failed,
            json!({
                "user_fields": settings.user_fields, "pending_user_identifier": null,
                "password_fields": settings.password, "allow_show_password": false,
                "flow_designation": "authentication", "captcha_stage": captcha, "primary_action": "Log in",
                "sources": [], "show_source_labels": false, "enable_remember_me": false, "passkey_challenge": null,
            }),
        )
    }

    fn identify(&mut self, settings: &Identification, posted: &Answer) -> Result<Pending, Value> {
        let general = |text: &str| errors("non_field_errors", text, "invalid");
        let given = text(posted, "uid_field").unwrap_or_default();
        let password = text(posted, "password").unwrap_or_default();
        for (field, value) in [("uid_field", &given), ("password", &password)] {
            if value.contains('\0') {
                return Err(null_error(field));
            }
        }
        let (given, password) = (strip(&given), strip(&password));
        if given.is_empty() {
            return Err(general("No identification data provided."));
        }
        if settings.captcha && text(posted, "captcha_token").is_none_or(|token| token.is_empty()) {
            return Err(errors("captcha_token", "Token is required.", "invalid"));
        }
        let by = |field: &str| settings.user_fields.iter().any(|other| other == field);
        let found = self
            .directory
            .identify(given, by("username"), by("email"), settings.case_insensitive)
            .map(|user| user.pk);
        let Some(pk) = found else {
            self.delay += self.hash_cost;
            return if settings.pretend_user_exists && !settings.password {
                Ok(Pending::Pretended(given.to_owned()))
            } else {
                Err(general("Failed to authenticate."))
            };
        };
        if settings.password && !self.authenticates(pk, password) {
            return Err(general("Failed to authenticate."));
        }
        Ok(Pending::Known(pk))
    }

    /// authentik's two password backends: the stored password, then app passwords.
    fn authenticates(&mut self, pk: i32, password: &str) -> bool {
        if password.is_empty() {
            return false;
        }
        self.delay += self.hash_cost;
        let by_password = self
            .directory
            .user(pk)
            .is_some_and(|user| user.is_active && user.password_is(password));
        by_password
            || self.directory.app_passwords.get(&pk).is_some_and(|tokens| {
                tokens
                    .iter()
                    .any(|token| super::users::constant_time(token, password))
            })
    }

    fn pending_fields(&self) -> Map<String, Value> {
        let (name, picture) = self
            .plan
            .pending
            .as_ref()
            .map(|pending| pending.shown(self.directory))
            .unwrap_or_default();
        let mut out = Map::new();
        out.insert("pending_user".into(), name.into());
        out.insert("pending_user_avatar".into(), picture.into());
        out
    }

    fn password(&mut self, limit: u32, posted: Option<&Answer>) -> StageResponse {
        let failed = match posted {
            None => None,
            Some(posted) => match self.check_password(posted) {
                Ok(true) => return StageResponse::Done,
                Ok(false) => {
                    self.plan.wrong_passwords += 1;
                    if self.plan.wrong_passwords >= limit {
                        return StageResponse::Denied("Invalid password".into());
                    }
                    Some(errors("password", "Invalid password", "invalid"))
                }
                Err(errors) => Some(errors),
            },
        };
        let mut fields = self.pending_fields();
        fields.insert("allow_show_password".into(), false.into());
        challenge("ak-stage-password", failed, Value::Object(fields))
    }

    fn check_password(&mut self, posted: &Answer) -> Result<bool, Value> {
        match posted.get("password") {
            None => return Err(errors("password", "This field is required.", "required")),
            Some(Value::Null) => return Err(errors("password", "This field may not be null.", "null")),
            Some(_) => {}
        }
        let password = text(posted, "password").unwrap_or_default();
        if password.is_empty() {
            return Err(errors("password", "This field may not be blank.", "blank"));
        }
        if password.contains('\0') {
            return Err(null_error("password"));
        }
        match self.plan.pending.clone() {
            Some(Pending::Known(pk)) => Ok(self.authenticates(pk, &password)),
            _ => {
                self.delay += self.hash_cost;
                Ok(false)
            }
        }
    }

    fn validate(
        &mut self,
        not_configured: NotConfigured,
        classes: &[&str],
        posted: Option<&Answer>,
    ) -> StageResponse {
        let Some(Pending::Known(user)) = self.plan.pending.clone() else {
            return StageResponse::Done;
        };
        let offered = offered(
            self.directory
                .devices
                .get(&user)
                .map(Vec::as_slice)
                .unwrap_or_default(),
            classes,
        );
        if offered.is_empty() {
            return match not_configured {
                NotConfigured::Skip => StageResponse::Done,
                NotConfigured::Deny => {
                    StageResponse::Denied("No (allowed) MFA authenticator configured.".into())
                }
                NotConfigured::Configure => self.show_devices(
                    None,
                    &[],
                    json!([{"pk": "6c8f2b8e-4f0e-4c36-8d4b-1f3f2b1d9a10", "name": "Set up an authenticator",
                            "verbose_name": "TOTP Authenticator Setup Stage", "meta_model_name":
                            "authentik_stages_authenticator_totp.authenticatortotpstage"}]),
                ),
            };
        }
        let failed = match posted {
            None => None,
            Some(posted) => match self.check_device(user, &offered, posted) {
                Ok(()) => return StageResponse::Done,
                Err(errors) => Some(errors),
            },
        };
        self.plan.devices_shown = true;
        let challenges: Vec<Value> = offered.iter().map(|device| device.challenge()).collect();
        self.show_devices(failed, &challenges, json!([]))
    }

    fn show_devices(&self, failed: Option<Value>, devices: &[Value], configuration: Value) -> StageResponse {
        let mut fields = self.pending_fields();
        fields.insert("device_challenges".into(), devices.into());
        fields.insert("configuration_stages".into(), configuration);
        challenge("ak-stage-authenticator-validate", failed, Value::Object(fields))
    }

    fn check_device(&mut self, user: i32, offered: &[Device], posted: &Answer) -> Result<(), Value> {
        if let Some(selected) = posted.get("selected_challenge").filter(|value| !value.is_null()) {
            check_selected(selected, offered)?;
        }
        if let Some(uid) = posted.get("duo").and_then(Value::as_i64) {
            return self.ask_duo(uid, offered);
        }
        let Some(code) = text(posted, "code").filter(|code| !code.is_empty()) else {
            return Err(errors("non_field_errors", "Empty response", "invalid"));
        };
        if !self.plan.devices_shown
            || !offered
                .iter()
                .any(|device| matches!(device.class(), "static" | "totp" | "sms"))
        {
            return Err(errors("code", "No compatible device class allowed", "invalid"));
        }
        let now = self.now;
        let mut devices: Vec<&mut Device> = self
            .directory
            .devices
            .get_mut(&user)
            .into_iter()
            .flatten()
            .collect();
        devices.sort_by_key(|device| rank(device.class()));
        if devices.into_iter().any(|device| device.accepts(&code, now)) {
            Ok(())
        } else {
            let text = "Invalid Token. Please ensure the time on your device is accurate and try again.";
            Err(errors("code", text, "invalid"))
        }
    }

    fn ask_duo(&mut self, uid: i64, offered: &[Device]) -> Result<(), Value> {
        let device = offered
            .iter()
            .find(|device| device.uid == uid && device.class() == "duo");
        let Some(DeviceKind::Duo(outcome)) = device.map(|device| device.kind.clone()) else {
            return Err(errors("duo", "Invalid device", "invalid"));
        };
        let (after, accepted) = match outcome {
            DuoOutcome::Accept(after) => (after, true),
            DuoOutcome::Deny(after) | DuoOutcome::TimeOut(after) => (after, false),
        };
        self.delay += after;
        if accepted {
            Ok(())
        } else {
            Err(errors("duo", "Duo denied access", "denied"))
        }
    }

    fn login(&mut self, settings: &UserLogin, posted: Option<&Answer>) -> StageResponse {
        let Some(Pending::Known(user)) = self.plan.pending.clone() else {
            return StageResponse::Denied("No Pending user to login.".into());
        };
        if !self
            .directory
            .user(user)
            .is_some_and(|user: &User| user.is_active)
        {
            return StageResponse::Denied("Unknown error".into());
        }
        let mut lifetime = settings.session_duration;
        if !settings.remember_me_offset.is_zero() {
            let Some(posted) = posted else {
                return challenge("ak-stage-user-login", None, Value::Object(self.pending_fields()));
            };
            match posted.get("remember_me").and_then(Value::as_bool) {
                Some(true) => lifetime += settings.remember_me_offset,
                Some(false) => {}
                None => {
                    let failed = errors("remember_me", "This field is required.", "required");
                    return challenge(
                        "ak-stage-user-login",
                        Some(failed),
                        Value::Object(self.pending_fields()),
                    );
                }
            }
        }
        StageResponse::LoggedIn {
            user,
            lifetime,
            remember_device: settings.remember_device,
            end_others: settings.terminate_other_sessions,
        }
    }

    fn consent(&mut self, posted: Option<&Answer>) -> StageResponse {
        let failed = match posted {
            None => None,
            Some(posted)
                if self.plan.consent_token.is_some() && text(posted, "token") == self.plan.consent_token =>
            {
                return StageResponse::Done;
            }
            Some(_) => Some(errors("token", "This field is required.", "required")),
        };
        let token = uuid::Uuid::new_v4().to_string();
        self.plan.consent_token = Some(token.clone());
        let mut fields = self.pending_fields();
        fields.insert("permissions".into(), json!([]));
        fields.insert("additional_permissions".into(), json!([]));
        fields.insert("token".into(), token.into());
        challenge("ak-stage-consent", failed, Value::Object(fields))
    }

    fn prompt(&mut self, fields: &[String], posted: Option<&Answer>) -> StageResponse {
        let missing = posted.map(|posted| {
            fields
                .iter()
                .filter(|field| text(posted, field).is_none_or(|text| text.is_empty()))
                .collect::<Vec<_>>()
        });
        let failed = match missing.as_deref() {
            None => None,
            Some([]) => return StageResponse::Done,
            Some([first, ..]) => Some(errors(first, "This field is required.", "required")),
        };
        let shown: Vec<Value> = fields
            .iter()
            .enumerate()
            .map(|(order, field)| {
                json!({"field_key": field, "label": field, "type": "text", "required": true, "placeholder": "",
                       "initial_value": "", "order": order, "sub_text": "", "choices": null})
            })
            .collect();
        challenge("ak-stage-prompt", failed, json!({"fields": shown}))
    }

    fn new_password(&mut self, settings: &NewPassword, posted: Option<&Answer>) -> StageResponse {
        let failed = match posted {
            None => None,
            Some(posted) => {
                let typed = |key: &str| text(posted, key);
                let used = |password: &str| self.was_used(password);
                match new_password::judge(settings, typed, used) {
                    Ok(password) => {
                        self.plan.new_password = Some(password);
                        return StageResponse::Done;
                    }
                    Err(errors) => Some(errors),
                }
            }
        };
        challenge("ak-stage-prompt", failed, new_password::fields(settings))
    }

    fn was_used(&self, password: &str) -> bool {
        let Some(Pending::Known(pk)) = self.plan.pending else {
            return false;
        };
        let now = self.directory.user(pk);
        let before = self.directory.former_passwords.get(&pk);
        now.is_some_and(|user| user.password_is(password))
            || before.is_some_and(|before| before.iter().any(|other| other == password))
    }

    fn write(&mut self) -> StageResponse {
        let (Some(Pending::Known(user)), Some(password)) =
            (self.plan.pending.clone(), self.plan.new_password.take())
        else {
            return StageResponse::Denied("No Pending data.".into());
        };
        self.delay += self.hash_cost;
        self.directory.write_password(user, &password, self.now);
        StageResponse::Written(user)
    }

    fn captcha(&mut self, posted: Option<&Answer>) -> StageResponse {
        let failed = posted.map(|_| {
            errors(
                "token",
                "Invalid captcha response. Retrying may solve this issue.",
                "invalid",
            )
        });
        let mut fields = self.pending_fields();
        fields.insert("site_key".into(), "demo".into());
        fields.insert("js_url".into(), "/captcha.js".into());
        fields.insert("interactive".into(), true.into());
        challenge("ak-stage-captcha", failed, Value::Object(fields))
    }
}
