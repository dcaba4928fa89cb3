//! The process and its descriptors: a low limit, running out of them, sockets from systemd.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use akldap_simulator::{Directory, Options, Simulator};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::net::TcpStream;
use tokio::time::timeout;

use akldap_testing::certificates::{pair, serving};
use akldap_testing::child::free_addresses;
use akldap_testing::client::Client;
use akldap_testing::stage::user_dn;

/// `akldap serve` in a process of its own, in front of a simulator in this one.
struct Served {
    child: Child,
    folder: tempfile::TempDir,
    ldap: SocketAddr,
    http: SocketAddr,
}

async fn simulator() -> Simulator {
    let options = Options {
        record_requests: true,
        ..Options::default()
    };
    let directory = serving(Directory::sample(20, 5), pair("p256"));
    Simulator::start(directory, options).await.unwrap()
}

impl Served {
    /// Starts it through a line of shell in which `"$0"` is the binary; returns when it is ready.
    async fn start(simulator: &Simulator, shell: &str, stdin: Stdio) -> Self {
        let [ldap, ldaps, http] = free_addresses();
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("sh")
            .args(["-c", shell, env!("CARGO_BIN_EXE_akldap")])
            .env("AUTHENTIK_HOST", simulator.url())
            .env("AUTHENTIK_TOKEN", simulator.token())
            .env("AUTHENTIK_LISTEN__LDAP", ldap.to_string())
            .env("AUTHENTIK_LISTEN__LDAPS", ldaps.to_string())
            .env("AUTHENTIK_LISTEN__METRICS", http.to_string())
            .env("TMPDIR", folder.path())
            .stdin(stdin)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let served = Self {
            child,
            folder,
            ldap,
            http,
        };
        for _ in 0..600 {
            if served.is_ready().await {
                return served;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never ready: {}", served.log());
    }

    async fn is_ready(&self) -> bool {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let Ok(mut stream) = TcpStream::connect(self.http).await else {
            return false;
        };
        let request = b"GET /ready HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        stream.write_all(request).await.is_ok()
            && stream.read_to_string(&mut answer).await.is_ok()
            && answer.starts_with("HTTP/1.1 200")
    }

    fn log(&self) -> String {
        let mut text = String::new();
        let mut file = std::fs::File::open(self.folder.path().join("log")).unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Hundredths of a second of CPU used so far.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let fields: Vec<&str> = fields.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_low_limit_of_open_files_leaves_room_for_authentik() {
    let simulator = simulator().await;
    let served = Served::start(&simulator, r#"ulimit -n 64; exec "$0" serve"#, Stdio::null()).await;
    let log = served.log();
    assert!(log.contains("allows fewer connections than configured"), "{log}");
    let mut honest = Client::connect(served.ldap).await;
    assert_eq!(honest.read("", &[]).await.outcome.code, 0);
    let mut flood = Vec::new();
    for _ in 0..100 {
        flood.push(TcpStream::connect(served.ldap).await.unwrap());
    }
    // Every place is taken, and still a login finds the descriptors it needs.
    assert_eq!(honest.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    drop(flood);
    let mut later = Client::connect(served.ldap).await;
    assert_eq!(later.bind(&user_dn("bob"), "demo-bob").await.code, 0);
}

#[tokio::test]
async fn running_out_of_descriptors_is_survived_without_spinning() {
    let simulator = simulator().await;
    let served = Served::start(&simulator, r#"exec "$0" serve"#, Stdio::null()).await;
    assert!(served.log().contains("limit of open files"), "{}", served.log());
    let mut honest = Client::connect(served.ldap).await;
    assert_eq!(honest.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    let few = Rlimit {
        current: Some(3),
        maximum: prlimit(Some(served.pid()), Resource::Nofile, no_change(&served))
            .unwrap()
            .maximum,
    };
    let before = prlimit(Some(served.pid()), Resource::Nofile, few).unwrap();
    let waiting = tokio::spawn(timeout(Duration::from_secs(120), {
        let address = served.ldap;
        async move { Client::connect(address).await.read("", &[]).await.outcome.code }
    }));
    let ticks = served.ticks();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(served.ticks() - ticks < 60, "it waits, it does not spin");
    assert!(honest.who_am_i().await.contains("alice"), "the others are served");
    assert!(!waiting.is_finished());
    prlimit(Some(served.pid()), Resource::Nofile, before).unwrap();
    assert_eq!(waiting.await.unwrap().expect("an answer in the end"), 0);
    let log = served.log();
    assert_eq!(log.matches("cannot accept connections").count(), 1, "{log}");
}

/// The limits as the process has them, to ask without changing.
fn no_change(served: &Served) -> Rlimit {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", served.child.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
    Rlimit {
        current: numbers.next(),
        maximum: numbers.next(),
    }
}

#[tokio::test]
async fn sockets_that_systemd_opened_are_used() {
    let simulator = simulator().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = || Stdio::from(OwnedFd::from(listener.try_clone().unwrap()));
    let activate = |names: &str| {
        format!(
            r#"exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={names}; exec "$0" serve"#
        )
    };
    let served = Served::start(&simulator, &activate("ldap"), socket()).await;
    let mut client = Client::connect(address).await;
    assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    assert!(
        TcpStream::connect(served.ldap).await.is_err(),
        "the configured address is not opened beside it"
    );
    drop(served);
    // A socket nobody knows the use of ends the start with a word about it.
    let output = Command::new("sh")
        .args(["-c", &activate("surprise"), env!("CARGO_BIN_EXE_akldap")])
        .env("AUTHENTIK_HOST", simulator.url())
        .env("AUTHENTIK_TOKEN", simulator.token())
        .stdin(socket())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        errors.contains("\"surprise\"") && errors.contains("FileDescriptorName"),
        "{errors}"
    );
}
