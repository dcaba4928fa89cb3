//! `cargo bench --bench load`: what an operation costs akldap, compared with Debian's slapd with the same directory and
//! with a bare echo of the same octets, in turn in the same run. See BENCHMARKS.md.
//!
//! Nothing here is a test: answers are checked, so that wrong ones are not measured, but no figure makes it fail.

#![allow(
    unreachable_pub,
    reason = "modules of a program; what is public in them is for the program"
)]

mod abandon;
mod cases;
mod connection;
mod delay;
mod dump;
mod echo;
mod generator;
mod half_million;
mod logins;
mod machine;
mod memory;
mod nextcloud;
mod options;
mod report;
mod slapd;

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;

use self::cases::{Case, Maker, PAGE};
use self::connection::Connection;
use self::dump::Dump;
use self::generator::{Load, Measured};
use self::options::Options;
use self::report::ReportRow;
use self::slapd::{Ldif, Slapd};
use akldap_testing::released::{Akldap, BASE, SEARCHER, password, user_dn};
use akldap_workload::process::{self, CpuUse, Process};
use akldap_workload::wire::{self, Encoded};

/// Connections of every case but those that are measured at several numbers.
const CONNECTIONS: usize = 16;
/// The case measured at every number of connections.
const SWEPT: &str = "uid";
/// Answers larger than that are asked for over two connections only, or the client's buffers are what is measured.
const LARGE: usize = 16 << 20;

fn main() -> anyhow::Result<()> {
    let options = Options::read();
    if let Some(address) = options.echo {
        return echo::serve(address, options.answer.as_deref().context("--answer")?);
    }
    process::raise_open_files();
    machine::describe();
    if ["load", "delay", "abandon", "nextcloud"]
        .iter()
        .any(|part| options.part(part))
    {
        for users in &options.users {
            directory(&options, *users)?;
        }
    }
    if options.part("logins") {
        logins::run(&options)?;
    }
    if options.part("memory") {
        memory::run(&options)?;
    }
    if options.part("half-million") {
        half_million::run(&options)?;
    }
    Ok(())
}

/// The servers of one directory, side by side.
struct Stage<'a> {
    options: &'a Options,
    own: Akldap,
    slapd: Option<Slapd>,
    dump: Dump,
    login: Arc<Encoded>,
}

/// Runs all cases over a directory of this size.
fn directory(options: &Options, users: usize) -> anyhow::Result<()> {
    // As many groups as make the size of a group the same in every directory.
    let groups = (users / 100).max(20);
    let begin = Instant::now();
    let own = Akldap::start(options.server(), users, groups)?;
    let mut connection = Connection::bound(own.address, &user_dn(SEARCHER), &password(SEARCHER))?;
    let no_slapd = if options.no_slapd {
        Some("left out by --no-slapd".to_owned())
    } else {
        slapd::missing()
    };
    let (dump, slapd) = match no_slapd {
        Some(reason) => {
            println!("\nWithout slapd: {reason}.");
            (Dump::read(&mut connection, BASE, |_| Ok(()))?, None)
        }
        None => {
            let mut ldif = Ldif::new(own.scratch())?;
            let dump = Dump::read(&mut connection, BASE, |entry| ldif.add(entry))?;
            (dump, Some(ldif.serve(BASE)?))
        }
    };
    drop(connection);
    eprintln!(
        "{users} users: ready after {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    if let Some(slapd) = &slapd {
        eprintln!("slapadd took {:.1} s", slapd.loaded.as_secs_f64());
    }
    let login = wire::bind(&user_dn(SEARCHER), &password(SEARCHER));
    let stage = Stage {
        options,
        own,
        slapd,
        dump,
        login: Arc::new(Encoded::new(login, vec![])?),
    };
    if options.part("load") {
        report::head(&format!(
            "{users} users, {groups} groups, {} entries",
            stage.dump.entries.len()
        ));
        for name in cases::NAMES {
            if options.cases.is_empty() || options.cases.iter().any(|wanted| wanted == name) {
                stage.measure(name).with_context(|| format!("case {name}"))?;
            }
        }
    }
    if options.part("delay") {
        let case = Maker::new(&stage.dump).case(SWEPT, stage.own.address)?;
        delay::run(&stage.load(&case, stage.own.address, stage.own.pid(), (1, 1)))?;
    }
    if options.part("abandon") {
        abandon::run(&stage.own, stage.dump.entries.len())?;
    }
    if options.part("nextcloud") {
        nextcloud::run(options, &stage.own, stage.slapd.as_ref(), users)?;
    }
    Ok(())
}

