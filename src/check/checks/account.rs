//! The given account: its DN, its login, its access, its permission to search.

use akldap_authentik::flow::Rejection;

use super::flows::is_without_code;
use crate::check::cause::{code_of, code_of_login, obstacle, without_providers};
use crate::check::facts::{AccountFacts, Facts, LoginEnd};
use crate::check::verdict::{Area, Check, Verdict, after, fault_if, said, unseen_account};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "AK601",
        area: Area::Account,
        title: "its DN is that of a provider's user",
        why: "a DN that is not below a base DN is answered insufficientAccessRights (50), whatever the \
             password is",
        fix: "bind with cn=USERNAME,ou=users,BASE DN: the user name in authentik, and the Base DN of the provider",
        judge: |facts| {
            with_account(facts, |account| match &account.provider {
                Some(Ok(provider)) => Verdict::Well(format!("provider {:?}", provider.name)),
                Some(Err(error)) => Verdict::Fault(error.clone()),
                None => without_providers(facts),
            })
        },
    },
    Check {
        code: "AK602",
        area: Area::Account,
        title: "it logs in",
        why: "a bind that authentik refuses is answered invalidCredentials (49)",
        fix: "Directory > Users: is the account active, and its password set? Events > Logs: why was the login refused?",
        judge: |facts| {
            with_account(facts, |account| match &account.login {
                None => after("AK601"),
                Some(Ok(LoginEnd::Done)) => Verdict::Well("authentik lets it in".to_owned()),
                Some(Ok(LoginEnd::Rejected(rejection))) => {
                    let told = obstacle(facts).or_else(|| code_of_rejection(account, rejection));
                    told.map_or_else(|| Verdict::Fault(rejection.to_string()), after)
                }
                // What is refused is reported for the flow.
                Some(Err(error)) => after(code_of_login(facts, error).unwrap_or("AK501")),
            })
        },
    },
    Check {
        code: "AK603",
        area: Area::Account,
        title: "the application lets it in",
        why: "anyone without access is answered insufficientAccessRights (50)",
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
    Check {
        code: "AK605",
        area: Area::Account,
        title: "authentik says what it may do",
        why: "without that answer nobody can log in: binds are answered other (80)",
        fix: "Applications > Providers > the provider: is it there, with its application? Let the proxy in front of authentik pass Cookie headers \
              on; otherwise see authentik's server log",
        judge: |facts| {
            with_account(facts, |account| match &account.access {
                None => after("AK602"),
                Some(Ok(access)) if access.session_ended => {
                    Verdict::Fault("the session of the login had ended when access was asked for".to_owned())
                }
                Some(Ok(_)) => Verdict::Well("it does".to_owned()),
                Some(Err(error)) => match (code_of(error), error.status()) {
                    (Some(code), _) => after(code),
                    (None, _) if error.is_not_found() => Verdict::Fault(format!(
                        "{error}: authentik no longer knows the provider or its application"
                    )),
                    (None, Some(403)) => {
                        Verdict::Fault(format!("{error}: the session of the login is not accepted"))
                    }
                    (None, _) => Verdict::Fault(said(error)),
                },
            })
        },
    },
    Check {
        code: "AK606",
        area: Area::Account,
        title: "authentik says whose login it is",
        why: "somebody who is not in the directory yet cannot log in without that answer: binds are answered operationsError (1)",
        fix: "let the proxy in front of authentik pass requests to /api/v3/core/users/me/ on, with their Cookie headers; otherwise see authentik's \
              server log",
        judge: |facts| {
            with_account(facts, |account| match (&account.owner, &account.access) {
                (None, _) => after("AK602"),
                (Some(_), Some(Ok(access))) if access.session_ended => after("AK605"),
                (Some(Ok(())), _) => Verdict::Well("it does".to_owned()),
                (Some(Err(error)), _) => match (code_of(error), error.status()) {
                    (Some(code), _) => after(code),
                    (None, Some(403)) => {
                        Verdict::Fault(format!("{error}: the session of the login is not accepted"))
                    }
                    (None, _) => Verdict::Fault(said(error)),
                },
            })
        },
    },
];

/// The check of the flow that a rejection belongs to; `None` for what is about the account.
fn code_of_rejection(account: &AccountFacts, rejection: &Rejection) -> Option<&'static str> {
    match rejection {
        Rejection::UnsupportedStage { .. } => Some("AK507"),
        Rejection::NoCompatibleAuthenticator { .. } => Some("AK510"),
        rejection if is_without_code(account, rejection) => Some("AK510"),
        _ => None,
    }
}

fn with_account(facts: &Facts, judge: impl FnOnce(&AccountFacts) -> Verdict) -> Verdict {
    match &facts.account {
        Some(account) => judge(account),
        None => unseen_account(facts),
    }
}

fn with_access(facts: &Facts, judge: impl FnOnce(&akldap_authentik::AccessCheck) -> Verdict) -> Verdict {
    with_account(facts, |account| match &account.access {
        Some(Ok(access)) if !access.session_ended => judge(access),
        Some(Ok(_)) => after("AK605"),
        Some(Err(error)) => after(code_of(error).unwrap_or("AK605")),
        None => after("AK602"),
    })
}
