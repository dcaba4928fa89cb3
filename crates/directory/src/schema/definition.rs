//! What makes up a schema: syntaxes, attribute types, object classes, matching rules (RFC 4512 section 4.1).
//!
//! Must not know which there are.

use std::borrow::Cow;

/// An attribute syntax (RFC 4517 section 3.3), which also decides how values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub enum Syntax {
    DirectoryString,
    /// A directory string compared with regard to case; only matching rules ask for it.
    CaseExactString,
    Ia5String,
    /// A directory string that names an account or a group: compared with regard to everything but case, as authentik
    /// tells such names apart.
    AccountName,
    DistinguishedName,
    NameAndOptionalUid,
    Integer,
    Boolean,
    GeneralizedTime,
    OctetString,
    TelephoneNumber,
    Oid,
    Uuid,
    AttributeTypeDescription,
    ObjectClassDescription,
    MatchingRuleDescription,
    MatchingRuleUseDescription,
    LdapSyntaxDescription,
    DitContentRuleDescription,
}

/// The syntaxes the subschema lists: OID and description.
pub const LDAP_SYNTAXES: &[(&str, &str)] = &[
    ("1.3.6.1.4.1.1466.115.121.1.3", "Attribute Type Description"),
    ("1.3.6.1.4.1.1466.115.121.1.7", "Boolean"),
    ("1.3.6.1.4.1.1466.115.121.1.12", "DN"),
    ("1.3.6.1.4.1.1466.115.121.1.15", "Directory String"),
    ("1.3.6.1.4.1.1466.115.121.1.16", "DIT Content Rule Description"),
    ("1.3.6.1.4.1.1466.115.121.1.24", "Generalized Time"),
    ("1.3.6.1.4.1.1466.115.121.1.26", "IA5 String"),
    ("1.3.6.1.4.1.1466.115.121.1.27", "INTEGER"),
    ("1.3.6.1.4.1.1466.115.121.1.30", "Matching Rule Description"),
    ("1.3.6.1.4.1.1466.115.121.1.31", "Matching Rule Use Description"),
    ("1.3.6.1.4.1.1466.115.121.1.34", "Name And Optional UID"),
    ("1.3.6.1.4.1.1466.115.121.1.37", "Object Class Description"),
    ("1.3.6.1.4.1.1466.115.121.1.38", "OID"),
    ("1.3.6.1.4.1.1466.115.121.1.40", "Octet String"),
    ("1.3.6.1.4.1.1466.115.121.1.50", "Telephone Number"),
    ("1.3.6.1.4.1.1466.115.121.1.54", "LDAP Syntax Description"),
    ("1.3.6.1.4.1.1466.115.121.1.58", "Substring Assertion"),
    ("1.3.6.1.1.16.1", "UUID"),
];

