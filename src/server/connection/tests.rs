use std::net::IpAddr;

use tokio::io::{AsyncWriteExt, DuplexStream};

use super::super::config::ServerConfig;
use super::super::crowd::{Budget, Crowd};
use super::*;
use crate::metrics::ClientMetrics;
use crate::outpost::Outpost;

/// A search for the rootDSE, whose answer is some kilobytes.
const SEARCH: [u8; 39] = *b"\x30\x25\x02\x01\x01\x63\x20\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\x87\x0bobjectClass\x30\x00";
const UNBIND: [u8; 7] = *b"\x30\x05\x02\x01\x02\x42\x00";
const START_TLS: [u8; 31] = *b"\x30\x1d\x02\x01\x02\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

impl RecordStream for DuplexStream {
    fn end_record(&mut self, _octets: &[u8]) -> io::Result<usize> {
        Ok(0)
    }
}

/// How long the next client waits while one that sent these octets and reads nothing has the only place.
async fn wait_behind(octets: &[u8]) -> Duration {
    let client = IpAddr::from([192, 0, 2, 1]);
    let crowd = Crowd::new(1, None, Budget::new(usize::MAX), ClientMetrics::default());
    let mut seat = crowd.admit(client).await;
    assert!(seat.enter(client.into()));
    let outpost = Outpost::of_bases(&["dc=io"]);
    let (mut theirs, ours) = tokio::io::duplex(64);
    let (config, sent) = (Arc::new(ServerConfig::of_defaults()), octets.to_vec());
    let served = tokio::spawn(async move {
        let (log_limit, shutdown) = (LogLimit::default(), CancellationToken::new());
        let surroundings = Surroundings {
            limits: &config.limits,
            log_limit: &log_limit,
            shutdown: &shutdown,
            expected: Expected::Ldap,
            stream_size: 0,
        };
        let mut session = Session::new(outpost, Arc::clone(&config), 1, client.into(), false);
        let _ = serve(ours, &mut session, &mut seat, &surroundings).await;
    });
    theirs.write_all(&sent).await.unwrap();
    let began = Instant::now();
    let _seat = crowd.admit(client).await;
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
        // No LDAP.
        b"x",
    ] {
        let waited = wait_behind(octets).await;
        assert!(waited <= Duration::from_secs(15), "{octets:x?}: {waited:?}");
    }
}
