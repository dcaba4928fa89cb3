//! What is asked. Every case is a list of requests with the number of entries each must find; the first of them are
//! compared entry by entry with the naive evaluation of the same filter.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{LdapFilter, LdapMatchingRuleAssertion, LdapOp, LdapSearchScope};

use super::connection::Connection;
use super::dump::{Dump, Entry, IN_CHAIN};
use super::generator::Request;
use akldap_testing::released::{BASE, SEARCHER, password, user_dn};
use akldap_workload::wire::{self, Encoded};

/// Different requests of a case; more than a CPU's nearest caches hold the answers of.
const POOL: usize = 4096;
/// Requests of a case that are checked entry by entry.
const CHECKED: usize = 32;
/// Users that log in; each costs one login in authentik before it is cached.
const LOGINS: usize = 64;
/// Entries of a page.
pub const PAGE: usize = 500;

/// One thing to measure.
pub struct Case {
    /// Its name in tables and on the command line.
    pub name: &'static str,
    /// The requests.
    pub requests: Arc<Vec<Request>>,
    /// The searches behind them; empty for binds and pages.
    searches: Vec<Search>,
    /// Connect, bind, search and close for each operation.
    pub reconnect: bool,
    /// Only one request may be under way on a connection.
    pub alone: bool,
    /// slapd can answer it.
    pub standard: bool,
}

/// A search before it is encoded.
#[derive(Clone)]
struct Search {
    base: String,
    scope: LdapSearchScope,
    filter: LdapFilter,
}

/// Names of all cases, in the order of the tables.
pub const NAMES: [&str; 19] = [
    "uid",
    "mail",
    "cn",
    "entryUUID",
    "and-memberOf",
    "base",
    "miss",
    "dn-only",
    "members-of",
    "in-chain",
    "prefix",
    "substring",
    "page-first",
    "page-middle",
    "page-last",
    "walk",
    "listing",
    "bind",
    "login",
];

/// The place where users are.
fn users_base() -> String {
    format!("ou=users,{BASE}")
}

fn equals(attribute: &str, value: &str) -> LdapFilter {
    LdapFilter::Equality(attribute.to_owned(), value.to_owned())
}

/// The parser of `ldap3_proto` wants values with blanks or equals signs in quotes.
fn parse(filter: &str) -> anyhow::Result<LdapFilter> {
    ldap3_proto::parse_ldap_filter_str(filter).with_context(|| filter.to_owned())
}

/// Makes cases of a directory.
pub struct Maker<'a> {
    dump: &'a Dump,
    users: Vec<&'a Entry>,
    picked: Vec<&'a Entry>,
}

impl<'a> Maker<'a> {
    /// For this directory. The users asked for are spread over it, the same at every run.
    pub fn new(dump: &'a Dump) -> Self {
        let users: Vec<&Entry> = dump
            .users()
            .filter(|user| user.one("cn").starts_with("user0"))
            .collect();
        let mut random = fastrand::Rng::with_seed(5);
        let picked = (0..POOL)
            .filter_map(|_| users.get(random.usize(..users.len().max(1))).copied())
            .collect();
        Self { dump, users, picked }
    }

    /// The case of this name; pages need a server to get their cookies from.
    ///
    /// # Errors
    /// When the name is unknown, or the directory too small for the case.
    pub fn case(&self, name: &str, akldap: SocketAddr) -> anyhow::Result<Case> {
        let name = NAMES
            .into_iter()
            .find(|known| *known == name)
            .with_context(|| format!("no case {name}"))?;
        if self.users.is_empty() {
            bail!("no generated users to ask for");
        }
        let last = (self.users.len().saturating_sub(1)) / PAGE * PAGE;
        match name {
            "uid" | "mail" | "cn" | "entryUUID" => self.equality(name, name, &[]),
            "dn-only" => self.equality(name, "cn", &["1.1"]),
            "and-memberOf" => self.login_filter(name, "memberOf"),
            "in-chain" => self.in_chain(name),
            "base" => self.searches(
                name,
                &[],
                self.picked.iter().map(|user| {
                    let filter = LdapFilter::Present("objectClass".to_owned());
                    (
                        Search {
                            base: user.dn.clone(),
                            scope: LdapSearchScope::Base,
                            filter,
                        },
                        1,
                    )
                }),
            ),
            "miss" => self.searches(
                name,
                &[],
                (0..POOL).map(|number| (below_users(equals("cn", &format!("nobody{number:06}"))), 0)),
            ),
            "members-of" => {
                let named = (1..)
                    .take(100)
                    .map(|number| self.dump.group_dn(&format!("group{number:04}")));
                let filters = named.flatten().take(8).map(|group| Ok(equals("memberOf", group)));
                self.naive(name, &["cn"], filters)
            }
            "prefix" => self.parts(name, |digits| format!("(displayName=\"User {}*\")", &digits[..5])),
            "substring" => self.parts(name, |digits| format!("(mail=*{}*)", &digits[..5])),
            "page-first" => self.page(name, 0, akldap),
            "page-middle" => self.page(name, last / 2 / PAGE * PAGE, akldap),
            "page-last" => self.page(name, last, akldap),
            "listing" | "walk" => self.naive(name, &[], [Ok(equals("objectClass", "user"))].into_iter()),
            "login" => Ok(Case {
                reconnect: true,
                alone: true,
                ..self.equality(name, "uid", &[])?
            }),
            _ => self.binds(name),
        }
    }

