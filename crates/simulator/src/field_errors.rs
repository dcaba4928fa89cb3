//! authentik's objections to the fields of an answer.
//!
//! Must not know which stage asks.

use serde_json::{Value, json};

pub(crate) fn errors(field: &str, string: &str, code: &str) -> Value {
    json!({field: [{"string": string, "code": code}]})
}

pub(crate) fn null_error(field: &str) -> Value {
    errors(
        field,
        "Null characters are not allowed.",
        "null_characters_not_allowed",
    )
}
