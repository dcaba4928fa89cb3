//! Histories that once failed, written out: a seed becomes another history as soon as plans are drawn differently. Each is as
//! short as it became, and is next to what was wrong.

use crate::plan::{Announcing, Fault, Name, Plan, Secret, Setting, Spelling, Step, What};
use crate::run::run;
use crate::time::{MILLISECOND, SECOND};

fn bind(name: usize) -> Step {
    bind_of(0, name)
}

fn bind_of(connection: usize, name: usize) -> Step {
    Step::Bind {
        connection,
        name: Name::User(name),
        provider: 0,
        secret: Secret::Right,
    }
}

fn former(connection: usize, name: usize) -> Step {
    Step::Bind {
        connection,
        name: Name::User(name),
        provider: 0,
        secret: Secret::Former,
    }
}

fn bind_by_mail(connection: usize, name: usize) -> Step {
    Step::Bind {
        connection,
        name: Name::Mail(name),
        provider: 0,
        secret: Secret::Right,
    }
}

fn histories() -> Vec<(&'static str, Plan)> {
    vec![
        (
            "a full reading found all on one page, and a look then took a smaller page for the last: a changed password was not seen",
            Plan {
                seed: 6120,
                setting: Setting {
                    page: 5,
                    ..Setting::default()
                },
                steps: vec![
                    (3 * SECOND, Step::Pass { from: 5, to: 3 }),
                    (16 * SECOND, Step::Delete { person: 1 }),
                    (16 * SECOND, Step::Refresh),
                    (18 * SECOND, Step::Password { person: 3, secret: 1 }),
                    (18 * SECOND, Step::Create { person: 1, name: 3 }),
                    (24 * SECOND, Step::Pass { from: 5, to: 1 }),
                    (32 * SECOND, Step::Pass { from: 4, to: 2 }),
                    (32 * SECOND, bind(0)),
                    (33 * SECOND, Step::Password { person: 0, secret: 2 }),
                ],
            },
        ),
        (
            "a login under a name that no directory ever showed, since the user could not be fetched, outlived the name",
            Plan {
                seed: 112_282,
                setting: Setting {
                    people: 2,
                    connections: 6,
                    ..Setting::default()
                },
                steps: vec![
                    (
                        2_046 * MILLISECOND,
                        Step::Fault {
                            kind: Fault::Nonsense,
                            permille: 500,
                            lasts: 20 * SECOND,
                        },
                    ),
                    (4_333 * MILLISECOND, Step::Update),
                    (4_346 * MILLISECOND, Step::Rename { person: 0, name: 3 }),
                    (
                        4_764 * MILLISECOND,
                        Step::Bind {
                            connection: 5,
                            name: Name::Mail(3),
                            provider: 0,
                            secret: Secret::Right,
                        },
                    ),
                    (
                        5_788 * MILLISECOND,
                        Step::Bind {
                            connection: 2,
                            name: Name::User(3),
                            provider: 0,
                            secret: Secret::Any(0),
                        },
                    ),
                    (6_628 * MILLISECOND, Step::Pass { from: 1, to: 0 }),
                ],
            },
        ),
        (
            "a name that was somebody's only while they logged in was taken for one that the directory never has",
            Plan {
                seed: 138_063,
                setting: Setting {
                    people: 1,
                    connections: 6,
                    cached: [true, false],
                    way: 5 * MILLISECOND,
                    ..Setting::default()
                },
                steps: vec![
                    (2_037 * MILLISECOND, Step::Rename { person: 0, name: 5 }),
                    (2_048 * MILLISECOND, bind(5)),
                    (2_058 * MILLISECOND, Step::Rename { person: 0, name: 0 }),
                ],
            },
        ),
        (
            "whoever was fetched while a look was under way stayed in a group that they had left before it read the groups",
            Plan {
                seed: 145_858,
                setting: Setting {
                    people: 5,
                    connections: 4,
                    page: 3,
                    way: 120 * MILLISECOND,
                    ..Setting::default()
                },
                steps: vec![
                    (14 * SECOND, Step::Pass { from: 4, to: 0 }),
                    (14 * SECOND, Step::CutStream),
                    (
                        14 * SECOND,
                        Step::Bind {
                            connection: 1,
                            name: Name::User(4),
                            provider: 1,
                            secret: Secret::Right,
                        },
                    ),
                    (
                        15 * SECOND,
                        Step::Member {
                            person: 4,
                            group: 0,
                            is: false,
                        },
                    ),
                    (
                        15 * SECOND,
                        Step::Bind {
                            connection: 1,
                            name: Name::User(2),
                            provider: 0,
                            secret: Secret::Former,
                        },
                    ),
                    (
                        62 * SECOND,
                        Step::Bind {
                            connection: 3,
                            name: Name::User(1),
                            provider: 0,
                            secret: Secret::Former,
                        },
                    ),
                ],
            },
        ),
        (
            "errors that passed while everything was read left somebody out for whom nothing changed",
            Plan {
                seed: 5_663,
                setting: Setting {
                    people: 4,
                    connections: 6,
                    page: 3,
                    way: 30 * MILLISECOND,
                    ..Setting::default()
                },
                steps: vec![
                    (18_103 * MILLISECOND, bind_of(3, 0)),
                    (38_103 * MILLISECOND, bind_of(2, 1)),
                    (38_279 * MILLISECOND, Step::CutStream),
                    (72_128 * MILLISECOND, Step::Refresh),
                    (
                        72_135 * MILLISECOND,
                        Step::Fault {
                            kind: Fault::Failed,
                            permille: 1000,
                            lasts: 2_000 * MILLISECOND,
                        },
                    ),
                    (73_908 * MILLISECOND, Step::Update),
                ],
            },
        ),
        (
            "the judge: a name passes during a login to somebody with the same password, who is asked for no code",
            Plan {
                seed: 3335,
                setting: Setting {
                    devices: 2,
                    ..Setting::default()
                },
                steps: vec![(4 * SECOND, bind(5)), (4 * SECOND, Step::Pass { from: 5, to: 0 })],
            },
        ),
        (
            "the judge: the same, where others with the same code come from another address and are judged by themselves",
            Plan {
                seed: 14_367,
                setting: Setting {
                    connections: 3,
                    devices: 2,
                    way: 5 * MILLISECOND,
                    ..Setting::default()
                },
                steps: vec![
                    (13_249 * MILLISECOND, Step::Save),
                    (14_412 * MILLISECOND, Step::Refresh),
                    (
                        55_032 * MILLISECOND,
                        Step::Together {
                            first: 1,
                            count: 3,
                            name: 5,
                            provider: 0,
                            secret: Secret::Right,
                        },
                    ),
                    (55_036 * MILLISECOND, Step::Pass { from: 5, to: 0 }),
                ],
            },
        ),
        (
            "a question about a login hung, and the questions that the next gap in the events asked for waited minutes for it",
            Plan {
                seed: 206_161,
                setting: Setting {
                    people: 3,
                    connections: 4,
                    page: 3,
                    ..Setting::default()
                },
                steps: vec![
                    (2_000 * MILLISECOND, bind(0)),
                    (2_044 * MILLISECOND, bind_of(3, 2)),
                    (
                        4_670 * MILLISECOND,
                        Step::Fault {
                            kind: Fault::Stalled,
                            permille: 300,
                            lasts: 20_000 * MILLISECOND,
                        },
                    ),
                    (4_681 * MILLISECOND, Step::CutStream),
                    (7_019 * MILLISECOND, Step::CutStream),
                    (37_018 * MILLISECOND, Step::CutStream),
                    (42_011 * MILLISECOND, bind_of(2, 1)),
                    (42_014 * MILLISECOND, Step::LogOut { person: 1 }),
                ],
            },
        ),
        (
            "who came by an e-mail address while somebody logged in by it was taken for one who had it before",
            Plan {
                seed: 1_001_129,
                setting: Setting {
                    people: 3,
                    connections: 6,
                    way: 120 * MILLISECOND,
                    ..Setting::default()
                },
                steps: vec![
                    (4_957 * MILLISECOND, Step::Mail { person: 1, name: 2 }),
                    (7_096 * MILLISECOND, Step::Pass { from: 2, to: 0 }),
                    (7_674 * MILLISECOND, Step::Rename { person: 1, name: 0 }),
                    (15_540 * MILLISECOND, bind_by_mail(1, 2)),
                    (15_883 * MILLISECOND, Step::Mail { person: 0, name: 2 }),
                ],
            },
        ),
        (
            "who had an e-mail address with another before a login by it, lost it and got it again counted as if they had had it all the time",
            Plan {
                seed: 1,
                setting: Setting {
                    people: 3,
                    ..Setting::default()
                },
                steps: vec![
                    (3 * SECOND, Step::Mail { person: 0, name: 2 }),
                    (50 * SECOND, Step::Mail { person: 0, name: 0 }),
                    (51 * SECOND, bind_by_mail(0, 2)),
                    (130 * SECOND, Step::Mail { person: 0, name: 2 }),
                ],
            },
        ),
        (
            "a full reading that failed for minutes took what was fetched meanwhile for newer than what it read in the end",
            Plan {
                seed: 1_022_011,
                setting: Setting {
                    people: 3,
                    connections: 6,
                    ..Setting::default()
                },
                steps: vec![
                    (
                        5 * SECOND,
                        Step::Fault {
                            kind: Fault::UsersDenied,
                            permille: 1000,
                            lasts: 800 * SECOND,
                        },
                    ),
                    (14 * SECOND, Step::Refresh),
                    (27 * SECOND, Step::Rename { person: 2, name: 6 }),
                    (
                        73 * SECOND,
                        Step::Together {
                            first: 3,
                            count: 3,
                            name: 6,
                            provider: 1,
                            secret: Secret::Right,
                        },
                    ),
                    (100 * SECOND, Step::Password { person: 2, secret: 3 }),
                    (474 * SECOND, Step::Wait),
                ],
            },
        ),
        (
            "a request that hung held up the first configuration for a minute",
            Plan {
                seed: 1_018_371,
                setting: Setting {
                    people: 4,
                    ..Setting::default()
                },
                steps: vec![
                    (3 * SECOND, Step::Restart { keeps_file: true }),
                    (
                        5 * SECOND,
                        Step::Fault {
                            kind: Fault::Stalled,
                            permille: 500,
                            lasts: 20 * SECOND,
                        },
                    ),
                    (63 * SECOND, bind_of(1, 3)),
                ],
            },
        ),
        (
            "a bind waited for its user to be fetched when nobody was fetched any more, which held up the end of the server",
            Plan {
                seed: 36_927,
                setting: Setting {
                    people: 5,
                    connections: 4,
                    way: 30 * MILLISECOND,
                    uneven: true,
                    ..Setting::default()
                },
                steps: vec![
                    (6 * SECOND, Step::Pass { from: 2, to: 4 }),
                    (6 * SECOND, bind_of(1, 2)),
                    (6 * SECOND, bind_of(1, 2)),
                    (6 * SECOND, Step::Restart { keeps_file: true }),
                ],
            },
        ),
        (
            "the judge: equal binds sent at once, of which some wait for others on their connections",
            Plan {
                seed: 1_022_039,
                setting: Setting {
                    people: 1,
                    connections: 5,
                    cached: [true, false],
                    way: 120 * MILLISECOND,
                    ..Setting::default()
                },
                steps: vec![
                    (
                        3 * SECOND,
                        Step::Fault {
                            kind: Fault::Stalled,
                            permille: 1000,
                            lasts: 2 * SECOND,
                        },
                    ),
                    (4 * SECOND, bind_of(3, 1)),
                    (4 * SECOND, bind_of(4, 1)),
                    (21 * SECOND, Step::Password { person: 0, secret: 4 }),
                    (
                        21 * SECOND,
                        Step::Together {
                            first: 3,
                            count: 3,
                            name: 0,
                            provider: 0,
                            secret: Secret::Right,
                        },
                    ),
                ],
            },
        ),
        (
            "a user fetched with a name that they had lost by then took it from whoever had it",
            Plan {
                seed: 373_426,
                setting: Setting {
                    people: 5,
                    connections: 4,
                    way: 30 * MILLISECOND,
                    uneven: true,
                    ..Setting::default()
                },
                steps: vec![
                    (2 * SECOND, bind_of(0, 0)),
                    (5 * SECOND, Step::Refresh),
                    (5_045 * MILLISECOND, Step::Rename { person: 4, name: 9 }),
                    (5_047 * MILLISECOND, bind_of(2, 9)),
                    (5_111 * MILLISECOND, bind_of(1, 3)),
                    (5_111 * MILLISECOND, Step::Pass { from: 4, to: 3 }),
                    (5_131 * MILLISECOND, bind_of(1, 4)),
                    (5_132 * MILLISECOND, bind_of(3, 9)),
                    (
                        5_176 * MILLISECOND,
                        Step::Search {
                            connection: 0,
                            provider: 0,
                            what: What::All,
                        },
                    ),
                    (
                        6_284 * MILLISECOND,
                        Step::Search {
                            connection: 0,
                            provider: 0,
                            what: What::All,
                        },
                    ),
                ],
            },
        ),
        (
            "a former password that came while its turn was another's was taken, however long it could have been found out",
            Plan {
                seed: 811_461,
                setting: Setting {
                    people: 2,
                    connections: 4,
                    cached: [true, false],
                    ..Setting::default()
                },
                steps: vec![
                    (2 * SECOND, bind_of(1, 1)),
                    (
                        5 * SECOND,
                        Step::Fault {
                            kind: Fault::UsersDenied,
                            permille: 1000,
                            lasts: 800 * SECOND,
                        },
                    ),
                    (101 * SECOND, Step::Password { person: 1, secret: 2 }),
                    (486 * SECOND, former(1, 1)),
                    (486 * SECOND, former(2, 1)),
                ],
            },
        ),
        (
            "not met by the first seeds: whoever is deactivated or deleted unheard is logged out by the look that shows it",
            Plan {
                seed: 2,
                setting: Setting {
                    connections: 3,
                    ..Setting::default()
                },
                steps: vec![
                    (2 * SECOND, bind_of(1, 2)),
                    (2 * SECOND, bind_of(2, 3)),
                    (3 * SECOND, Step::Announce(Announcing::Lost)),
                    (
                        4 * SECOND,
                        Step::Active {
                            person: 2,
                            active: false,
                        },
                    ),
                    (60 * SECOND, Step::WhoAmI { connection: 1 }),
                    (61 * SECOND, Step::Delete { person: 3 }),
                    (118 * SECOND, Step::WhoAmI { connection: 2 }),
                ],
            },
        ),
        (
            "the court's fault: where one of two providers has left, a name that is no DN is taken for one of the other's",
            Plan {
                seed: 2,
                setting: Setting {
                    connections: 3,
                    ..Setting::default()
                },
                steps: vec![
                    (
                        5 * SECOND,
                        Step::Serve {
                            provider: 0,
                            is: false,
                        },
                    ),
                    (
                        66 * SECOND,
                        Step::BindSpelled {
                            connection: 1,
                            name: Name::User(0),
                            provider: 0,
                            secret: Secret::Right,
                            spelling: Spelling::Bare,
                        },
                    ),
                ],
            },
        ),
    ]
}

#[test]
fn what_failed_once_does_not_again() {
    let mut failed = Vec::new();
    for (what, plan) in histories() {
        let outcome = run(&plan, true, None);
        if !outcome.faults.is_empty() {
            outcome.lines.iter().for_each(|line| println!("{line}"));
            failed.push((what, outcome.faults));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
