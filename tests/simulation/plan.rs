//! A history before it happens: who there is, and what is done when. Drawn from a seed, and made smaller step by step when
//! it fails.

use std::fmt;

use crate::time::{MILLISECOND, SECOND, Time};

/// Names that go round.
pub const NAMES: [&str; 10] = [
    "ada", "ben", "cleo", "dora", "emil", "fay", "gus", "hedy", "ivo", "june",
];
/// Passwords that go round.
pub const SECRETS: [&str; 5] = ["alpha", "beta", "gamma", "delta", "omega"];
pub const GROUPS: usize = 4;
pub const PROVIDERS: usize = 2;

/// All of it.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub setting: Setting,
    pub steps: Vec<(Time, Step)>,
}

/// What holds throughout.
#[derive(Clone, Debug)]
pub struct Setting {
    pub people: usize,
    pub connections: usize,
    /// Bind mode of each provider.
    pub cached: [bool; PROVIDERS],
    pub unbind: bool,
    /// Every so many people have a device for codes; 0: nobody.
    pub devices: usize,
    /// Rows that authentik gives of a page at most.
    pub page: usize,
    /// A snapshot file is kept.
    pub file: bool,
    /// Seconds that a session lasts; 0: authentik's day, without a date.
    pub session: u64,
    /// The longest way of a request or an answer, as a rule.
    pub way: Time,
    /// How long everything is left alone at the end.
    pub rest: Time,
}

/// Which secret is sent with a bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// That of whoever has the name, with a code where there is a device.
    Right,
    /// The one before it.
    Former,
    /// The same, with the code that was used last.
    SpentCode,
    Any(usize),
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Rename {
        person: usize,
        name: usize,
    },
    /// The second gets the name of the first, who gets another.
    Pass {
        from: usize,
        to: usize,
    },
    Mail {
        person: usize,
        name: usize,
    },
    Active {
        person: usize,
        active: bool,
    },
    Delete {
        person: usize,
    },
    Create {
        person: usize,
        name: usize,
    },
    Password {
        person: usize,
        secret: usize,
    },
    Access {
        person: usize,
        provider: usize,
        allowed: bool,
    },
    Permission {
        person: usize,
        provider: usize,
        allowed: bool,
    },
    Member {
        person: usize,
        group: usize,
        is: bool,
    },
    /// Somebody is logged out everywhere by an admin.
    LogOut {
        person: usize,
    },
    /// The same while the stream of events is down, so that nobody hears of it.
    LogOutUnheard {
        person: usize,
    },
    /// The provider is put under the other application, or back.
    Move {
        provider: usize,
    },
    /// The provider leaves the outpost, or comes back.
    Serve {
        provider: usize,
        is: bool,
    },
    /// Something is saved that authentik announces.
    Save,
    Fault {
        kind: Fault,
        permille: u32,
        lasts: Time,
    },
    Announce(Announcing),
    CutStream,
    /// The server ends and another one takes its place.
    Restart {
        keeps_file: bool,
    },
    Refresh,
    Update,
    Bind {
        connection: usize,
        name: Name,
        provider: usize,
        secret: Secret,
    },
    /// The same from several connections at once.
    Together {
        first: usize,
        count: usize,
        name: usize,
        provider: usize,
        secret: Secret,
    },
    Search {
        connection: usize,
        provider: usize,
        what: What,
    },
    Compare {
        connection: usize,
        name: usize,
        provider: usize,
    },
    WhoAmI {
        connection: usize,
    },
    Abandon {
        connection: usize,
    },
    StartTls {
        connection: usize,
    },
    HangUp {
        connection: usize,
    },
    /// Nothing for a while.
    Wait,
}

/// Under which name somebody binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    User(usize),
    Mail(usize),
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => formatter.write_str(NAMES[*name]),
            Self::Mail(name) => write!(formatter, "{}@example.org", NAMES[*name]),
        }
    }
}

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    All,
    Pages,
    Name(usize),
}