impl Stage<'_> {
    fn measure(&self, name: &str) -> anyhow::Result<()> {
        let case = Maker::new(&self.dump).case(name, self.own.address)?;
        case.check(&self.dump, self.own.address).context("akldap")?;
        let slapd = self.slapd.as_ref().filter(|_| case.standard);
        if let Some(slapd) = slapd {
            case.check(&self.dump, slapd.address).context("slapd")?;
        }
        if name == "walk" {
            return self.walk();
        }
        let mut connection = Connection::bound(self.own.address, &user_dn(SEARCHER), &password(SEARCHER))?;
        let answer = connection.raw_answer(&case.requests.first().context("nothing to ask")?.encoded)?;
        drop(connection);
        let echo = Echo::start(&self.own, &answer)?;
        for shape in self.shapes(&case, answer.len()) {
            let run = |address, pid| generator::run(&self.load(&case, address, pid, shape));
            let own = run(self.own.address, self.own.pid()).context("akldap")?;
            let slapd = slapd
                .map(|slapd| run(slapd.address, slapd.process.pid()).context("slapd"))
                .transpose()?;
            // The echo has one answer for all requests, so that only requests answered alike can be echoed.
            let alike = case
                .requests
                .iter()
                .all(|request| request.entries == case.requests[0].entries);
            let echo = alike
                .then(|| run(echo.address, echo.process.pid()).context("echo"))
                .transpose()?;
            ReportRow {
                name: name.to_owned(),
                shape,
                own,
                slapd,
                echo,
                octets: answer.len(),
            }
            .print();
        }
        Ok(())
    }

    fn shapes(&self, case: &Case, octets: usize) -> Vec<(usize, usize)> {
        let swept = case.name == SWEPT;
        let connections = if octets > LARGE {
            vec![2]
        } else if swept || case.reconnect {
            self.options.connections.clone()
        } else {
            vec![CONNECTIONS]
        };
        let in_flight = if case.alone || octets > LARGE {
            vec![1]
        } else {
            self.options.in_flight.clone()
        };
        connections
            .iter()
            .flat_map(|connections| {
                in_flight
                    .iter()
                    .map(|in_flight| (*connections, (*in_flight).min(wire::MAX_ID)))
            })
            .collect()
    }

    fn load(
        &self,
        case: &Case,
        address: SocketAddr,
        pid: u32,
        (connections, in_flight): (usize, usize),
    ) -> Load {
        Load {
            address,
            pid,
            login: Arc::clone(&self.login),
            requests: Arc::clone(&case.requests),
            connections,
            in_flight,
            duration: self.options.duration(),
            reconnect: case.reconnect,
        }
    }

    /// Pages from first to last over one connection, as clients walk; the cost is that of a page.
    fn walk(&self) -> anyhow::Result<()> {
        let own = walk(self.own.address, self.own.pid(), self.options).context("akldap")?;
        let slapd = self.slapd.as_ref();
        let slapd = slapd
            .map(|slapd| walk(slapd.address, slapd.process.pid(), self.options))
            .transpose()?;
        ReportRow {
            name: format!("walk, a page of {PAGE}"),
            shape: (1, 1),
            own,
            slapd,
            echo: None,
            octets: 0,
        }
        .print();
        Ok(())
    }
}

fn walk(address: SocketAddr, pid: u32, options: &Options) -> anyhow::Result<Measured> {
    let mut connection = Connection::bound(address, &user_dn(SEARCHER), &password(SEARCHER))?;
    let (begin, cpu) = (Instant::now(), CpuUse::of(pid));
    let mut measured = Measured::default();
    while begin.elapsed() < options.duration() {
        let mut cookie = Vec::new();
        loop {
            let request = cases::page_request(PAGE, cookie)?;
            let since = Instant::now();
            let controls = connection.search(&request, |_| {})?;
            measured.count(since.elapsed());
            match cases::page_cookie(&controls) {
                Some(next) => cookie = next,
                None => break,
            }
        }
    }
    measured.end(begin.elapsed(), cpu.until_now());
    Ok(measured)
}

/// The echo in a process of its own.
struct Echo {
    process: Process,
    address: SocketAddr,
}

impl Echo {
    fn start(own: &Akldap, answer: &[u8]) -> anyhow::Result<Self> {
        let address = process::free_address()?;
        let file = own.scratch().join("answer");
        std::fs::write(&file, answer)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--echo", &address.to_string(), "--answer"])
            .arg(&file)
            .stdin(Stdio::null());
        let mut process = Process::start(&mut command)?;
        process.wait_for_port(address)?;
        Ok(Self { process, address })
    }
}
