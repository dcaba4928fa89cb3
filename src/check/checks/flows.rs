//! The flows that binds and unbinds run. Without an account only the first stage is visible; a login shows those that follow.

use akldap_authentik::flow::{FirstStage, FlowError, Rejection};

use crate::check::cause::{
    DENIED, IDENTIFICATION, code_of_flow, flow_errors, obstacle, takes_user_name, told_of_flows, unseen_flow,
    without_providers,
};
use crate::check::facts::{AccountFacts, Facts, FlowFacts, LoginEnd};
use crate::check::verdict::{Area, Check, Verdict, after, fault_if, joined, unseen_account};

const PASSWORD: &str = "ak-stage-password";
const AUTHENTICATOR: &str = "ak-stage-authenticator-validate";

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "AK501",
        area: Area::Flows,
        title: "the bind flow exists and runs",
        why: "every bind runs it; without it every login is answered unavailable (52)",
        fix: "Applications > Providers > the provider > Edit > Bind flow",
        judge: |facts| {
            if facts.flows.is_empty() {
                return without_providers(facts);
            }
            let errors = || flow_errors(facts).into_iter().filter(|(what, _)| *what != UNBIND);
            let missing = errors().filter(|(_, error)| matches!(code_of_flow(error), None | Some("AK501")));
            let slugs: Vec<&str> = facts.flows.iter().map(|flow| flow.slug.as_str()).collect();
            // A missing flow is met again at the login.
            let mut told: Vec<String> = missing.map(|(_, error)| error.to_string()).collect();
            told.dedup();
            match (
                joined(told.into_iter()),
                errors().find_map(|(_, error)| code_of_flow(error)),
            ) {
                (Some(seen), _) => Verdict::Fault(seen),
                (None, Some(code)) if facts.flows.iter().all(|flow| flow.first.is_err()) => after(code),
                (None, _) => Verdict::Well(slugs.join(", ")),
            }
        },
    },
    Check {
        code: "AK502",
        area: Area::Flows,
        title: "the flow lets an outpost begin",
        why: "a policy or a setting of the flow that denies this denies every bind, and binds are answered \
             invalidCredentials (49)",
        fix: "Flows and Stages > Flows > the flow > Edit > Authentication: No requirement; and Policy / Group / User Bindings of the flow",
        judge: |facts| {
            first_stages(
                facts,
                |slug, first| {
                    let message = first.message.as_deref().unwrap_or("no reason given");
                    (first.component == DENIED).then(|| format!("flow {slug:?} is denied: {message}"))
                },
                "it does",
            )
        },
    },
    Check {
        code: "AK503",
        area: Area::Flows,
        title: "the flow begins with an Identification stage",
        why: "a captcha, consent, a prompt, WebAuthn or an e-mail cannot be answered over LDAP, and without a name there is nobody to log in",
        fix: "Flows and Stages > Flows > the flow > Stage Bindings: begin with an Identification stage, or choose another bind flow in the provider",
        judge: |facts| {
            first_stages(
                facts,
                |slug, first| {
                    let other = ![IDENTIFICATION, DENIED].contains(&first.component.as_str());
                    other.then(|| format!("flow {slug:?} begins with {}", first.component))
                },
                "it does",
            )
        },
    },
    Check {
        code: "AK504",
        area: Area::Flows,
        title: "the Identification stage has no captcha",
        why: "nobody can solve one over LDAP: every bind is refused",
        fix: "Flows and Stages > Stages > the Identification stage > Edit > Captcha stage: none; or a flow of its own for LDAP",
        judge: |facts| {
            first_stages(
                facts,
                |slug, first| first.has_captcha.then(|| format!("flow {slug:?} has one")),
                "it has none",
            )
        },
    },
    Check {
        code: "AK505",
        area: Area::Flows,
        title: "a lock-out works where the password is asked for",
        why: "Failed attempts before cancel works only where the Password stage has a step of its own; \
             inside Identification only reputation locks anybody out",
        fix: "Flows and Stages > Flows > the flow > Policy Bindings: a Reputation Policy; or bind the Password stage by itself",
        judge: |facts| {
            let mut flows = facts
                .flows
                .iter()
                .filter_map(|flow| flow.first.as_ref().ok().map(|first| (flow, first)));
            match flows.find(|(_, first)| first.asks_password) {
                None if facts.flows.iter().all(|flow| flow.first.is_err()) => unseen_flow(facts),
                None => Verdict::Well("the Password stage has a step of its own".to_owned()),
                Some((flow, _)) => Verdict::NotSeen(format!(
                    "flow {:?} asks for the password inside Identification, which is quickest; an outpost \
                     cannot see whether something else locks people out: look at Flows and Stages > Flows > \
                     the flow > Policy Bindings",
                    flow.slug
                )),
            }
        },
    },
    Check {
        code: "AK506",
        area: Area::Flows,
        title: "the unbind flow ends sessions",
        why: "otherwise every bind leaves a session in authentik until it expires",
        fix: "Applications > Providers > the provider > Edit > Unbind flow: default-invalidation-flow (with a User Logout stage), not default-provider-invalidation-flow",
        judge: |facts| {
            if let Some(Ok(providers)) = &facts.providers {
                let without = providers
                    .iter()
                    .filter(|provider| provider.unbind_flow_slug.is_none());
                if let Some(without) =
                    joined(without.map(|provider| format!("provider {:?} has none", provider.name)))
                {
                    return Verdict::Warning(without);
                }
            }
            match facts
                .account
                .as_ref()
                .and_then(|account| account.logged_out.as_ref())
            {
                Some(Ok(true)) => Verdict::Well("the session is over".to_owned()),
                Some(Ok(false)) => Verdict::Warning("the session still exists after it".to_owned()),
                Some(Err(error)) => match code_of_flow(error) {
                    None | Some("AK501") => Verdict::Fault(error.to_string()),
                    Some(code) => after(code),
                },
                None if facts.account.is_some() => after("AK602"),
                None => unseen_account(facts),
            }
        },
    },
    Check {
        code: "AK507",
        area: Area::Flows,
        title: "no later stage needs a browser",
        why: "a stage that only a person with a browser can pass ends every bind with invalidCredentials (49)",
        fix: "Flows and Stages > Flows > the flow > Stage Bindings: remove the stage, or bind a policy that skips it for outposts; a Password stage must be left",
        judge: |facts| {
            with_login(facts, |account, login| match login {
                Ok(LoginEnd::Rejected(rejection @ Rejection::UnsupportedStage { .. })) => {
                    Verdict::Fault(rejection.to_string())
                }
                Ok(LoginEnd::Done) => Verdict::Well(account.stages.join(", ")),
                _ => unseen(login),
            })
        },
    },
    Check {
        code: "AK508",
        area: Area::Flows,
        title: "the flow logs in",
        why: "a flow that ends without a User Login stage leaves nobody logged in, and binds are answered unavailable (52)",
        fix: "Flows and Stages > Flows > the flow > Stage Bindings: a User Login stage at the end",
        judge: |facts| {
            with_login(facts, |_, login| match login {
                Err(error @ FlowError::NotLoggedIn { .. }) => Verdict::Fault(error.to_string()),
                Ok(LoginEnd::Done) => Verdict::Well("it does".to_owned()),
                _ => unseen(login),
            })
        },
    },
    Check {
        code: "AK509",
        area: Area::Flows,
        title: "authentik's session cookie arrives",
        why: "without it each request begins the flow again, and no login comes to an end",
        fix: "let the proxy between this server and authentik pass Set-Cookie and Cookie headers on",
        judge: |facts| {
            let cookies = facts.flows.iter().filter_map(|flow| flow.first.as_ref().ok());
            let login = facts.account.as_ref().and_then(|account| account.login.as_ref());
            if let Some(Err(error @ (FlowError::CookieMissing | FlowError::CookieDropped))) = login {
                return Verdict::Fault(error.to_string());
            }
            let seen: Vec<bool> = cookies.map(|first| first.secure_cookie.is_some()).collect();
            match seen.contains(&true) {
                _ if seen.is_empty() => unseen_flow(facts),
                true => Verdict::Well("it does".to_owned()),
                false => Verdict::Fault("no flow set one".to_owned()),
            }
        },
    },
    Check {
        code: "AK510",
        area: Area::Flows,
        title: "a second factor can be given",
        why: "over LDAP only a code after the password (password;123456) or a Duo push is possible",
        fix: "where the provider accepts no codes: Applications > Providers > the provider > Edit > Code-based MFA Support; where it does, give \
              the code with the password (password;123456), of a device whose class is among Device classes in Flows and Stages > Stages > the \
              Authenticator Validation stage (TOTP, static tokens), or enrol Duo; for a service account: a policy in the flow's Stage Bindings \
              that skips this stage, and no other: a Password stage must be left",
        judge: |facts| {
            with_login(facts, |account, login| {
                let asks = account.stages.iter().any(|stage| stage == AUTHENTICATOR);
                let off = takes_no_codes(account);
                match login {
                    Ok(LoginEnd::Rejected(rejection @ Rejection::NoCompatibleAuthenticator { .. })) => {
                        Verdict::Fault(rejection.to_string())
                    }
                    Ok(LoginEnd::Rejected(rejection)) if is_without_code(account, rejection) => {
                        Verdict::Fault(format!(
                            "the flow asks for one, but the provider accepts no codes: {rejection}"
                        ))
                    }
                    _ if asks && off => Verdict::Warning(
                        "the flow asks for one, but the provider accepts no codes".to_owned(),
                    ),
                    _ if asks => Verdict::Well("the flow asks for one, and codes are accepted".to_owned()),
                    Ok(LoginEnd::Done) => Verdict::Well("this account was not asked for one".to_owned()),
                    _ => unseen(login),
                }
            })
        },
    },
    Check {
        code: "AK511",
        area: Area::Flows,
        title: "no stage fails inside authentik",
        why: "a stage that ends in an error decides nothing, and binds are answered unavailable (52)",
        fix: "Events > Logs: the exception; or authentik's server log: look for the request id if one is shown",
        judge: |facts| of_flows(facts, "AK511", "none of those that were run"),
    },
    Check {
        code: "AK512",
        area: Area::Flows,
        title: "the flow comes to an end",
        why: "a flow that runs in a loop decides nothing, and binds are answered unavailable (52)",
        fix: "run the flow in a browser; Flows and Stages > Flows > the flow > Stage Bindings and policies: look for what leads back",
        judge: |facts| of_flows(facts, "AK512", "no loop was seen"),
    },
    Check {
        code: "AK513",
        area: Area::Flows,
        title: "the flow asks for the password",
        why: "a flow that logs in without it lets everybody in as everybody, with any password",
        fix: "Flows and Stages > Flows > the flow > Stage Bindings: a Password stage, or Password stage in the Identification stage; look at the policies \
              of its binding, which must not skip it for outposts",
        judge: |facts| {
            with_login(facts, |account, login| match login {
                Ok(LoginEnd::Done) => match asks_password(facts, account) {
                    true => Verdict::Well("it does".to_owned()),
                    false => Verdict::Fault(format!(
                        "it logged in after {}, and no stage asked for the password",
                        account.stages.join(", ")
                    )),
                },
                _ => unseen(login),
            })
        },
    },
    Check {
        code: "AK514",
        area: Area::Flows,
        title: "the Identification stage takes user names",
        why: "a bind names somebody by the user name: a stage that takes only e-mail addresses finds nobody",
        fix: "Flows and Stages > Stages > the Identification stage > Edit > User fields: Username",
        judge: |facts| {
            let others = |slug: &str, first: &FirstStage| {
                let fields = first.user_fields.as_deref().unwrap_or_default();
                let told = match fields {
                    [] => "no field".to_owned(),
                    fields => format!("{} only", fields.join(", ")),
                };
                let is_other = first.component == IDENTIFICATION && !takes_user_name(first);
                is_other.then(|| format!("flow {slug:?} takes {told}"))
            };
            match first_stages(facts, others, "it does") {
                // With a name such as mail=… an address is what is given.
                Verdict::Fault(seen) if is_logged_in(facts) => Verdict::Warning(seen),
                verdict => verdict,
            }
        },
    },
];

