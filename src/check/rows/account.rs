//! The given account: its DN, its login, its access, its permission to search.

use akldap_authentik::flow::Rejection;

use crate::check::facts::{AccountFacts, Facts, LoginEnd};
use crate::check::row::{Area, Check, Verdict, fault_if};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "AK601",
        area: Area::Account,
        title: "its DN is a user's of a provider",
        why: "a DN below no base DN is answered insufficientAccessRights (50), whatever the password",
        fix: "bind with cn=USERNAME,ou=users,BASE DN: the user name in authentik, and the Base DN of the provider",
        judge: |facts| {
            with_account(facts, |account| match &account.provider {
                Some(Ok(provider)) => Verdict::Well(format!("provider {:?}", provider.name)),
                Some(Err(error)) => Verdict::Fault(error.clone()),
                None => after("AK301"),
            })
        },
    },
    Check {
        code: "AK602",
        area: Area::Account,
        title: "it logs in",
        why: "what authentik refuses is answered invalidCredentials (49)",
        fix: "Directory > Users: is the account active, the password set? Events > Logs: why was the login refused?",
        judge: |facts| {
            with_account(facts, |account| match &account.login {
                None => after("AK601"),
                Some(Ok(LoginEnd::Done)) => Verdict::Well("authentik lets it in".to_owned()),
                Some(Ok(LoginEnd::Rejected(Rejection::UnsupportedStage { .. }))) => after("AK507"),
                Some(Ok(LoginEnd::Rejected(Rejection::NoCompatibleAuthenticator { .. }))) => after("AK510"),
                Some(Ok(LoginEnd::Rejected(rejection))) => Verdict::Fault(rejection.to_string()),
                Some(Err(error)) if error.is_broken_flow() => after("AK508"),
                Some(Err(error)) => Verdict::Fault(format!("{error}: {}", error.hint())),
            })
        },
    },
    Check {
        code: "AK603",
        area: Area::Account,
        title: "the application lets it in",
        why: "who has no access is answered insufficientAccessRights (50)",
        fix: "Applications > Applications > the application > Policy / Group / User Bindings",
        judge: |facts| {
            with_access(facts, |access| {
                let messages = access.messages.join("; ");
                fault_if(
                    (!access.passing).then(|| format!("it does not {messages}").trim_end().to_owned()),
                    "it does",
                )
            })
        },
    },
    Check {
        code: "AK604",
        area: Area::Account,
        title: "it may search the whole directory",
        why: "without the permission an account sees only itself and its groups, which is right for people and wrong for services",
        fix: "Applications > Providers > the provider > Permissions: assign Search full LDAP directory to a role of the service account",
        judge: |facts| {
            with_access(facts, |access| {
                if access.has_search_permission {
                    Verdict::Well("it may".to_owned())
                } else {
                    Verdict::Warning("it may not".to_owned())
                }
            })
        },
    },
];

fn with_account(facts: &Facts, judge: impl FnOnce(&AccountFacts) -> Verdict) -> Verdict {
    match &facts.account {
        Some(account) => judge(account),
        None => Verdict::NotSeen("give --bind-dn and --password-file".to_owned()),
    }
}

fn with_access(facts: &Facts, judge: impl FnOnce(&akldap_authentik::AccessCheck) -> Verdict) -> Verdict {
    with_account(facts, |account| match &account.access {
        Some(Ok(access)) => judge(access),
        Some(Err(error)) => Verdict::Fault(format!("{error}: {}", error.hint())),
        None => after("AK602"),
    })
}

fn after(code: &str) -> Verdict {
    Verdict::NotSeen(format!("see {code} first"))
}
