//! Setting the password of somebody else, in the session of whoever is bound: authentik's permissions decide.
//!
//! Must not know who has them.

use std::sync::Arc;

use crate::outpost::audit::{ByWhat, PasswordChanged};
use akldap_authentik::{ApiError, Client, Timestamp};

use super::change::RequestedChange;
use super::failure::{ChangeFailure, not_carried_out, of_agent};
use super::shown::NewPasswords;

/// Sets the passwords of others.
pub(super) struct OthersPasswords {
    pub(super) client: Client,
    pub(super) new_passwords: Arc<NewPasswords>,
}

impl OthersPasswords {
    /// Sets the password of somebody else, which was last set at `before`.
    pub(super) async fn change(
        &self,
        change: &RequestedChange<'_>,
        before: Timestamp,
        record: &mut PasswordChanged,
    ) -> Result<(), ChangeFailure> {
        record.by = ByWhat::Agent;
        let session = change.identity.login().session();
        let answer = self
            .client
            .set_password(&session, change.target.pk, &change.new, change.origin.client)
            .await;
        match answer {
            Ok(answer) => match of_agent(answer) {
                Some(failure) => Err(failure),
                None => self.new_passwords.prove(change, before, None).await,
            },
            Err(error @ ApiError::Unreachable { .. }) => Err(not_carried_out(error)),
            // Whatever answered, and with whatever status, authentik may have set it before.
            Err(error) => {
                self.new_passwords
                    .prove(change, before, Some(error.to_string()))
                    .await
            }
        }
    }
}
