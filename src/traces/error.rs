//! Why no spans can be sent, for an admin.

/// Why no spans can be sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// TLS cannot be set up.
    #[error("spans cannot be sent: {0}")]
    Tls(#[from] akldap_authentik::ApiError),
    /// The HTTP client cannot be made.
    #[error("spans cannot be sent: {0}")]
    Client(#[from] reqwest::Error),
    /// The exporter refuses its configuration.
    #[error("spans cannot be sent: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}
