//! A faithful authentik for `akldap demo`, the tests and the benches: HTTP API, flows with sessions, websocket.
//!
//! It knows what an LDAP outpost sees of authentik 2026.5, and answers as a real one did when it was recorded. It must not
//! know anything about the server under test, and imports none of our other crates.
//!
//! ```
//! use akldap_simulator::{Directory, Endpoint, Fault, Options, Rule, Simulator, When};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::TcpStream;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let simulator = Simulator::start(Directory::sample(200, 25), Options::default()).await?;
//! println!("AUTHENTIK_HOST={} AUTHENTIK_TOKEN={}", simulator.url(), simulator.token());
//!
//! // Change the directory while it runs …
//! let pk = simulator.create_user("carol", "Carol", "carol@example.com");
//! simulator.set_password(pk, "secret");
//! simulator.join(pk, "engineering");
//! // … and spoil answers: the second list of users fails.
//! simulator.faults().add(Rule::new("/core/users/", Fault::WorkerLost).when(When::Nth(2)));
//!
//! // Ask it as any client would.
//! let mut stream = TcpStream::connect(simulator.address()).await?;
//! let request = "GET /api/v3/root/config/ HTTP/1.1\r\nhost: authentik\r\nconnection: close\r\n\r\n";
//! stream.write_all(request.as_bytes()).await?;
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer).await?;
//! assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
//! assert_eq!(simulator.requests().count(Endpoint::UserList), 0);
//! simulator.shutdown().await;
//! # Ok(())
//! # }
//! ```

// Lints that tests need not follow; `Cargo.toml` at the top says which.
#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::too_many_lines,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod access;
mod api;
mod attributes;
mod caller;
mod certificates;
mod clock;
mod control;
mod cost;
mod device_offer;
mod devices;
mod directory;
mod endpoints;
mod executor;
mod faults;
mod field_errors;
mod filters;
mod flows;
mod group_list;
mod groups;
mod new_password;
mod orders;
mod outcome;
mod pages;
mod passwords;
mod permissions;
mod plan;
mod query;
mod recorded_flows;
mod recordings;
mod reply;
mod report;
mod request;
mod request_log;
mod sample;
mod service;
mod sessions;
mod stages;
mod state;
mod text;
mod transport;
mod user_list;
mod users;
mod websocket;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use access::{Application, Binding, Outpost, Provider, Role};
pub use attributes::Attributes;
pub use certificates::{Certificate, CertificateError, KeyAlgorithm, KeyForm};
pub use cost::Cost;
pub use devices::{Device, DeviceKind, DuoOutcome, base32, totp_code};
pub use directory::{Directory, UserSetting, VERSION};
pub use faults::{Fault, Faults, Rule, When};
pub use flows::{
    Flow, Identification, NewPassword, NotConfigured, PASSWORD_CHANGE, Requirement, Stage, StageBinding,
    UserLogin,
};
pub use groups::Group;
pub use recordings::RecordingsError;
pub use report::{REPORT_EVERYBODY, REPORT_USERS};
pub use request_log::{Endpoint, RecordedRequest, Requests};
pub use sample::{DemoSecrets, demo_secrets};
pub use sessions::Session;
pub use users::{Password, User, UserType};
pub use websocket::Hello;

use service::Core;
use state::State;
use transport::ListenerHandle;

/// How a simulator is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Time added before every answer.
    pub latency: Duration,
    /// Keep every request from the start.
    pub record_requests: bool,
    /// Speak https with this configuration.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Rows per page when no number is asked for.
    pub default_page_size: usize,
    /// The most rows per page.
    pub max_page_size: usize,
    /// What every password check costs; a real one takes about 190 ms of CPU.
    pub hash_cost: Duration,
    /// What every answer costs, pages above all.
    pub cost: Cost,
    /// Time between a change and the websocket frame it causes.
    pub push_delay: Duration,
    /// Close all websockets with 1012 each time this many requests were served, as recycled workers do; 0: never.
    pub recycle_after: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            latency: Duration::ZERO,
            record_requests: false,
            tls: None,
            default_page_size: 20,
            max_page_size: 100,
            hash_cost: Duration::ZERO,
            cost: Cost::default(),
            push_delay: Duration::ZERO,
            recycle_after: 0,
        }
    }
}

/// A running simulator. Dropping it stops it too, at once.
#[derive(Debug)]
pub struct Simulator {
    core: Arc<Core>,
    listener: Arc<ListenerHandle>,
    address: SocketAddr,
    secure: bool,
    server: JoinHandle<()>,
}

impl Simulator {
    /// Starts serving this directory.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn start(directory: Directory, options: Options) -> io::Result<Self> {
        let secure = options.tls.is_some();
        let (incoming, listener) = transport::listen(options.listen, options.tls).await?;
        let address = incoming.address;
        let (paused, _) = watch::channel(false);
        let core = Arc::new(Core {
            state: Arc::new(RwLock::new(State {
                directory,
                ..State::default()
            })),
            clock: Arc::default(),
            faults: Faults::default(),
            requests: Requests::default(),
            hub: Arc::default(),
            paused,
            starting: false.into(),
            default_page_size: options.default_page_size,
            max_page_size: options.max_page_size.into(),
            hash_cost: clock::micros(options.hash_cost).into(),
            workers: cost::Workers::new(options.cost),
            recycle_after: options.recycle_after,
            served: 0.into(),
            push_delay: options.push_delay,
            disorder: 0.into(),
        });
        core.faults.set_latency(options.latency);
        core.requests.record(options.record_requests);
        let service =
            service::router(Arc::clone(&core)).into_make_service_with_connect_info::<transport::Peer>();
        let stop = listener.stop.clone();
        let server = tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = axum::serve(incoming, service) => {}
            }
        });
        Ok(Self {
            core,
            listener,
            address,
            secure,
            server,
        })
    }

    /// `http://127.0.0.1:port`, to be used as `AUTHENTIK_HOST`.
    pub fn url(&self) -> String {
        format!(
            "{}://{}",
            if self.secure { "https" } else { "http" },
            self.address
        )
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The faults in effect; add and remove them here.
    pub fn faults(&self) -> &Faults {
        &self.core.faults
    }

    /// The log of requests.
    pub fn requests(&self) -> &Requests {
        &self.core.requests
    }

    /// Every hello received over a websocket, oldest first.
    pub fn hellos(&self) -> Vec<Hello> {
        self.core.hub.hellos()
    }

    /// Websockets open now.
    pub fn websockets(&self) -> usize {
        self.core.hub.open_count()
    }

    /// Websockets ever accepted.
    pub fn websocket_connects(&self) -> u64 {
        self.core.hub.connects()
    }

    /// Stops serving and resets what is still connected.
    pub async fn shutdown(mut self) {
        self.listener.stop.cancel();
        self.listener.set_open(false);
        let _ = (&mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.listener.stop.cancel();
        self.listener.set_open(false);
    }
}
