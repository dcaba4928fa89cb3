//! Where a TLS record ends. A client that waits for its socket after reading one record, as curl does, never sees an answer
//! whose last message came in that record: SearchResultDone begins its own record, sent together with what comes before it.
//!
//! Must not know LDAP.

use std::io::{self, Write};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

use super::rewind::Rewind;
use super::socket::Socket;

/// A stream on which octets can be closed off from those that follow.
pub(super) trait TlsRecordStream: AsyncRead + AsyncWrite + Unpin {
    /// Takes octets, to be sent with the next write, so that those of the next write begin a record. Returns how many there was
    /// room for; `None` where there are no records.
    ///
    /// # Errors
    /// When the session is over.
    fn end_record(&mut self, octets: &[u8]) -> io::Result<Option<usize>>;
}

impl<S: Socket> TlsRecordStream for Rewind<S> {
    fn end_record(&mut self, _octets: &[u8]) -> io::Result<Option<usize>> {
        Ok(None)
    }
}

impl<S: Socket> TlsRecordStream for TlsStream<Rewind<S>> {
    fn end_record(&mut self, octets: &[u8]) -> io::Result<Option<usize>> {
        let (_, session) = self.get_mut();
        session.writer().write(octets).map(Some)
    }
}
