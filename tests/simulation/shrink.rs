//! From a plan that fails to the shortest that fails in the same way.

use crate::court::Broken;
use crate::plan::{Plan, Step};
use crate::run::run;
use crate::time::{MILLISECOND, SECOND};

/// Histories tried at most.
const TRIES: usize = 600;

/// What a fault says without what differs from one history to another.
fn kind(fault: &str) -> String {
    fault
        .chars()
        .filter(|c| c.is_alphabetic() || *c == ' ')
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

pub struct Shrunk {
    pub plan: Plan,
    pub tries: usize,
}

/// Leaves out what is not needed for the fault.
pub fn shrink(plan: &Plan, broken: Option<Broken>) -> Shrunk {
    let first = run(plan, false, broken).faults;
    let wanted = first.first().map(|fault| rule(fault)).unwrap_or_default();
    let mut tries = 0;
    let mut fails = |plan: &Plan| {
        tries += 1;
        tries <= TRIES
            && run(plan, false, broken)
                .faults
                .first()
                .is_some_and(|fault| rule(fault) == wanted)
    };
    let mut best = plan.clone();
    let mut size = (best.steps.len() / 2).max(1);
    loop {
        let mut at = 0;
        while at < best.steps.len() {
            let mut shorter = best.clone();
            let end = (at + size).min(shorter.steps.len());
            shorter.steps.drain(at..end);
            if fails(&shorter) {
                best = shorter;
            } else {
                at += size;
            }
        }
        if size == 1 {
            break;
        }
        size = (size / 2).max(1);
    }
    // Fewer people and connections where that makes no difference to the steps that are left.
    for people in 1..best.setting.people {
        let mut smaller = best.clone();
        smaller.setting.people = people;
        let fits = smaller
            .steps
            .iter()
            .all(|(_, step)| people_of(step).is_none_or(|most| most < people));
        if fits && fails(&smaller) {
            best = smaller;
            break;
        }
    }
    for change in [
        (|plan: &mut Plan| plan.setting.file = false) as fn(&mut Plan),
        |plan| plan.setting.devices = 0,
        |plan| plan.setting.unbind = false,
        |plan| plan.setting.session = 0,
        |plan| plan.setting.page = 100,
        |plan| plan.setting.way = MILLISECOND,
        |plan| plan.setting.uneven = false,
        |plan| plan.setting.rest = 150 * SECOND,
        round,
    ] {
        let mut plainer = best.clone();
        change(&mut plainer);
        if fails(&plainer) {
            best = plainer;
        }
    }
    Shrunk { plan: best, tries }
}

/// Puts the steps at whole seconds, which are easier to read.
fn round(plan: &mut Plan) {
    for (at, _) in &mut plan.steps {
        *at = at.div_ceil(SECOND) * SECOND;
    }
}

/// The rule that was broken: what is said of it behind what names the request.
fn rule(fault: &str) -> String {
    let said = fault.rsplit_once(" s: ").map_or(fault, |(_, said)| said);
    let said = said.split(['(', ':', ';']).next().unwrap_or_default();
    kind(said).split(' ').rev().take(4).collect::<Vec<_>>().join(" ")
}

fn people_of(step: &Step) -> Option<usize> {
    match *step {
        Step::Rename { person, .. }
        | Step::Mail { person, .. }
        | Step::Active { person, .. }
        | Step::Delete { person }
        | Step::Create { person, .. }
        | Step::Password { person, .. }
        | Step::Access { person, .. }
        | Step::Permission { person, .. }
        | Step::Member { person, .. }
        | Step::LogOut { person }
        | Step::LogOutUnheard { person } => Some(person),
        Step::Pass { from, to } => Some(from.max(to)),
        _ => None,
    }
}
