//! Every change at every moment of a bind: what seeds meet by chance now and then is gone through here one after the other.

use crate::plan::{NAMES, Name, Plan, Secret, Setting, Step};
use crate::run::run;
use crate::time::{MILLISECOND, SECOND, Time};

/// When the bind is sent.
const SENT: Time = 3 * SECOND;
/// Between two moments.
const APART: Time = 14 * MILLISECOND;
/// Longer than a bind takes.
const LONGEST: Time = 340 * MILLISECOND;
/// Seeds of the ways and of when announcements come, for each moment.
const SEEDS: u64 = 3;
/// Who logs in.
const PERSON: usize = 2;

/// What is done meanwhile, all at one moment.
fn changes() -> Vec<Vec<Step>> {
    let (person, provider) = (PERSON, 0);
    let bind = |connection, secret| Step::Bind {
        connection,
        name: Name::User(PERSON),
        provider,
        secret,
    };
    let password = Step::Password { person, secret: 4 };
    let one = [
        Step::LogOut { person },
        Step::LogOutUnheard { person },
        password,
        Step::Rename {
            person,
            name: NAMES.len() - 1,
        },
        Step::Pass { from: person, to: 3 },
        Step::Active {
            person,
            active: false,
        },
        Step::Delete { person },
        Step::Access {
            person,
            provider,
            allowed: false,
        },
        Step::Permission {
            person,
            provider,
            allowed: true,
        },
        Step::Move { provider },
        Step::Serve { provider, is: false },
        Step::CutStream,
        Step::HangUp { connection: 0 },
        bind(1, Secret::Right),
        bind(0, Secret::Any(4)),
    ];
    let mut changes: Vec<Vec<Step>> = one.into_iter().map(|step| vec![step]).collect();
    // With a directory that is installed while the bind is judged.
    for step in [
        password,
        Step::Pass { from: person, to: 3 },
        Step::Delete { person },
    ] {
        changes.push(vec![step, Step::Update]);
    }
    changes
}

fn plan(seed: u64, cached: bool, changes: &[Step], after: Time) -> Plan {
    let bind = Step::Bind {
        connection: 0,
        name: Name::User(PERSON),
        provider: 0,
        secret: Secret::Right,
    };
    let mut steps = vec![(SENT, bind)];
    steps.extend(changes.iter().map(|step| (SENT + after, *step)));
    Plan {
        seed,
        setting: Setting {
            people: 4,
            cached: [cached, false],
            way: 50 * MILLISECOND,
            rest: [150, 150, 500][seed as usize % 3] * SECOND,
            ..Setting::default()
        },
        steps,
    }
}

#[test]
fn every_change_at_every_moment_of_a_bind() {
    for changes in changes() {
        for after in (0..LONGEST).step_by(APART as usize) {
            for seed in 0..SEEDS {
                let plan = plan(seed, seed != 1, &changes, after);
                let faults = run(&plan, false, None).faults;
                if !faults.is_empty() {
                    run(&plan, true, None)
                        .lines
                        .iter()
                        .for_each(|line| println!("{line}"));
                }
                assert_eq!(
                    faults,
                    [""; 0],
                    "{changes:?} {} ms after the bind, seed {seed}",
                    after / MILLISECOND
                );
            }
        }
    }
}
