//! What signals do to a running server, and what happens to the health check's socket and to everything else on the disk.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use akldap_simulator::{Directory, Options, Simulator};
use akldap_testing::child;
use akldap_testing::client::Client;
use akldap_testing::exercise::skip;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
const BASE: &str = "DC=ldap,DC=goauthentik,DC=io";

/// A server with its own home, current and temporary directory.
struct SignalledServer {
    process: child::Server,
    folder: tempfile::TempDir,
}

impl Deref for SignalledServer {
    type Target = child::Server;

    fn deref(&self) -> &child::Server {
        &self.process
    }
}

impl DerefMut for SignalledServer {
    fn deref_mut(&mut self) -> &mut child::Server {
        &mut self.process
    }
}

impl SignalledServer {
    fn start(simulator: &Simulator, prepare: impl FnOnce(&Path), settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["tmp", "home", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        prepare(folder.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_akldap"));
        command
            .env_clear()
            .env("TMPDIR", folder.path().join("tmp"))
            .env("HOME", folder.path().join("home"))
            .current_dir(folder.path().join("work"))
            .envs(settings.iter().copied());
        Self {
            process: child::Server::start(&mut command, simulator),
            folder,
        }
    }

    async fn login(&self) -> Client {
        let begin = Instant::now();
        let mut client = Client::connect(self.ldap).await;
        while client
            .bind(&format!("cn=alice,ou=users,{BASE}"), "demo-alice")
            .await
            .code
            != 0
        {
            assert!(begin.elapsed() < PATIENCE, "no login: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // A bind needs the provider only; the directory may come later.
        while client.read(BASE, &["dc"]).await.outcome.code != 0 {
            assert!(begin.elapsed() < PATIENCE, "no directory: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        client
    }

    fn health_check(&self) -> Output {
        Command::new(env!("CARGO_BIN_EXE_akldap"))
            .arg("healthcheck")
            .env_clear()
            .env("TMPDIR", self.folder.path().join("tmp"))
            .output()
            .unwrap()
    }
}

async fn simulator() -> Simulator {
    let options = Options {
        record_requests: true,
        ..Options::default()
    };
    Simulator::start(Directory::sample(30, 5), options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signals_that_end_it_tell_every_client() {
    let simulator = simulator().await;
    for signal in [Signal::QUIT, Signal::TERM, Signal::INT] {
        let mut server = SignalledServer::start(&simulator, |_| {}, &[]);
        let mut client = server.login().await;
        server.signal(signal);
        let notice = client.receive().await;
        assert!(
            notice.is_some_and(|message| message.msgid == 0),
            "{signal:?}: a notice of disconnection"
        );
        assert_eq!(server.ended(), Some(0), "{signal:?}: {}", server.log());
        assert_eq!(server.count("shutting down"), 1, "{signal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_asked_for_nothing_does_not_hold_up_the_end() {
    let simulator = simulator().await;
    let settings = [
        ("AUTHENTIK_LDAP__SHUTDOWN_TIMEOUT", "1h"),
        ("AUTHENTIK_LDAP__HANDSHAKE_TIMEOUT", "10m"),
    ];
    let mut server = SignalledServer::start(&simulator, |_| {}, &settings);
    let start_tls = b"\x30\x1d\x02\x01\x02\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    let beginnings: [(SocketAddr, &[u8]); 8] = [
        (server.ldap, b""),
        (server.ldap, b"PROXY TCP4 192.0"),
        (server.ldap, b"\x30\x84"),
        (server.ldap, start_tls),
        (server.ldaps, b""),
        (server.ldaps, b"PROXY TCP4 192.0"),
        (server.ldaps, b"\x16\x03\x01"),
        (server.http, b"GET /ready HTTP/1.1\r\nHo"),
    ];
    let mut silent = Vec::new();
    for (address, octets) in beginnings {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(octets).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        silent.push(stream);
    }
    // Those before it were accepted by then.
    let _client = server.login().await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended(), Some(0), "{}", server.log());
    assert_eq!(server.count("gave up waiting"), 0);
    let mut notice = Vec::new();
    silent[0].read_to_end(&mut notice).unwrap();
    let notice = String::from_utf8_lossy(&notice);
    assert!(notice.contains("shutting down"), "{notice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hang_up_reads_files_again_and_user_2_means_nothing() {
    let simulator = simulator().await;
    let certs = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs");
    let put = |folder: &Path, name: &str| {
        for kind in ["pem", "key"] {
            fs::copy(
                certs.join(format!("{name}.{kind}")),
                folder.join(format!("tls.{kind}")),
            )
            .unwrap();
        }
    };
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "p256");
    fs::write(folder.path().join("tls.token"), simulator.token()).unwrap();
    let file = |kind: &str| {
        folder
            .path()
            .join(format!("tls.{kind}"))
            .to_str()
            .unwrap()
            .to_owned()
    };
    let settings = [
        ("AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE", &*file("pem")),
        ("AUTHENTIK_LDAP__TLS_KEY_FILE", &*file("key")),
        ("AUTHENTIK_TOKEN", &*format!("file://{}", file("token"))),
    ];
    let mut server = SignalledServer::start(&simulator, |_| {}, &settings);
    let mut client = server.login().await;
    put(folder.path(), "rsa2048");
    for _ in 0..3 {
        server.signal(Signal::USR2);
    }
    server.signal(Signal::HUP);
    server.wait_for("SIGHUP");
    server.wait_for("certificate read again");
    server.wait_for("the token was read again from its file and has not changed");
    assert!(client.who_am_i().await.contains("alice"), "nobody is disturbed");
    assert!(server.status().is_none(), "it goes on");
    server.signal(Signal::TERM);
    assert_eq!(server.ended(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ends_at_a_hang_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_akldap"));
    command
        .args(["demo", "--users", "30", "--groups", "5"])
        .env_clear()
        .env("TMPDIR", folder.path());
    for port in ["--ldap", "--ldaps", "--http"] {
        command.args([port, "127.0.0.1:0"]);
    }
    let mut demo = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(demo.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert_eq!(first, "ready\n");
    kill_process(
        Pid::from_raw(i32::try_from(demo.id()).unwrap()).unwrap(),
        Signal::HUP,
    )
    .unwrap();
    let begin = Instant::now();
    while demo.try_wait().unwrap().is_none() {
        if begin.elapsed() > PATIENCE {
            demo.kill().unwrap();
            panic!("it goes on without its terminal");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(demo.wait().unwrap().code(), Some(0), "it drained and left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_somebody_elses_is_named_and_everything_else_is_served() {
    if !geteuid().is_root() {
        skip("only root can give a socket to somebody else");
        return;
    }
    let simulator = simulator().await;
    let mut theirs = None;
    let give_away = |folder: &Path| {
        let path = folder.join("tmp/authentik-metrics.sock");
        theirs = Some(UnixListener::bind(&path).unwrap());
        chown(&path, Some(4242), Some(4242)).unwrap();
    };
    let mut server = SignalledServer::start(&simulator, give_away, &[]);
    let line: Value = serde_json::from_str(&server.wait_for("no health check socket")).unwrap();
    assert_eq!(line["level"], "error");
    assert!(
        line["error"]
            .as_str()
            .unwrap()
            .contains("belongs to user 4242, not to user 0"),
        "{line}"
    );
    drop(server.login().await);
    let check = server.health_check();
    let text = String::from_utf8(check.stderr).unwrap();
    assert_eq!(check.status.code(), Some(1));
    assert!(text.contains("user 4242") && text.lines().count() == 1, "{text}");
    server.signal(Signal::TERM);
    assert_eq!(server.ended(), Some(0));
    let path = server.folder.path().join("tmp/authentik-metrics.sock");
    assert!(path.exists(), "it is not ours to remove");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_but_the_socket_and_nothing_is_left() {
    let simulator = simulator().await;
    let mut server = SignalledServer::start(&simulator, |_| {}, &[]);
    let mut client = server.login().await;
    assert!(
        !client
            .subtree(BASE, "(objectClass=user)", &["cn"])
            .await
            .entries
            .is_empty()
    );
    assert_eq!(
        client
            .bind(&format!("cn=alice,ou=users,{BASE}"), "wrong")
            .await
            .code,
        49
    );
    for signal in [Signal::HUP, Signal::USR1] {
        server.signal(signal);
    }
    server.wait_for("SIGHUP");
    server.wait_for("SIGUSR1");
    assert_eq!(server.health_check().status.code(), Some(0));
    assert_eq!(files_below(server.folder.path()), ["tmp/authentik-metrics.sock"]);
    // The only files it has open are the null device and what the system gave it.
    let open = format!("/proc/{}/fd", server.id());
    for descriptor in fs::read_dir(open).unwrap() {
        let Ok(target) = fs::read_link(descriptor.unwrap().path()) else {
            continue;
        };
        let target = target.display().to_string();
        let harmless = [
            "socket:",
            "pipe:",
            "anon_inode:",
            "/dev/null",
            "/proc/",
            "/dev/urandom",
        ];
        assert!(harmless.iter().any(|start| target.starts_with(start)), "{target}");
    }
    server.signal(Signal::TERM);
    assert_eq!(server.ended(), Some(0));
    assert_eq!(
        files_below(server.folder.path()),
        [""; 0],
        "nothing is left behind"
    );
    // In authentik it only ran the flow and asked; the only traces are the sessions of logins.
    let requests = simulator.requests().to("");
    let changing: BTreeSet<String> = requests
        .iter()
        .filter(|request| request.method != "GET")
        .map(|request| format!("{} {}", request.method, request.path.split('?').next().unwrap()))
        .collect();
    assert!(!requests.is_empty() && changing.len() == 1, "{changing:?}");
    assert!(
        changing
            .first()
            .unwrap()
            .starts_with("POST /api/v3/flows/executor/"),
        "{changing:?}"
    );
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_files_of_the_official_outpost_are_named_once() {
    let simulator = simulator().await;
    let put = |folder: &Path| {
        fs::write(folder.join("work/local.yml"), "log_level: trace").unwrap();
        fs::write(folder.join("work/local.env.yml"), "").unwrap();
    };
    let mut server = SignalledServer::start(&simulator, put, &[]);
    let line: Value = serde_json::from_str(&server.wait_for("are not read here")).unwrap();
    let text = line["event"].as_str().unwrap();
    assert!(text.contains("./local.yml, ./local.env.yml"), "{text}");
    assert_eq!(
        (&line["level"], server.count("are not read here")),
        (&"warning".into(), 1)
    );
}
