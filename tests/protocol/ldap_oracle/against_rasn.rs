//! Requests against `rasn-ldap`, whose decoder is made from the ASN.1 of RFC 4511.

use akldap::server::request;
use akldap_ldap::message::Operation;
use akldap_testing::filter::translate;
use ldap3_proto::proto::{
    LdapAddRequest, LdapBindCred, LdapBindRequest, LdapCompareRequest, LdapDerefAliases, LdapExtendedRequest,
    LdapFilter, LdapMatchingRuleAssertion, LdapModifyDNRequest, LdapModifyRequest, LdapModifyType, LdapOp,
    LdapPartialAttribute, LdapSearchRequest, LdapSearchScope, LdapSubstringFilter, SaslCredentials,
};
use proptest::prelude::*;
use rasn_ldap::{
    AbandonRequest, AddRequest, Attribute, AttributeValueAssertion, AuthenticationChoice, BindRequest,
    ChangeOperation, CompareRequest, Control, DelRequest, ExtendedRequest, Filter, LdapMessage,
    MatchingRuleAssertion, ModifyDnRequest, ModifyRequest, ModifyRequestChanges, PartialAttribute,
    ProtocolOp, SearchRequest, SearchRequestDerefAliases, SearchRequestScope, SubstringChoice,
    SubstringFilter, UnbindRequest,
};

use crate::ldap_oracle::against_ldap3_proto::agrees;
use crate::ldap_oracle::differences;
use crate::ldap_oracle::ignored::without_ignored;
use crate::ldap_oracle::mutation;
use crate::ldap_oracle::requests::operation;

pub(crate) fn decode(octets: &[u8]) -> Option<LdapMessage> {
    rasn::ber::decode(octets).ok()
}

fn encode(message_id: u32, operation: ProtocolOp, controls: Option<Vec<Control>>) -> Vec<u8> {
    let mut message = LdapMessage::new(message_id, operation);
    message.controls = controls;
    rasn::ber::encode(&message).unwrap()
}

/// A request in `rasn-ldap`'s terms; `None` for the scope it does not have.
fn to_rasn(operation: &LdapOp) -> Option<ProtocolOp> {
    let text = |text: &String| text.as_str().into();
    let octets = |octets: &[u8]| octets.to_vec().into();
    Some(match operation {
        LdapOp::BindRequest(bind) => {
            let authentication = match &bind.cred {
                LdapBindCred::Simple(password) => AuthenticationChoice::Simple(octets(password.as_bytes())),
                LdapBindCred::SASL(sasl) => AuthenticationChoice::Sasl(rasn_ldap::SaslCredentials::new(
                    text(&sasl.mechanism),
                    Some(octets(&sasl.credentials)),
                )),
                _ => return None,
            };
            ProtocolOp::BindRequest(BindRequest::new(
                u8::try_from(bind.version).ok()?,
                text(&bind.dn),
                authentication,
            ))
        }
        LdapOp::UnbindRequest => ProtocolOp::UnbindRequest(UnbindRequest),
        LdapOp::SearchRequest(search) => ProtocolOp::SearchRequest(SearchRequest::new(
            text(&search.base),
            match search.scope {
                LdapSearchScope::Base => SearchRequestScope::BaseObject,
                LdapSearchScope::OneLevel => SearchRequestScope::SingleLevel,
                LdapSearchScope::Subtree => SearchRequestScope::WholeSubtree,
                LdapSearchScope::Children => return None,
            },
            match search.aliases {
                LdapDerefAliases::Never => SearchRequestDerefAliases::NeverDerefAliases,
                LdapDerefAliases::InSearching => SearchRequestDerefAliases::DerefInSearching,
                LdapDerefAliases::FindingBaseObj => SearchRequestDerefAliases::DerefFindingBaseObj,
                LdapDerefAliases::Always => SearchRequestDerefAliases::DerefAlways,
            },
            u32::try_from(search.sizelimit).ok()?,
            u32::try_from(search.timelimit).ok()?,
            search.typesonly,
            filter_to_rasn(&search.filter),
            search.attrs.iter().map(text).collect(),
        )),
        LdapOp::ModifyRequest(modify) => ProtocolOp::ModifyRequest(ModifyRequest {
            object: text(&modify.dn),
            changes: modify
                .changes
                .iter()
                .map(|change| ModifyRequestChanges {
                    operation: match change.operation {
                        LdapModifyType::Add => ChangeOperation::Add,
                        LdapModifyType::Delete => ChangeOperation::Delete,
                        _ => ChangeOperation::Replace,
                    },
                    modification: PartialAttribute::new(
                        text(&change.modification.atype),
                        values(&change.modification),
                    ),
                })
                .collect(),
        }),
        LdapOp::AddRequest(add) => ProtocolOp::AddRequest(AddRequest {
            entry: text(&add.dn),
            attributes: add
                .attributes
                .iter()
                .map(|attribute| Attribute::new(text(&attribute.atype), values(attribute)))
                .collect(),
        }),
        LdapOp::DelRequest(dn) => ProtocolOp::DelRequest(DelRequest(text(dn))),
        LdapOp::ModifyDNRequest(modify) => ProtocolOp::ModDnRequest(ModifyDnRequest {
            entry: text(&modify.dn),
            new_rdn: text(&modify.newrdn),
            delete_old_rdn: modify.deleteoldrdn,
            new_superior: modify.new_superior.as_ref().map(text),
        }),
        LdapOp::CompareRequest(compare) => ProtocolOp::CompareRequest(CompareRequest {
            entry: text(&compare.dn),
            ava: AttributeValueAssertion::new(text(&compare.atype), octets(&compare.val)),
        }),
        LdapOp::AbandonRequest(target) => {
            ProtocolOp::AbandonRequest(AbandonRequest(u32::try_from(*target).ok()?))
        }
        LdapOp::ExtendedRequest(extended) => ProtocolOp::ExtendedReq(ExtendedRequest {
            request_name: octets(extended.name.as_bytes()),
            request_value: extended.value.as_deref().map(octets),
        }),
        _ => return None,
    })
}

