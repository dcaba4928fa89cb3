//! What was read from a client and not yet carried out. Passwords pass through it, so it never gives memory back, or
//! moves to a larger buffer, without overwriting what held them.
//!
//! Must not know LDAP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use zeroize::Zeroize;

/// Space for reading that an idle connection keeps.
const READ_SIZE: usize = 4 * 1024;
/// A buffer that grew beyond this is given back when it is empty.
const KEEP_SIZE: usize = 16 * 1024;

/// The octets read and not yet taken.
///
/// Invariant: outside `taken..filled` there is nothing secret that [`Input::take`] was told about.
#[derive(Debug)]
pub(super) struct Input {
    octets: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl Input {
    pub(super) fn new() -> Self {
        Self {
            octets: vec![0; READ_SIZE],
            taken: 0,
            filled: 0,
        }
    }

    /// What has been read.
    pub(super) fn pending(&self) -> &[u8] {
        self.octets.get(self.taken..self.filled).unwrap_or_default()
    }

    /// How many octets are there.
    pub(super) fn len(&self) -> usize {
        self.filled - self.taken
    }

    /// Octets that are held, whether or not anything is in them.
    pub(super) fn capacity(&self) -> usize {
        self.octets.len()
    }

    /// Takes the next `count` octets away. A secret among them is overwritten.
    pub(super) fn take(&mut self, count: usize, secret: bool) {
        let end = (self.taken + count).min(self.filled);
        if secret && let Some(octets) = self.octets.get_mut(self.taken..end) {
            octets.zeroize();
        }
        self.taken = end;
    }

    /// Takes everything away, and overwrites it.
    pub(super) fn clear(&mut self) {
        self.wipe();
        (self.taken, self.filled) = (0, 0);
    }

    /// Frees what an unusually large message needed, once nothing is left.
    pub(super) fn tidy(&mut self) {
        if self.taken < self.filled {
            return;
        }
        if self.octets.len() > KEEP_SIZE {
            *self = Self::new();
        }
    }

    /// Reads once; 0 is the end of the stream.
    pub(super) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let mut buffer = ReadBuf::new(self.octets.get_mut(self.filled..).unwrap_or_default());
        let result = Pin::new(stream).poll_read(context, &mut buffer);
        let count = buffer.filled().len();
        self.filled += count;
        result.map_ok(|()| count)
    }

    /// Moves what is there to the front, and to a larger place when that is not enough.
    fn make_room(&mut self) {
        if self.taken == self.filled {
            (self.taken, self.filled) = (0, 0);
            return;
        }
        let room = READ_SIZE / 2;
        if self.octets.len() - self.filled >= room {
            return;
        }
        let length = self.len();
        if self.octets.len() - length >= room {
            self.octets.copy_within(self.taken..self.filled, 0);
            if let Some(rest) = self.octets.get_mut(length..self.filled) {
                rest.zeroize();
            }
        } else {
            let mut larger = vec![0; (self.octets.len() * 2).max(length + READ_SIZE)];
            if let Some(front) = larger.get_mut(..length) {
                front.copy_from_slice(self.pending());
            }
            self.wipe();
            self.octets = larger;
        }
        (self.taken, self.filled) = (0, length);
    }

    fn wipe(&mut self) {
        if let Some(octets) = self.octets.get_mut(self.taken..self.filled) {
            octets.zeroize();
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn read(input: &mut Input, mut octets: &[u8]) {
        while !octets.is_empty() {
            poll_fn(|context| input.poll_read(&mut octets, context))
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn octets_come_out_as_they_went_in_however_it_grows() {
        let mut input = Input::new();
        let all: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
        let mut out = Vec::new();
        for piece in all.chunks(3_333) {
            read(&mut input, piece).await;
            let count = input.len() / 3;
            out.extend_from_slice(&input.pending()[..count]);
            input.take(count, false);
        }
        out.extend_from_slice(input.pending());
        assert_eq!(out, all);
        input.take(input.len(), false);
        input.tidy();
        assert!(input.octets.len() <= KEEP_SIZE && input.len() == 0);
        read(&mut input, &all).await;
        input.take(input.len(), false);
        input.tidy();
        assert_eq!(
            input.octets.len(),
            READ_SIZE,
            "what a large message needed is given back"
        );
    }

    #[tokio::test]
    async fn no_secret_stays_behind_what_is_there() {
        let secret = |input: &Input| input.octets.contains(&b'S');
        let mut input = Input::new();
        read(&mut input, &[[b'a'; 3000].as_slice(), &[b'S'; 500]].concat()).await;
        input.take(3000, false);
        read(&mut input, b"SS").await;
        assert_eq!(
            input.taken, 0,
            "there was too little room, so the secret went to the front"
        );
        assert!(input.octets[input.filled..].iter().all(|octet| *octet == 0));
        input.take(502, true);
        assert!(!secret(&input));
        read(&mut input, &[b'S'; 30_000]).await;
        input.clear();
        assert!(!secret(&input));
        read(&mut input, &[b'S'; 10]).await;
        input.take(4, true);
        input.wipe();
        assert!(!secret(&input));
    }
}
