//! Does one client's listing, or its hopeless filter, keep the others waiting? One connection asks for one user again
//! and again, alone and then next to a connection that asks for something large all the time.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ldap3_proto::proto::{LdapFilter, LdapSearchScope};

use super::connection::Connection;
use super::generator::{self, Load};
use super::report::figure;
use akldap_testing::released::{BASE, SEARCHER, password, user_dn};
use akldap_workload::wire::{self, Encoded};

/// Terms of the two disjunctions.
const MANY_TERMS: usize = 3_000;
const MORE_TERMS: usize = 10_000;
/// Between two refreshes that are asked for; one that is under way is waited for.
const REFRESH_EVERY: Duration = Duration::from_millis(500);

/// Prints the table. `load` asks for one user over one connection.
///
/// # Errors
/// When a server fails.
pub fn run(load: &Load) -> anyhow::Result<()> {
    println!("\n### Delay of an equality search beside a large one\n");
    println!("| beside | p50 µs | p99 µs | p99 added µs | large ones finished |");
    println!("| --- | --: | --: | --: | --: |");
    thread::sleep(SETTLE);
    generator::run(load)?;
    let mut alone = None;
    for (name, beside) in [
        ("nothing", Beside::Nothing),
        ("another program that computes", Beside::Computing),
        (
            "listing of all users, all attributes",
            Beside::Search(LdapFilter::Present("objectClass".into())),
        ),
        (
            "`(mail=*a*b*c*)`",
            Beside::Search(ldap3_proto::parse_ldap_filter_str("(mail=*a*b*c*)")?),
        ),
        (
            "a disjunction of 3,000 unindexable terms",
            Beside::Search(disjunction(MANY_TERMS)),
        ),
        (
            "a disjunction of 10,000 unindexable terms",
            Beside::Search(disjunction(MORE_TERMS)),
        ),
        ("refreshes of everything, one after the other", Beside::Refreshes),
    ] {
        let stop = Arc::new(AtomicBool::new(false));
        let other = match beside {
            Beside::Nothing => None,
            Beside::Computing => {
                let stop = Arc::clone(&stop);
                thread::spawn(move || while !stop.load(Ordering::Relaxed) {});
                None
            }
            Beside::Refreshes => {
                let (stop, pid) = (Arc::clone(&stop), load.pid);
                thread::spawn(move || refresh_until(&stop, pid));
                None
            }
            Beside::Search(filter) => Some(Disturber::start(load.address, filter, &stop)?),
        };
        thread::sleep(Duration::from_millis(100));
        let measured = generator::run(load)?;
        stop.store(true, Ordering::Relaxed);
        let finished = match other {
            Some(other) => other.end()?.to_string(),
            None => "–".to_owned(),
        };
        let p99 = measured.percentile_us(0.99);
        println!(
            "| {name} | {} | {} | {:.0} | {finished} |",
            figure(measured.percentile_us(0.5)),
            figure(p99),
            p99 - *alone.get_or_insert(p99)
        );
    }
    Ok(())
}

/// Until the server is done with what clients before left behind.
const SETTLE: Duration = Duration::from_secs(8);

/// What goes on at the same time. The generator and two threads of the server share the cores of a small machine, so that a
/// third program shows what of a delay is the system's.
enum Beside {
    Nothing,
    Computing,
    Refreshes,
    Search(LdapFilter),
}

/// Asks the server for one refresh after the other.
fn refresh_until(stop: &AtomicBool, pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    while let Some(pid) = pid
        && !stop.load(Ordering::Relaxed)
        && rustix::process::kill_process(pid, rustix::process::Signal::USR1).is_ok()
    {
        thread::sleep(REFRESH_EVERY);
    }
}

/// Substrings, so that no equality index answers it.
fn disjunction(terms: usize) -> LdapFilter {
    let term = |number: usize| ldap3_proto::parse_ldap_filter_str(&format!("(mail=*x{number:05}y*)"));
    LdapFilter::Or((0..terms).filter_map(|number| term(number).ok()).collect())
}

/// A client that asks for something large again and again.
struct Disturber {
    socket: TcpStream,
    thread: JoinHandle<anyhow::Result<u64>>,
}

impl Disturber {
    fn start(address: SocketAddr, filter: LdapFilter, stop: &Arc<AtomicBool>) -> anyhow::Result<Self> {
        let mut connection = Connection::bound(address, &user_dn(SEARCHER), &password(SEARCHER))?;
        let request = Encoded::new(wire::search(BASE, LdapSearchScope::Subtree, filter, &[]), vec![])?;
        let (socket, stop) = (connection.socket()?, Arc::clone(stop));
        let thread = thread::spawn(move || {
            let mut finished = 0;
            loop {
                match ask(&mut connection, &request) {
                    Ok(()) => finished += 1,
                    Err(_) if stop.load(Ordering::Relaxed) => return Ok(finished),
                    Err(error) => return Err(error),
                }
            }
        });
        Ok(Self { socket, thread })
    }

    /// Breaks off what is under way, which may take minutes, and says how many answers were read to their end.
    fn end(self) -> anyhow::Result<u64> {
        self.socket.shutdown(Shutdown::Both)?;
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the disturbing client panicked"))?
    }
}

fn ask(connection: &mut Connection, request: &Encoded) -> anyhow::Result<()> {
    connection.send(request)?;
    loop {
        let (message, frame) = connection.message()?;
        if wire::Answer::read(message, frame).is_some_and(|answer| answer.tag == wire::SEARCH_DONE) {
            return Ok(());
        }
    }
}
