//! The option that names a profile. Knows the names; must not know what a profile sets.

use super::setting::{Setting, ValueKind, own};
use super::value::Unreadable;

/// The names. The first is authentik's own outpost.
pub(super) const PROFILE_NAMES: [&str; 7] = [
    "authentik",
    "nextcloud",
    "rfc2307bis",
    "openldap",
    "vsphere",
    "nas",
    "phonebook",
];

/// A profile by its name.
#[derive(Debug)]
pub(super) struct ProfileName;

impl ValueKind for ProfileName {
    type Value = &'static str;
    type Default = &'static str;
    const PLACEHOLDER: &'static str = "WORD";

    fn expected(&self) -> String {
        let [others @ .., last] = PROFILE_NAMES;
        format!("{} or {last}", others.join(", "))
    }

    fn read(&self, text: &str) -> Result<&'static str, Unreadable> {
        let mut names = PROFILE_NAMES.into_iter();
        names.find(|name| *name == text).ok_or(Unreadable::PLAIN)
    }

    fn unset(&self, default: &&'static str) -> Option<&'static str> {
        Some(default)
    }

    fn shown(&self, default: &&'static str) -> String {
        (*default).to_owned()
    }
}

pub(super) static PROFILE: Setting<ProfileName> = own(
    "AUTHENTIK_LDAP__PROFILE",
    "profile",
    ProfileName,
    "authentik",
    "Settings that fit a kind of client: how entries look to it. Whatever else is set wins over the profile. `authentik` is what authentik's own outpost serves.",
)
.of_provider();
