//! The PROXY protocol header (versions 1 and 2) in front of a connection: who may send one and whose address is used.
//!
//! | peer | header | outcome |
//! |---|---|---|
//! | in the trusted networks | present | the header's source address is used |
//! | in the trusted networks | absent, or "local" | the peer's address is used |
//! | elsewhere | any | nothing is looked for; the peer's address is used and the octets go to the protocol behind it |
//!
//! The same rules as the official outpost's (`AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS`). Beyond them, a peer in networks that
//! an admin has named may say that the client spoke TLS to it (PP2_TYPE_SSL); with the default networks nobody may, because
//! anybody in a private network could. Must not know LDAP or TLS beyond their first octet.

use std::io;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use proxy_header::{ParseConfig, ProxyHeader};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

use super::rewind::Rewind;

/// A version 2 header with room for every TLV in common use; version 1 has at most 107 octets.
const MAX_HEADER: usize = 4096;
/// Room for what most peers send first, header or not.
const USUAL_HEADER: usize = 512;

/// Why a connection is given up before it began.
#[derive(Debug, Error)]
pub(super) enum ProxyError {
    /// The header is malformed.
    #[error("malformed PROXY protocol header")]
    Malformed,
    /// The header did not arrive in time.
    #[error("no complete PROXY protocol header in time")]
    TimedOut,
    /// The connection failed or was closed first.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A connection after its header.
#[derive(Debug)]
pub(super) struct AcceptedConnection<S> {
    /// The client's address.
    pub(super) client: SocketAddr,
    /// The peer that named it in a header.
    pub(super) named_by: Option<IpAddr>,
    /// Whether the client spoke TLS to the load balancer that sent the header.
    pub(super) tls: bool,
    /// What follows the header.
    pub(super) stream: Rewind<S>,
}

/// Whose headers are believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrustedPeers<'a> {
    /// The networks.
    pub(super) networks: &'a [IpNet],
    /// Whether an admin named them. Only then is a header believed about TLS.
    pub(super) named: bool,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HeaderContents {
    client: SocketAddr,
    tls: bool,
}

/// Reads the header a trusted peer may have sent.
///
/// A peer that says nothing at all until `enough` is over sends no header: a client may connect long before it speaks.
pub(super) async fn accept<S: AsyncRead + Unpin>(
    mut stream: S,
    peer: SocketAddr,
    trust: TrustedPeers<'_>,
    enough: impl Future<Output = ()>,
) -> Result<AcceptedConnection<S>, ProxyError> {
    let address = canonical(peer);
    let accepted = |client, tls, octets, stream| AcceptedConnection {
        client,
        named_by: None,
        tls,
        stream: Rewind::new(octets, stream),
    };
    if !trust
        .networks
        .iter()
        .any(|network| network.contains(&address.ip()))
    {
        return Ok(accepted(address, false, Zeroizing::default(), stream));
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(USUAL_HEADER));
    let read = tokio::select! {
        biased;
        source = read_header(&mut stream, &mut octets) => Some(source?),
        () = enough => None,
    };
    match read {
        Some(source) => Ok(match source {
            Some(source) => {
                let tls = source.tls && trust.named;
                AcceptedConnection {
                    named_by: Some(address.ip()),
                    ..accepted(canonical(source.client), tls, octets, stream)
                }
            }
            None => accepted(address, false, octets, stream),
        }),
        None if octets.is_empty() => Ok(accepted(address, false, octets, stream)),
        None => Err(ProxyError::TimedOut),
    }
}

/// An IPv4 client of an IPv6 socket is an IPv4 client.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Reads into `octets` until it is clear whether a header is there, and takes the header away. Leaves no copy of what it
/// read.
async fn read_header<S: AsyncRead + Unpin>(
    stream: &mut S,
    octets: &mut Zeroizing<Vec<u8>>,
) -> Result<Option<HeaderContents>, ProxyError> {
    loop {
        if octets.len() >= MAX_HEADER {
            return Err(ProxyError::Malformed);
        }
        if octets.len() == octets.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(MAX_HEADER));
            larger.extend_from_slice(octets);
            *octets = larger;
        }
        let room = (octets.capacity() - octets.len()) as u64;
        if (&mut *stream).take(room).read_buf(&mut **octets).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if !may_be_header(octets) {
            return Ok(None);
        }
        match ProxyHeader::parse(octets, ParseConfig::default()) {
            Ok((header, length)) => {
                // A load balancer that speaks for itself, to check our health, has no address and no client under TLS.
                let source = header.proxied_address().map(|address| HeaderContents {
                    client: address.source,
                    tls: header.ssl().is_some_and(|ssl| ssl.client_ssl()),
                });
                let length = length.min(octets.len());
                octets.drain(..length);
                return Ok(source);
            }
            Err(proxy_header::Error::BufferTooShort) => {}
            Err(_) => return Err(ProxyError::Malformed),
        }
    }
}

