//! Looks at a set-up: asks authentik as an outpost would, and this machine. Finds facts and judges none.

mod certificates;
mod first_call;
mod lists;
mod machine;
mod shown;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use akldap_authentik::events::{self, Disconnect, Event, Hello, Subscription, Timings};
use akldap_authentik::flow::{
    CodeRule, Executor, FlowObserver, FlowOutcome, FlowStep, LoginRequest, NoObserver,
};
use akldap_authentik::{ApiError, Client, LdapProvider};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::facts::{AccountFacts, Facts, FlowFacts, LoginEnd, MachineFacts, People, SettingsFacts};
use super::nested;
use crate::config::{Config, ConfigWarning};
use crate::machine_memory;
use crate::outpost::bind::account::named_account;

/// How long the lists are read unless it is said how long everything may take: what a survey costs authentik has a limit. What was not
/// read is reported.
const LIST_LIMIT: Duration = Duration::from_secs(60);
/// How long the stream of events may take to open.
const EVENTS_LIMIT: Duration = Duration::from_secs(15);
/// How long closing the stream of events may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);
/// The client named for a login: this machine.
const SELF: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An account that logs in.
#[derive(Clone, Copy)]
pub(super) struct LoginAccount<'a> {
    /// Its DN, or what else a bind takes as its name.
    pub dn: &'a str,
    /// Its password.
    pub password: &'a [u8],
}

/// What to look at besides what everything else needs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extras {
    /// The certificates.
    pub certificates: bool,
    /// The lists.
    pub people: bool,
    /// The stream of events.
    pub events: bool,
    /// This machine.
    pub machine: bool,
    /// How long the lists are read, where that is said.
    pub list_limit: Option<Duration>,
}

/// Looks at everything in `scope`.
///
/// # Errors
/// When no client can be made of the settings.
pub(super) async fn survey(
    config: &Config,
    account: Option<LoginAccount<'_>>,
    scope: Extras,
    is_before_start: bool,
    within: Option<Duration>,
) -> Result<Facts, ApiError> {
    let client = Client::new(config.client_settings())?;
    let host = client.endpoint().host();
    let mut facts = Facts {
        settings: settings_facts(config, &client),
        // Until they are known.
        addresses: Err(format!("{host}: there was no answer in time")),
        first_call: Err(ApiError::TimedOut {
            url: client.endpoint().to_string(),
            after: within.unwrap_or_default(),
        }),
        spoken: None,
        shown: None,
        clock_ahead: None,
        outpost: None,
        release: None,
        providers: None,
        unreadable_providers: Vec::new(),
        base_in_container: Vec::new(),
        certificates: Vec::new(),
        files: None,
        flows: Vec::new(),
        account_given: account.is_some(),
        account: None,
        users: None,
        groups: None,
        people: People::default(),
        events: None,
        machine: MachineFacts::default(),
        memory: machine_memory::usable(),
        cut_short: None,
    };
    let machine = async {
        match scope.machine {
            true => machine::survey(config, is_before_start).await,
            false => MachineFacts::default(),
        }
    };
    let files = config.tls.files.clone().filter(|_| scope.certificates);
    // A file may be a pipe, and its own limit is that of the survey: it is waited for while authentik is asked.
    let files = async {
        let files = files?;
        let reading = tokio::task::spawn_blocking(move || certificates::in_files(&files));
        reading.await.ok()
    };
    let asking = async {
        let asked = ask(&client, config, account, scope, within, &mut facts);
        match within {
            None => {
                asked.await;
                false
            }
            Some(limit) => timeout(limit, asked).await.is_err(),
        }
    };
    let (machine, files, is_cut_short) = tokio::join!(machine, files, asking);
    facts.machine = machine;
    facts.files = files;
    facts.cut_short = within.filter(|_| is_cut_short);
    Ok(facts)
}

/// Asks authentik, one question after the other: what was answered when this is dropped is kept.
async fn ask(
    client: &Client,
    config: &Config,
    account: Option<LoginAccount<'_>>,
    scope: Extras,
    within: Option<Duration>,
    facts: &mut Facts,
) {
    let executor = Executor::new(client.clone(), Arc::new(NoObserver));
    let (host, port) = (client.endpoint().host().to_owned(), client.endpoint().port());
    facts.addresses = match tokio::net::lookup_host((host.as_str(), port)).await {
        Ok(addresses) => Ok(addresses.map(|address| address.ip().to_string()).collect()),
        Err(error) => Err(format!("{host}: {error}")),
    };
    first_call::make(client, facts).await;
    if facts.first_call.is_err() {
        return;
    }
    // A proxy is asked for a connection by requests only.
    if facts.settings.is_https && facts.settings.proxy.is_none() {
        facts.shown = shown::on(&host, port).await;
    }
    facts.outpost = Some(client.outpost().await);
    facts.release = Some(client.release().await.map(|release| release.to_string()));
    let Some(Ok(outpost)) = facts.outpost.clone() else {
        return;
    };
    facts.providers = Some(client.ldap_providers().await.map(|(providers, unreadable)| {
        let unreadable = unreadable.into_iter();
        facts.unreadable_providers = unreadable.filter(|row| row.row_skipped).collect();
        providers
    }));
    let providers = match &facts.providers {
        Some(Ok(providers)) => providers.clone(),
        _ => Vec::new(),
    };
    facts.base_in_container = nested::in_containers(&providers, &config.providers);
    if scope.certificates && config.tls.files.is_none() {
        for provider in &providers {
            facts.certificates.push(certificates::of(client, provider).await);
        }
    }
    for provider in &providers {
        let slug = &provider.bind_flow_slug;
        if !facts.flows.iter().any(|flow| flow.slug == *slug) {
            let first = executor.first_stage(slug).await;
            facts.flows.push(FlowFacts {
                slug: slug.clone(),
                first,
            });
        }
    }
    if let Some(given) = account {
        facts.account = Some(log_in(client, &providers, given, config).await);
    }
    // Half of the time that is given: what else is to be asked needs some too.
    let limit = scope
        .list_limit
        .unwrap_or_else(|| within.map_or(LIST_LIMIT, |within| within / 2));
    lists::read(client, config, &providers, scope.people.then_some(limit), facts).await;
    if scope.events {
        facts.events = Some(hear(client, &outpost.outpost.pk).await);
    }
}

