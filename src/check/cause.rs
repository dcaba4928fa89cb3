//! Which check names an error: what went wrong decides about the fix, not the call in which it did. Must not ask anybody.

use akldap_authentik::flow::{FirstStage, FlowError};
use akldap_authentik::{ApiError, AssignedProvider, Unreachable};

use akldap_authentik::events::Disconnect;

use super::facts::{Facts, ListError, LoginEnd};
use super::spoken::Spoken;
use super::verdict::{Verdict, after, joined, said};

/// The components of first stages that are told apart.
pub(super) const IDENTIFICATION: &str = "ak-stage-identification";
pub(super) const DENIED: &str = "ak-stage-access-denied";

/// The check that an error of any call belongs to; `None` for a refusal, which is about what was asked for.
pub(super) fn code_of(error: &ApiError) -> Option<&'static str> {
    match error {
        ApiError::Unreachable { cause, .. } => Some(code_of_unreachable(cause)),
        ApiError::TokenInvalid { .. } => Some("AK201"),
        ApiError::NoOutpost { .. } => Some("AK202"),
        ApiError::TimedOut { .. } | ApiError::Status { status: 408, .. } => Some("AK108"),
        ApiError::Throttled { .. } => Some("AK109"),
        error if error.is_foreign() => Some("AK110"),
        ApiError::InvalidPage { .. }
        | ApiError::Status {
            status: 403 | 404, ..
        } => None,
        _ => Some("AK107"),
    }
}

/// The same of the question for authentik's release, which nothing else needs: `None` also if nobody can say it.
pub(super) fn code_of_release(error: &ApiError) -> Option<&'static str> {
    code_of(error).filter(|code| !matches!(*code, "AK107" | "AK110"))
}

/// The same for the first call: whatever is not an answer of authentik's is somebody else's.
fn code_of_first(error: &ApiError) -> &'static str {
    match error {
        ApiError::Status { status, .. } if *status < 500 && *status != 408 => "AK104",
        ApiError::Malformed { .. }
        | ApiError::TooLarge { .. }
        | ApiError::InvalidPage { .. }
        | ApiError::NoOutpost { .. } => "AK104",
        error if error.is_no_http() => "AK104",
        error => code_of(error).unwrap_or("AK104"),
    }
}

fn code_of_unreachable(cause: &Unreachable) -> &'static str {
    match cause {
        Unreachable::Dns(_) => "AK101",
        Unreachable::Refused | Unreachable::Network(_) | Unreachable::ConnectTimeout => "AK102",
        _ => "AK103",
    }
}

/// The check that names why the first call failed, and what it says; `None` if it did not fail.
pub(super) fn first_fault(facts: &Facts) -> Option<(&'static str, String)> {
    let error = facts.first_call.as_ref().err()?;
    let is_https = facts.settings.is_https;
    let (code, mut said) = match wrong_port(error, is_https, facts.spoken) {
        Some(hint) if is_https => ("AK103", format!("{error}: {hint}")),
        Some(hint) => ("AK104", format!("{error}: {hint}")),
        None => (code_of_first(error), said_at_first(error)),
    };
    if let Some(proxy) = &facts.settings.proxy {
        said += &format!("; this goes through the proxy {proxy}");
    }
    Some((code, said))
}

/// What was answered to the first call. JSON that is not authentik's may not have come through a proxy.
fn said_at_first(error: &ApiError) -> String {
    match error {
        ApiError::Malformed { is_page: false, .. } => {
            format!(
                "{error}: another service may be answering at AUTHENTIK_HOST, or a proxy may change authentik's answers"
            )
        }
        // It needs no permission: whoever refuses it is not authentik, whatever the refusal looks like.
        ApiError::Status {
            status: 401 | 403, ..
        } => {
            format!("{error}: a proxy or firewall in front of authentik may refuse this server's requests")
        }
        error => said(error),
    }
}

