//! Flows and stages as an admin defines them; [`executor`](super::executor) runs them.

use std::time::Duration;

use uuid::Uuid;

/// The slug of authentik's flow by which people change their own password.
pub const PASSWORD_CHANGE: &str = "default-password-change";

/// A flow.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Primary key.
    pub pk: Uuid,
    /// Slug in the executor's address.
    pub slug: String,
    /// Title shown to people.
    pub title: String,
    /// `authentication`, `invalidation` and so on.
    pub designation: String,
    /// Who may run it at all.
    pub requirement: Requirement,
    /// A policy that refuses the flow, with its message.
    pub denied: Option<String>,
    /// The stages in order.
    pub stages: Vec<StageBinding>,
}

impl Flow {
    /// An authentication flow with these stages.
    pub fn new(slug: &str, title: &str, stages: Vec<Stage>) -> Self {
        Self {
            pk: Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("flow {slug}").as_bytes()),
            slug: slug.into(),
            title: title.into(),
            designation: "authentication".into(),
            requirement: Requirement::None,
            denied: None,
            stages: stages.into_iter().map(StageBinding::new).collect(),
        }
    }

    /// authentik's flow by which people change their own password.
    pub fn password_change(settings: NewPassword) -> Self {
        let stages = vec![Stage::NewPassword(settings), Stage::UserWrite];
        Self {
            designation: "stage_configuration".into(),
            requirement: Requirement::Authenticated,
            ..Self::new(PASSWORD_CHANGE, "Change password", stages)
        }
    }
}

/// A flow's "authentication" setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// Anybody.
    None,
    /// Only logged-in users.
    Authenticated,
    /// Only users who are not logged in.
    Unauthenticated,
    /// Only superusers.
    Superuser,
    /// Only outposts, known by their two delegation headers.
    Outpost,
}

/// A stage at its position in a flow.
#[derive(Debug, Clone)]
pub struct StageBinding {
    /// The stage.
    pub stage: Stage,
    /// A wrong answer starts the flow over instead of showing an error.
    pub restart_on_invalid: bool,
    /// A policy: the stage applies only to these users. None means all.
    pub only_for: Option<Vec<i32>>,
}

impl StageBinding {
    /// A stage for everybody that shows errors.
    pub fn new(stage: Stage) -> Self {
        Self {
            stage,
            restart_on_invalid: false,
            only_for: None,
        }
    }
}

/// The stages the simulator knows.
#[derive(Debug, Clone)]
pub enum Stage {
    /// Asks who is there.
    Identification(Identification),
    /// Asks for the password.
    Password {
        /// Wrong answers before the flow is cancelled.
        failed_attempts_before_cancel: u32,
    },
    /// Asks for a second factor.
    AuthenticatorValidate {
        /// What happens to users without a device.
        not_configured: NotConfigured,
        /// Device classes that are accepted.
        classes: Vec<&'static str>,
    },
    /// Logs the user in.
    UserLogin(UserLogin),
    /// Refuses.
    Deny {
        /// Text shown, may be empty.
        message: String,
    },
    /// Asks for consent; no headless client can give it sensibly.
    Consent,
    /// Asks for values of these fields.
    Prompt {
        /// Names of the fields.
        fields: Vec<String>,
    },
    /// Asks for proof of being human.
    Captcha,
    /// Sends the browser elsewhere.
    Redirect {
        /// Where to.
        to: String,
    },
    /// Logs the user out.
    UserLogout,
    /// Asks for a new password.
    NewPassword(NewPassword),
    /// Writes the new password that was asked for.
    UserWrite,
}

/// Settings of a prompt stage that asks for a new password, with the policies that judge it.
#[derive(Debug, Clone)]
pub struct NewPassword {
    /// The fields: key, label and type, in the order shown.
    pub fields: Vec<(String, String, String)>,
    /// Characters that a password policy asks for; 0: none.
    pub least: usize,
    /// Whether a policy refuses earlier passwords.
    pub unique: bool,
}

impl Default for NewPassword {
    fn default() -> Self {
        let field = |key: &str, label: &str| (key.to_owned(), label.to_owned(), "password".to_owned());
        Self {
            fields: vec![
                field("password", "Password"),
                field("password_repeat", "Password (repeat)"),
            ],
            least: 8,
            unique: false,
        }
    }
}

/// Settings of an identification stage.
#[derive(Debug, Clone)]
pub struct Identification {
    /// `username`, `email` in the order shown.
    pub user_fields: Vec<String>,
    /// The password is asked for in the same step.
    pub password: bool,
    /// A captcha is part of the step.
    pub captcha: bool,
    /// Unknown users are asked for a password too.
    pub pretend_user_exists: bool,
    /// `ALICE` finds `alice`.
    pub case_insensitive: bool,
}

impl Default for Identification {
    fn default() -> Self {
        Self {
            user_fields: vec!["username".into(), "email".into()],
            password: false,
            captcha: false,
            pretend_user_exists: true,
            case_insensitive: true,
        }
    }
}

/// What an authenticator stage does with users who have no device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotConfigured {
    /// Continues.
    Skip,
    /// Refuses.
    Deny,
    /// Makes them set one up.
    Configure,
}

/// Settings of a user login stage.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserLogin {
    /// How long the session lives; zero: a day, and the cookie until the browser closes.
    pub session_duration: Duration,
    /// Offers "remember me" for this much longer; zero: does not ask.
    pub remember_me_offset: Duration,
    /// Sets the cookie by which the browser is known again.
    pub remember_device: bool,
    /// Ends the user's other sessions.
    pub terminate_other_sessions: bool,
}

impl Stage {
    /// Identification with the password in the same step, as recommended for LDAP.
    pub fn identification_with_password() -> Self {
        Self::Identification(Identification {
            password: true,
            ..Identification::default()
        })
    }

    /// Identification alone.
    pub fn identification() -> Self {
        Self::Identification(Identification::default())
    }

    /// A password step that gives up at the fifth wrong answer.
    pub fn password() -> Self {
        Self::Password {
            failed_attempts_before_cancel: 5,
        }
    }

    /// A second factor, with authentik's default classes.
    pub fn mfa(not_configured: NotConfigured) -> Self {
        Self::AuthenticatorValidate {
            not_configured,
            classes: vec!["static", "totp", "webauthn", "duo", "sms", "email"],
        }
    }

    /// A login with authentik's defaults.
    pub fn login() -> Self {
        Self::UserLogin(UserLogin {
            remember_device: true,
            ..UserLogin::default()
        })
    }
}
