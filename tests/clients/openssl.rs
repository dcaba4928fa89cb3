//! `openssl s_client`, with which administrators look at a certificate.

use tokio::process::Command;

use crate::transport::{AUTHORITY, STRANGER, Target, Transport, over_tls};
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::{command, run};

over_tls! {
    /// A verified certificate over LDAPS, with TLS 1.3 and with 1.2 alone; a connection that is closed in order.
    over_ldaps,
    /// The same with `-starttls ldap`.
    over_start_tls: shows_the_certificate
}

fn client(target: &Target, authority: &str, version: &str) -> Command {
    let mut command = command("openssl");
    command
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", target.port())])
        .args([
            "-CAfile",
            authority,
            "-verify_ip",
            "127.0.0.1",
            "-verify_return_error",
            version,
        ]);
    if target.transport == Transport::StartTls {
        command.args(["-starttls", "ldap"]);
    }
    command
}

async fn shows_the_certificate(transport: Transport) {
    let Some(_exercise) = exercise(&[Need::Program("openssl")]) else {
        return;
    };
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    for (version, spoken) in [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")] {
        let shown = run(&mut client(&target, AUTHORITY, version)).await.expect(0);
        for said in [
            "Verify return code: 0 (ok)",
            "CN = localhost",
            &format!("New, {spoken}, "),
        ] {
            assert!(shown.text.contains(said), "{said}: {shown:?}");
        }
        let refused = run(&mut client(&target, STRANGER, version)).await;
        assert_ne!(refused.code, 0, "{refused:?}");
    }
}
