//! A prompt stage that asks for a new password: its fields, and how the input is judged.
//!
//! Must not know whose password it is, nor where it is written.

use serde_json::{Value, json};

use super::flows::NewPassword;
use super::text::strip;

const SECRET: &str = "password";

/// The fields as a challenge shows them.
pub(crate) fn fields(settings: &NewPassword) -> Value {
    let shown: Vec<Value> = settings
        .fields
        .iter()
        .zip(300..)
        .map(|((key, label, kind), order)| {
            json!({"field_key": key, "label": label, "type": kind, "required": true, "placeholder": label,
                   "initial_value": "", "order": order, "sub_text": "", "choices": null})
        })
        .collect();
    json!({"fields": shown})
}

/// The new password, or what is wrong with it: each field by itself, then all of them, then the policies.
pub(crate) fn judge(
    settings: &NewPassword,
    typed: impl Fn(&str) -> Option<String>,
    was_used: impl Fn(&str) -> bool,
) -> Result<String, Value> {
    let mut errors = serde_json::Map::new();
    let mut passwords = Vec::new();
    for (key, _, kind) in &settings.fields {
        let object = |text: &str, code: &str| json!([{"string": text, "code": code}]);
        let wrong = match typed(key) {
            None => Some(object("This field is required.", "required")),
            Some(text) if text.contains('\0') => Some(object(
                "Null characters are not allowed.",
                "null_characters_not_allowed",
            )),
            Some(text) if strip(&text).is_empty() => Some(object("This field may not be blank.", "blank")),
            Some(text) => {
                if kind == SECRET {
                    passwords.push((key, strip(&text).to_owned()));
                }
                None
            }
        };
        if let Some(wrong) = wrong {
            errors.insert(key.clone(), wrong);
        }
    }
    if !errors.is_empty() {
        return Err(Value::Object(errors));
    }
    let whole = |text: String| json!({"non_field_errors": [{"string": text, "code": "invalid"}]});
    // Two are compared, and no other number of them.
    if let [(_, one), (_, other)] = passwords.as_slice()
        && one != other
    {
        return Err(whole("Passwords don't match.".to_owned()));
    }
    let written = passwords.iter().find(|(key, _)| *key == "password");
    let Some((_, password)) = written.or(passwords.first()).cloned() else {
        return Ok(String::new());
    };
    let least = settings.least;
    if password.chars().count() < least {
        return Err(whole(format!(
            "Password needs to be {least} characters or longer."
        )));
    }
    if settings.unique && was_used(&password) {
        let text = "This password has been used previously. Please choose a different one.";
        return Err(whole(text.to_owned()));
    }
    Ok(password)
}
