//! A small directory for tests, and answers as text.

use std::fmt::Write as _;
use std::sync::Arc;

use super::*;
use akldap_ldap::ber::{self, Reader};
use akldap_ldap::filter::{self, Filter};
use akldap_ldap::message::{Scope, SearchRequest};
use akldap_ldap::response::LdapResult;

pub(crate) const BASE: &str = "DC=ldap,DC=goauthentik,DC=io";
pub(crate) const SUFFIX: &str = "dc=ldap,dc=goauthentik,dc=io";

pub(crate) const STAFF: &str = "10000000-0000-4000-8000-000000000001";
pub(crate) const ADMINS: &str = "20000000-0000-4000-8000-000000000002";
pub(crate) const EMPTY: &str = "30000000-0000-4000-8000-000000000003";
pub(crate) const EMEA: &str = "40000000-0000-4000-8000-000000000004";

pub(crate) fn uid(pk: i64) -> String {
    format!("{pk:064x}")
}

pub(crate) fn uuid(pk: i64) -> String {
    format!("00000000-0000-4000-8000-{pk:012x}")
}

/// A user with everything but custom attributes.
pub(crate) fn add_user(builder: &mut Builder, pk: i64, username: &str, attributes: &str) {
    builder.add_user(&UserRecord {
        pk,
        uuid: &uuid(pk),
        uid: &uid(pk),
        username,
        name: &format!("{username} Example"),
        email: &format!("{username}@Example.com"),
        is_active: true,
        is_superuser: false,
        path: "users",
        kind: "internal",
        roles: &[],
        attributes: Some(attributes),
        // 2026-01-02T03:04:05.678901Z, 2025-01-02T03:04:05+01:00 and 2026-03-04T05:06:00Z.
        password_change_date: Some(1_767_323_045_678_901),
        date_joined: Some(1_735_783_445_000_000),
        last_updated: Some(1_772_600_760_000_000 + pk % 60 * 1_000_000),
    });
}

pub(crate) fn add_group(
    builder: &mut Builder,
    uuid: &str,
    name: &str,
    parents: &[&str],
    users: &[i64],
    attributes: &str,
) {
    let parents: Vec<String> = parents.iter().map(|parent| (*parent).to_owned()).collect();
    builder.add_group(&GroupRecord {
        uuid,
        num_pk: Some(uuid[..5].parse().unwrap()),
        name,
        is_superuser: name == "admins",
        parents: &parents,
        users,
        roles: &[],
        attributes: Some(attributes),
    });
}

/// alice (1), bob (2), zoë (3), a user without name and address (4), an awkward name (5); staff holds alice, bob and
/// the groups admins and "Sales, EMEA"; admins holds alice; a group is empty.
pub(crate) fn builder() -> Builder {
    let mut builder = Builder::new();
    add_user(
        &mut builder,
        2,
        "bob",
        r#"{"department":"R & D","tags":["x","Y"],"extraAttribute":["bar"]}"#,
    );
    add_user(
        &mut builder,
        1,
        "alice",
        r#"{"homeDirectory":"/srv/%s","manager":"cn=Bob, ou=users, dc=ldap,dc=goauthentik,dc=io"}"#,
    );
    add_user(
        &mut builder,
        3,
        "zoë",
        r#"{"gidNumber":"4000","surname":"Zimmer"}"#,
    );
    builder.add_user(&UserRecord {
        pk: 4,
        uuid: &uuid(4),
        uid: &uid(4),
        username: "plain",
        ..UserRecord::default()
    });
    add_user(&mut builder, 5, "x, y+z", r#"{"uidNumber":7000}"#);
    add_group(&mut builder, EMEA, "Sales, EMEA", &[STAFF], &[3, 5], "{}");
    add_group(
        &mut builder,
        STAFF,
        "staff",
        &[],
        &[2, 1],
        r#"{"info":"all of us"}"#,
    );
    add_group(&mut builder, ADMINS, "admins", &[STAFF], &[1], "null");
    add_group(&mut builder, EMPTY, "empty", &[], &[], r#"{"gidNumber":77}"#);
    builder
}

pub(crate) fn snapshot() -> Arc<Snapshot> {
    let (snapshot, warnings) = builder().finish().unwrap();
    assert_eq!(warnings, []);
    Arc::new(snapshot)
}

pub(crate) fn tree() -> Arc<Tree> {
    Arc::new(Tree::new(BASE, 2000, 4000).unwrap())
}

/// A search as text says it.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) tree: Arc<Tree>,
    pub(crate) viewer: Viewer,
    pub(crate) base: Vec<u8>,
    pub(crate) from_root: bool,
    pub(crate) scope: Scope,
    pub(crate) filter: String,
    pub(crate) attributes: Vec<&'static str>,
    pub(crate) size_limit: u32,
    pub(crate) types_only: bool,
    pub(crate) controls: SearchControls,
    /// Octets and candidates of one call of `advance`.
    pub(crate) step: (usize, usize),
}

pub(crate) fn query(filter: &str) -> Query {
    Query {
        snapshot: snapshot(),
        tree: tree(),
        viewer: Viewer::Full,
        base: SUFFIX.as_bytes().to_vec(),
        from_root: false,
        scope: Scope::WholeSubtree,
        filter: filter.to_owned(),
        attributes: Vec::new(),
        size_limit: 0,
        types_only: false,
        controls: SearchControls::default(),
        step: (4096, 100),
    }
}

pub(crate) fn root_dse() -> subschema::EntryAttributes {
    vec![
        ("objectClass", vec!["top".into()]),
        ("namingContexts", vec![SUFFIX.into()]),
        ("vendorName", vec!["goauthentik.io".into()]),
    ]
}

/// An entry as returned: DN, attributes, controls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    pub(crate) dn: String,
    pub(crate) attributes: Vec<(String, Vec<Vec<u8>>)>,
    pub(crate) controls: Vec<u8>,
}

