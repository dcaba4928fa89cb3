//! akldap as shipped, a release binary in its own process, in front of the simulated authentik in this one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use akldap_simulator::{Directory, Options, Simulator};
use anyhow::{Context, bail};
use tokio::runtime::Runtime;

use akldap_workload::process::{self, PATIENCE, Process};

/// The base DN of the sample directory.
pub const BASE: &str = "DC=ldap,DC=goauthentik,DC=io";
/// The account that may search everything, and its password in the sample directory.
pub const SEARCHER: &str = "ldapservice";
/// No timed refresh may happen during a measurement.
const REFRESH_INTERVAL_S: u64 = 7 * 24 * 3600;

/// The bind DN of a user.
pub fn user_dn(name: &str) -> String {
    format!("cn={name},ou=users,{BASE}")
}

/// The password of a user of the sample directory.
pub fn password(name: &str) -> String {
    format!("demo-{name}")
}

/// A running akldap with its directory loaded.
pub struct Akldap {
    /// The server.
    pub process: Process,
    /// Where it speaks LDAP.
    pub address: SocketAddr,
    /// Where it speaks LDAPS.
    pub ldaps: SocketAddr,
    http: SocketAddr,
    /// The simulated authentik.
    pub simulator: Simulator,
    /// The simulator's threads.
    pub runtime: Runtime,
    temporary: tempfile::TempDir,
    /// How starting went.
    pub start: Start,
}

/// How a start went.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Until the LDAP port was open.
    pub open: Duration,
    /// Until the directory was loaded.
    pub loaded: Duration,
    /// CPU time until then.
    pub cpu: Duration,
}

impl Akldap {
    /// Starts the simulator with a sample directory of this size, then the server.
    ///
    /// # Errors
    /// When either does not start.
    pub fn start(server: &Path, users: usize, groups: usize) -> anyhow::Result<Self> {
        Self::start_with(server, users, groups, |_| {})
    }

    /// The same with more settings.
    ///
    /// # Errors
    /// When either does not start.
    pub fn start_with(
        server: &Path,
        users: usize,
        groups: usize,
        change: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Self> {
        let options = Options {
            max_page_size: 1000,
            ..Options::default()
        };
        Self::start_over(server, Directory::sample(users, groups), options, change)
    }

    /// The same over any directory that has the sample's provider and service account.
    ///
    /// # Errors
    /// When either does not start.
    pub fn start_over(
        server: &Path,
        mut directory: Directory,
        options: Options,
        change: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        for provider in directory.providers.values_mut() {
            provider.bind_mode = "cached".to_owned();
        }
        for outpost in directory.outposts.values_mut() {
            outpost.refresh_interval_s = REFRESH_INTERVAL_S;
        }
        let simulator = runtime.block_on(Simulator::start(directory, options))?;
        let (address, ldaps) = (process::free_address()?, process::free_address()?);
        let http = process::free_address()?;
        let temporary = tempfile::tempdir()?;
        let mut command = Command::new(server);
        command
            .arg("serve")
            .env("AUTHENTIK_HOST", simulator.url())
            .env("AUTHENTIK_TOKEN", simulator.token())
            .env("AUTHENTIK_LISTEN__LDAP", address.to_string())
            .env("AUTHENTIK_LISTEN__LDAPS", ldaps.to_string())
            .env("AUTHENTIK_LISTEN__METRICS", http.to_string())
            .env("AUTHENTIK_LDAP__PAGE_SIZE", "1000")
            .env("AUTHENTIK_LDAP__IDLE_TIMEOUT", "0")
            // All the clients of a benchmark have one address.
            .env("AUTHENTIK_LDAP__MAX_CONNECTIONS_PER_ADDRESS", "0")
            .env("TMPDIR", temporary.path())
            // As the image sets it.
            .env("MIMALLOC_PURGE_DELAY", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        change(&mut command);
        let begin = Instant::now();
        let mut process = Process::start(&mut command)?;
        process.wait_for_port(address)?;
        let open = begin.elapsed();
        process.wait_until("the directory was loaded", || get(http, "/ready").is_ok())?;
        let start = Start {
            open,
            loaded: begin.elapsed(),
            cpu: process::cpu_total(process.pid()),
        };
        Ok(Self {
            process,
            address,
            ldaps,
            http,
            simulator,
            runtime,
            temporary,
            start,
        })
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where it serves its metrics.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where temporary files may go as long as this runs.
    pub fn scratch(&self) -> &Path {
        self.temporary.path()
    }

    /// Asks for a refresh and waits until it is done.
    ///
    /// # Errors
    /// When it takes too long.
    pub fn refresh(&mut self) -> anyhow::Result<()> {
        let before = self.last_update()?;
        self.process.signal_refresh()?;
        let http = self.http;
        self.process.wait_until("the refresh was done", || {
            last_update(http).is_ok_and(|now| now != before)
        })
    }

    fn last_update(&self) -> anyhow::Result<String> {
        last_update(self.http)
    }
}

fn last_update(http: SocketAddr) -> anyhow::Result<String> {
    let metrics = get(http, "/metrics")?;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("authentik_outpost_last_update"));
    Ok(line
        .context("no metric says when the last refresh was")?
        .to_owned())
}

/// A GET request; the whole answer if the status is 200.
///
/// # Errors
/// When it cannot be asked or answers differently.
pub fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 2") {
        bail!("{path}: {}", answer.lines().next().unwrap_or_default());
    }
    Ok(answer)
}
