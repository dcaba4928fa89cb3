//! Time limits of searches, with the entries found until then.

use std::time::Duration;

use akldap_ldap::ber::{self, Reader};
use akldap_ldap::frame::{self, Frame};
use akldap_simulator::Directory;
use ldap3_proto::proto::{LdapOp, LdapSearchScope};
use tokio::io::AsyncReadExt;

use akldap_testing::client::search;
use akldap_testing::stage::{BASE, Stage};

/// Searches sent at once; together their answers are far more than sockets and server buffer for a
/// client.
const SEARCHES: usize = 30;

#[tokio::test]
async fn a_search_beyond_its_time_limit_ends_with_the_entries_so_far() {
    let stage = Stage::with(Directory::sample(1500, 12), |_| {}).await;
    let mut client = stage.bound("ldapservice").await;
    for _ in 0..SEARCHES {
        let mut request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["*", "+"]);
        request.timelimit = 1;
        client.send(LdapOp::SearchRequest(request), vec![]).await;
    }
    // A client that does not read makes a search slow.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let mut stream = client.into_stream();
    let (mut buffer, mut codes, mut entries) = (Vec::new(), Vec::new(), 0);
    while codes.len() < SEARCHES {
        assert_ne!(
            stream.read_buf(&mut buffer).await.unwrap(),
            0,
            "the connection ended"
        );
        let mut rest = buffer.as_slice();
        while let Ok(Frame::Complete { length }) = frame::split(rest, 1 << 20) {
            let (message, behind) = rest.split_at(length);
            let mut envelope = Reader::new(message).constructed(ber::SEQUENCE).unwrap();
            envelope.integer().unwrap();
            let operation = envelope.element().unwrap();
            match operation.tag {
                0x65 => codes.push(Reader::new(operation.contents).enumerated().unwrap()),
                _ => entries += 1,
            }
            rest = behind;
        }
        buffer = rest.to_vec();
    }
    assert!(codes.iter().all(|code| [0, 3].contains(code)), "{codes:?}");
    assert!(codes.contains(&3), "{codes:?}");
    assert!(entries > 0);
}
