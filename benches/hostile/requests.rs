//! What one request costs before anybody has bound: every kind of request, as large as a stranger may send one, and the
//! processor time that the kernel counts for the server. A kind that costs more than [`MOST`] fails.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::options::Options;
use akldap_testing::released::Akldap;
use akldap_workload::process::CpuUse;
use akldap_workload::wire::{Answer, Frame, SEARCH_DONE};
use kinds::{Port, RequestKind};

mod kinds;

/// What a request may cost, the connection it comes over included.
const MOST: Duration = Duration::from_millis(20);
/// How often each is sent; the mean counts.
const TIMES: u32 = 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// For what the server does after its answer.
const SETTLE: Duration = Duration::from_millis(20);

/// Runs it.
///
/// # Errors
/// When something does not start, or a request costs too much.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let server = Akldap::start(options.server(), 1000, 100)?;
    println!("\n### One request before a bind, mean of {TIMES}\n");
    println!("| request | octets | answer | server ms CPU |");
    println!("| --- | --: | --: | --: |");
    let mut dear = Vec::new();
    for kind in kinds::all() {
        let (answer, cost) = cost_of(&server, &kind).with_context(|| kind.name.clone())?;
        let milliseconds = cost.as_secs_f64() * 1e3;
        println!(
            "| {} | {} | {answer} | {milliseconds:.2} |",
            kind.name,
            kind.octets.len()
        );
        if cost > MOST {
            dear.push(format!("{}: {milliseconds:.1} ms", kind.name));
        }
    }
    ensure!(
        dear.is_empty(),
        "dearer than {} ms: {}",
        MOST.as_millis(),
        dear.join("; ")
    );
    Ok(())
}

/// How a request is answered, and the mean of what it costs.
fn cost_of(server: &Akldap, kind: &RequestKind) -> anyhow::Result<(String, Duration)> {
    let pid = server.pid();
    let address = match kind.port {
        Port::Ldap => server.address,
        Port::Http => server.http(),
    };
    // What is done once for a kind, such as a list that is made at its first use, is not the price of a request.
    let answer = send(address, kind)?;
    std::thread::sleep(SETTLE);
    let cpu = CpuUse::of(pid);
    for _ in 0..TIMES {
        send(address, kind)?;
    }
    std::thread::sleep(SETTLE);
    Ok((answer, cpu.until_now() / TIMES))
}

/// Sends a request over a connection of its own, and waits until it was dealt with: until a small search behind it is
/// answered, or the server ends the connection. Returns the code of its own answer.
fn send(address: SocketAddr, kind: &RequestKind) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let (mut octets, mut buffer) = (kind.octets.clone(), [0; 1 << 16]);
    if kind.port == Port::Ldap {
        octets.extend(kinds::small_search(2));
    }
    let mut answer = "none".to_owned();
    // It may be cut off in the middle of what it says.
    if stream.write_all(&octets).is_err() {
        return Ok(answer);
    }
    octets.clear();
    loop {
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Ok(answer),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(answer),
            Err(error) => return Err(error),
        };
        octets.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if kind.port == Port::Http {
            // The status behind `HTTP/1.1`.
            let status = octets.get(9..12).unwrap_or_default();
            answer = String::from_utf8_lossy(status).into_owned();
            continue;
        }
        while let Some(frame) = Frame::first(&octets) {
            match Answer::read(&octets, frame) {
                Some(Answer { id: 2, tag, .. }) if tag == SEARCH_DONE => return Ok(answer),
                Some(Answer {
                    id: 0 | 1,
                    code: Some(code),
                    ..
                }) => answer = code.to_string(),
                _ => {}
            }
            octets.drain(..frame.length);
        }
    }
}
