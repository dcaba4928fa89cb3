//! The program as a separate process, which can be killed.

use std::path::Path;
use std::process::Command;

use akldap_simulator::Simulator;
use akldap_testing::child::Server;

/// A server of this simulator; returns as soon as its ports are open.
pub fn start(simulator: &Simulator, temporary: &Path, snapshot_file: &Path) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_akldap"));
    command
        .arg("serve")
        .env_clear()
        .env("AUTHENTIK_LDAP__SNAPSHOT_FILE", snapshot_file)
        // Looks come when a test asks for them, however long it takes.
        .env("AUTHENTIK_LDAP__REFRESH_DELTA_INTERVAL", "0")
        .env("TMPDIR", temporary);
    Server::start(&mut command, simulator)
}
