//! The whole server on a paused clock with a simulated authentik, in histories drawn from seeds and judged by a model.
//!
//! `ARCHITECTURE.md` says what is real here and what is not, `CONTRIBUTING.md` how to read and replay a history that fails.

#![allow(unreachable_pub, reason = "modules that share are written as libraries")]

mod answers;
mod authentik;
mod clients;
mod court;
mod further;
mod histories;
mod history;
mod law;
mod mends;
mod plan;
mod run;
mod scenes;
mod shares;
mod shown;
mod shrink;
mod sweep;
mod time;
mod wire;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use court::Broken;
use further::Topic;
use plan::{Plan, SECOND_SERIES, Step};
use run::run;
use scenes::Focus;
use shrink::shrink;

/// Histories of every run of the tests, from the first seed on.
const SEEDS: u64 = 2000;
/// Those of the second series.
const FURTHER_SEEDS: u64 = 1000;
/// `FIRST..LAST`, several of these with commas, or one seed: the histories of `campaign`, which `just simulate` runs.
const CAMPAIGN: &str = "AKLDAP_SIMULATE";
/// Set for a campaign that ends with the first history that fails, and does not make it shorter.
const FIRST: &str = "AKLDAP_SIMULATE_FIRST";
/// How many failing histories are printed; of more, only the seeds are named.
const TOLD: usize = 3;
/// Histories at most in which a broken rule is looked for.
const TRIED: u64 = 60;
/// Between two lines about how far a campaign is.
const PROGRESS: Duration = Duration::from_secs(10);

