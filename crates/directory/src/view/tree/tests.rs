use super::*;
use crate::fixture::*;

#[test]
fn the_base_keeps_its_spelling_and_everything_below_is_lower_case() {
    let tree = tree();
    assert_eq!(tree.base_spelling(), BASE);
    let snapshot = snapshot();
    let awkward = snapshot.user_by_pk(5).unwrap();
    assert_eq!(
        tree.user_dn(&snapshot, awkward),
        Ok(format!("cn=x\\, y\\+z,ou=users,{SUFFIX}"))
    );
    assert_eq!(tree.depth(), 3);
    let dn = |name: &str| Dn::parse(name.as_bytes()).unwrap();
    assert!(tree.contains(&dn("cn=a, ou=Users, dc=LDAP,dc=goauthentik,dc=io")));
    assert!(tree.contains(tree.base()));
    assert!(!tree.contains(&dn("xdc=ldap,dc=goauthentik,dc=io")));
    assert!(!tree.contains(&dn("dc=io")));
}

#[test]
fn a_base_must_be_a_name() {
    for base in ["", "  ", "nonsense", "dc=a,,dc=b"] {
        assert!(Tree::new(base, 0, 0).is_err(), "{base:?}");
    }
}

#[test]
fn the_base_entry_is_a_domain_with_the_attributes_of_the_root() {
    let root: EntryAttributes = vec![
        ("objectClass", vec!["top".into()]),
        ("entryDN", vec![String::new()]),
        ("supportedLDAPVersion", vec!["3".into()]),
        ("namingContexts", vec![SUFFIX.into()]),
    ];
    let mut base = query("(objectClass=domain)");
    base.tree = std::sync::Arc::new(Tree::new(BASE, 2000, 4000).unwrap().with_base_attributes(&root));
    assert_eq!(
        base.ldif(),
        format!(
            "dn: {BASE}\nobjectClass: top\nobjectClass: domain\ndc: ldap\nentryDN: {BASE}\nsupportedLDAPVersion: 3\n\
             namingContexts: {SUFFIX}\n\n"
        )
    );
}

#[test]
fn bases_named_by_something_else_hold_it() {
    let entry = |base: &str| {
        let mut found = query("(objectClass=domain)").base(base);
        found.tree = std::sync::Arc::new(Tree::new(base, 0, 0).unwrap());
        found.entries().remove(0)
    };
    let organization = entry("O=Acme Inc,DC=example");
    assert_eq!(organization.get("objectClass"), ["top", "domain", "organization"]);
    assert_eq!(
        (organization.get("o"), organization.get("dc")),
        (vec!["Acme Inc".into()], vec!["example".into()])
    );
    assert_eq!(
        entry("ou=ldap").get("objectClass"),
        ["top", "domain", "organizationalUnit"]
    );
}

#[test]
fn synthetic_uuids_are_stable_and_differ_by_base() {
    let uuids = |base: &str| {
        Tree::new(base, 0, 0)
            .unwrap()
            .containers
            .map(|container| container.uuid)
    };
    assert_eq!(uuids(BASE), uuids("dc=LDAP, dc=goauthentik,dc=io"));
    let (one, other) = (uuids("dc=a"), uuids("dc=b"));
    assert!(one.iter().all(|uuid| !other.contains(uuid)));
    assert!(
        one.iter()
            .all(|uuid| uuid::Uuid::from_bytes(*uuid).get_version_num() == 5)
    );
}
