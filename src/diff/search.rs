//! A search as it is written down and sent: an LDAP URL (RFC 4516) without a server. Knows its text and its wire form, not what
//! is found.
//!
//! `ldap:///BASE?ATTRIBUTES?SCOPE?FILTER?EXTENSIONS`. The extensions are ours: `x-page=N` for pages of N entries, `x-size=N` for a
//! size limit, `x-types` for names of attributes without values, `x-unbound` for a search before the bind.

use std::fmt;

use akldap_ldap::ber;
use akldap_ldap::filter::parser;

const SEARCH_REQUEST: u8 = 0x63;

/// How far a search looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchScope {
    /// The base alone.
    #[default]
    Base,
    /// One level below it.
    One,
    /// It and all below it.
    Sub,
}

/// A search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComparedSearch {
    /// Its name in the output.
    pub name: String,
    /// The base DN.
    pub base: String,
    /// The attributes asked for, as sent; none for all.
    pub attributes: Vec<String>,
    /// How far it looks.
    pub scope: SearchScope,
    /// The filter, as text.
    pub filter: String,
    /// Entries on a page; `None` without pages.
    pub page: Option<u32>,
    /// The most entries wanted; 0 for no limit.
    pub size_limit: u32,
    /// Names of attributes without values.
    pub types_only: bool,
    /// Whether it is sent before the bind.
    pub unbound: bool,
}

impl ComparedSearch {
    /// Reads the URL form.
    ///
    /// # Errors
    /// In words, when the text is not a search.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("ldap:///")
            .ok_or("a search must begin with ldap:/// and name no server")?;
        let mut parts = rest.split('?');
        let mut part = || parts.next().unwrap_or_default();
        let base = decode(part())?;
        let attributes = part().split(',').filter(|name| !name.is_empty());
        let attributes = attributes.map(decode).collect::<Result<_, _>>()?;
        let scope = match part() {
            "" | "base" => SearchScope::Base,
            "one" => SearchScope::One,
            "sub" => SearchScope::Sub,
            other => return Err(format!("there is no scope {other:?}; expected base, one or sub")),
        };
        let filter = decode(part())?;
        let mut search = Self {
            name: name.to_owned(),
            base,
            attributes,
            scope,
            filter: if filter.is_empty() {
                "(objectClass=*)".to_owned()
            } else {
                filter
            },
            ..Self::default()
        };
        for extension in part().split(',').filter(|extension| !extension.is_empty()) {
            search.extend(extension)?;
        }
        if parts.next().is_some() {
            return Err("more parts than an LDAP URL has; write a question mark as %3F".to_owned());
        }
        // Placeholders of the built-in searches are not filters yet, but are as good as any text.
        parser::octets(&search.filter).map_err(|error| error.to_string())?;
        Ok(search)
    }

    fn extend(&mut self, extension: &str) -> Result<(), String> {
        let number = |value: &str| {
            let number = value.parse::<u32>().ok().filter(|number| *number > 0);
            number.ok_or_else(|| format!("{extension:?} needs a number above 0"))
        };
        match extension.split_once('=') {
            Some(("x-page", value)) => self.page = Some(number(value)?),
            Some(("x-size", value)) => self.size_limit = number(value)?,
            None if extension == "x-types" => self.types_only = true,
            None if extension == "x-unbound" => self.unbound = true,
            _ => return Err(format!("the extension {extension:?} is not known")),
        }
        Ok(())
    }

    /// Reads one search per line; empty lines and those that begin with `#` are left out.
    ///
    /// # Errors
    /// With the number of the line.
    pub fn parse_lines(text: &str) -> Result<Vec<Self>, String> {
        let mut searches = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let search = Self::parse(&format!("line {number}"), line);
                searches.push(search.map_err(|error| format!("line {number}: {error}"))?);
            }
        }
        Ok(searches)
    }

    /// The SearchRequest, its tag included.
    ///
    /// # Errors
    /// When the filter is not one.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        let filter = parser::octets(&self.filter).map_err(|error| error.to_string())?;
        let mut octets = Vec::new();
        ber::write_constructed(&mut octets, SEARCH_REQUEST, |out| {
            ber::write_element(out, ber::OCTET_STRING, self.base.as_bytes());
            let scope = match self.scope {
                SearchScope::Base => 0,
                SearchScope::One => 1,
                SearchScope::Sub => 2,
            };
            ber::write_integer(out, ber::ENUMERATED, scope);
            // Never dereference aliases, no time limit.
            ber::write_integer(out, ber::ENUMERATED, 0);
            ber::write_integer(out, ber::INTEGER, i64::from(self.size_limit));
            ber::write_integer(out, ber::INTEGER, 0);
            ber::write_boolean(out, self.types_only);
            out.extend_from_slice(&filter);
            ber::write_constructed(out, ber::SEQUENCE, |out| {
                for attribute in &self.attributes {
                    ber::write_element(out, ber::OCTET_STRING, attribute.as_bytes());
                }
            });
        });
        Ok(octets)
    }
}