impl Returned {
    pub(crate) fn get(&self, name: &str) -> Vec<String> {
        self.attributes
            .iter()
            .filter(|(own, _)| own == name)
            .flat_map(|(_, values)| values)
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.attributes.iter().map(|(name, _)| name.as_str()).collect()
    }
}

impl Query {
    pub(crate) fn base(mut self, base: &str) -> Self {
        self.base = base.as_bytes().to_vec();
        self
    }

    pub(crate) fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    pub(crate) fn attributes(mut self, attributes: &[&'static str]) -> Self {
        self.attributes = attributes.to_vec();
        self
    }

    pub(crate) fn own(mut self, user_pk: i64) -> Self {
        self.viewer = Viewer::Own { user_pk };
        self
    }

    pub(crate) fn open(&self) -> Result<Search, LdapResult> {
        let attributes: Vec<&[u8]> = self.attributes.iter().map(|name| name.as_bytes()).collect();
        let request = SearchRequest {
            scope: self.scope,
            size_limit: self.size_limit,
            types_only: self.types_only,
            ..subtree_request(&self.base, parse_filter(&self.filter), attributes)
        };
        let (snapshot, tree) = (Arc::clone(&self.snapshot), Arc::clone(&self.tree));
        if self.from_root {
            return Search::from_root(snapshot, tree, self.viewer, &root_dse(), &request, &self.controls);
        }
        Search::new(snapshot, tree, self.viewer, &request, &self.controls)
    }

    /// The same from the empty name on.
    pub(crate) fn at_root(mut self) -> Self {
        self.from_root = true;
        self
    }

    pub(crate) fn run(&self) -> (Vec<Returned>, SearchOutcome) {
        drive(&mut self.open().unwrap(), self.step)
    }

    pub(crate) fn entries(&self) -> Vec<Returned> {
        let (entries, outcome) = self.run();
        assert_eq!(outcome.result, LdapResult::success());
        entries
    }

    /// The part of each DN before the base.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = self.entries();
        entries.iter().map(|entry| short(&entry.dn)).collect()
    }

    pub(crate) fn ldif(&self) -> String {
        self.entries().iter().map(ldif).collect()
    }
}

pub(crate) fn short(dn: &str) -> String {
    match dn.to_lowercase().strip_suffix(SUFFIX) {
        Some(rest) => dn[..rest.len()].trim_end_matches(',').to_owned(),
        None => dn.to_owned(),
    }
}

pub(crate) fn drive(search: &mut Search, step: (usize, usize)) -> (Vec<Returned>, SearchOutcome) {
    let mut out = Vec::new();
    loop {
        let before = out.len();
        match search.advance(&mut out, 5, step.0, step.1) {
            Progress::More => assert!(out.len() <= before + step.0 + 100_000),
            Progress::Done(outcome) => {
                let entries = decode(&out);
                assert_eq!(outcome.entries, entries.len() as u64);
                return (entries, outcome);
            }
        }
    }
}

/// Reads SearchResultEntries; every length must fit exactly.
pub(crate) fn decode(octets: &[u8]) -> Vec<Returned> {
    let mut messages = Reader::new(octets);
    let mut entries = Vec::new();
    while !messages.is_empty() {
        let mut message = messages.constructed(ber::SEQUENCE).unwrap();
        assert_eq!(message.max_int(), Ok(5));
        let mut entry = message.constructed(0x64).unwrap();
        let dn = String::from_utf8(entry.octet_string().unwrap().to_vec()).unwrap();
        let mut list = entry.constructed(ber::SEQUENCE).unwrap();
        entry.end().unwrap();
        let mut attributes = Vec::new();
        while !list.is_empty() {
            let mut attribute = list.constructed(ber::SEQUENCE).unwrap();
            let name = String::from_utf8(attribute.octet_string().unwrap().to_vec()).unwrap();
            let mut set = attribute.constructed(ber::SET).unwrap();
            attribute.end().unwrap();
            let mut values = Vec::new();
            while !set.is_empty() {
                values.push(set.octet_string().unwrap().to_vec());
            }
            attributes.push((name, values));
        }
        let controls = message.optional(0xa0).unwrap().unwrap_or_default().to_vec();
        message.end().unwrap();
        entries.push(Returned {
            dn,
            attributes,
            controls,
        });
    }
    entries
}

pub(crate) fn ldif(entry: &Returned) -> String {
    let mut out = format!("dn: {}\n", entry.dn);
    for (name, values) in &entry.attributes {
        if values.is_empty() {
            writeln!(out, "{name}: (no values)").unwrap();
        }
        for value in values {
            writeln!(out, "{name}: {}", String::from_utf8_lossy(value)).unwrap();
        }
    }
    out.push('\n');
    out
}

/// A search of a whole subtree with no limit.
pub(crate) fn subtree_request<'a>(
    base: &'a [u8],
    filter: Filter<'a>,
    attributes: Vec<&'a [u8]>,
) -> SearchRequest<'a> {
    SearchRequest {
        base_object: base,
        scope: Scope::WholeSubtree,
        deref_aliases: 0,
        size_limit: 0,
        time_limit: 0,
        types_only: false,
        filter,
        attributes,
    }
}

/// The filter in `text` (RFC 4515); leaks, which tests may.
pub(crate) fn parse_filter(text: &str) -> Filter<'static> {
    let octets = filter::parser::octets(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Filter::read(&mut Reader::new(octets.leak())).unwrap_or_else(|error| panic!("{text}: {error}"))
}
