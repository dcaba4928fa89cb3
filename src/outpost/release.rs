//! Which release of authentik we serve, and what follows from it. Asked once, and again when authentik may have been
//! replaced by another: after each gap in its events. Must not know when that is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::timeout;

use akldap_authentik::flow::CodeRule;
use akldap_authentik::{Client, Release};

/// What is known of authentik's release.
pub(super) struct KnownRelease {
    client: Client,
    /// Whether a password with a code is also tried without it, where the older rules apply.
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

    /// Call this when authentik may have been replaced.
    pub(super) fn doubt(&self) {
        self.fresh.store(false, Ordering::Relaxed);
    }

    /// Asks which release authentik is, if that is in doubt. If authentik does not say so in time, what is known stays; without any
    /// answer the older rules apply.
    pub(super) async fn learn(&self, patience: Duration) {
        if self.fresh.load(Ordering::Relaxed) {
            return;
        }
        let release = match timeout(patience, self.client.release()).await {
            Ok(Ok(release)) => release,
            Ok(Err(error)) => {
                tracing::debug!(%error, "authentik did not report its release");
                // A refusal stays one; a failure is asked again with the next look at the configuration, and so is what a proxy said.
                let is_refusal = !error.is_transient() && !error.is_foreign();
                self.fresh.store(is_refusal, Ordering::Relaxed);
                return;
            }
            Err(_) => {
                tracing::debug!(?patience, "authentik did not say in time which release it is");
                return;
            }
        };
        self.fresh.store(true, Ordering::Relaxed);
        if self.release.load().as_deref() != Some(&release) {
            let codes = match release.takes_codes_of_any_length() {
                true => "everything after the last ; of a password",
                false => "6 digits or 8 letters and digits after the last ; of a password",
            };
            tracing::info!(
                %release, codes,
                "authentik's release, and what a provider with MFA support treats as a code"
            );
            self.release.store(Some(release.into()));
        }
    }

    /// How `password;code` is split.
    pub(super) fn code_rule(&self) -> CodeRule {
        match &*self.release.load() {
            Some(release) if release.takes_codes_of_any_length() => CodeRule::LastSeparator,
            _ => CodeRule::ByForm {
                second_try: self.second_try,
            },
        }
    }
}
