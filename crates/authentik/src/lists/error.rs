//! Why a list was not read, or its changes not reported.

use crate::error::ApiError;

/// Why a list was not read whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A page could not be fetched.
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
    /// A page that cannot be shown whole could not be split either: the server gives fewer rows per page than it gave
    /// before. A reading from the beginning finds out how many.
    #[error("pages of the {kind} list have fewer rows than were asked for")]
    SmallerPages {
        /// What is listed.
        kind: &'static str,
    },
}

/// Why a reading failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A list could not be read whole.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The changes do not add up to what is there: everything has to be read.
    #[error("it is not certain what changed: {0}")]
    Unexplained(String),
}

/// Why a look at what changed failed; `E` is the error of those who know the users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangesError<E> {
    /// authentik's lists.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What is known already cannot be asked.
    #[error("the users already known could not be read: {0}")]
    Known(E),
}
