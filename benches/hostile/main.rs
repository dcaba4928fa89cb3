//! Can the listener be worn down? Hostile clients of every kind at once next to honest ones, ten thousand idle
//! connections, what TLS handshakes cost, and what one large request costs before a bind. The released binary runs in its
//! own process, the simulated authentik and all clients in this one, on the same cores: figures of a small machine say how
//! much is shared, not how fast it is.

#![allow(missing_docs, reason = "a program")]
#![allow(unreachable_pub, reason = "modules shared with the load benchmark")]

mod attacks;
mod binds;
mod handshakes;
mod honest;
mod options;
mod requests;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ldap3_proto::proto::{LdapFilter, LdapOp, LdapSearchScope};

use akldap_testing::released::{Akldap, BASE, SEARCHER, password, user_dn};
use akldap_workload::process::{self, CpuUse};
use akldap_workload::wire::{self, Encoded};
use honest::{Client, Honest, Observed};
use options::Options;

/// Until the allocator has given back what it will give back.
const SETTLE: Duration = Duration::from_secs(15);

/// The search honest clients make.
fn equality(name: &str) -> LdapOp {
    let filter = LdapFilter::Equality("cn".to_owned(), name.to_owned());
    wire::search(BASE, LdapSearchScope::Subtree, filter, &["cn", "mail"])
}

/// The search of those who never read: every entry with every attribute.
fn everything() -> LdapOp {
    let filter = LdapFilter::Present("objectClass".to_owned());
    wire::search(BASE, LdapSearchScope::Subtree, filter, &["*", "+"])
}

fn main() -> anyhow::Result<()> {
    let options = Options::read();
    process::raise_open_files();
    if options.wants("handshakes") {
        handshakes::run(&options)?;
    }
    if options.wants("idle") {
        idle(&options)?;
    }
    if options.wants("attack") {
        attack(&options)?;
    }
    if options.wants("binds") {
        binds::run(&options)?;
    }
    if options.wants("requests") {
        requests::run(&options)?;
    }
    Ok(())
}

/// What idle connections take, and what they cost the others.
fn idle(options: &Options) -> anyhow::Result<()> {
    let server = Akldap::start(options.server(), 10_000, 100)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bind = Encoded::new(wire::bind(&user_dn(SEARCHER), &password(SEARCHER)), vec![])?;
    let span = Duration::from_secs(if options.quick { 1 } else { 10 });
    // The first run warms everything up.
    runtime.block_on(searches(&server, &bind, span))?;
    let alone = runtime.block_on(searches(&server, &bind, span))?;
    let before = process::memory(server.pid(), "VmRSS");
    let idle = runtime.block_on(async {
        let mut idle = Vec::new();
        for _ in 0..options.idle {
            idle.push(Client::bound(server.address, &bind).await?);
        }
        std::io::Result::Ok(idle)
    })?;
    sleep(Duration::from_secs(3));
    let with = process::memory(server.pid(), "VmRSS");
    let beside = runtime.block_on(searches(&server, &bind, span))?;
    let count = idle.len();
    drop(idle);
    sleep(Duration::from_secs(3));
    let again = runtime.block_on(searches(&server, &bind, span))?;
    println!("\n### {count} idle connections\n");
    println!(
        "Bound over LDAP: RSS from {} to {} MB, {:.0} octets each.\n",
        megabytes(before),
        megabytes(with),
        with.saturating_sub(before) as f64 / count.max(1) as f64
    );
    println!("| equality search, 4 connections | server µs CPU | p50 µs | p99 µs | per second |");
    println!("| --- | --: | --: | --: | --: |");
    for (name, figures) in [("before", &alone), ("beside them", &beside), ("after", &again)] {
        println!(
            "| {name} | {:.1} | {} | {} | {:.0} |",
            figures.cpu, figures.p50, figures.p99, figures.rate
        );
    }
    Ok(())
}

struct SearchFigures {
    cpu: f64,
    p50: u64,
    p99: u64,
    rate: f64,
}

