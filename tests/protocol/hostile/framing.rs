//! Messages that promise more than they contain.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::hostile::process::Server;
use akldap_testing::client::Client;
use akldap_testing::stage::user_dn;

#[tokio::test(flavor = "multi_thread")]
async fn a_length_of_two_gigabytes_reserves_nothing() {
    let server = Server::start(&[]).await;
    let before = server.usage();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(server.ldap).await.unwrap();
        stream
            .write_all(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02])
            .await
            .unwrap();
        // A notice of disconnection, then the end.
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    }
    server.assert_used(before, 2.0, 16 << 20);
    let mut honest = Client::connect(server.ldap).await;
    assert_eq!(honest.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}
