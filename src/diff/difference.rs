//! What can be different between two answers to one search.

use super::answer::{NameHash, key_of};
use super::connection::{OperationEnd, ReceivedEntry};

/// Values of an attribute.
pub(super) type AttributeValues = Vec<Vec<u8>>;

/// The kind of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DifferenceKind {
    /// An entry that only the other server has.
    Missing,
    /// An entry that only this server has.
    More,
    /// Two spellings of the name of one entry.
    Name,
    /// An attribute or its values.
    Attribute,
    /// Two spellings of the name of one attribute.
    Spelling,
    /// The references to other servers.
    Reference,
    /// The order of the entries.
    Order,
    /// The result code.
    Code,
    /// Only one server hangs up.
    Closed,
}

impl DifferenceKind {
    /// Every kind, with its name on the command line and in JSON.
    pub const NAMES: [(Self, &'static str); 9] = [
        (Self::Missing, "missing"),
        (Self::More, "more"),
        (Self::Name, "dn"),
        (Self::Attribute, "attribute"),
        (Self::Spelling, "spelling"),
        (Self::Reference, "reference"),
        (Self::Order, "order"),
        (Self::Code, "code"),
        (Self::Closed, "closed"),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut names = Self::NAMES.iter();
        names.find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut names = Self::NAMES.iter();
        names.find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// What an attribute has on one side only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Whether the attribute is there at all.
    pub is_there: bool,
    /// The values that the other side lacks.
    pub values: AttributeValues,
}

/// A difference between two answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// See [`DifferenceKind::Missing`].
    Missing(ReceivedEntry),
    /// See [`DifferenceKind::More`].
    More(ReceivedEntry),
    /// See [`DifferenceKind::Name`].
    Name {
        /// The name here.
        ours: Vec<u8>,
        /// The name there.
        theirs: Vec<u8>,
    },
    /// See [`DifferenceKind::Attribute`].
    Attribute {
        /// The entry.
        dn: Vec<u8>,
        /// The attribute, as spelled here, or there if it is not here.
        name: Vec<u8>,
        /// What is here only.
        ours: Side,
        /// What is there only.
        theirs: Side,
    },
    /// See [`DifferenceKind::Spelling`].
    Spelling {
        /// The entry.
        dn: Vec<u8>,
        /// The attribute's name here.
        ours: Vec<u8>,
        /// The attribute's name there.
        theirs: Vec<u8>,
    },
    /// References to other servers, each by its URLs.
    Reference {
        /// What is here only.
        ours: AttributeValues,
        /// What is there only.
        theirs: AttributeValues,
    },
    /// The first place where the entries that both have come in a different order.
    Order {
        /// The entry that comes here.
        ours: Vec<u8>,
        /// The entry that comes there.
        theirs: Vec<u8>,
    },
    /// See [`DifferenceKind::Code`]; without an outcome the server hung up instead of answering.
    Code {
        /// How it ended here.
        ours: Option<OperationEnd>,
        /// How it ended there.
        theirs: Option<OperationEnd>,
    },
    /// See [`DifferenceKind::Closed`].
    Closed {
        /// Whether it is this server that hangs up.
        ours: bool,
    },
}

impl Difference {
    /// Its kind.
    pub fn kind(&self) -> DifferenceKind {
        match self {
            Self::Missing(_) => DifferenceKind::Missing,
            Self::More(_) => DifferenceKind::More,
            Self::Name { .. } => DifferenceKind::Name,
            Self::Attribute { .. } => DifferenceKind::Attribute,
            Self::Spelling { .. } => DifferenceKind::Spelling,
            Self::Reference { .. } => DifferenceKind::Reference,
            Self::Order { .. } => DifferenceKind::Order,
            Self::Code { .. } => DifferenceKind::Code,
            Self::Closed { .. } => DifferenceKind::Closed,
        }
    }

    /// The name of the entry it is about.
    pub fn dn(&self) -> Option<&[u8]> {
        match self {
            Self::Missing(entry) | Self::More(entry) => Some(&entry.dn),
            Self::Name { ours: dn, .. } | Self::Attribute { dn, .. } | Self::Spelling { dn, .. } => Some(dn),
            Self::Reference { .. } | Self::Order { .. } | Self::Code { .. } | Self::Closed { .. } => None,
        }
    }

