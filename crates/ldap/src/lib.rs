//! The LDAP protocol as bytes and values: framing, messages, filters, controls, names and responses.
//!
//! Knows RFC 4511, 4512, 4514, 4515 and 4518. Knows nothing of sockets, runtimes, clocks, the environment, or of
//! what any directory holds; bytes and values come in, bytes and values go out. Nothing here may panic or
//! allocate what a length merely claims, whatever the input.
//!
//! A search request is found in what a client sent, decoded, its filter printed, and the search answered:
//!
//! ```
//! use akldap_ldap::frame::{self, Frame};
//! use akldap_ldap::message::{Message, Operation, OperationKind};
//! use akldap_ldap::response::{self, LdapResult, ResultCode};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // ldapsearch -b dc=example '(&(objectClass=user)(mail=alice*))', and the start of the next message.
//! let received = b"\x30\x4a\x02\x01\x01\x63\x45\x04\x0adc=example\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\
//!     \xa0\x26\xa3\x13\x04\x0bobjectClass\x04\x04user\xa4\x0f\x04\x04mail\x30\x07\x80\x05alice\x30\x00\x30";
//! let Frame::Complete { length } = frame::split(received, 64 * 1024)? else {
//!     panic!("more octets are needed");
//! };
//! let message = Message::decode(&received[..length])?;
//! let Operation::Search(search) = &message.operation else {
//!     panic!("this is a search");
//! };
//! assert_eq!(search.filter.to_string(), "(&(objectClass=user)(mail=alice*))");
//!
//! let mut answer = Vec::new();
//! let done = OperationKind::Search.response_tag().expect("a search is answered");
//! let result = LdapResult::new(ResultCode::NoSuchObject, "there is no entry of that name");
//! response::write_result(&mut answer, message.message_id, done, &result, &[]);
//! # Ok(())
//! # }
//! ```

// Lints that tests need not follow; `Cargo.toml` at the top says which.
#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::too_many_lines,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "tests may read clocks and files"
    )
)]

pub mod ber;
pub mod control;
pub mod dn;
pub mod filter;
pub mod frame;
pub mod message;
pub mod password_modify;
pub mod response;
pub mod steps;
pub mod text;
