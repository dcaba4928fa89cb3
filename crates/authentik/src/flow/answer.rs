//! The JSON bodies that answer challenges, in buffers that are wiped.

use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::component::{AUTHENTICATOR, IDENTIFICATION, PASSWORD, USER_LOGIN};
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
        // Escaping makes at most six bytes of one. Enough room at once, for a buffer that grows leaves copies behind.
        let room = 6 * (text(self.uid_field) + text(self.password) + text(self.code)) + 1024;
        let mut body = Zeroizing::new(Vec::with_capacity(room));
        // Writing plain strings and numbers to memory does not fail.
        let _ = serde_json::to_writer(&mut *body, self);
        body
    }
}

/// The password goes along even where the stage has no field for it: whether it has may have changed since.
pub(super) fn identification(inputs: &Inputs<'_>) -> Zeroizing<Vec<u8>> {
    StageAnswer {
        uid_field: Some(inputs.username),
        password: Some(inputs.password),
        ..StageAnswer::to(IDENTIFICATION)
    }
    .body()
}

pub(super) fn password(inputs: &Inputs<'_>) -> Zeroizing<Vec<u8>> {
    StageAnswer {
        password: Some(inputs.password),
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