/// Four connections that search one time after the other.
async fn searches(server: &Akldap, bind: &Encoded, span: Duration) -> anyhow::Result<SearchFigures> {
    let request = Encoded::new(equality("user000042"), vec![])?;
    let mut clients = tokio::task::JoinSet::new();
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(Client::bound(server.address, bind).await?);
    }
    let (cpu, begin) = (CpuUse::of(server.pid()), Instant::now());
    for mut client in open {
        let request = request.clone();
        clients.spawn(async move {
            let mut waits = Vec::new();
            while begin.elapsed() < span {
                let sent = Instant::now();
                client.ask(&request, wire::SEARCH_DONE).await?;
                waits.push(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            std::io::Result::Ok(waits)
        });
    }
    let mut waits = Vec::new();
    while let Some(done) = clients.join_next().await {
        waits.extend(done??);
    }
    let cpu = cpu.until_now();
    waits.sort_unstable();
    let count = waits.len().max(1);
    let at = |part: f64| {
        waits
            .get(((count - 1) as f64 * part) as usize)
            .copied()
            .unwrap_or_default()
    };
    Ok(SearchFigures {
        cpu: cpu.as_secs_f64() * 1e6 / count as f64,
        p50: at(0.5),
        p99: at(0.99),
        rate: count as f64 / begin.elapsed().as_secs_f64(),
    })
}

/// Honest clients alone, then together with hostile ones, then alone again.
fn attack(options: &Options) -> anyhow::Result<()> {
    let server = Akldap::start_with(options.server(), options.users, 1_000, |command| {
        for (name, file) in [("CERTIFICATE", "p256.pem"), ("KEY", "p256.key")] {
            let path = format!("{}/certs/{file}", env!("CARGO_MANIFEST_DIR"));
            command.env(format!("AUTHENTIK_LDAP__TLS_{name}_FILE"), path);
        }
    })?;
    let pid = server.pid();
    let seconds = options.seconds.max(5);
    let alone = Duration::from_secs((seconds / 10).clamp(2, 60));
    let honest = || Honest::start(server.address, "alice");
    let during = |honest: Honest, span| {
        sleep(span);
        honest.finish()
    };
    // The attackers are not to blame for what a first login allocates.
    during(honest(), Duration::from_secs(2))?;
    let mut before = during(honest(), alone)?;
    let calm = process::memory(pid, "VmRSS");
    let target = attacks::Target {
        ldap: server.address,
        ldaps: server.ldaps,
    };
    let count = Arc::new(attacks::Count::default());
    process::reset_peak(pid)?;
    let cpu = process::cpu_total(pid);
    let attackers = attacks::start(&target, &count)?;
    let clients = honest();
    let mut highest = 0;
    for _ in 0..seconds {
        sleep(Duration::from_secs(1));
        highest = highest.max(process::memory(pid, "VmRSS"));
    }
    let mut under = clients.finish()?;
    let cpu = process::cpu_total(pid).saturating_sub(cpu);
    let peak = process::memory(pid, "VmHWM").max(highest);
    attackers.shutdown_background();
    sleep(SETTLE);
    let settled = process::memory(pid, "VmRSS");
    let mut after = during(honest(), alone)?;
    println!(
        "\n### {seconds} s of hostile clients beside honest ones, {} users\n",
        options.users
    );
    println!(
        "{} hostile connections, {} of them with a full TLS handshake; {:.0} % of a core for the server.\n",
        count.connections.load(Ordering::Relaxed),
        count.handshakes.load(Ordering::Relaxed),
        cpu.as_secs_f64() * 100.0 / seconds as f64
    );
    println!("| honest clients | searches | p50 ms | p99 ms | logins | p50 ms | p99 ms | errors |");
    println!("| --- | --: | --: | --: | --: | --: | --: | --: |");
    for (name, observed) in [
        ("before", &mut before),
        ("beside them", &mut under),
        ("after", &mut after),
    ] {
        print(name, observed);
    }
    println!(
        "\nRSS before {} MB, at most {} MB, {} s after {} MB ({:+.1} %).",
        megabytes(calm),
        megabytes(peak),
        SETTLE.as_secs(),
        megabytes(settled),
        (settled as f64 / calm.max(1) as f64 - 1.0) * 100.0
    );
    Ok(())
}

fn print(name: &str, observed: &mut Observed) {
    let (searches, logins) = (observed.searches.waits.len(), observed.logins.waits.len());
    println!(
        "| {name} | {searches} | {:.2} | {:.2} | {logins} | {:.2} | {:.2} | {} |",
        observed.searches.percentile_ms(0.5),
        observed.searches.percentile_ms(0.99),
        observed.logins.percentile_ms(0.5),
        observed.logins.percentile_ms(0.99),
        observed.errors
    );
}

fn megabytes(octets: u64) -> String {
    format!("{:.1}", octets as f64 / 1e6)
}
