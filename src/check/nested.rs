//! Base DNs that lie where another provider has its users or groups: a name there belongs to the longer base DN. Must not ask anybody.

use akldap_authentik::LdapProvider;
use akldap_ldap::dn::{self, Dn};

use crate::config::ProviderConfigs;

/// What authentik's outpost calls the containers, which every provider understands besides the names that are set for it.
const CONTAINERS: [&str; 3] = ["users", "groups", "virtual-groups"];

/// The providers whose base DN is, or is below, a container of another, each with the name of that one.
pub(super) fn in_containers(providers: &[LdapProvider], configs: &ProviderConfigs) -> Vec<(String, String)> {
    let based = || {
        providers
            .iter()
            .filter_map(|provider| Some((provider, Dn::parse(provider.base_dn.as_bytes()).ok()?)))
    };
    let mut found = Vec::new();
    for (outer, base) in based() {
        let config = configs.of(&outer.base_dn, &outer.application_slug);
        let style = &config.entries.style;
        let own = [&style.users, &style.groups, &style.virtual_groups].map(String::as_str);
        let names = own.into_iter().chain(CONTAINERS);
        let containers = names.filter_map(|name| {
            let rdn = [b"ou=", &*dn::escape(name.as_bytes())].concat();
            Dn::parse(&rdn).ok()
        });
        let containers: Vec<Dn> = containers.collect();
        for (inner, below) in based() {
            // The level next to the outer base DN.
            let Some([.., level]) = below.below(&base) else {
                continue;
            };
            let is_one = |container: &Dn| container.rdns.first().is_some_and(|rdn| rdn.matches(level));
            if containers.iter().any(is_one) {
                found.push((inner.name.clone(), outer.name.clone()));
            }
        }
    }
    found
}
