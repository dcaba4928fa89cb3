//! Filters shared by the lists of users and groups: texts, switches, times and JSON lookups.

use serde_json::Value;

use super::attributes::{Attributes, Stored};
use super::clock::parse_iso;
use super::query::Query;
use super::reply::Reply;
use super::text::strip;

/// A text filter: trimmed; empty counts as absent; NUL is refused.
pub(crate) fn text(query: &Query, field: &str) -> Result<Option<String>, Reply> {
    let Some(value) = query.get(field) else {
        return Ok(None);
    };
    if value.contains('\0') {
        return Err(Reply::invalid(field, "Null characters are not allowed."));
    }
    Ok(Some(strip(value).to_owned()).filter(|value| !value.is_empty()))
}

/// A yes-or-no filter; any other text counts as absent.
pub(crate) fn boolean(query: &Query, field: &str) -> Option<bool> {
    match query.get(field)?.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// How a time is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    Greater,
    Less,
}

/// `field`, `field__gt` and `field__lt`.
pub(crate) fn times(query: &Query, field: &str) -> Result<Vec<(Compare, i64)>, Reply> {
    let mut found = Vec::new();
    for (suffix, compare) in [
        ("", Compare::Equal),
        ("__gt", Compare::Greater),
        ("__lt", Compare::Less),
    ] {
        let name = format!("{field}{suffix}");
        let Some(value) = text(query, &name)? else {
            continue;
        };
        let at = parse_iso(&value).ok_or_else(|| Reply::invalid(&name, "Enter a valid date/time."))?;
        found.push((compare, at));
    }
    Ok(found)
}

/// Whether a time passes all comparisons.
pub(crate) fn within(at: i64, bounds: &[(Compare, i64)]) -> bool {
    bounds.iter().all(|(compare, bound)| match compare {
        Compare::Equal => at == *bound,
        Compare::Greater => at > *bound,
        Compare::Less => at < *bound,
    })
}

/// The `attributes` filter: a JSON object of lookups, all of which must be satisfied.
#[derive(Debug)]
pub(crate) struct AttributeFilter {
    lookups: Vec<(Vec<String>, Lookup, Value)>,
}

#[derive(Debug, Clone, Copy)]
enum Lookup {
    Exact,
    Contains,
    IContains,
    StartsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    IsNull,
}

impl AttributeFilter {
    pub(crate) fn of(query: &Query) -> Result<Option<Self>, Reply> {
        let Some(text) = query
            .get("attributes")
            .map(str::trim)
            .filter(|text| !text.is_empty())
        else {
            return Ok(None);
        };
        let value: Value = serde_json::from_str(text)
            .map_err(|_| Reply::new(400, super::reply::JSON, r#"["filter: failed to parse JSON"]"#))?;
        let Value::Object(wanted) = value else {
            return Err(Reply::new(
                400,
                super::reply::JSON,
                r#"["filter: value must be key:val mapping"]"#,
            ));
        };
        let lookups = wanted
            .into_iter()
            .map(|(key, value)| {
                let mut path: Vec<String> = key.split("__").map(str::to_owned).collect();
                let lookup = path.last().and_then(|last| Lookup::named(last));
                if lookup.is_some() {
                    path.pop();
                }
                (path, lookup.unwrap_or(Lookup::Exact), value)
            })
            .collect();
        Ok(Some(Self { lookups }))
    }

    pub(crate) fn matches(&self, stored: &Stored) -> bool {
        let attributes = stored.read();
        self.lookups
            .iter()
            .all(|(path, lookup, wanted)| lookup.holds(find(&attributes, path), wanted))
    }
}

fn find<'a>(attributes: &'a Attributes, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(attributes.get(first)?, |value, key| match value {
            Value::Array(items) => items.get(key.parse::<usize>().ok()?),
            value => value.get(key),
        })
}

impl Lookup {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "exact" => Self::Exact,
            "contains" => Self::Contains,
            "icontains" => Self::IContains,
            "startswith" => Self::StartsWith,
            "gt" => Self::Greater,
            "gte" => Self::GreaterOrEqual,
            "lt" => Self::Less,
            "lte" => Self::LessOrEqual,
            "isnull" => Self::IsNull,
            _ => return None,
        })
    }

    fn holds(self, found: Option<&Value>, wanted: &Value) -> bool {
        if let Self::IsNull = self {
            return found.is_none() == wanted.as_bool().unwrap_or(true);
        }
        let Some(found) = found else { return false };
        let ordering = match (found, wanted) {
            (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            _ => None,
        };
        let words = found.as_str().zip(wanted.as_str());
        match self {
            Self::Exact => found == wanted || ordering.is_some_and(std::cmp::Ordering::is_eq),
            Self::Contains => contains(found, wanted),
            Self::IContains => words.is_some_and(|(a, b)| a.to_lowercase().contains(&b.to_lowercase())),
            Self::StartsWith => words.is_some_and(|(a, b)| a.starts_with(b)),
            Self::Greater => ordering.is_some_and(std::cmp::Ordering::is_gt),
            Self::GreaterOrEqual => ordering.is_some_and(std::cmp::Ordering::is_ge),
            Self::Less => ordering.is_some_and(std::cmp::Ordering::is_lt),
            Self::LessOrEqual => ordering.is_some_and(std::cmp::Ordering::is_le),
            Self::IsNull => false,
        }
    }
}

/// PostgreSQL's `@>`.
fn contains(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Array(found), Value::Array(wanted)) => wanted
            .iter()
            .all(|wanted| found.iter().any(|found| contains(found, wanted))),
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).is_some_and(|found| contains(found, wanted))),
        (Value::Array(found), wanted) => found.contains(wanted),
        (found, wanted) => found == wanted,
    }
}

/// A `search` parameter: one comparison of the query language, or plain words looked for anywhere.
#[derive(Debug)]
pub(crate) enum Search {
    /// Field, operator (`=`, `!=`, `~`) and value.
    Comparison(String, String, String),
    /// Text to be contained in any searched field.
    Words(String),
}

impl Search {
    pub(crate) fn of(query: &Query) -> Option<Self> {
        let given = query
            .get("search")
            .map(str::trim)
            .filter(|text| !text.is_empty())?;
        let comparison = ["!=", "=", "~"].into_iter().find_map(|operator| {
            let (field, value) = given.split_once(operator)?;
            let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
            let field = field.trim();
            let plain = !field.is_empty()
                && field
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            plain.then(|| Self::Comparison(field.into(), operator.into(), value.into()))
        });
        Some(comparison.unwrap_or_else(|| Self::Words(given.to_lowercase())))
    }

    /// Whether a row with these named texts matches.
    pub(crate) fn matches(&self, fields: &[(&str, &str)]) -> bool {
        match self {
            Self::Comparison(field, operator, value) => {
                fields
                    .iter()
                    .filter(|(name, _)| name == field)
                    .any(|(_, text)| match operator.as_str() {
                        "=" => text == value,
                        "!=" => text != value,
                        _ => text.to_lowercase().contains(&value.to_lowercase()),
                    })
            }
            Self::Words(words) => fields.iter().any(|(_, text)| text.to_lowercase().contains(words)),
        }
    }
}
