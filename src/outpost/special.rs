//! The two entries that are no part of any provider's tree: the rootDSE and the subschema. Readable by everybody.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use akldap_directory::rootdse::{Reader, RootDse};
use akldap_directory::subschema::{self, Beyond, SUBSCHEMA_DN};
use akldap_directory::{self as directory, Search, SearchControls};
use akldap_ldap::control::VlvTarget;
use akldap_ldap::dn::Dn;
use akldap_ldap::filter::Filter;
use akldap_ldap::message::{CompareRequest, Scope, SearchRequest};
use akldap_ldap::response::{LdapResult, ResultCode};

use super::access::Identity;
use super::{Outpost, VERSION};

/// When the schema changed with the attributes that admins give, as its readers see it. A server that starts cannot know
/// since when it is as it is: attributes beyond our own schema count as new.
#[derive(Debug, Default)]
pub(super) struct SchemaChanges(Mutex<(Beyond, Option<i64>)>);

impl SchemaChanges {
    /// The second since 1970 in which the schema became as it is `now`; none if there never was anything beyond our own.
    /// Two changes never share a second, and a clock that is set back does no harm.
    fn seen(&self, beyond: &Beyond, now: i64) -> Option<i64> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, changed) = &mut *last;
        if known != beyond {
            known.clone_from(beyond);
            *changed = Some(changed.map_or(now, |before| now.max(before.saturating_add(1))));
        }
        *changed
    }
}

impl Outpost {
    /// The search of the rootDSE or the subschema, if the request is for one of them alone. What somebody bound searches
    /// below the empty name is the tree of their provider as well.
    pub fn special_search(
        &self,
        request: &SearchRequest<'_>,
        identity: Option<&Identity>,
        controls: &SearchControls,
    ) -> Option<Result<Search, LdapResult>> {
        let refusal = || too_much_asserted(asserted(request, controls), identity);
        if request.base_object.is_empty() {
            if identity.is_some() && request.scope != Scope::BaseObject {
                return None;
            }
            if let Some(refusal) = refusal() {
                return Some(Err(refusal));
            }
            let attributes = self.root_dse_attributes(identity);
            return Some(Search::of_entry("", &attributes, request, controls));
        }
        let asked = identity.is_some() && asks_for_subschema(&request.filter);
        if !asked && !names_subschema(request.base_object) {
            return None;
        }
        Some(match refusal() {
            Some(refusal) => Err(refusal),
            None => Search::of_entry(SUBSCHEMA_DN, &self.subschema(identity), request, controls),
        })
    }

    /// Compares a value of the rootDSE or the subschema, if the request is for one of them.
    pub fn special_compare(
        &self,
        request: &CompareRequest,
        identity: Option<&Identity>,
    ) -> Option<LdapResult> {
        let (attribute, value) = (request.attribute.as_bytes(), &request.value);
        let refusal = || too_much_asserted(attribute.len() + value.len(), identity);
        if request.entry.is_empty() {
            if let Some(refusal) = refusal() {
                return Some(refusal);
            }
            let attributes = self.root_dse_attributes(identity);
            return Some(directory::compare_entry("", &attributes, attribute, value));
        }
        names_subschema(request.entry.as_bytes()).then(|| {
            refusal().unwrap_or_else(|| {
                directory::compare_entry(SUBSCHEMA_DN, &self.subschema(identity), attribute, value)
            })
        })
    }

    /// What the rootDSE says to somebody.
    pub fn root_dse_attributes(&self, identity: Option<&Identity>) -> subschema::Attributes {
        self.root_dse(None).attributes(reader(identity))
    }

    /// How admins name their attributes is for those who may log in.
    fn subschema(&self, identity: Option<&Identity>) -> subschema::Attributes {
        let Some(snapshot) = identity.and_then(|_| self.snapshot()) else {
            return subschema::attributes(&Beyond::default(), None);
        };
        let beyond = snapshot.beyond_schema();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = self
            .schema_changes
            .seen(&beyond, i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        subschema::attributes(&beyond, changed)
    }

    /// What the rootDSE says: of all providers, or as a copy below `only` this base DN.
    pub(super) fn root_dse(&self, only: Option<&str>) -> RootDse {
        let naming_contexts = match only {
            Some(base_dn) => vec![base_dn.to_owned()],
            None => self
                .providers()
                .iter()
                .map(|provider| provider.settings().base_dn.clone())
                .collect(),
        };
        RootDse {
            naming_contexts,
            vendor_version: format!("akldap {VERSION}"),
            supported_controls: self.capabilities.controls.clone(),
            supported_extensions: self.capabilities.extensions.clone(),
            supported_features: self.capabilities.features.clone(),
        }
    }
}

fn reader<'a>(identity: Option<&'a Identity>) -> Reader<'a> {
    match identity {
        Some(identity) => Reader::Bound {
            naming_context: &identity.provider().settings().base_dn,
        },
        None => Reader::Unbound,
    }
}

/// Most octets of what is asserted in a search or compare by somebody unbound. Whoever looks for the server's
/// capabilities asserts a class or nothing; a filter that tests every definition of the schema a thousand times means no
/// good.
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
            "before a bind filters and asserted values may have {MAX_UNBOUND_ASSERTIONS} octets: bind first, or ask \
             for less"
        );
        LdapResult::new(ResultCode::AdminLimitExceeded, text)
    })
}

/// The name of the subschema is one RDN; no other need be parsed.
fn names_subschema(name: &[u8]) -> bool {
    memchr::memchr2(b',', b';', name).is_none()
        && Dn::parse(name).is_ok_and(|name| name.normal_form() == SUBSCHEMA_DN.as_bytes())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_of_the_schema_moves_its_time() {
        let beyond = |names: &[&str]| Beyond {
            custom: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Beyond::default()
        };
        let changes = SchemaChanges::default();
        assert_eq!(changes.seen(&beyond(&[]), 100), None);
        assert_eq!(changes.seen(&beyond(&["a"]), 200), Some(200));
        assert_eq!(changes.seen(&beyond(&["a"]), 300), Some(200));
        assert_eq!(changes.seen(&beyond(&["a", "b"]), 300), Some(300));
        // Within the same second, and after the clock was set back.
        assert_eq!(changes.seen(&beyond(&["b"]), 300), Some(301));
        assert_eq!(changes.seen(&beyond(&[]), 7), Some(302));
        let several = Beyond {
            several: vec!["cn"],
            ..Beyond::default()
        };
        assert_eq!(changes.seen(&several, 400), Some(400));
    }
}