impl Syntax {
    /// The OID under which the subschema lists the syntax.
    #[must_use]
    pub fn oid(self) -> &'static str {
        match self {
            Self::AttributeTypeDescription => "1.3.6.1.4.1.1466.115.121.1.3",
            Self::Boolean => "1.3.6.1.4.1.1466.115.121.1.7",
            Self::DistinguishedName => "1.3.6.1.4.1.1466.115.121.1.12",
            Self::DirectoryString | Self::CaseExactString | Self::AccountName => {
                "1.3.6.1.4.1.1466.115.121.1.15"
            }
            Self::DitContentRuleDescription => "1.3.6.1.4.1.1466.115.121.1.16",
            Self::GeneralizedTime => "1.3.6.1.4.1.1466.115.121.1.24",
            Self::Ia5String => "1.3.6.1.4.1.1466.115.121.1.26",
            Self::Integer => "1.3.6.1.4.1.1466.115.121.1.27",
            Self::MatchingRuleDescription => "1.3.6.1.4.1.1466.115.121.1.30",
            Self::MatchingRuleUseDescription => "1.3.6.1.4.1.1466.115.121.1.31",
            Self::NameAndOptionalUid => "1.3.6.1.4.1.1466.115.121.1.34",
            Self::ObjectClassDescription => "1.3.6.1.4.1.1466.115.121.1.37",
            Self::Oid => "1.3.6.1.4.1.1466.115.121.1.38",
            Self::OctetString => "1.3.6.1.4.1.1466.115.121.1.40",
            Self::TelephoneNumber => "1.3.6.1.4.1.1466.115.121.1.50",
            Self::LdapSyntaxDescription => "1.3.6.1.4.1.1466.115.121.1.54",
            Self::Uuid => "1.3.6.1.1.16.1",
        }
    }

    /// The syntax in which a rule of this one compares the values of an attribute of the syntax `own`: no rule that a
    /// client may choose folds more of a name than its attribute's own does.
    #[must_use]
    pub fn comparing(self, own: Self) -> Self {
        match self {
            _ if own != Self::AccountName => self,
            Self::CaseExactString => Self::OctetString,
            Self::OctetString
            | Self::DistinguishedName
            | Self::NameAndOptionalUid
            | Self::Integer
            | Self::Boolean
            | Self::GeneralizedTime
            | Self::Uuid => self,
            // These all fold text.
            Self::DirectoryString
            | Self::Ia5String
            | Self::AccountName
            | Self::TelephoneNumber
            | Self::Oid
            | Self::AttributeTypeDescription
            | Self::ObjectClassDescription
            | Self::MatchingRuleDescription
            | Self::MatchingRuleUseDescription
            | Self::LdapSyntaxDescription
            | Self::DitContentRuleDescription => own,
        }
    }

    /// The equality, ordering and substrings rules of attributes of this syntax, by name.
    #[must_use]
    pub fn rules(self) -> (&'static str, Option<&'static str>, Option<&'static str>) {
        match self {
            Self::DirectoryString | Self::AccountName => (
                "caseIgnoreMatch",
                Some("caseIgnoreOrderingMatch"),
                Some("caseIgnoreSubstringsMatch"),
            ),
            Self::CaseExactString => (
                "caseExactMatch",
                Some("caseExactOrderingMatch"),
                Some("caseExactSubstringsMatch"),
            ),
            Self::Ia5String => ("caseIgnoreIA5Match", None, Some("caseIgnoreIA5SubstringsMatch")),
            Self::DistinguishedName => ("distinguishedNameMatch", None, None),
            Self::NameAndOptionalUid => ("uniqueMemberMatch", None, None),
            Self::Integer => ("integerMatch", Some("integerOrderingMatch"), None),
            Self::Boolean => ("booleanMatch", None, None),
            Self::GeneralizedTime => ("generalizedTimeMatch", Some("generalizedTimeOrderingMatch"), None),
            Self::OctetString => ("octetStringMatch", Some("octetStringOrderingMatch"), None),
            Self::TelephoneNumber => (
                "telephoneNumberMatch",
                None,
                Some("telephoneNumberSubstringsMatch"),
            ),
            Self::Oid => ("objectIdentifierMatch", None, None),
            Self::Uuid => ("uuidMatch", Some("uuidOrderingMatch"), None),
            Self::AttributeTypeDescription
            | Self::ObjectClassDescription
            | Self::MatchingRuleDescription
            | Self::MatchingRuleUseDescription
            | Self::LdapSyntaxDescription
            | Self::DitContentRuleDescription => ("objectIdentifierFirstComponentMatch", None, None),
        }
    }
}

/// What an attribute is for (RFC 4512 section 4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Data of users and groups.
    UserApplications,
    /// Kept by the directory about an entry.
    DirectoryOperation,
    /// About this server only.
    DsaOperation,
}

/// What distinguishes an attribute type from the others: its position among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeTypeId(pub(super) u16);

/// An attribute type.
#[derive(Clone, Copy, Debug)]
pub struct AttributeType {
    /// What distinguishes it from the others.
    pub id: AttributeTypeId,
    /// The spelling we serve.
    pub name: &'static str,
    /// [`name`](Self::name) in lower case: the key under which values are kept.
    pub key: &'static str,
    /// Other names, in the spelling of their RFC.
    pub names: &'static [&'static str],
    /// The object identifier.
    pub oid: &'static str,
    /// The syntax of its values.
    pub syntax: Syntax,
    /// Whether an entry has at most one value.
    pub single_value: bool,
    /// Whether `+` asks for it (RFC 3673).
    pub operational: bool,
    /// What it is for.
    pub usage: Usage,
}

