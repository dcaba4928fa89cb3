//! The object classes of users, groups and virtual groups, as authentik's outpost gives them.
//!
//! Must not know what admins add.

use std::sync::LazyLock;

use crate::model::built_in::AttributeId;
use akldap_ldap::response::write_attribute;

pub(crate) const USER_CLASSES: [&str; 7] = [
    "top",
    "person",
    "organizationalPerson",
    "inetOrgPerson",
    "user",
    "posixAccount",
    "goauthentik.io/ldap/user",
];

pub(crate) const GROUP_CLASSES: [&str; 5] = [
    "group",
    "groupOfUniqueNames",
    "groupOfNames",
    "goauthentik.io/ldap/group",
    "posixGroup",
];

pub(crate) const VIRTUAL_GROUP_CLASS: &str = "goauthentik.io/ldap/virtual-group";

/// The objectClass attributes of users, groups and virtual groups as they are sent.
static OBJECT_CLASSES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let encode = |classes: &[&str]| {
        let mut out = Vec::new();
        let name = AttributeId::OBJECT_CLASS.name().as_bytes();
        write_attribute(&mut out, name, classes.iter().map(|class| class.as_bytes()));
        out
    };
    let virtual_group: Vec<&str> = GROUP_CLASSES.into_iter().chain([VIRTUAL_GROUP_CLASS]).collect();
    [
        encode(&USER_CLASSES),
        encode(&GROUP_CLASSES),
        encode(&virtual_group),
    ]
});

/// The kinds of [`OBJECT_CLASSES`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClassesOf {
    Users,
    Groups,
    VirtualGroups,
}

/// The objectClass attribute of a kind of entry as it is sent.
#[inline]
pub(crate) fn object_classes(kind: ClassesOf) -> &'static [u8] {
    let [users, groups, virtual_groups] = &*OBJECT_CLASSES;
    match kind {
        ClassesOf::Users => users,
        ClassesOf::Groups => groups,
        ClassesOf::VirtualGroups => virtual_groups,
    }
}
