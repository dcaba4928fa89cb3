//! The status page of a server that serves somebody.

use akldap_simulator::Directory;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use akldap_testing::stage::{BASE, Stage};
use akldap_testing::{http, scenery};

const HOSTILE: &str = "<script>alert('x')</script>";

#[tokio::test]
async fn the_page_tells_how_things_stand_and_names_nobody() {
    let mut directory = Directory::sample(60, 12);
    scenery::change(&mut directory, |provider| provider.name = HOSTILE.to_owned());
    let stage = Stage::with(directory, |_| {}).await;
    let mut client = stage.bound("alice").await;
    client.subtree(BASE, "(cn=alice)", &[]).await;
    assert_eq!(stage.bind("cn=bob,ou=users,dc=elsewhere", "x").await.code, 50);
    let page = ask(
        &stage,
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n",
    )
    .await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert!(
        page.contains("content-security-policy: default-src 'none'; style-src 'sha256-"),
        "{page}"
    );
    for text in [
        "Searches and logins work",
        "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;",
        "the bind DN belongs to no provider",
        "self-signed",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    for text in [HOSTILE, "alice", "bob", "127.0.0.1", "192.0.2.1", "elsewhere"] {
        assert!(!page.contains(text), "{text}: {page}");
    }
}

async fn ask(stage: &Stage, request: &str) -> String {
    let mut stream = TcpStream::connect(stage.http()).await.unwrap();
    let request = format!("{request}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A web page in the browser of somebody who may see this one asks under its own name.
#[tokio::test]
async fn a_web_page_whose_name_leads_here_cannot_read_it() {
    let stage = Stage::with(Directory::sample(60, 12), |settings| {
        settings.set("AUTHENTIK_LDAP__STATUS_HOSTS", "LDAP.example.org");
    })
    .await;
    let port = stage.http().port();
    for request in [
        format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: [::1]:{port}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: ldap.example.org:{port}\r\n"),
        "HEAD / HTTP/1.1\r\nHost: status.localhost\r\n".to_owned(),
    ] {
        let answer = ask(&stage, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{request}{answer}");
    }
    for request in [
        "GET / HTTP/1.1\r\nHost: attacker.example\r\n",
        "GET / HTTP/1.1\r\nHost: authentik-ldap:9300\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: attacker.example\r\n",
        "GET http://attacker.example/ HTTP/1.1\r\nHost: localhost\r\n",
        "GET / HTTP/1.1\r\nHost: attacker.example\r\nX-Forwarded-Host: localhost\r\n",
        "GET / HTTP/1.0\r\n",
    ] {
        let answer = ask(&stage, request).await;
        assert_eq!(answer.split(' ').nth(1), Some("421"), "{request}{answer}");
        assert!(answer.contains("AUTHENTIK_LDAP__STATUS_HOSTS"), "{answer}");
        assert!(
            !answer.contains("attacker") && !answer.contains("<html"),
            "{answer}"
        );
    }
    // Collectors and probes come by the names of services.
    for (path, status) in [
        ("/metrics", "200"),
        ("/ready", "200"),
        ("/outpost.goauthentik.io/ping", "204"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: authentik-ldap.default.svc:9300\r\n");
        let answer = ask(&stage, &request).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{path}: {answer}");
    }
}

#[tokio::test]
async fn the_page_can_be_left_out() {
    let stage = Stage::with(Directory::sample(60, 12), |settings| {
        settings.set("AUTHENTIK_LDAP__STATUS_PAGE", "false");
    })
    .await;
    assert_eq!(http::get(stage.http(), "/").await.0, 404);
    assert_eq!(http::get(stage.http(), "/ready").await.0, 200);
}
