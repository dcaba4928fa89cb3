//! Requests against `ldap3_proto`.

use akldap::server::request;
use akldap_ldap::control::{self, PagedResults, SortKey};
use akldap_ldap::frame::{self, Frame};
use akldap_ldap::message::{
    Authentication, Modification, ModifyKind, ModifyRequest, Operation, OperationKind, Scope, Update,
};
use akldap_testing::filter::translate;
use bytes::BytesMut;
use ldap3_proto::LdapCodec;
use ldap3_proto::control::{LdapControl, ServerSortRequet};
use ldap3_proto::proto::{
    LdapBindCred, LdapModify, LdapModifyRequest, LdapModifyType, LdapMsg, LdapOp, LdapSearchScope,
};
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder};

use crate::ldap_oracle::differences;
use crate::ldap_oracle::ignored::without_ignored;
use crate::ldap_oracle::mutation;
use crate::ldap_oracle::requests::{name, operation};

pub(crate) fn encode(msgid: i32, op: LdapOp) -> Vec<u8> {
    let mut out = BytesMut::new();
    let message = LdapMsg {
        msgid,
        op,
        ctrl: Vec::new(),
    };
    LdapCodec::default().encode(message, &mut out).unwrap();
    out.to_vec()
}

pub(crate) fn decode(octets: &[u8]) -> Option<LdapMsg> {
    let mut buffer = BytesMut::from(octets);
    LdapCodec::new(Some(1 << 20), Some(80))
        .decode(&mut buffer)
        .ok()
        .flatten()
}

/// Whether our message says what `ldap3_proto`'s does. `None` if ours contains octets that theirs
/// cannot.
pub(crate) fn agrees(ours: &Operation<'_>, theirs: &LdapOp) -> Option<bool> {
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
        (Operation::Unbind, LdapOp::UnbindRequest) => true,
        (Operation::Update(update), LdapOp::ModifyRequest(theirs)) => agrees_on_modify(update, theirs),
        (Operation::Update(update), theirs) => matches!(
            (update.kind(), theirs),
            (OperationKind::Add, LdapOp::AddRequest(_))
                | (OperationKind::Delete, LdapOp::DelRequest(_))
                | (OperationKind::ModifyDn, LdapOp::ModifyDNRequest(_))
        ),
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
            ours.name == theirs.name && ours.value.as_deref() == theirs.value.as_ref()
        }
        _ => false,
    })
}

fn agrees_on_modify(ours: &Update, theirs: &LdapModifyRequest) -> bool {
    let Some(ours) = ModifyRequest::of(ours) else {
        return false;
    };
    let same = |(ours, theirs): (&Modification<'_>, &LdapModify)| {
        let kind = match ours.kind {
            ModifyKind::Add => LdapModifyType::Add,
            ModifyKind::Delete => LdapModifyType::Delete,
            ModifyKind::Replace => LdapModifyType::Replace,
            ModifyKind::Increment => LdapModifyType::Increment,
        };
        // A SET (RFC 4511 section 4.1.7), which rasn writes in its own order.
        let mut values = ours.values.clone();
        let mut wanted: Vec<&[u8]> = theirs.modification.vals.iter().map(Vec::as_slice).collect();
        values.sort_unstable();
        wanted.sort_unstable();
        kind == theirs.operation && ours.attribute == theirs.modification.atype && values == wanted
    };
    ours.entry == theirs.dn
        && ours.changes.len() == theirs.changes.len()
        && ours.changes.iter().zip(&theirs.changes).all(same)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_ldap3_proto_writes_is_read_as_meant(message_id in 0..=i32::MAX, operation in operation()) {
        let octets = encode(message_id, operation.clone());
        prop_assert_eq!(frame::split(&octets, 1 << 20), Ok(Frame::Complete { length: octets.len() }));
        let message = request::decode(&octets).unwrap();
        prop_assert_eq!(i64::from(message.message_id), i64::from(message_id));
        prop_assert_eq!(agrees(&message.operation, &operation), Some(true), "{:?}", message);
    }

    #[test]
    fn what_we_accept_ldap3_proto_reads_the_same(operation in operation(), changes in mutation::changes()) {
        let octets = mutation::apply(encode(1, operation), &changes);
        let Ok(message) = request::decode(&octets) else {
            return Ok(());
        };
        let agreed = |octets: &[u8]| decode(octets).map(|theirs| agrees(&message.operation, &theirs.op));
        prop_assert!(
            agreed(&octets) == Some(Some(true))
                || agreed(&without_ignored(&octets)) == Some(Some(true))
                || differences::with_ldap3_proto(&message).is_some(),
            "{:?} {:?} {:02x?}", agreed(&octets), message, octets
        );
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
        let message = request::decode(&out).unwrap();
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
