//! HTTP and websocket out to an authentik server: the API an outpost may call, the flow executor for binds, and
//! the stream of events.
//!
//! Knows authentik's URLs, JSON shapes and error forms. Must not know LDAP, the directory built from what it
//! fetches, when to fetch it, or who asks: those belong to `outpost`.
//!
//! A client, pointed at an authentik (here at a simulated one), reads the first page of users:
//!
//! ```
//! use akldap_authentik::{Client, Settings, UsersQuery};
//! use akldap_simulator::{Directory, Options, Simulator};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let authentik = Simulator::start(Directory::sample(200, 25), Options::default()).await?;
//!
//! let client = Client::new(Settings::new(authentik.url().parse()?, authentik.token().into()))?;
//! let query = UsersQuery { page: 1, ordering: Some("username".to_owned()), ..UsersQuery::default() };
//! let page = client.users_page(&query).await?;
//! assert!(page.skipped.is_empty(), "every row could be read");
//! let alice = page.rows.iter().find(|user| user.username == "alice").expect("alice is among the first");
//! assert_eq!(alice.email, "alice@example.com");
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

mod access;
mod api;
mod backoff;
mod call;
mod certificate;
mod client;
mod clock;
mod contact;
mod cookie;
mod endpoint;
mod error;
pub mod events;
mod excerpt;
pub mod flow;
pub mod given_file;
mod group;
mod hint;
mod http;
pub mod lists;
mod outpost;
mod page;
mod password;
pub mod pem;
mod provider;
mod proxy;
mod request_ids;
mod role;
mod session;
mod settings;
mod struck;
mod timestamp;
pub mod tls;
mod token;
pub mod transport;
mod unreachable;
mod user;
mod version;

pub use access::{AccessCheck, Me};
pub use api::{GroupsQuery, RawPage, UsersQuery};
pub use backoff::Backoff;
pub use call::{Call, CallObserver, CallOutcome};
pub use certificate::CertificateKeyPair;
pub use client::Client;
pub use contact::Contact;
pub use endpoint::Endpoint;
pub use error::ApiError;
pub use group::Group;
pub use outpost::{AssignedProvider, OutpostChoice, OutpostInstance, RootConfig};
pub use page::{Listed, Page, Pagination, RowWarning};
pub use password::SetPassword;
pub use provider::{LdapProvider, Mode};
pub use request_ids::RequestIds;
pub use session::{Session, SessionEndId};
pub use settings::{Proxies, Settings};
pub use struck::Secrets;
pub use timestamp::Timestamp;
pub use token::{TokenFileError, TokenRenewal};
pub use unreachable::Unreachable;
pub use user::User;
pub use version::Release;
