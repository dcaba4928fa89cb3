//! Pages of rows, decoded so that one odd row or field never costs the page.
//!
//! The usual page is decoded in one pass into its structs. Only if that fails is each row decoded by itself, and
//! an odd row field by field; whatever had to be left out is reported in a warning that names the row.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The numbers of a page. All are counts or 1-based numbers; 0 means "none" in `next` and `previous`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Pagination {
    /// The next page, 0 after the last.
    #[serde(default, deserialize_with = "whole")]
    pub next: u64,
    /// The page before, 0 before the first.
    #[serde(default, deserialize_with = "whole")]
    pub previous: u64,
    /// Rows on all pages together.
    #[serde(deserialize_with = "whole")]
    pub count: u64,
    /// This page.
    #[serde(default, deserialize_with = "whole")]
    pub current: u64,
    /// How many pages there are. At least 1.
    #[serde(deserialize_with = "whole")]
    pub total_pages: u64,
    /// Number of the first row of this page, 0 when there is none.
    #[serde(default, deserialize_with = "whole")]
    pub start_index: u64,
    /// Number of the last row of this page, 0 when there is none.
    #[serde(default, deserialize_with = "whole")]
    pub end_index: u64,
}

impl Pagination {
    /// How many rows this page has.
    pub fn rows(&self) -> u64 {
        match self.start_index {
            0 => 0,
            first => (self.end_index + 1).saturating_sub(first),
        }
    }
}

/// authentik's schema types these as `number`, so `3.0` is as good as `3`.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    /// Above this a float is not exact any more.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = serde_json::Number::deserialize(deserializer)?;
    if let Some(whole) = number.as_u64() {
        return Ok(whole);
    }
    number
        .as_f64()
        .filter(|float| (0.0..=EXACT).contains(float) && float.fract() == 0.0)
        .and_then(|float| format!("{float:.0}").parse().ok())
        .ok_or_else(|| serde::de::Error::custom(format!("{number} is not a count")))
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// Its position in the list.
    pub pagination: Pagination,
    /// The rows that could be decoded, in the server's order.
    pub rows: Vec<T>,
    /// What was left out: whole rows and single fields.
    pub skipped: Vec<RowWarning>,
    /// The server's clock when it answered, to the second, if it said.
    pub served: Option<SystemTime>,
}

impl<T> Page<T> {
    /// How many rows the server sent, including those left out.
    pub fn received(&self) -> usize {
        self.rows.len() + self.skipped.iter().filter(|warning| warning.row_skipped).count()
    }
}

/// Something odd in a row of a page. `Display` names the row and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowWarning {
    /// The kind of object: `user`, `group`, `provider`, `outpost`.
    pub kind: &'static str,
    /// Its name as far as it could be read.
    pub name: Option<String>,
    /// Its primary key as far as it could be read, in text.
    pub pk: Option<String>,
    /// The field concerned; `None` when it is the whole row.
    pub field: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// Whether the whole row was left out.
    pub row_skipped: bool,
}

impl fmt::Display for RowWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match (&self.name, &self.pk) {
            (Some(name), Some(pk)) => write!(f, " {name:?} (pk {pk})")?,
            (Some(name), None) => write!(f, " {name:?}")?,
            (None, Some(pk)) => write!(f, " with pk {pk}")?,
            (None, None) => write!(f, " without a readable pk")?,
        }
        match &self.field {
            Some(field) => write!(f, ": field {field} left out: {}", self.problem),
            None => write!(f, " left out: {}", self.problem),
        }
    }
}

/// A kind of row that can be listed.
pub trait Listed: DeserializeOwned {
    /// The primary key.
    type Key: Clone + Ord + Hash + fmt::Display;
    /// The name for such a row.
    const KIND: &'static str;

    /// The primary key of this row.
    fn key(&self) -> Self::Key;

    /// The name of this row, for warnings.
    fn label(&self) -> &str;

    /// Distinguishes versions of the same row as far as the row says; 0 if it says nothing.
    fn version(&self) -> u64 {
        0
    }

    /// Reads a key as a warning shows it.
    fn parse_key(text: &str) -> Option<Self::Key>;