    fn searches(
        &self,
        name: &'static str,
        attributes: &[&str],
        list: impl Iterator<Item = (Search, u64)>,
    ) -> anyhow::Result<Case> {
        let (mut requests, mut searches) = (Vec::new(), Vec::new());
        for (search, entries) in list {
            let op = wire::search(
                &search.base,
                search.scope.clone(),
                search.filter.clone(),
                attributes,
            );
            requests.push(Request {
                encoded: Encoded::new(op, vec![])?,
                entries,
            });
            searches.push(search);
        }
        Ok(Case {
            name,
            requests: Arc::new(requests),
            searches,
            reconnect: false,
            alone: false,
            standard: true,
        })
    }

    fn equality(&self, name: &'static str, attribute: &str, attributes: &[&str]) -> anyhow::Result<Case> {
        let list = self
            .picked
            .iter()
            .map(|user| (below_users(equals(attribute, user.one(attribute))), 1));
        self.searches(name, attributes, list)
    }

    /// `(&(uid=…)(memberOf=…))`: half of the users are in the group.
    fn login_filter(&self, name: &'static str, rule: &str) -> anyhow::Result<Case> {
        let mut list = Vec::new();
        for (number, user) in self.picked.iter().take(512).enumerate() {
            let groups = self.dump.groups_of(user);
            let wanted = if number % 2 == 0 {
                groups.first().copied()
            } else {
                None
            };
            let group = match wanted {
                Some(group) => group,
                None => self.dump.group_dn("backend")?,
            };
            let filter = LdapFilter::And(vec![equals("uid", user.one("uid")), equals(rule, group)]);
            list.push((below_users(filter), u64::from(wanted.is_some())));
        }
        self.searches(name, &[], list.into_iter())
    }

    fn in_chain(&self, name: &'static str) -> anyhow::Result<Case> {
        let mut filters = Vec::new();
        for group in ["company", "engineering", "backend", "sales"] {
            // It may be that nobody is directly in the upper ones.
            let dn = format!("cn={group},ou=groups,{BASE}");
            let in_chain = LdapFilter::Extensible(LdapMatchingRuleAssertion {
                matching_rule: Some(IN_CHAIN.to_owned()),
                type_: Some("memberOf".to_owned()),
                match_value: dn,
                dn_attributes: false,
            });
            filters.push(LdapFilter::And(vec![equals("objectClass", "user"), in_chain]));
        }
        let case = self.naive(name, &["cn"], filters.into_iter().map(Ok))?;
        Ok(Case {
            standard: false,
            ..case
        })
    }

    fn parts(&self, name: &'static str, filter: impl Fn(&str) -> String) -> anyhow::Result<Case> {
        let filters = self.picked.iter().take(64).map(|user| {
            let digits = user.one("cn").trim_start_matches("user");
            parse(&filter(digits))
        });
        self.naive(name, &["cn", "mail"], filters)
    }

    /// Searches among users whose numbers of entries only the naive evaluation knows.
    fn naive(
        &self,
        name: &'static str,
        attributes: &[&str],
        filters: impl Iterator<Item = anyhow::Result<LdapFilter>>,
    ) -> anyhow::Result<Case> {
        let mut list = Vec::new();
        for filter in filters {
            let search = below_users(filter?);
            let entries = self.dump.find(&search.base, &search.scope, &search.filter).len();
            list.push((search, entries as u64));
        }
        self.searches(name, attributes, list.into_iter())
    }

