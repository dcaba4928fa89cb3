//! `akldap serve` as a process of its own, in front of a simulated authentik in this one, and what the kernel says the
//! process used. Linux only: it reads `/proc`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use akldap_simulator::{Directory, Options, Simulator};
use serde_json::Value;

use akldap_testing::client::Client;
use akldap_testing::stage::user_dn;

/// How long a server may take to open its ports and to load its directory.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);
/// Of the clock that `/proc/<pid>/stat` counts in: `sysconf(_SC_CLK_TCK)` is 100 on every Linux there is.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server under attack; killed when dropped.
pub struct Server {
    child: Child,
    pub simulator: Simulator,
    pub ldap: SocketAddr,
    pub http: SocketAddr,
    /// Where it writes, as long as it runs.
    _temporary: tempfile::TempDir,
    log: Arc<Mutex<Vec<String>>>,
}

/// What a process has used since a moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Seconds of processor time, user and system, of all threads.
    pub cpu_s: f64,
    /// Octets of resident memory now.
    pub rss: u64,
}

impl Server {
    /// A server of the sample directory with further settings; returns when it is ready.
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
            .env("AUTHENTIK_HOST", simulator.url())
            .env("AUTHENTIK_TOKEN", simulator.token())
            .env("TMPDIR", temporary.path());
        for port in ["LDAP", "LDAPS", "METRICS"] {
            command.env(format!("AUTHENTIK_LISTEN__{port}"), "127.0.0.1:0");
        }
        for (name, value) in settings {
            command.env(name, value);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, written) = (Arc::clone(&log), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in written.lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let begin = Instant::now();
        let listening = loop {
            if let Some(line) = find(&log, "listening") {
                break line;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("it ended with {status}: {:?}", log.lock().unwrap());
            }
            assert!(begin.elapsed() < PATIENCE, "{:?}", log.lock().unwrap());
            std::thread::sleep(POLL);
        };
        let address = |key: &str| {
            let text = listening[key].as_str().unwrap();
            text.trim_matches(['[', ']']).parse().unwrap()
        };
        Self {
            ldap: address("ldap"),
            http: address("http"),
            child,
            simulator,
            _temporary: temporary,
            log,
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

    pub fn id(&self) -> u32 {
        self.child.id()
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

    /// Asserts that since `before` at most so much was used.
    pub fn assert_used(&self, before: Usage, cpu_s: f64, rss: u64) {
        let now = self.usage();
        let (used, grown) = (now.cpu_s - before.cpu_s, now.rss.saturating_sub(before.rss));
        println!("used {used:.2} s of processor time and {grown} octets of memory");
        assert!(used <= cpu_s, "{used:.2} s of processor time instead of {cpu_s}");
        assert!(grown <= rss, "{grown} octets more memory instead of {rss}");
    }

    /// All lines it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find(log: &Mutex<Vec<String>>, event: &str) -> Option<Value> {
    let lines = log.lock().unwrap();
    lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["event"] == event)
}
