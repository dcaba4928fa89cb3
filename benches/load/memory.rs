//! Memory: what a directory takes once loaded, what a refresh takes on top, what a connection takes, and whether
//! anything grows with time.

use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use akldap_simulator::Endpoint;
use anyhow::Context;

use super::connection::Connection;
use super::options::Options;
use super::report::{figure, megabytes};
use akldap_testing::released::{Akldap, SEARCHER, password, user_dn};
use akldap_workload::process;

/// Until the allocator has given back what it will give back.
const SETTLE: Duration = Duration::from_secs(3);

/// Prints the table of directories, then those of connections and of refreshes.
///
/// # Errors
/// When a server fails.
pub fn run(options: &Options) -> anyhow::Result<()> {
    println!("\n### Memory and refreshes of akldap\n");
    println!(
        "| users/groups | port open ms | loaded s | CPU of loading s | RSS after load MB | peak of loading MB \
         | look, nothing changed: requests for the directory, all requests, CPU ms \
         | reading all, nothing changed: requests, CPU ms | reading all, one membership changed: requests, CPU ms \
         | peak of these MB | RSS after MB |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    for size in &options.memory {
        let (users, groups) = size.split_once('/').context("--memory takes users/groups")?;
        directory(options, size, (users.parse()?, groups.parse()?))?;
    }
    connections(options)
}

fn directory(options: &Options, name: &str, (users, groups): (usize, usize)) -> anyhow::Result<()> {
    let mut server = Akldap::start(options.server(), users, groups)?;
    let pid = server.pid();
    let first_peak = process::memory(pid, "VmHWM");
    sleep(SETTLE);
    let loaded = process::memory(pid, "VmRSS");
    process::reset_peak(pid)?;
    let look = look(&server);
    let unchanged = refresh(&mut server)?;
    let (alice, group) = (server.simulator.user_pk("alice").context("no alice")?, "sales");
    server
        .runtime
        .block_on(async { server.simulator.join(alice, group) });
    let changed = refresh(&mut server)?;
    let peak = process::memory(pid, "VmHWM");
    sleep(SETTLE);
    let after = process::memory(pid, "VmRSS");
    println!(
        "| {name} | {:.0} | {} | {} | {} | {} | {}, {}, {} | {}, {} | {}, {} | {} | {} |",
        server.start.open.as_secs_f64() * 1e3,
        figure(server.start.loaded.as_secs_f64()),
        figure(server.start.cpu.as_secs_f64()),
        megabytes(loaded),
        megabytes(first_peak),
        figure(look.directory),
        figure(look.requests),
        figure(look.cpu_ms),
        unchanged.0,
        figure(unchanged.1),
        changed.0,
        figure(changed.1),
        megabytes(peak),
        megabytes(after),
    );
    Ok(())
}

/// What a look at what changed took, when nothing had.
pub struct Look {
    /// Requests for users and groups.
    pub directory: f64,
    /// All requests.
    pub requests: f64,
    /// Milliseconds of the server's CPU.
    pub cpu_ms: f64,
}

/// Sends events, as authentik does, each when the refresh after the one before is done. The server is not asked when that
/// is: its metrics would cost more than what is measured.
pub fn look(server: &Akldap) -> Look {
    // What was there from the start leaves the time that is looked at again and again.
    server.simulator.advance(Duration::from_secs(600));
    let simulator = &server.simulator;
    let (total, directory) = (
        || simulator.requests().total(),
        || simulator.requests().count(Endpoint::UserList) + simulator.requests().count(Endpoint::GroupList),
    );
    let event = || {
        let before = directory();
        server
            .runtime
            .block_on(async { simulator.trigger_update(vec![simulator.outpost_pk()]) });
        while directory() == before {
            sleep(QUIET);
        }
        let mut seen = total();
        loop {
            sleep(QUIET);
            match total() {
                now if now == seen => break,
                now => seen = now,
            }
        }
    };
    while simulator.websockets() == 0 {
        sleep(QUIET);
    }
    event();
    let (all, of_directory, cpu) = (total(), directory(), process::cpu_total(server.pid()));
    for _ in 0..LOOKS {
        event();
    }
    let each = |count: u64| count as f64 / LOOKS as f64;
    Look {
        directory: each(directory() - of_directory),
        requests: each(total() - all),
        cpu_ms: process::cpu_total(server.pid()).saturating_sub(cpu).as_secs_f64() * 1e3 / LOOKS as f64,
    }
}

/// Looks of which the mean is told.
const LOOKS: u64 = 20;
/// A server that asks nothing for this long is done.
const QUIET: Duration = Duration::from_millis(250);

/// Requests to authentik and milliseconds of CPU a refresh took.
///
/// # Errors
/// When it takes too long.
pub fn refresh(server: &mut Akldap) -> anyhow::Result<(u64, f64)> {
    let (requests, cpu) = (
        server.simulator.requests().total(),
        process::cpu_total(server.pid()),
    );
    server.refresh()?;
    let cpu = process::cpu_total(server.pid()).saturating_sub(cpu);
    Ok((
        server.simulator.requests().total() - requests,
        cpu.as_secs_f64() * 1e3,
    ))
}

fn connections(options: &Options) -> anyhow::Result<()> {
    let room = process::raise_open_files().saturating_sub(100);
    let count = options.idle.min(usize::try_from(room)?);
    let mut server = Akldap::start(options.server(), 10_000, 100)?;
    let pid = server.pid();
    // One bind from authentik, the others from the cache.
    drop(Connection::bound(
        server.address,
        &user_dn(SEARCHER),
        &password(SEARCHER),
    )?);
    sleep(SETTLE);
    let before = process::memory(pid, "VmRSS");
    let mut idle: Vec<TcpStream> = Vec::new();
    for _ in 0..count {
        idle.push(Connection::bound(server.address, &user_dn(SEARCHER), &password(SEARCHER))?.into_stream());
    }
    sleep(SETTLE);
    let with = process::memory(pid, "VmRSS");
    let each = (with.saturating_sub(before)) as f64 / count.max(1) as f64;
    println!("\n### Idle connections\n");
    println!(
        "{count} bound, idle connections: RSS from {} to {} MB, {each:.0} octets each.",
        megabytes(before),
        megabytes(with)
    );
    if options.refreshes > 0 {
        let begin = Instant::now();
        let alice = server.simulator.user_pk("alice").context("no alice")?;
        server.refresh()?;
        let first = process::memory(pid, "VmRSS");
        for number in 0..options.refreshes {
            // Every time something changed, or nothing would be built.
            server.runtime.block_on(async {
                if number % 2 == 0 {
                    server.simulator.join(alice, "sales");
                } else {
                    server.simulator.leave(alice, "sales");
                }
            });
            server.refresh()?;
        }
        sleep(SETTLE);
        let last = process::memory(pid, "VmRSS");
        println!(
            "\n{} refreshes of 10,000 users, each after a change, with these connections open: RSS from {} to {} MB ({:+.1} %), in {:.0} s.",
            options.refreshes,
            megabytes(first),
            megabytes(last),
            (last as f64 / first as f64 - 1.0) * 100.0,
            begin.elapsed().as_secs_f64(),
        );
    }
    drop(idle);
    Ok(())
}