/// How calls to authentik fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens.
    Down,
    /// A gateway speaks; the request was not carried out.
    Gateway,
    /// An error of authentik's after the request was carried out.
    Failed,
    /// The request was carried out, and its answer is lost.
    Lost,
    /// No answer for a long time.
    Stalled,
    /// Half an answer.
    Cut,
    /// Something else than was asked for.
    Nonsense,
    Throttled,
    Redirected,
    /// Answers take seconds.
    Slow,
}

/// What becomes of announcements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcing {
    AtOnce,
    Lost,
    Twice,
    Late,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed_0fa1);
        let large = random.u32(..200) == 0;
        let long = random.u32(..8) == 0;
        let setting = Setting {
            people: if large {
                random.usize(20..60)
            } else {
                random.usize(3..9)
            },
            connections: if large {
                random.usize(60..200)
            } else {
                random.usize(2..7)
            },
            cached: [random.u32(..4) > 0, random.bool()],
            unbind: random.bool(),
            devices: if random.u32(..3) == 0 {
                random.usize(1..4)
            } else {
                0
            },
            page: [3, 5, 100][random.usize(..3)],
            file: random.u32(..24) == 0,
            session: [0, 0, 40, 400][random.usize(..4)],
            way: [1, 5, 30, 120][random.usize(..4)] * MILLISECOND,
            rest: [150, 150, 150, 760][random.usize(..4)] * SECOND,
        };
        let mut steps = Vec::new();
        let mut at = if random.u32(..10) == 0 { 0 } else { 2 * SECOND };
        let count = if large {
            random.usize(150..400)
        } else {
            random.usize(12..45)
        };
        while steps.len() < count {
            // Mostly at once, to have them meet; now and then what is waiting has its time.
            at += match random.u32(..100) {
                0..35 => random.u64(..3) * MILLISECOND,
                35..70 => random.u64(1..60) * MILLISECOND,
                70..90 => random.u64(60..1500) * MILLISECOND,
                90..98 => random.u64(2..12) * SECOND,
                _ if long => random.u64(40..340) * SECOND,
                _ => random.u64(20..50) * SECOND,
            };
            let next = step(&mut random, &setting);
            steps.push((at, next));
            if let Some((name, secret)) = attempt(next)
                && random.u32(..3) == 0
            {
                // Something that concerns whoever logs in, while they do.
                let meanwhile = at + random.u64(..=5 * setting.way + 10 * MILLISECOND);
                steps.push((meanwhile, concerning(&mut random, &setting, name)));
                if random.bool() {
                    steps.push((
                        meanwhile + random.u64(..=setting.way),
                        concerning(&mut random, &setting, name),
                    ));
                }
                // And the same once more, when it must have been noticed.
                if random.u32(..3) == 0 {
                    let later = meanwhile + [5, 49, 55][random.usize(..3)] * SECOND;
                    let connection = random.usize(..setting.connections);
                    let (name, secret) = (
                        Name::User(name),
                        if random.bool() { secret } else { Secret::Former },
                    );
                    steps.push((
                        later,
                        Step::Bind {
                            connection,
                            name,
                            provider: 0,
                            secret,
                        },
                    ));
                }
            }
        }
        steps.sort_by_key(|(at, _)| *at);
        Self { seed, setting, steps }
    }
}

/// Who logs in by a step, by their name and the secret.
fn attempt(step: Step) -> Option<(usize, Secret)> {
    match step {
        Step::Bind {
            name: Name::User(name),
            secret,
            ..
        }
        | Step::Together { name, secret, .. } => Some((name, secret)),
        _ => None,
    }
}

