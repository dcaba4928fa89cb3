//! What an abandoned search still costs: one connection asks for everything, takes a little of it, and gives it up.
//! What the server spends from then on is for nobody.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use anyhow::bail;
use ldap3_proto::proto::{LdapFilter, LdapOp, LdapSearchScope};

use super::connection::Connection;
use akldap_testing::released::{Akldap, BASE, SEARCHER, password, user_dn};
use akldap_workload::process::{self, CpuUse};
use akldap_workload::wire::{self, Encoded};

/// Times each is measured; the worst counts.
const RUNS: usize = 5;
/// Octets taken before the search is given up.
const TAKEN: usize = 1 << 20;
/// Nothing comes for this long: the server is done with it.
const QUIET: Duration = Duration::from_millis(200);
/// Longer than the server works for clients that have gone.
const SETTLE: Duration = Duration::from_secs(8);

/// Prints the table.
///
/// # Errors
/// When the server fails.
pub fn run(own: &Akldap, entries: usize) -> anyhow::Result<()> {
    println!("\n### An abandoned search of {entries} entries\n");
    println!(
        "| filter | to its end: CPU ms | after the abandon: CPU ms, worst of {RUNS} | octets still sent |"
    );
    println!("| --- | --: | --: | --: |");
    // What clients of other parts left behind ends.
    std::thread::sleep(SETTLE);
    let hopeless = ldap3_proto::parse_ldap_filter_str("(mail=*a*b*c*)")?;
    for (name, filter, taken) in [
        ("everything", LdapFilter::Present("objectClass".into()), TAKEN),
        ("`(mail=*a*b*c*)`", hopeless, 0),
    ] {
        let request = Encoded::new(wire::search(BASE, LdapSearchScope::Subtree, filter, &[]), vec![])?;
        let mut connection = Connection::bound(own.address, &user_dn(SEARCHER), &password(SEARCHER))?;
        let before = CpuUse::of(own.pid());
        connection.raw_answer(&request)?;
        let whole = before.until_now();
        let (mut worst, mut most) = (Duration::ZERO, 0);
        for _ in 0..RUNS {
            let (cpu, octets) = give_up(own, &request, taken)?;
            worst = worst.max(cpu);
            most = most.max(octets);
        }
        println!("| {name} | {:.1} | {:.2} | {most} |", ms(whole), ms(worst));
    }
    Ok(())
}

/// CPU time and octets after the abandon was sent.
fn give_up(own: &Akldap, request: &Encoded, taken: usize) -> anyhow::Result<(Duration, usize)> {
    let connection = Connection::bound(own.address, &user_dn(SEARCHER), &password(SEARCHER))?;
    let mut stream = connection.into_stream();
    let mut out = Vec::new();
    request.write(1, &mut out);
    stream.write_all(&out)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut count = 0;
    while count < taken {
        match stream.read(&mut buffer)? {
            0 => bail!("the server closed the connection"),
            octets => count += octets,
        }
    }
    if taken == 0 {
        // The search has begun, and is far from its end.
        std::thread::sleep(Duration::from_millis(10));
    }
    out.clear();
    Encoded::new(LdapOp::AbandonRequest(1), vec![])?.write(2, &mut out);
    let before = CpuUse::of(own.pid());
    stream.write_all(&out)?;
    stream.set_read_timeout(Some(QUIET))?;
    let (mut after, begin) = (0, Instant::now());
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => bail!("the server closed the connection"),
            Ok(octets) => after += octets,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => return Err(error.into()),
        }
        if begin.elapsed() > process::PATIENCE {
            bail!("the server does not stop");
        }
    }
    Ok((before.until_now(), after))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
