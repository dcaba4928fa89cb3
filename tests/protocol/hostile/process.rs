//! `akldap serve` as a separate process, in front of a simulated authentik in this one, and what the kernel says the
//! process used. Linux only: it reads `/proc`.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::process::Command;
use std::time::{Duration, Instant};

use akldap_simulator::{Directory, Options, Simulator};

use akldap_testing::child::{self, PATIENCE};
use akldap_testing::client::Client;
use akldap_testing::stage::user_dn;

const POLL: Duration = Duration::from_millis(10);
/// Of the clock that `/proc/<pid>/stat` counts in: `sysconf(_SC_CLK_TCK)` is 100 on every Linux there is.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server under attack.
pub struct Server {
    process: child::Server,
    pub simulator: Simulator,
    /// Where it writes, as long as it runs.
    _temporary: tempfile::TempDir,
}

impl Deref for Server {
    type Target = child::Server;

    fn deref(&self) -> &child::Server {
        &self.process
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut child::Server {
        &mut self.process
    }
}

/// What a process has used since a given moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Seconds of processor time, user and system, of all threads.
    pub cpu_s: f64,
    /// Octets of resident memory now.
    pub rss: u64,
}

impl Server {
    /// A server of the sample directory with more settings; returns when it is ready.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        Self::with(Directory::sample(60, 12), settings).await
    }

    /// The same with any directory.
    pub async fn with(directory: Directory, settings: &[(&str, &str)]) -> Self {
        let simulator = Simulator::start(directory, Options::default()).await.unwrap();
        let server = Self::of(simulator, settings);
        server.wait_until_ready().await;
        server
    }

    /// A server of this simulator; returns when its ports are open.
    pub fn of(simulator: Simulator, settings: &[(&str, &str)]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_akldap"));
        command
            .arg("serve")
            .env_clear()
            .env("TMPDIR", temporary.path())
            .envs(settings.iter().copied());
        Self {
            process: child::Server::start(&mut command, &simulator),
            simulator,
            _temporary: temporary,
        }
    }

    async fn wait_until_ready(&self) {
        let begin = Instant::now();
        loop {
            let mut client = Client::connect(self.ldap).await;
            if client
                .bind(&user_dn("ldapservice"), "demo-ldapservice")
                .await
                .code
                == 0
            {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "never ready: {}", self.log());
            tokio::time::sleep(POLL).await;
        }
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        // The name in brackets may hold spaces; the fields after it are numbered from 3 (proc(5)).
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        let field = |number: usize| -> f64 { rest.split(' ').nth(number - 3).unwrap().parse().unwrap() };
        Usage {
            cpu_s: (field(14) + field(15)) / TICKS_PER_SECOND,
            rss: self.memory("VmRSS:"),
        }
    }

    /// The most resident memory it ever had, in octets.
    pub fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let kilobytes: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
            .unwrap();
        kilobytes * 1024
    }

    /// Asserts that at most this much was used since `before`.
    pub fn assert_used(&self, before: Usage, cpu_s: f64, rss: u64) {
        let now = self.usage();
        let (used, grown) = (now.cpu_s - before.cpu_s, now.rss.saturating_sub(before.rss));
        println!("used {used:.2} s of processor time and {grown} octets of memory");
        assert!(used <= cpu_s, "{used:.2} s of processor time instead of {cpu_s}");
        assert!(grown <= rss, "{grown} octets more memory instead of {rss}");
    }
}
