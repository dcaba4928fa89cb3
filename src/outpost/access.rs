//! Who is logged in and what that allows. A [`Login`] can only be made from a [`Proof`], and a proof only from
//! complete answers of authentik; every connection bound by a login ends with it.
//!
//! Must not know how the answers were obtained.

mod ending;
mod ends;
mod identity;
mod login;
mod proof;
mod review;
mod session;

pub use ending::Ending;
pub use identity::Identity;
pub use login::rekeying::Rekeying;
pub use login::{Login, Logins};
pub use proof::Proof;
pub use review::{Judgement, Review};
pub use session::{Heard, OpenSession, UnneededSession};
