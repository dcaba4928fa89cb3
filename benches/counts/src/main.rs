//! Instructions the hot paths take, counted by valgrind's callgrind, against the figures in `counts.txt`: what keeps
//! regressions out, because counts do not depend on how busy the machine is.
//!
//! `.ci/counts` compares, with `--write` it writes the figures again. A figure more than
//! [`TOLERANCE`] above the noted one fails.

#![allow(
    unreachable_pub,
    reason = "modules of a program; what is public in them is for the program"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use akldap_directory::{Builder, Snapshot, Tree};
use akldap_ldap::message::Message;
use akldap_workload::{sample, wire};
use anyhow::{Context, bail};
use ldap3_proto::proto::LdapSearchScope;

/// Where the figures are recorded, next to this crate's manifest.
const NOTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/counts.txt");
/// How much more than noted is still accepted. Layout of memory and seeds of hash tables move the counts by less than
/// a hundredth; what is gained by less than this is not worth a failed build.
const TOLERANCE: f64 = 0.03;
/// Users of the directory that is searched: a multiple of the ten memberships, small enough for valgrind.
const USERS: usize = 1000;

/// A hot path: its name, how often it runs to be counted, and the filter and attributes of its search if it is one.
struct Hot {
    name: &'static str,
    times: u64,
    work: Work,
}

/// What a hot path does.
enum Work {
    DecodeBind,
    DecodeSearch,
    Search {
        filter: &'static str,
        attributes: &'static [&'static str],
        entries: u64,
    },
    Build,
}

const fn search(
    name: &'static str,
    times: u64,
    filter: &'static str,
    attributes: &'static [&'static str],
    entries: u64,
) -> Hot {
    Hot {
        name,
        times,
        work: Work::Search {
            filter,
            attributes,
            entries,
        },
    }
}

const PATHS: [Hot; 11] = [
    Hot {
        name: "decode-bind",
        times: 1000,
        work: Work::DecodeBind,
    },
    Hot {
        name: "decode-search",
        times: 1000,
        work: Work::DecodeSearch,
    },
    search("equality", 500, "(cn=user000500)", &[], 1),
    search(
        "equality-dn-only",
        500,
        "(mail=user000500@example.com)",
        &["1.1"],
        1,
    ),
    search("miss", 500, "(cn=nobody)", &[], 0),
    search(
        "and-memberOf",
        500,
        "(&(objectClass=user)(cn=user000500)(memberOf=\"cn=everyone,ou=groups,dc=ldap,dc=goauthentik,dc=io\"))",
        &[],
        1,
    ),
    search(
        "prefix",
        200,
        "(displayName=\"User 00050*\")",
        &["cn", "mail"],
        10,
    ),
    search("substring", 50, "(mail=*00050*)", &["cn", "mail"], 11),
    search(
        "in-chain",
        100,
        "(&(cn=user000500)(memberOf:1.2.840.113556.1.4.1941:=\"cn=group0001,ou=groups,dc=ldap,dc=goauthentik,dc=io\"))",
        &["cn"],
        1,
    ),
    search("listing", 5, "(objectClass=user)", &[], USERS as u64),
    Hot {
        name: "build",
        times: 1,
        work: Work::Build,
    },
];

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["work", name] => {
            let stage = Stage::new()?;
            if let Some(path) = PATHS.iter().find(|path| path.name == *name) {
                counted(&stage, path)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        [] => compare(&count_all()?),
        ["--write"] => {
            write(&count_all()?)?;
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("unknown arguments {other:?}"),
    }
}

/// The work and nothing else, by a name valgrind finds.
#[inline(never)]
fn counted(stage: &Stage, path: &Hot) -> anyhow::Result<()> {
    stage.run(path)
}

/// What every run sets up first.
struct Stage {
    snapshot: Arc<Snapshot>,
    tree: Arc<Tree>,
}

impl Stage {
    fn new() -> anyhow::Result<Self> {
        let stage = Self {
            snapshot: sample::snapshot(USERS),
            tree: sample::tree(),
        };
        // The server makes the order of names before it installs a directory; here the first listing does.
        let listing = encode_search("(objectClass=user)", &[])?;
        sample::answer(&stage.snapshot, &stage.tree, &listing, &mut Vec::new());
        Ok(stage)
    }

    fn run(&self, path: &Hot) -> anyhow::Result<()> {
        let mut out = Vec::with_capacity(1 << 22);
        match path.work {
            Work::DecodeBind => {
                let request = encode(wire::bind(
                    &format!("cn=user000500,ou=users,{}", sample::BASE),
                    "secret",
                ))?;
                for _ in 0..path.times {
                    black_box(Message::decode(black_box(&request))).ok();
                }
            }
            Work::DecodeSearch => {
                let request = encode_search(
                    "(&(objectClass=user)(|(cn=alice)(mail=alice)))",
                    &["cn", "mail", "memberOf"],
                )?;
                for _ in 0..path.times {
                    black_box(Message::decode(black_box(&request))).ok();
                }
            }
            Work::Search {
                filter,
                attributes,
                entries,
            } => {
                let request = encode_search(filter, attributes)?;
                for _ in 0..path.times {
                    out.clear();
                    let found = sample::answer(&self.snapshot, &self.tree, &request, &mut out);
                    if found != entries {
                        bail!("{}: {found} entries instead of {entries}", path.name);
                    }
                }
            }
            Work::Build => {
                let mut builder = Builder::new();
                for number in 1..=USERS {
                    builder.add_user(&sample::User::new(number).record());
                }
                sample::Group::all(USERS)
                    .iter()
                    .for_each(|group| builder.add_group(&group.record()));
                black_box(builder.finish().expect("sound"));
            }
        }
        black_box(&out);
        Ok(())
    }
}

fn encode(op: ldap3_proto::proto::LdapOp) -> anyhow::Result<Vec<u8>> {
    let mut request = Vec::new();
    wire::Encoded::new(op, vec![])?.write(1, &mut request);
    Ok(request)
}

/// The parser of `ldap3_proto` wants values with blanks or equals signs in quotes.
fn encode_search(filter: &str, attributes: &[&str]) -> anyhow::Result<Vec<u8>> {
    let filter = ldap3_proto::parse_ldap_filter_str(filter).context("filter")?;
    let base = format!("ou=users,{}", sample::BASE);
    encode(wire::search(&base, LdapSearchScope::Subtree, filter, attributes))
}

/// Instructions each path takes, per run of it.
fn count_all() -> anyhow::Result<BTreeMap<&'static str, u64>> {
    PATHS
        .iter()
        .map(|path| Ok((path.name, count(path.name)? / path.times)))
        .collect()
}

