//! Why an outpost cannot be set up.

use akldap_authentik::ApiError;

use super::certificates::CertificateError;

/// Why an outpost cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OutpostError {
    /// The client for authentik cannot be made.
    #[error("cannot prepare the connection to authentik: {0}")]
    Client(#[from] ApiError),
    /// There is no usable certificate at all.
    #[error("cannot prepare TLS: {0}")]
    Certificate(#[from] CertificateError),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Random,
}
