//! What waits for the client, on its way into the stream. Must not know what it says.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::super::record::RecordStream;
use super::{Connection, Event};

/// A buffer that grew beyond this is given back when it is empty.
const KEEP_SIZE: usize = 16 * 1024;

impl<S: RecordStream> Connection<'_, S> {
    /// Writes what is waiting; flushes when all of it went, as TLS may hold octets back.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Some(front) = self
            .output
            .get(self.written..self.record_at)
            .filter(|front| !front.is_empty())
        {
            match self.stream.end_record(front) {
                // The session has no room for more before it has sent something.
                Ok(Some(taken)) if taken < front.len() => self.written += taken,
                Ok(taken) => {
                    self.written += taken.unwrap_or(0);
                    self.record_at = 0;
                }
                Err(error) => return Poll::Ready(Event::Wrote(Err(error))),
            }
        }
        if self.written < self.output.len() {
            let end = if self.record_at > self.written {
                self.record_at
            } else {
                self.output.len()
            };
            let waiting = self.output.get(self.written..end).unwrap_or_default();
            let wrote = ready!(Pin::new(&mut self.stream).poll_write(context, waiting));
            return Poll::Ready(Event::Wrote(match wrote {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    self.flushing = self.written >= self.output.len();
                    if self.flushing
                        && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(context)
                    {
                        self.flushing = false;
                        if let Err(error) = flushed {
                            return Poll::Ready(Event::Wrote(Err(error)));
                        }
                    }
                    Ok(count)
                }
                Err(error) => Err(error),
            }));
        }
        if self.flushing {
            let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
            self.flushing = false;
            return Poll::Ready(Event::Wrote(flushed.map(|()| 0)));
        }
        Poll::Pending
    }

    pub(super) fn after_write(&mut self) {
        self.last_progress = Instant::now();
        self.waiting_since = None;
        if self.written < self.output.len() {
            return;
        }
        self.output.clear();
        (self.written, self.record_at) = (0, 0);
        if self.output.capacity() > KEEP_SIZE {
            self.output = Vec::new();
        }
        self.process();
    }
}
