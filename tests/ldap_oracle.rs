//! Our decoder against two others: what `ldap3_proto` and `rasn-ldap` write we read as it was meant, and what we
//! accept `ldap3_proto` accepts too, but for a list of deliberate differences.

use akldap::ldap::control::{self, PagedResults, SortKey};
use akldap::ldap::filter::Filter;
use akldap::ldap::frame::{self, Frame};
use akldap::ldap::message::{Authentication, Message, Operation, Scope};
use bytes::BytesMut;
use ldap3_proto::LdapCodec;
use ldap3_proto::control::{LdapControl, ServerSortRequet};
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapCompareRequest, LdapDerefAliases, LdapExtendedRequest, LdapFilter,
    LdapMatchingRuleAssertion, LdapMsg, LdapOp, LdapSearchRequest, LdapSearchScope, LdapSubstringFilter,
    SaslCredentials,
};
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-zA-Z0-9=, *()+#-]{0,12}",
        1 => "\\PC{0,6}",
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9;-]{0,8}"
}

fn filter() -> impl Strategy<Value = LdapFilter> {
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

fn operation() -> impl Strategy<Value = LdapOp> {
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
        1 => (1..=i32::MAX).prop_map(LdapOp::AbandonRequest),
        1 => ("[0-9.]{1,12}", prop::option::of(prop::collection::vec(any::<u8>(), 0..8)))
            .prop_map(|(name, value)| LdapOp::ExtendedRequest(LdapExtendedRequest { name, value })),
    ]
}

fn encode(msgid: i32, op: LdapOp) -> Vec<u8> {
    let mut out = BytesMut::new();
    let message = LdapMsg {
        msgid,
        op,
        ctrl: Vec::new(),
    };
    LdapCodec::default().encode(message, &mut out).unwrap();
    out.to_vec()
}

fn decode(octets: &[u8]) -> Option<LdapMsg> {
    let mut buffer = BytesMut::from(octets);
    LdapCodec::new(Some(1 << 20), Some(80))
        .decode(&mut buffer)
        .ok()
        .flatten()
}

/// Our filter in the terms of `ldap3_proto`; `None` if it holds octets that are no text.
fn translate(filter: &Filter<'_>) -> Option<LdapFilter> {
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

/// Whether our message says what `ldap3_proto`'s does. `None` if ours holds octets that theirs cannot.
fn agrees(ours: &Operation<'_>, theirs: &LdapOp) -> Option<bool> {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).ok();
    Some(match (ours, theirs) {
        (Operation::Bind(ours), LdapOp::BindRequest(theirs)) => {
            let credentials = match (&ours.authentication, &theirs.cred) {
                (Authentication::Simple(password), LdapBindCred::Simple(other)) => {
                    *password == other.as_bytes()
                }
                (Authentication::Sasl(mechanism), LdapBindCred::SASL(other)) => {
                    *mechanism == other.mechanism.as_bytes()
                }
                (Authentication::Unknown(_), LdapBindCred::Unsupported) => true,
                _ => false,
            };
            ours.version == theirs.version && ours.name == theirs.dn.as_bytes() && credentials
        }
        (Operation::Unbind, LdapOp::UnbindRequest)
        | (Operation::Modify, LdapOp::ModifyRequest(_))
        | (Operation::Add, LdapOp::AddRequest(_))
        | (Operation::Delete, LdapOp::DelRequest(_))
        | (Operation::ModifyDn, LdapOp::ModifyDNRequest(_)) => true,
        (Operation::Search(ours), LdapOp::SearchRequest(theirs)) => {
            let scope = match ours.scope {
                Scope::BaseObject => LdapSearchScope::Base,
                Scope::SingleLevel => LdapSearchScope::OneLevel,
                Scope::WholeSubtree => LdapSearchScope::Subtree,
                Scope::SubordinateSubtree => LdapSearchScope::Children,
            };
            let attributes: Option<Vec<String>> = ours.attributes.iter().map(|name| text(name)).collect();
            text(ours.base_object)? == theirs.base
                && scope == theirs.scope
                && i32::from(ours.deref_aliases) == theirs.aliases.clone() as i32
                && i64::from(ours.size_limit) == i64::from(theirs.sizelimit)
                && i64::from(ours.time_limit) == i64::from(theirs.timelimit)
                && ours.types_only == theirs.typesonly
                && translate(&ours.filter)? == theirs.filter
                && attributes? == theirs.attrs
        }
        (Operation::Compare(ours), LdapOp::CompareRequest(theirs)) => {
            ours.entry == theirs.dn && ours.attribute == theirs.atype && ours.value == theirs.val
        }
        (Operation::Abandon(ours), LdapOp::AbandonRequest(theirs)) => i64::from(*ours) == i64::from(*theirs),
        (Operation::Extended(ours), LdapOp::ExtendedRequest(theirs)) => {
            ours.name == theirs.name && ours.value == theirs.value
        }
        _ => false,
    })
}

/// Why we may accept what `ldap3_proto` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Difference {
    /// Names and values are octets to us and text to them.
    NotText,
    /// We answer any authentication choice that RFC 4511 does not have; they want it context-specific at least.
    AuthenticationChoice,
    /// Integers are signed to us, as in BER; they read a negative version as a large one.
    SignedVersion,
    /// We leave controls to whoever understands them; they refuse the message over the value of one.
    Controls,
}

