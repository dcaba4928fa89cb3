//! How a flow can end: authentik's verdicts, and the ways to end without one.

use std::fmt;
use std::time::Duration;

use crate::error::ApiError;
use crate::session::Session;
use crate::struck::Secrets;

/// authentik's verdict on a login.
#[derive(Clone, Debug)]
pub enum FlowOutcome {
    /// The user is logged in. Access to the application is another question.
    Authenticated(Session),
    /// The user is not.
    Rejected(Rejection),
}

/// authentik's verdict, and what else it showed on the way.
#[derive(Debug)]
pub struct JudgedFlow {
    /// The verdict.
    pub outcome: FlowOutcome,
    /// authentik accepted the password as the user's, whatever it then asked or refused.
    pub password_accepted: bool,
    /// It then asked for a new password.
    pub asks_new_password: bool,
}

/// Why a login was not accepted. `Display` says what happened and, where the flow is at fault, what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// Wrong user name, password or code; an inactive or unknown user looks the same.
    InvalidCredentials {
        /// The stage that refused; `None` when nothing was sent.
        stage: Option<String>,
        /// authentik's words.
        message: String,
    },
    /// The flow denies access: a deny stage, a policy, a missing authenticator, too many failures.
    Denied {
        /// authentik's words.
        message: String,
    },
    /// The flow has a stage that only a person with a browser can pass.
    UnsupportedStage {
        /// The stage's component.
        component: String,
        /// What to change in authentik.
        remedy: &'static str,
    },
    /// A second factor is required that cannot be given over LDAP.
    NoCompatibleAuthenticator {
        /// The device classes that authentik offered.
        offered: Vec<String>,
        /// Whether the password came with a code.
        code_given: bool,
    },
    /// A stage that was already answered came again without an error: the flow restarts on wrong input.
    Restarted {
        /// The stage's component.
        component: String,
    },
}

impl FlowOutcome {
    /// Removes these from authentik's words.
    pub(super) fn strike(&mut self, secrets: &Secrets) {
        let Self::Rejected(rejection) = self else { return };
        match rejection {
            Rejection::InvalidCredentials {
                stage: Some(text),
                message,
            } => {
                secrets.strike(text);
                secrets.strike(message);
            }
            Rejection::InvalidCredentials {
                stage: None,
                message: text,
            }
            | Rejection::Denied { message: text }
            | Rejection::UnsupportedStage { component: text, .. }
            | Rejection::Restarted { component: text } => secrets.strike(text),
            Rejection::NoCompatibleAuthenticator { offered, .. } => {
                offered.iter_mut().for_each(|class| secrets.strike(class));
            }
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidCredentials {
                stage: Some(stage),
                message,
            } => {
                write!(f, "authentik refused the credentials at {stage}: {message}")
            }
            Self::InvalidCredentials { stage: None, message } => f.write_str(message),
            Self::Denied { message } => write!(f, "the flow denied access: {message}"),
            Self::UnsupportedStage { component, remedy } => {
                write!(
                    f,
                    "the flow has the stage {component}, which cannot be passed through LDAP: {remedy}"
                )
            }
            Self::NoCompatibleAuthenticator { offered, code_given } => {
                let takes_code = |class: &String| matches!(class.as_str(), "totp" | "static");
                let advice = match (code_given, offered.iter().any(takes_code)) {
                    (_, false) => "none of them can be used over LDAP: enrol TOTP, static tokens or Duo",
                    (true, true) => "the code given is not valid for any of them",
                    (false, true) => "append ;code to the password",
                };
                let offered = if offered.is_empty() {
                    "none".to_owned()
                } else {
                    offered.join(", ")
                };
                write!(
                    f,
                    "a second factor is required; device classes offered: {offered}; {advice}"
                )
            }
            Self::Restarted { component } => write!(
                f,
                "the flow returned to {component} without an error: set \"invalid response behavior\" of its \
                 stage \
                 bindings to retry instead of restart"
            ),
        }
    }
}