fn values(attribute: &LdapPartialAttribute) -> rasn::types::SetOf<rasn_ldap::AttributeValue> {
    let values: Vec<_> = attribute.vals.iter().map(|value| value.clone().into()).collect();
    rasn::types::SetOf::from_vec(values)
}

fn filter_to_rasn(filter: &LdapFilter) -> Filter {
    let all =
        |filters: &[LdapFilter]| rasn::types::SetOf::from_vec(filters.iter().map(filter_to_rasn).collect());
    let pair = |attribute: &String, value: &String| {
        AttributeValueAssertion::new(attribute.as_str().into(), value.as_bytes().to_vec().into())
    };
    match filter {
        LdapFilter::And(filters) => Filter::And(all(filters)),
        LdapFilter::Or(filters) => Filter::Or(all(filters)),
        LdapFilter::Not(filter) => Filter::Not(Box::new(filter_to_rasn(filter))),
        LdapFilter::Equality(attribute, value) => Filter::EqualityMatch(pair(attribute, value)),
        LdapFilter::GreaterOrEqual(attribute, value) => Filter::GreaterOrEqual(pair(attribute, value)),
        LdapFilter::LessOrEqual(attribute, value) => Filter::LessOrEqual(pair(attribute, value)),
        LdapFilter::Approx(attribute, value) => Filter::ApproxMatch(pair(attribute, value)),
        LdapFilter::Present(attribute) => Filter::Present(attribute.as_str().into()),
        LdapFilter::Substring(attribute, parts) => {
            let octets = |part: &String| part.as_bytes().to_vec().into();
            let parts = (parts
                .initial
                .iter()
                .map(|part| SubstringChoice::Initial(octets(part))))
            .chain(parts.any.iter().map(|part| SubstringChoice::Any(octets(part))))
            .chain(
                parts
                    .final_
                    .iter()
                    .map(|part| SubstringChoice::Final(octets(part))),
            );
            Filter::Substrings(SubstringFilter::new(attribute.as_str().into(), parts.collect()))
        }
        LdapFilter::Extensible(assertion) => Filter::ExtensibleMatch(MatchingRuleAssertion::new(
            assertion.matching_rule.as_ref().map(|rule| rule.as_str().into()),
            assertion.type_.as_ref().map(|name| name.as_str().into()),
            assertion.match_value.as_bytes().to_vec().into(),
            assertion.dn_attributes,
        )),
    }
}

