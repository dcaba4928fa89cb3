//! Which custom attributes may be served, and which built-in ones they may replace.
//!
//! Whoever may edit the attributes of a user or group in authentik decides what is in them, so numbers, names and
//! addresses can be given there, as authentik documents it. What authentik keeps in fields of its own, and what clients
//! decide access by, cannot: membership, identity, whether an account is active or a superuser, and when it changed.
//! Passwords are served only if the caller says so. `docs/attributes.md` has the table. Must not know values.

use super::super::schema;
use crate::password_attributes::{PASSWORD_ATTRIBUTES, place};

/// Built-in attributes that custom values never replace, beside those the schema calls operational.
const RESERVED: [&str; 6] = [
    "member",
    "uniqueMember",
    "memberUid",
    "distinguishedName",
    "ak-active",
    "ak-superuser",
];

/// What may be made of custom attributes. The default serves no passwords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CustomPolicy {
    /// A bit for each of [`PASSWORD_ATTRIBUTES`] that is served.
    served_passwords: u16,
    /// Whether names are served in their legal spelling.
    pub(crate) legal_names: bool,
}

/// What becomes of a custom attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is served; it replaces a built-in attribute of the same name.
    Served,
    /// Its values are added to those of `objectClass`.
    AddedClasses,
    /// It is left out: the server alone says what this is.
    Reserved,
    /// It is left out: the place of a password among [`PASSWORD_ATTRIBUTES`].
    Withheld(usize),
}

impl CustomPolicy {
    /// The policy that serves also these of [`PASSWORD_ATTRIBUTES`], whatever their case. `None` if another name is
    /// among them.
    #[must_use]
    pub fn serving<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<Self> {
        let mut policy = Self::default();
        for name in names {
            policy.served_passwords |= 1 << place(name.as_bytes())?;
        }
        Some(policy)
    }

    /// The policy that serves every password, to take over what another policy let through.
    #[must_use]
    pub fn serving_all() -> Self {
        Self {
            served_passwords: (1 << PASSWORD_ATTRIBUTES.len()) - 1,
            legal_names: false,
        }
    }

    /// The same policy, serving names with a hyphen for whatever RFC 4512 section 1.4 does not allow, or else as
    /// authentik's outpost spells them. The other spelling is understood as well.
    #[must_use]
    pub fn with_legal_names(self, legal_names: bool) -> Self {
        Self { legal_names, ..self }
    }

    /// What becomes of a custom attribute of this name. Options (`;x`) tell nothing apart: a client that asks for an
    /// attribute takes it with any of them (RFC 4512 section 2.5.2).
    pub(crate) fn verdict(self, name: &[u8]) -> Verdict {
        let options = memchr::memchr(b';', name).unwrap_or(name.len());
        let plain = name.get(..options).unwrap_or(name).trim_ascii();
        if let Some(place) = place(plain) {
            return match self.served_passwords & 1 << place {
                0 => Verdict::Withheld(place),
                // Served under another spelling, it would not be known for a password any more.
                _ if options < name.len() => Verdict::Reserved,
                _ => Verdict::Served,
            };
        }
        let Some(known) = schema::attribute_type(plain) else {
            return Verdict::Served;
        };
        if known.key == "objectclass" {
            return match options == name.len() {
                true => Verdict::AddedClasses,
                false => Verdict::Reserved,
            };
        }
        match known.operational || RESERVED.contains(&known.name) {
            true => Verdict::Reserved,
            false => Verdict::Served,
        }
    }

    /// Whether attributes of this name may be in a snapshot.
    pub(crate) fn admits(self, name: &[u8]) -> bool {
        matches!(self.verdict(name), Verdict::Served | Verdict::AddedClasses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_membership_and_identity_is_reserved() {
        let policy = CustomPolicy::serving_all();
        for name in [
            "memberOf",
            "MEMBEROF",
            "memberOf;x",
            "memberof;x-y;z",
            " memberOf ",
            "member",
            "uniqueMember",
            "memberUid",
            "MemberUID",
            "entryUUID",
            "entryDN",
            "distinguishedName",
            "structuralObjectClass",
            "subschemaSubentry",
            "hasSubordinates",
            "numSubordinates",
            "createTimestamp",
            "modifyTimestamp",
            "pwdChangedTime",
            "ak-active",
            "AK-SuperUser",
            "objectClass;x",
        ] {
            assert_eq!(policy.verdict(name.as_bytes()), Verdict::Reserved, "{name}");
        }
        // Every name and OID of a reserved type.
        for known in schema::ATTRIBUTE_TYPES {
            let expected = policy.verdict(known.name.as_bytes());
            for name in known.names.iter().chain([&known.oid]) {
                assert_eq!(policy.verdict(name.as_bytes()), expected, "{name}");
            }
            if known.operational {
                assert_eq!(expected, Verdict::Reserved, "{}", known.name);
            }
        }
    }

    #[test]
    fn numbers_and_names_can_be_given() {
        let policy = CustomPolicy::default();
        for name in [
            "cn",
            "sAMAccountName",
            "uid",
            "name",
            "displayName",
            "sn",
            "surname",
            "mail",
            "homeDirectory",
            "uidNumber",
            "GIDNUMBER",
            "anything",
            "manager",
            "owner",
            "members",
            "memberOfx",
        ] {
            assert_eq!(policy.verdict(name.as_bytes()), Verdict::Served, "{name}");
        }
        assert_eq!(policy.verdict(b"OBJECTCLASS"), Verdict::AddedClasses);
    }

    #[test]
    fn passwords_are_served_only_if_named() {
        for (place, name) in PASSWORD_ATTRIBUTES.iter().enumerate() {
            let none = CustomPolicy::default();
            for spelling in [
                name.to_string(),
                name.to_uppercase(),
                format!("{name};x"),
                format!(" {name}"),
            ] {
                assert_eq!(
                    none.verdict(spelling.as_bytes()),
                    Verdict::Withheld(place),
                    "{spelling}"
                );
            }
            let one = CustomPolicy::serving([name.to_lowercase().as_str()]).unwrap();
            for (other, password) in PASSWORD_ATTRIBUTES.iter().enumerate() {
                let verdict = one.verdict(password.as_bytes());
                assert_eq!(verdict == Verdict::Served, other == place, "{name} {password}");
            }
        }
        assert_eq!(CustomPolicy::serving(["userPassword", "memberOf"]), None);
    }

    /// The names between backticks.
    fn quoted(text: &str) -> Vec<&str> {
        text.split('`').skip(1).step_by(2).collect()
    }

    #[test]
    fn the_documentation_says_what_may_be_replaced() {
        let page = include_str!("../../../../docs/attributes.md");
        let mut told = Vec::new();
        for row in page.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let expected = match cells[3] {
                "left out" => Verdict::Reserved,
                "its values are added to ours" => Verdict::AddedClasses,
                replaced if replaced.starts_with("replaces it") => Verdict::Served,
                other => panic!("{other}"),
            };
            for name in quoted(cells[1]) {
                let verdict = CustomPolicy::default().verdict(name.as_bytes());
                assert_eq!(verdict, expected, "{name}");
                told.push(name);
            }
        }
        for name in RESERVED {
            assert!(told.contains(&name), "{name} is not in the table");
        }
        let (_, passwords) = page.split_once("\n## Passwords\n").expect("a chapter");
        let (list, _) = passwords.split_once(".\n\n").expect("a paragraph");
        let (_, list) = list.rsplit_once(":\n").expect("a list");
        assert_eq!(quoted(list), PASSWORD_ATTRIBUTES);
    }
}
