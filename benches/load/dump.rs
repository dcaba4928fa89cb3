//! The directory as a client sees it: read out of akldap by one search, written as LDIF for slapd, and kept in short for
//! the naive evaluation every benchmarked query is checked against.

use std::collections::HashMap;
use std::io::Write;

use anyhow::Context;
use ldap3_proto::proto::{LdapFilter, LdapMatchingRuleAssertion, LdapSearchResultEntry, LdapSearchScope};

use super::connection::Connection;
use akldap_workload::wire::{self, Encoded};

/// Attributes filters of the benchmarks ask for.
const FILTERED: [&str; 6] = ["cn", "uid", "mail", "entryuuid", "displayname", "objectclass"];
/// `LDAP_MATCHING_RULE_IN_CHAIN`.
pub const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

/// An entry in short; everything is in lower case.
#[derive(Debug)]
pub struct Entry {
    /// The DN.
    pub dn: String,
    /// Values of the attributes filters ask for, in the order of `FILTERED`.
    values: [Vec<String>; FILTERED.len()],
    /// Groups it is in, as numbers.
    member_of: Vec<u32>,
}

impl Entry {
    /// The only or first value.
    pub fn one(&self, attribute: &str) -> &str {
        self.all(attribute).first().map_or("", String::as_str)
    }

    fn all(&self, attribute: &str) -> &[String] {
        let attribute = attribute.to_lowercase();
        FILTERED
            .iter()
            .position(|name| **name == attribute)
            .map_or(&[], |at| self.values[at].as_slice())
    }
}

/// The whole directory.
pub struct Dump {
    /// All entries.
    pub entries: Vec<Entry>,
    groups: HashMap<String, u32>,
    /// For each group the groups it is in.
    above: Vec<Vec<u32>>,
}

impl Dump {
    /// Reads everything below `base`; hands every entry to `also` on the way.
    ///
    /// # Errors
    /// When the search fails.
    pub fn read(
        connection: &mut Connection,
        base: &str,
        mut also: impl FnMut(&LdapSearchResultEntry) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let everything = LdapFilter::Present("objectClass".to_owned());
        let request = Encoded::new(
            wire::search(
                base,
                LdapSearchScope::Subtree,
                everything,
                &["*", "+", "entryUUID"],
            ),
            vec![],
        )?;
        let mut dump = Self {
            entries: Vec::new(),
            groups: HashMap::new(),
            above: Vec::new(),
        };
        let mut failed = None;
        connection.search(&request, |entry| {
            if let Err(error) = also(&entry) {
                failed.get_or_insert(error);
            }
            dump.add(&entry);
        })?;
        if let Some(error) = failed {
            return Err(error.context("cannot write the LDIF"));
        }
        dump.above = vec![Vec::new(); dump.groups.len()];
        for entry in &dump.entries {
            if let Some(group) = dump.groups.get(&entry.dn) {
                dump.above[*group as usize].clone_from(&entry.member_of);
            }
        }
        Ok(dump)
    }

    fn add(&mut self, entry: &LdapSearchResultEntry) {
        let mut short = Entry {
            dn: entry.dn.to_lowercase(),
            values: Default::default(),
            member_of: Vec::new(),
        };
        for attribute in &entry.attributes {
            let name = attribute.atype.to_lowercase();
            let values = attribute
                .vals
                .iter()
                .map(|value| String::from_utf8_lossy(value).to_lowercase());
            if name == "memberof" {
                short.member_of = values.map(|dn| self.group(dn)).collect();
            } else if let Some(at) = FILTERED.iter().position(|filtered| *filtered == name) {
                short.values[at] = values.collect();
            }
        }
        self.entries.push(short);
    }

    fn group(&mut self, dn: String) -> u32 {
        let next = self.groups.len() as u32;
        *self.groups.entry(dn).or_insert(next)
    }

