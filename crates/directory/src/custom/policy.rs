//! Which custom attributes may be served, and which built-in ones they may replace.
//!
//! Whoever may edit the attributes of a user or group in authentik decides what is in them, so numbers, names and
//! addresses can be given there, as authentik documents it. What authentik keeps in its own fields, and what clients
//! base access on, cannot: membership, identity, whether an account is active or a superuser, and when it changed.
//! Passwords are served only if the caller says so. `docs/attributes.md` has the table. Must not know values.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

use crate::model::built_in::AttributeId;
use crate::model::built_in::questions::{Those, count, ids};
use crate::schema;
use crate::schema::password_attributes::{PASSWORD_ATTRIBUTES, index_of};

/// Built-in attributes that custom values never replace.
const RESERVED: [AttributeId; count(Those::Reserved)] = ids(Those::Reserved);

/// Names that no attribute of ours has and that would mean something other than a custom attribute.
const RESERVED_ELSEWHERE: [&str; 10] = [
    // Client libraries keep the name of an entry and its controls among its attributes under these: Ruby's net-ldap,
    // ldapts; Windows' ADSI.
    "dn",
    "controls",
    "adsPath",
    // They turn LDIF written by a search into a change (RFC 2849).
    "control",
    "changetype",
    // Operational attributes (RFC 4512 sections 3.4 and 4.2) that the schema does not list.
    "creatorsName",
    "modifiersName",
    "governingStructureRule",
    "dITStructureRules",
    "nameForms",
];

/// What may be done with custom attributes. The default serves no passwords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CustomPolicy {
    /// A bit for each of [`PASSWORD_ATTRIBUTES`] that is served.
    served_passwords: u16,
    /// Whether names are served in their legal spelling.
    pub(crate) legal_names: bool,
}

/// What happens to a custom attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// It is served; it replaces a built-in attribute of the same name.
    Served,
    /// Its values are added to those of `objectClass`.
    AddedClasses,
    /// It is left out: only the server says what this is.
    Reserved,
    /// It is left out: the index of a password among [`PASSWORD_ATTRIBUTES`].
    Withheld(usize),
}

