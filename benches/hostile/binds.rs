//! First logins of honest people during bad binds whose clients hang up at once: nobody may be refused, and of a hundred
//! logins 99 may take at most three times as long as without the flood.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use akldap_simulator::Endpoint;
use anyhow::ensure;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::honest::{Client, Seen};
use super::options::Options;
use akldap_testing::released::{Akldap, password, user_dn};
use akldap_workload::wire::{self, Encoded};

/// What authentik takes for a request.
const LATENCY: Duration = Duration::from_millis(50);
/// Between two bad binds: about 190 a second.
const BAD_EVERY: Duration = Duration::from_micros(5_263);
/// How long a hostile client stays.
const STAY: Duration = Duration::from_millis(10);
/// Between two first logins.
const HONEST_EVERY: Duration = Duration::from_millis(100);
/// The most that the flood may make of the time 99 of 100 logins take.
const MOST: f64 = 3.0;

/// Runs it.
///
/// # Errors
/// When something does not start, or the promise is not kept.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let seconds = if options.quick { 5 } else { 60 };
    let logins = seconds * 10;
    let server = Akldap::start(options.server(), 2 * logins + 100, 100)?;
    server.simulator.faults().set_latency(LATENCY);
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut alone = runtime.block_on(first_logins(server.address, 1, logins))?;
    let flows = || server.simulator.requests().count(Endpoint::FlowExecutor);
    let (before, bad) = (flows(), Arc::new(AtomicUsize::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    runtime.spawn(flood(server.address, Arc::clone(&stop), Arc::clone(&bad)));
    let mut beside = runtime.block_on(first_logins(server.address, logins + 1, logins))?;
    stop.store(true, Ordering::Relaxed);
    let asked = flows().saturating_sub(before);
    println!(
        "\n### First logins beside bad binds for one name, {seconds} s, authentik at {} ms\n",
        LATENCY.as_millis()
    );
    println!(
        "{} bad binds; authentik received {asked} requests of flows in all.\n",
        bad.load(Ordering::Relaxed)
    );
    println!("| first logins | count | p50 ms | p99 ms | errors |");
    println!("| --- | --: | --: | --: | --: |");
    for (name, (seen, errors)) in [("alone", &mut alone), ("beside them", &mut beside)] {
        println!(
            "| {name} | {} | {:.1} | {:.1} | {errors} |",
            seen.waits.len(),
            seen.percentile_ms(0.5),
            seen.percentile_ms(0.99)
        );
    }
    ensure!(beside.1 == 0, "{} honest logins failed", beside.1);
    let ratio = beside.0.percentile_ms(0.99) / alone.0.percentile_ms(0.99).max(f64::MIN_POSITIVE);
    ensure!(
        ratio <= MOST,
        "the flood makes 99 of 100 logins {ratio:.1} times as long"
    );
    Ok(())
}

/// Logs in this many people for the first time, one every [`HONEST_EVERY`]: what they waited, and how many failed.
async fn first_logins(server: SocketAddr, first: usize, count: usize) -> anyhow::Result<(Seen, usize)> {
    let mut logins = JoinSet::new();
    for number in first..first + count {
        let name = format!("user{number:06}");
        let bind = Encoded::new(wire::bind(&user_dn(&name), &password(&name)), vec![])?;
        logins.spawn(async move {
            let begin = Instant::now();
            let bound = Client::bound(server, &bind).await;
            bound.map(|_| u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX))
        });
        sleep(HONEST_EVERY).await;
    }
    let (mut seen, mut errors) = (Seen::default(), 0);
    while let Some(login) = logins.join_next().await {
        match login? {
            Ok(wait) => seen.waits.push(wait),
            Err(error) => {
                errors += 1;
                eprintln!("an honest login failed: {error}");
            }
        }
    }
    Ok((seen, errors))
}

async fn flood(server: SocketAddr, stop: Arc<AtomicBool>, count: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        let number = count.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            // Whoever attacks does not mind a failure.
            let _ = bind_and_go(server, number).await;
        });
        sleep(BAD_EVERY).await;
    }
}

async fn bind_and_go(server: SocketAddr, number: usize) -> anyhow::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 66, 6, 6), 0)))?;
    let mut stream = socket.connect(server).await?;
    let bind = Encoded::new(wire::bind(&user_dn("alice"), &format!("wrong{number}")), vec![])?;
    let mut octets = Vec::new();
    bind.write(1, &mut octets);
    stream.write_all(&octets).await?;
    sleep(STAY).await;
    Ok(())
}
