//! The matching rules (RFC 4517 section 4.2, RFC 4530 section 3, and those of Active Directory that filters use).

use super::definition::{Comparison, MatchingRule, Syntax};

/// `LDAP_MATCHING_RULE_IN_CHAIN`: membership through any number of groups.
pub const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";
/// `LDAP_MATCHING_RULE_BIT_AND`: all bits of the assertion are set.
pub const BIT_AND: &str = "1.2.840.113556.1.4.803";
/// `LDAP_MATCHING_RULE_BIT_OR`: any bit of the assertion is set.
pub const BIT_OR: &str = "1.2.840.113556.1.4.804";

/// The matching rules in the order in which the subschema lists them.
pub const MATCHING_RULES: &[MatchingRule] = &[
    rule(
        "objectIdentifierMatch",
        "2.5.13.0",
        Comparison::Equality,
        Syntax::Oid,
    ),
    rule(
        "distinguishedNameMatch",
        "2.5.13.1",
        Comparison::Equality,
        Syntax::DistinguishedName,
    ),
    rule(
        "caseIgnoreMatch",
        "2.5.13.2",
        Comparison::Equality,
        Syntax::DirectoryString,
    ),
    rule(
        "caseIgnoreOrderingMatch",
        "2.5.13.3",
        Comparison::Ordering,
        Syntax::DirectoryString,
    ),
    rule(
        "caseIgnoreSubstringsMatch",
        "2.5.13.4",
        Comparison::Substrings,
        Syntax::DirectoryString,
    ),
    rule(
        "caseExactMatch",
        "2.5.13.5",
        Comparison::Equality,
        Syntax::CaseExactString,
    ),
    rule(
        "caseExactOrderingMatch",
        "2.5.13.6",
        Comparison::Ordering,
        Syntax::CaseExactString,
    ),
    rule(
        "caseExactSubstringsMatch",
        "2.5.13.7",
        Comparison::Substrings,
        Syntax::CaseExactString,
    ),
    rule("booleanMatch", "2.5.13.13", Comparison::Equality, Syntax::Boolean),
    rule("integerMatch", "2.5.13.14", Comparison::Equality, Syntax::Integer),
    rule(
        "integerOrderingMatch",
        "2.5.13.15",
        Comparison::Ordering,
        Syntax::Integer,
    ),
    rule(
        "octetStringMatch",
        "2.5.13.17",
        Comparison::Equality,
        Syntax::OctetString,
    ),
    rule(
        "octetStringOrderingMatch",
        "2.5.13.18",
        Comparison::Ordering,
        Syntax::OctetString,
    ),
    rule(
        "telephoneNumberMatch",
        "2.5.13.20",
        Comparison::Equality,
        Syntax::TelephoneNumber,
    ),
    rule(
        "telephoneNumberSubstringsMatch",
        "2.5.13.21",
        Comparison::Substrings,
        Syntax::TelephoneNumber,
    ),
    rule(
        "uniqueMemberMatch",
        "2.5.13.23",
        Comparison::Equality,
        Syntax::NameAndOptionalUid,
    ),
    rule(
        "generalizedTimeMatch",
        "2.5.13.27",
        Comparison::Equality,
        Syntax::GeneralizedTime,
    ),
    rule(
        "generalizedTimeOrderingMatch",
        "2.5.13.28",
        Comparison::Ordering,
        Syntax::GeneralizedTime,
    ),
    rule(
        "objectIdentifierFirstComponentMatch",
        "2.5.13.30",
        Comparison::Equality,
        Syntax::ObjectClassDescription,
    ),
    rule(
        "caseExactIA5Match",
        "1.3.6.1.4.1.1466.109.114.1",
        Comparison::Equality,
        Syntax::CaseExactString,
    ),
    rule(
        "caseIgnoreIA5Match",
        "1.3.6.1.4.1.1466.109.114.2",
        Comparison::Equality,
        Syntax::Ia5String,
    ),
    rule(
        "caseIgnoreIA5SubstringsMatch",
        "1.3.6.1.4.1.1466.109.114.3",
        Comparison::Substrings,
        Syntax::Ia5String,
    ),
    rule("uuidMatch", "1.3.6.1.1.16.2", Comparison::Equality, Syntax::Uuid),
    rule(
        "uuidOrderingMatch",
        "1.3.6.1.1.16.3",
        Comparison::Ordering,
        Syntax::Uuid,
    ),
    rule("integerBitAndMatch", BIT_AND, Comparison::BitAnd, Syntax::Integer),
    rule("integerBitOrMatch", BIT_OR, Comparison::BitOr, Syntax::Integer),
    rule(
        "distinguishedNameInChainMatch",
        IN_CHAIN,
        Comparison::InChain,
        Syntax::DistinguishedName,
    ),
];

const fn rule(name: &'static str, oid: &'static str, comparison: Comparison, syntax: Syntax) -> MatchingRule {
    MatchingRule {
        name,
        oid,
        comparison,
        syntax,
    }
}