impl AttributeType {
    /// Which of its other names this is, whatever the case.
    #[must_use]
    pub fn alias(&self, name: &[u8]) -> Option<u8> {
        let position = self
            .names
            .iter()
            .position(|alias| alias.as_bytes().eq_ignore_ascii_case(name))?;
        u8::try_from(position).ok()
    }
}

/// The kind of an object class (RFC 4512 section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub enum ClassKind {
    Abstract,
    Structural,
    Auxiliary,
}

/// An object class.
#[derive(Clone, Copy, Debug)]
pub struct ObjectClass {
    /// The spelling we serve as a value of `objectClass`.
    pub name: &'static str,
    /// [`name`](Self::name) in lower case.
    pub key: &'static str,
    /// The object identifier.
    pub oid: &'static str,
    /// The class it refines, by name.
    pub superior: Option<&'static str>,
    /// Its kind.
    pub kind: ClassKind,
    /// The attributes each of its entries has.
    pub must: &'static [&'static str],
    /// The attributes its entries may have.
    pub may: &'static [&'static str],
}

impl ObjectClass {
    /// The name of the class as RFC 4512 section 1.4 allows it: with hyphens for dots and slashes.
    #[must_use]
    pub fn descriptor(&self) -> Cow<'static, str> {
        let legal = |character: char| character.is_ascii_alphanumeric() || character == '-';
        match self.name.chars().all(legal) {
            true => Cow::Borrowed(self.name),
            false => Cow::Owned(self.name.replace(|character| !legal(character), "-")),
        }
    }
}

/// How a matching rule compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal normal forms.
    Equality,
    /// The value comes before the assertion.
    Ordering,
    /// Substrings; the assertion is `a*b*c`.
    Substrings,
    /// All bits of the assertion are set in the value.
    BitAnd,
    /// Any bit of the assertion is set in the value.
    BitOr,
    /// The asserted name is reached by following the attribute any number of times.
    InChain,
}

/// A matching rule (RFC 4512 section 4.1.3).
#[derive(Clone, Copy, Debug)]
pub struct MatchingRule {
    /// Its name.
    pub name: &'static str,
    /// The object identifier.
    pub oid: &'static str,
    /// How it compares.
    pub comparison: Comparison,
    /// The syntax in which values and assertion are understood, whatever the attribute's own.
    pub syntax: Syntax,
}

impl MatchingRule {
    /// The OID of the syntax of its assertions.
    #[must_use]
    pub fn assertion_syntax_oid(&self) -> &'static str {
        match (self.comparison, self.syntax) {
            (Comparison::Substrings, _) => "1.3.6.1.4.1.1466.115.121.1.58",
            // objectIdentifierFirstComponentMatch compares with an OID.
            (_, Syntax::ObjectClassDescription) => Syntax::Oid.oid(),
            (_, syntax) => syntax.oid(),
        }
    }

    /// Whether the rule can be used on attributes of `syntax` (for `:rule:=value`, which names no attribute).
    #[must_use]
    pub fn applies_to(&self, syntax: Syntax) -> bool {
        let (equality, ordering, substrings) = syntax.rules();
        let text = |syntax| {
            matches!(
                syntax,
                Syntax::DirectoryString | Syntax::Ia5String | Syntax::AccountName
            )
        };
        equality == self.name
            || ordering == Some(self.name)
            || substrings == Some(self.name)
            || match self.comparison {
                Comparison::BitAnd | Comparison::BitOr => syntax == Syntax::Integer,
                Comparison::InChain => syntax == Syntax::DistinguishedName,
                _ => {
                    text(syntax)
                        && matches!(
                            self.syntax,
                            Syntax::DirectoryString | Syntax::CaseExactString | Syntax::Ia5String
                        )
                }
            }
    }
}
