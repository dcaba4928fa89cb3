//! What waits for the client, on its way into the stream. Must not know what it says.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use zeroize::Zeroize;

use super::super::tls_record::TlsRecordStream;

/// Answers are written once this much is waiting, or when there is nothing else to do.
pub(super) const WRITE_SIZE: usize = 32 * 1024;
/// A buffer that grew beyond this is given back when it is empty.
const KEEP_SIZE: usize = 16 * 1024;

/// The octets to write.
#[derive(Debug, Default)]
pub(super) struct Output {
    octets: Vec<u8>,
    written: usize,
    /// Octets that were written but not yet reported.
    sent: usize,
    /// Where in `octets` a TLS record should begin.
    record_at: usize,
    /// Everything is written, and TLS may still hold some of it back.
    flushing: bool,
    /// There is a secret in `octets`, which is to leave no copy behind.
    secret: bool,
}

impl Output {
    /// Where answers are appended.
    pub(super) fn octets(&mut self) -> &mut Vec<u8> {
        if self.secret && self.octets.capacity() - self.octets.len() < KEEP_SIZE {
            let mut larger = Vec::with_capacity(2 * (self.octets.len() + KEEP_SIZE));
            larger.extend_from_slice(&self.octets);
            std::mem::replace(&mut self.octets, larger).zeroize();
        }
        &mut self.octets
    }

    /// What is appended next is a secret: the buffer is overwritten once all is written, and before it moves.
    pub(super) fn holds_secret(&mut self) {
        self.secret = true;
    }

    /// Whether the buffer will be overwritten.
    #[cfg(test)]
    pub(super) fn is_secret(&self) -> bool {
        self.secret
    }

    /// How many octets are there, written ones included.
    pub(super) fn len(&self) -> usize {
        self.octets.len()
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Whether nothing waits to be written, and nothing is held back.
    pub(super) fn is_sent(&self) -> bool {
        self.octets.is_empty() && !self.flushing
    }

    /// Octets that are held, whether or not anything is in them.
    pub(super) fn capacity(&self) -> usize {
        self.octets.capacity()
    }

    /// How many octets were written since this was last asked.
    pub(super) fn take_sent(&mut self) -> usize {
        std::mem::take(&mut self.sent)
    }

    /// What is appended next begins a record.
    pub(super) fn begin_record(&mut self) {
        self.record_at = self.octets.len();
    }

    /// What was appended at this position begins a record.
    pub(super) fn begin_record_at(&mut self, position: usize) {
        self.record_at = position;
    }

    /// Removes what was appended after this position.
    pub(super) fn truncate(&mut self, position: usize) {
        self.octets.truncate(position);
    }

    /// Writes what is waiting; flushes when all of it is written. Returns how much was written.
    pub(super) fn poll_write<S: TlsRecordStream>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let front = self.octets.get(self.written..self.record_at);
        if let Some(front) = front.filter(|front| !front.is_empty()) {
            match stream.end_record(front) {
                // The session has no room for more until it has sent something.
                Ok(Some(taken)) if taken < front.len() => {
                    self.written += taken;
                    self.sent += taken;
                }
                Ok(taken) => {
                    self.written += taken.unwrap_or(0);
                    self.sent += taken.unwrap_or(0);
                    self.record_at = 0;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if self.written < self.octets.len() {
            let end = if self.record_at > self.written {
                self.record_at
            } else {
                self.octets.len()
            };
            let waiting = self.octets.get(self.written..end).unwrap_or_default();
            let count = ready!(Pin::new(&mut *stream).poll_write(context, waiting))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.sent += count;
            self.flushing = self.written >= self.octets.len();
            if self.flushing
                && let Poll::Ready(flushed) = Pin::new(stream).poll_flush(context)
            {
                self.flushing = false;
                flushed?;
            }
            return Poll::Ready(Ok(count));
        }
        if self.flushing {
            let flushed = ready!(Pin::new(stream).poll_flush(context));
            self.flushing = false;
            return Poll::Ready(flushed.map(|()| 0));
        }
        Poll::Pending
    }

    /// Frees what is written, once all of it is. Returns whether it is.
    pub(super) fn tidy(&mut self) -> bool {
        if self.written < self.octets.len() {
            return false;
        }
        self.wipe();
        self.octets.clear();
        (self.written, self.record_at) = (0, 0);
        if self.octets.capacity() > KEEP_SIZE {
            self.octets = Vec::new();
        }
        true
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.secret) {
            self.octets.zeroize();
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_with_a_secret_does_not_move_where_nobody_overwrites_it() {
        let mut output = Output::default();
        output.octets().extend_from_slice(b"an answer");
        output.holds_secret();
        output.octets().extend_from_slice(b"and a secret");
        for _ in 0..100 {
            let before = output.octets().as_ptr();
            output.octets.extend_from_slice(&[b'x'; KEEP_SIZE]);
            assert_eq!(output.octets.as_ptr(), before);
        }
        assert!(output.octets().starts_with(b"an answerand a secretxx"));
        output.written = output.len();
        assert!(output.tidy() && !output.secret);
        // Others are left to grow as they like.
        output.octets().push(b'x');
        assert!(output.capacity() < KEEP_SIZE);
    }
}
