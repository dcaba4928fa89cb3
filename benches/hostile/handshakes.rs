//! What a TLS handshake costs the server: P-256 and RSA-2048, TLS 1.2 and 1.3, full and resumed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::options::Options;
use akldap_testing::released::Akldap;
use akldap_workload::process;

/// Clients that connect one time after the other.
const CLIENTS: usize = 8;
/// An unbind request: the server closes, and the client has read its tickets by then.
const UNBIND: [u8; 7] = [0x30, 0x05, 0x02, 0x01, 0x01, 0x42, 0x00];

/// A client that trusts the test authority, for one version of TLS or for both.
///
/// # Errors
/// When the authority cannot be read.
pub fn connector(
    resume: bool,
    version: Option<&'static SupportedProtocolVersion>,
) -> anyhow::Result<TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate("ca.pem"))?)?;
    let versions = version.map_or_else(|| rustls::ALL_VERSIONS.to_vec(), |version| vec![version]);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificate(name: &str) -> String {
    format!("{}/certs/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A handshake, an unbind request, and the end; whether it was a resumption.
///
/// # Errors
/// When the connection broke.
pub async fn greet(connector: &TlsConnector, stream: TcpStream) -> anyhow::Result<bool> {
    stream.set_nodelay(true)?;
    let mut stream = connector
        .connect(ServerName::try_from("localhost")?, stream)
        .await?;
    stream.write_all(&UNBIND).await?;
    let _ = stream.read_to_end(&mut Vec::new()).await;
    Ok(stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed))
}

/// Prints the table.
///
/// # Errors
/// When a server fails or a handshake is not of the kind asked for.
pub fn run(options: &Options) -> anyhow::Result<()> {
    println!("\n### TLS handshakes\n");
    println!(
        "Connect, handshake, unbind, close; {CLIENTS} clients, {} s each.\n",
        options.handshake_seconds()
    );
    println!("| certificate | version | kind | per second | server µs CPU | of these for TLS |");
    println!("| --- | --- | --- | --: | --: | --: |");
    for name in ["p256", "rsa2048"] {
        let server = Akldap::start_with(options.server(), 100, 10, |command| {
            command
                .env(
                    "AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE",
                    certificate(&format!("{name}.pem")),
                )
                .env(
                    "AUTHENTIK_LDAP__TLS_KEY_FILE",
                    certificate(&format!("{name}.key")),
                );
        })?;
        let plain = plainly(options, &server)?;
        if name == "p256" {
            println!("| – | – | no TLS | {:.0} | {:.0} | – |", plain.0, plain.1);
        }
        for (version, shown) in [(&rustls::version::TLS12, "1.2"), (&rustls::version::TLS13, "1.3")] {
            for (resume, kind) in [(false, "full"), (true, "resumed")] {
                let connector = connector(resume, Some(version))?;
                let (rate, cpu) = measure(options, &server, server.ldaps, Some((connector, resume)))?;
                println!(
                    "| {name} | {shown} | {kind} | {rate:.0} | {cpu:.0} | {:.0} |",
                    cpu - plain.1
                );
            }
        }
    }
    Ok(())
}

fn plainly(options: &Options, server: &Akldap) -> anyhow::Result<(f64, f64)> {
    measure(options, server, server.address, None)
}

/// Connections a second, and microseconds of the server's CPU each.
fn measure(
    options: &Options,
    server: &Akldap,
    address: SocketAddr,
    tls: Option<(TlsConnector, bool)>,
) -> anyhow::Result<(f64, f64)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (done, other) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let until = Instant::now() + Duration::from_secs_f64(options.handshake_seconds());
    let cpu = process::cpu_total(server.pid());
    let begin = Instant::now();
    runtime.block_on(async {
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..CLIENTS {
            let (tls, done, other) = (tls.clone(), Arc::clone(&done), Arc::clone(&other));
            clients.spawn(async move {
                while Instant::now() < until {
                    let mut stream = TcpStream::connect(address).await?;
                    match &tls {
                        Some((connector, resume)) => {
                            if greet(connector, stream).await? != *resume {
                                other.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        None => {
                            stream.write_all(&UNBIND).await?;
                            stream.read_to_end(&mut Vec::new()).await?;
                        }
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            });
        }
        while let Some(client) = clients.join_next().await {
            client??;
        }
        anyhow::Ok(())
    })?;
    let took = begin.elapsed().as_secs_f64();
    let cpu = process::cpu_total(server.pid()).saturating_sub(cpu);
    let (done, other) = (done.load(Ordering::Relaxed), other.load(Ordering::Relaxed));
    // The first handshakes of a resuming client are full ones.
    if other > CLIENTS as u64 + done / 50 {
        anyhow::bail!("{other} of {done} handshakes were not of the kind asked for");
    }
    let done = done.max(1) as f64;
    Ok((done / took, cpu.as_secs_f64() * 1e6 / done))
}
