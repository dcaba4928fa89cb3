//! Searches and compares below `cn=Monitor`: for those who may search everything; part of no provider's tree. The outpost
//! knows what the entries say.

use akldap_directory::{self as directory, Search, SearchControls};
use akldap_ldap::dn::{Dn, Name};
use akldap_ldap::message::{CompareRequest, Message, Scope, SearchRequest};
use akldap_ldap::response::{LdapResult, ResultCode};

use crate::outpost::monitor::MonitorEntry;
use crate::outpost::server_entries::MONITOR_DN;
use crate::server::session::LdapSession;

/// The most octets of what a filter asserts. It is evaluated on every entry, and none says more than a number.
const MAX_FILTER: usize = 4096;

/// The search of the first entry in scope, and those of the others from the last to the second, if the request is for the
/// monitor.
pub(super) fn search(
    session: &LdapSession,
    base_object: &Name<'_>,
    message: &Message<'_>,
    request: &SearchRequest<'_>,
) -> Option<Result<(Search, Vec<Search>), LdapResult>> {
    let base = is_asked_for(session, base_object)?;
    Some(base.and_then(|base| {
        refuse(session)?;
        searches(session, &base, message, request)
    }))
}

/// Compares a value of an entry, if the request is for one of the monitor.
pub(super) fn compare(
    session: &LdapSession,
    entry: &Name<'_>,
    request: &CompareRequest,
) -> Option<LdapResult> {
    let name = is_asked_for(session, entry)?;
    let compared = name.and_then(|name| {
        refuse(session)?;
        let entries = named(session.outpost.monitor())?;
        let entry = find(&entries, &name)?;
        let attribute = request.attribute.as_bytes();
        Ok(directory::compare_entry(
            &entry.dn,
            &entry.attributes,
            attribute,
            &request.value,
        ))
    });
    Some(compared.unwrap_or_else(|refusal| refusal))
}

/// The normal form of a name that is the monitor's or below it, unless a provider has its tree there.
fn is_asked_for(session: &LdapSession, name: &Name<'_>) -> Option<Result<Vec<u8>, LdapResult>> {
    // Nearly all other names differ from it in their last octets.
    let octets = name.octets().trim_ascii_end();
    let end = octets.len().checked_sub("monitor".len())?;
    if !octets.get(end..)?.eq_ignore_ascii_case(b"monitor") {
        return None;
    }
    let normal = name.parsed().ok()?.normal_form();
    let is_within = match normal_form(MONITOR_DN) {
        Ok(monitor) => is_at_or_below(&normal, &monitor),
        Err(error) => return Some(Err(error)),
    };
    (is_within && session.outpost.providers().current().locate(name).is_err()).then_some(Ok(normal))
}

fn refuse(session: &LdapSession) -> Result<(), LdapResult> {
    let refused = |text: &str| Err(LdapResult::new(ResultCode::InsufficientAccessRights, text));
    match &session.identity {
        None => refused("bind first: the monitor is for accounts that may search the whole directory"),
        Some(identity) if !identity.may_search_everything() => {
            refused("the monitor is for accounts that may search the whole directory")
        }
        Some(_) => Ok(()),
    }
}

fn searches(
    session: &LdapSession,
    base: &[u8],
    message: &Message<'_>,
    request: &SearchRequest<'_>,
) -> Result<(Search, Vec<Search>), LdapResult> {
    if message.controls.iter().any(|control| control.criticality) {
        let text = "the monitor supports no controls";
        return Err(LdapResult::new(ResultCode::UnavailableCriticalExtension, text));
    }
    if request.filter.size() > MAX_FILTER {
        let text = format!("a filter on the monitor may have at most {MAX_FILTER} octets of values");
        return Err(LdapResult::new(ResultCode::AdminLimitExceeded, text));
    }
    let entries = named(session.outpost.monitor())?;
    let base_entry = find(&entries, base)?;
    let in_scope = entries.iter().filter(|(name, _)| match request.scope {
        Scope::BaseObject => name == base,
        Scope::SingleLevel => parent(name) == Some(base),
        Scope::WholeSubtree => is_at_or_below(name, base),
        Scope::SubordinateSubtree => name != base && is_at_or_below(name, base),
    });
    // Each is the base of its own search.
    let mut alone = SearchRequest {
        scope: Scope::BaseObject,
        ..request.clone()
    };
    let of_entry = |entry: &MonitorEntry, request: &SearchRequest<'_>| {
        Search::of_entry(&entry.dn, &entry.attributes, request, &SearchControls::default())
    };
    let mut searches = in_scope
        .map(|(_, entry)| of_entry(entry, &alone))
        .collect::<Result<Vec<_>, _>>()?;
    searches.reverse();
    let first = match searches.pop() {
        Some(first) => first,
        // Below an entry that has none there is nothing.
        None => {
            alone.scope = Scope::SingleLevel;
            of_entry(base_entry, &alone)?
        }
    };
    Ok((first, searches))
}

/// An entry behind the normal form of its name.
type NamedEntry = (Vec<u8>, MonitorEntry);

fn named(entries: Vec<MonitorEntry>) -> Result<Vec<NamedEntry>, LdapResult> {
    let name = |entry: MonitorEntry| Ok((normal_form(&entry.dn)?, entry));
    entries.into_iter().map(name).collect()
}

/// The entry with a name in its normal form.
fn find<'a>(entries: &'a [NamedEntry], name: &[u8]) -> Result<&'a MonitorEntry, LdapResult> {
    let entry = entries.iter().find(|(own, _)| own == name);
    entry.map(|(_, entry)| entry).ok_or_else(|| {
        let above = entries.iter().filter(|(own, _)| is_at_or_below(name, own));
        let closest = above.max_by_key(|(_, entry)| entry.dn.len());
        LdapResult {
            code: ResultCode::NoSuchObject,
            matched_dn: closest.map_or_else(Vec::new, |(_, entry)| entry.dn.clone().into_bytes()),
            diagnostic_message: "the monitor has no such entry".to_owned(),
        }
    })
}

/// The normal form of a name of ours. If it is none, that is an error, not the name of the rootDSE.
fn normal_form(dn: &str) -> Result<Vec<u8>, LdapResult> {
    let parsed = Dn::parse(dn.as_bytes()).map_err(|error| {
        let text = format!("internal error: {dn:?} in the monitor is not a name: {error}");
        LdapResult::new(ResultCode::Other, text)
    });
    Ok(parsed?.normal_form())
}

/// For names in their normal form, in which these commas occur only between RDNs.
fn is_at_or_below(name: &[u8], base: &[u8]) -> bool {
    name.strip_suffix(base)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with(b","))
}

fn parent(name: &[u8]) -> Option<&[u8]> {
    let comma = memchr::memchr(b',', name)?;
    name.get(comma + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_a_name_is_an_error_and_not_the_root() {
        let entry = |dn: &str| MonitorEntry {
            dn: dn.to_owned(),
            attributes: Vec::new(),
        };
        let broken = named(vec![entry(MONITOR_DN), entry("no name")]);
        assert!(broken.is_err_and(|error| error.code == ResultCode::Other));
        let entries = named(vec![entry(MONITOR_DN)]).unwrap();
        let found = find(&entries, b"");
        assert!(found.is_err_and(|error| error.code == ResultCode::NoSuchObject));
    }
}
