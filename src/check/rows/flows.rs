//! The flows that binds and unbinds run. Without an account only the first stage shows itself; a login shows those that come.

use akldap_authentik::flow::{FirstStage, FlowError, Rejection};

use crate::check::facts::{AccountFacts, Facts, FlowFacts, LoginEnd};
use crate::check::row::{Area, Check, Verdict, fault_if, joined};

const IDENTIFICATION: &str = "ak-stage-identification";
const DENIED: &str = "ak-stage-access-denied";
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
                return after("AK301");
            }
            let broken = facts
                .flows
                .iter()
                .filter_map(|flow| Some(flow.first.as_ref().err()?.to_string()));
            let slugs: Vec<&str> = facts.flows.iter().map(|flow| flow.slug.as_str()).collect();
            fault_if(joined(broken), slugs.join(", "))
        },
    },
    Check {
        code: "AK502",
        area: Area::Flows,
        title: "the flow lets an outpost begin",
        why: "a policy or the flow's own setting that denies it denies every bind, which is answered invalidCredentials (49)",
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
        why: "a captcha, consent, a prompt, WebAuthn or an e-mail cannot be answered over LDAP, and without a name nobody is known",
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
        title: "a lock-out counts where the password is asked",
        why: "Failed attempts before cancel belongs to the Password stage's own step; inside Identification only reputation locks anybody out",
        fix: "Flows and Stages > Flows > the flow > Policy Bindings: a Reputation Policy; or bind the Password stage by itself",
        judge: |facts| {
            let mut flows = facts
                .flows
                .iter()
                .filter_map(|flow| flow.first.as_ref().ok().map(|first| (flow, first)));
            match flows.find(|(_, first)| first.asks_password) {
                None if facts.flows.is_empty() => after("AK501"),
                None => Verdict::Well("the Password stage has a step of its own".to_owned()),
                Some((flow, _)) => Verdict::NotSeen(format!(
                    "flow {:?} asks for the password inside Identification, which is quickest; whether a lock-out stands beside it is \
                     not visible to an outpost: look at Flows and Stages > Flows > the flow > Policy Bindings",
                    flow.slug
                )),
            }
        },
    },
    Check {
        code: "AK506",
        area: Area::Flows,
        title: "the unbind flow ends sessions",
        why: "else every bind leaves a session in authentik until it expires",
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
                Some(Ok(false)) => Verdict::Warning("the session goes on after it".to_owned()),
                Some(Err(error)) => Verdict::Fault(error.to_string()),
                None => Verdict::NotSeen("it takes a login: give --bind-dn and --password-file".to_owned()),
            }
        },
    },
    Check {
        code: "AK507",
        area: Area::Flows,
        title: "no later stage needs a browser",
        why: "a stage that only a person with a browser can pass ends every bind with invalidCredentials (49)",
        fix: "Flows and Stages > Flows > the flow > Stage Bindings: remove the stage, or bind a policy that skips it for outposts",
        judge: |facts| {
            with_login(facts, |account, login| match login {
                Ok(LoginEnd::Rejected(rejection @ Rejection::UnsupportedStage { .. })) => {
                    Verdict::Fault(rejection.to_string())
                }
                _ => Verdict::Well(account.stages.join(", ")),
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
                _ => after("AK602"),
            })
        },
    },
    Check {
        code: "AK509",
        area: Area::Flows,
        title: "authentik's session cookie arrives",
        why: "without it each request begins the flow again, and no login ends",
        fix: "let the proxy between this server and authentik pass Set-Cookie and Cookie headers on",
        judge: |facts| {
            let cookies = facts.flows.iter().filter_map(|flow| flow.first.as_ref().ok());
            let login = facts.account.as_ref().and_then(|account| account.login.as_ref());
            if let Some(Err(error @ (FlowError::CookieMissing | FlowError::TooManySteps { .. }))) = login {
                return Verdict::Fault(error.to_string());
            }
            let seen: Vec<bool> = cookies.map(|first| first.secure_cookie.is_some()).collect();
            match seen.contains(&true) {
                _ if seen.is_empty() => after("AK501"),
                true => Verdict::Well("it does".to_owned()),
                false => Verdict::Fault("no flow set one".to_owned()),
            }
        },
    },
    Check {
        code: "AK510",
        area: Area::Flows,
        title: "a second factor can be given",
        why: "over LDAP only a code after the password (password;123456) or a Duo push can be",
        fix: "Applications > Providers > the provider > Edit > Code-based MFA Support; Flows and Stages > Stages > the Authenticator Validation stage: Device classes and Not configured action",
        judge: |facts| {
            with_login(facts, |account, login| {
                let asks = account.stages.iter().any(|stage| stage == AUTHENTICATOR);
                let off = matches!(&account.provider, Some(Ok(provider)) if !provider.mfa_support);
                match login {
                    Ok(LoginEnd::Rejected(rejection @ Rejection::NoCompatibleAuthenticator { .. })) => {
                        Verdict::Fault(rejection.to_string())
                    }
                    _ if asks && off => {
                        Verdict::Warning("the flow asks for one, but the provider takes no codes".to_owned())
                    }
                    _ if asks => Verdict::Well("the flow asks for one, and codes are taken".to_owned()),
                    _ => Verdict::Well("this account was not asked for one".to_owned()),
                }
            })
        },
    },
];

fn first_stages(facts: &Facts, problem: impl Fn(&str, &FirstStage) -> Option<String>, well: &str) -> Verdict {
    let first = |flow: &FlowFacts| problem(&flow.slug, flow.first.as_ref().ok()?);
    if !facts.flows.iter().any(|flow| flow.first.is_ok()) {
        return after("AK501");
    }
    fault_if(joined(facts.flows.iter().filter_map(first)), well)
}

fn with_login(
    facts: &Facts,
    judge: impl FnOnce(&AccountFacts, &Result<LoginEnd, FlowError>) -> Verdict,
) -> Verdict {
    match &facts.account {
        None => Verdict::NotSeen("it takes a login: give --bind-dn and --password-file".to_owned()),
        Some(account) => match &account.login {
            Some(login) => judge(account, login),
            None => after("AK601"),
        },
    }
}

fn after(code: &str) -> Verdict {
    Verdict::NotSeen(format!("see {code} first"))
}
