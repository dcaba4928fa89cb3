//! The outpost's token as requests carry it, and how it is replaced while everything goes on.
//!
//! Knows the file it came from, if it came from one. Must not know when to look there: whoever learns that authentik
//! refuses it, or is told to, decides that. Never shows it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::error::ApiError;
use super::given_file;

/// Octets read of a token file at most. authentik's tokens have 60 characters.
const MOST_OCTETS: usize = 64 << 10;
/// How long reading it may take. Calls to authentik wait for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// One token, ready to be sent.
pub(crate) struct Credentials {
    secret: SecretString,
    bearer: HeaderValue,
    plain: HeaderValue,
}

impl Credentials {
    fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        // An empty value would be a valid header, and a control character or a space a broken one.
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let secret = |text: &str| {
            let mut value = HeaderValue::from_str(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        Some(Self {
            bearer: secret(&Zeroizing::new(format!("Bearer {token}")))?,
            plain: secret(token)?,
            secret: SecretString::from(token.to_owned()),
        })
    }

    /// The `Authorization` header.
    pub(crate) fn bearer(&self) -> &HeaderValue {
        &self.bearer
    }

    /// The token itself as a header.
    pub(crate) fn plain(&self) -> &HeaderValue {
        &self.plain
    }
}

/// The current token.
pub(crate) struct CurrentToken {
    current: ArcSwap<Credentials>,
    file: Option<PathBuf>,
    /// Notifies whoever keeps something under a key made from the token.
    replaced: Notify,
}

/// The result of reading the token again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRenewal {
    /// The file holds another token, which is used from now on.
    Replaced,
    /// The file holds the token in use.
    Unchanged,
    /// The token did not come from a file, so there is nothing to read again.
    NoFile,
}

/// Why a token file cannot be used. The token in use stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("the token file {path} cannot be read ({cause}); the token in use stays")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        cause: io::Error,
    },
    /// There is nothing in it.
    #[error("the token file {path} is empty; the token in use stays")]
    Empty {
        /// The file.
        path: String,
    },
    /// It contains no token.
    #[error(
        "the token file {path} does not hold a token, which consists of visible ASCII characters without spaces; the \
         token in use stays"
    )]
    Unusable {
        /// The file.
        path: String,
    },
}

impl fmt::Debug for CurrentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentToken")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl CurrentToken {
    pub(crate) fn new(token: &SecretString, file: Option<PathBuf>) -> Result<Self, ApiError> {
        let credentials = Credentials::new(token.expose_secret()).ok_or_else(|| {
            ApiError::Settings("AUTHENTIK_TOKEN contains characters that no token can have".to_owned())
        })?;
        Ok(Self {
            current: ArcSwap::from_pointee(credentials),
            file,
            replaced: Notify::new(),
        })
    }

    /// What requests carry from now on.
    pub(crate) fn current(&self) -> Arc<Credentials> {
        self.current.load_full()
    }

    /// The current token.
    pub(crate) fn secret(&self) -> SecretString {
        self.current.load().secret.clone()
    }

    /// Waits until the token has been replaced. For one waiter.
    pub(crate) async fn replaced(&self) {
        self.replaced.notified().await;
    }

    /// Reads the file again.
    pub(crate) async fn renew(&self) -> Result<TokenRenewal, TokenFileError> {
        let Some(file) = &self.file else {
            return Ok(TokenRenewal::NoFile);
        };
        let path = || file.display().to_string();
        let text = read(file)
            .await
            .map_err(|cause| TokenFileError::Unreadable { path: path(), cause })?;
        if text.trim().is_empty() {
            return Err(TokenFileError::Empty { path: path() });
        }
        let found = Credentials::new(&text).ok_or_else(|| TokenFileError::Unusable { path: path() })?;
        if found.secret.expose_secret() == self.current.load().secret.expose_secret() {
            return Ok(TokenRenewal::Unchanged);
        }
        self.current.store(Arc::new(found));
        self.replaced.notify_one();
        Ok(TokenRenewal::Replaced)
    }

    /// Whether there is another token than `used`, which authentik refused: one that another call has read meanwhile,
    /// or one that the file holds by now.
    pub(crate) async fn is_renewed_after(&self, used: &Arc<Credentials>) -> bool {
        if !Arc::ptr_eq(used, &self.current()) {
            return true;
        }
        match self.renew().await {
            Ok(renewal) => renewal == TokenRenewal::Replaced || !Arc::ptr_eq(used, &self.current()),
            Err(error) => {
                tracing::warn!(%error, "authentik refused the token, and there is no newer one");
                false
            }
        }
    }
}

async fn read(file: &Path) -> io::Result<Zeroizing<String>> {
    let file = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || given_file::read(&file, MOST_OCTETS, PATIENCE));
    let octets = reading.await.map_err(io::Error::other)??;
    let text = std::str::from_utf8(given_file::without_mark(&octets));
    text.map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_replaces_the_token_only_by_another_usable_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "first\n").unwrap();
        let token = CurrentToken::new(&SecretString::from("first"), Some(file.clone())).unwrap();
        let first = token.current();
        assert_eq!(token.renew().await.unwrap(), TokenRenewal::Unchanged);
        assert!(!token.is_renewed_after(&first).await);
        for empty in ["", " \n"] {
            std::fs::write(&file, empty).unwrap();
            let error = token.renew().await.unwrap_err().to_string();
            assert!(error.contains("is empty"), "{error}");
        }
        for bad in ["two words", "tökén"] {
            std::fs::write(&file, bad).unwrap();
            assert!(
                matches!(token.renew().await, Err(TokenFileError::Unusable { .. })),
                "{bad:.20}"
            );
            assert!(!token.is_renewed_after(&first).await);
        }
        std::fs::write(&file, "x\n".repeat(40_000)).unwrap();
        let error = token.renew().await.unwrap_err().to_string();
        assert!(error.contains("it is larger than 64 KiB"), "{error}");
        std::fs::write(&file, "\u{feff}second\r\n").unwrap();
        assert!(token.is_renewed_after(&first).await);
        assert_eq!(token.current().bearer().to_str().unwrap(), "Bearer second");
        // Whoever is refused with the old one only later need not read again.
        std::fs::remove_file(&file).unwrap();
        assert!(token.is_renewed_after(&first).await);
        assert!(matches!(
            token.renew().await,
            Err(TokenFileError::Unreadable { .. })
        ));
        assert_eq!(token.secret().expose_secret(), "second");
        let fixed = CurrentToken::new(&SecretString::from("first"), None).unwrap();
        assert_eq!(fixed.renew().await.unwrap(), TokenRenewal::NoFile);
        assert!(!format!("{token:?}{:?}", token.current().bearer()).contains("second"));
    }
}
