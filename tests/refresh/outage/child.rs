//! The binary as a process of its own, which can be killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use akldap_simulator::Simulator;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use akldap_testing::stage::NEVER;

/// A running `akldap serve`; killed when dropped.
pub struct Server {
    child: Child,
    pub ldap: SocketAddr,
    pub http: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server of this simulator and returns as soon as its ports are open.
    pub async fn start(simulator: &Simulator, temporary: &Path, snapshot_file: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_akldap"));
        command
            .arg("serve")
            .env_clear()
            .env("AUTHENTIK_HOST", simulator.url())
            .env("AUTHENTIK_TOKEN", simulator.token())
            .env("AUTHENTIK_LDAP__SNAPSHOT_FILE", snapshot_file)
            // Looks come when a test asks for them, however long it takes.
            .env("AUTHENTIK_LDAP__REFRESH_DELTA_INTERVAL", "0")
            .env("TMPDIR", temporary);
        for port in ["LDAP", "LDAPS", "METRICS"] {
            command.env(format!("AUTHENTIK_LISTEN__{port}"), "127.0.0.1:0");
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (log, kept) = (
            Arc::new(Mutex::new(Vec::new())),
            BufReader::new(child.stderr.take().unwrap()),
        );
        let lines = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in kept.lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let began = Instant::now();
        loop {
            if let Some(line) = find(&log, "listening") {
                let address = |key: &str| {
                    let text = line[key].as_str().unwrap();
                    text.trim_matches(['[', ']']).parse().unwrap()
                };
                return Self {
                    ldap: address("ldap"),
                    http: address("http"),
                    child,
                    log,
                };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("it ended with {status}: {:?}", log.lock().unwrap());
            }
            assert!(
                began.elapsed() < NEVER,
                "it never listened: {:?}",
                log.lock().unwrap()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// As `kill -USR1`.
    pub fn ask_for_refresh(&self) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(id, Signal::USR1).unwrap();
    }

    /// As `kill -9`.
    pub fn kill(mut self) {
        self.end();
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn find(log: &Mutex<Vec<String>>, event: &str) -> Option<Value> {
    let lines = log.lock().unwrap();
    lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["event"] == event)
}
