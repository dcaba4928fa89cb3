//! A change of one's own password: in a session that the old password has just opened, otherwise in that of the bind.
//!
//! Must not know other people's passwords.

use std::sync::Arc;

use crate::outpost::access::{Logins, Rekeying};
use crate::outpost::audit::{ByWhat, PasswordChanged};
use crate::outpost::bind::proved::ProvedPassword;
use akldap_authentik::flow::{Executor, PasswordChangeFailure, PasswordChangeReport, PasswordChangeRequest};
use akldap_authentik::{Session, Timestamp};

use super::change::RequestedChange;
use super::failure::{self, ChangeFailure, of_own};
use super::shown::NewPasswords;

/// Changes people's own passwords.
pub(super) struct OwnPasswords {
    pub(super) executor: Arc<Executor>,
    pub(super) logins: Arc<Logins>,
    pub(super) new_passwords: Arc<NewPasswords>,
}

impl OwnPasswords {
    /// Changes the password of whoever asks, which was last set at `before`. `proved` is how the old one was shown to
    /// be right; `after_unknown`: an earlier change may still be written.
    pub(super) async fn change(
        &self,
        change: &RequestedChange<'_>,
        proved: Option<ProvedPassword>,
        before: Timestamp,
        after_unknown: bool,
        record: &mut PasswordChanged,
        kept: &mut Option<Rekeying>,
    ) -> Result<(), ChangeFailure> {
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
            Ok(()) => self.new_passwords.prove(change, before, None).await,
            // A flow that ends at once may have written what an earlier change left in it.
            Err(failure @ PasswordChangeFailure::NothingAsked { .. }) if after_unknown => {
                self.new_passwords
                    .prove(change, before, Some(failure.to_string()))
                    .await
            }
            Err(failure) if report.uncertain => {
                self.new_passwords
                    .prove(change, before, Some(failure.to_string()))
                    .await
            }
            Err(failure) => Err(of_own(failure)),
        }
    }

    async fn by_flow(&self, change: &RequestedChange<'_>, session: &Session) -> PasswordChangeReport {
        let request = PasswordChangeRequest {
            session,
            old: change.old,
            new: &change.new,
            client_ip: change.origin.client,
        };
        self.executor.change_password(&request).await
    }
}
