//! A challenge as the executor sends it, read for the few things that matter to a client without a screen.

use serde_json::{Map, Value};

use crate::excerpt::excerpt;

/// Characters of all error messages of a stage together.
const SEPARATOR: &str = "; ";

/// A decoded challenge: an object with a `component`.
#[derive(Debug)]
pub(super) struct Challenge {
    pub(super) component: String,
    fields: Map<String, Value>,
}

/// A field that a prompt stage shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) key: &'a str,
    pub(super) kind: &'a str,
    /// Its content before anybody types.
    pub(super) initial: &'a Value,
}

/// authentik's objections to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Objection {
    pub(super) text: String,
    pub(super) code: String,
}

/// A device that the authenticator stage offers.
#[derive(Debug)]
pub(super) struct Device<'a> {
    pub(super) class: &'a str,
    pub(super) uid: Option<i64>,
    /// As it came, to be sent back when chosen.
    pub(super) challenge: &'a Value,
}

impl Challenge {
    pub(super) fn decode(body: &[u8]) -> Result<Self, String> {
        let fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let component = match fields.get("component").and_then(Value::as_str) {
            Some(component) if !component.is_empty() => component.to_owned(),
            _ => return Err("it names no component".to_owned()),
        };
        Ok(Self { component, fields })
    }

    /// A text field.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// The texts in a list, shortened; `None` if the field is no list.
    pub(super) fn texts(&self, field: &str) -> Option<Vec<String>> {
        let texts = self.fields.get(field)?.as_array()?.iter();
        Some(texts.filter_map(Value::as_str).map(excerpt).collect())
    }

    /// Whether a field is something other than null, false or empty.
    pub(super) fn is_set(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Object(object) => !object.is_empty(),
            Value::Array(array) => !array.is_empty(),
            Value::String(text) => !text.is_empty(),
            Value::Bool(true) | Value::Number(_) => true,
        })
    }

    /// Why the previous answer was refused, in authentik's words; `None` when it was not.
    pub(super) fn errors(&self) -> Option<String> {
        if !self.is_set("response_errors") {
            return None;
        }
        let errors = self.fields.get("response_errors")?;
        let texts: Vec<&str> = errors
            .as_object()
            .into_iter()
            .flat_map(Map::values)
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(|error| error.get("string").and_then(Value::as_str))
            .collect();
        Some(excerpt(&texts.join(SEPARATOR)))
    }

    /// The same one by one, where they have the shape that authentik documents.
    pub(super) fn objections(&self) -> Vec<Objection> {
        let errors = self.fields.get("response_errors").and_then(Value::as_object);
        let objection = |error: &Value| {
            Some(Objection {
                text: excerpt(error.get("string")?.as_str()?),
                code: excerpt(error.get("code").and_then(Value::as_str).unwrap_or_default()),
            })
        };
        let mut objections: Vec<Objection> = errors
            .into_iter()
            .flat_map(Map::values)
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(objection)
            .collect();
        // A blank password is blank in both fields.
        objections.dedup();
        objections
    }

    /// The fields of a prompt stage; `None` where one of them cannot be read.
    pub(super) fn prompt_fields(&self) -> Option<Vec<Field<'_>>> {
        let fields = self.fields.get("fields")?.as_array()?;
        fields
            .iter()
            .map(|field| {
                Some(Field {
                    key: field.get("field_key")?.as_str()?,
                    kind: field.get("type")?.as_str()?,
                    initial: field.get("initial_value").unwrap_or(&Value::Null),
                })
            })
            .collect()
    }

    /// The devices of an authenticator stage. Those without a class are ignored.
    pub(super) fn devices(&self) -> Vec<Device<'_>> {
        let offered = self.fields.get("device_challenges").and_then(Value::as_array);
        let device = |challenge| {
            let uid: &Value = Value::get(challenge, "device_uid").unwrap_or(&Value::Null);
            Some(Device {
                class: Value::get(challenge, "device_class")?.as_str()?,
                uid: uid.as_i64().or_else(|| uid.as_str()?.parse().ok()),
                challenge,
            })
        };
        offered.into_iter().flatten().filter_map(device).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(json: &str) -> Challenge {
        Challenge::decode(json.as_bytes()).unwrap()
    }

    #[test]
    fn an_object_with_a_component_it_must_be() {
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"component":null}"#,
            r#"{"component":5}"#,
            r#"{"component":""}"#,
            "{",
        ] {
            assert!(Challenge::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn errors_in_whatever_shape_are_errors() {
        let with =
            |errors: &str| challenge(&format!(r#"{{"component":"x","response_errors":{errors}}}"#)).errors();
        assert_eq!(
            with(r#"{"a":[{"string":"One","code":"c"},{"string":"Two"}],"b":[{"string":"Three"}]}"#).unwrap(),
            "One; Two; Three"
        );
        assert_eq!(with(r#"{"a":"odd"}"#).unwrap(), "");
        assert!(with(r#"["odd"]"#).is_some() && with("true").is_some() && with("3").is_some());
        assert!(with("{}").is_none() && with("null").is_none());
    }

    #[test]
    fn devices_are_read_leniently() {
        let offered = challenge(
            r#"{"component":"x","device_challenges":[null,{"device_class":"duo","device_uid":"17"},{"device_uid":"1"},
               {"device_class":"totp","device_uid":3,"challenge":{},"last_used":null},{"device_class":"webauthn","device_uid":"-"}]}"#,
        );
        let devices = offered.devices();
        let seen: Vec<_> = devices.iter().map(|device| (device.class, device.uid)).collect();
        assert_eq!(seen, [("duo", Some(17)), ("totp", Some(3)), ("webauthn", None)]);
        assert!(
            challenge(r#"{"component":"x","device_challenges":{}}"#)
                .devices()
                .is_empty()
        );
    }
}
