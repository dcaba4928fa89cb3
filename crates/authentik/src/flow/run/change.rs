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
use crate::password::in_words;

/// Kinds of field that show something and ask for nothing.
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
/// Words in the key of a field that say that the old password belongs there.
const OF_BEFORE: &[&str] = &["current", "old"];
/// What is written for "password" in such keys.
const PASSWORD_WORDS: &[&str] = &["pass", "passwd", "password", "pw", "pwd"];
/// Prompts answered in one flow. authentik's own has one; nobody goes further than a page for each of a few fields.
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
            let (sent_before, requests_before) = (self.written, self.requests);
            // From here on it may be in effect, whatever the response.
            self.written |= posted == Some(PROMPT);
            let challenge = match self.step(next).await.map_err(of_this_flow)? {
                Stop::Challenge(challenge) => challenge,
                Stop::Finished { .. } if prompts > 0 => return Ok(()),
                Stop::Finished { .. } => return Err(self.nothing_asked()),
                Stop::TooManySteps => return Err(too_many()),
            };
            if let Some(posted) = posted
                && challenge.errors().is_some()
            {
                // A redirect says that authentik took the answer: errors after it are not about that answer.
                if self.requests > requests_before + 1 {
                    return Err(Failure::Flow(FlowError::StageFailed {
                        request_id: None,
                        error: Some("it objects to an answer that it had accepted".to_owned()),
                    }));
                }
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
            .ok_or_else(|| asks_more(vec!["something other than a list of fields".to_owned()]))?;
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
                SECRET if is_for_the_old_password(field.key) => {
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

/// What an error of a flow means for one that no provider names.
fn of_this_flow(error: FlowError) -> Failure {
    match error {
        FlowError::FlowNotFound { slug } => Failure::FlowMissing { slug },
        error => error.into(),
    }
}

fn too_many() -> Failure {
    Failure::Flow(FlowError::TooManySteps { limit: MAX_REQUESTS })
}

/// Whether the old password belongs in a field with this key, such as `current_password`, `currentPassword` and
/// `oldpassword`, but not `threshold`.
fn is_for_the_old_password(key: &str) -> bool {
    let mut words = String::with_capacity(2 * key.len());
    let mut before = ' ';
    for character in key.chars() {
        if character.is_uppercase() && before.is_lowercase() {
            words.push(' ');
        }
        words.push(if character.is_alphanumeric() {
            character
        } else {
            ' '
        });
        before = character;
    }
    words.make_ascii_lowercase();
    words.split(' ').any(|word| {
        OF_BEFORE.iter().any(|before| {
            let rest = word.strip_prefix(before);
            rest.is_some_and(|rest| rest.is_empty() || PASSWORD_WORDS.contains(&rest))
        })
    })
}

/// What authentik's errors mean.
fn refusal(posted: &str, challenge: &Challenge) -> Failure {
    let objections = challenge.objections();
    let texts: Vec<&str> = objections
        .iter()
        .map(|objection| objection.text.as_str())
        .collect();
    let text = in_words(&texts.join(" "));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_field_says_which_password_belongs_there() {
        for key in [
            "current_password",
            "currentPassword",
            "currentpassword",
            "Old-Password",
            "oldpasswd",
            "password.old",
            "passwordOld",
            "OLD",
        ] {
            assert!(is_for_the_old_password(key), "{key}");
        }
        for key in [
            "password",
            "password_repeat",
            "threshold",
            "household_password",
            "oldest",
            "newPassword",
            "",
        ] {
            assert!(!is_for_the_old_password(key), "{key}");
        }
    }
}
