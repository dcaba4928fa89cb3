//! Custom attributes as PostgreSQL's `jsonb` gives them back: keys in its order, numbers in its form.

use serde_json::{Map, Value};

/// Attributes of a user or a group: any JSON object.
pub type Attributes = Map<String, Value>;

/// The stored text of some attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// One JSON object.
    pub(crate) text: Box<str>,
    /// It has an integer beyond 64 bits, which makes authentik's own JSON writer fail.
    pub(crate) poisoned: bool,
}

impl Default for Stored {
    fn default() -> Self {
        Self {
            text: "{}".into(),
            poisoned: false,
        }
    }
}

impl Stored {
    pub(crate) fn new(attributes: &Attributes) -> Self {
        if attributes.is_empty() {
            return Self::default();
        }
        let mut text = String::new();
        let mut poisoned = false;
        write_object(&mut text, attributes, &mut poisoned);
        Self {
            text: text.into(),
            poisoned,
        }
    }

    /// The attributes as a value; what cannot be read (a poisoned number) becomes the nearest float.
    pub(crate) fn read(&self) -> Attributes {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

fn write_object(out: &mut String, object: &Attributes, poisoned: &mut bool) {
    let mut keys: Vec<&String> = object.keys().collect();
    keys.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes())));
    out.push('{');
    for (at, key) in keys.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_text(out, key);
        out.push(':');
        write_value(out, object.get(key).unwrap_or(&Value::Null), poisoned);
    }
    out.push('}');
}

fn write_value(out: &mut String, value: &Value, poisoned: &mut bool) {
    match value {
        Value::Object(object) => write_object(out, object, poisoned),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(out, item, poisoned);
            }
            out.push(']');
        }
        Value::String(text) => write_text(out, text),
        Value::Number(number) if number.is_f64() => {
            write_float(out, number.as_f64().unwrap_or(0.0), poisoned)
        }
        other => out.push_str(&other.to_string()),
    }
}

/// PostgreSQL keeps numerics exactly: a float written with an exponent comes back as an integer, minus zero as zero.
fn write_float(out: &mut String, float: f64, poisoned: &mut bool) {
    const FIRST_WITH_EXPONENT: f64 = 1e16;
    const BEYOND_U64: f64 = 18_446_744_073_709_551_616.0;
    const BELOW_I64: f64 = -9_223_372_036_854_775_808.0;
    if float == 0.0 {
        out.push_str("0.0");
    } else if float.abs() >= FIRST_WITH_EXPONENT {
        *poisoned |= !(BELOW_I64..BEYOND_U64).contains(&float);
        out.push_str(&format!("{float:.0}"));
    } else {
        out.push_str(&Value::from(float).to_string());
    }
}

/// Appends `text` as a JSON string.
pub(crate) fn write_text(out: &mut String, text: &str) {
    let plain = text
        .bytes()
        .all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stored(value: Value) -> Stored {
        Stored::new(value.as_object().expect("an object"))
    }

    #[test]
    fn keys_come_back_by_length_then_bytes() {
        let text = stored(json!({"nested": {"bb": 1, "a": 2}, "cn": "x", "b": 1, "a": "\"q\""})).text;
        assert_eq!(&*text, r#"{"a":"\"q\"","b":1,"cn":"x","nested":{"a":2,"bb":1}}"#);
    }

    #[test]
    fn numbers_come_back_as_numerics() {
        let given =
            json!({"a": 1e18, "b": 5.0, "c": -0.0, "d": 18446744073709551615u64, "e": i64::MIN, "f": 1e-7});
        let text = stored(given).text;
        assert_eq!(
            &*text,
            r#"{"a":1000000000000000000,"b":5.0,"c":0.0,"d":18446744073709551615,"e":-9223372036854775808,"f":1e-7}"#
        );
    }

    #[test]
    fn an_integer_beyond_64_bit_poisons() {
        assert!(stored(json!({"a": [{"b": 1e30}]})).poisoned);
        assert!(!stored(json!({"a": 1e18, "b": 1e-30, "c": "1e30"})).poisoned);
    }
}
