//! Which release of authentik we serve for, and what follows from it. Asked once, and again when authentik may have been
//! replaced by another: after each gap in its events. Must not know when that is.

use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;

use akldap_authentik::flow::CodeRule;
use akldap_authentik::{Client, Release};

/// What is known of authentik's release.
pub(super) struct KnownRelease {
    client: Client,
    /// Whether a password with a code is tried without it too, where the older rules hold.
    second_try: bool,
    release: ArcSwapOption<Release>,
    /// It was asked for since the last gap.
    fresh: AtomicBool,
}

impl KnownRelease {
    /// Nothing is known yet. `second_try` is whether the older rules for codes have one.
    pub(super) fn new(client: Client, second_try: bool) -> Self {
        Self {
            client,
            second_try,
            release: ArcSwapOption::empty(),
            fresh: AtomicBool::new(false),
        }
    }

    /// To be called when authentik may have been replaced.
    pub(super) fn doubt(&self) {
        self.fresh.store(false, Ordering::Relaxed);
    }

    /// Asks which release authentik is, if that is in doubt. An authentik that does not say keeps what is known: without
    /// an answer the older rules hold.
    pub(super) async fn learn(&self) {
        if self.fresh.load(Ordering::Relaxed) {
            return;
        }
        let release = match self.client.release().await {
            Ok(release) => release,
            Err(error) => {
                tracing::debug!(%error, "authentik does not say which release it is");
                // A refusal stays one; a failure is asked again with the next look at the configuration.
                self.fresh.store(!error.is_transient(), Ordering::Relaxed);
                return;
            }
        };
        self.fresh.store(true, Ordering::Relaxed);
        if self.release.load().as_deref() != Some(&release) {
            let codes = match release.takes_codes_of_any_length() {
                true => "everything after the last ; of a password",
                false => "6 digits or 8 letters and digits after the last ; of a password",
            };
            tracing::info!(%release, codes, "the release of authentik; what a provider with MFA support takes for a code");
            self.release.store(Some(release.into()));
        }
    }

    /// How `password;code` is taken apart.
    pub(super) fn code_rule(&self) -> CodeRule {
        match &*self.release.load() {
            Some(release) if release.takes_codes_of_any_length() => CodeRule::LastSeparator,
            _ => CodeRule::Shaped {
                second_try: self.second_try,
            },
        }
    }
}