impl CustomPolicy {
    /// The policy that also serves these of [`PASSWORD_ATTRIBUTES`], whatever their case. `None` if any other name is
    /// among them.
    #[must_use]
    pub fn serving<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<Self> {
        let mut policy = Self::default();
        for name in names {
            policy.served_passwords |= 1 << index_of(name.as_bytes())?;
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

    /// What happens to a custom attribute with this name. Options (`;x`) make no difference: a client that asks for an
    /// attribute accepts it with any of them (RFC 4512 section 2.5.2). Nor does anything that some client ignores.
    pub(crate) fn verdict(self, name: &[u8]) -> Treatment {
        let name = name.trim_ascii();
        let skeleton = skeleton(name);
        let exact = skeleton.eq_ignore_ascii_case(name);
        if let Some(index) = index_of(&skeleton) {
            return match self.served_passwords & 1 << index {
                0 => Treatment::Withheld(index),
                // Served under another spelling, it would no longer be recognised as a password.
                _ if !exact => Treatment::Reserved,
                _ => Treatment::Served,
            };
        }
        let is_skeleton = |reserved: &&str| reserved.as_bytes().eq_ignore_ascii_case(&skeleton);
        if RESERVED_ELSEWHERE.iter().any(is_skeleton) {
            return Treatment::Reserved;
        }
        let Some(known) = schema::attribute_type(&skeleton) else {
            return Treatment::Served;
        };
        if known.key == "objectclass" {
            return match exact {
                true => Treatment::AddedClasses,
                false => Treatment::Reserved,
            };
        }
        match known.operational || is_reserved(known.name) {
            true => Treatment::Reserved,
            false => Treatment::Served,
        }
    }

    /// Whether attributes of this name may be in a snapshot.
    pub(crate) fn admits(self, name: &[u8]) -> bool {
        matches!(self.verdict(name), Treatment::Served | Treatment::AddedClasses)
    }
}

/// What is left of a name when everything that some client ignores is removed: options, whatever follows a colon, where
/// LDIF ends a name, and whatever is neither a letter nor a digit nor is allowed in attribute descriptions or, like
/// `/`, in authentik's keys. Letters beyond ASCII that normalisation or a change of case makes ASCII letters become
/// those.
fn skeleton(name: &[u8]) -> Cow<'_, [u8]> {
    let is_plain = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.' | b'/');
    if name.iter().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let name: String = String::from_utf8_lossy(name).nfkc().collect();
    // Through upper case, which some clients fold to, as through lower case.
    let folded = name.to_uppercase().to_lowercase();
    let kept = |character: &char| character.is_alphanumeric() || matches!(character, '-' | '_' | '.' | '/');
    let plain: String = folded
        .chars()
        .take_while(|character| !matches!(character, ';' | ':'))
        .filter(kept)
        .collect();
    Cow::Owned(plain.into_bytes())
}

/// Whether it is a built-in attribute that custom values never replace.
fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|id| id.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reserved() -> impl Iterator<Item = &'static str> {
        RESERVED.into_iter().map(AttributeId::name)
    }

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
            assert_eq!(policy.verdict(name.as_bytes()), Treatment::Reserved, "{name}");
        }
        // Every name and OID of a reserved type.
        for known in schema::ATTRIBUTE_TYPES {
            let expected = policy.verdict(known.name.as_bytes());
            for name in known.names.iter().chain([&known.oid]) {
                assert_eq!(policy.verdict(name.as_bytes()), expected, "{name}");
            }
            if known.operational {
                assert_eq!(expected, Treatment::Reserved, "{}", known.name);
            }
        }
    }

    #[test]
    fn what_clients_fold_into_the_name_of_an_entry_or_ldif_reads_as_a_command_is_reserved() {
        let policy = CustomPolicy::serving_all();
        for name in [
            "dn",
            "DN",
            "dn=",
            "Dn;x",
            "\u{ff44}\u{ff4e}",
            "dn:",
            "controls",
            "adsPath",
            "control",
            "changeType",
            "changetype: modrdn",
        ] {
            assert_eq!(policy.verdict(name.as_bytes()), Treatment::Reserved, "{name:?}");
        }
    }

    #[test]
    fn the_operational_attributes_of_rfc_4512_are_reserved() {
        for name in [
            "creatorsName",
            "createTimestamp",
            "modifiersName",
            "modifyTimestamp",
            "structuralObjectClass",
            "governingStructureRule",
            "subschemaSubentry",
            "objectClasses",
            "attributeTypes",
            "matchingRules",
            "matchingRuleUse",
            "ldapSyntaxes",
            "dITContentRules",
            "dITStructureRules",
            "nameForms",
        ] {
            let verdict = CustomPolicy::default().verdict(name.as_bytes());
            assert_eq!(verdict, Treatment::Reserved, "{name}");
        }
    }

    /// Spellings that one client library or another takes for the name itself: Ruby cuts a trailing `=` and folds the
    /// case of all letters, Python strips every white space, LDIF ends a name at a colon.
    fn foldings(name: &str) -> Vec<String> {
        let mut foldings = Vec::new();
        for mark in [
            " ", "\u{a0}", "\u{3000}", "\u{2003}", "\u{85}", "\u{feff}", "\u{200b}", "\u{ad}", "=", "!", "'",
            "\"", "\u{2028}",
        ] {
            foldings.push(format!("{mark}{name}"));
            foldings.push(format!("{name}{mark}"));
            foldings.push(format!("{}{mark}{}", &name[..1], &name[1..]));
        }
        for end in [";x", "\u{ff1b}x", ":", ":: bWVtYmVy", "\u{a0}:x", "=;x"] {
            foldings.push(format!("{name}{end}"));
        }
        for (letter, likes) in [
            ('k', ["\u{212a}", "\u{ff4b}", "\u{1d424}"]),
            ('s', ["\u{17f}", "\u{ff33}", "\u{24e2}"]),
            ('i', ["\u{131}", "\u{130}", "\u{ff29}"]),
            ('m', ["\u{1d426}", "\u{ff4d}", "\u{24dc}"]),
        ] {
            for like in likes {
                foldings.push(name.replace(letter, like));
            }
        }
        foldings
    }

    #[test]
    fn what_some_client_takes_for_a_reserved_name_is_reserved() {
        let policy = CustomPolicy::default();
        let operational = schema::ATTRIBUTE_TYPES.iter().filter(|known| known.operational);
        let names = operational
            .map(|known| known.name)
            .chain(reserved())
            .chain(RESERVED_ELSEWHERE);
        for name in names {
            for folded in foldings(name) {
                assert_eq!(
                    policy.verdict(folded.as_bytes()),
                    Treatment::Reserved,
                    "{folded:?}"
                );
            }
        }
        for folded in foldings("objectClass") {
            let expected = match folded.trim_ascii() == "objectClass" {
                true => Treatment::AddedClasses,
                false => Treatment::Reserved,
            };
            assert_eq!(policy.verdict(folded.as_bytes()), expected, "{folded:?}");
        }
    }

    #[test]
    fn what_some_client_takes_for_a_password_is_withheld() {
        for (index, name) in PASSWORD_ATTRIBUTES.iter().enumerate() {
            let served = CustomPolicy::serving([*name]).unwrap();
            for folded in foldings(name) {
                let withheld = CustomPolicy::default().verdict(folded.as_bytes());
                assert_eq!(withheld, Treatment::Withheld(index), "{folded:?}");
                // Served like this, it would not be recognised as a password by those who look at the log.
                let expected = match folded.trim_ascii() == *name {
                    true => Treatment::Served,
                    false => Treatment::Reserved,
                };
                assert_eq!(served.verdict(folded.as_bytes()), expected, "{folded:?}");
            }
        }
    }

    #[test]
    fn names_that_differ_in_what_every_client_tells_apart_are_served() {
        for name in [
            "member-of",
            "member_of",
            "member-of-parliament",
            "user_password",
            "user-password",
            "object-class",
            "ak_superuser",
            "akSuperuser",
            "dn-prefix",
            "DN\u{7f16}\u{53f7}",
            "\u{4f1a}\u{5458}member",
            "\u{e9}member",
            "urn:member",
            "member2",
            "version",
            "raw",
            "add",
            "delete",
            "objectName",
            "__proto__",
        ] {
            let verdict = CustomPolicy::default().verdict(name.as_bytes());
            assert_eq!(verdict, Treatment::Served, "{name}");
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
            assert_eq!(policy.verdict(name.as_bytes()), Treatment::Served, "{name}");
        }
        assert_eq!(policy.verdict(b"OBJECTCLASS"), Treatment::AddedClasses);
    }

    #[test]
    fn passwords_are_served_only_if_named() {
        for (index, name) in PASSWORD_ATTRIBUTES.iter().enumerate() {
            let none = CustomPolicy::default();
            for spelling in [
                name.to_string(),
                name.to_uppercase(),
                format!("{name};x"),
                format!(" {name}"),
            ] {
                assert_eq!(
                    none.verdict(spelling.as_bytes()),
                    Treatment::Withheld(index),
                    "{spelling}"
                );
            }
            let one = CustomPolicy::serving([name.to_lowercase().as_str()]).unwrap();
            for (other, password) in PASSWORD_ATTRIBUTES.iter().enumerate() {
                let verdict = one.verdict(password.as_bytes());
                assert_eq!(verdict == Treatment::Served, other == index, "{name} {password}");
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
                "left out" => Treatment::Reserved,
                "its values are added to ours" => Treatment::AddedClasses,
                replaced if replaced.starts_with("replaces it") => Treatment::Served,
                other => panic!("{other}"),
            };
            for name in quoted(cells[1]) {
                let verdict = CustomPolicy::default().verdict(name.as_bytes());
                assert_eq!(verdict, expected, "{name}");
                told.push(name);
            }
        }
        let built_in = AttributeId::built_in().map(|(_, built_in)| built_in.name);
        for name in built_in.chain(RESERVED_ELSEWHERE) {
            assert!(told.contains(&name), "{name} is not in the table");
        }
        let (_, passwords) = page.split_once("\n## Passwords\n").expect("a chapter");
        let (list, _) = passwords.split_once(".\n\n").expect("a paragraph");
        let (_, list) = list.rsplit_once(":\n").expect("a list");
        assert_eq!(quoted(list), PASSWORD_ATTRIBUTES);
    }
}
