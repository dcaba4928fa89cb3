//! Substring assertions, prepared.
//!
//! Must not know attributes or entries.

use memchr::memmem::Finder;

use crate::schema::Syntax;
use crate::values::syntax;
use akldap_ldap::filter::SubstringFilter;
use akldap_ldap::text::Position;

/// The parts of a substring assertion, prepared.
#[derive(Clone, Debug)]
pub(crate) struct Substrings {
    pub(crate) initial: Vec<u8>,
    pub(crate) any: Vec<Finder<'static>>,
    pub(crate) last: Vec<u8>,
}

impl Substrings {
    /// Octets on the heap, itself included.
    pub(crate) fn memory(&self) -> usize {
        let any = self
            .any
            .iter()
            .map(|part| size_of::<Finder<'_>>() + part.needle().len());
        size_of::<Self>() + self.initial.capacity() + self.last.capacity() + any.sum::<usize>()
    }

    /// `None` if no value of the syntax can have such parts.
    pub(crate) fn new(syntax: Syntax, filter: &SubstringFilter<'_>) -> Option<Self> {
        let mut given = filter.initial.iter().chain(&filter.any).chain(&filter.last);
        if !given.all(|part| syntax::can_hold(syntax, part)) {
            return None;
        }
        let part = |octets: &[u8], position| {
            let mut out = Vec::new();
            syntax::substring_part(syntax, octets, position, &mut out);
            out
        };
        let optional =
            |octets: Option<&[u8]>, position| octets.map(|octets| part(octets, position)).unwrap_or_default();
        Some(Self {
            initial: optional(filter.initial, Position::Initial),
            // The empty text is found everywhere, without a place of its own.
            any: filter
                .any
                .iter()
                .map(|octets| part(octets, Position::Any))
                .filter(|part| !part.is_empty())
                .map(|part| Finder::new(&part).into_owned())
                .collect(),
            last: optional(filter.last, Position::Final),
        })
    }

    /// Reads `a*b*c` (RFC 4517 section 3.3.30), in which `\2A` stands for an asterisk and `\5C` for a backslash.
    pub(crate) fn parse(syntax: Syntax, assertion: &[u8]) -> Option<Self> {
        let mut parts: Vec<Vec<u8>> = vec![Vec::new()];
        let mut rest = assertion.iter().copied();
        while let Some(octet) = rest.next() {
            match octet {
                b'*' => parts.push(Vec::new()),
                b'\\' => {
                    let digits = [rest.next()?, rest.next()?.to_ascii_uppercase()];
                    parts.last_mut()?.push(match &digits {
                        b"2A" => b'*',
                        b"5C" => b'\\',
                        _ => return None,
                    });
                }
                _ => parts.last_mut()?.push(octet),
            }
        }
        let (initial, rest) = parts.split_first()?;
        let (last, any) = rest.split_last()?;
        let given = |part: &'_ Vec<u8>| !part.is_empty();
        if !parts.iter().any(given) {
            return None;
        }
        Self::new(
            syntax,
            &SubstringFilter {
                attribute: b"",
                initial: given(initial).then_some(initial),
                any: any.iter().filter(|part| given(part)).map(Vec::as_slice).collect(),
                last: given(last).then_some(last),
            },
        )
    }

    /// Whether a prepared value has the parts.
    pub(crate) fn matches(&self, value: &[u8]) -> bool {
        let Some(mut middle) = value
            .strip_prefix(self.initial.as_slice())
            .and_then(|rest| rest.strip_suffix(self.last.as_slice()))
        else {
            return false;
        };
        for part in &self.any {
            let Some(end) = part.find(middle).map(|start| start + part.needle().len()) else {
                return false;
            };
            middle = middle.get(end..).unwrap_or_default();
        }
        true
    }

    /// The longest part.
    pub(crate) fn longest(&self) -> &[u8] {
        self.any
            .iter()
            .map(Finder::needle)
            .chain([self.initial.as_slice(), &self.last])
            .max_by_key(|part| part.len())
            .unwrap_or_default()
    }
}
