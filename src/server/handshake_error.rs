//! Why a connection got no TLS, and what an admin can do about it.

use std::io;

use crate::metrics::HandshakeFailure;

/// Why there is no TLS.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// The client did not even try; what it spoke instead, if known.
    WrongProtocol(Option<&'static str>),
    /// The handshake failed.
    Tls(io::Error),
}

impl HandshakeError {
    /// What it counts as.
    pub(super) fn reason(&self) -> HandshakeFailure {
        use rustls::AlertDescription::{
            BadCertificate, CertificateExpired, CertificateUnknown, HandshakeFailure as NothingInCommon,
            InsufficientSecurity, ProtocolVersion, UnknownCA,
        };
        let Self::Tls(error) = self else {
            return HandshakeFailure::NotTls;
        };
        match tls_error(error) {
            Some(rustls::Error::AlertReceived(
                UnknownCA | BadCertificate | CertificateUnknown | CertificateExpired,
            )) => HandshakeFailure::CertificateRefused,
            Some(
                rustls::Error::PeerIncompatible(_)
                | rustls::Error::AlertReceived(ProtocolVersion | InsufficientSecurity | NothingInCommon),
            ) => HandshakeFailure::NothingInCommon,
            None if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
            ) =>
            {
                HandshakeFailure::Closed
            }
            _ => HandshakeFailure::Other,
        }
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Tls(error)
    }
}

/// What an admin can do about a failed handshake.
pub(super) fn hint(error: &io::Error) -> &'static str {
    use rustls::AlertDescription::{BadCertificate, CertificateExpired, CertificateUnknown, UnknownCA};
    match tls_error(error) {
        Some(rustls::Error::AlertReceived(
            UnknownCA | BadCertificate | CertificateUnknown | CertificateExpired,
        )) => {
            ": the client does not accept the certificate; install the issuing authority's certificate in \
             the client, or choose another certificate in the provider"
        }
        Some(rustls::Error::PeerIncompatible(_)) => {
            ": client and server have no version or cipher suite in common; see AUTHENTIK_LDAP__TLS_MIN_VERSION \
             (--tls-min-version) and AUTHENTIK_LDAP__TLS_CIPHER_SUITES (--tls-cipher-suites)"
        }
        _ => "",
    }
}