/// A request of `rasn-ldap` in the terms of `ldap3_proto`; `None` if it contains octets that are not text or is not a
/// request.
fn from_rasn(operation: &ProtocolOp) -> Option<LdapOp> {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).ok();
    Some(match operation {
        ProtocolOp::BindRequest(bind) => LdapOp::BindRequest(LdapBindRequest {
            dn: bind.name.0.clone(),
            version: i64::from(bind.version),
            cred: match &bind.authentication {
                AuthenticationChoice::Simple(password) => LdapBindCred::Simple(text(password)?),
                AuthenticationChoice::Sasl(sasl) => LdapBindCred::SASL(SaslCredentials {
                    mechanism: sasl.mechanism.0.clone(),
                    credentials: sasl
                        .credentials
                        .as_ref()
                        .map(|octets| octets.to_vec())
                        .unwrap_or_default(),
                }),
                _ => return None,
            },
        }),
        ProtocolOp::UnbindRequest(_) => LdapOp::UnbindRequest,
        ProtocolOp::SearchRequest(search) => LdapOp::SearchRequest(LdapSearchRequest {
            base: search.base_object.0.clone(),
            scope: match search.scope {
                SearchRequestScope::BaseObject => LdapSearchScope::Base,
                SearchRequestScope::SingleLevel => LdapSearchScope::OneLevel,
                _ => LdapSearchScope::Subtree,
            },
            aliases: match search.deref_aliases {
                SearchRequestDerefAliases::NeverDerefAliases => LdapDerefAliases::Never,
                SearchRequestDerefAliases::DerefInSearching => LdapDerefAliases::InSearching,
                SearchRequestDerefAliases::DerefFindingBaseObj => LdapDerefAliases::FindingBaseObj,
                _ => LdapDerefAliases::Always,
            },
            sizelimit: i32::try_from(search.size_limit).ok()?,
            timelimit: i32::try_from(search.time_limit).ok()?,
            typesonly: search.types_only,
            filter: filter_from_rasn(&search.filter)?,
            attrs: search.attributes.iter().map(|name| name.0.clone()).collect(),
        }),
        // Only their kind is compared.
        ProtocolOp::ModifyRequest(modify) => LdapOp::ModifyRequest(LdapModifyRequest {
            dn: modify.object.0.clone(),
            changes: Vec::new(),
        }),
        ProtocolOp::AddRequest(add) => LdapOp::AddRequest(LdapAddRequest {
            dn: add.entry.0.clone(),
            attributes: Vec::new(),
        }),
        ProtocolOp::DelRequest(delete) => LdapOp::DelRequest(delete.0.0.clone()),
        ProtocolOp::ModDnRequest(modify) => LdapOp::ModifyDNRequest(LdapModifyDNRequest {
            dn: modify.entry.0.clone(),
            newrdn: modify.new_rdn.0.clone(),
            deleteoldrdn: modify.delete_old_rdn,
            new_superior: None,
        }),
        ProtocolOp::CompareRequest(compare) => LdapOp::CompareRequest(LdapCompareRequest {
            dn: compare.entry.0.clone(),
            atype: compare.ava.attribute_desc.0.clone(),
            val: compare.ava.assertion_value.to_vec(),
        }),
        ProtocolOp::AbandonRequest(target) => LdapOp::AbandonRequest(i32::try_from(target.0).ok()?),
        ProtocolOp::ExtendedReq(extended) => LdapOp::ExtendedRequest(LdapExtendedRequest {
            name: text(&extended.request_name)?,
            value: extended.request_value.as_ref().map(|octets| octets.to_vec()),
        }),
        _ => return None,
    })
}

fn filter_from_rasn(filter: &Filter) -> Option<LdapFilter> {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).ok();
    let all = |filters: &rasn::types::SetOf<Filter>| {
        filters
            .to_vec()
            .into_iter()
            .map(filter_from_rasn)
            .collect::<Option<Vec<_>>>()
    };
    let pair =
        |pair: &AttributeValueAssertion| Some((pair.attribute_desc.0.clone(), text(&pair.assertion_value)?));
    Some(match filter {
        Filter::And(filters) => LdapFilter::And(all(filters)?),
        Filter::Or(filters) => LdapFilter::Or(all(filters)?),
        Filter::Not(filter) => LdapFilter::Not(Box::new(filter_from_rasn(filter)?)),
        Filter::EqualityMatch(assertion) => {
            pair(assertion).map(|(name, value)| LdapFilter::Equality(name, value))?
        }
        Filter::GreaterOrEqual(assertion) => {
            pair(assertion).map(|(name, value)| LdapFilter::GreaterOrEqual(name, value))?
        }
        Filter::LessOrEqual(assertion) => {
            pair(assertion).map(|(name, value)| LdapFilter::LessOrEqual(name, value))?
        }
        Filter::ApproxMatch(assertion) => {
            pair(assertion).map(|(name, value)| LdapFilter::Approx(name, value))?
        }
        Filter::Present(attribute) => LdapFilter::Present(attribute.0.clone()),
        Filter::Substrings(substrings) => {
            let mut parts = LdapSubstringFilter {
                initial: None,
                any: Vec::new(),
                final_: None,
            };
            for part in &substrings.substrings {
                match part {
                    SubstringChoice::Initial(octets) => parts.initial = Some(text(octets)?),
                    SubstringChoice::Any(octets) => parts.any.push(text(octets)?),
                    SubstringChoice::Final(octets) => parts.final_ = Some(text(octets)?),
                    _ => return None,
                }
            }
            LdapFilter::Substring(substrings.r#type.0.clone(), parts)
        }
        Filter::ExtensibleMatch(assertion) => LdapFilter::Extensible(LdapMatchingRuleAssertion {
            matching_rule: assertion.matching_rule.as_ref().map(|rule| rule.0.clone()),
            type_: assertion.r#type.as_ref().map(|name| name.0.clone()),
            match_value: text(&assertion.match_value)?,
            dn_attributes: assertion.dn_attributes,
        }),
        _ => return None,
    })
}

