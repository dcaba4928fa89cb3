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
    /// The order of the entries.
    Order,
    /// The result code.
    Code,
    /// Only one server hangs up.
    Closed,
}

impl DifferenceKind {
    /// Every kind, with its name on the command line and in JSON.
    pub const NAMES: [(Self, &'static str); 8] = [
        (Self::Missing, "missing"),
        (Self::More, "more"),
        (Self::Name, "dn"),
        (Self::Attribute, "attribute"),
        (Self::Spelling, "spelling"),
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
            Self::Order { .. } | Self::Code { .. } | Self::Closed { .. } => None,
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
    for (name, values) in &ours.attributes {
        let other = of_name(theirs, name);
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
    for (name, values) in &theirs.attributes {
        if of_name(ours, name).is_none() {
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

fn of_name<'e>(entry: &'e ReceivedEntry, name: &[u8]) -> Option<&'e (Vec<u8>, AttributeValues)> {
    let mut attributes = entry.attributes.iter();
    attributes.find(|(other, _)| other.eq_ignore_ascii_case(name))
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
    fn every_kind_has_a_name_of_its_own() {
        for (kind, name) in DifferenceKind::NAMES {
            assert_eq!((kind.name(), DifferenceKind::named(name)), (name, Some(kind)));
        }
    }
}
