//! Why authentik cannot be reached, distinguished as far as an admin can act on it.
//!
//! Knows how reqwest, hyper and rustls wrap their causes. Must not know URLs.

use std::error::Error as StdError;
use std::io;

use super::excerpt::excerpt;

/// Why no HTTP exchange took place at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// The host name has no address.
    #[error("the host name cannot be resolved ({0})")]
    Dns(String),
    /// Nothing listens on the port.
    #[error("connection refused")]
    Refused,
    /// No route, network unreachable, or the connection was dropped while it was being made.
    #[error("cannot connect ({0})")]
    Network(String),
    /// The connection could not be made in time.
    #[error("connecting timed out")]
    ConnectTimeout,
    /// The certificate's issuer is not trusted.
    #[error("its certificate was issued by an unknown authority")]
    UnknownAuthority,
    /// The certificate is for another name.
    #[error("its certificate is for another host name ({0})")]
    WrongName(String),
    /// The certificate, or another of its chain, has expired or is not valid yet.
    #[error("its certificate, or one of its issuers', has expired or is not valid yet")]
    Expired,
    /// Another TLS failure.
    #[error("TLS failed ({0})")]
    Tls(String),
}

impl Unreachable {
    /// The reason why a connection could not be made, if that is what the error is about.
    pub(crate) fn of(error: &reqwest::Error) -> Option<Self> {
        if let Some(cause) = tls_cause(error) {
            return Some(cause);
        }
        if !error.is_connect() {
            return None;
        }
        if error.is_dns() {
            return Some(Self::Dns(innermost(error)));
        }
        Some(match io_kind(error) {
            Some(io::ErrorKind::ConnectionRefused) => Self::Refused,
            Some(io::ErrorKind::TimedOut) => Self::ConnectTimeout,
            _ if error.is_timeout() => Self::ConnectTimeout,
            _ => Self::Network(innermost(error)),
        })
    }
}

fn tls_cause(error: &(dyn StdError + 'static)) -> Option<Unreachable> {
    use rustls::CertificateError as Certificate;
    let tls = find::<rustls::Error>(error)?;
    Some(match tls {
        rustls::Error::InvalidCertificate(Certificate::UnknownIssuer) => Unreachable::UnknownAuthority,
        rustls::Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => Unreachable::WrongName(tls.to_string()),
        rustls::Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => Unreachable::Expired,
        // A server certificate without extensions or with CA:TRUE is what a home-made self-signed one looks like.
        rustls::Error::InvalidCertificate(Certificate::Other(other))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            Unreachable::UnknownAuthority
        }
        other => Unreachable::Tls(other.to_string()),
    })
}

fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    find::<io::Error>(error).map(io::Error::kind)
}

/// Finds a typed cause. `io::Error::source` skips the error it wraps, so we look inside.
fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = find::<T>(inner)
        {
            return Some(found);
        }
        current = error.source();
    }
    None
}

/// The text of the innermost cause: the outer ones only repeat the URL.
pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    excerpt(&current.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_error_inside_an_io_error_is_found() {
        let inner = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let error = io::Error::new(io::ErrorKind::InvalidData, inner);
        assert_eq!(tls_cause(&error), Some(Unreachable::UnknownAuthority));
    }
}