/// The filter with the components of every AND and OR in one order: they are sets to `rasn-ldap`.
fn sorted(filter: LdapFilter) -> LdapFilter {
    let all = |filters: Vec<LdapFilter>| {
        let mut filters: Vec<LdapFilter> = filters.into_iter().map(sorted).collect();
        filters.sort_by_cached_key(|filter| format!("{filter:?}"));
        filters
    };
    match filter {
        LdapFilter::And(filters) => LdapFilter::And(all(filters)),
        LdapFilter::Or(filters) => LdapFilter::Or(all(filters)),
        LdapFilter::Not(filter) => LdapFilter::Not(Box::new(sorted(*filter))),
        other => other,
    }
}

/// Whether our message says what theirs does, apart from the order within sets.
fn agrees_but_for_order(ours: &Operation<'_>, theirs: LdapOp) -> Option<bool> {
    let (Operation::Search(search), LdapOp::SearchRequest(mut request)) = (ours, theirs.clone()) else {
        return agrees(ours, &theirs);
    };
    let filter = translate(&search.filter)?;
    let same_filter = sorted(filter.clone()) == sorted(request.filter);
    request.filter = filter;
    Some(same_filter && agrees(ours, &LdapOp::SearchRequest(request))?)
}

type RandomControl = (String, bool, Option<Vec<u8>>);

fn controls() -> impl Strategy<Value = Option<Vec<RandomControl>>> {
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..150));
    prop::option::of(prop::collection::vec(("[0-9.]{1,9}", any::<bool>(), value), 1..4))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_rasn_writes_is_read_as_meant(message_id in 0..=0x7fff_ffffu32, operation in operation(), controls in controls()) {
        let Some(request) = to_rasn(&operation) else {
            return Ok(());
        };
        let listed = controls.clone().map(|controls| {
            let control = |(oid, criticality, value): RandomControl| {
                Control::new(oid.into_bytes().into(), criticality, value.map(Into::into))
            };
            controls.into_iter().map(control).collect()
        });
        let octets = encode(message_id, request, listed);
        let message = request::decode(&octets).unwrap();
        prop_assert_eq!(message.message_id, message_id);
        prop_assert_eq!(agrees_but_for_order(&message.operation, operation), Some(true), "{:?}", message);
        let read: Vec<RandomControl> = message.controls.iter().map(|control| {
            let oid = String::from_utf8(control.control_type.to_vec()).unwrap();
            (oid, control.criticality, control.value.map(<[u8]>::to_vec))
        }).collect();
        prop_assert_eq!(read, controls.unwrap_or_default());
    }

    #[test]
    fn what_we_accept_rasn_reads_the_same(operation in operation(), controls in any::<bool>(), changes in mutation::changes()) {
        let Some(request) = to_rasn(&operation) else {
            return Ok(());
        };
        let listed = controls.then(|| vec![Control::new(b"1.2.3".to_vec().into(), true, None)]);
        let octets = mutation::apply(encode(1, request, listed), &changes);
        let Ok(message) = request::decode(&octets) else {
            return Ok(());
        };
        let agreed = |octets: &[u8]| decode(octets).map(|theirs| {
            let controls = theirs.controls.unwrap_or_default();
            let same_controls = controls.len() == message.controls.len()
                && controls.iter().zip(&message.controls).all(|(theirs, ours)| {
                    theirs.control_type == ours.control_type
                        && theirs.criticality == ours.criticality
                        && theirs.control_value.as_deref() == ours.value
                });
            same_controls
                && theirs.message_id == message.message_id
                && from_rasn(&theirs.protocol_op).and_then(|theirs| agrees_but_for_order(&message.operation, theirs)) == Some(true)
        });
        prop_assert!(
            agreed(&octets) == Some(true)
                || agreed(&without_ignored(&octets)) == Some(true)
                || differences::with_rasn(&message).is_some(),
            "{:?} {:?} {:02x?}", agreed(&octets), message, octets
        );
    }
}
