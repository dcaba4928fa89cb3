//! Who a connection acts as. Must not know how that came about.

use std::sync::Arc;

use crate::outpost::provider::Provider;
use akldap_directory::{Snapshot, Viewer, WrongNumber};

use super::ending::Ending;
use super::login::Login;

/// A connection's identity: a login under the name it was bound with.
#[derive(Debug)]
pub struct Identity {
    login: Arc<Login>,
    dn: String,
}

impl Identity {
    pub(in crate::outpost) fn new(login: Arc<Login>, dn: String) -> Self {
        login.review().connect();
        Self { login, dn }
    }

    /// The name the client bound with.
    pub fn dn(&self) -> &str {
        &self.dn
    }

    /// The DN of the user's entry, as this directory shows it for their provider; `None` if it does not know the user.
    ///
    /// # Errors
    /// When a number in the directory points nowhere.
    pub fn entry_dn(
        &self,
        directory: Option<&Snapshot>,
        provider: &Provider,
    ) -> Result<Option<String>, WrongNumber> {
        let user = directory.and_then(|directory| Some((directory, directory.user_by_pk(self.user_pk())?)));
        let dn = user.map(|(directory, user)| provider.tree().user_dn(directory, user));
        dn.transpose()
    }

    /// The user's key in authentik.
    pub fn user_pk(&self) -> i64 {
        self.login.user_pk()
    }

    /// The login it is.
    pub(in crate::outpost) fn login(&self) -> &Arc<Login> {
        &self.login
    }

    /// The provider bound to.
    pub fn provider(&self) -> &Arc<Provider> {
        self.login.provider()
    }

    /// Whether the whole directory may be searched.
    pub fn may_search_everything(&self) -> bool {
        self.login.may_search_everything()
    }

    /// What searches show.
    pub fn viewer(&self) -> Viewer {
        if self.may_search_everything() {
            Viewer::Full
        } else {
            Viewer::Own {
                user_pk: self.user_pk(),
            }
        }
    }

    /// Waits until the login is over.
    pub async fn ended(self: Arc<Self>) -> Ending {
        self.login.over().await
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.login.review().disconnect();
    }
}
