//! Octets encrypted and authenticated in chunks, as a stream: what was written comes out again whole and in order, or
//! not at all.
//!
//! The head is a magic number, the format's version and a random salt. Token, host and salt make a key that no other
//! file has, so the number of a chunk can be its nonce. Head, number and whether it is the last are authenticated with
//! each chunk: a file that is changed, cut off, continued or put together from others does not open. Must not know
//! what the octets mean.

use std::io::{self, ErrorKind, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The first octets of every snapshot file.
const MAGIC: &[u8; 8] = b"akldapSF";
/// Raised whenever an earlier file can no longer be read; such a file is ignored.
const VERSION: u32 = 1;
const SALT: usize = 32;
const HEAD: usize = MAGIC.len() + size_of::<u32>() + SALT;
/// Plain octets of every chunk but the last, which has at most as many.
pub(super) const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;
/// Separates this use of the token from all others (BLAKE3's key derivation).
const CONTEXT: &str = "akldap 2026-11-23 snapshot file";

/// Why sealed octets cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    /// The file ends before the head does, or begins differently.
    #[error("it is no snapshot file of akldap")]
    Foreign,
    /// Written by another version.
    #[error("its format is version {0}, and this release reads version {VERSION}")]
    Version(u32),
    /// A chunk does not open.
    #[error("it was written with another token or host, or is damaged or cut off")]
    Broken,
    /// Encryption failed.
    #[error("it cannot be encrypted")]
    Cipher,
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What the keys of all files of one outpost are made from.
pub(super) struct FileSecret(Zeroizing<[u8; 32]>);

impl FileSecret {
    /// Of the outpost's token and authentik's URL: a copy of an installation has the same token.
    pub(super) fn new(token: &SecretString, host: &str) -> Self {
        let token = token.expose_secret().trim();
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        for part in [token, host] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(Zeroizing::new(*hasher.finalize().as_bytes()))
    }
}

/// The key of one file, and where in the file we are.
struct Cipher {
    key: LessSafeKey,
    head: [u8; HEAD],
    number: u64,
}

impl Cipher {
    fn new(secret: &FileSecret, head: [u8; HEAD]) -> Result<Self, SealError> {
        let key = Zeroizing::new(*blake3::keyed_hash(&secret.0, &head).as_bytes());
        let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| SealError::Cipher)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            head,
            number: 0,
        })
    }

    /// The nonce of the next chunk, and what is authenticated with it.
    fn next(&mut self, last: bool) -> Result<(Nonce, Aad<[u8; HEAD + 9]>), SealError> {
        let number = self.number.to_be_bytes();
        self.number = self.number.checked_add(1).ok_or(SealError::Cipher)?;
        let mut nonce = [0; NONCE_LEN];
        let mut aad = [0; HEAD + 9];
        let parts = self.head.iter().chain(&number).copied().chain([u8::from(last)]);
        aad.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        nonce.iter_mut().zip(number).for_each(|(to, from)| *to = from);
        Ok((Nonce::assume_unique_for_key(nonce), Aad::from(aad)))
    }
}

/// Writes sealed octets. None of it opens unless it is [finished](Self::finish).
pub(super) struct Sealer<W> {
    cipher: Cipher,
    plain: Vec<u8>,
    out: W,
}

impl<W: Write> Sealer<W> {
    /// Begins with the head. `salt` is random.
    pub(super) fn new(secret: &FileSecret, salt: &[u8; SALT], mut out: W) -> Result<Self, SealError> {
        let mut head = [0; HEAD];
        let parts = MAGIC.iter().copied().chain(VERSION.to_le_bytes()).chain(*salt);
        head.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        out.write_all(&head)?;
        Ok(Self {
            cipher: Cipher::new(secret, head)?,
            plain: Vec::with_capacity(CHUNK + TAG),
            out,
        })
    }

    /// Adds octets.
    pub(super) fn push(&mut self, mut octets: &[u8]) -> Result<(), SealError> {
        while !octets.is_empty() {
            // A full chunk waits until it is known not to be the last.
            if self.plain.len() == CHUNK {
                self.seal(false)?;
            }
            let room = CHUNK.saturating_sub(self.plain.len()).min(octets.len());
            let (now, later) = octets.split_at(room);
            self.plain.extend_from_slice(now);
            octets = later;
        }
        Ok(())
    }

    /// Seals the last chunk, and gives back where it was written to.
    pub(super) fn finish(mut self) -> Result<W, SealError> {
        self.seal(true)?;
        Ok(self.out)
    }

    fn seal(&mut self, last: bool) -> Result<(), SealError> {
        let (nonce, aad) = self.cipher.next(last)?;
        self.cipher
            .key
            .seal_in_place_append_tag(nonce, aad, &mut self.plain)
            .map_err(|_| SealError::Cipher)?;
        self.out.write_all(&self.plain)?;
        self.plain.clear();
        Ok(())
    }
}

/// Reads sealed octets chunk by chunk, each of them authentic.
pub(super) struct Opener<R> {
    cipher: Cipher,
    input: R,
    /// What follows the current chunk, as it is in the file.
    ahead: Vec<u8>,
    plain: Vec<u8>,
    ended: bool,
}

impl<R: Read> Opener<R> {
    /// Reads the head.
    pub(super) fn new(secret: &FileSecret, mut input: R) -> Result<Self, SealError> {
        let mut head = [0; HEAD];
        input.read_exact(&mut head).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => SealError::Foreign,
            _ => SealError::Io(error),
        })?;
        let rest = head.strip_prefix(MAGIC).ok_or(SealError::Foreign)?;
        let version = rest.first_chunk().copied().map_or(0, u32::from_le_bytes);
        if version != VERSION {
            return Err(SealError::Version(version));
        }
        let mut opener = Self {
            cipher: Cipher::new(secret, head)?,
            input,
            ahead: Vec::new(),
            plain: Vec::new(),
            ended: false,
        };
        opener.look_ahead()?;
        Ok(opener)
    }

    /// The next octets; `None` after the last chunk.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, SealError> {
        if self.ended {
            return Ok(None);
        }
        std::mem::swap(&mut self.plain, &mut self.ahead);
        self.look_ahead()?;
        self.ended = self.ahead.is_empty();
        let (nonce, aad) = self.cipher.next(self.ended)?;
        self.cipher
            .key
            .open_in_place(nonce, aad, &mut self.plain)
            .map(|plain| Some(&*plain))
            .map_err(|_| SealError::Broken)
    }

    fn look_ahead(&mut self) -> Result<(), SealError> {
        self.ahead.clear();
        let sealed = (CHUNK + TAG) as u64;
        self.input.by_ref().take(sealed).read_to_end(&mut self.ahead)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
