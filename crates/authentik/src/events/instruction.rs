//! Frames from authentik, decoded. Nothing in a frame can be an error: what is not understood is ignored.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::session::SessionEndId;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    /// 0: a hello was heard.
    Ack,
    /// 2.
    TriggerUpdate,
    /// 4.
    SessionEnd(SessionEndId),
    /// Anything else, and why.
    Ignored(&'static str),
}

#[derive(Deserialize)]
struct InstructionFrame<'a> {
    instruction: i64,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct SessionEndArgs<'a> {
    #[serde(borrow)]
    session_id: Cow<'a, str>,
}

impl Instruction {
    pub(super) fn decode(text: &str) -> Self {
        let Ok(frame) = serde_json::from_str::<InstructionFrame<'_>>(text) else {
            return Self::Ignored("it is not an instruction");
        };
        match frame.instruction {
            0 => Self::Ack,
            2 => Self::TriggerUpdate,
            4 => {
                let args = frame
                    .args
                    .and_then(|args| serde_json::from_str::<SessionEndArgs<'_>>(args.get()).ok());
                match args.and_then(|args| args.session_id.parse().ok()) {
                    Some(id) => Self::SessionEnd(id),
                    None => Self::Ignored("a session end without a session id"),
                }
            }
            _ => Self::Ignored("unknown instruction"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_frames_and_garbage() {
        let id = "40cfb7fd6365b0bbe948f1d007a12581331b98a4e253737bc81b3b0360441763";
        let end =
            format!(r#"{{"instruction": 4, "args": {{"type": "event.session.end", "session_id": "{id}"}}}}"#);
        assert_eq!(
            Instruction::decode(&end),
            Instruction::SessionEnd(id.parse().unwrap())
        );
        assert_eq!(
            Instruction::decode(r#"{"instruction": 0, "args": {}}"#),
            Instruction::Ack
        );
        assert_eq!(
            Instruction::decode(r#"{"instruction":2}"#),
            Instruction::TriggerUpdate
        );
        for garbage in [
            "",
            "x",
            "[]",
            "{}",
            "null",
            r#"{"instruction":"2"}"#,
            r#"{"instruction":null}"#,
            r#"{"instruction":2.5}"#,
            r#"{"instruction":99999999999999999999}"#,
            r#"{"instruction":3,"args":{"type":"event.provider.specific"}}"#,
            r#"{"instruction":4}"#,
            r#"{"instruction":4,"args":null}"#,
            r#"{"instruction":4,"args":{"session_id":5}}"#,
            r#"{"instruction":4,"args":{"session_id":"abc"}}"#,
        ] {
            assert!(
                matches!(Instruction::decode(garbage), Instruction::Ignored(_)),
                "{garbage}"
            );
        }
    }
}
