//! `akldap demo`: a simulated authentik and the server in one process, talking to each other over loopback HTTP, so
//! that the demo takes the same path as production.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use uuid::Uuid;

use crate::config::{Config, ConfigError, Environment, Layered, LogFormat, NotUnicode, StringMap, Strings};
use crate::logging;
use crate::server::{Server, StartError};
use crate::traces;
use akldap_simulator::{
    Certificate, Cost, Directory, Options, REPORT_USERS, Simulator, demo_secrets, totp_code,
};

use super::args::{DemoArgs, DemoShape};
use super::complaint::complain;
use super::flags::Flags;
use super::signals::{SignalRequest, Signals};
use super::{open_files, output};

/// The throw-away pair whose authority is `certs/ca.pem`; it is public.
const CERTIFICATE: &str = include_str!("../../certs/p256.pem");
const AUTHORITY: &str = include_str!("../../certs/ca.pem");
const KEY: &str = include_str!("../../certs/p256.key");
/// How long the demo may take to load its own directory.
const PATIENCE: Duration = Duration::from_secs(600);
/// Users and groups where none are asked for.
const USERS: usize = 200;
const GROUPS: usize = 25;
const BASE: &str = "DC=ldap,DC=goauthentik,DC=io";

/// Runs the demo until a signal ends it.
///
/// # Errors
/// When a port is taken or the directory cannot be loaded.
pub async fn run(arguments: &DemoArgs, flags: &Flags) -> anyhow::Result<()> {
    let given = |name: &&str| matches!(flags.get(name), Ok(Some(_)));
    if let Some(name) = ["AUTHENTIK_HOST", "AUTHENTIK_TOKEN"]
        .iter()
        .find(|name| given(name))
    {
        return Err(ConfigError::Conflict {
            name: flags.spelling(name),
            other: "the command demo".to_owned(),
            problem: "the demo has an authentik of its own: leave out --host and --token-file",
        }
        .into());
    }
    if arguments.shape == DemoShape::Report && arguments.groups.is_some() {
        anyhow::bail!("the shape `report` always has 2,020 groups: leave out --groups");
    }
    let mut signals = Signals::take()?;
    let simulator = simulate(arguments)
        .await
        .context("cannot start the simulated authentik")?;
    let own = OwnSettings::new(arguments, &simulator);
    let mut config = Config::read(&Layered {
        upper: flags,
        lower: &own,
    })?;
    // A demo is watched by a person, wherever its output goes.
    config.log.format.get_or_insert(LogFormat::Text);
    let log = logging::init(config.log)?;
    let traces_config = config.traces.clone();
    open_files::raise();
    traces::start(&traces_config, env!("CARGO_PKG_VERSION"))?;
    let authority = CaFile::write().context("cannot write the certificate authority of the demo")?;
    let server = Server::start(config, Some(log)).await.map_err(named_by_flags)?;
    tokio::time::timeout(PATIENCE, ready(&server))
        .await
        .context("the directory was not loaded in time")?;
    say(&greeting(arguments, &server, &simulator, authority.path()));
    wait_for_end(&server, &mut signals).await;
    server.shutdown().await;
    simulator.shutdown().await;
    // It waits, and so does not belong in a thread of the runtime.
    let _ = tokio::task::spawn_blocking(traces::finish).await;
    say("\nThe demo has ended and has left nothing behind.");
    Ok(())
}

/// Prints something. A demo that cannot be read about goes on: its ports are what it is for.
fn say(text: &str) {
    if let Err(error) = output::print(text) {
        complain(&error);
    }
}

/// A port that is in use, by the flag of the demo that chooses another one.
fn named_by_flags(error: StartError) -> StartError {
    match error {
        StartError::Listen {
            address,
            variable,
            cause,
        } => {
            let flag = match variable.rsplit("--").next() {
                Some("listen-ldap") => "--ldap",
                Some("listen-ldaps") => "--ldaps",
                Some("listen-http") => "--http",
                _ => variable,
            };
            StartError::Listen {
                address,
                variable: flag,
                cause,
            }
        }
        other => other,
    }
}

/// The certificate authority in its own file, for clients that verify. It is removed with the demo.
struct CaFile(PathBuf);

impl CaFile {
    fn write() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("akldap-demo-{}-ca.pem", std::process::id()));
        // A file of that name may be somebody else's, or a link: it is created as a new one or not at all.
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        file.write_all(AUTHORITY.as_bytes())?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Waits for the end; refreshes at each SIGUSR1 until then. The demo has no files to read again: at SIGHUP its terminal
/// is gone.
async fn wait_for_end(server: &Server, signals: &mut Signals) {
    while signals.next().await == SignalRequest::Refresh {
        server.outpost().refresh_requests().all();
    }
}

async fn simulate(arguments: &DemoArgs) -> std::io::Result<Simulator> {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let (users, groups) = (arguments.users.map(count), arguments.groups.map(count));
    let mut directory = match arguments.shape {
        DemoShape::Sample => {
            let mut directory = Directory::sample(users.unwrap_or(USERS), groups.unwrap_or(GROUPS));
            add_nextcloud_group(&mut directory);
            directory
        }
        DemoShape::Report => Directory::report(users.unwrap_or(REPORT_USERS)),
    };
    let certificate = Certificate {
        pk: Uuid::new_v5(&Uuid::NAMESPACE_URL, b"akldap:demo:certificate"),
        name: "demo".to_owned(),
        certificate_pem: CERTIFICATE.to_owned(),
        key_pem: KEY.to_owned(),
    };
    for provider in directory.providers.values_mut() {
        provider.certificate = Some(certificate.pk);
    }
    directory.certificates.insert(certificate.pk, certificate);
    // The level is ours to set, not the made-up outpost's.
    for outpost in directory.outposts.values_mut() {
        outpost.config.remove("log_level");
    }
    let latency = Duration::from_millis(u64::from(arguments.latency_ms));
    // The simulator never runs out of patience with large pages, so the demo loads a large directory quickly.
    Simulator::start(
        directory,
        Options {
            latency,
            cost: Cost {
                workers: count(arguments.workers),
                page: Duration::from_millis(arguments.page_ms.into()),
                row: Duration::from_micros(arguments.row_us.into()),
                ..Cost::default()
            },
            max_page_size: 1000,
            ..Options::default()
        },
    )
    .await
}

