//! Searches and compares of the two entries that are not part of any provider's tree: the rootDSE (RFC 4512 section 5.1)
//! and the subschema (section 4.2). Readable by everybody. What the entries say is the outpost's knowledge.

use akldap_directory::subschema::SUBSCHEMA_DN;
use akldap_directory::{self as directory, Search, SearchControls};
use akldap_ldap::control::VlvTarget;
use akldap_ldap::dn::Name;
use akldap_ldap::filter::Filter;
use akldap_ldap::message::{CompareRequest, Scope, SearchRequest};
use akldap_ldap::response::{LdapResult, ResultCode};

use crate::outpost::access::Identity;

use crate::server::session::LdapSession;

/// The search of the rootDSE or the subschema, if the request is for one of them alone. What a bound client searches below
/// the empty name includes the tree of its provider.
pub(super) fn search(
    session: &LdapSession,
    base_object: &Name<'_>,
    request: &SearchRequest<'_>,
    controls: &SearchControls,
) -> Option<Result<Search, LdapResult>> {
    let identity = session.identity.as_deref();
    let refusal = || too_much_asserted(asserted(request, controls), identity);
    if base_object.octets().is_empty() {
        if identity.is_some() && request.scope != Scope::BaseObject {
            return None;
        }
        if let Some(refusal) = refusal() {
            return Some(Err(refusal));
        }
        let attributes = session.outpost.entries().root_dse(identity);
        return Some(Search::of_entry("", &attributes, request, controls));
    }
    let asked = identity.is_some() && asks_for_subschema(&request.filter);
    if !asked && !names_subschema(base_object) {
        return None;
    }
    Some(match refusal() {
        Some(refusal) => Err(refusal),
        None => match session.outpost.entries().subschema(identity) {
            Some(attributes) => Search::of_entry(SUBSCHEMA_DN, &attributes, request, controls),
            None => Err(damaged()),
        },
    })
}

/// Compares a value of the rootDSE or the subschema, if the request is for one of them.
pub(super) fn compare(
    session: &LdapSession,
    entry: &Name<'_>,
    request: &CompareRequest,
) -> Option<LdapResult> {
    let identity = session.identity.as_deref();
    let (attribute, value) = (request.attribute.as_bytes(), &request.value);
    let refusal = || too_much_asserted(attribute.len() + value.len(), identity);
    if entry.octets().is_empty() {
        if let Some(refusal) = refusal() {
            return Some(refusal);
        }
        let attributes = session.outpost.entries().root_dse(identity);
        return Some(directory::compare_entry("", &attributes, attribute, value));
    }
    names_subschema(entry).then(|| {
        refusal().unwrap_or_else(|| match session.outpost.entries().subschema(identity) {
            Some(attributes) => directory::compare_entry(SUBSCHEMA_DN, &attributes, attribute, value),
            None => damaged(),
        })
    })
}

/// A subschema without what only the directory knows would be wrong.
fn damaged() -> LdapResult {
    let text = "internal error: the directory in memory is damaged";
    LdapResult::new(ResultCode::Other, text.to_owned())
}

/// The most octets of what is asserted in a search or compare by somebody unbound. Whoever looks for the server's capabilities
/// asserts a class or nothing; a filter that tests every definition of the schema a thousand times is up to no good.
const MAX_UNBOUND_ASSERTIONS: usize = 2048;

/// The octets of what a search asserts.
fn asserted(request: &SearchRequest<'_>, controls: &SearchControls) -> usize {
    let target = match controls.vlv.as_ref().map(|vlv| &vlv.target) {
        Some(VlvTarget::GreaterOrEqual(value)) => value.len(),
        _ => 0,
    };
    request.filter.size() + target
}

fn too_much_asserted(octets: usize, identity: Option<&Identity>) -> Option<LdapResult> {
    (octets > MAX_UNBOUND_ASSERTIONS && identity.is_none()).then(|| {
        let text = format!(
            "before a bind, filters and asserted values may have at most {MAX_UNBOUND_ASSERTIONS} octets: \
             bind first, or ask for less"
        );
        LdapResult::new(ResultCode::AdminLimitExceeded, text)
    })
}

/// The name of the subschema is one RDN; no other need be parsed.
fn names_subschema(name: &Name<'_>) -> bool {
    memchr::memchr2(b',', b';', name.octets()).is_none()
        && name
            .parsed()
            .is_ok_and(|name| name.normal_form() == SUBSCHEMA_DN.as_bytes())
}

/// Clients look for the subschema by its class below the base DN, too.
fn asks_for_subschema(filter: &Filter<'_>) -> bool {
    match filter {
        Filter::Equality(assertion) => {
            assertion.attribute.eq_ignore_ascii_case(b"objectClass")
                && assertion.value.eq_ignore_ascii_case(b"subschema")
        }
        Filter::And(filters) => filters.iter().any(asks_for_subschema),
        _ => false,
    }
}
