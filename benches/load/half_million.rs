//! The rows of a public report on authentik's own outpost at 500,000 users, on the directory that it describes. Its figures stand
//! next to ours in their own columns: they are from another machine, and include the time of its authentik. The simulated one
//! answers at once.

mod chart;
mod rows;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use akldap_simulator::{Directory, Options as SimulatorOptions};
use anyhow::{Context, bail};

use super::connection::Connection;
use super::dump::Dump;
use super::generator::{self, Load, Measured};
use super::machine::Others;
use super::options::Options;
use super::report::{figure, megabytes};
use super::slapd::{self, Ldif, Slapd};
use super::{Echo, memory};
use akldap_testing::released::{Akldap, BASE, SEARCHER, password, user_dn};
use akldap_workload::process::{self, CpuUse};
use akldap_workload::wire::{self, Encoded};
use rows::{Asked, Names, Reported};

/// Until the allocator has given back what it will give back.
const SETTLE: Duration = Duration::from_secs(3);
/// Users who log in for the first time, one after the other; as many get their password wrong.
const LOGINS: usize = 40;
const WRONG: usize = 10;
/// Who logs in at the same time, and how often each of them as somebody else.
const AT_ONCE: usize = 20;
const EACH: usize = 5;
/// How often what takes long is asked.
const HEAVY: usize = 5;
/// Octets up to which an answer is echoed.
const ECHOED: usize = 1 << 30;

/// One row of the table.
struct ComparedRow {
    name: String,
    own: Measured,
    slapd: Option<Measured>,
    echo: Option<Measured>,
    reported: Reported,
}

/// Loads the directory, measures the rows, and prints the tables; the chart goes into a file if one is named.
///
/// # Errors
/// When a server fails or an answer is not what the directory holds.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let users = options.report_users;
    println!("\n### The directory of the report, {users} users\n");
    let directory = Directory::report(users);
    let names = Names::of(&directory);
    let simulator = SimulatorOptions {
        max_page_size: 1000,
        ..SimulatorOptions::default()
    };
    let mut others = Others::watch();
    let mut own = Akldap::start_over(options.server(), directory, simulator, |_| {})?;
    others.own(own.pid());
    keeping_up(&mut own, &names)?;
    let slapd = match (options.slapd, slapd::missing()) {
        (false, _) => {
            println!("\nWithout slapd, whose import takes long: --slapd has it asked the same.");
            None
        }
        (true, Some(reason)) => bail!("without slapd: {reason}"),
        (true, None) => Some(same_slapd(&own, options.slapd_folder.as_deref())?),
    };
    if let Some(slapd) = &slapd {
        others.own(slapd.process.pid());
    }
    let mut table = binds(options, &own, slapd.as_ref(), &names)?;
    for asked in rows::searches(&names)? {
        table.push(search(options, &own, slapd.as_ref(), asked)?);
    }
    print(&table);
    enumerations(&own)?;
    println!("\n{others}");
    if let Some(file) = &options.chart {
        std::fs::write(file, chart::draw(&table, users)).context("the chart")?;
    }
    Ok(())
}

/// What loading took and takes, and what a look and a refresh cost.
fn keeping_up(own: &mut Akldap, names: &Names) -> anyhow::Result<()> {
    let pid = own.pid();
    let peak = process::memory(pid, "VmHWM");
    thread::sleep(SETTLE);
    let loaded = process::memory(pid, "VmRSS");
    process::reset_peak(pid)?;
    let look = memory::look(own);
    let user = own.simulator.user_pk(&names.user(1)).context("no users")?;
    own.runtime
        .block_on(async { own.simulator.join(user, &names.small.name) });
    let changed = memory::refresh(own)?;
    let refreshed = process::memory(pid, "VmHWM");
    println!("| what | measured | in the report, as shipped / with its author's fixes |");
    println!("| --- | --- | --- |");
    println!(
        "| first load, pages of 1,000, from an authentik that answers at once | {} s, {} s of CPU | 2.5 days / 58 min, about 11 with pages of 1,000 |",
        figure(own.start.loaded.as_secs_f64()),
        figure(own.start.cpu.as_secs_f64()),
    );
    println!(
        "| RSS after load, at its peak | {}, {} MB | 8.4 GB / 6.1–8.4 GB |",
        megabytes(loaded),
        megabytes(peak),
    );
    println!(
        "| look, nothing changed | {} requests for the directory, {} in all, {} ms of CPU | |",
        figure(look.directory),
        figure(look.requests),
        figure(look.cpu_ms),
    );
    println!(
        "| everything read, one membership changed | {} requests, {} ms of CPU, {} MB at the peak | |",
        changed.0,
        figure(changed.1),
        megabytes(refreshed),
    );
    Ok(())
}

