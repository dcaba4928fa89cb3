//! What hostile clients do, each kind in its own loop until it is dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use akldap_testing::released::{SEARCHER, password, user_dn};
use akldap_workload::wire::{self, Encoded};

/// Clients that send one octet a second, on both ports.
const SLOW: usize = 200;
/// Clients that begin a TLS handshake and go silent.
const HALF: usize = 200;
/// Clients that ask for the whole directory and read nothing.
const NEVER_READING: usize = 20;
/// Clients that send noise, some twenty times a second each.
const NOISY: usize = 8;
/// Clients that connect and leave, a few hundred times a second each.
const FLOODING: usize = 4;
/// Clients that complete TLS handshakes endlessly; each costs the server a signature.
const SHAKING: usize = 1;
/// How long a connection is waited for, and stays.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often something was done, for the report.
#[derive(Debug, Default)]
pub struct Count {
    /// Connections opened.
    pub connections: AtomicU64,
    /// Full TLS handshakes.
    pub handshakes: AtomicU64,
}

/// The server attacked.
#[derive(Clone)]
pub struct Target {
    /// LDAP.
    pub ldap: SocketAddr,
    /// LDAPS.
    pub ldaps: SocketAddr,
}

/// Starts all of them, on one thread. They end with the runtime.
///
/// # Errors
/// When the system gives no thread.
pub fn start(target: &Target, count: &Arc<Count>) -> std::io::Result<Runtime> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let spread = |number: usize| {
        if number.is_multiple_of(2) {
            target.ldap
        } else {
            target.ldaps
        }
    };
    for number in 0..SLOW {
        runtime.spawn(slow(spread(number), Arc::clone(count)));
    }
    for _ in 0..HALF {
        runtime.spawn(half_handshake(target.ldaps, Arc::clone(count)));
    }
    for _ in 0..NEVER_READING {
        runtime.spawn(never_read(target.ldap, Arc::clone(count)));
    }
    for number in 0..NOISY {
        runtime.spawn(noise(spread(number), number as u64, Arc::clone(count)));
    }
    for number in 0..FLOODING {
        runtime.spawn(flood(spread(number), Arc::clone(count)));
    }
    for _ in 0..SHAKING {
        runtime.spawn(shake(target.ldaps, Arc::clone(count)));
    }
    Ok(runtime)
}

/// Connects from an address that no honest client has.
async fn connect(address: SocketAddr, count: &Count) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 66, 6, 6), 0)))?;
    let stream = timeout(PATIENCE, socket.connect(address)).await??;
    count.connections.fetch_add(1, Ordering::Relaxed);
    Ok(stream)
}

async fn slow(address: SocketAddr, count: Arc<Count>) {
    loop {
        if let Ok(mut stream) = connect(address, &count).await {
            let begin = [0x30, 0x84, 0, 0, 0x0f, 0xff];
            for octet in begin.iter().chain(std::iter::repeat(&0x02)) {
                if stream.write_all(&[*octet]).await.is_err() {
                    break;
                }
                sleep(Duration::from_secs(1)).await;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn half_handshake(address: SocketAddr, count: Arc<Count>) {
    loop {
        if let Ok(mut stream) = connect(address, &count).await {
            let _ = stream
                .write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00])
                .await;
            let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn never_read(address: SocketAddr, count: Arc<Count>) {
    let mut requests = Vec::new();
    for op in [
        wire::bind(&user_dn(SEARCHER), &password(SEARCHER)),
        super::everything(),
    ] {
        match Encoded::new(op, vec![]) {
            Ok(request) => request.write(1, &mut requests),
            Err(_) => return,
        }
    }
    loop {
        if let Ok(mut stream) = connect(address, &count).await {
            let _ = stream.write_all(&requests).await;
            // The server ends it; until then nothing is read.
            let mut waiting = 0;
            while waiting < 120 && stream.write_all(&[]).await.is_ok() && !is_reset(&stream) {
                sleep(Duration::from_secs(1)).await;
                waiting += 1;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Whether the other side gave up the connection.
fn is_reset(stream: &TcpStream) -> bool {
    stream.take_error().is_ok_and(|error| error.is_some())
}

async fn noise(address: SocketAddr, seed: u64, count: Arc<Count>) {
    let mut random = fastrand::Rng::with_seed(seed);
    loop {
        if let Ok(mut stream) = connect(address, &count).await {
            let mut octets: Vec<u8> = (0..random.usize(1..2000)).map(|_| random.u8(..)).collect();
            match random.u8(..3) {
                0 => drop(octets.splice(0..0, [0x30, 0x82, 0x02, 0xff, 0x02, 0x01])),
                1 => drop(octets.splice(0..0, [0x16, 0x03, 0x01])),
                _ => {}
            }
            let _ = stream.write_all(&octets).await;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn flood(address: SocketAddr, count: Arc<Count>) {
    loop {
        drop(connect(address, &count).await);
        sleep(Duration::from_millis(10)).await;
    }
}

async fn shake(address: SocketAddr, count: Arc<Count>) {
    let Ok(connector) = super::handshakes::connector(false, None) else {
        return;
    };
    loop {
        if let Ok(stream) = connect(address, &count).await
            && super::handshakes::greet(&connector, stream).await.is_ok()
        {
            count.handshakes.fetch_add(1, Ordering::Relaxed);
        }
        sleep(Duration::from_millis(20)).await;
    }
}
