//! How a client reaches the server: in clear, over LDAPS, or with StartTLS; and whose certificates it trusts.
//!
//! A test in clear goes through the recorder. Over TLS the server refuses binds in clear, so that a client which does not begin
//! TLS cannot pass.

use std::net::SocketAddr;

use akldap::config::StringMap;
use akldap_simulator::Directory;

use tokio::process::Command;

use crate::recorder::{DEMO, Recorder};
use crate::setting::{demo_directory, with_certificate};
use akldap_testing::program::run;
use akldap_testing::stage::Stage;

/// The authority of the server's certificate.
pub const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/ca.pem");
/// A certificate that says nothing about the server's.
pub const STRANGER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/expired.pem");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Clear,
    Ldaps,
    StartTls,
}

impl Transport {
    /// The server of the demo, for clients that come this way.
    pub async fn demo(self) -> Stage {
        self.stage(demo_directory()).await
    }

    /// A server of this directory, with the test certificate, for clients that come this way.
    pub async fn stage(self, directory: Directory) -> Stage {
        Stage::with(with_certificate(directory), |settings| self.set(settings)).await
    }

    /// The same server, which speaks no older version of TLS than 1.3: where a client is told to speak 1.2 alone, this one must
    /// refuse it.
    pub async fn requiring_tls_1_3(self) -> Stage {
        Stage::with(with_certificate(demo_directory()), |settings| {
            self.set(settings);
            settings.set("AUTHENTIK_LDAP__TLS_MIN_VERSION", "1.3");
        })
        .await
    }

    /// What the server's settings have to say.
    pub fn set(self, settings: &mut StringMap) {
        settings.set("AUTHENTIK_LDAP__REQUIRE_TLS", self.is_secure().to_string());
    }

    pub fn is_secure(self) -> bool {
        self != Self::Clear
    }

    /// Where a client connects that comes this way.
    pub async fn to(self, stage: &Stage) -> Target {
        let recorder = match self {
            Self::Clear => Some(Recorder::start(stage.ldap()).await),
            Self::Ldaps | Self::StartTls => None,
        };
        let address = match (&recorder, self) {
            (Some(recorder), _) => recorder.address(),
            (None, Self::Ldaps) => stage.ldaps(),
            (None, _) => stage.ldap(),
        };
        Target {
            transport: self,
            address,
            recorder,
        }
    }

    /// One of three texts, the one for this transport.
    pub fn choose<'a>(self, clear: &'a str, ldaps: &'a str, start_tls: &'a str) -> &'a str {
        match self {
            Self::Clear => clear,
            Self::Ldaps => ldaps,
            Self::StartTls => start_tls,
        }
    }
}

/// The two tests that have a client do over LDAPS and over StartTLS what it does in clear: their names, each below what it says in
/// `docs/compatibility.md`, and the function that is given the transport.
macro_rules! over_tls {
    ($(#[$of_ldaps:meta])* $ldaps:ident, $(#[$of_start_tls:meta])* $start_tls:ident: $over:ident) => {
        $(#[$of_ldaps])*
        #[akldap_testing::client_test::client_test]
        async fn $ldaps() {
            $over($crate::transport::Transport::Ldaps).await;
        }

        $(#[$of_start_tls])*
        #[akldap_testing::client_test::client_test]
        async fn $start_tls() {
            $over($crate::transport::Transport::StartTls).await;
        }
    };
}
pub(crate) use over_tls;

/// A port of the server, or of the recorder before it.
pub struct Target {
    pub transport: Transport,
    address: SocketAddr,
    recorder: Option<Recorder>,
}

impl Target {
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// By address: libldap puts the name of the machine in the place of "localhost" when it looks at the certificate.
    pub fn uri(&self) -> String {
        let scheme = self.transport.choose("ldap", "ldaps", "ldap");
        format!("{scheme}://{}", self.address)
    }

    /// What the scripts take: the URI, the transport, and the file of the authority to trust.
    pub fn arguments(&self, authority: &str) -> [String; 3] {
        let name = self.transport.choose("clear", "ldaps", "start_tls");
        [self.uri(), name.to_owned(), authority.to_owned()]
    }

    /// Stores what has passed as a fixture, see [`Recorder::keep`]; over TLS nothing can be read.
    pub fn keep(&self, client: &str, scene: &str, version: &str) {
        if let Some(recorder) = &self.recorder {
            recorder.keep(client, scene, version, DEMO);
        }
    }
}

/// Runs a script that does not trust the server's authority: it must get nothing. That it works with the right one shows why.
pub async fn distrusts(script: &mut Command) {
    let output = run(script).await;
    assert!(output.code != 0 && output.text.is_empty(), "{output:?}");
}
