//! Query strings as Django reads and writes them.

use std::fmt::Write;

/// The parameters of one request, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(crate) fn parse(raw: &str) -> Self {
        let pairs = raw
            .split('&')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (key, value) = part.split_once('=').unwrap_or((part, ""));
                (decode(key), decode(value))
            })
            .collect();
        Self { pairs }
    }

    /// The value of `key`; where it is given twice the last one counts.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// All values of `key` in order.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|(name, _)| name == key)
    }

    /// A switch like `include_groups`: absent means `default`, any text but `true` means false.
    pub(crate) fn switch(&self, key: &str, default: bool) -> bool {
        self.get(key)
            .map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// Django's `QueryDict.urlencode()`: values grouped by key in the order of the keys' first appearance.
    pub(crate) fn encode(&self) -> String {
        let mut out = String::new();
        let mut seen: Vec<&str> = Vec::new();
        for (key, _) in &self.pairs {
            if seen.contains(&key.as_str()) {
                continue;
            }
            seen.push(key);
            for value in self.all(key) {
                if !out.is_empty() {
                    out.push('&');
                }
                quote_plus(&mut out, key);
                out.push('=');
                quote_plus(&mut out, value);
            }
        }
        out
    }
}

/// Percent-decoding with `+` as space; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%')
            .then(|| {
                text.get(at + 1..at + 3)
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            })
            .flatten();
        match (byte, escaped) {
            (_, Some(value)) => {
                out.push(value);
                at += 3;
            }
            (b'+', None) => {
                out.push(b' ');
                at += 1;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Python's `quote_plus`.
fn quote_plus(out: &mut String, text: &str) {
    for &byte in text.as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn re_encodes_as_django_does() {
        for same in [
            "query=goauthentik.io%252Foutpost%252Fldap%3Dtrue",
            "query=goauthentik.io%2Foutpost%2Fldap%3Dtrue",
            "query=",
            "",
            "query=a%3Db&x=1",
        ] {
            assert_eq!(Query::parse(same).encode(), same);
        }
        assert_eq!(
            Query::parse("query=goauthentik.io/outpost/ldap=true").encode(),
            "query=goauthentik.io%2Foutpost%2Fldap%3Dtrue"
        );
        assert_eq!(Query::parse("a=1&b=2&a=3").encode(), "a=1&a=3&b=2");
    }

    #[test]
    fn reads_values_leniently() {
        let query = Query::parse("username=%ff%fe&a=1&a=2&b&c=%zz&d=x+y");
        assert_eq!(query.get("username"), Some("\u{fffd}\u{fffd}"));
        assert_eq!(query.get("a"), Some("2"));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.get("b"), Some(""));
        assert_eq!(query.get("c"), Some("%zz"));
        assert_eq!(query.get("d"), Some("x y"));
    }
}