    /// Decodes an odd row field by field, or says why it cannot be decoded at all.
    fn salvage(fields: &mut RowFields<'_>) -> Result<Self, String>;

    /// Repairs what decodes but must not be passed on, such as an attribute list that is not one.
    fn check(&mut self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Envelope<T> {
    pagination: Pagination,
    results: Vec<T>,
}

#[derive(Deserialize)]
struct RawEnvelope<'a> {
    pagination: Pagination,
    #[serde(borrow)]
    results: Vec<&'a RawValue>,
}

/// Reads the numbers of a page, which authentik sends first, without reading the rows that follow.
pub(crate) fn decode_pagination(body: &[u8]) -> Result<Pagination, String> {
    struct Head<'a>(&'a mut Option<Pagination>);
    impl<'de> serde::de::Visitor<'de> for Head<'_> {
        type Value = ();
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a page")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                if key == "pagination" {
                    *self.0 = Some(map.next_value()?);
                    return Ok(());
                }
                map.next_value::<serde::de::IgnoredAny>()?;
            }
            Ok(())
        }
    }
    let mut found = None;
    let result = serde_json::Deserializer::from_slice(body).deserialize_map(Head(&mut found));
    // What follows the numbers was not read, which the decoder treats as an error.
    match (found, result) {
        (Some(pagination), _) => Ok(pagination),
        (None, Err(error)) => Err(error.to_string()),
        (None, Ok(())) => Err("it has no pagination".to_owned()),
    }
}

/// Decodes a page. Fails only when the envelope itself is not JSON, or lacks its count or its results.
pub(crate) fn decode_page<T: Listed>(body: &[u8]) -> Result<Page<T>, String> {
    if let Ok(Envelope {
        pagination,
        mut results,
    }) = serde_json::from_slice::<Envelope<T>>(body)
    {
        let mut skipped = Vec::new();
        for row in &mut results {
            let problems = row.check();
            if !problems.is_empty() {
                let name = Some(row.label().to_owned());
                let fields = RowFields {
                    kind: T::KIND,
                    name,
                    raw: HashMap::new(),
                    warnings: Vec::new(),
                };
                let pk = row.key().to_string();
                skipped.extend(
                    problems
                        .into_iter()
                        .map(|(field, problem)| fields.field_warning(Some(&pk), field, problem)),
                );
            }
        }
        return Ok(Page {
            pagination,
            rows: results,
            skipped,
            served: None,
        });
    }
    // Text that is not UTF-8 would fail the whole page; with its bad bytes replaced, only its row suffers.
    let text = String::from_utf8_lossy(body);
    let envelope: RawEnvelope<'_> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let (mut rows, mut skipped) = (Vec::with_capacity(envelope.results.len()), Vec::new());
    for raw in envelope.results {
        decode_row(raw, &mut rows, &mut skipped);
    }
    Ok(Page {
        pagination: envelope.pagination,
        rows,
        skipped,
        served: None,
    })
}

fn decode_row<T: Listed>(raw: &RawValue, rows: &mut Vec<T>, skipped: &mut Vec<RowWarning>) {
    let mut fields = RowFields::of(T::KIND, raw);
    let decoded = serde_json::from_str::<T>(raw.get()).or_else(|error| {
        if fields.raw.is_empty() {
            Err(error.to_string())
        } else {
            T::salvage(&mut fields)
        }
    });
    match decoded {
        Ok(mut row) => {
            let pk = row.key().to_string();
            for (field, problem) in row.check() {
                let warning = fields.field_warning(Some(&pk), field, problem);
                fields.warnings.push(warning);
            }
            rows.push(row);
        }
        Err(problem) => {
            let pk = fields.raw_pk();
            fields.warnings.clear();
            skipped.push(RowWarning {
                kind: T::KIND,
                name: fields.name.clone(),
                pk,
                field: None,
                problem,
                row_skipped: true,
            });
        }
    }
    skipped.append(&mut fields.warnings);
}

