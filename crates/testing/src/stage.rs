//! A server in front of a simulated authentik, both in this process, on free ports.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use akldap::config::{Config, StringMap};
use akldap::server::Server;
use akldap_simulator::{Directory, Endpoint, Options, Simulator};

use crate::client::{Client, Outcome};

pub const BASE: &str = "DC=ldap,DC=goauthentik,DC=io";
pub const SUFFIX: &str = "dc=ldap,dc=goauthentik,dc=io";

pub fn user_dn(name: &str) -> String {
    format!("cn={name},ou=users,{BASE}")
}

/// The DN of a user's entry, as searches show it.
pub fn entry_dn(name: &str) -> String {
    format!("cn={name},ou=users,{SUFFIX}")
}

/// Settings for a server of this simulator on free loopback ports.
pub fn settings(simulator: &Simulator, temporary: &tempfile::TempDir) -> StringMap {
    let mut settings = StringMap::default();
    settings.set("AUTHENTIK_HOST", simulator.url());
    settings.set("AUTHENTIK_TOKEN", simulator.token());
    for name in ["LDAP", "LDAPS", "METRICS"] {
        settings.set(format!("AUTHENTIK_LISTEN__{name}"), "127.0.0.1:0");
    }
    settings.set("TMPDIR", temporary.path().to_str().unwrap());
    settings
}

pub struct Stage {
    pub simulator: Simulator,
    pub server: Server,
    pub temporary: tempfile::TempDir,
}

impl Stage {
    /// The sample directory, loaded.
    pub async fn sample() -> Self {
        Self::with(Directory::sample(60, 12), |_| {}).await
    }

    /// Any directory and more settings; returns when the server is ready.
    pub async fn with(directory: Directory, change: impl FnOnce(&mut StringMap)) -> Self {
        let options = Options {
            record_requests: true,
            ..Options::default()
        };
        let simulator = Simulator::start(directory, options).await.unwrap();
        let stage = Self::of(simulator, change).await;
        stage.ready().await;
        stage
    }

    /// A server of this simulator, not necessarily ready.
    pub async fn of(simulator: Simulator, change: impl FnOnce(&mut StringMap)) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut settings = settings(&simulator, &temporary);
        change(&mut settings);
        let config = Config::read(&settings).unwrap();
        let server = Server::start(config, None).await.unwrap();
        Self {
            simulator,
            server,
            temporary,
        }
    }

    pub async fn ready(&self) {
        eventually("the server is ready", || self.server.outpost().is_ready()).await;
    }

    /// Waits until a server that has just started asks for nothing more by itself: the events are followed, what
    /// their first connection has read again is being read, and the bind flow was looked at.
    pub async fn settled(&self) {
        let requests = self.simulator.requests();
        eventually("the first connection to the events has led to a look", || {
            self.simulator.websockets() > 0 && requests.count(Endpoint::OutpostInstances) >= 2
        })
        .await;
        self.flow_known().await;
    }

    /// Waits until the bind flow was looked at, which is done alongside everything else. Afterwards its first stage is
    /// known.
    pub async fn flow_known(&self) {
        let requests = self.simulator.requests();
        eventually("the flow was looked at", || {
            requests.count(Endpoint::FlowExecutor) > 0 && requests.under_way(Endpoint::FlowExecutor) == 0
        })
        .await;
        // The answer is in the socket, and read whenever this thread has nothing else to do.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }

    pub fn ldap(&self) -> SocketAddr {
        self.server.addresses().ldap[0]
    }

    pub fn ldaps(&self) -> SocketAddr {
        self.server.addresses().ldaps[0]
    }

    pub fn http(&self) -> SocketAddr {
        self.server.addresses().http[0]
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.ldap()).await
    }

    /// A client bound as one of the sample's people.
    pub async fn bound(&self, username: &str) -> Client {
        let mut client = self.client().await;
        let outcome = client.bind(&user_dn(username), &format!("demo-{username}")).await;
        assert_eq!(outcome.code, 0, "{outcome:?}");
        client
    }

    pub async fn bind(&self, dn: &str, password: &str) -> Outcome {
        self.client().await.bind(dn, password).await
    }

    /// Loads the directory again and waits until that is done.
    pub async fn refresh(&self) {
        let asked = SystemTime::now();
        self.server.outpost().refresh_requests().all();
        eventually("the directory was loaded", || {
            self.server.outpost().status().directory().read > Some(asked)
        })
        .await;
    }
}

/// After this long something will never become true, however busy the machine.
pub const NEVER: Duration = Duration::from_secs(120);

/// Waits until something is true; fails after [`NEVER`].
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < NEVER, "it never came true: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