fn settings_facts(config: &Config, client: &Client) -> SettingsFacts {
    let endpoint = client.endpoint();
    let is_local = endpoint.host().parse().map_or_else(
        |_| endpoint.host().eq_ignore_ascii_case("localhost"),
        |address: IpAddr| address.is_loopback(),
    );
    SettingsFacts {
        host: endpoint.to_string(),
        is_https: endpoint.is_tls(),
        is_local,
        insecure: config.authentik.insecure,
        proxy: client.proxy_in_use(),
        page_size: config.authentik.page_size,
        proxy_networks_set: config.listen.trusted_proxies_set,
        warnings: config
            .warnings
            .iter()
            // Checks of their own report these.
            .filter(|warning| {
                !matches!(
                    warning,
                    ConfigWarning::WideTrust { .. } | ConfigWarning::Insecure { .. }
                )
            })
            .map(ToString::to_string)
            .collect(),
    }
}

/// Writes down the stages that came.
#[derive(Default)]
struct Stages(Mutex<Vec<String>>);

impl FlowObserver for Stages {
    fn step(&self, step: &FlowStep<'_>) {
        let mut stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !step.component.is_empty() && !stages.iter().any(|known| known == step.component) {
            stages.push(step.component.to_owned());
        }
    }
}

async fn log_in(
    client: &Client,
    providers: &[LdapProvider],
    account: LoginAccount<'_>,
    config: &Config,
) -> AccountFacts {
    let mut facts = AccountFacts::default();
    if providers.is_empty() {
        return facts;
    }
    let (provider, username) = match provider_of(providers, account.dn, config) {
        Ok(found) => found,
        Err(error) => {
            facts.provider = Some(Err(error));
            return facts;
        }
    };
    facts.provider = Some(Ok(provider.clone()));
    let stages = Arc::new(Stages::default());
    let executor = Executor::new(client.clone(), stages.clone());
    let request = LoginRequest {
        flow_slug: &provider.bind_flow_slug,
        username: &username,
        password: account.password,
        mfa_support: provider.mfa_support,
        codes: CodeRule::ByForm { second_try: false },
        client_ip: SELF,
    };
    let outcome = executor.execute(&request).await;
    facts
        .stages
        .clone_from(&stages.0.lock().unwrap_or_else(PoisonError::into_inner));
    match outcome {
        Ok(FlowOutcome::Authenticated(session)) => {
            facts.login = Some(Ok(LoginEnd::Done));
            let slug = &provider.application_slug;
            facts.access = Some(client.check_access(&session, provider.pk, slug, Some(SELF)).await);
            facts.owner = Some(client.users_me(&session, Some(SELF)).await.map(drop));
            if let Some(slug) = &provider.unbind_flow_slug {
                let unbound = executor.execute_unbind(&session, slug, SELF).await;
                facts.logged_out = Some(unbound.map(|unbound| unbound.logged_out));
            }
        }
        Ok(FlowOutcome::Rejected(rejection)) => facts.login = Some(Ok(LoginEnd::Rejected(rejection))),
        Err(error) => facts.login = Some(Err(error)),
    }
    facts
}

/// The provider that a bind with this name belongs to, and the user name in it.
fn provider_of<'p>(
    providers: &'p [LdapProvider],
    name: &str,
    config: &Config,
) -> Result<(&'p LdapProvider, String), String> {
    let (pk, username) = named_account(name.as_bytes(), providers, &config.providers)
        .map_err(|error| format!("{name:?}: {error}"))?;
    let provider = providers.iter().find(|provider| provider.pk == pk);
    let provider = provider.ok_or_else(|| format!("{name:?} belongs to no provider"))?;
    Ok((provider, username))
}

/// Opens the stream of events as one more instance of the outpost, which authentik forgets within seconds.
async fn hear(client: &Client, outpost: &str) -> Result<(), Disconnect> {
    let instance = uuid::Uuid::new_v4();
    let subscription = Subscription {
        outpost: outpost.to_owned(),
        instance,
        hello: Hello::new(instance, "", "akldap-check"),
        timings: Timings::default(),
    };
    let (sender, mut receiver) = mpsc::channel(4);
    let cancel = CancellationToken::new();
    let listening = tokio::spawn(events::listen(
        client.clone(),
        subscription,
        sender,
        cancel.clone(),
    ));
    let first = timeout(EVENTS_LIMIT, receiver.recv()).await;
    cancel.cancel();
    let _ = timeout(CLOSE_LIMIT, listening).await;
    match first {
        Ok(Some(Event::Disconnected { cause })) => Err(cause),
        Ok(Some(_)) => Ok(()),
        Ok(None) | Err(_) => Err(Disconnect::Silent(EVENTS_LIMIT)),
    }
}