/// Runs histories on all processors; the seeds of those that fail, in order.
fn failing(seeds: std::ops::Range<u64>, progress: bool) -> Vec<u64> {
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (began, done) = (Instant::now(), AtomicUsize::new(0));
    let (told, first_only) = (
        Mutex::new(Instant::now()),
        std::env::var_os(FIRST).is_some_and(|text| !text.is_empty()),
    );
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || (first_only && !failed.lock().unwrap().is_empty()) {
                        break;
                    }
                    let outcome = run(&Plan::new(seed), false, None);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if let Some(fault) = outcome.faults.first() {
                        failed.lock().unwrap().push(seed);
                        println!("seed {seed}: {fault}");
                    }
                    let mut told = told.lock().unwrap();
                    if progress && told.elapsed() >= PROGRESS {
                        *told = Instant::now();
                        let rate = done as f64 / began.elapsed().as_secs_f64();
                        println!(
                            "{done} histories, {rate:.0} a second, {} failed",
                            failed.lock().unwrap().len()
                        );
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    println!(
        "{} histories in {:.1} s, {} failed",
        done.into_inner(),
        began.elapsed().as_secs_f64(),
        failed.len()
    );
    failed
}

/// What a seed's history is about.
fn about(seed: u64) -> String {
    match seed < SECOND_SERIES {
        true => format!("{:?}", Focus::of(seed)),
        false => format!("{:?}", Topic::of(seed)),
    }
}

/// Prints the shortest history found in which the same goes wrong.
fn tell(seed: u64) {
    let shrunk = shrink(&Plan::new(seed), None);
    let plan = &shrunk.plan;
    println!(
        "\nseed {seed}, as short as it became in {} tries, about {}: {:?}",
        shrunk.tries,
        about(plan.seed),
        plan.setting
    );
    for line in run(plan, true, None).lines {
        println!("{line}");
    }
    println!(
        "replay the whole of it: AKLDAP_SIMULATE={seed} cargo test --test simulation campaign -- --ignored --nocapture"
    );
}

fn hold(seeds: std::ops::Range<u64>, progress: bool) {
    let failed = failing(seeds, progress);
    if std::env::var_os(FIRST).is_none_or(|text| text.is_empty()) {
        failed.iter().take(TOLD).for_each(|seed| tell(*seed));
    }
    assert!(failed.is_empty(), "the histories of these seeds fail: {failed:?}");
}

#[test]
fn nothing_happens_that_may_not() {
    hold(0..SEEDS, false);
}

#[test]
fn nothing_happens_in_the_second_series_that_may_not() {
    hold(SECOND_SERIES..SECOND_SERIES + FURTHER_SEEDS, false);
}

/// As many histories as are asked for, or one as it happens.
#[test]
#[ignore = "takes as long as it is asked to: just simulate"]
fn campaign() {
    let asked = std::env::var(CAMPAIGN).expect("AKLDAP_SIMULATE says which seeds");
    match asked.contains("..") {
        true => {
            for span in asked.split(',') {
                let (first, last) = span.split_once("..").expect("a span of seeds");
                hold(first.parse().unwrap()..last.parse().unwrap(), true);
            }
        }
        false => {
            let plan = Plan::new(asked.parse().unwrap());
            let outcome = run(&plan, true, None);
            println!("{} {:?}", about(plan.seed), plan.setting);
            outcome.lines.iter().for_each(|line| println!("{line}"));
            println!("{} calls, trace {:016x}", outcome.calls, outcome.trace);
            if !outcome.faults.is_empty() {
                tell(plan.seed);
            }
            assert_eq!(outcome.faults, [""; 0]);
        }
    }
}

#[test]
fn a_seed_is_the_same_history_each_time() {
    for seed in (0..30).chain(SECOND_SERIES..SECOND_SERIES + 15) {
        let plan = Plan::new(seed);
        let (first, second) = (run(&plan, true, None), run(&plan, true, None));
        let differ = first
            .lines
            .iter()
            .zip(&second.lines)
            .find(|(first, second)| first != second);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(
            (first.trace, first.calls),
            (second.trace, second.calls),
            "seed {seed}"
        );
        // On another thread, too.
        let third = std::thread::spawn(move || run(&plan, false, None).trace)
            .join()
            .unwrap();
        assert_eq!(first.trace, third, "seed {seed} on another thread");
    }
}

/// The court is told a rule that is not true, and must find it broken and say so briefly.
#[test]
fn a_rule_that_is_broken_is_found_and_the_history_becomes_short() {
    let broken = Some(Broken::NobodyIsRenamed);
    let found = (0..200)
        .map(Plan::new)
        .find(|plan| !run(plan, false, broken).faults.is_empty());
    let shrunk = shrink(&found.expect("somebody who was renamed logs in"), broken).plan;
    let steps: Vec<Step> = shrunk.steps.iter().map(|(_, step)| *step).collect();
    assert!(steps.len() <= 4, "{steps:?}");
    let binds = steps
        .iter()
        .any(|step| matches!(step, Step::Bind { .. } | Step::Together { .. }));
    assert!(binds, "{steps:?}");
    assert!(!run(&shrunk, false, broken).faults.is_empty());
}

/// Where a history is looked for in which a broken rule shows.
#[derive(Clone, Copy, Debug)]
enum Among {
    All,
    First(Focus),
    Second(Topic),
}

impl Among {
    fn seeds(self) -> Box<dyn Iterator<Item = u64>> {
        match self {
            Self::All => Box::new(0..TRIED),
            Self::First(focus) => Box::new(
                (0..SEEDS)
                    .filter(move |seed| Focus::of(*seed) == focus)
                    .take(TRIED as usize),
            ),
            Self::Second(topic) => {
                let seeds = SECOND_SERIES..SECOND_SERIES + FURTHER_SEEDS;
                Box::new(
                    seeds
                        .filter(move |seed| Topic::of(*seed) == topic)
                        .take(TRIED as usize),
                )
            }
        }
    }
}

/// Has each rule broken on purpose, and looks for what the court says of it.
fn find(sought: &[(Broken, Among, &str)]) {
    let mut unnoticed = Vec::new();
    for (broken, among, rule) in sought {
        let mut tried = 0;
        let found = among.seeds().find(|seed| {
            tried += 1;
            let faults = run(&Plan::new(*seed), false, Some(*broken)).faults;
            faults.iter().any(|fault| fault.contains(rule))
        });
        match found {
            Some(seed) => println!("{broken:?}: {rule:?}, of {among:?} by seed {seed}, after {tried}"),
            None => unnoticed.push((broken, among, rule)),
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

/// A server that closes connections for no reason, refuses what it must answer or leaves out what it must show is found.
#[test]
fn what_is_closed_refused_or_left_out_for_no_reason_is_found() {
    find(&[
        (
            Broken::SendsAway,
            Among::All,
            "although nothing ended the login it stood on",
        ),
        (
            Broken::EndsAfterTrouble,
            Among::First(Focus::Failures),
            "although nothing ended the login it stood on",
        ),
        (
            Broken::EndsInTrouble,
            Among::First(Focus::Failures),
            "although nothing ended the login it stood on",
        ),
        (Broken::HangsUp, Among::All, "without a notice"),
        (
            Broken::RefusesSearches,
            Among::All,
            "refused with 51, although nothing was amiss",
        ),
        (
            Broken::RefusesChanged,
            Among::First(Focus::Providers),
            "refused with 51, although nothing was amiss",
        ),
        (
            Broken::RefusesCompares,
            Among::All,
            "refused with 51, although nothing was amiss",
        ),
        (Broken::RefusesTls, Among::All, "TLS was refused with 51"),
        (Broken::ForgetsWho, Among::All, "was said to be nobody"),
        (Broken::LosesGroups, Among::All, "group0 is missing"),
        (Broken::LosesOwn, Among::All, "is missing from what they find"),
    ]);
}

/// A server that refuses binds with the wrong code, or whom it must let in, is found.
#[test]
fn binds_that_are_refused_for_another_reason_are_found() {
    find(&[
        (
            Broken::BlamesPasswords,
            Among::First(Focus::Failures),
            "refused with 49, although it was right all the time",
        ),
        (
            Broken::BlamesPasswords,
            Among::Second(Topic::Failures),
            "refused with 49, although it was right all the time",
        ),
        (
            Broken::BlamesAuthentik,
            Among::All,
            "refused with 52 and not with 49",
        ),
        (
            Broken::BlamesAccounts,
            Among::All,
            "refused with 50, although nothing barred them",
        ),
        (
            Broken::RefusesCodes,
            Among::First(Focus::Codes),
            "refused with 49, although it was right all the time",
        ),
        (
            Broken::ConfusesUnfit,
            Among::First(Focus::Refused),
            "answered with 51 and not with",
        ),
    ]);
}

/// A server that is late, or shows what was, is found.
#[test]
fn what_comes_late_is_found() {
    find(&[
        (Broken::Dawdles, Among::All, "after it was due"),
        (
            Broken::KeepsSessions,
            Among::First(Focus::Ends),
            "although nobody is connected and it",
        ),
        (
            Broken::FindsFormer,
            Among::Second(Topic::Polling),
            "is shown as it was until",
        ),
        (
            Broken::FindsFormer,
            Among::Second(Topic::Direct),
            "is shown as it was until",
        ),
        (Broken::PagesFormer, Among::Second(Topic::Direct), "a page of"),
    ]);
}

/// Every bound is reached: where a server never ended a connection, or never forgot whom it let in, each rule finds somebody.
#[test]
fn every_bound_is_reached() {
    use Broken::{KeepsOpen, Remembers};
    find(&[
        (
            KeepsOpen,
            Among::First(Focus::Ends),
            "the end of its session was heard at",
        ),
        (
            KeepsOpen,
            Among::First(Focus::Ends),
            "unheard before the stream was opened again",
        ),
        (KeepsOpen, Among::First(Focus::Idle), "and nobody heard of it"),
        (KeepsOpen, Among::First(Focus::Plain), "its session expired at"),
        (
            KeepsOpen,
            Among::Second(Topic::Unheard),
            "the person is gone or inactive since",
        ),
        (KeepsOpen, Among::Second(Topic::Modes), "the provider left at"),
        (
            KeepsOpen,
            Among::First(Focus::Providers),
            "the provider moved to where the person is barred",
        ),
        (
            KeepsOpen,
            Among::First(Focus::Idle),
            "the application bars the person since",
        ),
        (
            KeepsOpen,
            Among::First(Focus::Rights),
            "the permission was taken at",
        ),
        (
            KeepsOpen,
            Among::First(Focus::Rights),
            "the permission was given at",
        ),
        (
            Remembers,
            Among::First(Focus::Passwords),
            "the password changed at",
        ),
        (Remembers, Among::Second(Topic::Doubted), "with users unread"),
        (Remembers, Among::First(Focus::Names), "the name went at"),
        (
            Remembers,
            Among::First(Focus::Names),
            "somebody else got the name at",
        ),
        (Remembers, Among::First(Focus::Codes), "its code was given by"),
        (Remembers, Among::Second(Topic::Polling), "it is too old"),
    ]);
}