impl fmt::Display for ComparedSearch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes: Vec<String> = self.attributes.iter().map(|name| encode(name, ",")).collect();
        let scope = match self.scope {
            SearchScope::Base => "base",
            SearchScope::One => "one",
            SearchScope::Sub => "sub",
        };
        write!(
            formatter,
            "ldap:///{}?{}?{scope}?{}",
            encode(&self.base, ""),
            attributes.join(","),
            encode(&self.filter, "")
        )?;
        let mut extensions = Vec::new();
        extensions.extend(self.page.map(|size| format!("x-page={size}")));
        extensions.extend((self.size_limit > 0).then(|| format!("x-size={}", self.size_limit)));
        extensions.extend(self.types_only.then(|| "x-types".to_owned()));
        extensions.extend(self.unbound.then(|| "x-unbound".to_owned()));
        if extensions.is_empty() {
            Ok(())
        } else {
            write!(formatter, "?{}", extensions.join(","))
        }
    }
}

/// Percent-encodes what has a meaning in an LDAP URL; letters beyond ASCII stay readable.
fn encode(text: &str, further: &str) -> String {
    let mut encoded = String::new();
    for character in text.chars() {
        match character {
            '%' | '?' | '#' | ' ' => encoded += &format!("%{:02X}", u32::from(character)),
            _ if character.is_ascii_control() || further.contains(character) => {
                encoded += &format!("%{:02X}", u32::from(character));
            }
            _ => encoded.push(character),
        }
    }
    encoded
}

fn decode(text: &str) -> Result<String, String> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet == b'%' {
            let pair = rest.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
            let octet = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
            octets.push(octet.ok_or_else(|| format!("'%' in {text:?} is not followed by two digits"))?);
            rest = rest.get(2..).unwrap_or_default();
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).map_err(|_| format!("{text:?} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use akldap_ldap::message::{Message, Operation};

    use super::*;

    #[test]
    fn urls_are_read_and_written_alike() {
        for text in [
            "ldap:///dc=a,dc=b??sub?(objectClass=*)?x-page=500",
            "ldap:///cn=a%20b,dc=c?cn,mail?base?(cn=a%3F)",
            "ldap:///?+,a%2Cb?base?(objectClass=*)?x-size=1,x-types,x-unbound",
        ] {
            let search = ComparedSearch::parse("x", text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(search.to_string(), text);
        }
        let least = ComparedSearch::parse("x", "ldap:///").expect("a search");
        assert_eq!(
            (least.scope, least.filter.as_str()),
            (SearchScope::Base, "(objectClass=*)")
        );
        for broken in [
            "ldap://host/dc=a",
            "ldap:///a??tree",
            "ldap:///a???(cn=",
            "ldap:///a????x-page=0",
            "ldap:///a????bindname=x",
            "ldap:///a??????",
            "ldap:///%z",
        ] {
            assert!(ComparedSearch::parse("x", broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn the_server_decodes_what_is_sent() {
        let search = ComparedSearch::parse("x", "ldap:///dc=a?cn,+?one?(&(cn=a*)(!(b=c)))?x-size=7,x-types");
        let request = search.and_then(|search| search.encode()).expect("a request");
        let mut message = vec![0x30, u8::try_from(request.len() + 3).expect("short"), 2, 1, 1];
        message.extend(request);
        let message = Message::decode(&message).expect("a message");
        let Operation::Search(decoded) = message.operation else {
            panic!("a search")
        };
        assert_eq!(decoded.base_object, b"dc=a");
        assert_eq!(decoded.filter.to_string(), "(&(cn=a*)(!(b=c)))");
        assert_eq!(decoded.attributes, [&b"cn"[..], b"+"]);
        assert_eq!((decoded.size_limit, decoded.types_only), (7, true));
    }

    #[test]
    fn a_file_holds_one_search_a_line() {
        let searches = ComparedSearch::parse_lines("# people\n\nldap:///dc=a??sub\n").expect("searches");
        assert_eq!(searches.len(), 1);
        assert_eq!(searches[0].name, "line 3");
        let error = ComparedSearch::parse_lines("ldap:///\nnonsense").expect_err("nonsense");
        assert!(error.starts_with("line 2: "), "{error}");
    }
}
