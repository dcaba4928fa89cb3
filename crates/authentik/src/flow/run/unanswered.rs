//! Runs that answer nothing: an unbind flow acts by being fetched, and a look at a flow shows how it begins.
//!
//! Must not know what follows from it.

use super::super::challenge::Challenge;
use super::super::component::SESSION_END;
use super::super::first_stage::FirstStage;
use super::{
    BIND_QUERY, FLOW_ERROR, FlowError, MAX_REQUESTS, Next, REDIRECT, Run, SESSION_COOKIE, Stop,
    WARM_UP_QUERY, excerpt,
};

impl Run<'_> {
    /// Runs an unbind flow: its stages act by being fetched.
    pub(in crate::flow) async fn unbind(&mut self) -> Result<(), FlowError> {
        match self.step(Next::Fetch(self.url(BIND_QUERY))).await? {
            Stop::Challenge(challenge) if challenge.component == FLOW_ERROR => Err(stage_failed(&challenge)),
            Stop::Challenge(challenge) => {
                if challenge.component != SESSION_END {
                    tracing::debug!(
                        component = challenge.component,
                        flow = self.slug,
                        "the unbind flow expects an answer"
                    );
                }
                Ok(())
            }
            Stop::Finished { .. } | Stop::TooManySteps => Ok(()),
        }
    }

    /// Fetches the first challenge only.
    pub(in crate::flow) async fn first_component(&mut self) -> Result<String, FlowError> {
        match self.step(Next::Fetch(self.url(WARM_UP_QUERY))).await? {
            Stop::Challenge(challenge) => {
                self.learn(&challenge);
                Ok(challenge.component)
            }
            Stop::Finished { .. } | Stop::TooManySteps => Ok(REDIRECT.to_owned()),
        }
    }

    /// The same, with what the challenge shows.
    pub(in crate::flow) async fn first_stage(&mut self) -> Result<FirstStage, FlowError> {
        let stop = self.step(Next::Fetch(self.url(WARM_UP_QUERY))).await?;
        let secure_cookie = self.cookies.is_secure(SESSION_COOKIE);
        Ok(match stop {
            Stop::Challenge(challenge) if challenge.component == FLOW_ERROR => {
                return Err(stage_failed(&challenge));
            }
            Stop::Challenge(challenge) => FirstStage {
                asks_password: challenge.is_set("password_fields"),
                user_fields: challenge.texts("user_fields"),
                has_captcha: challenge.is_set("captcha_stage"),
                message: challenge.text("error_message").map(excerpt),
                component: challenge.component,
                secure_cookie,
            },
            Stop::TooManySteps => return Err(FlowError::TooManySteps { limit: MAX_REQUESTS }),
            Stop::Finished { .. } => FirstStage {
                component: REDIRECT.to_owned(),
                secure_cookie,
                ..FirstStage::default()
            },
        })
    }
}

fn stage_failed(challenge: &Challenge) -> FlowError {
    FlowError::StageFailed {
        request_id: challenge.text("request_id").map(excerpt),
        error: challenge.text("error").map(excerpt),
    }
}
