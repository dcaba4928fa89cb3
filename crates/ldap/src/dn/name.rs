//! A name as its levels: comparing it with others, and its two string forms, as it was written and normal.
//!
//! Must not know how a string becomes one.

use std::borrow::Cow;
use std::fmt;

use super::escape::{escape, escape_into};
use crate::{steps, text};

/// A distinguished name, leaf first. The empty one names the rootDSE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dn {
    /// The levels, the entry's own first.
    pub rdns: Vec<Rdn>,
}

/// One level of a name; usually a single assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rdn {
    /// The assertions, in the order they were written; never empty.
    pub assertions: Vec<AttributeTypeAndValue>,
}

/// One `type=value` of an RDN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeTypeAndValue {
    /// The attribute type as it was written.
    pub attribute: String,
    /// The value, unescaped.
    pub value: Vec<u8>,
}

impl Dn {
    /// True for the name of the rootDSE.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }

    /// The name one level up; `None` for the empty name.
    #[must_use]
    pub fn parent(&self) -> Option<Dn> {
        let (_, rest) = self.rdns.split_first()?;
        Some(Dn { rdns: rest.to_vec() })
    }

    /// The form in which two names are the same octets exactly if they name the same entry: attribute types by
    /// their short names in lower case, values in lower case and escaped, the assertions of an RDN sorted, no spaces around
    /// separators. It is itself a valid string form.
    #[must_use]
    pub fn normal_form(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, rdn) in self.rdns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            rdn.write_normal_form(&mut out);
        }
        out
    }

    /// The normal forms of the last `most` levels, in the order of the name. A base DN that this name is at or below is
    /// the end of them.
    #[must_use]
    pub fn normal_rdns(&self, most: usize) -> Vec<Vec<u8>> {
        let skipped = self.rdns.len().saturating_sub(most);
        self.rdns.iter().skip(skipped).map(Rdn::normal_form).collect()
    }

    /// The levels of this name below `base`, leaf first; `None` if it is neither `base` nor below it.
    #[must_use]
    pub fn below<'a>(&'a self, base: &Dn) -> Option<&'a [Rdn]> {
        let own = self.rdns.len().checked_sub(base.rdns.len())?;
        let (levels, suffix) = self.rdns.split_at_checked(own)?;
        suffix
            .iter()
            .zip(&base.rdns)
            .all(|(mine, theirs)| mine.matches(theirs))
            .then_some(levels)
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rdn) in self.rdns.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            for (index, assertion) in rdn.assertions.iter().enumerate() {
                if index > 0 {
                    formatter.write_str("+")?;
                }
                let value = escape(&assertion.value);
                write!(
                    formatter,
                    "{}={}",
                    assertion.attribute,
                    String::from_utf8_lossy(&value)
                )?;
            }
        }
        Ok(())
    }
}

impl Rdn {
    /// The form in which two RDNs are the same octets exactly if they match; see [`Dn::normal_form`].
    #[must_use]
    pub fn normal_form(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_normal_form(&mut out);
        out
    }

    /// True if both RDNs have equal normal forms.
    #[must_use]
    pub fn matches(&self, other: &Rdn) -> bool {
        if let ([mine], [theirs]) = (self.assertions.as_slice(), other.assertions.as_slice()) {
            return short_name(&mine.attribute) == short_name(&theirs.attribute)
                && text::fold_case(&mine.value) == text::fold_case(&theirs.value);
        }
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        self.write_normal_form(&mut mine);
        other.write_normal_form(&mut theirs);
        mine == theirs
    }

    /// The value of the RDN if it is a single assertion of `attribute` (a short name in lower case).
    #[must_use]
    pub fn value_of(&self, attribute: &str) -> Option<&[u8]> {
        match self.assertions.as_slice() {
            [assertion] if short_name(&assertion.attribute) == attribute => Some(&assertion.value),
            _ => None,
        }
    }

    fn write_normal_form(&self, out: &mut Vec<u8>) {
        let mut parts: Vec<Vec<u8>> = self
            .assertions
            .iter()
            .map(AttributeTypeAndValue::normal_form)
            .collect();
        parts.sort_unstable();
        parts.dedup();
        out.extend_from_slice(&parts.join(&b'+'));
    }
}

impl AttributeTypeAndValue {
    fn normal_form(&self) -> Vec<u8> {
        let mut out = short_name(&self.attribute).into_owned().into_bytes();
        out.push(b'=');
        escape_into(&mut out, &text::fold_case(&self.value));
        out
    }
}

/// The short names of RFC 4514 section 3 with their OIDs and long names (RFC 4519).
const SHORT_NAMES: &[(&str, &str, &str)] = &[
    ("cn", "2.5.4.3", "commonname"),
    ("l", "2.5.4.7", "localityname"),
    ("st", "2.5.4.8", "stateorprovincename"),
    ("o", "2.5.4.10", "organizationname"),
    ("ou", "2.5.4.11", "organizationalunitname"),
    ("c", "2.5.4.6", "countryname"),
    ("street", "2.5.4.9", "streetaddress"),
    ("dc", "0.9.2342.19200300.100.1.25", "domaincomponent"),
    ("uid", "0.9.2342.19200300.100.1.1", "userid"),
    ("sn", "2.5.4.4", "surname"),
    ("mail", "0.9.2342.19200300.100.1.3", "rfc822mailbox"),
];

fn short_name(attribute: &str) -> Cow<'_, str> {
    steps::add(attribute.len());
    let lower: Cow<'_, str> = if attribute.bytes().any(|octet| octet.is_ascii_uppercase()) {
        Cow::Owned(attribute.to_ascii_lowercase())
    } else {
        Cow::Borrowed(attribute)
    };
    // Only a numeric OID carries the prefix; stripping it from anything else could leave no name or another prefix.
    let plain = match lower.strip_prefix("oid.") {
        Some(oid) if oid.starts_with(|first: char| first.is_ascii_digit()) => oid,
        _ => &lower,
    };
    match SHORT_NAMES
        .iter()
        .find(|(_, oid, long)| *oid == plain || *long == plain)
    {
        Some((short, ..)) => Cow::Borrowed(short),
        None if plain.len() != lower.len() => Cow::Owned(plain.to_owned()),
        None => lower,
    }
}
