//! The controls that operations support. What is advertised in the root DSE is made from the table here.

use akldap_ldap::control::{self, Control};
use akldap_ldap::message::OperationKind;

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

/// The control that asks what a password policy says, where passwords are changed.
pub(super) const PASSWORD_POLICY: (&str, &[OperationKind]) = (
    control::PASSWORD_POLICY,
    &[
        OperationKind::Bind,
        OperationKind::Modify,
        OperationKind::Extended,
    ],
);

/// Whether a control has a meaning for an operation here, or asks only for what is done anyway. `passwords`: they can be
/// changed.
pub(super) fn supports(kind: OperationKind, control: &Control<'_>, passwords: bool) -> bool {
    let (policy, kinds) = PASSWORD_POLICY;
    if passwords && control.control_type == policy.as_bytes() && kinds.contains(&kind) {
        return true;
    }
    let implemented = CONTROLS
        .iter()
        .any(|(oid, kinds)| oid.as_bytes() == control.control_type && kinds.contains(&kind));
    let on_entries = CONTROLS.iter().any(|(_, kinds)| kinds.contains(&kind));
    implemented || (on_entries && asks_for_what_is_so(control))
}

/// Controls that ask for what is done anyway: nothing extra is done for them, so they are not advertised, but a client that
/// insists on one need not be refused. There are no referrals, security descriptors, deleted objects or subentries among
/// the entries, and nothing is modified.
fn asks_for_what_is_so(control: &Control<'_>) -> bool {
    /// Active Directory's SERVER_SEARCH_FLAG_DOMAIN_SCOPE and SERVER_SEARCH_FLAG_PHANTOM_ROOT.
    const SEARCH_FLAGS: u32 = 3;
    let value = control.value.unwrap_or_default();
    match std::str::from_utf8(control.control_type) {
        Ok(control::DOMAIN_SCOPE | control::SHOW_DELETED | control::PERMISSIVE_MODIFY) => true,
        Ok(control::SD_FLAGS) => control::read_flags(value).is_ok(),
        Ok(control::SEARCH_OPTIONS) => control::read_flags(value).is_ok_and(|flags| flags <= SEARCH_FLAGS),
        Ok(control::SUBENTRIES) => control::read_subentries(value) == Ok(false),
        _ => false,
    }
}

/// Whether the request asks what a password policy says.
pub(super) fn asks_for_policy(controls: &[Control<'_>]) -> bool {
    let policy = control::PASSWORD_POLICY.as_bytes();
    controls.iter().any(|control| control.control_type == policy)
}

/// What the rootDSE says under supportedControl.
pub(super) fn supported() -> impl Iterator<Item = &'static str> {
    CONTROLS.iter().map(|(oid, _)| *oid)
}
