//! When a password was last set, according to the user's row. A login with the new one proves nothing by itself: where the flow
//! takes app passwords, an equal one lets the user in although the change was lost. The date moves with every password that is set.
//!
//! Must not know how a password is changed.

use std::sync::Arc;
use std::time::Duration;

use crate::outpost::bind::judge::Judge;
use akldap_authentik::{Client, Timestamp};

use super::change::RequestedChange;
use super::failure::{self, ChangeFailure, unknown};
use super::target::ChangeTarget;

/// The wait before each reading of the row after a change: authentik may read from a copy of its database that is a moment behind.
const READINGS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(250), Duration::from_secs(1)];

/// Shows that new passwords are in force.
pub(super) struct NewPasswords {
    pub(super) client: Client,
    pub(super) judge: Arc<Judge>,
}

impl NewPasswords {
    /// The date before a change. Nothing is sent if it cannot be known, nor if the user is not the one whom the directory shows, nor for
    /// one whom authentik does not let in: the new password could not be shown to be right.
    pub(super) async fn date_before(&self, target: &ChangeTarget) -> Result<Timestamp, ChangeFailure> {
        match self.client.user(target.pk).await {
            // Whoever was meant by the name may have another one by now, and somebody else this one.
            Ok(Some((user, _))) if user.username != target.username || user.uid != target.uid => {
                Err(failure::renamed())
            }
            Ok(Some((user, _))) if user.is_active => Ok(user.password_change_date),
            Ok(Some(_)) => Err(failure::deactivated()),
            Ok(None) => Err(failure::gone()),
            Err(error) => Err(failure::not_carried_out(error)),
        }
    }

    /// Shows that the new password is the user's by now, whatever was heard of the change itself: it was set since `before`, and it
    /// lets the user in. `heard` is what was heard.
    pub(super) async fn prove(
        &self,
        change: &RequestedChange<'_>,
        before: Timestamp,
        heard: Option<String>,
    ) -> Result<(), ChangeFailure> {
        let heard = heard.unwrap_or_else(|| "authentik said that the password was changed".to_owned());
        let attempt = change.attempt(&change.new);
        if let Err(refusal) = self.judge.prove_new(&attempt, &change.target.uid).await {
            let cause = refusal.cause;
            return Err(unknown(format!(
                "{heard}; the new one could not be proved: {cause}"
            )));
        }
        let set = self.was_set_since(change.target.pk, before).await;
        set.map_err(|doubt| unknown(format!("{heard}; the new one lets the user in, but {doubt}")))
    }

    async fn was_set_since(&self, user_pk: i64, before: Timestamp) -> Result<(), String> {
        let mut doubt = String::new();
        for pause in READINGS {
            tokio::time::sleep(pause).await;
            doubt = match self.client.user(user_pk).await {
                Ok(Some((user, _))) => match user.password_change_date {
                    date if date.micros().is_none() => {
                        return Err("authentik does not say when it was set".to_owned());
                    }
                    date if date != before => return Ok(()),
                    _ => "authentik says that no password was set: an app password may be the \
                         same"
                        .to_owned(),
                },
                Ok(None) => return Err("authentik no longer knows the user".to_owned()),
                Err(error) => format!("the time it was set could not be read: {error}"),
            };
        }
        Err(doubt)
    }
}
