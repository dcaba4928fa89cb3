//! Who may do what, and the objects of an outpost as its account sees them.
//!
//! Must not know how callers are identified.

use serde_json::{Value, json};
use uuid::Uuid;

use super::access::{Application, Binding, Outpost, Provider, Role};
use super::directory::Directory;
use super::users::User;

impl Directory {
    /// Whether the user (none: the anonymous one) passes the application's bindings.
    pub(crate) fn passes(&self, application: &Application, user: Option<i32>) -> bool {
        application.bindings.is_empty()
            || application.bindings.iter().any(|binding| match binding {
                Binding::User(pk) => user == Some(*pk),
                Binding::Group(pk) => user.is_some_and(|user| self.is_member(user, *pk)),
                Binding::AllBut(refused) => user.is_some_and(|user| !refused.contains(&user)),
                Binding::Always(passes) => *passes,
            })
    }

    /// Whether the user may search the provider's whole directory.
    pub(crate) fn may_search(&self, user: i32, provider: i32) -> bool {
        self.holds(user, |role| {
            role.search_everywhere || role.search.contains(&provider)
        })
    }

    /// Whether the user has a global permission.
    pub(crate) fn is_permitted(&self, user: i32, permission: &str) -> bool {
        self.holds(user, |role| {
            role.permissions.iter().any(|other| other == permission)
        })
    }

    /// Whether the user is a superuser or holds a role of which this is true.
    fn holds(&self, user: i32, grants: impl Fn(&Role) -> bool) -> bool {
        let Some(user) = self.user(user) else { return false };
        self.is_superuser(user)
            || self
                .held_roles(user)
                .into_iter()
                .filter_map(|role| self.roles.get(&role))
                .any(grants)
    }

    /// The user's own roles and those of all groups above it, each once, in that order.
    pub(crate) fn held_roles(&self, user: &User) -> Vec<Uuid> {
        let mut held = user.roles.clone();
        for group in self.all_groups(user) {
            for role in &group.roles {
                if !held.contains(role) {
                    held.push(*role);
                }
            }
        }
        held
    }

    /// The outposts an account may see: its own, or all for a superuser.
    pub(crate) fn outposts_of(&self, account: i32) -> Vec<&Outpost> {
        let all = self.user(account).is_some_and(|user| self.is_superuser(user));
        let mut outposts: Vec<&Outpost> = self
            .outposts
            .values()
            .filter(|outpost| all || outpost.account == account)
            .collect();
        outposts.sort_by(|a, b| a.name.cmp(&b.name));
        outposts
    }

    /// The providers an account may see through its outposts, sorted by name; those without an application are left out.
    pub(crate) fn providers_of(&self, account: i32) -> Vec<&Provider> {
        let all = self.user(account).is_some_and(|user| self.is_superuser(user));
        let outposts = self.outposts_of(account);
        let mut providers: Vec<&Provider> = self
            .providers
            .values()
            .filter(|provider| provider.application.is_some())
            .filter(|provider| {
                all || outposts
                    .iter()
                    .any(|outpost| outpost.providers.contains(&provider.pk))
            })
            .collect();
        providers.sort_by(|a, b| a.name.cmp(&b.name));
        providers
    }

    pub(crate) fn outpost_row(&self, outpost: &Outpost) -> Value {
        let providers: Vec<Value> = outpost
            .providers
            .iter()
            .filter_map(|pk| self.providers.get(pk))
            .map(|provider| self.provider_row(provider))
            .collect();
        json!({
            "pk": outpost.pk.to_string(), "name": outpost.name, "type": outpost.kind, "providers": outpost.providers,
            "providers_obj": providers, "service_connection": null, "service_connection_obj": null,
            "refresh_interval_s": outpost.refresh_interval_s,
            "token_identifier": format!("ak-outpost-{}-api", outpost.pk),
            "config": outpost.config, "managed": outpost.managed,
        })
    }

    fn provider_row(&self, provider: &Provider) -> Value {
        let flow_pk = |slug: &str| self.flows.get(slug).map(|flow| flow.pk.to_string());
        let slug = provider.application.as_deref();
        let name = slug
            .and_then(|slug| self.applications.get(slug))
            .map(|application| application.name.as_str());
        let (direct, back) = if provider.backchannel {
            (None, Some(()))
        } else {
            (Some(()), None)
        };
        json!({
            "pk": provider.pk, "name": provider.name, "authentication_flow": null,
            "authorization_flow": flow_pk(&provider.bind_flow),
            "invalidation_flow": provider.unbind_flow.as_deref().and_then(flow_pk),
            "property_mappings": [], "component": "",
            "assigned_application_slug": direct.and(slug), "assigned_application_name": direct.and(name),
            "assigned_backchannel_application_slug": back.and(slug),
            "assigned_backchannel_application_name": back.and(name),
            "verbose_name": "provider", "verbose_name_plural": "providers",
            "meta_model_name": "authentik_core.provider",
        })
    }
}
