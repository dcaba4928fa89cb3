//! What Nextcloud asks of a large directory: the replay of `tests/clients/nextcloud` against akldap and against slapd.
//!
//! Every answer's conclusion is checked: everybody synchronised in every round, nobody marked as deleted. How long akldap took
//! for its requests is what its own metrics say.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::options::Options;
use super::report::figure;
use super::slapd::Slapd;
use akldap_testing::released::{Akldap, BASE, SEARCHER, get, password, user_dn};
use akldap_workload::process;

const SCRIPT: &str = "tests/clients/nextcloud/main.php";
/// The group every generated user is in.
const GROUP: &str = "everyone";
/// The time no request should take on the server, as a bucket of its histogram.
const SLOW: &str = "0.05";
const CLEAN_UPS: usize = 20;
const GROUPS: usize = 10;
const LOGINS: usize = 50;

/// Why Nextcloud cannot be replayed, if it cannot.
pub fn missing() -> Option<&'static str> {
    let found = Command::new("php")
        .args([
            "-r",
            "exit(extension_loaded('ldap') && extension_loaded('mbstring') ? 0 : 1);",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    (!found).then_some(
        "PHP with ldap and mbstring is not installed (apt-get install php-cli php-ldap php-mbstring)",
    )
}

/// Runs all steps against both servers and prints what they took.
///
/// # Errors
/// When a server fails, or a conclusion is wrong.
pub fn run(options: &Options, own: &Akldap, slapd: Option<&Slapd>, users: usize) -> anyhow::Result<()> {
    if let Some(reason) = missing() {
        println!("\nWithout Nextcloud: {reason}.");
        return Ok(());
    }
    println!(
        "\n### Nextcloud at {users} users, pages of {}\n\n| step | requests | above 50 ms | akldap: s, server CPU s | slapd: s, server CPU s |\n| --- | --: | --: | --: | --: |",
        options.nextcloud_page
    );
    let mut here = Nextcloud::start(own.address, options)?;
    let mut there = slapd
        .map(|slapd| Nextcloud::start(slapd.address, options))
        .transpose()?;
    let people = usize::try_from(here.ask(json!({"do": "count"}))?.as_u64().context("a count")?)?;
    if people + 10 < users {
        bail!("only {people} of {users} are found");
    }
    for step in steps(people, options) {
        let before = Durations::read(own)?;
        let took = here
            .take(&step, own.pid())
            .with_context(|| format!("akldap: {}", step.name))?;
        let durations = Durations::read(own)?.since(before);
        let beside = match (&mut there, slapd) {
            (Some(there), Some(slapd)) if step.standard => there
                .take(&step, slapd.process.pid())
                .with_context(|| format!("slapd: {}", step.name))?
                .to_string(),
            _ => "–".to_owned(),
        };
        println!(
            "| {} | {} | {} | {took} | {beside} |",
            step.name, durations.all, durations.slow,
        );
    }
    Ok(())
}

/// Orders that belong together, and what must come of them.
struct Step {
    name: String,
    orders: Vec<Value>,
    check: Check,
    /// Whether slapd can do it in a time anybody would wait.
    standard: bool,
}

type Check = Box<dyn Fn(&[Value]) -> bool>;

fn steps(people: usize, options: &Options) -> Vec<Step> {
    let page = options.nextcloud_page;
    let step = |name: &str, orders: Vec<Value>, check: Check| Step {
        name: name.to_owned(),
        orders,
        check,
        standard: true,
    };
    let fresh = |order: Value| [json!({"do": "process"}), order];
    let list = |offset: usize| fresh(json!({"do": "list", "limit": 50, "offset": offset})).to_vec();
    let full = |answers: &[Value]| {
        answers
            .last()
            .and_then(Value::as_array)
            .is_some_and(|names| names.len() == 50)
    };
    let mut steps = vec![
        step(
            "wizard: number of entries, to 1,001",
            vec![json!({"do": "entries"})],
            Box::new(|answers| answers[0].as_u64() > Some(1000)),
        ),
        step(
            "wizard: object classes, 20,000 entries of each",
            vec![json!({"do": "classes"})],
            Box::new(|answers| answers[0]["found"]["user"] != json!(null)),
        ),
        step(
            "wizard: groups, memberOf",
            vec![json!({"do": "offered groups"}), json!({"do": "member of"})],
            Box::new(|answers| answers[1] == json!(true)),
        ),
        step(
            "wizard: e-mail, display name",
            vec![json!({"do": "email"}), json!({"do": "display name"})],
            Box::new(|answers| answers[0] == json!("mail")),
        ),
        step(
            "wizard: member attribute",
            vec![json!({"do": "member attribute"})],
            Box::new(|answers| answers[0].is_string()),
        ),
    ];
    for offset in [0, 50, 100, 550] {
        steps.push(step(
            &format!("user list at {offset}"),
            list(offset),
            Box::new(full),
        ));
    }
    steps.push(step("user list at the end", list(people - 50), Box::new(full)));
    let terms = (0..20)
        .map(|number| json!({"do": "list", "term": format!("User 00{number:02}"), "limit": 50}))
        .collect();
    steps.push(step(
        "20 searches for the beginning of a name",
        terms,
        Box::new(|answers| answers.iter().all(Value::is_array)),
    ));
    let login = |number: usize| {
        let name = format!("user{number:06}");
        json!({"do": "login", "typed": name, "password": password(&name)})
    };
    steps.push(step(
        &format!("{LOGINS} logins"),
        (1..=LOGINS).map(login).collect(),
        Box::new(|answers| answers.iter().all(|answer| answer["accepted"] == json!(true))),
    ));
    for round in 1..=options.rounds {
        let runs = people / page + 1;
        let orders = (0..runs).flat_map(|_| fresh(json!({"do": "sync"}))).collect();
        let mut round = step(
            &format!("synchronisation, round {round}: {runs} runs"),
            orders,
            Box::new(move |answers| {
                answers
                    .iter()
                    .filter_map(|answer| answer["found"].as_u64())
                    .sum::<u64>()
                    == people as u64
            }),
        );
        // One round of slapd's is enough to see.
        round.standard = round.name.contains("round 1:");
        steps.push(round);
    }
    let orders = (0..CLEAN_UPS)
        .flat_map(|_| fresh(json!({"do": "clean up"})))
        .collect();
    steps.push(step(
        &format!("{CLEAN_UPS} clean-ups of 50"),
        orders,
        Box::new(|answers| {
            answers
                .iter()
                .all(|answer| answer.is_null() || answer["gone"] == json!([]))
        }),
    ));
    for nested in [false, true] {
        let mut orders = vec![
            json!({"do": "set", "settings": {"ldapNestedGroups": nested}}),
            json!({"do": "process"}),
            json!({"do": "groups"}),
        ];
        orders
            .extend((1..=GROUPS).map(|number| json!({"do": "members", "name": format!("group{number:04}")})));
        let name = if nested { "in chain" } else { "by reading each" };
        let mut members = step(
            &format!("members of {GROUPS} groups, {name}"),
            orders,
            Box::new(|answers| {
                // Some groups of some sample directories have nobody in them.
                let mut members = answers.iter().skip(3);
                members.clone().all(Value::is_array) && members.any(|names| *names != json!([]))
            }),
        );
        members.standard = !nested;
        steps.push(members);
    }
    steps
}

/// The replay, talking to one server.
struct Nextcloud {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Drop for Nextcloud {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nextcloud {
    fn start(server: SocketAddr, options: &Options) -> anyhow::Result<Self> {
        let people = format!("(&(objectClass=user)(memberOf=cn={GROUP},ou=groups,{BASE}))");
        let settings = json!({
            "ldapHost": server.ip().to_string(),
            "ldapPort": server.port(),
            "ldapAgentName": user_dn(SEARCHER),
            "ldapAgentPassword": password(SEARCHER),
            "ldapBase": BASE,
            "ldapBaseUsers": format!("ou=users,{BASE}"),
            "ldapBaseGroups": format!("ou=groups,{BASE}"),
            "ldapUserFilter": people,
            "ldapLoginFilter": format!("(&{people}(|(cn=%uid)(mail=%uid)))"),
            // slapd's groups are of a class of their own; this one both have.
            "ldapGroupFilter": "(objectClass=group)",
            "ldapUserDisplayName": "displayName",
            "ldapEmailAttribute": "mail",
            "ldapExpertUsernameAttr": "cn",
            "hasMemberOfFilterSupport": true,
            "ldapPagingSize": options.nextcloud_page,
            "ldapConnectionTimeout": 600,
        });
        let mut child = Command::new("php")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("php")?;
        let mut nextcloud = Self {
            orders: child.stdin.take().context("its input")?,
            answers: BufReader::new(child.stdout.take().context("its output")?),
            child,
        };
        writeln!(nextcloud.orders, "{settings}")?;
        Ok(nextcloud)
    }

    fn ask(&mut self, order: Value) -> anyhow::Result<Value> {
        writeln!(self.orders, "{order}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("{order}: {line:?}"))?;
        match answer.get("result") {
            Some(result) => Ok(result.clone()),
            None => bail!("{order}: {answer}"),
        }
    }

    /// Gives the orders of a step; what it took, with the CPU time of the server's process.
    fn take(&mut self, step: &Step, server: u32) -> anyhow::Result<Took> {
        let (begin, cpu) = (Instant::now(), process::cpu_total(server));
        let answers = step
            .orders
            .iter()
            .map(|order| self.ask(order.clone()))
            .collect::<anyhow::Result<Vec<Value>>>()?;
        let took = Took {
            wall: begin.elapsed(),
            cpu: process::cpu_total(server).saturating_sub(cpu),
        };
        if !(step.check)(&answers) {
            let mut shown = format!("{answers:?}");
            shown.drain(..shown.floor_char_boundary(shown.len().saturating_sub(2000)));
            bail!("a wrong conclusion: {shown}");
        }
        Ok(took)
    }
}

/// The time a step took, and that of the server's processors in it.
struct Took {
    wall: Duration,
    cpu: Duration,
}

impl fmt::Display for Took {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wall, cpu) = (self.wall.as_secs_f64(), self.cpu.as_secs_f64());
        write!(formatter, "{}, {}", figure(wall), figure(cpu))
    }
}

/// What akldap's metrics say of its searches so far.
#[derive(Clone, Copy)]
struct Durations {
    all: u64,
    slow: u64,
}

impl Durations {
    fn read(own: &Akldap) -> anyhow::Result<Self> {
        let metrics = get(own.http(), "/metrics")?;
        let sum = |bucket: &str| -> u64 {
            metrics
                .lines()
                .filter(|line| line.starts_with("authentik_outpost_ldap_request_duration_seconds_bucket{"))
                .filter(|line| line.contains("type=\"search\"") && line.contains(&format!("le=\"{bucket}\"")))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
                .sum()
        };
        let all = sum("+Inf");
        Ok(Self {
            all,
            slow: all - sum(SLOW),
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            all: self.all - before.all,
            slow: self.slow - before.slow,
        }
    }
}
