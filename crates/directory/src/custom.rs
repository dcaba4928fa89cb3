//! Custom attributes: from the JSON that an admin typed into authentik to attribute names and values.
//!
//! Knows authentik's conventions (`/` becomes `-`, `.` vanishes, `%s` stands for the user's name), what can be a name on
//! the wire, and, from the policy, what may be served at all. Must not know how records are kept.

pub(super) mod policy;

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use self::policy::{CustomPolicy, Treatment};
use crate::model::attribute::MAX_NAME;
use crate::values::photo;

/// A custom attribute ready to be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Custom {
    /// The key made fit for the wire, in its own case.
    pub(super) name: String,
    /// Its other spellings.
    pub(super) aliases: Vec<String>,
    /// At least one value.
    pub(super) values: Vec<Vec<u8>>,
}

/// Why a key is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftOut {
    Nameless,
    TooLong,
    Reserved,
    /// A password, by its position among [`PASSWORD_ATTRIBUTES`](crate::password_attributes::PASSWORD_ATTRIBUTES).
    Withheld(usize),
}

impl LeftOut {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Nameless => "nothing of its name can be an attribute name",
            Self::TooLong => "its name is longer than 255 characters",
            Self::Reserved => "its name is reserved for what authentik itself says about users and groups",
            Self::Withheld(_) => "it holds a password",
        }
    }
}

/// The custom attributes of a JSON object, keys that end up with the same name merged. What is not served goes to
/// `left_out` with its key. `None` if the text is not an object.
pub(super) fn read(
    json: &str,
    username: Option<&str>,
    policy: CustomPolicy,
    mut left_out: impl FnMut(&str, LeftOut),
) -> Option<Vec<Custom>> {
    let Members(members) = serde_json::from_str(json).ok()?;
    let mut attributes: Vec<Custom> = Vec::new();
    for (key, raw) in members {
        let (name, aliases) = match admitted_name(&key, policy) {
            Ok(names) => names,
            // None of it would be served in any case.
            Err(_) if is_void(raw, username) => continue,
            Err(problem) => {
                left_out(&key, problem);
                continue;
            }
        };
        let mut values = values(raw, username);
        if values.is_empty() {
            continue;
        }
        if photo::is_photo(without_binary(&key).unwrap_or(&key)) {
            values = values.into_iter().map(photo::octets).collect();
        }
        match attributes
            .iter_mut()
            .find(|known| known.name.eq_ignore_ascii_case(&name))
        {
            Some(known) => {
                for alias in aliases {
                    if !known.aliases.contains(&alias) {
                        known.aliases.push(alias);
                    }
                }
                for value in values {
                    if !known.values.contains(&value) {
                        known.values.push(value);
                    }
                }
            }
            None => attributes.push(Custom {
                name,
                aliases,
                values,
            }),
        }
    }
    Some(attributes)
}

fn is_void(raw: &RawValue, username: Option<&str>) -> bool {
    values(raw, username).is_empty()
}

/// The name a key is served under, if the policy allows it, and its other spellings.
fn admitted_name(key: &str, policy: CustomPolicy) -> Result<(String, Vec<String>), LeftOut> {
    let official = official_name(key);
    let legal = legal_name(&official);
    let spellings = [
        Some(key),
        (official != key).then_some(official.as_str()),
        (legal != official).then_some(legal.as_str()),
    ];
    for spelling in spellings.into_iter().flatten() {
        match policy.verdict(spelling.as_bytes()) {
            Treatment::Served | Treatment::AddedClasses => {}
            Treatment::Reserved => return Err(LeftOut::Reserved),
            Treatment::Withheld(place) => return Err(LeftOut::Withheld(place)),
        }
    }
    let named = |name: &str| name.contains(char::is_alphanumeric);
    // Nearly every name is legal and has no option, so it has no other name.
    let mut aliases = match legal == official {
        true => Vec::new(),
        false => other_names(&official),
    };
    let (name, other) = match policy.legal_names {
        true => (legal, official),
        false => (official, legal),
    };
    if !named(&name) {
        Err(LeftOut::Nameless)
    } else if name.len() > MAX_NAME {
        Err(LeftOut::TooLong)
    } else {
        if !aliases.is_empty() {
            aliases.push(other);
            aliases.retain(|other| *other != name && named(other) && other.len() <= MAX_NAME);
            aliases.dedup();
        }
        Ok((name, aliases))
    }
}

/// The name that authentik's outpost gives an attribute. It has no control characters, where clients written in C would
/// cut it off, and no spaces around it, which mean nothing in an attribute description.
fn official_name(key: &str) -> String {
    let name: String = key
        .chars()
        .filter(|&character| character != '.')
        .map(|character| match character {
            '/' => '-',
            // The separators of lines and of paragraphs end a line for some readers of LDIF.
            _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => '-',
            _ => character,
        })
        .collect();
    name.trim_ascii().to_owned()
}