    /// Entries right below `ou=users`, in the order of the directory.
    pub fn users(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.dn.contains(",ou=users,"))
    }

    /// DN of a group with this name, in the spelling of the directory but for case.
    ///
    /// # Errors
    /// When there is none that anybody is in.
    pub fn group_dn(&self, name: &str) -> anyhow::Result<&str> {
        let prefix = format!("cn={name},ou=groups,");
        self.groups
            .keys()
            .find(|dn| dn.starts_with(&prefix))
            .map(String::as_str)
            .with_context(|| format!("nobody is in the group {name}"))
    }

    /// DNs of the groups an entry is in.
    pub fn groups_of(&self, entry: &Entry) -> Vec<&str> {
        let wanted = &entry.member_of;
        self.groups
            .iter()
            .filter(|(_, number)| wanted.contains(number))
            .map(|(dn, _)| dn.as_str())
            .collect()
    }

    /// DNs a search finds, in order of their names, by looking at every entry.
    pub fn find(&self, base: &str, scope: &LdapSearchScope, filter: &LdapFilter) -> Vec<&str> {
        let base = base.to_lowercase();
        let inside = |dn: &str| match scope {
            LdapSearchScope::Base => dn == base,
            // No name of the benchmarks' searches holds an escaped comma at the end.
            LdapSearchScope::OneLevel => dn.strip_suffix(&base).is_some_and(|rest| {
                rest.trim_end_matches(',').matches(",ou=").count() == 0 && !rest.is_empty()
            }),
            _ => dn.ends_with(&base),
        };
        let mut found: Vec<&str> = self
            .entries
            .iter()
            .filter(|entry| inside(&entry.dn) && self.matches(entry, filter))
            .map(|entry| entry.dn.as_str())
            .collect();
        found.sort_unstable();
        found
    }

    fn matches(&self, entry: &Entry, filter: &LdapFilter) -> bool {
        match filter {
            LdapFilter::And(filters) => filters.iter().all(|filter| self.matches(entry, filter)),
            LdapFilter::Or(filters) => filters.iter().any(|filter| self.matches(entry, filter)),
            LdapFilter::Not(filter) => !self.matches(entry, filter),
            LdapFilter::Equality(name, value) if name.eq_ignore_ascii_case("memberOf") => self
                .groups
                .get(&value.to_lowercase())
                .is_some_and(|group| entry.member_of.contains(group)),
            LdapFilter::Equality(name, value) => {
                let equal = |other: &String| {
                    other.eq_ignore_ascii_case(value) || !value.is_ascii() && *other == value.to_lowercase()
                };
                entry.all(name).iter().any(equal)
            }
            LdapFilter::Substring(name, parts) => entry.all(name).iter().any(|value| {
                let mut rest = value.as_str();
                if let Some(initial) = &parts.initial {
                    let Some(after) = rest.strip_prefix(&initial.to_lowercase()) else {
                        return false;
                    };
                    rest = after;
                }
                for part in &parts.any {
                    let part = part.to_lowercase();
                    let Some(at) = rest.find(&part) else { return false };
                    rest = &rest[at + part.len()..];
                }
                parts
                    .final_
                    .as_ref()
                    .is_none_or(|end| rest.ends_with(&end.to_lowercase()))
            }),
            LdapFilter::Present(name) => !entry.all(name).is_empty(),
            LdapFilter::Extensible(assertion) => self.in_chain(entry, assertion),
            LdapFilter::GreaterOrEqual(..) | LdapFilter::LessOrEqual(..) | LdapFilter::Approx(..) => false,
        }
    }

    fn in_chain(&self, entry: &Entry, assertion: &LdapMatchingRuleAssertion) -> bool {
        let Some(wanted) = self.groups.get(&assertion.match_value.to_lowercase()) else {
            return false;
        };
        let (mut open, mut seen) = (entry.member_of.clone(), Vec::new());
        while let Some(group) = open.pop() {
            if group == *wanted {
                return true;
            }
            if !seen.contains(&group) {
                seen.push(group);
                open.extend(&self.above[group as usize]);
            }
        }
        false
    }
}

/// Writes a line of LDIF (RFC 2849), in base64 where it must be.
///
/// # Errors
/// When the file cannot be written.
pub fn write_line(out: &mut impl Write, name: &str, value: &[u8]) -> std::io::Result<()> {
    use base64::Engine;
    let plain = value.first().is_none_or(|first| !b" :<".contains(first))
        && value.last() != Some(&b' ')
        && value.iter().all(|octet| (0x20..0x7f).contains(octet));
    if plain {
        write!(out, "{name}: ")?;
        out.write_all(value)?;
        return writeln!(out);
    }
    writeln!(
        out,
        "{name}:: {}",
        base64::engine::general_purpose::STANDARD.encode(value)
    )
}
