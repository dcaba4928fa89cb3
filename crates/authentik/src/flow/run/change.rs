//! A change of one's own password: the flow that authentik names for it, whose prompts are answered with the new password.
//!
//! Knows the shapes of prompts. Must not know when a change is allowed, nor whether the new password works afterwards.

use super::super::answer::{self, PromptValue};
use super::super::challenge::{Challenge, Field, Objection};
use super::super::component::PROMPT;
use super::super::password_change::{PasswordChangeFailure as Failure, PasswordChangeRequest};
use super::{
    ACCESS_DENIED, FLOW_ERROR, FlowError, MAX_REQUESTS, Next, PASSWORD, PLAIN_QUERY, Run, Stop, answer_to,
    excerpt,
};

/// Kinds of field that show something and ask nothing.
const SHOWN_ONLY: &[&str] = &[
    "alert_danger",
    "alert_info",
    "alert_warning",
    "separator",
    "static",
    "text_area_read_only",
    "text_read_only",
];
/// A kind of field that is sent back as it came.
const HIDDEN: &str = "hidden";
/// The kind of field that a password is typed into.
const SECRET: &str = "password";
/// Words by which the key of a field says that it is the password of before that belongs there.
const OF_BEFORE: &[&str] = &["current", "old"];
/// Prompts answered in one flow. authentik's own has one; a page for each of a few fields is as far as anybody goes.
const MAX_PROMPTS: usize = 4;

impl Run<'_> {
    /// Whether the new password was sent and not refused.
    pub(in crate::flow) fn may_have_written(&self) -> bool {
        self.written
    }

    /// Answers the prompts of a flow that is planned in the session, until it ends.
    pub(in crate::flow) async fn change(
        &mut self,
        request: &PasswordChangeRequest<'_>,
    ) -> Result<(), Failure> {
        self.query = PLAIN_QUERY;
        let mut next = Next::Fetch(self.url(PLAIN_QUERY));
        let mut prompts = 0;
        loop {
            let posted = match &next {
                Next::Answer { component, .. } => Some(*component),
                Next::Fetch(_) => None,
            };
            let sent_before = self.written;
            // From here on it may be in force, whatever is heard of it.
            self.written |= posted == Some(PROMPT);
            let challenge = match self.step(next).await? {
                Stop::Challenge(challenge) => challenge,
                Stop::Finished { .. } if prompts > 0 => return Ok(()),
                Stop::Finished { .. } => return Err(self.nothing_asked()),
                Stop::TooManySteps => return Err(too_many()),
            };
            if let Some(posted) = posted
                && challenge.errors().is_some()
            {
                self.written = sent_before;
                return Err(refusal(posted, &challenge));
            }
            next = match challenge.component.as_str() {
                PROMPT if prompts >= MAX_PROMPTS => return Err(too_many()),
                PROMPT => {
                    prompts += 1;
                    self.answer_prompt(&challenge, request)?
                }
                PASSWORD if posted == Some(PASSWORD) => return Err(too_many()),
                PASSWORD => {
                    let old = request.old.ok_or_else(|| self.old_password_needed())?;
                    answer_to(PASSWORD, answer::secret(old))
                }
                ACCESS_DENIED => {
                    let text = challenge.text("error_message").unwrap_or("no reason was given");
                    return Err(Failure::Denied { text: excerpt(text) });
                }
                FLOW_ERROR => {
                    return Err(Failure::Flow(FlowError::StageFailed {
                        request_id: challenge.text("request_id").map(excerpt),
                        error: challenge.text("error").map(excerpt),
                    }));
                }
                other => {
                    return Err(Failure::UnsupportedStage {
                        slug: self.slug.to_owned(),
                        component: excerpt(other),
                    });
                }
            };
        }
    }

    /// The answer to a prompt: the new password in each field of the kind for one.
    fn answer_prompt(
        &self,
        challenge: &Challenge,
        request: &PasswordChangeRequest<'_>,
    ) -> Result<Next, Failure> {
        let asks_more = |fields| Failure::AsksMore {
            slug: self.slug.to_owned(),
            fields,
        };
        let fields = challenge
            .prompt_fields()
            .ok_or_else(|| asks_more(vec!["something that is no list of fields".to_owned()]))?;
        let beyond = |field: &&Field<'_>| {
            field.kind != SECRET && field.kind != HIDDEN && !SHOWN_ONLY.contains(&field.kind)
        };
        let more: Vec<String> = fields
            .iter()
            .filter(beyond)
            .map(|field| excerpt(field.key))
            .collect();
        if !more.is_empty() {
            return Err(asks_more(more));
        }
        let (mut answers, mut asks_new) = (Vec::with_capacity(fields.len()), false);
        for field in fields {
            let value = match field.kind {
                SECRET if is_of_before(field.key) => {
                    PromptValue::Secret(request.old.ok_or_else(|| self.old_password_needed())?)
                }
                SECRET => {
                    asks_new = true;
                    PromptValue::Secret(request.new)
                }
                HIDDEN => PromptValue::Given(field.initial),
                _ => continue,
            };
            answers.push((field.key, value));
        }
        match asks_new {
            true => Ok(answer_to(PROMPT, answer::prompt(&answers))),
            false => Err(self.nothing_asked()),
        }
    }

    fn old_password_needed(&self) -> Failure {
        Failure::OldPasswordNeeded {
            slug: self.slug.to_owned(),
        }
    }

    fn nothing_asked(&self) -> Failure {
        Failure::NothingAsked {
            slug: self.slug.to_owned(),
        }
    }
}

fn too_many() -> Failure {
    Failure::Flow(FlowError::TooManySteps { limit: MAX_REQUESTS })
}

/// Whether the password of before belongs into a field with this key, such as `current_password`.
fn is_of_before(key: &str) -> bool {
    key.split(['_', '-', '.', ' '])
        .any(|word| OF_BEFORE.iter().any(|before| word.eq_ignore_ascii_case(before)))
}

/// What authentik's errors mean.
fn refusal(posted: &str, challenge: &Challenge) -> Failure {
    let objections = challenge.objections();
    let texts: Vec<&str> = objections
        .iter()
        .map(|objection| objection.text.as_str())
        .collect();
    let text = excerpt(&texts.join(" "));
    let says = |what: fn(&Objection) -> bool| objections.iter().any(what);
    if posted == PASSWORD {
        Failure::OldPasswordWrong { text }
    } else if says(|objection| objection.code == "blank" || objection.code == "required") {
        Failure::Blank { text }
    } else if says(|objection| objection.text.eq_ignore_ascii_case("Passwords don't match.")) {
        Failure::Mismatch { text }
    } else {
        Failure::Refused { text }
    }
}
