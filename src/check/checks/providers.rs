//! The LDAP providers of the outpost.

use std::collections::BTreeMap;

use akldap_authentik::LdapProvider;
use akldap_ldap::dn::Dn;

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
            let (Some(Ok(choice)), Some(Ok(providers))) = (&facts.outpost, &facts.providers) else {
                return after("AK204");
            };
            let known = |pk: &&i64| providers.iter().any(|provider| provider.pk == **pk);
            let hidden = choice.outpost.providers.iter().filter(|pk| !known(pk));
            let hidden = joined(hidden.map(|pk| format!("the provider with the number {pk} has none")));
            fault_if(hidden, "they have")
        },
    },
    Check {
        code: "AK303",
        area: Area::Providers,
        title: "every base DN is valid",
        why: "a provider whose base DN cannot be read is not served",
        fix: "Applications > Providers > the provider > Edit > Protocol settings > Base DN, such as DC=ldap,DC=goauthentik,DC=io",
        judge: |facts| {
            of_providers(facts, |providers| {
                let broken = providers.iter().filter_map(|provider| {
                    let base = Dn::parse(provider.base_dn.as_bytes());
                    let problem = match base {
                        Ok(base) if base.is_empty() => "it is empty".to_owned(),
                        Ok(_) => return None,
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
        title: "no two providers have the same base DN",
        why: "only one of them is served, and who may log in depends on which",
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
                fault_if(joined(shared), "each has its own")
            })
        },
    },
];

fn of_providers(facts: &Facts, judge: impl FnOnce(&[LdapProvider]) -> Verdict) -> Verdict {
    match &facts.providers {
        Some(Ok(providers)) if providers.is_empty() => after("AK301"),
        Some(Ok(providers)) => judge(providers),
        _ => after("AK204"),
    }
}