/// Whether the flow refused the whole password as a code, since the provider takes none.
pub(super) fn is_without_code(account: &AccountFacts, rejection: &Rejection) -> bool {
    let stage = match rejection {
        Rejection::InvalidCredentials { stage, .. } => stage.as_deref(),
        Rejection::Restarted { component } => Some(component.as_str()),
        _ => None,
    };
    takes_no_codes(account) && stage == Some(AUTHENTICATOR)
}

/// Whether the password was asked for on the way of a login, as far as can be seen.
fn asks_password(facts: &Facts, account: &AccountFacts) -> bool {
    let Some(Ok(provider)) = &account.provider else {
        return true;
    };
    let flows = facts.flows.iter();
    let mut its = flows.filter(|flow| flow.slug == provider.bind_flow_slug);
    account.stages.iter().any(|stage| stage == PASSWORD)
        || its.any(|flow| flow.first.as_ref().map_or(true, |first| first.asks_password))
}

fn is_logged_in(facts: &Facts) -> bool {
    let login = facts.account.as_ref().and_then(|account| account.login.as_ref());
    matches!(login, Some(Ok(LoginEnd::Done)))
}

fn takes_no_codes(account: &AccountFacts) -> bool {
    matches!(&account.provider, Some(Ok(provider)) if !provider.mfa_support)
}