    /// The entry it is about.
    pub fn key(&self) -> Option<NameHash> {
        self.dn().map(key_of)
    }
}

/// The differences between two entries of one name.
pub(super) fn between(ours: &ReceivedEntry, theirs: &ReceivedEntry) -> Vec<Difference> {
    let mut found = Vec::new();
    if ours.dn != theirs.dn {
        found.push(Difference::Name {
            ours: ours.dn.clone(),
            theirs: theirs.dn.clone(),
        });
    }
    let dn = &ours.dn;
    let none = AttributeValues::new();
    // No attribute may be sent twice (RFC 4511 section 4.5.2); one that is has no counterpart.
    for (place, (name, values)) in ours.attributes.iter().enumerate() {
        let other = of_name(theirs, name, times_before(ours, place));
        if let Some((spelling, _)) = other
            && spelling != name
        {
            found.push(Difference::Spelling {
                dn: dn.clone(),
                ours: name.clone(),
                theirs: spelling.clone(),
            });
        }
        let other_values = other.map_or(&none, |(_, values)| values);
        let sides = (only_in(values, other_values), only_in(other_values, values));
        if other.is_none() || !sides.0.is_empty() || !sides.1.is_empty() {
            found.push(Difference::Attribute {
                dn: dn.clone(),
                name: name.clone(),
                ours: Side {
                    is_there: true,
                    values: sides.0,
                },
                theirs: Side {
                    is_there: other.is_some(),
                    values: sides.1,
                },
            });
        }
    }
    for (place, (name, values)) in theirs.attributes.iter().enumerate() {
        if of_name(ours, name, times_before(theirs, place)).is_none() {
            found.push(Difference::Attribute {
                dn: dn.clone(),
                name: name.clone(),
                ours: Side::default(),
                theirs: Side {
                    is_there: true,
                    values: values.clone(),
                },
            });
        }
    }
    found
}

/// The difference between the references of two answers.
pub(super) fn between_references(ours: &AttributeValues, theirs: &AttributeValues) -> Option<Difference> {
    let (ours, theirs) = (only_in(ours, theirs), only_in(theirs, ours));
    (!ours.is_empty() || !theirs.is_empty()).then_some(Difference::Reference { ours, theirs })
}

/// The attribute of this name that comes after so many others of the name.
fn of_name<'e>(
    entry: &'e ReceivedEntry,
    name: &[u8],
    before: usize,
) -> Option<&'e (Vec<u8>, AttributeValues)> {
    let attributes = entry.attributes.iter();
    let mut named = attributes.filter(|(other, _)| other.eq_ignore_ascii_case(name));
    named.nth(before)
}

/// How many attributes of the same name come before this one.
fn times_before(entry: &ReceivedEntry, place: usize) -> usize {
    let name = entry.attributes.get(place).map(|(name, _)| name);
    let before = entry.attributes.iter().take(place);
    before
        .filter(|(other, _)| name.is_some_and(|name| other.eq_ignore_ascii_case(name)))
        .count()
}

/// The values of the first list that the second lacks, each as many times as it occurs more often
/// there.
fn only_in(values: &AttributeValues, others: &AttributeValues) -> AttributeValues {
    let mut counts = std::collections::HashMap::new();
    for other in others {
        *counts.entry(other).or_insert(0_usize) += 1;
    }
    let mut only = AttributeValues::new();
    for value in values {
        match counts.get_mut(value) {
            Some(count) if *count > 0 => *count -= 1,
            _ => only.push(value.clone()),
        }
    }
    only
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_compared_value_by_value() {
        let ours = ReceivedEntry::of(
            "cn=a",
            &[("cn", &["a"]), ("mail", &["1", "2", "2"]), ("new", &[])],
        );
        let theirs = ReceivedEntry::of("CN=a", &[("mail", &["2", "3"]), ("CN", &["a"]), ("old", &["x"])]);
        let found = between(&ours, &theirs);
        let kinds: Vec<DifferenceKind> = found.iter().map(Difference::kind).collect();
        assert_eq!(
            kinds,
            [
                DifferenceKind::Name,
                DifferenceKind::Spelling,
                DifferenceKind::Attribute,
                DifferenceKind::Attribute,
                DifferenceKind::Attribute
            ]
        );
        let Difference::Attribute {
            name, ours, theirs, ..
        } = &found[2]
        else {
            panic!("mail")
        };
        assert_eq!(name, b"mail");
        assert_eq!(ours.values, [b"1".to_vec(), b"2".to_vec()]);
        assert_eq!(theirs.values, [b"3".to_vec()]);
        let Difference::Attribute { ours, theirs, .. } = &found[3] else {
            panic!("new")
        };
        assert_eq!((ours.is_there, theirs.is_there), (true, false));
        assert_eq!(between(&theirs_of(), &theirs_of()), []);
    }

    fn theirs_of() -> ReceivedEntry {
        ReceivedEntry::of("cn=a", &[("cn", &["a"])])
    }

    #[test]
    fn a_reference_that_one_server_lacks_is_a_difference() {
        let refs = |urls: &[&str]| urls.iter().map(|url| url.as_bytes().to_vec()).collect();
        let (one, two): (AttributeValues, AttributeValues) =
            (refs(&["ldap://a"]), refs(&["ldap://b", "ldap://a"]));
        assert_eq!(between_references(&one, &one), None);
        let found = between_references(&one, &two).expect("a difference");
        assert_eq!(found.kind(), DifferenceKind::Reference);
        let expected = Difference::Reference {
            ours: refs(&[]),
            theirs: refs(&["ldap://b"]),
        };
        assert_eq!(found, expected);
    }

    /// No server may send one twice, and one that does says something else than one that does not.
    #[test]
    fn an_attribute_that_is_sent_twice_is_another() {
        let once = ReceivedEntry::of("cn=a", &[("cn", &["a"]), ("mail", &["1"])]);
        let twice = ReceivedEntry::of("cn=a", &[("cn", &["a"]), ("mail", &["1"]), ("Mail", &["1"])]);
        assert_eq!(between(&twice, &twice), []);
        for (ours, theirs) in [(&once, &twice), (&twice, &once)] {
            let found = between(ours, theirs);
            let [
                Difference::Attribute {
                    name, ours, theirs, ..
                },
            ] = found.as_slice()
            else {
                panic!("{found:?}")
            };
            assert_eq!(name, b"Mail");
            assert_ne!(ours.is_there, theirs.is_there);
        }
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        for (kind, name) in DifferenceKind::NAMES {
            assert_eq!((kind.name(), DifferenceKind::named(name)), (name, Some(kind)));
        }
    }
}