/// Instructions inside of [`counted`]. What is set up before is not counted: the seeds of its hash tables would move
/// the figures by more than a regression does.
fn count(name: &str) -> anyhow::Result<u64> {
    let file = tempfile::NamedTempFile::new()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*akldap_counts::counted*"])
        .arg(format!("--callgrind-out-file={}", file.path().display()))
        .arg(std::env::current_exe()?)
        .args(["work", name])
        .output()
        .context("valgrind is needed (apt-get install valgrind)")?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = std::fs::read_to_string(file.path())?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("totals:"));
    let count: u64 = lines
        .next_back()
        .context("no totals from callgrind")?
        .trim()
        .parse()?;
    if count == 0 {
        bail!("{name}: callgrind did not see the work");
    }
    Ok(count)
}

fn compare(counts: &BTreeMap<&str, u64>) -> anyhow::Result<ExitCode> {
    let noted = read()?;
    let mut worse = false;
    println!("| path | instructions | noted | change |\n| --- | --: | --: | --: |");
    for (name, count) in counts {
        let Some(before) = noted.get(*name) else {
            println!("| {name} | {count} | – | new |");
            worse = true;
            continue;
        };
        let change = *count as f64 / *before as f64 - 1.0;
        let verdict = match change {
            change if change > TOLERANCE => " **too many**",
            change if change < -TOLERANCE => " (fewer: note it with --write)",
            _ => "",
        };
        worse |= change > TOLERANCE;
        println!(
            "| {name} | {count} | {before} | {:+.1} %{verdict} |",
            change * 100.0
        );
    }
    if worse {
        eprintln!(
            "more than {:.0} % above the noted counts; if that is meant, note them with --write",
            TOLERANCE * 100.0
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn read() -> anyhow::Result<BTreeMap<String, u64>> {
    let text = std::fs::read_to_string(NOTED).context(NOTED)?;
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, count) = line.split_once(' ').with_context(|| line.to_owned())?;
            Ok((name.to_owned(), count.trim().parse()?))
        })
        .collect()
}

fn write(counts: &BTreeMap<&str, u64>) -> anyhow::Result<()> {
    let rust = Command::new("rustc").arg("--version").output()?;
    let mut text = format!(
        "# Instructions of the hot paths, by `.ci/counts --write` with {}\
         # `.ci/counts` fails when one takes more than {:.0} % above its figure here.\n",
        String::from_utf8_lossy(&rust.stdout),
        TOLERANCE * 100.0
    );
    for (name, count) in counts {
        let _ = writeln!(text, "{name} {count}");
        println!("{name} {count}");
    }
    std::fs::write(Path::new(NOTED), text)?;
    Ok(())
}