    /// The page that begins at `offset`, asked for again and again with the cookie that leads there.
    fn page(&self, name: &'static str, offset: usize, akldap: SocketAddr) -> anyhow::Result<Case> {
        let mut connection = Connection::bound(akldap, &user_dn(SEARCHER), &password(SEARCHER))?;
        let (mut cookie, mut at) = (Vec::new(), 0);
        while at < offset {
            let request = page_request(PAGE.min(offset - at), cookie)?;
            let controls = connection.search(&request, |_| at += 1)?;
            cookie = page_cookie(&controls).context("no cookie came")?;
        }
        let request = page_request(PAGE, cookie)?;
        let mut entries = 0;
        connection.search(&request, |_| entries += 1)?;
        let all = self.dump.users().count();
        if entries != PAGE.min(all - offset) {
            bail!("the page at {offset} has {entries} entries");
        }
        let requests = Arc::new(vec![Request {
            encoded: request,
            entries: entries as u64,
        }]);
        // slapd's cookies go with the connection they were made on.
        Ok(Case {
            name,
            requests,
            searches: vec![],
            reconnect: false,
            alone: false,
            standard: offset == 0,
        })
    }

    fn binds(&self, name: &'static str) -> anyhow::Result<Case> {
        let mut requests = Vec::new();
        for user in self.picked.iter().take(LOGINS) {
            let cn = user.one("cn");
            let encoded = Encoded::new(wire::bind(&user_dn(cn), &password(cn)), vec![])?;
            requests.push(Request { encoded, entries: 0 });
        }
        Ok(Case {
            name,
            requests: Arc::new(requests),
            searches: vec![],
            reconnect: false,
            alone: true,
            standard: true,
        })
    }
}

fn below_users(filter: LdapFilter) -> Search {
    Search {
        base: users_base(),
        scope: LdapSearchScope::Subtree,
        filter,
    }
}

/// One page of all users.
///
/// # Errors
/// When it cannot be encoded.
pub fn page_request(size: usize, cookie: Vec<u8>) -> anyhow::Result<Encoded> {
    let filter = equals("objectClass", "user");
    let op: LdapOp = wire::search(&users_base(), LdapSearchScope::OneLevel, filter, &["cn", "mail"]);
    let control = LdapControl::SimplePagedResults {
        size: i64::try_from(size)?,
        cookie,
    };
    Ok(Encoded::new(op, vec![control])?)
}

/// The cookie of a page, if there are further ones.
pub fn page_cookie(controls: &[LdapControl]) -> Option<Vec<u8>> {
    controls.iter().find_map(|control| match control {
        LdapControl::SimplePagedResults { cookie, .. } if !cookie.is_empty() => Some(cookie.clone()),
        _ => None,
    })
}

impl Case {
    /// Sends every request once and compares what comes: all codes and numbers, and the names of the first ones with
    /// the naive evaluation. Warms up the server on the way.
    ///
    /// # Errors
    /// When an answer is wrong.
    pub fn check(&self, dump: &Dump, address: SocketAddr) -> anyhow::Result<()> {
        let mut connection = Connection::bound(address, &user_dn(SEARCHER), &password(SEARCHER))?;
        for (number, request) in self.requests.iter().enumerate() {
            connection.send(&request.encoded)?;
            let mut found = Vec::new();
            let ending = connection.finish(|entry| found.push(plain_name(&entry.dn)))?;
            if ending.code != 0 || found.len() as u64 != request.entries {
                let (code, count, expected) = (ending.code, found.len(), request.entries);
                let message = ending.message;
                bail!(
                    "{}: request {number}: code {code} {message}, {count} entries, expected {expected}",
                    self.name
                );
            }
            if let Some(search) = self.searches.get(number).filter(|_| number < CHECKED) {
                found.sort_unstable();
                let expected = dump.find(&search.base, &search.scope, &search.filter);
                let mut expected: Vec<String> = expected.into_iter().map(plain_name).collect();
                expected.sort_unstable();
                if let Some((found, expected)) = found.iter().zip(&expected).find(|(one, other)| one != other)
                {
                    bail!(
                        "{}: {:?}: found {found}, expected {expected}",
                        self.name,
                        search.filter
                    );
                }
            }
        }
        Ok(())
    }
}

/// A DN in lower case, with special characters escaped by a backslash; slapd escapes them as hexadecimal digits.
fn plain_name(dn: &str) -> String {
    let mut name = dn.to_lowercase();
    for (digits, letter) in [
        ("22", '"'),
        ("2b", '+'),
        ("2c", ','),
        ("3b", ';'),
        ("3c", '<'),
        ("3e", '>'),
        ("3d", '='),
    ] {
        name = name.replace(&format!("\\{digits}"), &format!("\\{letter}"));
    }
    name
}