/// A name with a hyphen for everything that RFC 4512 section 1.4 does not allow (`_` stays: clients accept it). A name
/// without any ASCII letter or digit becomes its code points: `u043a-u043b` for `кл`.
pub(super) fn legal_name(name: &str) -> String {
    let keep = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    if name.contains(char::is_alphanumeric)
        && !name.contains(|character: char| character.is_ascii_alphanumeric())
    {
        let points: Vec<String> = name
            .chars()
            .map(|character| format!("u{:04x}", u32::from(character)))
            .collect();
        return points.join("-");
    }
    name.chars()
        .map(|character| if keep(character) { character } else { '-' })
        .collect()
}

/// Other names for a served name: its legal spelling, and its name without `;binary`.
pub(super) fn other_names(name: &str) -> Vec<String> {
    let legal = legal_name(name);
    let plain = without_binary(name).map(str::to_owned);
    plain
        .into_iter()
        .chain((legal != name).then_some(legal))
        .collect()
}

/// The name before `;binary`, which says how values are sent and not what they are (RFC 4522 section 3).
fn without_binary(name: &str) -> Option<&str> {
    let (plain, option) = name.rsplit_once(';')?;
    (option.eq_ignore_ascii_case("binary") && !plain.is_empty()).then_some(plain)
}

/// The value of the attribute with exactly this key if it is one string or number rather than a list or anything else.
pub(super) fn scalar(json: &str, key: &str, username: Option<&str>) -> Option<Vec<u8>> {
    let Members(members) = serde_json::from_str(json).ok()?;
    let (_, raw) = members.into_iter().rfind(|(known, _)| known == key)?;
    let text = raw.get();
    text.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
        .then(|| value(text, username))
        .flatten()
}

fn values(raw: &RawValue, username: Option<&str>) -> Vec<Vec<u8>> {
    let text = raw.get();
    if !text.starts_with('[') {
        return value(text, username).into_iter().collect();
    }
    let elements =
        serde_json::from_str::<JsonElements<'_>>(text).map_or(Vec::new(), |JsonElements(list)| list);
    elements
        .into_iter()
        .filter_map(|element| value(element.get(), username))
        .collect()
}

fn value(text: &str, username: Option<&str>) -> Option<Vec<u8>> {
    match text.as_bytes().first()? {
        b'n' => None,
        b'"' => {
            let string: String = serde_json::from_str(text).ok()?;
            Some(match username {
                Some(username) if string.contains("%s") => string.replace("%s", username),
                _ => string,
            })
        }
        b'{' | b'[' => Some(compact(text)),
        b't' | b'f' => Some(text.to_owned()),
        _ => Some(decimal(text)),
    }
    .map(String::into_bytes)
}

/// A number as plain digits: integers as they were written, others as the shortest decimal without an exponent.
fn decimal(text: &str) -> String {
    let integer = text.bytes().all(|octet| octet.is_ascii_digit() || octet == b'-');
    match text.parse::<f64>() {
        Ok(number) if !integer && number.is_finite() => number.to_string(),
        _ => text.to_owned(),
    }
}

/// JSON without the spaces between its parts.
fn compact(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    text.chars()
        .filter(|&character| {
            if in_string {
                in_string = escaped || character != '"';
                escaped = !escaped && character == '\\';
                return true;
            }
            in_string = character == '"';
            !character.is_ascii_whitespace()
        })
        .collect()
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct JsonElements<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonElements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ElementsVisitor;
        impl<'de> Visitor<'de> for ElementsVisitor {
            type Value = JsonElements<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = sequence.next_element::<&'de RawValue>()? {
                    elements.push(element);
                }
                Ok(JsonElements(elements))
            }
        }
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

#[cfg(test)]
mod reading_tests {
    use super::*;

    fn read_all(json: &str) -> Vec<(String, Vec<String>)> {
        read(json, Some("bob"), CustomPolicy::default(), |_, _| {})
            .unwrap()
            .into_iter()
            .map(|custom| {
                let values = custom
                    .values
                    .into_iter()
                    .map(|value| String::from_utf8(value).unwrap());
                (custom.name, values.collect())
            })
            .collect()
    }

    fn one(json: &str) -> Vec<String> {
        read_all(&format!("{{\"k\":{json}}}"))
            .pop()
            .map_or(Vec::new(), |(_, values)| values)
    }

