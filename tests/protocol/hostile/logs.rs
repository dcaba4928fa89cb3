//! What strangers can make the server write, and what happens to the audit records meanwhile.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use akldap_simulator::{Directory, Options, Simulator};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::hostile::process::Server;
use akldap_testing::client::Client;
use akldap_testing::stage::{BASE, SUFFIX, user_dn};

const PATIENCE: Duration = Duration::from_secs(120);

/// The sample directory in cached bind mode.
fn cached() -> Directory {
    let mut directory = Directory::sample(60, 12);
    for provider in directory.providers.values_mut() {
        provider.bind_mode = "cached".to_owned();
    }
    directory
}

/// A process that ends with its test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn records(log: &str, kind: &str) -> Vec<Value> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["logger"] == "akldap::audit" && line["audit"] == kind)
        .collect()
}

/// A bind request whose DN is `length` octets of `octet`, encoded by hand.
fn bind_request(message_id: u8, octet: u8, length: u16) -> Vec<u8> {
    let mut name = vec![0x04, 0x82];
    name.extend(length.to_be_bytes());
    name.resize(name.len() + usize::from(length), octet);
    let mut body = vec![0x02, 0x01, 0x03];
    body.extend(name);
    body.extend([0x80, 0x01, b'x']);
    let mut message = vec![0x02, 0x01, message_id, 0x60, 0x82];
    message.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    message.extend(body);
    let mut whole = vec![0x30, 0x82];
    whole.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    whole.extend(message);
    whole
}

