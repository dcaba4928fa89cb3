//! Random requests of every kind, in the terms of `ldap3_proto`.

use ldap3_proto::proto::{
    LdapAddRequest, LdapBindCred, LdapBindRequest, LdapCompareRequest, LdapDerefAliases, LdapExtendedRequest,
    LdapFilter, LdapMatchingRuleAssertion, LdapModify, LdapModifyDNRequest, LdapModifyRequest,
    LdapModifyType, LdapOp, LdapPartialAttribute, LdapSearchRequest, LdapSearchScope, LdapSubstringFilter,
    SaslCredentials,
};
use proptest::prelude::*;

fn attribute() -> impl Strategy<Value = LdapPartialAttribute> {
    (
        name(),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 1..3),
    )
        .prop_map(|(atype, vals)| LdapPartialAttribute { atype, vals })
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-zA-Z0-9=, *()+#-]{0,12}",
        1 => "\\PC{0,6}",
    ]
}

pub(crate) fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9;-]{0,8}"
}

pub(crate) fn filter() -> impl Strategy<Value = LdapFilter> {
    let substrings = (
        prop::option::of("[a-z ]{1,4}"),
        prop::collection::vec("[a-z*]{1,3}", 0..3),
        prop::option::of("[a-z ]{1,4}"),
    )
        .prop_filter("a substring filter has a part", |(initial, any, last)| {
            initial.is_some() || !any.is_empty() || last.is_some()
        })
        .prop_map(|(initial, any, final_)| LdapSubstringFilter { initial, any, final_ });
    let extensible = (prop::option::of(name()), name(), text(), any::<bool>()).prop_map(
        |(matching_rule, attribute, match_value, dn_attributes)| LdapMatchingRuleAssertion {
            matching_rule,
            type_: Some(attribute),
            match_value,
            dn_attributes,
        },
    );
    let leaf = prop_oneof![
        (name(), text()).prop_map(|(attribute, value)| LdapFilter::Equality(attribute, value)),
        (name(), text()).prop_map(|(attribute, value)| LdapFilter::GreaterOrEqual(attribute, value)),
        (name(), text()).prop_map(|(attribute, value)| LdapFilter::LessOrEqual(attribute, value)),
        (name(), text()).prop_map(|(attribute, value)| LdapFilter::Approx(attribute, value)),
        name().prop_map(LdapFilter::Present),
        (name(), substrings).prop_map(|(attribute, parts)| LdapFilter::Substring(attribute, parts)),
        extensible.prop_map(LdapFilter::Extensible),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(LdapFilter::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(LdapFilter::Or),
            inner.prop_map(|filter| LdapFilter::Not(Box::new(filter))),
        ]
    })
}

fn search() -> impl Strategy<Value = LdapSearchRequest> {
    let limits = (0..=i32::MAX, 0..=i32::MAX, any::<bool>());
    (
        text(),
        0..4u8,
        0..4u8,
        limits,
        filter(),
        prop::collection::vec(text(), 0..4),
    )
        .prop_map(
            |(base, scope, aliases, (sizelimit, timelimit, typesonly), filter, attrs)| LdapSearchRequest {
                base,
                scope: match scope {
                    0 => LdapSearchScope::Base,
                    1 => LdapSearchScope::OneLevel,
                    2 => LdapSearchScope::Subtree,
                    _ => LdapSearchScope::Children,
                },
                aliases: match aliases {
                    0 => LdapDerefAliases::Never,
                    1 => LdapDerefAliases::InSearching,
                    2 => LdapDerefAliases::FindingBaseObj,
                    _ => LdapDerefAliases::Always,
                },
                sizelimit,
                timelimit,
                typesonly,
                filter,
                attrs,
            },
        )
}

pub(crate) fn operation() -> impl Strategy<Value = LdapOp> {
    let credentials = prop_oneof![
        text().prop_map(LdapBindCred::Simple),
        ("[A-Z]{1,8}", prop::collection::vec(any::<u8>(), 0..8)).prop_map(|(mechanism, credentials)| {
            LdapBindCred::SASL(SaslCredentials {
                mechanism,
                credentials,
            })
        }),
    ];
    prop_oneof![
        1 => (2..4i64, text(), credentials)
            .prop_map(|(version, dn, cred)| LdapOp::BindRequest(LdapBindRequest { version, dn, cred })),
        1 => Just(LdapOp::UnbindRequest),
        4 => search().prop_map(LdapOp::SearchRequest),
        1 => (text(), name(), prop::collection::vec(any::<u8>(), 0..8))
            .prop_map(|(dn, atype, val)| LdapOp::CompareRequest(LdapCompareRequest { dn, atype, val })),
        1 => text().prop_map(LdapOp::DelRequest),
        1 => (text(), prop::collection::vec((0..3u8, attribute()), 0..3)).prop_map(|(dn, changes)| {
            let changes = changes.into_iter().map(|(operation, modification)| LdapModify {
                operation: match operation {
                    0 => LdapModifyType::Add,
                    1 => LdapModifyType::Delete,
                    _ => LdapModifyType::Replace,
                },
                modification,
            });
            LdapOp::ModifyRequest(LdapModifyRequest { dn, changes: changes.collect() })
        }),
        1 => (text(), prop::collection::vec(attribute(), 0..3))
            .prop_map(|(dn, attributes)| LdapOp::AddRequest(LdapAddRequest { dn, attributes })),
        1 => (text(), text(), any::<bool>(), prop::option::of(text())).prop_map(
            |(dn, newrdn, deleteoldrdn, new_superior)| {
                LdapOp::ModifyDNRequest(LdapModifyDNRequest { dn, newrdn, deleteoldrdn, new_superior })
            }
        ),
        1 => (1..=i32::MAX).prop_map(LdapOp::AbandonRequest),
        1 => ("[0-9.]{1,12}", prop::option::of(prop::collection::vec(any::<u8>(), 0..8)))
            .prop_map(|(name, value)| LdapOp::ExtendedRequest(LdapExtendedRequest { name, value })),
    ]
}