    #[test]
    fn values_are_served_by_their_type() {
        for (json, expected) in [
            ("\"as it is\"", vec!["as it is"]),
            ("\"\"", vec![""]),
            ("\"\\u0001\\n\\\"\"", vec!["\u{1}\n\""]),
            ("true", vec!["true"]),
            ("false", vec!["false"]),
            ("18446744073709551616", vec!["18446744073709551616"]),
            ("-9223372036854775808", vec!["-9223372036854775808"]),
            ("9007199254740993", vec!["9007199254740993"]),
            ("5.0", vec!["5"]),
            ("1e-7", vec!["0.0000001"]),
            ("1e21", vec!["1000000000000000000000"]),
            ("0.12345678901234568", vec!["0.12345678901234568"]),
            ("1e999", vec!["1e999"]),
            ("null", vec![]),
            ("[]", vec![]),
            ("[null]", vec![]),
            (
                "[\"a\", null, 1, true, [1, {\"x\": \"y z\"}]]",
                vec!["a", "1", "true", "[1,{\"x\":\"y z\"}]"],
            ),
            ("{ \"a\\\" b\" : [ 1 , 2.50 ] }", vec!["{\"a\\\" b\":[1,2.50]}"]),
            ("{}", vec!["{}"]),
        ] {
            assert_eq!(one(json), expected, "{json}");
        }
    }

    #[test]
    fn the_user_name_replaces_its_place_and_other_percent_signs_stay() {
        assert_eq!(one("\"/srv/%s/100%d%%\""), ["/srv/bob/100%d%%"]);
        assert_eq!(one("[\"%s@%s\"]"), ["bob@bob"]);
        let groups = read("{\"k\":\"%s\"}", None, CustomPolicy::default(), |_, _| {}).unwrap();
        assert_eq!(groups[0].values, [b"%s"]);
    }

    #[test]
    fn names_are_made_fit_for_the_wire() {
        let names = |key: &str, legal| {
            admitted_name(key, CustomPolicy::default().with_legal_names(legal))
                .map(|(name, aliases)| (name, aliases.join(" ")))
        };
        let pair = |name: &str, alias: &str| Ok((name.to_owned(), alias.to_owned()));
        for (key, official, legal) in [
            ("goauthentik.io/user/sources", "goauthentikio-user-sources", ""),
            ("with space", "with space", "with-space"),
            ("under_score", "under_score", ""),
            ("cn;lang-en", "cn;lang-en", "cn-lang-en"),
            ("straße", "straße", "stra-e"),
            (" a\u{0}b ", "a-b", ""),
            ("a\u{2028}b\u{2029}c", "a-b-c", ""),
        ] {
            assert_eq!(names(key, false), pair(official, legal));
            match legal {
                "" => assert_eq!(names(key, true), pair(official, "")),
                legal => assert_eq!(names(key, true), pair(legal, official)),
            }
        }
        let points = "u043a-u043b-u044e-u0447";
        assert_eq!(names("ключ", false), pair("ключ", points));
        assert_eq!(names("ключ", true), pair(points, "ключ"));
        for key in ["", ".", "...", "/", " ", "--"] {
            assert_eq!(names(key, false), Err(LeftOut::Nameless), "{key}");
        }
        assert!(names(&"a".repeat(MAX_NAME), false).is_ok());
        assert_eq!(names(&"a".repeat(MAX_NAME + 1), false), Err(LeftOut::TooLong));
    }

    #[test]
    fn keys_that_become_one_name_are_merged() {
        assert_eq!(
            read_all("{\"a/b\":[\"1\",\"2\"],\"A-b\":\"2\",\"c\":3,\"a-b\":\"3\"}"),
            [
                (
                    "a-b".to_owned(),
                    vec!["1".to_owned(), "2".to_owned(), "3".to_owned()]
                ),
                ("c".to_owned(), vec!["3".to_owned()])
            ]
        );
    }

    #[test]
    fn scalars_are_told_from_lists_by_their_exact_key() {
        let scalar = |json: &str| scalar(&format!("{{\"x\":1,\"k\":{json}}}"), "k", None);
        assert_eq!(scalar("\"1\""), Some(b"1".to_vec()));
        assert_eq!(scalar("-12"), Some(b"-12".to_vec()));
        for json in ["[\"1\"]", "true", "{}", "null"] {
            assert_eq!(scalar(json), None, "{json}");
        }
        assert_eq!(super::scalar("{\"K\":1}", "k", None), None);
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for json in ["", "null", "[]", "\"x\"", "{", "{\"a\":1}x"] {
            assert!(
                read(json, None, CustomPolicy::default(), |_, _| {}).is_none(),
                "{json}"
            );
        }
        let mut skipped = Vec::new();
        read("{\"//\":1}", None, CustomPolicy::default(), |key, problem| {
            skipped.push((key.to_owned(), problem))
        })
        .unwrap();
        assert_eq!(skipped, [("//".to_owned(), LeftOut::Nameless)]);
    }
}

#[cfg(test)]
mod tests;
