//! The two entries that are no part of any provider's tree: the rootDSE and the subschema. Readable by everybody.

use crate::directory::rootdse::{Reader, RootDse};
use crate::directory::subschema::{self, SUBSCHEMA_DN};
use crate::directory::{self};
use crate::ldap::dn::Dn;
use crate::ldap::filter::Filter;
use crate::ldap::message::{Scope, SearchRequest};
use crate::ldap::response::LdapResult;

use super::access::Identity;
use super::{Outpost, VERSION};

impl Outpost {
    /// Answers a search for the rootDSE or the subschema into `out`, without its final result; `None` if it is
    /// for neither.
    pub fn special_search(
        &self,
        request: &SearchRequest<'_>,
        identity: Option<&Identity>,
        message_id: u32,
        out: &mut Vec<u8>,
    ) -> Option<LdapResult> {
        let base = Dn::parse(request.base_object).ok()?;
        let in_scope = matches!(request.scope, Scope::BaseObject | Scope::WholeSubtree);
        if base.is_empty() {
            if in_scope {
                let attributes = self.root_dse().attributes(reader(identity));
                directory::search_entry(b"", &attributes, request, message_id, out);
            }
            return Some(LdapResult::success());
        }
        let named = base.normal_form().eq_ignore_ascii_case(SUBSCHEMA_DN.as_bytes());
        if named || (identity.is_some() && asks_for_subschema(&request.filter)) {
            if in_scope || !named {
                let attributes = subschema::attributes();
                directory::search_entry(SUBSCHEMA_DN.as_bytes(), &attributes, request, message_id, out);
            }
            return Some(LdapResult::success());
        }
        None
    }

    fn root_dse(&self) -> RootDse {
        let providers = self.providers();
        RootDse {
            naming_contexts: providers.iter().map(|provider| provider.settings().base_dn.clone()).collect(),
            vendor_version: format!("akldap {VERSION}"),
            supported_controls: self.capabilities.controls.clone(),
            supported_extensions: self.capabilities.extensions.clone(),
            supported_features: self.capabilities.features.clone(),
        }
    }
}

fn reader<'a>(identity: Option<&'a Identity>) -> Reader<'a> {
    match identity {
        Some(identity) => Reader::Bound { naming_context: &identity.provider().settings().base_dn },
        None => Reader::Unbound,
    }
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
