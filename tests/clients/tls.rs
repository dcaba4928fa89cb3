//! What `openssl s_client` sees: versions, suites, chains, certificates by name, renewal, resumption.

use std::fs::File;
use std::net::SocketAddr;

use akldap_simulator::{Certificate, Directory, KeyAlgorithm, KeyForm};
use uuid::Uuid;

use akldap_testing::certificates::{connector, ldaps, pair, path, serving, with_second_provider};
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::{Output, command, run};
use akldap_testing::stage::{Stage, eventually, user_dn};

/// An unbind request: the server closes, so that the client has seen the session tickets before it ends.
const UNBIND: [u8; 7] = [0x30, 0x05, 0x02, 0x01, 0x01, 0x42, 0x00];

async fn s_client(address: SocketAddr, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let request = folder.path().join("unbind");
    std::fs::write(&request, UNBIND).unwrap();
    let mut command = command("openssl");
    command
        .args(["s_client", "-connect", &address.to_string(), "-ign_eof"])
        .args(arguments)
        .stdin(File::open(&request).unwrap());
    run(&mut command).await
}

/// What was agreed on, as `TLSv1.3 TLS_AES_256_GCM_SHA384`; `None` if nothing was.
fn agreed(output: &Output) -> Option<String> {
    let line = output.text.lines().find(|line| line.contains(", Cipher is "))?;
    let (before, suite) = line.split_once(", Cipher is ")?;
    let (_, version) = before.split_once(", ")?;
    (suite != "(NONE)").then(|| format!("{version} {suite}"))
}

#[client_test]
async fn the_offered_versions_and_suites_are_the_documented_ones() {
    let Some(_exercise) = exercise(&[Need::Program("openssl")]) else {
        return;
    };
    for (certificate, kind) in [("p256", "ECDSA"), ("rsa2048", "RSA")] {
        let stage = Stage::with(serving(Directory::sample(0, 0), pair(certificate)), |_| {}).await;
        let port = stage.ldaps();
        for suite in [
            "TLS_AES_256_GCM_SHA384",
            "TLS_AES_128_GCM_SHA256",
            "TLS_CHACHA20_POLY1305_SHA256",
        ] {
            let output = s_client(port, &["-tls1_3", "-ciphersuites", suite]).await;
            assert_eq!(agreed(&output), Some(format!("TLSv1.3 {suite}")), "{output:?}");
        }
        for cipher in ["AES256-GCM-SHA384", "AES128-GCM-SHA256", "CHACHA20-POLY1305"] {
            let suite = format!("ECDHE-{kind}-{cipher}");
            let output = s_client(port, &["-tls1_2", "-cipher", &suite]).await;
            assert_eq!(agreed(&output), Some(format!("TLSv1.2 {suite}")), "{output:?}");
        }
        // Without authentication of the data, without forward secrecy, or both.
        for cipher in [
            format!("ECDHE-{kind}-AES128-SHA"),
            format!("ECDHE-{kind}-AES256-SHA384"),
            "AES128-GCM-SHA256".to_owned(),
            "AES256-SHA".to_owned(),
        ] {
            let output = s_client(port, &["-tls1_2", "-cipher", &cipher]).await;
            assert_eq!(agreed(&output), None, "{output:?}");
            assert!(
                output.errors.contains("alert handshake failure"),
                "the server refuses: {}",
                output.errors
            );
        }
        for old in ["-tls1", "-tls1_1"] {
            let output = s_client(port, &[old, "-cipher", "ALL:@SECLEVEL=0"]).await;
            assert_eq!(agreed(&output), None, "{output:?}");
            let refused = ["alert protocol version", "alert handshake failure"];
            assert!(
                refused.iter().any(|alert| output.errors.contains(alert)),
                "the server refuses: {}",
                output.errors
            );
        }
    }
}