/// What this check has to say about a connection that could not be made: by the first call, or later by another. With a proxy it
/// is the proxy that is looked up and connected to.
pub(super) fn not_reached(facts: &Facts, code: &str) -> Option<String> {
    let host = &facts.settings.host;
    match (&facts.first_call, first_fault(facts)) {
        (Err(ApiError::Unreachable { cause, .. }), Some((its, _))) if its == code => {
            Some(match (&facts.settings.proxy, cause) {
                (None, _) => format!("{host}: {cause}"),
                (Some(proxy), Unreachable::Dns(_) | Unreachable::Refused) => {
                    format!("the proxy {proxy}, by which {host} is called: {cause}")
                }
                (Some(proxy), _) => format!("{host}, called through the proxy {proxy}: {cause}"),
            })
        }
        _ => told_by(facts, code),
    }
}

/// What to change if the port does not speak what AUTHENTIK_HOST says.
fn wrong_port(error: &ApiError, is_https: bool, spoken: Option<Spoken>) -> Option<&'static str> {
    Some(match (spoken?, is_https) {
        (Spoken::Http, false) | (Spoken::Tls, true) => return None,
        (Spoken::Tls, false) => {
            "that port speaks TLS: write https:// in AUTHENTIK_HOST, or name authentik's http port (9000)"
        }
        (Spoken::Http, true) => {
            "that port speaks http without TLS: write http:// in AUTHENTIK_HOST, or name authentik's https port (9443)"
        }
        (Spoken::Ldap | Spoken::Ldaps, true) => {
            "that port speaks LDAP: name authentik's https port (9443) in AUTHENTIK_HOST"
        }
        (Spoken::Ldap | Spoken::Ldaps, false) => {
            "that port speaks LDAP: name authentik's http port (9000) in AUTHENTIK_HOST, or write https:// with its https port (9443)"
        }
        // authentik may just be slow; whoever takes connections and does not begin TLS speaks another language.
        (Spoken::Unknown, true) if begins_no_tls(error) => {
            "what listens there does not speak TLS: name authentik's https port (9443) in AUTHENTIK_HOST, or write http:// with its http port (9000)"
        }
        (Spoken::Unknown, false) if matches!(error, ApiError::Interrupted { .. }) => {
            "what listens there answers no http: name authentik's http port (9000) in AUTHENTIK_HOST, or write https:// with its https port (9443)"
        }
        (Spoken::Unknown, _) => return None,
    })
}

/// Whether a connection was taken, or at least not refused, and TLS did not begin on it.
fn begins_no_tls(error: &ApiError) -> bool {
    matches!(
        error,
        ApiError::Unreachable {
            cause: Unreachable::Tls(_) | Unreachable::Network(_) | Unreachable::ConnectTimeout,
            ..
        }
    )
}

/// The check that names why a list was not read; `None` for a refusal of the list itself.
pub(super) fn code_of_list(error: &ListError) -> Option<&'static str> {
    // Whoever shows the first page does not refuse the list.
    code_of(&error.error).or((error.page > 1).then_some("AK107"))
}

/// The check that names why no events are heard.
pub(super) fn code_of_events(cause: &Disconnect) -> &'static str {
    match cause {
        Disconnect::Unreachable(cause) => code_of_unreachable(cause),
        Disconnect::Refused { is_foreign: true, .. } => "AK110",
        Disconnect::Refused { status, .. } => match status {
            403 => "AK802",
            408 => "AK108",
            429 => "AK109",
            500.. => "AK107",
            _ => "AK801",
        },
        _ => "AK801",
    }
}

/// The check that an error of a flow belongs to; `None` for a refusal.
pub(super) fn code_of_flow(error: &FlowError) -> Option<&'static str> {
    match error {
        FlowError::Api(error) => code_of(error),
        FlowError::FlowNotFound { .. } => Some("AK501"),
        FlowError::ForeignRedirect { .. } => Some("AK110"),
        FlowError::NotLoggedIn { .. } => Some("AK508"),
        FlowError::CookieMissing | FlowError::CookieDropped => Some("AK509"),
        FlowError::StageFailed { .. } => Some("AK511"),
        FlowError::TooManySteps { .. } => Some("AK512"),
        _ => None,
    }
}