/// As `flow_errors` names it.
const UNBIND: &str = "the unbind flow";

/// What a check says that is about any flow.
fn of_flows(facts: &Facts, code: &str, well: &str) -> Verdict {
    match told_of_flows(facts, code) {
        Some(seen) => Verdict::Fault(seen),
        None if facts.flows.iter().any(|flow| flow.first.is_ok()) => Verdict::Well(well.to_owned()),
        None => unseen_flow(facts),
    }
}

/// Of what a login shows that came to nothing.
fn unseen(login: &Result<LoginEnd, FlowError>) -> Verdict {
    let error = login.as_ref().err();
    after(error.and_then(code_of_flow).unwrap_or("AK602"))
}

fn first_stages(facts: &Facts, problem: impl Fn(&str, &FirstStage) -> Option<String>, well: &str) -> Verdict {
    let first = |flow: &FlowFacts| problem(&flow.slug, flow.first.as_ref().ok()?);
    if !facts.flows.iter().any(|flow| flow.first.is_ok()) {
        return unseen_flow(facts);
    }
    fault_if(joined(facts.flows.iter().filter_map(first)), well)
}

fn with_login(
    facts: &Facts,
    judge: impl FnOnce(&AccountFacts, &Result<LoginEnd, FlowError>) -> Verdict,
) -> Verdict {
    match &facts.account {
        None => unseen_account(facts),
        Some(account) => match (&account.login, obstacle(facts)) {
            (None, _) => after("AK601"),
            (Some(_), Some(code)) => after(code),
            (Some(login), None) => judge(account, login),
        },
    }
}
