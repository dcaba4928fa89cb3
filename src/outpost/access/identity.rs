//! Who a connection is. Must not know how it became so.

use std::borrow::Cow;
use std::sync::Arc;

use crate::outpost::provider::Provider;
use crate::outpost::sound::sound;
use akldap_directory::{Snapshot, Viewer};

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

    /// The DN of the user's entry, as this directory shows it to their provider; the name the client bound with if it
    /// does not know the user.
    pub fn entry_dn(&self, directory: Option<&Snapshot>, provider: &Provider) -> Cow<'_, str> {
        directory
            .and_then(|directory| {
                let user = directory.user_by_pk(self.user_pk())?;
                let user = sound(directory.user(user))?;
                Some(provider.tree().user_dn(user.username).into())
            })
            .unwrap_or(Cow::Borrowed(&self.dn))
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