/// What is not looked at because no provider is there to look at.
pub(super) fn without_providers(facts: &Facts) -> Verdict {
    match &facts.providers {
        None => after("AK202"),
        Some(Err(error)) => after(code_of(error).unwrap_or("AK204")),
        Some(Ok(_)) if !facts.unreadable_providers.is_empty() => after("AK303"),
        Some(Ok(_)) => {
            let mut hidden = hidden_providers(facts).into_iter();
            after(match hidden.next() {
                None => "AK301",
                Some(first) if first.is_forbidden() || hidden.any(|other| other.is_forbidden()) => "AK204",
                Some(_) => "AK302",
            })
        }
    }
}

/// Of what a first stage shows, when there is none.
pub(super) fn unseen_flow(facts: &Facts) -> Verdict {
    if facts.flows.is_empty() {
        return without_providers(facts);
    }
    let errors = facts.flows.iter().filter_map(|flow| flow.first.as_ref().err());
    after(errors.filter_map(code_of_flow).next().unwrap_or("AK501"))
}

/// A provider of the outpost that authentik does not show among the LDAP providers.
pub(super) struct HiddenProvider<'f> {
    /// Its number.
    pub pk: i64,
    /// What the outpost's own answer says of it.
    pub assigned: Option<&'f AssignedProvider>,
}

impl HiddenProvider<'_> {
    /// Whether it has an application: then it is the permission that is missing.
    pub(super) fn is_forbidden(&self) -> bool {
        self.assigned
            .is_some_and(|assigned| assigned.application().is_some())
    }
}

/// The providers of the outpost that are not shown.
pub(super) fn hidden_providers(facts: &Facts) -> Vec<HiddenProvider<'_>> {
    let (Some(Ok(choice)), Some(Ok(providers))) = (&facts.outpost, &facts.providers) else {
        return Vec::new();
    };
    let outpost = &choice.outpost;
    let is_shown = |pk: i64| {
        let named = facts
            .unreadable_providers
            .iter()
            .filter_map(|row| row.pk.as_deref());
        providers.iter().any(|provider| provider.pk == pk)
            || named.into_iter().any(|number| number == pk.to_string())
    };
    let hidden = outpost.providers.iter().filter(|pk| !is_shown(**pk));
    hidden
        .map(|pk| HiddenProvider {
            pk: *pk,
            assigned: outpost.assigned.iter().find(|assigned| assigned.pk == *pk),
        })
        .collect()
}

/// As [`flow_errors`] names it.
const LOGIN: &str = "the login";

/// The check that tells what the account's bind flow begins with if no login gets past it. What became of the login follows from that.
pub(super) fn obstacle(facts: &Facts) -> Option<&'static str> {
    let account = facts.account.as_ref()?;
    if matches!(account.login, Some(Ok(LoginEnd::Done))) {
        return None;
    }
    let provider = account.provider.as_ref()?.as_ref().ok()?;
    let mut flows = facts.flows.iter();
    let flow = flows.find(|flow| flow.slug == provider.bind_flow_slug)?;
    let first = flow.first.as_ref().ok()?;
    match first.component.as_str() {
        DENIED => Some("AK502"),
        IDENTIFICATION if first.has_captcha => Some("AK504"),
        IDENTIFICATION if !takes_user_name(first) => Some("AK514"),
        IDENTIFICATION => None,
        _ => Some("AK503"),
    }
}

/// Whether somebody can be named by the user name, as far as authentik says.
pub(super) fn takes_user_name(first: &FirstStage) -> bool {
    let fields = first.user_fields.as_ref();
    fields.is_none_or(|fields| fields.iter().any(|field| field == "username"))
}

/// Every error of a flow, with what was asked for.
pub(super) fn flow_errors(facts: &Facts) -> Vec<(&'static str, &FlowError)> {
    let first = facts.flows.iter().filter_map(|flow| flow.first.as_ref().err());
    let mut errors: Vec<_> = first.map(|error| ("the bind flow", error)).collect();
    if let Some(account) = &facts.account {
        let login = account.login.as_ref().and_then(|login| login.as_ref().err());
        let unbind = account.logged_out.as_ref().and_then(|ended| ended.as_ref().err());
        errors.extend(login.map(|error| (LOGIN, error)));
        errors.extend(unbind.map(|error| ("the unbind flow", error)));
    }
    errors
}

