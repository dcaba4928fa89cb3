//! The PROXY protocol header (versions 1 and 2) in front of a connection: who may send one and whose address counts.
//!
//! | peer | header | outcome |
//! |---|---|---|
//! | in the trusted networks | present | the header's source address counts |
//! | in the trusted networks | absent, or "local" | the peer's address counts |
//! | elsewhere | any | nothing is looked for; the peer's address counts and the octets reach the protocol behind |
//!
//! The same rules as the official outpost's (`AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS`). Must not know LDAP or TLS beyond
//! their first octet.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use ipnet::IpNet;
use proxy_header::{ParseConfig, ProxyHeader};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use super::rewind::Rewind;

/// A version 2 header with room for every TLV in common use; version 1 has at most 107 octets.
const MAX_HEADER: usize = 4096;

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

/// Reads the header a trusted peer may have sent. Returns the client's address and the stream behind the header.
pub(super) async fn accept<S: AsyncRead + Unpin>(
    mut stream: S,
    peer: SocketAddr,
    trusted: &[IpNet],
    patience: Duration,
) -> Result<(SocketAddr, Rewind<S>), ProxyError> {
    let address = canonical(peer);
    if !trusted.iter().any(|network| network.contains(&address.ip())) {
        return Ok((address, Rewind::new(Bytes::new(), stream)));
    }
    let (source, rest) = timeout(patience, read_header(&mut stream))
        .await
        .map_err(|_| ProxyError::TimedOut)??;
    Ok((source.map_or(address, canonical), Rewind::new(rest, stream)))
}

/// An IPv4 client of an IPv6 socket is an IPv4 client.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

async fn read_header<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> Result<(Option<SocketAddr>, Bytes), ProxyError> {
    let mut buffer = BytesMut::with_capacity(256);
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if !may_be_header(&buffer) {
            return Ok((None, buffer.freeze()));
        }
        match ProxyHeader::parse(
            &buffer,
            ParseConfig {
                include_tlvs: false,
                ..ParseConfig::default()
            },
        ) {
            Ok((header, length)) => {
                let source = header.proxied_address().map(|address| address.source);
                buffer.advance(length.min(buffer.len()));
                return Ok((source, buffer.freeze()));
            }
            Err(proxy_header::Error::BufferTooShort) if buffer.len() < MAX_HEADER => {}
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
    use super::*;

    async fn run(peer: &str, octets: &[u8]) -> Result<(SocketAddr, Vec<u8>), ProxyError> {
        let trusted = vec!["10.0.0.0/8".parse().unwrap()];
        let (address, mut stream) =
            accept(octets, peer.parse().unwrap(), &trusted, Duration::from_secs(5)).await?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        Ok((address, rest))
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
    async fn malformed_endless_and_silent_headers_end_the_connection() {
        assert!(matches!(
            run("10.0.0.1:1", b"PROXY TCP4 a b c d\r\n").await,
            Err(ProxyError::Malformed)
        ));
        let mut endless = b"PROXY ".to_vec();
        endless.resize(MAX_HEADER * 2, b'A');
        assert!(run("10.0.0.1:1", &endless).await.is_err());
        let (_silent, stream) = tokio::io::duplex(64);
        let trusted = vec!["10.0.0.0/8".parse().unwrap()];
        let result = accept(
            stream,
            "10.0.0.1:1".parse().unwrap(),
            &trusted,
            Duration::from_millis(20),
        )
        .await;
        assert!(matches!(result, Err(ProxyError::TimedOut)));
    }
}