/// slapd with what akldap answers, or with what was loaded into `kept` before.
fn same_slapd(own: &Akldap, kept: Option<&Path>) -> anyhow::Result<Slapd> {
    if let Some(folder) = kept.filter(|folder| Slapd::loaded_into(folder)) {
        return Slapd::start(folder);
    }
    if let Some(folder) = kept {
        std::fs::create_dir_all(folder).context("the folder of slapd's database")?;
    }
    let mut connection = bound(own.address)?;
    let mut ldif = Ldif::new(kept.unwrap_or(own.scratch()))?;
    Dump::read(&mut connection, BASE, |entry| ldif.add(entry))?;
    let slapd = ldif.serve(BASE)?;
    eprintln!("slapadd took {:.0} s", slapd.loaded.as_secs_f64());
    Ok(slapd)
}

fn bound(address: SocketAddr) -> anyhow::Result<Connection> {
    Connection::bound(address, &user_dn(SEARCHER), &password(SEARCHER))
}

fn binds(
    options: &Options,
    own: &Akldap,
    slapd: Option<&Slapd>,
    names: &Names,
) -> anyhow::Result<Vec<ComparedRow>> {
    let on_both = |logins: &dyn Fn(SocketAddr, u32) -> anyhow::Result<Measured>| {
        let own = logins(own.address, own.pid())?;
        let slapd = slapd.map(|slapd| logins(slapd.address, slapd.process.pid()));
        anyhow::Ok((own, slapd.transpose()?))
    };
    let row = |name: &str, (own, slapd): (Measured, Option<Measured>), reported| ComparedRow {
        name: name.to_owned(),
        own,
        slapd,
        echo: None,
        reported,
    };
    let one_by_one = |from: usize, count: usize, word: &str, code: i32| {
        let (names, word) = (names.clone(), word.to_owned());
        move |address, pid| {
            let (begin, cpu) = (Instant::now(), CpuUse::of(pid));
            let mut measured = Measured::default();
            for number in from..from + count {
                let name = names.user(number);
                measured.count(log_in(
                    address,
                    &name,
                    &format!("{}{word}", password(&name)),
                    code,
                )?);
            }
            measured.end(begin.elapsed(), cpu.until_now());
            Ok(measured)
        }
    };
    let at_once = |address, pid| {
        let (begin, cpu) = (Instant::now(), CpuUse::of(pid));
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|thread| {
                let logins = one_by_one(2 * LOGINS + thread * EACH, EACH, "", 0);
                thread::spawn(move || logins(address, pid))
            })
            .collect();
        let mut measured = Measured::default();
        for thread in threads {
            let one = thread.join().map_err(|_| anyhow::anyhow!("a login panicked"))??;
            measured.join(one);
        }
        measured.end(begin.elapsed(), cpu.until_now());
        Ok(measured)
    };
    let name = names.user(1);
    let requests = vec![generator::Request {
        encoded: Encoded::new(wire::bind(&user_dn(&name), &password(&name)), vec![])?,
        entries: 0,
    }];
    let repeated = ask(options, own, slapd, &Arc::new(requests))?;
    Ok(vec![
        row(
            "bind, first",
            on_both(&one_by_one(2, LOGINS, "", 0))?,
            rows::FIRST_BIND,
        ),
        ComparedRow {
            name: "bind, repeated".to_owned(),
            reported: rows::REPEATED_BIND,
            ..repeated
        },
        row(
            "bind, wrong password",
            on_both(&one_by_one(LOGINS + 2, WRONG, "x", 49))?,
            rows::WRONG_PASSWORD,
        ),
        row(
            "bind, 20 at the same time",
            on_both(&at_once)?,
            rows::BINDS_AT_ONCE,
        ),
    ])
}

/// Binds on a new connection and expects this code; how long it took.
fn log_in(address: SocketAddr, name: &str, password: &str, code: i32) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let ending = Connection::open(address)?.bind(&user_dn(name), password)?;
    if ending.code != code {
        bail!("{name}: code {} {}, expected {code}", ending.code, ending.message);
    }
    Ok(begin.elapsed())
}

/// Asks each of the three for the same over one connection, one request at a time.
fn ask(
    options: &Options,
    own: &Akldap,
    slapd: Option<&Slapd>,
    requests: &Arc<Vec<generator::Request>>,
) -> anyhow::Result<ComparedRow> {
    let login = wire::bind(&user_dn(SEARCHER), &password(SEARCHER));
    let login = Arc::new(Encoded::new(login, vec![])?);
    let load = |address, pid| Load {
        address,
        pid,
        login: Arc::clone(&login),
        requests: Arc::clone(requests),
        connections: 1,
        in_flight: 1,
        duration: options.duration(),
        reconnect: false,
    };
    let answer = bound(own.address)?.raw_answer(&requests.first().context("nothing to ask")?.encoded)?;
    let echo = Echo::start(own, &answer)?;
    Ok(ComparedRow {
        name: String::new(),
        own: generator::run(&load(own.address, own.pid())).context("akldap")?,
        slapd: slapd
            .map(|slapd| generator::run(&load(slapd.address, slapd.process.pid())).context("slapd"))
            .transpose()?,
        echo: Some(generator::run(&load(echo.address, echo.process.pid())).context("echo")?),
        reported: Reported::default(),
    })
}

