//! A change of one's own password: in a session that the old password has just opened, else in that of the bind.
//!
//! Must not know other people's passwords.

use crate::outpost::access::Rekeying;
use crate::outpost::audit::{ByWhat, PasswordChanged};
use crate::outpost::bind::proved::ProvedPassword;
use akldap_authentik::Session;
use akldap_authentik::flow::{PasswordChangeReport, PasswordChangeRequest};
use akldap_ldap::response::ResultCode;

use super::failure::{self, ChangeFailure, of_own};
use super::{Change, PasswordChanges};

impl PasswordChanges {
    /// Changes the password of whoever asks.
    pub(super) async fn change_own(
        &self,
        change: &Change<'_>,
        record: &mut PasswordChanged,
        kept: &mut Option<Rekeying>,
    ) -> Result<(), ChangeFailure> {
        let proved = match change.old {
            Some(old) => {
                let attempt = change.attempt(old);
                let proved = self.judge.prove_old(&attempt, &change.target.uid).await;
                Some(proved.map_err(|refusal| failure::not_judged(refusal, ResultCode::UnwillingToPerform))?)
            }
            None => None,
        };
        let report = match proved {
            Some(ProvedPassword::Session(opened)) => {
                record.by = ByWhat::FreshLogin;
                let report = self.by_flow(change, &opened.session()).await;
                if let Some(session) = report.session.clone() {
                    opened.moved_to(session);
                }
                report
            }
            Some(ProvedPassword::Accepted) | None => {
                record.by = ByWhat::Bind;
                let login = change.identity.login();
                let rekeying = self.logins.rekey(login).ok_or_else(failure::session_over)?;
                let report = self.by_flow(change, &login.session()).await;
                if let Some(session) = report.session.clone() {
                    rekeying.moved_to(session);
                }
                *kept = Some(rekeying);
                report
            }
        };
        match report.result {
            Ok(()) => self.prove(change, None).await,
            Err(failure) if report.uncertain => self.prove(change, Some(failure.to_string())).await,
            Err(failure) => Err(of_own(failure)),
        }
    }

    async fn by_flow(&self, change: &Change<'_>, session: &Session) -> PasswordChangeReport {
        // What is kept of the old password counts no more from the moment in which it may be another.
        self.cache.void(change.target.pk);
        let request = PasswordChangeRequest {
            session,
            old: change.old,
            new: &change.new,
            client_ip: change.origin.client,
        };
        self.executor.change_password(&request).await
    }
}