/// A step that concerns whoever had a name in the beginning.
fn concerning(random: &mut fastrand::Rng, setting: &Setting, name: usize) -> Step {
    let person = name.min(setting.people - 1);
    let other = random.usize(..setting.people);
    let connection = random.usize(..setting.connections);
    match random.u32(..20) {
        0..3 => Step::LogOut { person },
        3 => Step::LogOutUnheard { person },
        4..7 => Step::Password {
            person,
            secret: random.usize(..SECRETS.len()),
        },
        7 => Step::Rename {
            person,
            name: random.usize(..NAMES.len()),
        },
        8..10 => Step::Pass {
            from: person,
            to: other,
        },
        10 => Step::Active {
            person,
            active: false,
        },
        11 => Step::Delete { person },
        12 => Step::Access {
            person,
            provider: 0,
            allowed: false,
        },
        13 => Step::Permission {
            person,
            provider: 0,
            allowed: random.bool(),
        },
        14 => Step::Move { provider: 0 },
        15 => Step::CutStream,
        16 => Step::Update,
        17 => Step::Refresh,
        18 => Step::Together {
            first: connection,
            count: 3,
            name,
            provider: 0,
            secret: Secret::Right,
        },
        _ => Step::HangUp { connection },
    }
}

fn step(random: &mut fastrand::Rng, setting: &Setting) -> Step {
    let person = random.usize(..setting.people);
    let other = random.usize(..setting.people);
    let name = random.usize(..NAMES.len().min(setting.people + 2));
    let connection = random.usize(..setting.connections);
    let provider = usize::from(random.u32(..5) == 0);
    let secret = match random.u32(..20) {
        0..13 => Secret::Right,
        13..16 => Secret::Former,
        16 => Secret::SpentCode,
        _ => Secret::Any(random.usize(..SECRETS.len())),
    };
    match random.u32(..1000) {
        0..230 => Step::Bind {
            connection,
            name: if random.u32(..6) == 0 {
                Name::Mail(name)
            } else {
                Name::User(name)
            },
            provider,
            secret,
        },
        230..270 => Step::Together {
            first: connection,
            count: random.usize(2..4),
            name,
            provider,
            secret,
        },
        270..420 => Step::Search {
            connection,
            provider,
            what: match random.u32(..8) {
                0..3 => What::All,
                3..5 => What::Pages,
                _ => What::Name(name),
            },
        },
        420..450 => Step::Compare {
            connection,
            name,
            provider,
        },
        450..470 => Step::WhoAmI { connection },
        470..485 => Step::Abandon { connection },
        485..490 => Step::StartTls { connection },
        490..540 => Step::HangUp { connection },
        540..580 => Step::Rename { person, name },
        580..610 => Step::Pass {
            from: person,
            to: other,
        },
        610..630 => Step::Mail { person, name },
        630..660 => Step::Active {
            person,
            active: random.u32(..3) == 0,
        },
        660..680 => Step::Delete { person },
        680..710 => Step::Create { person, name },
        710..760 => Step::Password {
            person,
            secret: random.usize(..SECRETS.len()),
        },
        760..790 => Step::Access {
            person,
            provider,
            allowed: random.bool(),
        },
        790..815 => Step::Permission {
            person,
            provider,
            allowed: random.bool(),
        },
        815..845 => Step::Member {
            person,
            group: random.usize(..GROUPS),
            is: random.bool(),
        },
        845..870 => Step::LogOut { person },
        870..880 => Step::Move { provider },
        880..890 => Step::Serve {
            provider,
            is: random.u32(..3) > 0,
        },
        890..900 => Step::Save,
        900..930 => {
            use Fault::*;
            let kinds = [
                Down, Gateway, Failed, Lost, Stalled, Cut, Nonsense, Throttled, Redirected, Slow,
            ];
            Step::Fault {
                kind: kinds[random.usize(..kinds.len())],
                permille: [1000, 500, 100][random.usize(..3)],
                lasts: [20, 300, 3_000, 20_000][random.usize(..4)] * MILLISECOND,
            }
        }
        930..945 => Step::Announce(
            [
                Announcing::AtOnce,
                Announcing::Lost,
                Announcing::Twice,
                Announcing::Late,
            ][random.usize(..4)],
        ),
        945..955 => Step::CutStream,
        955..960 => Step::Restart {
            keeps_file: random.bool(),
        },
        960..975 => Step::Refresh,
        975..990 => Step::Update,
        _ => Step::Wait,
    }
}
