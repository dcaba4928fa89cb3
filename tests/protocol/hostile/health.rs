//! The HTTP port under attack: the liveness probe must get its answer, or the platform kills the server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::hostile::process::Server;

/// Kubernetes gives a probe a second by default; a busy machine gets more here, but less than the minute it once took.
const PATIENCE: Duration = Duration::from_secs(50);

/// One probe as kubelet makes it: a new connection, an answer, the end.
async fn ping(address: SocketAddr) -> String {
    let probe = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = b"GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    match timeout(PATIENCE, probe).await {
        Ok(Ok(answer)) => answer,
        other => format!("{other:?}"),
    }
}

async fn connect_from(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(to).await
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_keep_no_probe_out() {
    let server = Server::start(&[]).await;
    let before = server.usage();
    let mut silent = Vec::new();
    // From the probe's own address, and from many others.
    for number in 0..300_u16 {
        let last = if number.is_multiple_of(2) {
            1
        } else {
            2 + (number % 200) as u8
        };
        let from = Ipv4Addr::new(127, 0, 0, last);
        let mut stream = connect_from(from, server.http).await.unwrap();
        let _ = stream.write_all(b"GET /ready HTTP/1.1\r\nX: ").await;
        silent.push(stream);
    }
    for _ in 0..5 {
        assert!(ping(server.http).await.starts_with("HTTP/1.1 204"));
    }
    // Slow headers end in seconds, all of them.
    for mut stream in silent {
        let ended = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "a silent connection is still there");
    }
    server.assert_used(before, 3.0, 16 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_again_at_once_keep_no_probe_out() {
    let server = Server::start(&[]).await;
    let (address, mut attackers) = (server.http, JoinSet::new());
    let connections = Arc::new(AtomicUsize::new(0));
    for number in 0..100_u8 {
        let connections = Arc::clone(&connections);
        attackers.spawn(async move {
            loop {
                if let Ok(mut stream) = connect_from(Ipv4Addr::new(127, 0, 9, number), address).await {
                    connections.fetch_add(1, Ordering::Relaxed);
                    let _ = stream.write_all(b"G").await;
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    while connections.load(Ordering::Relaxed) < 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut failed = Vec::new();
    for _ in 0..20 {
        let answer = ping(address).await;
        if !answer.starts_with("HTTP/1.1 204") {
            failed.push(answer);
        }
    }
    // Kubernetes kills after three in a row; one that loses its place in the crowd is tried again.
    assert!(failed.len() <= 2, "{failed:?}");
    attackers.shutdown().await;
    assert!(ping(address).await.starts_with("HTTP/1.1 204"));
}
