//! Looks at a set-up: asks authentik as an outpost would, and this machine. Finds facts and judges none.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use akldap_authentik::events::{self, Event, Hello, Subscription, Timings};
use akldap_authentik::flow::{
    CodeRule, Executor, FlowObserver, FlowOutcome, FlowStep, LoginRequest, NoObserver,
};
use akldap_authentik::{ApiError, Client, GroupsQuery, LdapProvider, UsersQuery};
use akldap_ldap::dn::Dn;
use secrecy::ExposeSecret as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::certificate::Certificate;
use super::facts::{
    AccountFacts, CertificateFacts, Facts, FlowFacts, LoginEnd, MachineFacts, People, SettingsFacts,
};
use super::people::Tally;
use crate::config::Config;

/// How long the lists are read: what a look costs authentik has a limit. What was not read is said.
const LIST_LIMIT: Duration = Duration::from_secs(60);
/// How long the stream of events may take to open.
const EVENTS_LIMIT: Duration = Duration::from_secs(15);
/// How long a connection to this machine's own ports may take.
const PORT_LIMIT: Duration = Duration::from_secs(3);
/// Who is asked to vouch for as the client of a login: this machine.
const SELF: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An account that logs in.
#[derive(Clone, Copy)]
pub(super) struct LoginAccount<'a> {
    /// Its DN.
    pub dn: &'a str,
    /// Its password.
    pub password: &'a [u8],
}

/// What to look at beside what everything else needs.
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
}

