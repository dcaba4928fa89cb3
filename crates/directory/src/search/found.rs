//! What a search depends on, and whom it finds: for callers that check where a directory comes from before they answer from it.
//!
//! Must not know why, nor how that is used.

use crate::model::built_in::AttributeId;
use crate::model::number::WrongNumber;
use crate::model::object_classes::USER_CLASSES;
use crate::model::place::{Container, Entry};
use crate::schema::{self, Syntax};
use crate::search::request::{Progress, SearchControls};
use crate::search::state::Search;
use crate::shape::Shape;
use crate::values::syntax;
use crate::view::tree::Tree;
use akldap_ldap::dn::Name;
use akldap_ldap::filter::Filter;
use akldap_ldap::message::SearchRequest;

/// Whether the answer to a request with this base object may differ after a change only of groups or memberships. True if that is not clear: an
/// answer of users whose filter and attributes concern only users is the same whatever groups there are.
#[must_use]
pub fn depends_on_groups(
    tree: &Tree,
    shape: Option<&Shape>,
    request: &SearchRequest<'_>,
    base_object: &Name<'_>,
    controls: &SearchControls,
) -> bool {
    let ordinary = controls.sort.is_none() && controls.vlv.is_none() && controls.deref.is_none();
    let is_of_users = tree.is_among_users(base_object)
        || (shape.is_none_or(|shape| !shape.shapes(AttributeId::OBJECT_CLASS.name()))
            && wants_users(&request.filter));
    !(ordinary
        && is_of_users
        && shape.is_none_or(|shape| !shape.users_depend_on_groups())
        && !filter_names_groups(&request.filter)
        && !answer_names_groups(&request.attributes))
}

/// Whether only users can match.
fn wants_users(filter: &Filter<'_>) -> bool {
    match filter {
        Filter::And(all) => all.iter().any(wants_users),
        Filter::Or(any) => !any.is_empty() && any.iter().all(wants_users),
        Filter::Equality(assertion) => {
            let key = |class: &[u8]| syntax::equality_key(Syntax::Oid, class).into_owned();
            let class = key(assertion.value);
            let of_users = |known: &&str| **known != *"top" && key(known.as_bytes()) == class;
            schema::canonical_name(assertion.attribute)
                == schema::canonical_name(AttributeId::OBJECT_CLASS.name().as_bytes())
                && USER_CLASSES.iter().any(of_users)
        }
        _ => false,
    }
}

fn filter_names_groups(filter: &Filter<'_>) -> bool {
    match filter {
        Filter::And(all) | Filter::Or(all) => all.iter().any(filter_names_groups),
        Filter::Not(inner) => filter_names_groups(inner),
        Filter::Equality(assertion)
        | Filter::GreaterOrEqual(assertion)
        | Filter::LessOrEqual(assertion)
        | Filter::Approx(assertion) => is_of_groups(assertion.attribute),
        Filter::Substrings(substrings) => is_of_groups(substrings.attribute),
        Filter::Present(attribute) => is_of_groups(attribute),
        Filter::Extensible(assertion) => assertion.attribute.is_none_or(is_of_groups),
    }
}

