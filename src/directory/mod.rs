//! The `directory` layer: what entries exist, what they hold, and which of them a search finds.
//!
//! Knows the schema, the tree authentik's outpost serves, and matching. Knows no runtime, clock, environment or
//! network.

pub mod rootdse;
pub mod schema;
pub mod subschema;
pub mod syntax;
