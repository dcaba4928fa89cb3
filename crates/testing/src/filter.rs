//! Filters in the terms of `ldap3_proto`: from their text form, and from ours.

use akldap_ldap::ber::Reader;
use akldap_ldap::filter::{Filter, parser};
use ldap3_proto::proto::{LdapFilter, LdapMatchingRuleAssertion, LdapSubstringFilter};

/// The filter in `text` (RFC 4515); panics on anything else.
pub fn parse(text: &str) -> LdapFilter {
    let octets = parser::octets(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let filter = Filter::read(&mut Reader::new(&octets));
    translate(&filter.unwrap_or_else(|error| panic!("{text:?}: {error}")))
        .unwrap_or_else(|| panic!("{text:?} has octets that are no text"))
}

/// Our filter in the terms of `ldap3_proto`; `None` if it contains octets that are not text.
pub fn translate(filter: &Filter<'_>) -> Option<LdapFilter> {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).ok();
    Some(match filter {
        Filter::And(filters) => LdapFilter::And(filters.iter().map(translate).collect::<Option<_>>()?),
        Filter::Or(filters) => LdapFilter::Or(filters.iter().map(translate).collect::<Option<_>>()?),
        Filter::Not(filter) => LdapFilter::Not(Box::new(translate(filter)?)),
        Filter::Equality(pair) => LdapFilter::Equality(text(pair.attribute)?, text(pair.value)?),
        Filter::GreaterOrEqual(pair) => LdapFilter::GreaterOrEqual(text(pair.attribute)?, text(pair.value)?),
        Filter::LessOrEqual(pair) => LdapFilter::LessOrEqual(text(pair.attribute)?, text(pair.value)?),
        Filter::Approx(pair) => LdapFilter::Approx(text(pair.attribute)?, text(pair.value)?),
        Filter::Present(attribute) => LdapFilter::Present(text(attribute)?),
        Filter::Substrings(parts) => LdapFilter::Substring(
            text(parts.attribute)?,
            LdapSubstringFilter {
                initial: parts
                    .initial
                    .map(text)
                    .map_or(Some(None), |part| part.map(Some))?,
                any: parts.any.iter().map(|part| text(part)).collect::<Option<_>>()?,
                final_: parts.last.map(text).map_or(Some(None), |part| part.map(Some))?,
            },
        ),
        Filter::Extensible(assertion) => LdapFilter::Extensible(LdapMatchingRuleAssertion {
            matching_rule: assertion
                .matching_rule
                .map(text)
                .map_or(Some(None), |rule| rule.map(Some))?,
            type_: assertion
                .attribute
                .map(text)
                .map_or(Some(None), |name| name.map(Some))?,
            match_value: text(assertion.value)?,
            dn_attributes: assertion.dn_attributes,
        }),
    })
}