fn holds_other_than_text(operation: &Operation<'_>) -> bool {
    let text = |octets: &[u8]| std::str::from_utf8(octets).is_ok();
    match operation {
        Operation::Bind(bind) => {
            let secret = match bind.authentication {
                Authentication::Simple(octets) | Authentication::Sasl(octets) => text(octets),
                Authentication::Unknown(_) => true,
            };
            !text(bind.name) || !secret
        }
        Operation::Search(search) => {
            !text(search.base_object)
                || !search.attributes.iter().all(|name| text(name))
                || translate(&search.filter).is_none()
        }
        _ => false,
    }
}

fn difference(message: &Message<'_>) -> Option<Difference> {
    if holds_other_than_text(&message.operation) {
        Some(Difference::NotText)
    } else if matches!(&message.operation, Operation::Bind(bind) if bind.version < 0) {
        Some(Difference::SignedVersion)
    } else if matches!(&message.operation, Operation::Bind(bind) if matches!(bind.authentication, Authentication::Unknown(_)))
    {
        Some(Difference::AuthenticationChoice)
    } else if !message.controls.is_empty() {
        Some(Difference::Controls)
    } else {
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_ldap3_proto_writes_is_read_as_meant(message_id in 0..=i32::MAX, operation in operation()) {
        let octets = encode(message_id, operation.clone());
        prop_assert_eq!(frame::split(&octets, 1 << 20), Ok(Frame::Complete { length: octets.len() }));
        let message = Message::decode(&octets).unwrap();
        prop_assert_eq!(i64::from(message.message_id), i64::from(message_id));
        prop_assert_eq!(agrees(&message.operation, &operation), Some(true), "{:?}", message);
    }

    #[test]
    fn what_we_accept_ldap3_proto_accepts(operation in operation(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut octets = encode(1, operation);
        for (place, octet) in changes {
            let place = place.index(octets.len());
            octets[place] = octet;
        }
        let Ok(Frame::Complete { length }) = frame::split(&octets, 1 << 20) else {
            return Ok(());
        };
        octets.truncate(length);
        let Ok(message) = Message::decode(&octets) else {
            return Ok(());
        };
        let agreed = decode(&octets).map(|theirs| agrees(&message.operation, &theirs.op));
        prop_assert!(
            agreed == Some(Some(true)) || difference(&message).is_some(),
            "{:?} {:?} {:02x?}", agreed, message, octets
        );
    }

    #[test]
    fn what_rasn_writes_is_read_as_meant(
        message_id in 0..=0x7fff_ffffu32,
        base in text(),
        value in prop::collection::vec(any::<u8>(), 0..40),
        attributes in prop::collection::vec(text(), 0..4),
        limits in (0..=0x7fff_ffffu32, 0..=0x7fff_ffffu32),
        criticality in any::<bool>(),
        control_value in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
    ) {
        use rasn_ldap::{AttributeValueAssertion, Control, LdapMessage, ProtocolOp, SearchRequest, SearchRequestDerefAliases, SearchRequestScope};
        let equality = AttributeValueAssertion::new("cn".into(), value.clone().into());
        let filter = rasn_ldap::Filter::Not(Box::new(rasn_ldap::Filter::EqualityMatch(equality)));
        let names = attributes.iter().map(|name| name.as_str().into()).collect();
        let search = SearchRequest::new(base.as_str().into(), SearchRequestScope::WholeSubtree, SearchRequestDerefAliases::NeverDerefAliases, limits.0, limits.1, true, filter, names);
        let mut message = LdapMessage::new(message_id, ProtocolOp::SearchRequest(search));
        message.controls = Some(vec![Control::new(b"1.2.3".to_vec().into(), criticality, control_value.clone().map(Into::into))]);
        let octets = rasn::ber::encode(&message).unwrap();
        let ours = Message::decode(&octets).unwrap();
        prop_assert_eq!(ours.message_id, message_id);
        prop_assert_eq!(ours.controls.len(), 1);
        prop_assert_eq!(ours.controls[0].control_type, &b"1.2.3"[..]);
        prop_assert_eq!(ours.controls[0].criticality, criticality);
        prop_assert_eq!(ours.controls[0].value.map(<[u8]>::to_vec), control_value);
        let Operation::Search(search) = ours.operation else { panic!("not a search") };
        prop_assert_eq!(search.base_object, base.as_bytes());
        prop_assert_eq!((search.size_limit, search.time_limit, search.types_only), (limits.0, limits.1, true));
        let names: Vec<&[u8]> = attributes.iter().map(String::as_bytes).collect();
        prop_assert_eq!(&search.attributes, &names);
        let Filter::Not(inner) = search.filter else { panic!("not a negation") };
        let Filter::Equality(equality) = *inner else { panic!("not an equality") };
        prop_assert_eq!((equality.attribute, equality.value), (&b"cn"[..], value.as_slice()));
    }

    #[test]
    fn control_values_of_ldap3_proto_are_read_as_meant(
        size in 0..=i32::MAX,
        cookie in prop::collection::vec(any::<u8>(), 0..40),
        keys in prop::collection::vec((name(), prop::option::of(name()), any::<bool>()), 1..4),
        criticality in any::<bool>(),
    ) {
        let sort_requests = keys.iter().cloned().map(|(attribute_name, ordering_rule, reverse_order)| ServerSortRequet { attribute_name, ordering_rule, reverse_order }).collect();
        let ctrl = vec![
            LdapControl::SimplePagedResults { size: i64::from(size), cookie: cookie.clone() },
            LdapControl::ManageDsaIT { criticality },
            LdapControl::ServerSort { sort_requests },
        ];
        let mut out = BytesMut::new();
        LdapCodec::default().encode(LdapMsg { msgid: 9, op: LdapOp::UnbindRequest, ctrl }, &mut out).unwrap();
        let message = Message::decode(&out).unwrap();
        let [paged, manage, sort] = message.controls.as_slice() else { panic!("{message:?}") };
        prop_assert_eq!(paged.control_type, control::PAGED_RESULTS.as_bytes());
        let value = PagedResults::read(paged.value.unwrap()).unwrap();
        prop_assert_eq!((i64::from(value.size), value.cookie), (i64::from(size), cookie));
        prop_assert_eq!((manage.control_type, manage.criticality), (control::MANAGE_DSA_IT.as_bytes(), criticality));
        prop_assert_eq!(sort.control_type, control::SORT_REQUEST.as_bytes());
        let read: Vec<_> = SortKey::read_all(sort.value.unwrap()).unwrap();
        let meant: Vec<_> = keys.into_iter().map(|(attribute, rule, reverse_order)| SortKey {
            attribute: attribute.into_bytes(),
            ordering_rule: rule.map(String::into_bytes),
            reverse_order,
        }).collect();
        prop_assert_eq!(read, meant);
    }
}

/// The deliberate differences, each with a message that shows it.
#[test]
fn the_listed_differences_exist() {
    let password_of_octets = [0x30, 0x0d, 2, 1, 1, 0x60, 8, 2, 1, 3, 4, 0, 0x80, 1, 0xe9];
    let not_text = Message::decode(&password_of_octets).unwrap();
    assert_eq!(difference(&not_text), Some(Difference::NotText));
    assert!(decode(&password_of_octets).is_none());
    let unknown_choice = [0x30, 0x0c, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x05, 0];
    let choice = Message::decode(&unknown_choice).unwrap();
    assert_eq!(difference(&choice), Some(Difference::AuthenticationChoice));
    assert!(decode(&unknown_choice).is_none());
    let negative_version = [0x30, 0x0c, 2, 1, 1, 0x60, 7, 2, 1, 0x80, 4, 0, 0x80, 0];
    let signed = Message::decode(&negative_version).unwrap();
    assert_eq!(difference(&signed), Some(Difference::SignedVersion));
    let theirs = decode(&negative_version).unwrap();
    assert_eq!(agrees(&signed.operation, &theirs.op), Some(false));
    // A paged results control whose value is no BER.
    let mut paged = vec![0x30, 0x26, 2, 1, 1, 0x42, 0, 0xa0, 0x1f, 0x30, 0x1d, 4, 22];
    paged.extend_from_slice(b"1.2.840.113556.1.4.319");
    paged.extend_from_slice(&[4, 3, 1, 2, 3]);
    let controls = Message::decode(&paged).unwrap();
    assert_eq!(difference(&controls), Some(Difference::Controls));
    assert!(decode(&paged).is_none());
}
