//! A history before it happens: who there is, and what is done when. Drawn from a seed, and made smaller step by step when
//! it fails.

use std::fmt;

use crate::further::{self, Topic};
use crate::scenes::{self, Focus};
use crate::time::{MILLISECOND, SECOND, Time};

/// Names that are passed around.
pub const NAMES: [&str; 10] = [
    "ada", "ben", "cleo", "dora", "emil", "fay", "gus", "hedy", "ivo", "june",
];
/// Passwords that are passed around.
pub const SECRETS: [&str; 5] = ["alpha", "beta", "gamma", "delta", "omega"];
pub const GROUPS: usize = 4;
pub const PROVIDERS: usize = 2;
/// Seeds from here on are drawn with what the first ones do not know: so whatever is added leaves those as they were.
pub const SECOND_SERIES: u64 = 1 << 32;

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
    /// One in this many people has a device for codes; 0: nobody.
    pub devices: usize,
    /// Rows that authentik gives of a page at most.
    pub page: usize,
    /// A snapshot file is kept.
    pub file: bool,
    /// Seconds that a session lasts; 0: authentik's day, without a date.
    pub session: u64,
    /// The longest way of a request or an answer, as a rule.
    pub way: Time,
    /// Some calls take several times as long as others.
    pub uneven: bool,
    /// How long everything is left alone at the end.
    pub rest: Time,
    /// The second provider is not there.
    pub alone: bool,
    /// Rows of users do not say when their password changed.
    pub undated: bool,
    /// What authentik is asked before a search at the first provider.
    pub direct: Direct,
    /// What is ready goes on in an order drawn from the seed, as far as calls and clients have a say in it.
    pub shuffled: bool,
}

/// What most histories that are written out have.
impl Default for Setting {
    fn default() -> Self {
        Self {
            people: 6,
            connections: 2,
            cached: [true, true],
            unbind: false,
            devices: 0,
            page: 100,
            file: false,
            session: 0,
            way: MILLISECOND,
            uneven: false,
            rest: 150 * SECOND,
            alone: false,
            undated: false,
            direct: Direct::No,
            shuffled: false,
        }
    }
}

/// What authentik is asked before a search (`docs/direct-search.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direct {
    /// Nothing: the search mode is cached.
    No,
    /// What changed, unless it was asked a moment ago.
    Fresh,
    /// What changed, and whoever is found.
    Live,
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
    /// The provider's bind mode is saved.
    Mode {
        provider: usize,
        cached: bool,
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
    /// The stream of events stays open, and nothing comes on it any more.
    Silence,
    /// authentik ends and begins again: nobody listens, then it says that it is starting.
    RestartAuthentik {
        down: Time,
        starting: Time,
    },
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
    /// The same under a name that is spelled in another way than ours.
    BindSpelled {
        connection: usize,
        name: Name,
        provider: usize,
        secret: Secret,
        spelling: Spelling,
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
    /// A bind that is answered without being judged.
    Unfit {
        connection: usize,
        kind: Unfit,
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

/// How the name of a bind is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// As we serve it.
    Plain,
    /// In capitals.
    Capitals,
    /// With spaces where they mean nothing.
    Spaced,
    /// With an octet that is written as a number.
    Escaped,
    /// By `uid` instead of `cn`.
    Uid,
    /// By `mail`, directly below the base.
    Mail,
    /// Below a container that is not there.
    Deeper,
    /// No DN at all.
    Bare,
    /// The same with the domain of the base.
    WithDomain,
    /// The same behind a domain.
    BehindDomain,
    /// A domain without a name.
    OnlyDomain,
    /// A comma in a `cn` that is not escaped: somebody else's name.
    Unescaped,
    /// Neither a DN nor a name.
    Broken,
}

impl Spelling {
    /// The DN of a bind.
    pub fn spell(self, name: &str, base: &str) -> String {
        let plain = format!("cn={name},ou=users,{base}");
        let domain = base.replace("dc=", "").replace(',', ".");
        match self {
            Self::Plain => plain,
            Self::Capitals => plain.to_uppercase(),
            Self::Spaced => format!("cn = {name} , ou = users , {}", base.replace(',', " , ")),
            Self::Escaped => {
                let (first, rest) = name.split_at(1);
                format!("cn=\\{:02x}{rest},ou=users,{base}", first.as_bytes()[0])
            }
            Self::Uid => format!("uid={name},ou=users,{base}"),
            Self::Mail => format!("mail={name},{base}"),
            Self::Deeper => format!("cn={name},ou=people,ou=users,{base}"),
            Self::Bare => name.to_owned(),
            Self::WithDomain => format!("{name}@{domain}"),
            Self::BehindDomain => format!("{}\\{name}", domain.to_uppercase()),
            Self::OnlyDomain => format!("@{domain}"),
            Self::Unescaped => format!("cn=x, {name},ou=users,{base}"),
            Self::Broken => format!("cn={name},,{base}"),
        }
    }

    /// Whether it means the name itself, wherever names that are no DN are taken.
    pub fn is_theirs(self) -> bool {
        !matches!(self, Self::OnlyDomain | Self::Unescaped | Self::Broken)
    }

    /// Whether it is no DN, which is taken only where there is one provider.
    pub fn is_bare(self) -> bool {
        matches!(
            self,
            Self::Bare | Self::WithDomain | Self::BehindDomain | Self::OnlyDomain
        )
    }
}

/// What is wrong with a bind, or that it is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    Anonymous,
    Version,
    Sasl,
    NoName,
    NoSecret,
    OtherTree,
}

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    All,
    Pages,
    /// In pages, by name.
    Sorted,
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
    /// Something other than was asked for.
    Nonsense,
    Throttled,
    Redirected,
    /// Answers take seconds.
    Slow,
    /// Users may not be read any more; all else goes on.
    UsersDenied,
    /// authentik says that it is starting.
    Starting,
    /// A web worker ended in the middle of the request, after it was carried out.
    Recycled,
    /// The token is not taken; what is asked in somebody's session is.
    TokenRefused,
    /// The host name has no address.
    Unresolved,
    /// The certificate is nobody's.
    Untrusted,
    /// A proxy wants credentials of its own.
    Unauthorized,
    /// Another service answers that there is no such thing.
    Missing,
    /// More octets than are read.
    TooLarge,
}

/// What happens to announcements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcing {
    AtOnce,
    Lost,
    Twice,
    Late,
    /// All of some seconds at one moment.
    Bursts,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed_0fa1);
        let focus = Focus::of(seed);
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
            uneven: false,
            rest: [150, 150, 150, 760][random.usize(..4)] * SECOND,
            alone: false,
            undated: false,
            direct: Direct::No,
            shuffled: false,
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
        let mut plan = Self { seed, setting, steps };
        if seed >= SECOND_SERIES {
            further::bend(&mut plan, Topic::of(seed));
        } else if focus != Focus::Plain && !large {
            scenes::bend(&mut plan, focus);
        }
        plan.steps.sort_by_key(|(at, _)| *at);
        plan
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
                3 => What::Pages,
                4 => What::Sorted,
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
