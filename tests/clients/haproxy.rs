//! HAProxy in front of three servers, with the configuration of `docs/haproxy.cfg`: one is killed and one is drained
//! under load, and authentik is told the true address of every client.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::{LdapBindCred, LdapBindRequest, LdapMsg, LdapOp};
use rustix::process::Signal;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_util::codec::Framed;

use akldap_simulator::{Directory, Options, Simulator};
use akldap_testing::certificates::{connector, recording_simulator};
use akldap_testing::child::{Server, free_addresses};
use akldap_testing::client::Stream;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::stage::{eventually, user_dn};

/// Clients that log in over and over, each from an address of its own, in turn over LDAP and LDAPS.
const CLIENTS: u8 = 8;
/// How often a client tries a login. Most LDAP libraries and pools try a broken connection again at least once.
const TRIES: usize = 3;

/// A server with its health socket in a folder of its own.
fn server(simulator: &Simulator, folder: &Path, settings: &[(&str, &str)]) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_akldap"));
    command
        .arg("serve")
        .env("TMPDIR", folder)
        .envs(settings.iter().copied());
    Server::start(&mut command, simulator)
}

struct Haproxy(Child);

impl Haproxy {
    /// Starts it with a configuration and waits until it listens on its last address.
    async fn start(folder: &Path, configuration: &str, last: SocketAddr) -> Self {
        let [file, errors] = ["haproxy.cfg", "errors"].map(|name| folder.join(name));
        std::fs::write(&file, configuration).unwrap();
        let haproxy = Command::new("haproxy")
            .args(["-db", "-f", file.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let haproxy = Self(haproxy);
        for _ in 0..400 {
            if TcpStream::connect(last).await.is_ok() {
                return haproxy;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let errors = std::fs::read_to_string(errors).unwrap();
        panic!("HAProxy does not listen: {errors}");
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The documented configuration with the addresses of this test in place of the documented ones.
fn configuration(servers: &[Server; 3], ldap: SocketAddr, ldaps: SocketAddr) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/haproxy.cfg");
    let mut text = std::fs::read_to_string(path).unwrap();
    let mut replace = |from: String, to: String| {
        assert!(text.contains(&from), "{from} is not in docs/haproxy.cfg");
        text = text.replace(&from, &to);
    };
    replace("bind :389\n".into(), format!("bind {ldap}\n"));
    replace("bind :636\n".into(), format!("bind {ldaps}\n"));
    for (number, server) in (1..).zip(servers) {
        let check = format!("check port {}", server.http.port());
        replace(
            format!("akldap{number}.example.org:3389 check port 9300"),
            format!("{} {check}", server.ldap),
        );
        replace(
            format!("akldap{number}.example.org:6636 check port 9300"),
            format!("{} {check}", server.ldaps),
        );
    }
    text
}

async fn connect(from: Ipv4Addr, ldap: SocketAddr, ldaps: Option<SocketAddr>) -> io::Result<Box<dyn Stream>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    let stream = socket.connect(ldaps.unwrap_or(ldap)).await?;
    if ldaps.is_none() {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Box::new(connector().connect(name, stream).await?))
}

/// A login on a new connection; the result code.
async fn login(stream: Box<dyn Stream>) -> io::Result<i32> {
    let mut framed = Framed::new(stream, LdapCodec::default());
    let request = LdapBindRequest {
        dn: user_dn("alice"),
        cred: LdapBindCred::Simple("demo-alice".into()),
        version: 3,
    };
    let message = LdapMsg {
        msgid: 1,
        op: LdapOp::BindRequest(request),
        ctrl: vec![],
    };
    framed.send(message).await?;
    let answer = framed.next().await.ok_or(io::ErrorKind::UnexpectedEof)??;
    match answer.op {
        LdapOp::BindResponse(response) => Ok(response.res.code as i32),
        // A notice of disconnection: the server goes.
        _ => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

#[derive(Default)]
struct Tally {
    logins: AtomicUsize,
    retries: AtomicUsize,
    stop: AtomicBool,
}

async fn log_in_until_told(tally: Arc<Tally>, number: u8, ldap: SocketAddr, ldaps: SocketAddr) {
    let from = Ipv4Addr::new(127, 0, 7, number);
    let mut secure = number.is_multiple_of(2);
    while !tally.stop.load(Ordering::Relaxed) {
        secure = !secure;
        let mut failures = Vec::new();
        loop {
            let attempt = async { login(connect(from, ldap, secure.then_some(ldaps)).await?).await };
            match timeout(Duration::from_secs(10), attempt).await {
                Ok(Ok(0)) => break,
                other => failures.push(format!("{other:?}")),
            }
            assert!(failures.len() < TRIES, "a login failed for good: {failures:?}");
            tally.retries.fetch_add(1, Ordering::Relaxed);
        }
        tally.logins.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits for this many more logins.
async fn progress(tally: &Tally, more: usize) {
    let goal = tally.logins.load(Ordering::Relaxed) + more;
    for _ in 0..1200 {
        if tally.logins.load(Ordering::Relaxed) >= goal {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no progress");
}

#[client_test]
async fn three_servers_behind_haproxy_lose_no_login() {
    let Some(_exercise) = exercise(&[Need::Program("haproxy")]) else {
        return;
    };
    let simulator = recording_simulator().await;
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let servers = folders
        .each_ref()
        .map(|folder| server(&simulator, folder.path(), &[]));
    for server in &servers {
        server.ready().await;
    }
    let [ldap, ldaps] = free_addresses();
    let folder = tempfile::tempdir().unwrap();
    let _haproxy = Haproxy::start(folder.path(), &configuration(&servers, ldap, ldaps), ldaps).await;
    simulator.requests().clear();
    let tally = Arc::new(Tally::default());
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|number| tokio::spawn(log_in_until_told(Arc::clone(&tally), number, ldap, ldaps)))
        .collect();
    progress(&tally, 60).await;
    servers[0].signal(Signal::KILL);
    progress(&tally, 60).await;
    servers[1].signal(Signal::TERM);
    progress(&tally, 60).await;
    tally.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no login failed for good");
    }
    println!(
        "{} logins, {} of them tried again",
        tally.logins.load(Ordering::Relaxed),
        tally.retries.load(Ordering::Relaxed)
    );
    let seen: BTreeSet<String> = simulator
        .requests()
        .to("/flows/executor/")
        .iter()
        // Without a body it may be a look at the flow that is nobody's login.
        .filter(|request| request.method == "POST")
        .map(|request| {
            request
                .header("x-authentik-remote-ip")
                .unwrap_or("none")
                .to_owned()
        })
        .collect();
    let true_addresses: BTreeSet<String> = (1..=CLIENTS).map(|number| format!("127.0.7.{number}")).collect();
    assert_eq!(seen, true_addresses);
}

/// TLS ends in HAProxy, which says so in the header; two servers differ in whether its address is named.
fn ending_tls(fronts: [SocketAddr; 4], named: SocketAddr, unnamed: SocketAddr, pem: &str) -> String {
    let mut text = "global\n    maxconn 100\ndefaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1m\n    \
                    timeout server 1m\n"
        .to_owned();
    let [clear, secure, clear_unnamed, secure_unnamed] = fronts;
    for (name, clear, secure, server) in [
        ("named", clear, secure, named),
        ("unnamed", clear_unnamed, secure_unnamed, unnamed),
    ] {
        text += &format!(
            "frontend {name}\n    bind {clear}\n    bind {secure} ssl crt {pem}\n    default_backend {name}\n\
             backend {name}\n    server only {server} send-proxy-v2-ssl\n"
        );
    }
    text
}

#[client_test]
async fn tls_that_ends_in_haproxy_counts_as_tls_if_its_address_is_named() {
    let Some(_exercise) = exercise(&[Need::Program("haproxy")]) else {
        return;
    };
    let simulator = recording_simulator().await;
    let strict = ("AUTHENTIK_LDAP__REQUIRE_TLS", "true");
    let name = ("AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS", "127.0.0.1/32");
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let named = server(&simulator, folders[0].path(), &[strict, name]);
    let unnamed = server(&simulator, folders[1].path(), &[strict]);
    named.ready().await;
    unnamed.ready().await;
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("pair.pem");
    let certs = concat!(env!("CARGO_MANIFEST_DIR"), "/certs");
    let pair =
        ["p256.pem", "p256.key"].map(|name| std::fs::read_to_string(format!("{certs}/{name}")).unwrap());
    std::fs::write(&pem, pair.concat()).unwrap();
    let fronts = free_addresses();
    let text = ending_tls(fronts, named.ldap, unnamed.ldap, pem.to_str().unwrap());
    let _haproxy = Haproxy::start(folder.path(), &text, fronts[3]).await;
    let from = Ipv4Addr::LOCALHOST;
    let [clear, secure, clear_unnamed, secure_unnamed] = fronts;
    for (front, tls, code, what) in [
        (secure, true, 0, "TLS to a named load balancer"),
        (clear, false, 13, "no TLS to it"),
        (
            secure_unnamed,
            true,
            13,
            "TLS to one that is trusted by default only",
        ),
        (clear_unnamed, false, 13, "no TLS to that one"),
    ] {
        let stream = connect(from, front, tls.then_some(front)).await.expect(what);
        assert_eq!(login(stream).await.expect(what), code, "{what}");
    }
}

/// Two backends with the same server, one asking LDAP and the other `/ready`.
fn two_checks(server: &Server, folder: &Path, front: SocketAddr) -> String {
    let (ldap, http) = (server.ldap, server.http.port());
    let socket = folder.join("admin");
    format!(
        "global\n    stats socket {}\n\
         defaults\n    mode tcp\n    timeout connect 2s\n    timeout client 1m\n    timeout server 1m\n    timeout check 2s\n\
         frontend front\n    bind {front}\n    default_backend by_ready\n\
         backend by_ldap\n    option ldap-check\n    server one {ldap} check inter 100ms fall 1 rise 1\n\
         backend by_ready\n    option httpchk\n    http-check send meth GET uri /ready ver HTTP/1.1 hdr Host akldap\n    \
         http-check expect status 200\n    server one {ldap} check port {http} inter 100ms fall 1 rise 1\n",
        socket.display()
    )
}

/// What HAProxy says of the server in a backend: `UP`, `DOWN`, or on its way to one of them. Nothing while its socket is not there yet:
/// its ports are open first.
fn state_of(folder: &Path, backend: &str) -> Option<String> {
    let mut socket = std::os::unix::net::UnixStream::connect(folder.join("admin")).ok()?;
    io::Write::write_all(&mut socket, b"show stat\n").unwrap();
    let mut table = String::new();
    io::Read::read_to_string(&mut socket, &mut table).unwrap();
    let line = table
        .lines()
        .find(|line| line.starts_with(&format!("{backend},one,")))
        .unwrap();
    Some(line.split(',').nth(17).unwrap().to_owned())
}

#[client_test]
async fn an_ldap_check_says_that_it_listens_and_a_check_of_ready_that_it_can_serve() {
    let Some(_exercise) = exercise(&[Need::Program("haproxy")]) else {
        return;
    };
    // Without a provider it lives and cannot serve.
    let mut directory = Directory::sample(20, 5);
    let providers = std::mem::take(&mut directory.providers);
    let simulator = Simulator::start(directory, Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = server(&simulator, folder.path(), &[]);
    let [front] = free_addresses();
    let _haproxy = Haproxy::start(folder.path(), &two_checks(&server, folder.path(), front), front).await;
    let is =
        |backend: &str, state: &str| state_of(folder.path(), backend).is_some_and(|it| it.starts_with(state));
    let are = |by_ldap: &str, by_ready: &str| is("by_ldap", by_ldap) && is("by_ready", by_ready);
    eventually("only LDAP answers", || are("UP", "DOWN")).await;
    simulator.edit(|directory| directory.providers = providers);
    server.signal(Signal::HUP);
    eventually("both answer", || are("UP", "UP")).await;
}