/// The group that docs/nextcloud.md lets into Nextcloud: some people, and those in a group inside it.
fn add_nextcloud_group(directory: &mut Directory) {
    let group = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"akldap:demo:nextcloud");
    directory.add_group(group, "nextcloud");
    let people: Vec<i32> = ["alice", "bob", "zo\u{eb}", "pat o'brien", "totp", "static"]
        .iter()
        .filter_map(|name| directory.user_named(name))
        .map(|user| user.pk)
        .collect();
    for pk in people {
        directory.join(pk, group);
    }
    let named = |name| directory.group_named(name).map(|group| group.pk);
    if let (Some(child), Some(parent)) = (named("engineering"), named("company")) {
        directory.set_parents(child, &[parent, group]);
    }
}

async fn ready(server: &Server) {
    while !server.outpost().is_ready() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The environment with what the demo decides: where authentik is and where to listen.
struct OwnSettings(StringMap);

impl OwnSettings {
    fn new(arguments: &DemoArgs, simulator: &Simulator) -> Self {
        let settings = [
            ("AUTHENTIK_HOST", simulator.url()),
            ("AUTHENTIK_TOKEN", simulator.token()),
            ("AUTHENTIK_LISTEN__LDAP", arguments.ldap.to_string()),
            ("AUTHENTIK_LISTEN__LDAPS", arguments.ldaps.to_string()),
            ("AUTHENTIK_LISTEN__METRICS", arguments.http.to_string()),
            ("AUTHENTIK_LDAP__PAGE_SIZE", "1000".to_owned()),
        ];
        Self(settings.into_iter().collect())
    }
}

impl Strings for OwnSettings {
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        match self.0.get(name)? {
            Some(own) => Ok(Some(own)),
            // A terminal wants less to read than a log collector.
            None if name == "AUTHENTIK_LOG_LEVEL" => {
                Ok(Some(Environment.get(name)?.unwrap_or("warning".into())))
            }
            // Strangers do not reach loopback, so nobody has to be told whom the default trusts.
            None if name == "AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS" => {
                Ok(Some(Environment.get(name)?.unwrap_or("none".into())))
            }
            None => Environment.get(name),
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names = Environment.names();
        names.extend(self.0.names());
        names
    }

    fn spelling(&self, name: &str) -> String {
        self.0.spelling(name)
    }
}

fn greeting(arguments: &DemoArgs, server: &Server, simulator: &Simulator, authority: &Path) -> String {
    let authority = authority.display();
    let (users, groups) = simulator.look(|directory| (directory.users().len(), directory.group_count()));
    let addresses = server.addresses();
    let first = |list: &[std::net::SocketAddr], asked| list.first().copied().unwrap_or(asked);
    let ldap = first(&addresses.ldap, arguments.ldap);
    let ldaps = first(&addresses.ldaps, arguments.ldaps);
    let http = first(&addresses.http, arguments.http);
    let (person, people) = match arguments.shape {
        DemoShape::Sample => ("alice", people(simulator)),
        DemoShape::Report => ("user000001", String::new()),
    };
    format!(
        "ready

{users} users and {groups} groups below {BASE}, from a simulated authentik.
LDAP and StartTLS on {ldap}, LDAPS on {ldaps}, HTTP on {http} (/metrics, /ready).
The simulated authentik is at {host}, and its outpost has the token {token}.
Every password is demo-<username>. `ldapservice` may search everything; everybody else sees only themselves.
{people}The certificate is for localhost and 127.0.0.1; its CA is in {authority} until the demo ends.

To paste:
  ldapsearch -x -H ldap://{ldap} -D cn=ldapservice,ou=users,{BASE} -w demo-ldapservice -b {BASE} '(objectClass=user)'
  ldapsearch -x -H ldap://{ldap} -D cn={person},ou=users,{BASE} -w demo-{person} -b {BASE}
  ldapsearch -x -H ldap://{ldap} -b '' -s base
  LDAPTLS_CACERT={authority} ldapsearch -ZZ -x -H ldap://127.0.0.1:{ldap_port} -b '' -s base
  LDAPTLS_CACERT={authority} ldapsearch -x -H ldaps://127.0.0.1:{ldaps_port} -b '' -s base
  curl http://{http}/ready
  AUTHENTIK_HOST={host} AUTHENTIK_TOKEN={token} akldap check --pre --only token --only flows

Ctrl-C ends it.",
        host = simulator.url(),
        token = simulator.token(),
        ldap_port = ldap.port(),
        ldaps_port = ldaps.port(),
    )
}

/// What there is to know about the named people of the sample.
fn people(simulator: &Simulator) -> String {
    let secrets = demo_secrets();
    let code = totp_code(&secrets.totp_key, simulator.now());
    let tokens = secrets.static_tokens.join(" ");
    let totp = secrets.totp_base32;
    format!(
        "`inactive` is deactivated and `mallory` may not use the application.
`totp` binds with demo-totp;<code>: key {totp}, code now {code}.
`static` binds with demo-static;<token>, each token once: {tokens}
"
    )
}
