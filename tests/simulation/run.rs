//! Carries out a plan: one server after another under one simulated authentik, on a clock that advances when nobody has anything to
//! do.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use akldap::config::{Config, StringMap};
use akldap::outpost::Outside;
use akldap::server::Server;

use crate::authentik::Authentik;
use crate::clients::Client;
use crate::court::{Broken, Court, Request};
use crate::law::seconds;
use crate::plan::{Direct, NAMES, Name, PROVIDERS, Plan, SECRETS, Secret, Spelling, Step, What};
use crate::time::{self, now};
use crate::world::World;

/// Logins tried once more at the end.
const PROBES: usize = 8;
/// How long a call to authentik may be under way.
const WAITED: u64 = 60 * time::SECOND;
/// After everybody has gone.
const QUIET: Duration = Duration::from_secs(15);

/// How a history went.
#[derive(Debug)]
pub struct Outcome {
    /// What must not have happened; nothing if all is well.
    pub faults: Vec<String>,
    /// The same for two histories if the same happened in both.
    pub trace: u64,
    /// All that happened, if it was to be told.
    pub lines: Vec<String>,
    pub calls: u64,
}

thread_local! {
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// Counts panics on each thread, and has them written as before.
fn count_panics() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
}

pub fn run(plan: &Plan, tell: bool, broken: Option<Broken>) -> Outcome {
    count_panics();
    PANICS.set(0);
    fastrand::seed(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs nothing but memory");
    runtime.block_on(history(plan, tell, broken))
}

async fn history(plan: &Plan, tell: bool, broken: Option<Broken>) -> Outcome {
    time::begin();
    let authentik = Authentik::new(World::new(&plan.setting), plan.seed);
    authentik.lock().world.keeps_sessions = broken == Some(Broken::KeepsSessions);
    let court = Court::new(&authentik, tell, broken);
    let folder = plan
        .setting
        .file
        .then(|| tempfile::tempdir().expect("a temporary folder"));
    let mut stage = Stage {
        config: config(
            folder.as_ref().map(tempfile::TempDir::path),
            plan.setting.direct == Direct::Live,
        ),
        server: None,
        clients: (0..plan.setting.connections).map(|_| None).collect(),
        authentik: Arc::clone(&authentik),
        court: Arc::clone(&court),
    };
    stage.begin();
    for (at, step) in &plan.steps {
        let left = at.saturating_sub(now());
        if left > 0 {
            tokio::time::sleep(Duration::from_micros(left)).await;
        }
        court.note(|| format!("-- {step:?}"));
        stage.take(*step).await;
        if !court.faults().is_empty() {
            break;
        }
    }
    if court.faults().is_empty() {
        stage.rest().await;
    }
    let panics = PANICS.get();
    if panics > 0 {
        court.fault(format!("{panics} panics"));
    }
    let calls = authentik.lock().calls;
    Outcome {
        faults: court.faults(),
        trace: court.trace(),
        lines: court.lines(),
        calls,
    }
}

fn config(folder: Option<&std::path::Path>, live: bool) -> Config {
    static PLAIN: OnceLock<Config> = OnceLock::new();
    let read = |file: Option<&str>| {
        let mut settings = StringMap::default();
        settings.set("AUTHENTIK_HOST", "http://authentik.example");
        settings.set("AUTHENTIK_TOKEN", "token");
        settings.set("AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS", "none");
        settings.set("AUTHENTIK_LDAP__CLIENT_MEMORY_LIMIT", "256MiB");
        if let Some(file) = file {
            settings.set("AUTHENTIK_LDAP__SNAPSHOT_FILE", file);
        }
        if live {
            settings.set("AUTHENTIK_LDAP__DIRECT_SEARCH", "live");
        }
        Config::read(&settings).expect("the settings are sound")
    };
    match folder {
        Some(folder) => read(folder.join("snapshot").to_str()),
        None if live => read(None),
        None => PLAIN.get_or_init(|| read(None)).clone(),
    }
}

/// The current server, and its clients.
struct Stage {
    config: Config,
    server: Option<Server>,
    clients: Vec<Option<Client>>,
    authentik: Arc<Authentik>,
    court: Arc<Court>,
}

impl Stage {
    fn begin(&mut self) {
        self.authentik.lock().world.started.push(now());
        let outside = Outside {
            transport: Some(self.authentik.clone()),
            time_of_day: time::time_of_day,
        };
        let server = Server::without_ports(self.config.clone(), outside).expect("the server starts");
        self.server = Some(server);
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("there is a server")
    }

    async fn client(&mut self, slot: usize) -> &Client {
        let there = self.clients[slot].as_ref().is_some_and(Client::is_there);
        if !there {
            let client = Client::connect(self.server(), &self.court, slot).await;
            self.clients[slot] = Some(client);
        }
        self.clients[slot].as_ref().expect("it has just been connected")
    }

    fn change(&self, person: usize, change: impl FnOnce(&mut World, usize)) {
        let world = &mut self.authentik.lock().world;
        if let Some(person) = world.slot(person) {
            change(world, person);
        }
    }

    /// Ends all sessions of somebody, as authentik does when they may not log in any more.
    fn log_out(&self, person: usize) {
        let sids = self.authentik.lock().world.end_sessions_of(person);
        self.authentik.announce_ends(sids);
    }

    async fn take(&mut self, step: Step) {
        let name_of = |name: usize| NAMES[name];
        let slot = |person: usize| self.authentik.lock().world.slot(person);
        match step {
            Step::Rename { person, name } => {
                self.change(person, |world, person| world.rename(person, name_of(name)))
            }
            Step::Pass { from, to } => {
                let world = &mut self.authentik.lock().world;
                if let (Some(from), Some(to)) = (world.slot(from), world.slot(to))
                    && from != to
                {
                    let name = world.people[from].row.now().as_ref().map(|row| row.name.clone());
                    let other = format!("other{}", world.number());
                    world.rename(from, &other);
                    world.rename(to, &name.unwrap_or_default());
                }
            }
            Step::Mail { person, name } => self.change(person, |world, person| {
                world.change(person, |row| row.mail = format!("{}@example.org", name_of(name)));
            }),
            Step::Active { person, active } => {
                if let Some(person) = slot(person) {
                    self.authentik
                        .lock()
                        .world
                        .change(person, |row| row.active = active);
                    if !active {
                        self.log_out(person);
                    }
                }
            }
            Step::Delete { person } => {
                if let Some(person) = slot(person) {
                    self.authentik.lock().world.delete(person);
                    self.log_out(person);
                }
            }
            Step::Create { person, name } => self.authentik.lock().world.create(person, name_of(name)),
            Step::Password { person, secret } => {
                self.change(person, |world, person| world.set_password(person, secret))
            }
            Step::Access {
                person,
                provider,
                allowed,
            } => self.change(person, |world, person| {
                world.people[person].access[provider].set(now(), allowed);
            }),
            Step::Permission {
                person,
                provider,
                allowed,
            } => self.change(person, |world, person| {
                world.people[person].permission[provider].set(now(), allowed);
            }),
            Step::Member { person, group, is } => {
                self.change(person, |world, person| world.set_member(person, group, is))
            }
            Step::LogOut { person } => {
                if let Some(person) = slot(person) {
                    self.log_out(person);
                }
            }
            Step::LogOutUnheard { person } => {
                self.authentik.cut();
                self.change(person, |world, person| drop(world.end_sessions_of(person)));
            }
            Step::Move { provider } => {
                {
                    let provider = &mut self.authentik.lock().world.providers[provider];
                    let other = 1 - *provider.application.now();
                    provider.application.set(now(), other);
                }
                self.authentik.announce_save();
            }
            Step::Serve { provider, is } => {
                self.authentik.lock().world.providers[provider]
                    .served
                    .set(now(), is);
                self.authentik.announce_save();
            }
            Step::Mode { provider, cached } => {
                self.authentik.lock().world.providers[provider]
                    .cached
                    .set(now(), cached);
                self.authentik.announce_save();
            }
            Step::Save => self.authentik.announce_save(),
            Step::Fault {
                kind,
                permille,
                lasts,
            } => self.authentik.set_fault(kind, permille, lasts),
            Step::Announce(announcing) => self.authentik.set_announcing(announcing),
            Step::CutStream => self.authentik.cut(),
            Step::Silence => self.authentik.silence(),
            Step::RestartAuthentik { down, starting } => self.authentik.restart(down, starting),
            Step::Restart { keeps_file } => self.restart(keeps_file).await,
            Step::Refresh => self.server().outpost().refresh_requests().all(),
            Step::Update => self.server().outpost().refresh_requests().update(),
            Step::Bind {
                connection,
                name,
                provider,
                secret,
            } => {
                self.bind(connection, &name, (provider, secret), Spelling::Plain)
                    .await
            }
            Step::BindSpelled {
                connection,
                name,
                provider,
                secret,
                spelling,
            } => self.bind(connection, &name, (provider, secret), spelling).await,
            Step::Together {
                first,
                count,
                name,
                provider,
                secret,
            } => {
                let secret = self.secret(&Name::User(name), secret);
                let all = self.clients.len();
                for connection in (0..count).map(|more| (first + more) % all) {
                    let (name, secret) = (name_of(name).to_owned(), secret.clone());
                    self.client(connection).await.ask(Request::Bind {
                        name,
                        provider,
                        secret,
                        spelling: Spelling::Plain,
                    });
                }
            }
            Step::Search {
                connection,
                provider,
                what,
            } => {
                self.client(connection)
                    .await
                    .ask(Request::Search { provider, what });
            }
            Step::Unfit { connection, kind } => self.client(connection).await.ask(Request::Unfit(kind)),
            Step::Compare {
                connection,
                name,
                provider,
            } => {
                self.client(connection)
                    .await
                    .ask(Request::Compare { name, provider });
            }
            Step::WhoAmI { connection } => self.client(connection).await.ask(Request::WhoAmI),
            Step::StartTls { connection } => self.client(connection).await.ask(Request::StartTls),
            Step::Abandon { connection } => self.client(connection).await.abandon(),
            Step::HangUp { connection } => {
                if let Some(client) = self.clients[connection].take() {
                    client.hang_up();
                }
            }
            Step::Wait => {}
        }
        // Whatever came of it begins before the next step.
        tokio::task::yield_now().await;
    }

    async fn bind(
        &mut self,
        connection: usize,
        name: &Name,
        (provider, secret): (usize, Secret),
        spelling: Spelling,
    ) {
        let secret = self.secret(name, secret);
        let name = name.to_string();
        self.client(connection).await.ask(Request::Bind {
            name,
            provider,
            secret,
            spelling,
        });
    }

    fn secret(&self, name: &Name, secret: Secret) -> String {
        let world = &mut self.authentik.lock().world;
        let person = world.identify(&name.to_string());
        let passwords = |person: usize| world.people[person].password.spans().map(|(.., secret)| *secret);
        let number = match (secret, person) {
            (Secret::Any(number), _) => number,
            (_, None) => 0,
            (Secret::Former, Some(person)) => passwords(person).rev().nth(1).unwrap_or(1),
            (_, Some(person)) => passwords(person).next_back().unwrap_or(0),
        };
        let password = SECRETS[number].to_owned();
        let code = match (secret, person) {
            (Secret::Right | Secret::Former, Some(person)) => world.new_code(person),
            (Secret::SpentCode, Some(person)) => {
                let device = world.people[person].device.as_ref();
                device.and_then(|device| device.given.last().cloned())
            }
            _ => None,
        };
        match code {
            Some(code) => format!("{password};{code}"),
            None => password,
        }
    }

    async fn restart(&mut self, keeps_file: bool) {
        self.court.restarting(true);
        self.end().await;
        self.clients.iter_mut().for_each(|client| *client = None);
        let file = self.config.snapshot_file.as_ref().filter(|_| !keeps_file);
        if let Some(file) = file {
            let _ = std::fs::remove_file(file);
        }
        self.begin();
        tokio::task::yield_now().await;
        self.court.restarting(false);
    }

    /// Ends the server; nothing of it may be left.
    async fn end(&mut self) {
        if let Some(server) = self.server.take() {
            let outpost = Arc::downgrade(server.outpost());
            server.shutdown().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            // There is no endless wait for what authentik delays.
            let calm = self
                .authentik
                .lock()
                .world
                .is_calm(now().saturating_sub(WAITED), now(), 0);
            if calm && outpost.upgrade().is_some() {
                self.court
                    .fault("the outpost is still held after the end of its server".to_owned());
            }
        }
    }

    /// Has whoever is still there look around, and then whoever was let in try again in the same way: by now all that was withdrawn
    /// must have been noticed.
    async fn probe(&mut self) {
        for client in self.clients.iter().flatten() {
            client.ask(Request::WhoAmI);
            for provider in 0..PROVIDERS {
                client.ask(Request::Search {
                    provider,
                    what: What::All,
                });
            }
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let tried: Vec<Request> = {
            let granted = &self.authentik.lock().world.granted;
            let last = granted.iter().rev().filter_map(|granted| {
                let (_, provider, _) = *granted.passed.first()?;
                let (name, secret) = (granted.name.clone(), granted.secret.clone());
                Some(Request::Bind {
                    name,
                    provider,
                    secret,
                    spelling: Spelling::Plain,
                })
            });
            last.take(PROBES).collect()
        };
        for (number, request) in tried.into_iter().enumerate() {
            let slot = number % self.clients.len();
            self.client(slot).await.ask(request);
            self.client(slot).await.ask(Request::WhoAmI);
        }
    }

    /// Lets everything come to rest, and looks what is left.
    async fn rest(&mut self) {
        let troubled = self.troubled();
        self.authentik.heal();
        let rest = self.authentik.lock().world.setting.rest;
        tokio::time::sleep(Duration::from_micros(rest)).await;
        self.court.at_rest();
        self.probe().await;
        tokio::time::sleep(QUIET).await;
        self.court.at_rest();
        for client in self.clients.iter().flatten() {
            client.hang_up();
        }
        let alone = now();
        tokio::time::sleep(QUIET).await;
        self.court.alone_since(alone);
        let text = self.server().outpost().metrics().encode().unwrap_or_default();
        for (gauge, what) in [
            ("akldap_open_connections", "connections"),
            ("akldap_client_memory_bytes", "octets of clients"),
            ("akldap_turns_waiting", "binds that wait"),
            ("akldap_turns_running", "flows"),
        ] {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(gauge)?.strip_prefix(' '));
            if value != Some("0") {
                self.court
                    .fault(format!("{what} are left when everybody has gone: {value:?}"));
            }
        }
        self.end().await;
        self.clients.clear();
        tokio::time::sleep(Duration::from_secs(70)).await;
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        if tasks > 0 {
            self.court.fault(format!("{tasks} tasks are left"));
        }
        let world = &self.authentik.lock().world;
        let granted = world.sessions.values().filter_map(|session| session.granted);
        let left: Vec<String> = granted
            .map(|login| {
                let granted = &world.granted[login];
                format!("{} by {}", granted.name, seconds(granted.at))
            })
            .collect();
        if world.setting.unbind && !troubled && world.people.len() < 12 && !left.is_empty() {
            let (count, which) = (left.len(), left.join(", "));
            self.court.fault(format!(
                "{count} sessions are left in authentik that binds opened: {which}"
            ));
        }
    }

    /// Whether there was anything for which a session may have been left to expire.
    fn troubled(&self) -> bool {
        let world = &self.authentik.lock().world;
        let moved = world
            .providers
            .iter()
            .any(|provider| provider.served.spans().count() > 1);
        !world.trouble.is_empty() || moved || world.started.len() > 1 || world.setting.session > 0
    }
}
