//! curl speaks LDAP too.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::setting::USERS;
use crate::transport::{AUTHORITY, STRANGER, Target, Transport, over_tls};
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::{command, run};
use akldap_testing::stage::{BASE, SUFFIX, user_dn};

/// An entry, more entries than are written at once, the root DSE without credentials, a refused login.
#[client_test]
async fn reads_entries() {
    over(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS, also with TLS 1.2 alone; nothing where the certificate cannot be verified.
    over_ldaps,
    /// The same over StartTLS, for a curl that can.
    over_start_tls: over
}

async fn over(transport: Transport) {
    let Some(exercise) = exercise(&[Need::CurlWithLdap]) else {
        return;
    };
    if transport == Transport::StartTls && !begins_tls().await {
        exercise.is_beyond_the_client(
            "this curl goes on in clear after the answer to StartTLS; the server, which awaits TLS, ends the connection",
        );
        return;
    }
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    let service = user_dn("ldapservice");
    let ask = async |target: &Target, query: &str, password: Option<&str>, more: &[&str]| {
        let mut curl = command("curl");
        // An upper bound for a hang, which the busiest machine does not reach.
        curl.args(["-sS", "-m", "60", "--cacert", AUTHORITY]).args(more);
        if transport == Transport::StartTls {
            curl.arg("--ssl-reqd");
        }
        if let Some(password) = password {
            curl.args(["-u", &format!("{service}:{password}")]);
        }
        run(curl.arg(format!("{}/{query}", target.uri()))).await
    };
    let alice = format!("{BASE}?cn,mail?sub?(%26(objectClass=user)(cn=alice))");
    // More than a record holds, and more than is written at once.
    let everybody = format!("{BASE}?*?sub?(objectClass=user)");
    let right = Some("demo-ldapservice");
    let versions: &[&[&str]] = if transport.is_secure() {
        &[&[], OLD_TLS]
    } else {
        &[&[]]
    };
    for version in versions {
        let output = ask(&target, &alice, right, version).await.expect(0);
        assert!(
            output
                .text
                .starts_with(&format!("DN: cn=alice,ou=users,{SUFFIX}\n")),
            "{output:?}"
        );
        assert!(output.text.contains("\tmail: alice@example.com\n"), "{output:?}");
        assert_eq!(output.text.matches("DN: ").count(), 1);
        let output = ask(&target, &everybody, right, version).await.expect(0);
        assert_eq!(output.text.matches("DN: ").count(), USERS, "{version:?}");
    }
    let root = ask(&target, "?namingContexts?base", None, &[]).await.expect(0);
    assert!(
        root.text.contains(&format!("namingContexts: {SUFFIX}")),
        "{root:?}"
    );
    let refused = ask(&target, &alice, Some("wrong"), &[]).await;
    assert!(refused.code != 0 && refused.text.is_empty(), "{refused:?}");
    if transport.is_secure() {
        let refused = ask(&target, &alice, right, &["--cacert", STRANGER]).await;
        assert!(refused.code != 0 && refused.text.is_empty(), "{refused:?}");
        let modern = transport.requiring_tls_1_3().await;
        let refused = ask(&transport.to(&modern).await, &alice, right, OLD_TLS).await;
        assert_ne!(refused.code, 0, "it spoke TLS 1.3: {refused:?}");
    }
}

/// TLS 1.2 alone.
const OLD_TLS: &[&str] = &["--tls-max", "1.2"];

/// Whether curl sends a TLS handshake after the answer to StartTLS, and no LDAP.
async fn begins_tls() -> bool {
    /// The answer of RFC 4511 section 4.14.2 to the first request: success.
    const SUCCESS: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
    /// The first octet of a handshake record (RFC 8446 section 5.1).
    const HANDSHAKE: u8 = 22;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let uri = format!("ldap://{}/{BASE}", listener.local_addr().expect("its address"));
    let serving = async {
        let (mut socket, _) = listener.accept().await.expect("curl connects");
        let mut octets = [0; 1024];
        for answer in [SUCCESS, &[]] {
            let length = socket.read(&mut octets).await.expect("a request");
            assert_ne!(length, 0, "curl left");
            socket.write_all(answer).await.expect("it listens");
        }
        octets[0]
    };
    let mut curl = command("curl");
    curl.args(["-sS", "-m", "60", "--ssl-reqd", "-u", "cn=x:y", &uri]);
    tokio::select! {
        first = serving => first == HANDSHAKE,
        output = run(&mut curl) => panic!("{output:?}"),
    }
}
