//! Where TLS records begin: a client that waits for its socket after each record, as curl does, must not find the end of a search
//! in a record that also contains something else.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use akldap_simulator::Directory;
use ldap3_proto::proto::{LdapOp, LdapSearchScope};
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

use crate::ldap::tls::{begin_tls, connector, with_certificate};
use akldap_testing::client::{Client, Outcome, Stream, search};
use akldap_testing::stage::{BASE, Stage, user_dn};

/// The length of a record that holds nothing but a SearchResultDone with this text and without a control (RFC 4511 section 4.5.2):
/// the message, the type of the content, and the tag of the encryption (RFC 8446 section 5.2).
fn done_alone(outcome: &Outcome) -> usize {
    let element = |length: usize| length + if length < 128 { 2 } else { 3 };
    let (number, matched, text) = (element(1), element(0), element(outcome.message.len()));
    element(number + element(number + matched + text)) + 1 + 16
}

/// A stream that notes the lengths of incoming TLS records.
struct Noting<S> {
    stream: S,
    /// The header of the next record (RFC 8446 section 5.1), as far as it has come.
    header: Vec<u8>,
    /// What is still to come of the current record.
    left: usize,
    lengths: Arc<Mutex<Vec<usize>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noting<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let start = out.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, out))?;
        let mut octets = &out.filled()[start..];
        while let [first, rest @ ..] = octets {
            if this.left > 0 {
                let passed = this.left.min(octets.len());
                this.left -= passed;
                octets = &octets[passed..];
                continue;
            }
            this.header.push(*first);
            octets = rest;
            if let [_, _, _, high, low] = this.header[..] {
                this.left = usize::from(u16::from_be_bytes([high, low]));
                this.lengths.lock().unwrap().push(this.left);
                this.header.clear();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noting<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// A client over TLS, and the lengths of the records it receives.
async fn noting(stream: impl Stream + 'static) -> (Client, Arc<Mutex<Vec<usize>>>) {
    let lengths = Arc::default();
    let stream = Noting {
        stream,
        header: Vec::new(),
        left: 0,
        lengths: Arc::clone(&lengths),
    };
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connector().connect(name, stream).await.unwrap();
    (Client::over(Box::new(stream)), lengths)
}

/// However large the entries are and however many, over LDAPS and StartTLS.
#[tokio::test]
async fn the_end_of_a_search_has_a_record_of_its_own() {
    // Less than a record, more than is written at once, and more than the TLS session takes at once.
    let sizes = [
        ("alice", 100),
        ("bob", 20_000),
        ("zoë", 50_000),
        ("inactive", 100_000),
        ("totp", 400_000),
    ];
    let mut directory = Directory::sample(20, 0);
    for (name, size) in sizes {
        let pk = directory.user_named(name).unwrap().pk;
        directory.change_user(pk, |user| {
            let attributes = json!({"note": "x".repeat(size)});
            user.set_attributes(attributes.as_object().unwrap());
        });
    }
    let stage = Stage::with(with_certificate(directory, "p256"), |_| {}).await;
    for at_once in [true, false] {
        let (mut client, lengths) = if at_once {
            noting(TcpStream::connect(stage.ldaps()).await.unwrap()).await
        } else {
            noting(begin_tls(stage.client().await).await).await
        };
        let outcome = client.bind(&user_dn("ldapservice"), "demo-ldapservice").await;
        assert_eq!(outcome.code, 0);
        let names = sizes.iter().map(|(name, _)| (format!("(cn={name})"), 2));
        for (filter, entries) in names.chain([("(objectClass=user)".to_owned(), 20)]) {
            let found = client.subtree(BASE, &filter, &[]).await;
            assert_eq!(found.entries.len(), entries, "{filter}");
            let last = *lengths.lock().unwrap().last().unwrap();
            assert_eq!(last, done_alone(&found.outcome), "{filter}");
        }
    }
}

/// A reader so slow that the directory changes twice meanwhile is told so where it can see it.
#[tokio::test]
async fn the_end_of_a_search_that_was_given_up_has_a_record_of_its_own() {
    const BUSY: i32 = 51;
    let mut directory = Directory::sample(40, 0);
    let people: Vec<i32> = directory.users().iter().map(|user| user.pk).collect();
    for pk in people {
        directory.change_user(pk, |user| {
            // More than sockets hold together, less than a message may have.
            let attributes = json!({"note": "x".repeat(300_000)});
            user.set_attributes(attributes.as_object().unwrap());
        });
    }
    let stage = Stage::with(with_certificate(directory, "p256"), |_| {}).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let (mut client, lengths) = noting(socket.connect(stage.ldaps()).await.unwrap()).await;
    let outcome = client.bind(&user_dn("ldapservice"), "demo-ldapservice").await;
    assert_eq!(outcome.code, 0);
    let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=user)", &[]);
    let id = client.send(LdapOp::SearchRequest(request), vec![]).await;
    // The search has begun before the directory changes: one entry is there.
    assert!(client.receive().await.is_some());
    for mail in ["first@example.com", "second@example.com"] {
        let bob = stage.simulator.user_pk("bob").unwrap();
        stage.simulator.save_user(bob, |user| user.email = mail.into());
        stage.refresh().await;
    }
    let found = client.collect(id).await;
    assert_eq!(found.outcome.code, BUSY, "{}", found.outcome.message);
    let last = *lengths.lock().unwrap().last().unwrap();
    assert_eq!(last, done_alone(&found.outcome));
}
