//! What the fields of a group say of a built-in attribute, whether the group is added or read back.
//!
//! Must not know how it is written.

use crate::build::flags::lower;
use crate::model::built_in::Shows;

/// The value that a group of these fields stores; none for what no field of a group says.
pub(super) fn of_group<'a>(shows: Shows, name: &'a str, uuid: &'a str, superuser: bool) -> Option<&'a str> {
    match shows {
        Shows::Name => Some(name),
        Shows::Uuid => Some(uuid),
        Shows::Superuser => Some(lower(superuser)),
        Shows::FullName
        | Shows::Uid
        | Shows::Mail
        | Shows::Home
        | Shows::Active
        | Shows::NoSuperuser
        | Shows::PasswordChange
        | Shows::Joined
        | Shows::Updated
        | Shows::Computed => None,
    }
}
