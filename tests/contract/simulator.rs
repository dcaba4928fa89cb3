//! The simulated authentik against what a real one answered, and what the tests may change in it.

mod browser;
mod control;
mod flows;
mod passwords;
mod recordings;
mod websocket;
