//! What a flow shows before anybody answers: its first stage, for whoever examines a set-up.

/// The first challenge of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstStage {
    /// The stage's component; `xak-flow-redirect` for a flow that ends at once.
    pub component: String,
    /// The password is asked for in the same step as the user name.
    pub asks_password: bool,
    /// What somebody may be named by, in authentik's words (`username`, `email`, `upn`); `None` where it does not say.
    pub user_fields: Option<Vec<String>>,
    /// A captcha is part of the step.
    pub has_captcha: bool,
    /// What authentik says if it denies the flow.
    pub message: Option<String>,
    /// Whether the session cookie is marked Secure, so that authentik believes it is asked over https; `None` without
    /// one.
    pub secure_cookie: Option<bool>,
}
