//! `akldap serve` as a separate process, which can be killed, and whose log is kept line by line.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use akldap_simulator::Simulator;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything a server does in a test.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Lines of a server's log that a failing test prints.
const LAST_LINES: usize = 30;

/// Addresses of `127.0.0.1` for a program that takes no port 0, all different, for TCP and UDP. Their ports lie below those that systems
/// give to anyone who asks for any port (RFC 6335, section 6; Linux begins at 32,768), so that no other test can get one of them before
/// that program opens it.
pub fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    const FIRST: u16 = 12_000;
    const PORTS: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests that run as other processes at the same time begin elsewhere.
    let [.., high, low] = std::process::id().wrapping_mul(64).to_be_bytes();
    let begin = u16::from_be_bytes([high, low]);
    [(); N].map(|()| {
        loop {
            let number = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let address = SocketAddr::from(([127, 0, 0, 1], FIRST + number % PORTS));
            if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
                break address;
            }
        }
    })
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub ldap: SocketAddr,
    pub ldaps: SocketAddr,
    pub http: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts `command`, the program with any special settings, in front of this simulator and on any free ports, unless its
    /// environment says otherwise; returns when the ports are open.
    pub fn start(command: &mut Command, simulator: &Simulator) -> Self {
        Self::start_with(command, simulator, Stdio::null())
    }

    /// The same with a standard input.
    pub fn start_with(command: &mut Command, simulator: &Simulator, stdin: Stdio) -> Self {
        let given: Vec<OsString> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
        for (name, value) in [
            ("AUTHENTIK_HOST", simulator.url()),
            ("AUTHENTIK_TOKEN", simulator.token()),
            ("AUTHENTIK_LISTEN__LDAP", "127.0.0.1:0".to_owned()),
            ("AUTHENTIK_LISTEN__LDAPS", "127.0.0.1:0".to_owned()),
            ("AUTHENTIK_LISTEN__METRICS", "127.0.0.1:0".to_owned()),
        ] {
            if !given.iter().any(|given| given == name) {
                command.env(name, value);
            }
        }
        command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, written) = (Arc::clone(&log), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in written.lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self {
            child,
            ldap: none,
            ldaps: none,
            http: none,
            log,
        };
        let line: Value = serde_json::from_str(&server.wait_for("\"listening\"")).unwrap();
        let address = |key: &str| {
            let text = line[key].as_str().unwrap();
            text.trim_matches(['[', ']']).parse().unwrap()
        };
        (server.ldap, server.ldaps, server.http) = (address("ldap"), address("ldaps"), address("http"));
        server
    }

    /// Waits until `/ready` says so.
    pub async fn ready(&self) {
        let begin = Instant::now();
        while !self.is_ready().await {
            assert!(begin.elapsed() < PATIENCE, "never ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.http).await else {
            return false;
        };
        let request = b"GET /ready HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        stream.write_all(request).await.is_ok()
            && stream.read_to_string(&mut answer).await.is_ok()
            && answer.starts_with("HTTP/1.1 200")
    }

    /// The first line of its log with these words, once there is one.
    pub fn wait_for(&mut self, words: &str) -> String {
        let begin = Instant::now();
        loop {
            let found = {
                let log = self.log.lock().unwrap();
                log.iter().find(|line| line.contains(words)).cloned()
            };
            if let Some(line) = found {
                return line;
            }
            if let Some(status) = self.status() {
                panic!("it ended with {status}, without {words}: {}", self.log());
            }
            assert!(begin.elapsed() < PATIENCE, "no {words}: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// All lines it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// How many lines of its log have these words.
    pub fn count(&self, words: &str) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| line.contains(words)).count()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end; the exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.status() {
                return status.code();
            }
            assert!(begin.elapsed() < PATIENCE, "it did not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that fails shows what its server had to say.
        if std::thread::panicking() {
            let log = self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let last = log
                .get(log.len().saturating_sub(LAST_LINES)..)
                .unwrap_or_default();
            eprintln!("the end of the server's log:\n{}", last.join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
