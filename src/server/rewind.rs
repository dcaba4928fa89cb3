//! A stream that returns octets already read from it before it reads on: what was read to find out which protocol
//! follows belongs to that protocol.
//!
//! Those octets may hold a password, so they are overwritten once they are handed out. Must not know any protocol.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use zeroize::Zeroizing;

/// Octets looked at in advance: room for a TLS client hello or a short LDAP request.
const LOOK_AHEAD: usize = 512;

/// A stream with octets put back in front.
#[derive(Debug)]
pub(super) struct Rewind<S> {
    front: Zeroizing<Vec<u8>>,
    given: usize,
    stream: S,
}

impl<S> Rewind<S> {
    pub(super) fn new(front: Zeroizing<Vec<u8>>, stream: S) -> Self {
        // An empty one need not keep its buffer for the life of the connection.
        let front = Some(front).filter(|front| !front.is_empty());
        Self {
            front: front.unwrap_or_default(),
            given: 0,
            stream,
        }
    }

    /// The octets that will be handed out before the stream is read.
    pub(super) fn front(&self) -> &[u8] {
        self.front.get(self.given..).unwrap_or_default()
    }

    /// The underlying stream.
    pub(super) fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> Rewind<S> {
    /// Reads until there is something to return first, or the stream has ended.
    pub(super) async fn look_ahead(&mut self) -> io::Result<()> {
        if self.front().is_empty() {
            // Never grown, so that no copy is left behind.
            let mut front = Zeroizing::new(Vec::with_capacity(LOOK_AHEAD));
            let mut limited = (&mut self.stream).take(LOOK_AHEAD as u64);
            limited.read_buf(&mut *front).await?;
            (self.front, self.given) = (front, 0);
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewind<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let front = self.front();
        if front.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = front.len().min(buffer.remaining());
        buffer.put_slice(front.get(..count).unwrap_or_default());
        self.given += count;
        if self.front().is_empty() {
            self.front = Zeroizing::default();
            self.given = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewind<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn octets_put_back_come_first_and_only_once() {
        let mut stream = Rewind::new(Zeroizing::new(b"abc".to_vec()), &b"def"[..]);
        stream.look_ahead().await.unwrap();
        assert_eq!(stream.front(), b"abc", "there was something in front already");
        let mut two = [0; 2];
        stream.read_exact(&mut two).await.unwrap();
        assert_eq!((&two, stream.front()), (b"ab", &b"c"[..]));
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"cdef");
    }

    #[tokio::test]
    async fn looking_ahead_loses_nothing() {
        let octets = [7; 2 * LOOK_AHEAD];
        let mut stream = Rewind::new(Zeroizing::default(), &octets[..]);
        stream.look_ahead().await.unwrap();
        assert_eq!(stream.front().len(), LOOK_AHEAD);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, octets);
        stream.look_ahead().await.unwrap();
        assert_eq!(stream.front(), b"", "the end of the stream is no octet");
    }
}
