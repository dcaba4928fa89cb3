use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::time::Instant;

use super::super::client_table::{ClientTable, MemoryBudget};
use super::super::config::ServerConfig;
use super::*;
use crate::metrics::ClientMetrics;
use crate::outpost::Outpost;

/// A search for the rootDSE, whose answer is a few kilobytes.
const SEARCH: [u8; 39] = *b"\x30\x25\x02\x01\x01\x63\x20\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\x87\x0bobjectClass\x30\x00";
const UNBIND: [u8; 7] = *b"\x30\x05\x02\x01\x02\x42\x00";
const START_TLS: [u8; 31] = *b"\x30\x1d\x02\x01\x02\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

impl TlsRecordStream for DuplexStream {
    fn end_record(&mut self, _octets: &[u8]) -> io::Result<Option<usize>> {
        Ok(None)
    }
}

/// A stream with records, whose session has room for few octets before the first write, like one whose client reads slowly.
struct Cramped {
    requests: &'static [u8],
    room: usize,
    records: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsyncRead for Cramped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        out.put_slice(std::mem::take(&mut self.requests));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Cramped {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.records.lock().unwrap().push(octets.to_vec());
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl TlsRecordStream for Cramped {
    fn end_record(&mut self, octets: &[u8]) -> io::Result<Option<usize>> {
        let taken = octets.get(..self.room).unwrap_or(octets);
        self.room -= taken.len();
        self.records.lock().unwrap().push(taken.to_vec());
        Ok(Some(taken.len()))
    }
}

/// Serves a connection of this client to its end.
async fn serve_alone(
    stream: impl TlsRecordStream,
    outpost: Arc<Outpost>,
    client: IpAddr,
    mut permit: Permit,
) {
    let config = Arc::new(ServerConfig::of_defaults());
    let (log_limit, shutdown) = (LogLimit::default(), CancellationToken::new());
    let surroundings = Surroundings {
        log_limit: &log_limit,
        shutdown: &shutdown,
        expected: Expected::Ldap,
        stream_size: 0,
    };
    let mut session = LdapSession::new(outpost, Arc::clone(&config), [0; 32], 1, client.into(), false);
    let _ = serve(stream, &mut session, &mut permit, &surroundings).await;
}

#[tokio::test]
async fn the_end_of_a_search_starts_a_tls_record_however_little_room_there_is() {
    const DONE: &[u8] = b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00";
    for room in [0, 1, 100, usize::MAX] {
        let client = IpAddr::from([192, 0, 2, 1]);
        let table = ClientTable::new(1, None, MemoryBudget::new(usize::MAX), ClientMetrics::default());
        let permit = table.admit(client).await;
        let records = Arc::default();
        let stream = Cramped {
            requests: &SEARCH,
            room,
            records: Arc::clone(&records),
        };
        serve_alone(stream, Outpost::of_bases(&["dc=io"]), client, permit).await;
        let records = records.lock().unwrap();
        assert_eq!(
            records.last().map(Vec::as_slice),
            Some(DONE),
            "{room}: {records:x?}"
        );
    }
}

/// How long the next client waits while one that sent these octets and reads nothing holds the only permit.
async fn wait_behind(octets: &[u8]) -> Duration {
    let client = IpAddr::from([192, 0, 2, 1]);
    let table = ClientTable::new(1, None, MemoryBudget::new(usize::MAX), ClientMetrics::default());
    let mut permit = table.admit(client).await;
    assert!(permit.enter(client.into()));
    let outpost = Outpost::of_bases(&["dc=io"]);
    let (mut theirs, ours) = tokio::io::duplex(64);
    let served = tokio::spawn(serve_alone(ours, outpost, client, permit));
    theirs.write_all(octets).await.unwrap();
    let began = Instant::now();
    let _permit = table.admit(client).await;
    served.await.unwrap();
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn who_has_to_go_goes_whatever_is_left_unread() {
    for octets in [
        SEARCH.as_slice(),
        &[SEARCH.as_slice(), &UNBIND].concat(),
        &[SEARCH.as_slice(), &START_TLS].concat(),
        // Nothing but the notice.
        &[],
        // Not LDAP.
        b"x",
    ] {
        let waited = wait_behind(octets).await;
        assert!(waited <= Duration::from_secs(15), "{octets:x?}: {waited:?}");
    }
}