/// As [`call_errors`] names it.
const RELEASE: &str = "authentik's release";

/// Every error of a call but the first, with what was asked for. Those of lists are told by `list_errors`.
fn call_errors(facts: &Facts) -> Vec<(&'static str, &ApiError)> {
    fn of<'f, T>(
        what: &'static str,
        answer: Option<&'f Result<T, ApiError>>,
    ) -> Option<(&'static str, &'f ApiError)> {
        Some((what, answer?.as_ref().err()?))
    }
    let account = facts.account.as_ref();
    let mut errors: Vec<_> = [
        of("the outpost", facts.outpost.as_ref()),
        of(RELEASE, facts.release.as_ref()),
        of("the providers", facts.providers.as_ref()),
        of("access", account.and_then(|account| account.access.as_ref())),
        of(
            "whose login it is",
            account.and_then(|account| account.owner.as_ref()),
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    for certificate in &facts.certificates {
        errors.extend(of("a certificate", certificate.certificate.as_ref()));
        errors.extend(certificate.key.as_ref().map(|error| ("a private key", error)));
    }
    errors.extend(
        flow_errors(facts)
            .into_iter()
            .filter_map(|(what, error)| match error {
                FlowError::Api(error) => Some((what, error)),
                _ => None,
            }),
    );
    errors
}

/// The errors of the lists, with which list it was.
fn list_errors(facts: &Facts) -> impl Iterator<Item = (&'static str, &ListError)> {
    let users = facts.users.iter().map(|users| ("users", users));
    let groups = facts.groups.iter().map(|groups| ("groups", groups));
    let lists = users.chain(groups);
    lists.filter_map(|(what, list)| Some((what, list.as_ref().err()?)))
}

/// What this check has to say about the errors of all calls.
pub(super) fn told_by(facts: &Facts, code: &str) -> Option<String> {
    let first = first_fault(facts).filter(|(its, _)| *its == code);
    let first = first.map(|(_, said)| format!("the first call: {said}"));
    let calls = call_errors(facts)
        .into_iter()
        .filter(|(what, error)| {
            let its = if *what == RELEASE {
                code_of_release
            } else {
                code_of
            };
            its(error) == Some(code)
        })
        .map(|(what, error)| format!("{what}: {}", said(error)));
    let lists = list_errors(facts)
        .filter(|(_, error)| code_of_list(error) == Some(code))
        .map(|(what, failed)| match failed.page {
            1 => format!("{what}: {}", said(&failed.error)),
            page => format!(
                "page {page} of the {what}, after those before it had come: {}",
                failed.error
            ),
        });
    let events = facts.events.as_ref().and_then(|events| events.as_ref().err());
    let events = events.filter(|cause| code_of_events(cause) == code);
    let events = events.map(|cause| format!("the websocket: {cause}"));
    // Those of calls are among the calls.
    let flows = of_flows(facts, code).filter(|(_, error)| !matches!(error, FlowError::Api(_)));
    let flows = flows.map(|(what, error)| format!("{what}: {error}"));
    joined(
        first
            .into_iter()
            .chain(calls)
            .chain(flows)
            .chain(lists)
            .chain(events),
    )
}

/// The same of those of flows.
pub(super) fn told_of_flows(facts: &Facts, code: &str) -> Option<String> {
    joined(of_flows(facts, code).map(|(what, error)| format!("{what}: {error}")))
}

/// The errors of flows that belong to this check.
fn of_flows<'f>(
    facts: &'f Facts,
    code: &'f str,
) -> impl Iterator<Item = (&'static str, &'f FlowError)> + use<'f> {
    flow_errors(facts).into_iter().filter(move |(what, error)| {
        let its = if *what == LOGIN {
            code_of_login(facts, error)
        } else {
            code_of_flow(error)
        };
        its == Some(code)
    })
}

/// The check that names why a login came to no verdict; `None` for a refusal. How the flow ended for one that met an obstacle follows
/// from that.
pub(super) fn code_of_login(facts: &Facts, error: &FlowError) -> Option<&'static str> {
    match code_of_flow(error) {
        Some("AK508" | "AK511" | "AK512") => obstacle(facts).or(code_of_flow(error)),
        other => other,
    }
}