#[client_test]
async fn options_narrow_what_is_offered_on_both_ports() {
    let Some(_exercise) = exercise(&[Need::Program("openssl")]) else {
        return;
    };
    let directory = || serving(Directory::sample(0, 0), pair("p256"));
    let stage = Stage::with(directory(), |settings| {
        settings.set("AUTHENTIK_LDAP__TLS_MIN_VERSION", "1.3");
        settings.set("AUTHENTIK_LDAP__TLS_CIPHER_SUITES", "TLS_AES_128_GCM_SHA256");
    })
    .await;
    let start_tls = ["-starttls", "ldap"];
    for (port, how) in [(stage.ldaps(), &[][..]), (stage.ldap(), &start_tls)] {
        let output = s_client(port, how).await;
        assert_eq!(agreed(&output).as_deref(), Some("TLSv1.3 TLS_AES_128_GCM_SHA256"));
        let output = s_client(port, &[how, &["-tls1_2"]].concat()).await;
        assert_eq!(agreed(&output), None, "{output:?}");
        let output = s_client(
            port,
            &[how, &["-ciphersuites", "TLS_AES_256_GCM_SHA384"]].concat(),
        )
        .await;
        assert_eq!(agreed(&output), None, "{output:?}");
    }
    // A list that says no suite of TLS 1.3 leaves 1.2; its order is the server's preference.
    let stage = Stage::with(directory(), |settings| {
        settings.set(
            "AUTHENTIK_LDAP__TLS_CIPHER_SUITES",
            "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256",
        );
    })
    .await;
    let ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305";
    let output = s_client(stage.ldaps(), &["-cipher", ciphers]).await;
    assert_eq!(
        agreed(&output).as_deref(),
        Some("TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305")
    );
}

#[client_test]
async fn the_chain_is_sent_as_it_is_stored() {
    let Some(_exercise) = exercise(&[Need::Program("openssl")]) else {
        return;
    };
    for (algorithm, form) in [
        (KeyAlgorithm::Ec, KeyForm::Traditional),
        (KeyAlgorithm::Ec, KeyForm::Pkcs8),
        (KeyAlgorithm::Rsa, KeyForm::Traditional),
        (KeyAlgorithm::Rsa, KeyForm::Pkcs8),
    ] {
        let chain = Certificate::generate_chain(Uuid::from_u128(9), &["ldap.test"], algorithm, form).unwrap();
        let (_, authority) = chain
            .certificate_pem
            .split_once("-----END CERTIFICATE-----\n")
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let trusted = folder.path().join("authority.pem");
        std::fs::write(&trusted, authority).unwrap();
        let stage = Stage::with(serving(Directory::sample(0, 0), chain), |_| {}).await;
        let verify = ["-showcerts", "-verify_hostname", "ldap.test", "-CAfile"];
        let output = s_client(
            stage.ldaps(),
            &[&verify[..], &[trusted.to_str().unwrap()]].concat(),
        )
        .await;
        assert_eq!(
            output.lines("-----BEGIN CERTIFICATE-----").len(),
            2,
            "{algorithm:?} {form:?}: {output:?}"
        );
        assert!(output.text.contains("Verify return code: 0 (ok)"), "{output:?}");
    }
}

#[client_test]
async fn the_name_a_client_asks_for_chooses_the_certificate() {
    let Some(_exercise) = exercise(&[Need::Program("openssl")]) else {
        return;
    };
    let mut other = pair("sni");
    other.pk = Uuid::from_u128(8);
    let directory = serving(Directory::sample(0, 0), pair("p256"));
    let mut directory = with_second_provider(directory, "LDAP.Example.org", other);
    let first = directory.providers.values_mut().next().unwrap();
    first.tls_server_name = "localhost".to_owned();
    let stage = Stage::with(directory, |_| {}).await;
    let authority = path("ca.pem");
    let authority = authority.to_str().unwrap();
    for (port, how) in [
        (stage.ldaps(), &[][..]),
        (stage.ldap(), &["-starttls", "ldap"][..]),
    ] {
        for name in ["localhost", "LOCALHOST", "ldap.example.org", "ldap.EXAMPLE.org"] {
            let lower = name.to_ascii_lowercase();
            let arguments = [
                "-servername",
                name,
                "-verify_hostname",
                &lower,
                "-CAfile",
                authority,
            ];
            let output = s_client(port, &[how, &arguments].concat()).await;
            assert!(
                output.text.contains("Verify return code: 0 (ok)"),
                "{name}: {output:?}"
            );
        }
        // Two certificates and none of them asked for: neither is presented as the right one.
        for arguments in [&["-servername", "elsewhere.example.org"][..], &["-noservername"]] {
            let output = s_client(port, &[how, arguments].concat()).await;
            assert!(
                output.text.contains("authentik default certificate"),
                "{arguments:?}: {output:?}"
            );
        }
    }
}

