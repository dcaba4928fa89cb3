//! The LDAP operations, one file each, and the controls they support. What is advertised in the rootDSE is generated
//! from the tables here.

pub(super) mod bind;
pub(super) mod compare;
pub(super) mod extended;
pub(super) mod search;

use crate::ldap::control;
use crate::ldap::message::OperationKind;

pub(super) use bind::BindFuture;
pub(super) use search::Running;

/// The controls we implement, and for which operations.
const CONTROLS: &[(&str, &[OperationKind])] = &[
    (control::PAGED_RESULTS, &[OperationKind::Search]),
    (control::SORT_REQUEST, &[OperationKind::Search]),
    (control::VLV_REQUEST, &[OperationKind::Search]),
    (control::DEREF, &[OperationKind::Search]),
    (
        control::MANAGE_DSA_IT,
        &[
            OperationKind::Search,
            OperationKind::Compare,
            OperationKind::Add,
            OperationKind::Modify,
            OperationKind::Delete,
            OperationKind::ModifyDn,
        ],
    ),
];

/// Whether a control has a meaning for an operation here.
pub(super) fn supports(kind: OperationKind, control_type: &[u8]) -> bool {
    CONTROLS
        .iter()
        .any(|(oid, kinds)| oid.as_bytes() == control_type && kinds.contains(&kind))
}

/// What the rootDSE says under supportedControl.
pub(super) fn supported_controls() -> impl Iterator<Item = &'static str> {
    CONTROLS.iter().map(|(oid, _)| *oid)
}

/// What the rootDSE says under supportedFeatures: all operational attributes by `+` (RFC 3673) and absolute true and
/// false filters (RFC 4526), requesting attributes by object class (RFC 4529).
pub(super) const SUPPORTED_FEATURES: &[&str] = &[
    "1.3.6.1.4.1.4203.1.5.1",
    "1.3.6.1.4.1.4203.1.5.2",
    "1.3.6.1.4.1.4203.1.5.3",
];