/// Why a flow reached no verdict. None of these says anything about the user's password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// authentik knows no such flow.
    #[error("authentik has no flow with the slug {slug:?}: choose another flow in the provider")]
    FlowNotFound {
        /// The slug.
        slug: String,
    },
    /// A stage ended in an error of its own inside authentik.
    #[error(
        "a stage of the flow failed inside authentik{}{}",
        .error.as_deref().map(|error| format!(": {error}")).unwrap_or_default(),
        .request_id.as_deref().map(|id| format!(" (request id {id})")).unwrap_or_default()
    )]
    StageFailed {
        /// The request's id in authentik's log.
        request_id: Option<String>,
        /// authentik's words.
        error: Option<String>,
    },
    /// A redirect leads away from the flow.
    #[error(
        "a step of the flow is redirected to {to}, out of the flow: let the proxy in front of authentik pass it on, or set AUTHENTIK_HOST to \
         the final URL of authentik"
    )]
    ForeignRedirect {
        /// The target without its query.
        to: String,
    },
    /// The flow did not come to an end.
    #[error("the flow did not end within {limit} requests: look for a loop in its stages or in a proxy")]
    TooManySteps {
        /// After how many requests we gave up.
        limit: u32,
    },
    /// authentik's session cookie does not arrive, so that each request starts the flow again.
    #[error("authentik's session cookie is missing, so a proxy in between removes Set-Cookie headers")]
    CookieMissing,
    /// authentik does not get its session cookie back, so that each request starts the flow again.
    #[error("authentik does not get its session cookie back, so a proxy in between removes Cookie headers")]
    CookieDropped,
    /// The flow ended, but nobody is logged in.
    #[error(
        "the flow ended (towards {to:?}) with nobody logged in: it lacks a User Login stage, or a policy skips it"
    )]
    NotLoggedIn {
        /// Where the flow's end leads, without query.
        to: String,
    },
    /// The call itself failed.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl FlowError {
    /// Whether the same flow may run later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Api(error) => error.is_transient(),
            Self::StageFailed { .. } => true,
            Self::FlowNotFound { .. } | Self::ForeignRedirect { .. } => false,
            Self::TooManySteps { .. }
            | Self::CookieMissing
            | Self::CookieDropped
            | Self::NotLoggedIn { .. } => false,
        }
    }

    /// Whether the flow itself is broken: it is not there, or it was run and did not end or ended without a login.
    pub fn is_broken_flow(&self) -> bool {
        matches!(
            self,
            Self::FlowNotFound { .. }
                | Self::TooManySteps { .. }
                | Self::CookieMissing
                | Self::CookieDropped
                | Self::NotLoggedIn { .. }
        )
    }

    /// Whether no running authentik has answered, so that the flow itself may be fine.
    pub fn is_unanswered(&self) -> bool {
        match self {
            Self::Api(error) => error.is_unanswered(),
            Self::ForeignRedirect { .. } => true,
            _ => false,
        }
    }

    /// How long authentik asks to wait before the next try, if it throttles.
    pub fn throttled_for(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after(),
            _ => None,
        }
    }

    /// The probable reason and the next step.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Api(error) => error.hint(),
            Self::StageFailed {
                request_id: Some(_), ..
            } => "see authentik's server log for the request id",
            Self::StageFailed { .. } => "see authentik's server log",
            Self::FlowNotFound { .. } => "choose an existing flow in the provider",
            Self::TooManySteps { .. } => "run the flow in a browser, and look at its stages and policies",
            Self::CookieMissing => {
                "let the proxy between this outpost and authentik pass Set-Cookie headers on"
            }
            Self::CookieDropped => "let the proxy between this outpost and authentik pass Cookie headers on",
            Self::NotLoggedIn { .. } => {
                "choose an authentication flow with a User Login stage as the provider's bind flow"
            }
            Self::ForeignRedirect { .. } => {
                "set AUTHENTIK_HOST to the final URL of authentik, scheme included"
            }
        }
    }

    /// Removes these from authentik's words. Errors of calls never have them.
    pub(super) fn strike(&mut self, secrets: &Secrets) {
        match self {
            Self::StageFailed {
                error: Some(text), ..
            }
            | Self::ForeignRedirect { to: text }
            | Self::NotLoggedIn { to: text } => secrets.strike(text),
            Self::StageFailed { error: None, .. }
            | Self::FlowNotFound { .. }
            | Self::TooManySteps { .. }
            | Self::CookieMissing
            | Self::CookieDropped
            | Self::Api(_) => {}
        }
    }

    pub(super) fn is_recycled_worker(&self) -> bool {
        matches!(self, Self::Api(error) if error.is_recycled_worker())
    }

    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Api(error) => error.status(),
            _ => None,
        }
    }
}

/// What an unbind flow did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbound {
    /// Whether the session is over. authentik's default provider flow has no logout stage and leaves it alone.
    pub logged_out: bool,
}