/// Ends it and waits for its last line.
async fn end(server: &mut Server) -> String {
    let pid = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let begin = Instant::now();
    while server.status().is_none() {
        assert!(begin.elapsed() < PATIENCE, "SIGTERM did not end it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The thread that reads the log may be a moment behind.
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.log()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_long_names_fills_no_log_and_hides_no_login() {
    const FLOOD: usize = 400;
    const LOGINS: usize = 10;
    let mut server = Server::with(cached(), &[]).await;
    let before = server.log().len();
    let address = server.ldap;
    let flood = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = bind_request(1, 1, 60_000);
        for _ in 0..FLOOD {
            stream.write_all(&request).await.unwrap();
            // One answer each: a BindResponse is smaller than this.
            assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
        }
    });
    for _ in 0..LOGINS {
        let mut client = Client::connect(address).await;
        assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    }
    flood.await.unwrap();
    let log = end(&mut server).await;
    let written = log.len() - before;
    println!("{written} octets of log for {FLOOD} binds of 60 kB");
    assert!(written < 100_000, "{written} octets");
    let alice = user_dn("alice");
    let logins = records(&log, "login")
        .into_iter()
        .filter(|line| line["bindDN"] == alice.as_str());
    assert_eq!(logins.count(), LOGINS, "no login is missing");
    let mut refusals = records(&log, "refusal");
    refusals.retain(|line| line["code"] == 50);
    let (counted, single): (Vec<_>, Vec<_>) = refusals.iter().partition(|line| line["repeated"].is_u64());
    let repeated: u64 = counted.iter().filter_map(|line| line["repeated"].as_u64()).sum();
    assert_eq!(
        single.len() as u64 + repeated,
        FLOOD as u64,
        "each is written or counted"
    );
    let shown = single[0]["bindDN"].as_str().unwrap();
    assert!(shown.ends_with("… (60000 octets)"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_log_that_is_not_read_and_the_loss_is_told_and_counted() {
    // More records than the pipe and the queue of 1 MiB hold.
    const BINDS: usize = 6_000;
    let simulator = Simulator::start(cached(), Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [ldap, http] = [(); 2].map(|()| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    });
    let child = Command::new(env!("CARGO_BIN_EXE_akldap"))
        .env_clear()
        .env("AUTHENTIK_HOST", simulator.url())
        .env("AUTHENTIK_TOKEN", simulator.token())
        .env("AUTHENTIK_LISTEN__LDAP", ldap.to_string())
        .env("AUTHENTIK_LISTEN__LDAPS", "127.0.0.1:0")
        .env("AUTHENTIK_LISTEN__METRICS", http.to_string())
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    let mut stderr = child.0.stderr.take().unwrap();
    let begin = Instant::now();
    let dn = user_dn("alice");
    let mut client = loop {
        assert!(begin.elapsed() < PATIENCE, "never ready");
        if TcpStream::connect(ldap).await.is_ok() {
            let mut client = Client::connect(ldap).await;
            if client.bind(&dn, "demo-alice").await.code == 0 {
                break client;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    for _ in 0..BINDS {
        assert_eq!(client.bind(&dn, "demo-alice").await.code, 0);
    }
    let mut metrics = TcpStream::connect(http).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    metrics.write_all(request).await.unwrap();
    let mut text = String::new();
    metrics.read_to_string(&mut text).await.unwrap();
    let lost: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("akldap_log_lines_lost_total{lines=\"audit\"} "))
        .unwrap()
        .parse()
        .unwrap();
    assert!(lost > 0, "{BINDS} records fit; the test needs more");
    // The reader of the log comes back.
    let reader = std::thread::spawn(move || {
        let mut log = String::new();
        stderr.read_to_string(&mut log).map(|_| log)
    });
    assert_eq!(client.bind(&dn, "demo-alice").await.code, 0);
    let pid = Pid::from_raw(i32::try_from(child.0.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    child.0.wait().unwrap();
    let log = reader.join().unwrap().unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("no line is torn"))
        .collect();
    let told = lines
        .iter()
        .position(|line| line["audit_records"].is_u64())
        .expect("the loss is told");
    // The last bind came before or after the reader did.
    let all_told: u64 = lines
        .iter()
        .filter_map(|line| line["audit_records"].as_u64())
        .sum();
    assert!(
        (lost..=lost + 1).contains(&all_told),
        "{all_told} told, {lost} counted"
    );
    let logins = |lines: &[Value]| lines.iter().filter(|line| line["audit"] == "login").count() as u64;
    let before = logins(&lines[..told]);
    // The pipe and the piece that was being written come before; whatever waited comes after the number.
    assert!(before < logins(&lines[told..]), "it is the first line afterwards");
    assert_eq!(
        logins(&lines) + all_told,
        BINDS as u64 + 2,
        "each record is written or counted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_name_connection_client_and_request() {
    let mut server = Server::with(cached(), &[("AUTHENTIK_LDAP__AUDIT_SEARCHES", "true")]).await;
    let mut client = Client::connect(server.ldap).await;
    assert_eq!(client.bind(&user_dn("bob"), "demo-bob").await.code, 0);
    let found = client.subtree(BASE, "(cn=bob)", &["cn", "mail"]).await;
    assert!(!found.entries.is_empty());
    let mut other = Client::connect(server.ldap).await;
    assert_eq!(other.bind(&user_dn("bob"), "wrong").await.code, 49);
    let refused = other.subtree(BASE, "(objectClass=*)", &["*"]).await;
    assert_eq!(refused.outcome.code, 50);
    // Deactivated: the next look at the directory withdraws the login and closes its connection.
    server.simulator.edit(|directory| {
        let pk = directory.user_named("bob").unwrap().pk;
        directory.change_user(pk, |bob| bob.is_active = false);
    });
    let pid = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    kill_process(pid, Signal::USR1).unwrap();
    assert!(client.receive().await.is_some(), "a notice");
    // A bind that nobody judges is refused, too: LDAPv2, and one that cannot be read.
    let mut stream = TcpStream::connect(server.ldap).await.unwrap();
    for octets in [
        &[
            0x30, 0x0d, 0x02, 0x01, 0x01, 0x60, 0x08, 0x02, 0x01, 0x02, 0x04, 0x01, b'x', 0x80, 0x00,
        ][..],
        &[0x30, 0x08, 0x02, 0x01, 0x02, 0x60, 0x03, 0x02, 0x01, 0x03],
    ] {
        stream.write_all(octets).await.unwrap();
        assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
    }
    let log = end(&mut server).await;
    let mut unjudged = records(&log, "refusal");
    unjudged.retain(|line| line["reason"] == "protocol_error");
    let names: Vec<&Value> = unjudged.iter().map(|line| &line["bindDN"]).collect();
    assert_eq!(names, ["x", ""]);
    assert!(unjudged.iter().all(|line| line["code"] == 2), "{unjudged:?}");
    // Logins and refusals have the name as sent, a revocation that of the entry.
    let of_bob = |kind| -> Vec<Value> {
        let dn = match kind {
            "revocation" => format!("cn=bob,ou=users,{SUFFIX}"),
            _ => user_dn("bob"),
        };
        let mut all = records(&log, kind);
        all.retain(|line| line["bindDN"] == dn.as_str());
        all
    };
    let [login] = of_bob("login").try_into().unwrap();
    let number = login["connection"].as_u64().unwrap();
    assert_eq!(login["requestId"], format!("{number}-1"));
    assert_eq!(
        (&login["client"], &login["level"]),
        (&"127.0.0.1".into(), &"info".into())
    );
    assert!(login["took-ms"].is_f64() && login["user"].is_i64() && login["provider"].is_string());
    let [refusal] = of_bob("refusal").try_into().unwrap();
    assert_eq!(refusal["connection"], number + 1);
    assert_eq!(
        (&refusal["code"], &refusal["reason"]),
        (&49.into(), &"invalid_credentials".into())
    );
    let searches: Vec<Value> = records(&log, "search");
    let [done, denied] = &searches[..] else {
        panic!("{searches:?}")
    };
    assert_eq!(
        (&done["connection"], &done["requestId"]),
        (&number.into(), &format!("{number}-2").into())
    );
    assert_eq!(
        (&done["filter"], &done["baseDN"]),
        (&"(cn=bob)".into(), &BASE.into())
    );
    assert_eq!(
        (&done["attributes"], &done["entries"], &done["code"]),
        (&"cn mail".into(), &found.entries.len().into(), &0.into())
    );
    assert_eq!((&denied["code"], &denied["bindDN"]), (&50.into(), &"".into()));
    let [closed] = of_bob("revocation").try_into().unwrap();
    assert_eq!(closed["connection"], number);
    let withdrawn = records(&log, "revocation");
    assert!(
        withdrawn
            .iter()
            .any(|line| line["user"] == login["user"] && line["cause"].is_string()),
        "{withdrawn:?}"
    );
}
