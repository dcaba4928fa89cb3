//! The process and its descriptors: a low limit, running out of them, sockets from systemd.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::net::TcpStream;
use tokio::time::timeout;

use akldap_testing::certificates::recording_simulator;
use akldap_testing::child::Server;
use akldap_testing::client::Client;
use akldap_testing::stage::user_dn;

/// `akldap serve` through a shell line in which `"$0"` is the binary.
fn through(shell: &str, temporary: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", shell, env!("CARGO_BIN_EXE_akldap")])
        .env("TMPDIR", temporary);
    command
}

/// Hundredths of a second of CPU used so far.
fn ticks(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn pid(server: &Server) -> Pid {
    Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_low_limit_of_open_files_leaves_room_for_authentik() {
    let simulator = recording_simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = through(r#"ulimit -n 64; exec "$0" serve"#, folder.path());
    let mut served = Server::start(&mut command, &simulator);
    served.ready().await;
    served.wait_for("allows fewer connections than configured");
    let mut honest = Client::connect(served.ldap).await;
    assert_eq!(honest.read("", &[]).await.outcome.code, 0);
    let mut flood = Vec::new();
    for _ in 0..100 {
        flood.push(TcpStream::connect(served.ldap).await.unwrap());
    }
    // Every connection is taken, and a login still finds the descriptors it needs.
    assert_eq!(honest.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    drop(flood);
    let mut later = Client::connect(served.ldap).await;
    assert_eq!(later.bind(&user_dn("bob"), "demo-bob").await.code, 0);
}

#[tokio::test]
async fn running_out_of_descriptors_is_survived_without_spinning() {
    let simulator = recording_simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let mut served = Server::start(&mut through(r#"exec "$0" serve"#, folder.path()), &simulator);
    served.ready().await;
    served.wait_for("limit of open files");
    let mut honest = Client::connect(served.ldap).await;
    assert_eq!(honest.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    let few = Rlimit {
        current: Some(3),
        maximum: prlimit(Some(pid(&served)), Resource::Nofile, no_change(&served))
            .unwrap()
            .maximum,
    };
    let before = prlimit(Some(pid(&served)), Resource::Nofile, few).unwrap();
    let waiting = tokio::spawn(timeout(Duration::from_secs(120), {
        let address = served.ldap;
        async move { Client::connect(address).await.read("", &[]).await.outcome.code }
    }));
    let before_the_wait = ticks(&served);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(
        ticks(&served) - before_the_wait < 60,
        "it waits, it does not spin"
    );
    assert!(honest.who_am_i().await.contains("alice"), "the others are served");
    assert!(!waiting.is_finished());
    prlimit(Some(pid(&served)), Resource::Nofile, before).unwrap();
    assert_eq!(waiting.await.unwrap().expect("an answer in the end"), 0);
    assert_eq!(served.count("cannot accept connections"), 1, "{}", served.log());
}

/// The limits as the process has them, to ask without changing.
fn no_change(served: &Server) -> Rlimit {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", served.id())).unwrap();
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
    let simulator = recording_simulator().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = || Stdio::from(OwnedFd::from(listener.try_clone().unwrap()));
    let activate = |names: &str| {
        format!(
            r#"exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={names}; exec "$0" serve"#
        )
    };
    let folder = tempfile::tempdir().unwrap();
    // Somebody else has the configured address: to open it beside the socket would end the start.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = through(&activate("ldap"), folder.path());
    command.env("AUTHENTIK_LISTEN__LDAP", taken.local_addr().unwrap().to_string());
    let served = Server::start_with(&mut command, &simulator, socket());
    served.ready().await;
    assert_eq!(served.ldap, address);
    let mut client = Client::connect(address).await;
    assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    drop(served);
    // A socket of unknown use stops the start with a message about it.
    let output = through(&activate("surprise"), folder.path())
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
