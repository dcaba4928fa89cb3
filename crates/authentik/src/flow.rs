//! The flow executor: takes a user name and a password through one of authentik's flows without a browser.
//!
//! Knows the executor's protocol and the stages that can be answered without a person. Must not know providers,
//! LDAP or caches. The deciding rule: somebody is logged in only if the flow has ended and its newest session
//! cookie says so.

pub(crate) mod answer;
mod challenge;
mod component;
mod executor;
mod first_stage;
mod observer;
mod opening;
pub(crate) mod outcome;
pub(crate) mod password_change;
mod redirect;
mod request;
mod run;
mod secret;

pub use executor::Executor;
pub use first_stage::FirstStage;
pub use observer::{FlowMethod, FlowObserver, FlowStep, NoObserver};
pub use outcome::{FlowError, FlowOutcome, JudgedFlow, Rejection, Unbound};
pub use password_change::{PasswordChangeFailure, PasswordChangeReport, PasswordChangeRequest};
pub use request::LoginRequest;
pub use secret::CodeRule;
