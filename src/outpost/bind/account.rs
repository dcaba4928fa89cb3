//! Whose name a bind name is before anything is loaded: for whoever asks what a bind with it would do.
//!
//! Must not know passwords.

use std::sync::Arc;

use super::name::{self, BindName};
use crate::config::{ProviderConfig, ProviderConfigs};
use crate::outpost::providers::table::{Based, ProviderTable};
use akldap_authentik::LdapProvider;
use akldap_directory::Tree;
use akldap_ldap::dn::Name;

/// The pk of the provider, and the name that its bind flow is given.
pub(crate) type NamedAccount = (i64, String);

/// A provider's base DN, and what is set for it here.
struct ProviderBase<'a> {
    settings: &'a LdapProvider,
    tree: Tree,
    config: Arc<ProviderConfig>,
}

impl Based for ProviderBase<'_> {
    fn pk(&self) -> i64 {
        self.settings.pk
    }

    fn name(&self) -> &str {
        &self.settings.name
    }

    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn config(&self) -> &ProviderConfig {
        &self.config
    }
}

/// What a bind with this name would log in to where authentik names these providers, and as whom. There is no directory to say how
/// the account itself is spelled.
///
/// # Errors
/// Why the bind would be refused.
pub(crate) fn named_account(
    bind_name: &[u8],
    providers: &[LdapProvider],
    configs: &ProviderConfigs,
) -> Result<NamedAccount, String> {
    let served = providers.iter().filter_map(|settings| {
        let config = configs.of(&settings.base_dn, &settings.application_slug);
        // One with a malformed base DN is not served. Numbers are in no name.
        let tree = Tree::new(&settings.base_dn, 0, 0).ok()?;
        let tree = tree.in_style(config.entries.style.clone(), config.entries.virtual_groups);
        Some(ProviderBase {
            settings,
            tree,
            config,
        })
    });
    let (table, _) = ProviderTable::new(served.map(Arc::new).collect());
    let BindName {
        provider, username, ..
    } = name::resolve(&Name::new(bind_name), &table, || None).map_err(|error| error.to_string())?;
    Ok((provider.pk(), username))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, StringMap};

    fn named(name: &str, settings: &[(&str, &str)]) -> Result<NamedAccount, String> {
        let providers: Vec<LdapProvider> = [(1, "dc=io"), (2, "dc=ldap,dc=io"), (3, "no base")]
            .into_iter()
            .map(|(pk, base_dn)| {
                let json = serde_json::json!({
                    "pk": pk, "name": base_dn, "base_dn": base_dn, "bind_flow_slug": "f", "application_slug": "a",
                });
                serde_json::from_value(json).unwrap()
            })
            .collect();
        let mut strings: StringMap = settings.iter().copied().collect();
        strings.set("AUTHENTIK_HOST", "https://authentik.example.org");
        strings.set("AUTHENTIK_TOKEN", "t");
        let config = Config::read(&strings).unwrap();
        named_account(name.as_bytes(), &providers, &config.providers)
    }

    #[test]
    fn an_account_is_the_one_that_a_bind_means() {
        for (name, pk, username) in [
            ("cn=alice,ou=users,dc=io", 1, "alice"),
            ("CN=alice, OU=users,DC=ldap,dc=io", 2, "alice"),
            ("cn=Sales, EMEA,ou=users,dc=ldap,dc=io", 2, "Sales, EMEA"),
            ("ou=x,uid=alice,ou=users,dc=io", 1, "alice"),
            ("mail=a@example.com,dc=ldap,dc=io", 2, "a@example.com"),
        ] {
            assert_eq!(named(name, &[]), Ok((pk, username.to_owned())), "{name}");
        }
        let strict = [("AUTHENTIK_LDAP__STRICT_BIND_DN", "true")];
        assert_eq!(
            named("cn=alice,ou=users,dc=io", &strict),
            Ok((1, "alice".to_owned()))
        );
        for (name, settings, told) in [
            ("cn=alice,dc=org", &[][..], "no LDAP provider"),
            ("alice", &[], "several LDAP providers"),
            ("ou=users,dc=io", &[], "no cn, uid or mail"),
            ("uid=alice,ou=users,dc=io", &strict, "set to require"),
        ] {
            let error = named(name, settings).unwrap_err();
            assert!(error.contains(told), "{name}: {error}");
        }
    }
}
