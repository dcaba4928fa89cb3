//! The components of a flow by name, and what to change in authentik about those that cannot be passed.
//!
//! Must not know how the others are answered.

use super::challenge::{Challenge, Field};
use super::outcome::Rejection;
use crate::excerpt::excerpt;

/// The stages that can be answered.
pub(super) const IDENTIFICATION: &str = "ak-stage-identification";
pub(super) const PASSWORD: &str = "ak-stage-password";
pub(super) const AUTHENTICATOR: &str = "ak-stage-authenticator-validate";
pub(super) const PROMPT: &str = "ak-stage-prompt";
pub(super) const USER_LOGIN: &str = "ak-stage-user-login";

/// The flow's end, and what a client takes for one.
pub(super) const REDIRECT: &str = "xak-flow-redirect";
pub(super) const SHELL: &str = "xak-flow-shell";
pub(super) const ACCESS_DENIED: &str = "ak-stage-access-denied";
pub(super) const FLOW_ERROR: &str = "ak-stage-flow-error";
pub(super) const SESSION_END: &str = "ak-stage-session-end";

/// Whether a component that follows the answer with the password shows that authentik accepted it. A flow that begins
/// again after a wrong answer shows one of its first stages instead.
pub(super) fn comes_after_password(component: &str) -> bool {
    matches!(
        component,
        AUTHENTICATOR | USER_LOGIN | PROMPT | ACCESS_DENIED | "ak-stage-consent"
    ) || component.starts_with("ak-stage-authenticator-")
}

/// Whether it is a prompt that asks for a password, as a flow shows one to a user who has to choose a new one.
pub(super) fn asks_password(challenge: &Challenge) -> bool {
    let asks = |fields: Vec<Field<'_>>| fields.iter().any(|field| field.kind == "password");
    challenge.component == PROMPT && challenge.prompt_fields().is_some_and(asks)
}

/// What a refused answer means.
pub(super) fn refused(challenge: &Challenge, message: String) -> Rejection {
    if challenge.component == IDENTIFICATION && challenge.is_set("captcha_stage") {
        return unsupported("ak-stage-captcha");
    }
    Rejection::InvalidCredentials {
        stage: Some(excerpt(&challenge.component)),
        message,
    }
}

pub(super) fn unsupported(component: &str) -> Rejection {
    let remedy = match component {
        "ak-stage-captcha" => {
            "remove the captcha from the flow, or bind it with a policy that skips it for outposts"
        }
        "ak-stage-consent" => {
            "use an authentication flow as the provider's bind flow, not one with a consent stage"
        }
        PROMPT => {
            "remove the prompt (an expired password, for instance) or let a policy skip it for outposts"
        }
        "ak-stage-email" => "remove the e-mail stage from the flow or let a policy skip it for outposts",
        REDIRECT => "the flow redirects into another flow; remove its Redirect stage",
        SHELL => "the stage shows a web page; remove it or let a policy skip it for outposts",
        SESSION_END => "the provider's bind flow is one that ends sessions; choose an authentication flow",
        _ if component.starts_with("ak-stage-authenticator-") => {
            "it wants to enrol an authenticator; set \"not configured action\" to skip or deny"
        }
        _ => "remove it from the provider's bind flow or let a policy skip it for outposts",
    };
    Rejection::UnsupportedStage {
        component: excerpt(component),
        remedy,
    }
}
