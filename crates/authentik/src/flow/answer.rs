//! The JSON bodies that answer challenges, in buffers that are wiped.

use serde::Serialize;
use serde::ser::SerializeMap as _;
use serde_json::Value;
use zeroize::Zeroizing;

use super::component::{AUTHENTICATOR, IDENTIFICATION, PASSWORD, PROMPT, USER_LOGIN};
use super::secret::Inputs;

#[derive(Serialize)]
struct StageAnswer<'a> {
    component: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid_field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duo: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remember_me: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    selected_challenge: Option<&'a Value>,
}

impl<'a> StageAnswer<'a> {
    fn to(component: &'a str) -> Self {
        Self {
            component,
            uid_field: None,
            password: None,
            code: None,
            duo: None,
            remember_me: None,
            selected_challenge: None,
        }
    }

    fn body(&self) -> Zeroizing<Vec<u8>> {
        let text = |text: Option<&str>| text.map_or(0, str::len);
        // Escaping turns one byte into at most six. Enough room is reserved at once, because a growing buffer leaves
        // copies behind.
        let room = 6 * (text(self.uid_field) + text(self.password) + text(self.code)) + 1024;
        let mut body = Zeroizing::new(Vec::with_capacity(room));
        // Writing plain strings and numbers to memory does not fail.
        let _ = serde_json::to_writer(&mut *body, self);
        body
    }
}

/// The password is sent even if the stage has no field for it: that may have changed since.
pub(super) fn identification(inputs: &Inputs<'_>) -> Zeroizing<Vec<u8>> {
    StageAnswer {
        uid_field: Some(inputs.username),
        password: Some(inputs.password),
        ..StageAnswer::to(IDENTIFICATION)
    }
    .body()
}

pub(super) fn password(inputs: &Inputs<'_>) -> Zeroizing<Vec<u8>> {
    secret(inputs.password)
}

/// The old password, where a flow that changes it asks for it.
pub(super) fn secret(password: &str) -> Zeroizing<Vec<u8>> {
    StageAnswer {
        password: Some(password),
        ..StageAnswer::to(PASSWORD)
    }
    .body()
}

pub(super) fn code(code: &str, challenge: &Value) -> Zeroizing<Vec<u8>> {
    StageAnswer {
        code: Some(code),
        selected_challenge: Some(challenge),
        ..StageAnswer::to(AUTHENTICATOR)
    }
    .body()
}

pub(super) fn duo(device: i64, challenge: &Value) -> Zeroizing<Vec<u8>> {
    StageAnswer {
        duo: Some(device),
        selected_challenge: Some(challenge),
        ..StageAnswer::to(AUTHENTICATOR)
    }
    .body()
}

pub(super) fn remember_me() -> Zeroizing<Vec<u8>> {
    StageAnswer {
        remember_me: Some(true),
        ..StageAnswer::to(USER_LOGIN)
    }
    .body()
}

/// The answer to a prompt: its fields by their keys, in the order shown.
pub(super) fn prompt(fields: &[(&str, PromptValue<'_>)]) -> Zeroizing<Vec<u8>> {
    struct PromptFields<'a>(&'a [(&'a str, PromptValue<'a>)]);
    impl Serialize for PromptFields<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(self.0.len() + 1))?;
            map.serialize_entry("component", PROMPT)?;
            for (key, value) in self.0 {
                match value {
                    PromptValue::Secret(text) => map.serialize_entry(key, text)?,
                    PromptValue::Given(value) => map.serialize_entry(key, value)?,
                }
            }
            map.end()
        }
    }
    let octets = |(key, value): &(&str, PromptValue<'_>)| {
        key.len()
            + match value {
                PromptValue::Secret(text) => text.len(),
                PromptValue::Given(value) => value.to_string().len(),
            }
    };
    let room = fields.iter().map(octets).sum::<usize>() * 6 + 1024;
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    // Writing plain strings and numbers to memory does not fail.
    let _ = serde_json::to_writer(&mut *body, &PromptFields(fields));
    body
}

/// What a field of a prompt is answered with.
#[derive(Clone, Copy)]
pub(super) enum PromptValue<'a> {
    /// A password.
    Secret(&'a str),
    /// What authentik put there.
    Given(&'a Value),
}

/// The password alone, as `set_password` takes it.
pub(crate) fn new_password(password: &str) -> Zeroizing<Vec<u8>> {
    #[derive(Serialize)]
    struct Body<'a> {
        password: &'a str,
    }
    let mut body = Zeroizing::new(Vec::with_capacity(6 * password.len() + 1024));
    let _ = serde_json::to_writer(&mut *body, &Body { password });
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::CodeRule;

    #[test]
    fn bodies_never_outgrow_their_first_room() {
        let hard = "\u{1}\"\\é".repeat(300);
        let inputs = Inputs::new(&hard, &hard, Some(CodeRule::default()));
        let body = identification(&inputs);
        let back: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(back.get("password").and_then(Value::as_str), Some(hard.as_str()));
        assert_eq!(
            back.get("component").and_then(Value::as_str),
            Some(IDENTIFICATION)
        );
        assert!(body.capacity() >= body.len());
        assert_eq!(body.capacity(), 6 * 2 * hard.len() + 1024);
    }

    #[test]
    fn a_prompt_is_answered_in_the_order_of_its_fields_and_never_outgrows_its_room() {
        let hard = "\u{1}\"\\é".repeat(300);
        let given = serde_json::json!("kept");
        let fields = [
            ("z", PromptValue::Secret(&hard)),
            ("a", PromptValue::Given(&given)),
            ("z2", PromptValue::Secret(&hard)),
        ];
        let body = prompt(&fields);
        let start = r#"{"component":"ak-stage-prompt","z":""#;
        assert!(std::str::from_utf8(&body).unwrap().starts_with(start));
        let back: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(back["z2"].as_str(), Some(hard.as_str()));
        assert_eq!(back["a"], given);
        let given = given.to_string().len();
        assert_eq!(body.capacity(), 6 * (2 * hard.len() + given + 4) + 1024);
        let body = new_password(&hard);
        assert_eq!(body.capacity(), 6 * hard.len() + 1024);
    }

    #[test]
    fn bodies_have_the_fields_authentik_wants() {
        let inputs = Inputs::new("al", "pw;123456", Some(CodeRule::default()));
        assert_eq!(
            std::str::from_utf8(&identification(&inputs)).unwrap(),
            r#"{"component":"ak-stage-identification","uid_field":"al","password":"pw"}"#
        );
        let challenge = serde_json::json!({"device_class": "totp", "device_uid": "1", "challenge": {}, "last_used": null});
        assert_eq!(
            std::str::from_utf8(&code("123456", &challenge)).unwrap(),
            r#"{"component":"ak-stage-authenticator-validate","code":"123456","selected_challenge":{"device_class":"totp","device_uid":"1","challenge":{},"last_used":null}}"#
        );
    }
}