fn search(
    options: &Options,
    own: &Akldap,
    slapd: Option<&Slapd>,
    asked: Asked,
) -> anyhow::Result<ComparedRow> {
    let mut connection = bound(own.address)?;
    let mut requests = Vec::with_capacity(asked.requests.len());
    let mut octets = 0;
    for encoded in asked.requests {
        let (entries, length) = drain(&mut connection, &encoded)?;
        if asked.entries.is_some_and(|expected| entries != expected) {
            bail!("{}: {entries} entries, not {:?}", asked.name, asked.entries);
        }
        octets = length.max(octets);
        requests.push(generator::Request { encoded, entries });
    }
    let row = if asked.heavy {
        let first = requests.first().context("nothing to ask")?;
        let many = |address, pid| repeat(address, pid, first, HEAVY);
        let answer = (octets <= ECHOED)
            .then(|| connection.raw_answer(&first.encoded))
            .transpose()?;
        let echo = answer.map(|answer| Echo::start(own, &answer)).transpose()?;
        ComparedRow {
            name: String::new(),
            own: many(own.address, own.pid())?,
            slapd: slapd
                .map(|slapd| many(slapd.address, slapd.process.pid()))
                .transpose()?,
            echo: echo
                .map(|echo| many(echo.address, echo.process.pid()))
                .transpose()?,
            reported: Reported::default(),
        }
    } else {
        ask(options, own, slapd, &Arc::new(requests)).with_context(|| asked.name.clone())?
    };
    Ok(ComparedRow {
        name: asked.name,
        reported: asked.reported,
        ..row
    })
}

/// Asks for something large a few times.
fn repeat(
    address: SocketAddr,
    pid: u32,
    request: &generator::Request,
    times: usize,
) -> anyhow::Result<Measured> {
    let mut connection = bound(address)?;
    let (begin, cpu) = (Instant::now(), CpuUse::of(pid));
    let mut measured = Measured::default();
    for _ in 0..times {
        let since = Instant::now();
        let (entries, _) = drain(&mut connection, &request.encoded)?;
        if entries != request.entries {
            bail!("{entries} entries, not {}", request.entries);
        }
        measured.count(since.elapsed());
    }
    measured.end(begin.elapsed(), cpu.until_now());
    Ok(measured)
}

/// Reads an answer to its end without decoding it: entries and octets.
fn drain(connection: &mut Connection, request: &Encoded) -> anyhow::Result<(u64, usize)> {
    connection.send(request)?;
    let (mut entries, mut octets) = (0, 0);
    loop {
        let (message, frame) = connection.message()?;
        octets += frame.length;
        match wire::Answer::read(message, frame).context("a malformed answer")? {
            answer if answer.tag == wire::SEARCH_ENTRY => entries += 1,
            answer if answer.code == Some(0) => return Ok((entries, octets)),
            answer => bail!("a search was answered {answer:?}"),
        }
    }
}

/// Two clients that read everything: what stays of it.
fn enumerations(own: &Akldap) -> anyhow::Result<()> {
    let everything = rows::everything()?;
    for _ in 0..2 {
        drain(&mut bound(own.address)?, &everything)?;
    }
    thread::sleep(SETTLE);
    println!(
        "\nRSS after two full enumerations: {} MB (in the report 12.7 GB).",
        megabytes(process::memory(own.pid(), "VmRSS"))
    );
    Ok(())
}

fn print(table: &[ComparedRow]) {
    println!(
        "\n| operation | akldap p50, p99 µs | its CPU µs | slapd p50, p99 µs | its CPU µs | echo p50, p99 µs | its CPU µs \
         | in the report (Ryzen 7 9700X): as shipped | with its author's fixes |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --- | --- |");
    for row in table {
        let columns = |measured: Option<&Measured>| match measured {
            None => "– | –".to_owned(),
            Some(measured) => format!(
                "{}, {} | {}",
                figure(measured.percentile_us(0.5)),
                figure(measured.percentile_us(0.99)),
                figure(measured.cpu_us())
            ),
        };
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            row.name,
            columns(Some(&row.own)),
            columns(row.slapd.as_ref()),
            columns(row.echo.as_ref()),
            row.reported.shipped,
            row.reported.fixed,
        );
    }
}
