//! Why a list was not read, or what changed in it not told.

use crate::error::ApiError;

/// Why a list was not read whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A page could not be had.
    #[error("page {page} of the {kind} list cannot be read: {source}")]
    Page {
        /// What is listed.
        kind: &'static str,
        /// The page.
        page: u32,
        /// The last error.
        source: Box<ApiError>,
    },
    /// The server contradicts itself. Nothing is wrong with reading it again.
    #[error("the {kind} list changed while it was read: {problem}")]
    Inconsistent {
        /// What is listed.
        kind: &'static str,
        /// What does not fit.
        problem: String,
    },
}

/// Why a reading came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A list could not be read whole.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The changes do not add up to what is there: all has to be read.
    #[error("what changed cannot be told: {0}")]
    Unexplained(String),
}

/// Why a look at what changed came to nothing; `E` is what those who know the users cannot tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangesError<E> {
    /// authentik's lists.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What is known already cannot be asked.
    #[error("the users known already cannot be told: {0}")]
    Known(E),
}
