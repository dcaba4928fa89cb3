//! What a connection comes over: TCP, or a stream in memory. Must not know what is said.

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;

/// Both directions of a connection.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes what is written be sent at once: answers are written whole, and waiting for more to send would only delay
    /// them.
    fn send_at_once(&self);

    /// Writes what there is room for now.
    fn write_now(&self, octets: &[u8]);
}

impl Socket for TcpStream {
    fn send_at_once(&self) {
        let _ = self.set_nodelay(true);
    }

    fn write_now(&self, octets: &[u8]) {
        let _ = self.try_write(octets);
    }
}

impl Socket for DuplexStream {
    fn send_at_once(&self) {}

    /// Whoever is refused there is only disconnected.
    fn write_now(&self, _octets: &[u8]) {}
}
