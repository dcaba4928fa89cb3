//! Whether virtual groups are among the entries that a search looks at.
//!
//! In authentik's outpost the last object class that a filter names decides which kinds of entries it makes at all, and in
//! direct search mode it asks authentik for no users if a filter names a member. Clients depend on virtual groups not
//! appearing: QNAP and Nextcloud would otherwise show every person as a group. For users and groups the filter alone decides.
//! Must not know entries.

use std::sync::LazyLock;

use crate::model::object_classes::{GROUP_CLASSES, USER_CLASSES, VIRTUAL_GROUP_CLASS};
use crate::schema::{self, Comparison, Syntax};
use crate::values::syntax;
use akldap_ldap::filter::Filter;

/// The classes that authentik's outpost knows: those of its virtual groups, and the others.
struct KnownClasses {
    virtual_groups: Vec<Vec<u8>>,
    others: Vec<Vec<u8>>,
}

static KNOWN: LazyLock<KnownClasses> = LazyLock::new(|| {
    let key = |class: &str| syntax::equality_key(Syntax::Oid, class.as_bytes()).into_owned();
    let own = ["group", "groupOfUniqueNames", "groupOfNames", VIRTUAL_GROUP_CLASS];
    let others = USER_CLASSES
        .into_iter()
        .chain(GROUP_CLASSES)
        .chain(["nsContainer", "domain"]);
    KnownClasses {
        virtual_groups: own.into_iter().map(key).collect(),
        others: others.filter(|class| !own.contains(class)).map(key).collect(),
    }
});

/// What was seen of the classes a filter names.
#[derive(Default)]
struct SeenClasses {
    /// Whether the last known class is one of virtual groups.
    last_known: Option<bool>,
    /// Whether the last class is an unknown one within an OR.
    ends_unknown: bool,
}

/// Whether a filter keeps virtual groups out of the answer. `direct` means that authentik's outpost would ask authentik for the
/// users: in direct search mode, for a viewer who sees more than their own user.
pub(crate) fn are_hidden(filter: &Filter<'_>, direct: bool) -> bool {
    let mut seen = SeenClasses::default();
    seen.look(filter, false);
    seen.ends_unknown || seen.last_known == Some(false) || (direct && asserts_member(filter))
}

impl SeenClasses {
    fn look(&mut self, filter: &Filter<'_>, in_or: bool) {
        match filter {
            Filter::And(filters) => filters.iter().for_each(|filter| self.look(filter, in_or)),
            Filter::Or(filters) => filters.iter().for_each(|filter| self.look(filter, true)),
            Filter::Not(filter) => self.look(filter, in_or),
            Filter::Equality(assertion) | Filter::Approx(assertion) if is_class(assertion.attribute) => {
                self.note(assertion.value, in_or);
            }
            Filter::Extensible(assertion) if assertion.attribute.is_some_and(is_class) => {
                let by_class = assertion.matching_rule.is_none_or(|rule| {
                    schema::matching_rule(rule).is_some_and(|rule| {
                        (rule.comparison, rule.syntax) == (Comparison::Equality, Syntax::Oid)
                    })
                });
                if by_class {
                    self.note(assertion.value, in_or);
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, class: &[u8], in_or: bool) {
        let key = syntax::equality_key(Syntax::Oid, class);
        let has = |classes: &[Vec<u8>]| classes.iter().any(|class| **class == *key);
        let of_virtual_groups = has(&KNOWN.virtual_groups);
        if of_virtual_groups || has(&KNOWN.others) {
            self.last_known = Some(of_virtual_groups);
            self.ends_unknown = false;
        } else {
            self.ends_unknown = in_or;
        }
    }
}

/// Whether a description means `objectClass`. Most do not begin like any of its names.
fn is_class(description: &[u8]) -> bool {
    let may = |octet: &u8| matches!(octet, b'o' | b'O' | b'2' | b' ');
    description.first().is_some_and(may) && named(description, &["objectclass"])
}

fn named(description: &[u8], keys: &[&str]) -> bool {
    schema::attribute_type(description).is_some_and(|known| keys.contains(&known.key))
}

/// Whether everything that matches has a certain member. The official outpost knows `member` in that spelling only, and so
/// shows virtual groups for `Member`.
fn asserts_member(filter: &Filter<'_>) -> bool {
    match filter {
        Filter::And(filters) => filters.iter().any(asserts_member),
        Filter::Equality(assertion) => {
            let description = assertion.attribute;
            let is_respelled = description != b"member" && description.eq_ignore_ascii_case(b"member");
            !is_respelled && named(description, &["member", "uniquemember", "memberuid"])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::parse_filter;

    #[test]
    fn the_last_known_class_decides() {
        for (filter, hidden) in [
            ("(objectClass=group)", false),
            ("(objectClass=*)", false),
            ("(cn=alice)", false),
            ("(objectClass=posixGroup)", true),
            ("(OBJECTCLASS=POSIXGROUP)", true),
            ("(2.5.4.0=goauthentik.io/ldap/group)", true),
            ("(|(objectclass=group)(objectclass=posixGroup))", true),
            ("(|(objectclass=posixGroup)(objectclass=group))", false),
            (
                "(|(objectClass=group)(objectClass=goauthentik.io/ldap/GROUP))",
                true,
            ),
            ("(|(objectClass=user)(objectClass=group))", false),
            ("(|(objectClass=group)(objectClass=user))", true),
            (
                "(&(|(objectClass=posixGroup)(objectClass=zimbraDistributionList)(objectClass=groupOfNames))(cn=*))",
                false,
            ),
            (
                "(|(objectclass=groupOfNames)(objectclass=group)(objectclass=ipausergroup))",
                true,
            ),
            ("(&(objectClass=group)(!(objectClass=computer)))", false),
            ("(&(objectClass=group)(|(cn=a)(objectClass=computer)))", true),
            ("(!(objectClass=computer))", false),
            ("(objectClass:dn:=posixGroup)", true),
            ("(objectClass:caseExactMatch:=posixGroup)", false),
        ] {
            assert_eq!(are_hidden(&parse_filter(filter), false), hidden, "{filter}");
        }
    }

    #[test]
    fn in_direct_mode_a_member_hides_them() {
        for (filter, hidden) in [
            ("(&(objectClass=group)(member=cn=a))", true),
            ("(&(objectClass=group)(Member=cn=a))", false),
            ("(&(objectClass=group)(MEMBER=cn=a)(member=cn=a))", true),
            ("(&(objectClass=group)(&(cn=x)(uniqueMember=cn=a)))", true),
            ("(|(member=cn=a)(memberUid=a))", false),
            ("(objectClass=group)", false),
        ] {
            let filter = parse_filter(filter);
            assert_eq!(
                (are_hidden(&filter, true), are_hidden(&filter, false)),
                (hidden, false)
            );
        }
    }
}