/// Looks at everything in `scope`.
///
/// # Errors
/// When no client can be made of the settings.
pub(super) async fn look(
    config: &Config,
    account: Option<LoginAccount<'_>>,
    scope: Extras,
    is_before_start: bool,
) -> Result<Facts, ApiError> {
    let client = Client::new(config.client_settings())?;
    let executor = Executor::new(client.clone(), Arc::new(NoObserver));
    let (host, port) = (client.endpoint().host().to_owned(), client.endpoint().port());
    let addresses = match tokio::net::lookup_host((host.as_str(), port)).await {
        Ok(addresses) => Ok(addresses.map(|address| address.ip().to_string()).collect()),
        Err(error) => Err(format!("{host}: {error}")),
    };
    let first_call = client.root_config().await.map(|_| ());
    let mut facts = Facts {
        settings: settings_facts(config, &client),
        addresses,
        clock_ahead: None,
        outpost: None,
        release: None,
        providers: None,
        certificates: Vec::new(),
        flows: Vec::new(),
        account: None,
        people: None,
        events: None,
        machine: MachineFacts::default(),
        first_call,
    };
    if scope.machine {
        facts.machine = machine(config, is_before_start).await;
    }
    if facts.first_call.is_err() {
        return Ok(facts);
    }
    facts.outpost = Some(client.outpost().await);
    facts.release = client.release().await.ok().map(|release| release.to_string());
    let Some(Ok(outpost)) = facts.outpost.clone() else {
        return Ok(facts);
    };
    facts.providers = Some(client.ldap_providers().await.map(|(providers, _)| providers));
    let providers = match &facts.providers {
        Some(Ok(providers)) => providers.clone(),
        _ => Vec::new(),
    };
    if scope.certificates {
        for provider in &providers {
            facts.certificates.push(certificate(&client, provider).await);
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
        facts.account = Some(log_in(&client, &providers, given).await);
    }
    let (people, clock_ahead) = people(&client, config, &providers, scope.people).await;
    (facts.people, facts.clock_ahead) = (Some(people), clock_ahead);
    if scope.events {
        facts.events = Some(hear(&client, &outpost.outpost.pk).await);
    }
    Ok(facts)
}

fn settings_facts(config: &Config, client: &Client) -> SettingsFacts {
    let endpoint = client.endpoint();
    let proxies = &config.authentik.proxies;
    let is_local = endpoint.host().parse().map_or_else(
        |_| endpoint.host().eq_ignore_ascii_case("localhost"),
        |address: IpAddr| address.is_loopback(),
    );
    let proxy = if endpoint.is_tls() {
        &proxies.https
    } else {
        &proxies.http
    };
    SettingsFacts {
        host: endpoint.to_string(),
        is_https: endpoint.is_tls(),
        is_local,
        insecure: config.authentik.insecure,
        has_proxy: proxy.is_some() && !is_local,
        page_size: config.authentik.page_size,
        proxy_networks_set: config.listen.trusted_proxies_set,
        warnings: config.warnings.iter().map(ToString::to_string).collect(),
    }
}

async fn certificate(client: &Client, provider: &LdapProvider) -> CertificateFacts {
    let read = |uuid: String| async move {
        let chain = client.view_certificate(&uuid).await?;
        let key = client.view_private_key(&uuid).await?;
        Ok(Certificate::examine(
            chain.as_bytes(),
            key.expose_secret().as_bytes(),
        ))
    };
    let certificate = match &provider.certificate {
        Some(uuid) => Some(read(uuid.clone()).await),
        None => None,
    };
    CertificateFacts {
        provider: provider.name.clone(),
        server_name: provider.tls_server_name.clone(),
        certificate,
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

async fn log_in(client: &Client, providers: &[LdapProvider], account: LoginAccount<'_>) -> AccountFacts {
    let mut facts = AccountFacts::default();
    if providers.is_empty() {
        return facts;
    }
    let (provider, username) = match provider_of(providers, account.dn) {
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
        codes: CodeRule::Shaped { second_try: false },
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

/// The provider with the longest base DN that a name is below, and the user name in it.
fn provider_of<'p>(providers: &'p [LdapProvider], dn: &str) -> Result<(&'p LdapProvider, String), String> {
    let name = Dn::parse(dn.as_bytes()).map_err(|error| format!("{dn:?}: {error}"))?;
    let below = |provider: &'p LdapProvider| {
        let base = Dn::parse(provider.base_dn.as_bytes()).ok()?;
        name.below(&base).is_some().then_some((base.rdns.len(), provider))
    };
    let found = providers.iter().filter_map(below).max_by_key(|(depth, _)| *depth);
    let (_, provider) = found.ok_or_else(|| format!("{dn:?} is below no provider's base DN"))?;
    let username = name.rdns.first().and_then(|rdn| {
        let value = ["cn", "uid", "mail"]
            .into_iter()
            .find_map(|attribute| rdn.value_of(attribute))?;
        String::from_utf8(value.to_vec()).ok()
    });
    let username = username.ok_or_else(|| format!("{dn:?} does not begin with cn=<username>"))?;
    Ok((provider, username))
}

/// The lists, as far as they can be read in time, or their first page alone; and how far ahead our clock is.
async fn people(
    client: &Client,
    config: &Config,
    providers: &[LdapProvider],
    whole: bool,
) -> (Result<People, ApiError>, Option<i64>) {
    let first = providers.first();
    let mut tally = Tally::new(
        first.map_or(0, |provider| provider.uid_start_number),
        first.map_or(0, |provider| provider.gid_start_number),
    );
    let mut clock_ahead = None;
    let read = read_people(
        client,
        config.authentik.page_size,
        whole,
        &mut tally,
        &mut clock_ahead,
    )
    .await;
    (read.map(|()| tally.people), clock_ahead)
}

async fn read_people(
    client: &Client,
    page_size: u32,
    whole: bool,
    tally: &mut Tally,
    clock_ahead: &mut Option<i64>,
) -> Result<(), ApiError> {
    let began = Instant::now();
    let in_time = || began.elapsed() < LIST_LIMIT;
    tally.people.is_complete = whole;
    let mut query = UsersQuery {
        page: 1,
        page_size: Some(page_size),
        ordering: Some("pk".to_owned()),
        include_roles: Some(false),
        ..UsersQuery::default()
    };
    loop {
        let asked = Instant::now();
        let page = client.users_page(&query).await?;
        if query.page == 1 {
            *clock_ahead = page.served.map(|theirs| seconds_ahead(SystemTime::now(), theirs));
            tally.people.users = page.pagination.count;
            tally.people.first_page = page.rows.len();
            tally.people.took = asked.elapsed();
            tally.people.has_more_pages = page.pagination.next != 0;
        }
        page.rows.iter().for_each(|user| tally.add_user(user));
        tally
            .people
            .unreadable
            .extend(page.skipped.iter().map(ToString::to_string));
        if page.pagination.next == 0 || !whole {
            break;
        }
        if !in_time() {
            tally.people.is_complete = false;
            break;
        }
        query.page += 1;
    }
    let mut query = GroupsQuery {
        page: 1,
        page_size: Some(page_size),
        ordering: Some("name".to_owned()),
        include_users: Some(false),
        include_children: Some(false),
        include_parents: Some(false),
        ..GroupsQuery::default()
    };
    loop {
        let page = client.groups_page(&query).await?;
        tally.people.groups = page.pagination.count;
        page.rows.iter().for_each(|group| tally.add_group(group));
        tally
            .people
            .unreadable
            .extend(page.skipped.iter().map(ToString::to_string));
        if page.pagination.next == 0 || !whole {
            return Ok(());
        }
        if !in_time() {
            tally.people.is_complete = false;
            return Ok(());
        }
        query.page += 1;
    }
}

fn seconds_ahead(ours: SystemTime, theirs: SystemTime) -> i64 {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match ours.duration_since(theirs) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    }
}

/// Opens the stream of events as one more instance of the outpost, which authentik forgets within seconds.
async fn hear(client: &Client, outpost: &str) -> Result<(), String> {
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
    let _ = timeout(PORT_LIMIT, listening).await;
    match first {
        Ok(Some(Event::Disconnected { cause })) => Err(cause.to_string()),
        Ok(Some(_)) => Ok(()),
        Ok(None) | Err(_) => Err(format!("nothing was heard within {} s", EVENTS_LIMIT.as_secs())),
    }
}

async fn machine(config: &Config, is_before_start: bool) -> MachineFacts {
    let listen = &config.listen;
    let lists = [
        ("LDAP", &listen.ldap),
        ("LDAPS", &listen.ldaps),
        ("HTTP", &listen.metrics),
    ];
    let mut ports = Vec::new();
    for (name, addresses) in lists {
        for address in addresses {
            let problem = if is_before_start {
                free(*address).await
            } else {
                answering(*address).await
            };
            ports.push((name, *address, problem));
        }
    }
    MachineFacts {
        is_before_start,
        ports,
        open_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum,
        max_connections: config.limits.max_connections,
    }
}

/// Why a port cannot be listened on.
async fn free(address: SocketAddr) -> Option<String> {
    TcpListener::bind(address)
        .await
        .err()
        .map(|error| error.to_string())
}

/// Why a port does not answer.
async fn answering(address: SocketAddr) -> Option<String> {
    // What listens on every address answers on this machine's own.
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        _ => SELF,
    };
    match timeout(PORT_LIMIT, TcpStream::connect((host, address.port()))).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(format!("nobody answers ({error}); is the server running?")),
        Err(_) => Some("nobody answers in time".to_owned()),
    }
}