#[client_test]
async fn renewal_drops_none_of_a_hundred_connections() {
    let Some(_exercise) = exercise(&[Need::Program("openssl")]) else {
        return;
    };
    let stage = Stage::with(serving(Directory::sample(0, 0), pair("p256")), |_| {}).await;
    let connector = connector();
    let mut open = Vec::new();
    for number in 0..100 {
        let mut client = ldaps(&connector, stage.ldaps()).await.unwrap();
        if number % 10 == 0 {
            assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
        }
        open.push(client);
    }
    eventually("the websocket is there", || stage.simulator.websockets() > 0).await;
    let folder = tempfile::tempdir().unwrap();
    let ticket = folder.path().join("ticket");
    let ticket = ticket.to_str().unwrap();
    s_client(stage.ldaps(), &["-sess_out", ticket]).await;
    let before = stage.server.outpost().certificates().choose(None);
    stage.simulator.save_certificate(pair("rsa2048"));
    eventually("the new certificate is served", || {
        !std::sync::Arc::ptr_eq(&before, &stage.server.outpost().certificates().choose(None))
    })
    .await;
    let output = s_client(stage.ldaps(), &[]).await;
    assert!(
        output.text.contains("Server public key is 2048 bit"),
        "{output:?}"
    );
    let output = s_client(stage.ldaps(), &["-sess_in", ticket]).await;
    assert!(
        output.text.contains("Reused, TLSv1.3"),
        "tickets outlive a renewal: {output:?}"
    );
    // Neither a certificate without its key nor one with another's replaces the one in use.
    for spoilt in [
        Certificate {
            key_pem: String::new(),
            ..pair("p256")
        },
        Certificate {
            key_pem: pair("sni").key_pem,
            ..pair("p256")
        },
    ] {
        let before = stage.server.outpost().certificates().choose(None);
        stage.simulator.save_certificate(spoilt);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(std::sync::Arc::ptr_eq(
            &before,
            &stage.server.outpost().certificates().choose(None)
        ));
    }
    for (number, client) in open.iter_mut().enumerate() {
        let who = client.who_am_i().await;
        assert_eq!(who.is_empty(), number % 10 != 0, "connection {number}: {who}");
    }
}

#[client_test]
async fn sessions_are_resumed() {
    let Some(_exercise) = exercise(&[Need::Program("openssl")]) else {
        return;
    };
    let stage = Stage::with(serving(Directory::sample(0, 0), pair("p256")), |_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let ticket = folder.path().join(name);
        let ticket = ticket.to_str().unwrap();
        let first = s_client(stage.ldaps(), &[version, "-sess_out", ticket]).await;
        assert!(first.text.contains(&format!("New, {name}")), "{first:?}");
        let second = s_client(stage.ldaps(), &[version, "-sess_in", ticket]).await;
        assert!(second.text.contains(&format!("Reused, {name}")), "{second:?}");
        // Both ports are one server: what one issued the other accepts.
        let third = s_client(stage.ldap(), &["-starttls", "ldap", version, "-sess_in", ticket]).await;
        assert!(third.text.contains(&format!("Reused, {name}")), "{third:?}");
    }
}