/// False as soon as the octets cannot be the start of either header: then they belong to LDAP or TLS, or to nobody.
fn may_be_header(octets: &[u8]) -> bool {
    const V1: &[u8] = b"PROXY ";
    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    [V1, V2].iter().any(|start| {
        octets
            .iter()
            .zip(*start)
            .all(|(octet, expected)| octet == expected)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> tokio::time::Sleep {
        tokio::time::sleep(Duration::from_millis(50))
    }

    fn trust(networks: &[IpNet]) -> TrustedPeers<'_> {
        TrustedPeers {
            networks,
            named: true,
        }
    }

    async fn run(peer: &str, octets: &[u8]) -> Result<(SocketAddr, Vec<u8>), ProxyError> {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let peer = peer.parse().unwrap();
        let accepted = accept(octets, peer, trust(&trusted), soon()).await?;
        let (mut stream, mut rest) = (accepted.stream, Vec::new());
        stream.read_to_end(&mut rest).await.unwrap();
        let named_by = (accepted.client != canonical(peer)).then(|| peer.ip().to_canonical());
        assert_eq!(
            accepted.named_by, named_by,
            "only who names another address is named"
        );
        Ok((accepted.client, rest))
    }

    /// A version 2 header (TCP over IPv4) with these further fields; `command` is 0x21 for a client, 0x20 for itself.
    fn v2(command: u8, fields: &[u8]) -> Vec<u8> {
        let mut octets = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        octets.extend([command, 0x11]);
        octets.extend(u16::try_from(12 + fields.len()).unwrap().to_be_bytes());
        octets.extend([192, 0, 2, 8, 10, 0, 0, 1, 0x13, 0x88, 1, 0x85]);
        octets.extend(fields);
        octets
    }

    /// PP2_TYPE_SSL (0x20): the flags of the client, verify, and the version as HAProxy sends it.
    fn tls_field(client: u8) -> Vec<u8> {
        let mut field = vec![0x20, 0, 5 + 10, client, 0, 0, 0, 1, 0x21, 0, 7];
        field.extend(b"TLSv1.3");
        field
    }

    #[tokio::test]
    async fn the_word_of_tls_counts_from_named_peers_about_clients_only() {
        const SSL: u8 = 1;
        const CERTIFICATE: u8 = 2;
        let unique_id = [0x05, 0, 2, b'i', b'd'];
        let both = [&unique_id[..], &tls_field(SSL)].concat();
        let cut = &tls_field(SSL)[..6];
        let trusted: [IpNet; 1] = ["10.0.0.0/8".parse().unwrap()];
        for (peer, named, octets, tls) in [
            ("10.0.0.1:1", true, v2(0x21, &tls_field(SSL)), true),
            ("10.0.0.1:1", true, v2(0x21, &both), true),
            ("10.0.0.1:1", true, v2(0x21, &tls_field(SSL | CERTIFICATE)), true),
            ("10.0.0.1:1", true, v2(0x21, &tls_field(0)), false),
            ("10.0.0.1:1", true, v2(0x21, &tls_field(CERTIFICATE)), false),
            ("10.0.0.1:1", true, v2(0x21, &unique_id), false),
            ("10.0.0.1:1", true, v2(0x21, cut), false),
            ("10.0.0.1:1", true, v2(0x21, &[0x20, 0xff, 0xff]), false),
            ("10.0.0.1:1", true, v2(0x21, &[0x20, 0, 0]), false),
            ("10.0.0.1:1", true, v2(0x20, &tls_field(SSL)), false),
            (
                "10.0.0.1:1",
                true,
                b"PROXY TCP4 192.0.2.7 10.0.0.1 5000 389\r\n".to_vec(),
                false,
            ),
            ("10.0.0.1:1", false, v2(0x21, &tls_field(SSL)), false),
            ("192.0.2.1:1", true, v2(0x21, &tls_field(SSL)), false),
        ] {
            let trust = TrustedPeers {
                networks: &trusted,
                named,
            };
            let accepted = accept(octets.as_slice(), peer.parse().unwrap(), trust, soon())
                .await
                .unwrap();
            assert_eq!(accepted.tls, tls, "{peer} {named} {octets:x?}");
        }
    }

    #[tokio::test]
    async fn a_trusted_peer_may_name_the_client() {
        let v1 = b"PROXY TCP4 192.0.2.7 10.0.0.1 5000 389\r\n\x30\x05";
        let (address, rest) = run("10.1.2.3:99", v1).await.unwrap();
        assert_eq!(
            (address.to_string().as_str(), rest.as_slice()),
            ("192.0.2.7:5000", &b"\x30\x05"[..])
        );
        let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
        v2.extend_from_slice(&[192, 0, 2, 8, 10, 0, 0, 1, 0x13, 0x88, 1, 0x85, 0x16]);
        let (address, rest) = run("[::ffff:10.1.2.3]:99", &v2).await.unwrap();
        assert_eq!(
            (address.to_string().as_str(), rest.as_slice()),
            ("192.0.2.8:5000", &b"\x16"[..])
        );
    }

    #[tokio::test]
    async fn a_trusted_peer_need_not_send_a_header() {
        let (address, rest) = run("10.1.2.3:99", b"\x30\x05\x02").await.unwrap();
        assert_eq!(
            (address.to_string().as_str(), rest.as_slice()),
            ("10.1.2.3:99", &b"\x30\x05\x02"[..])
        );
        let (address, rest) = run("10.1.2.3:99", b"PROXY UNKNOWN\r\n\x30").await.unwrap();
        assert_eq!(
            (address.to_string().as_str(), rest.as_slice()),
            ("10.1.2.3:99", &b"\x30"[..])
        );
    }

    #[tokio::test]
    async fn nobody_else_is_believed() {
        let v1 = b"PROXY TCP4 192.0.2.7 10.0.0.1 5000 389\r\n";
        let (address, rest) = run("192.0.2.99:1", v1).await.unwrap();
        assert_eq!(
            (address.to_string().as_str(), rest.as_slice()),
            ("192.0.2.99:1", &v1[..])
        );
    }

    #[tokio::test]
    async fn malformed_endless_and_halting_headers_end_the_connection() {
        assert!(matches!(
            run("10.0.0.1:1", b"PROXY TCP4 a b c d\r\n").await,
            Err(ProxyError::Malformed)
        ));
        let mut endless = b"PROXY ".to_vec();
        endless.resize(MAX_HEADER * 2, b'A');
        assert!(run("10.0.0.1:1", &endless).await.is_err());
        let (mut halting, stream) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut halting, b"PROXY TCP4 192.0")
            .await
            .unwrap();
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let result = accept(stream, "10.0.0.1:1".parse().unwrap(), trust(&trusted), soon()).await;
        assert!(matches!(result, Err(ProxyError::TimedOut)));
    }

    #[tokio::test]
    async fn a_client_may_connect_long_before_it_speaks() {
        let (mut silent, stream) = tokio::io::duplex(64);
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let accepted = accept(stream, "10.0.0.1:1".parse().unwrap(), trust(&trusted), soon())
            .await
            .unwrap();
        let mut stream = accepted.stream;
        assert_eq!(accepted.client.to_string(), "10.0.0.1:1");
        tokio::io::AsyncWriteExt::write_all(&mut silent, b"PROXY")
            .await
            .unwrap();
        let mut octets = [0; 5];
        stream.read_exact(&mut octets).await.unwrap();
        assert_eq!(&octets, b"PROXY", "a header that late is none");
    }
}
