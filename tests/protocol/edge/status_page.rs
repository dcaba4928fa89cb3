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
    let mut stream = TcpStream::connect(stage.http()).await.unwrap();
    let request =
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
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

#[tokio::test]
async fn the_page_can_be_left_out() {
    let stage = Stage::with(Directory::sample(60, 12), |settings| {
        settings.set("AUTHENTIK_LDAP__STATUS_PAGE", "false");
    })
    .await;
    assert_eq!(http::get(stage.http(), "/").await.0, 404);
    assert_eq!(http::get(stage.http(), "/ready").await.0, 200);
}
