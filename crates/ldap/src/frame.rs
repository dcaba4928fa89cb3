//! Finds where an LDAPMessage ends in a stream of octets (RFC 4511 section 5.1), under a size limit.
//!
//! Looks only at the outermost tag and length, so that an announced size is refused before anything is buffered
//! and the message inside can be judged on its own. Must not know what the message says.

use thiserror::Error;

use super::ber::{self, BerError};

/// What the start of a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// No whole message yet; at least this many octets in total are needed.
    Incomplete {
        /// Total size from the start of the buffer, as far as known.
        needed: usize,
    },
    /// A whole message of this many octets.
    Complete {
        /// Size of the message with its header.
        length: usize,
    },
}

/// Why the stream cannot be read any further. The only answer is a Notice of Disconnection.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// The first octet is not the tag of a SEQUENCE.
    #[error("expected an LDAP message (0x30), found 0x{found:02x}")]
    NotAMessage {
        /// The first octet.
        found: u8,
    },
    /// The message is larger than allowed.
    #[error("the message is {length} octets long, the limit is {limit}")]
    TooLarge {
        /// The size the message announces, in octets.
        length: u64,
        /// The limit in effect, in octets.
        limit: usize,
    },
    /// The length octets are malformed.
    #[error("malformed message length: {0}")]
    Length(#[from] BerError),
}

/// Looks at the start of `buffer` for a message of at most `limit` octets.
///
/// # Errors
/// When no message can begin there or it would be larger than `limit`.
pub fn split(buffer: &[u8], limit: usize) -> Result<Frame, FrameError> {
    let Some((&tag, rest)) = buffer.split_first() else {
        return Ok(Frame::Incomplete { needed: 2 });
    };
    if tag != ber::SEQUENCE {
        return Err(FrameError::NotAMessage { found: tag });
    }
    let Some((length, contents)) = ber::read_length(rest)? else {
        return Ok(Frame::Incomplete {
            needed: buffer.len() + 1,
        });
    };
    let header = buffer.len() - contents.len();
    let total = (header as u64).saturating_add(length);
    match usize::try_from(total) {
        Ok(total) if total <= limit => {
            if buffer.len() < total {
                Ok(Frame::Incomplete { needed: total })
            } else {
                Ok(Frame::Complete { length: total })
            }
        }
        _ => Err(FrameError::TooLarge { length: total, limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_complete_when_all_of_it_is_there() {
        let message = [0x30, 0x05, 0x02, 0x01, 0x01, 0x42, 0x00, 0xff];
        assert_eq!(split(&message, 100), Ok(Frame::Complete { length: 7 }));
        assert_eq!(split(&message[..6], 100), Ok(Frame::Incomplete { needed: 7 }));
        assert_eq!(split(&message[..1], 100), Ok(Frame::Incomplete { needed: 2 }));
        assert_eq!(split(&[], 100), Ok(Frame::Incomplete { needed: 2 }));
        assert_eq!(
            split(&[0x30, 0x84, 0, 0], 100),
            Ok(Frame::Incomplete { needed: 5 })
        );
        assert_eq!(
            split(&[0x30, 0x84, 0, 0, 0, 0], 100),
            Ok(Frame::Complete { length: 6 })
        );
    }

    #[test]
    fn an_announced_size_beyond_the_limit_is_refused_at_once() {
        let two_gigabytes = [0x30, 0x84, 0x80, 0x00, 0x00, 0x00];
        assert_eq!(
            split(&two_gigabytes, 1 << 20),
            Err(FrameError::TooLarge {
                length: 0x8000_0006,
                limit: 1 << 20
            })
        );
        let absurd = [0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(split(&absurd, 100), Err(FrameError::TooLarge { .. })));
        assert_eq!(split(&[0x30, 98], 100), Ok(Frame::Incomplete { needed: 100 }));
        assert!(matches!(
            split(&[0x30, 99], 100),
            Err(FrameError::TooLarge {
                length: 101,
                limit: 100
            })
        ));
    }

    #[test]
    fn other_protocols_and_forbidden_forms_are_broken_framing() {
        assert_eq!(
            split(b"GET / HTTP/1.1", 100),
            Err(FrameError::NotAMessage { found: b'G' })
        );
        assert_eq!(
            split(&[0x16, 3, 1], 100),
            Err(FrameError::NotAMessage { found: 0x16 })
        );
        assert_eq!(
            split(&[0x30, 0x80], 100),
            Err(FrameError::Length(BerError::IndefiniteLength))
        );
        assert_eq!(
            split(&[0x30, 0x89, 1], 100),
            Err(FrameError::Length(BerError::LengthTooLong))
        );
    }
}
