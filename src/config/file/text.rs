//! The text of a value of TOML, as a variable would hold it: numbers and switches need no quotes, and a list may be an array.
//! Knows no option by name.

use toml::de::DeValue;

use crate::config::setting::AnySetting;

/// The text. If there is none, the words for what was found instead.
pub(super) fn of(value: &DeValue<'_>, setting: &dyn AnySetting) -> Result<String, &'static str> {
    match value {
        DeValue::Array(items) if setting.is_list() => {
            let texts: Result<Vec<String>, _> = items.iter().map(|item| single(item.get_ref())).collect();
            Ok(texts?.join(","))
        }
        value => single(value),
    }
}

fn single(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| "a number too large for any option"),
        // As it is written: a version of TLS looks like one.
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Datetime(_) => Err("a date"),
        DeValue::Array(_) => Err("a list"),
        DeValue::Table(_) => Err("a table"),
    }
}
