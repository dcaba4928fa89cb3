//! The LDAP providers of the outpost.

use std::collections::BTreeMap;

use akldap_authentik::LdapProvider;
use akldap_ldap::dn::Dn;

use crate::check::cause::{hidden_providers, without_providers};
use crate::check::facts::Facts;
use crate::check::verdict::{Area, Check, Verdict, after, fault_if, joined};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "AK301",
        area: Area::Providers,
        title: "the outpost has providers",
        why: "without one there is no base DN, and every bind is refused",
        fix: "Applications > Outposts > the outpost > Edit: choose the LDAP provider under Applications",
        judge: |facts| match &facts.outpost {
            Some(Ok(choice)) => {
                let none = choice.outpost.providers.is_empty();
                fault_if(
                    none.then(|| "it has none".to_owned()),
                    format!("{} of them", choice.outpost.providers.len()),
                )
            }
            _ => after("AK202"),
        },
    },
    Check {
        code: "AK302",
        area: Area::Providers,
        title: "every provider has an application",
        why: "authentik does not show a provider without one to its outpost, and access is decided by the application",
        fix: "Applications > Applications > Create: choose the provider under Provider, or as a backchannel provider",
        judge: |facts| {
            if !matches!((&facts.outpost, &facts.providers), (Some(Ok(_)), Some(Ok(_)))) {
                return after("AK204");
            }
            let hidden = hidden_providers(facts);
            let without = hidden.iter().filter(|provider| !provider.is_forbidden());
            let without = joined(without.map(|provider| match provider.assigned {
                Some(assigned) => format!("the provider {:?} has none", assigned.name),
                None => format!("the provider with the number {} has none", provider.pk),
            }));
            fault_if(without, "they have")
        },
    },
    Check {
        code: "AK303",
        area: Area::Providers,
        title: "every base DN is valid",
        why: "a provider whose base DN cannot be read is not served",
        fix: "Applications > Providers > the provider > Edit > Protocol settings > Base DN, such as DC=ldap,DC=goauthentik,DC=io",
        judge: |facts| {
            // One whose fields cannot be read is not served either.
            let unreadable = facts.unreadable_providers.iter().map(ToString::to_string);
            if let Some(unreadable) = joined(unreadable) {
                return Verdict::Fault(unreadable);
            }
            of_providers(facts, |providers| {
                let broken = providers.iter().filter_map(|provider| {
                    let base = Dn::parse(provider.base_dn.as_bytes());
                    let problem = match base {
                        Ok(base) if base.is_empty() => "it is empty".to_owned(),
                        Ok(base) => format!("{} is a name of this server itself", own_name(&base)?),
                        Err(error) => error.to_string(),
                    };
                    Some(format!(
                        "{:?} of provider {:?}: {problem}",
                        provider.base_dn, provider.name
                    ))
                });
                let bases: Vec<&str> = providers
                    .iter()
                    .map(|provider| provider.base_dn.as_str())
                    .collect();
                fault_if(joined(broken), bases.join("; "))
            })
        },
    },
    Check {
        code: "AK304",
        area: Area::Providers,
        title: "no two providers have the same base DN, or one where the other has its users or groups",
        why: "only one of them is served there, and who may log in depends on which",
        fix: "Applications > Providers > the provider > Edit > Protocol settings > Base DN: give each its own",
        judge: |facts| {
            of_providers(facts, |providers| {
                let mut by_base: BTreeMap<Vec<u8>, Vec<&str>> = BTreeMap::new();
                for provider in providers {
                    if let Ok(base) = Dn::parse(provider.base_dn.as_bytes()) {
                        by_base
                            .entry(base.normal_form())
                            .or_default()
                            .push(&provider.name);
                    }
                }
                let shared = by_base.iter().filter(|(_, names)| names.len() > 1);
                let shared = shared
                    .map(|(base, names)| format!("{}: {}", String::from_utf8_lossy(base), names.join(", ")));
                let nested = facts.base_in_container.iter().map(|(inner, outer)| {
                    format!("the base DN of provider {inner:?} takes the users or groups of provider {outer:?} away")
                });
                fault_if(joined(shared.chain(nested)), "each has its own")
            })
        },
    },
];

/// The name of this server's own that a base DN is, or is below.
fn own_name(base: &Dn) -> Option<&'static str> {
    let mut own = ["cn=Monitor", "cn=Subschema"].into_iter();
    own.find(|own| Dn::parse(own.as_bytes()).is_ok_and(|own| base.below(&own).is_some()))
}

fn of_providers(facts: &Facts, judge: impl FnOnce(&[LdapProvider]) -> Verdict) -> Verdict {
    match &facts.providers {
        Some(Ok(providers)) if providers.is_empty() => without_providers(facts),
        Some(Ok(providers)) => judge(providers),
        _ => after("AK204"),
    }
}