fn answer_names_groups(attributes: &[&[u8]]) -> bool {
    let names = attributes
        .iter()
        .flat_map(|names| names.split(|&octet| octet == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty());
    let mut none = true;
    for name in names {
        none = false;
        if matches!(name, b"*" | b"+" | [b'@', ..]) || is_of_groups(name) {
            return true;
        }
    }
    none
}

fn is_of_groups(description: &[u8]) -> bool {
    let (name, _) = schema::split_options(description);
    let name = schema::canonical_name(name);
    AttributeId::built_in()
        .filter(|(_, built_in)| built_in.depends_on_groups())
        .any(|(_, built_in)| schema::canonical_name(built_in.name.as_bytes()) == name)
}

impl Tree {
    /// Whether a name is that of the organizational unit of users or one below it.
    fn is_among_users(&self, name: &Name<'_>) -> bool {
        let Ok(name) = name.parsed() else {
            return false;
        };
        let top = name.below(self.base()).and_then(<[_]>::last);
        top.is_some_and(|top| self.unit_of(top) == Some(Container::Users))
    }
}

impl Search {
    /// Continues as [`advance`](Self::advance) does, but notes the keys of the users among its entries instead of returning
    /// them. True at the end, and also when there are more than this many entries.
    ///
    /// # Errors
    /// When a number in the directory is wrong, so that an entry may be a user who was not noted.
    pub fn note_users(&mut self, noted: &mut Vec<i64>, most: u64, work: usize) -> Result<bool, WrongNumber> {
        let mut out = Vec::new();
        loop {
            let before = self.entries;
            let progress = self.advance(&mut out, 0, 1, work);
            out.clear();
            if self.entries > most {
                return Ok(true);
            }
            let is_new = self.entries > before;
            if let Some(place) = self.last.filter(|_| is_new)
                && let Entry::User(user) | Entry::VirtualGroup(user) = self.layout.entry(place)?
            {
                let pk = *self.snapshot.records.users.pks.get(user)?;
                if !noted.contains(&pk) {
                    noted.push(pk);
                }
            }
            match progress {
                Progress::Done(_) => return Ok(true),
                Progress::More if !is_new => return Ok(false),
                Progress::More => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akldap_ldap::ber::Reader;
    use akldap_ldap::filter::parser;

    fn depends(base: &str, filter: &str, attributes: &[&[u8]], shape: Option<&Shape>) -> bool {
        let tree = Tree::new("dc=example", 2000, 4000).unwrap();
        let octets = parser::octets(filter).unwrap();
        let filter = Filter::read(&mut Reader::new(&octets)).unwrap();
        let request = crate::fixture::subtree_request(base.as_bytes(), filter, attributes.to_vec());
        let base_object = Name::new(request.base_object);
        depends_on_groups(&tree, shape, &request, &base_object, &SearchControls::default())
    }

    #[test]
    fn what_speaks_of_users_alone_depends_on_no_groups() {
        let people = "(&(objectClass=inetOrgPerson)(|(cn=a)(mail=a*)))";
        let (base, users) = ("dc=example", "OU=users, dc=example");
        assert!(!depends(base, people, &[b"cn", b"mail"], None));
        assert!(!depends(
            base,
            "(|(objectClass=user)(objectclass=person))",
            &[b"1.1"],
            None
        ));
        assert!(!depends(users, "(cn=a)", &[b"cn"], None));
        assert!(!depends(
            "cn=a,ou=users,dc=example",
            "(objectClass=*)",
            &[b"cn,mail"],
            None
        ));
        for (base, filter, attributes) in [
            // The default answer has memberOf.
            (base, people, &[][..]),
            (base, people, &[&b"*"[..]]),
            (base, people, &[&b"cn"[..], b"+"]),
            (base, people, &[&b"memberOf;x-a"[..]]),
            (base, people, &[&b"cn,memberof"[..]]),
            (base, people, &[&b"@group"[..]]),
            (users, "(memberOf=*)", &[&b"cn"[..]]),
            (users, "(!(ak-superuser=TRUE))", &[&b"cn"[..]]),
            (users, "(:caseIgnoreMatch:=a)", &[&b"cn"[..]]),
            // Groups have these classes, too, or may have this name.
            (base, "(objectClass=top)", &[&b"cn"[..]]),
            (base, "(objectClass=posixGroup)", &[&b"cn"[..]]),
            (base, "(!(objectClass=group))", &[&b"cn"[..]]),
            (base, "(|)", &[&b"cn"[..]]),
            (base, "(cn=a)", &[&b"cn"[..]]),
            ("ou=groups,dc=example", "(cn=a)", &[&b"cn"[..]]),
            ("not a name", "(cn=a)", &[&b"cn"[..]]),
        ] {
            assert!(depends(base, filter, attributes, None), "{base} {filter}");
        }
    }

    #[test]
    fn a_shape_may_make_users_depend_on_groups() {
        use crate::shape::visibility::Condition;
        use crate::shape::{Made, RecordKind, Show, Template};
        let (base, people) = ("dc=example", "(objectClass=user)");
        let by = |condition| {
            let mut shape = Shape::default();
            shape.visible_users.shown.push(condition);
            shape
        };
        let made = |name: &str, source: &str| {
            let mut shape = Shape::default();
            let made = Made {
                templates: vec![Template::new(source, RecordKind::User).unwrap()],
                syntax: None,
                operational: false,
            };
            shape.users.set(name, Show::Made(made)).unwrap();
            shape
        };
        for (shape, expected) in [
            (by(Condition::Active(true)), false),
            (by(Condition::Group("staff".into())), true),
            (made("gecos", "{{ name }}"), false),
            (made("gecos", "{{ all_groups }}"), true),
            (made("gecos", "{{ is_superuser }}"), true),
            (made("objectClass", "person"), true),
        ] {
            assert_eq!(
                depends(base, people, &[b"cn"], Some(&shape)),
                expected,
                "{shape:?}"
            );
        }
    }
}
