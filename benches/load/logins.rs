//! What a login costs that no cache answers: requests to authentik and time, by how long authentik takes for an answer.

use std::time::{Duration, Instant};

use akldap_simulator::{Flow, Stage};

use super::connection::Connection;
use super::options::Options;
use super::report::figure;
use akldap_testing::released::{Akldap, password, user_dn};
use akldap_workload::process;

/// Logins of one row, each of another user.
const LOGINS: usize = 100;
/// How long the simulated authentik waits before each answer.
const LATENCIES_MS: [u64; 3] = [0, 5, 20];

/// Prints the table: the flow authentik recommends for LDAP, its first stage known, one login at a time, each on a new
/// connection.
///
/// # Errors
/// When a login fails.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let users = LOGINS * LATENCIES_MS.len() + 50;
    let own = Akldap::start(options.server(), users, 20)?;
    own.simulator.edit(|directory| {
        let stages = vec![Stage::identification_with_password(), Stage::login()];
        let slug = "ldap-authentication-flow";
        directory
            .flows
            .insert(slug.to_owned(), Flow::new(slug, "LDAP", stages));
    });
    log_in(&own, "alice")?;
    println!("\n### Logins that no cache answers\n");
    println!("| authentik's latency ms | requests a login | p50 ms | p99 ms | server µs a login |");
    println!("| --: | --: | --: | --: | --: |");
    let mut number = 0;
    for latency in LATENCIES_MS {
        own.simulator.faults().set_latency(Duration::from_millis(latency));
        let (requests, cpu) = (own.simulator.requests().total(), process::cpu_total(own.pid()));
        let mut times = Vec::with_capacity(LOGINS);
        for _ in 0..LOGINS {
            number += 1;
            times.push(log_in(&own, &format!("user{number:06}"))?);
        }
        let requests = own.simulator.requests().total() - requests;
        let cpu = process::cpu_total(own.pid()).saturating_sub(cpu);
        times.sort_unstable();
        let at = |index: usize| times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
        println!(
            "| {latency} | {} | {} | {} | {} |",
            figure(requests as f64 / LOGINS as f64),
            figure(at(LOGINS / 2)),
            figure(at(LOGINS * 99 / 100)),
            figure(cpu.as_secs_f64() * 1e6 / LOGINS as f64),
        );
    }
    Ok(())
}

fn log_in(own: &Akldap, name: &str) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    drop(Connection::bound(own.address, &user_dn(name), &password(name))?);
    Ok(begin.elapsed())
}
