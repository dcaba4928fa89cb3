//! Setting the password of somebody else, in the session of whoever is bound: authentik's permissions decide.
//!
//! Must not know who has them.

use crate::outpost::audit::{ByWhat, PasswordChanged};
use akldap_authentik::ApiError;
use akldap_ldap::response::ResultCode;

use super::failure::{ChangeFailure, not_carried_out, not_judged, of_agent};
use super::{Change, PasswordChanges};

impl PasswordChanges {
    /// Sets the password of somebody else. The old one is proved if it is given, as RFC 3062 asks.
    pub(super) async fn change_for(
        &self,
        change: &Change<'_>,
        record: &mut PasswordChanged,
    ) -> Result<(), ChangeFailure> {
        record.by = ByWhat::Agent;
        if let Some(old) = change.old {
            let attempt = change.attempt(old);
            let proved = self.judge.prove_old(&attempt, &change.target.uid).await;
            proved.map_err(|refusal| not_judged(refusal, ResultCode::Unavailable))?;
        }
        // What is kept of the old password counts no more from the moment in which it may be another.
        self.cache.void(change.target.pk);
        let session = change.identity.login().session();
        let answer = self
            .client
            .set_password(&session, change.target.pk, &change.new, change.origin.client)
            .await;
        match answer {
            Ok(answer) => match of_agent(answer) {
                Some(failure) => Err(failure),
                None => self.prove(change, None).await,
            },
            Err(error) if is_verdict(&error) => Err(not_carried_out(error)),
            Err(error) => self.prove(change, Some(error.to_string())).await,
        }
    }
}

/// Whether authentik surely did not set it: it was not reached, or it refused the request as such.
fn is_verdict(error: &ApiError) -> bool {
    match error {
        ApiError::Unreachable { .. } | ApiError::Throttled { .. } => true,
        ApiError::Status { status, .. } => (400..500).contains(status) && *status != 408,
        _ => false,
    }
}