/// Decodes one object as a row, with its warnings.
pub(crate) fn decode_one<T: Listed>(body: &[u8]) -> Result<(T, Vec<RowWarning>), String> {
    let text = String::from_utf8_lossy(body);
    let raw: &RawValue = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let (mut rows, mut warnings) = (Vec::new(), Vec::new());
    decode_row::<T>(raw, &mut rows, &mut warnings);
    match rows.pop() {
        Some(row) => Ok((row, warnings)),
        None => Err(warnings.pop().map_or_else(
            || "it cannot be decoded".to_owned(),
            |warning| warning.to_string(),
        )),
    }
}

/// The fields of an odd row, taken one by one.
pub struct RowFields<'a> {
    kind: &'static str,
    name: Option<String>,
    raw: HashMap<String, &'a RawValue>,
    warnings: Vec<RowWarning>,
}

impl<'a> RowFields<'a> {
    fn of(kind: &'static str, row: &'a RawValue) -> Self {
        let raw: HashMap<String, &'a RawValue> = serde_json::from_str(row.get()).unwrap_or_default();
        let text = |key: &str| {
            raw.get(key)
                .and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
        };
        let name = text("username").or_else(|| text("name"));
        Self {
            kind,
            name,
            raw,
            warnings: Vec::new(),
        }
    }

    fn raw_pk(&self) -> Option<String> {
        let raw = self.raw.get("pk")?.get();
        Some(serde_json::from_str::<String>(raw).unwrap_or_else(|_| super::excerpt::excerpt(raw)))
    }

    fn field_warning(&self, pk: Option<&str>, field: &str, problem: String) -> RowWarning {
        RowWarning {
            kind: self.kind,
            name: self.name.clone(),
            pk: pk.map(str::to_owned).or_else(|| self.raw_pk()),
            field: Some(field.to_owned()),
            problem,
            row_skipped: false,
        }
    }

    fn warn(&mut self, field: &str, problem: String) {
        let warning = self.field_warning(None, field, problem);
        self.warnings.push(warning);
    }

    /// A field without which the row is useless.
    pub fn required<T: DeserializeOwned>(&mut self, field: &str) -> Result<T, String> {
        let raw = self.raw.get(field).ok_or_else(|| format!("it has no {field}"))?;
        serde_json::from_str(raw.get()).map_err(|error| format!("its {field} is not usable: {error}"))
    }

    /// A field that may be missing or null; anything else undecodable is left out with a warning.
    pub fn optional<T: DeserializeOwned + Default>(&mut self, field: &str) -> T {
        let Some(raw) = self.raw.get(field) else {
            return T::default();
        };
        match serde_json::from_str::<Option<T>>(raw.get()) {
            Ok(value) => value.unwrap_or_default(),
            Err(error) => {
                self.warn(field, error.to_string());
                T::default()
            }
        }
    }

    /// A list whose good elements are kept.
    pub fn list<T: DeserializeOwned>(&mut self, field: &str) -> Vec<T> {
        let Some(raw) = self.raw.get(field) else {
            return Vec::new();
        };
        let elements = match serde_json::from_str::<Option<Vec<&'a RawValue>>>(raw.get()) {
            Ok(elements) => elements.unwrap_or_default(),
            Err(error) => {
                self.warn(field, error.to_string());
                return Vec::new();
            }
        };
        let all = elements.len();
        let good: Vec<T> = elements
            .into_iter()
            .filter_map(|raw| serde_json::from_str(raw.get()).ok())
            .collect();
        if good.len() < all {
            self.warn(
                field,
                format!("{} of its {all} elements are not usable", all - good.len()),
            );
        }
        good
    }
}

/// Null is as good as missing.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Attributes must be an object; null and an empty list stand for none.
pub(crate) fn check_attributes(attributes: &mut Option<Box<RawValue>>) -> Option<(&'static str, String)> {
    let raw = attributes.as_deref()?.get();
    if raw.starts_with('{') {
        return None;
    }
    let harmless = raw == "null" || raw == "[]";
    let problem = format!("it is not an object but {}", super::excerpt::excerpt(raw));
    *attributes = None;
    (!harmless).then_some(("attributes", problem))
}

#[cfg(test)]
mod tests;
