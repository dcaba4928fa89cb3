//! What histories of the second series are about. Their plans are drawn from streams of their own, so that the first series stays
//! as it was; most of them repeat a pattern that once went wrong, with new moments, or do what the first series cannot.

use crate::plan::{
    Announcing, Direct, Fault, NAMES, Name, Plan, SECRETS, Secret, Setting, Spelling, Step, What,
};
use crate::shares::drawn;
use crate::time::{MILLISECOND, SECOND, Time};

/// What a history of the second series is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Names of binds in other spellings than ours.
    Spellings,
    /// Hundreds of connections that bind at once.
    Crowd,
    /// authentik ends and begins again.
    Restarts,
    /// Announcements that come in bursts.
    Bursts,
    /// Failures that the first series does not know.
    Failures,
    /// A stream of events that stays open and says nothing.
    Silence,
    /// People who are deactivated or deleted without an announcement.
    Unheard,
    /// Groups that people leave while users are fetched beside a look.
    Groups,
    /// E-mail addresses that two people have for a while.
    Namesakes,
    /// Full readings that fail for many minutes.
    LongFailures,
    /// Servers that begin while requests hang.
    Beginnings,
    /// Servers that end while users are fetched.
    Endings,
    /// Providers whose bind mode changes.
    Modes,
    /// Passwords whose date no row shows.
    Undated,
    /// Searches before which authentik is asked.
    Direct,
    /// Names that pass on while both who had them and who has them are fetched.
    PassedOn,
    /// Former passwords that come at once while users cannot be read.
    Doubted,
    /// Clients that search all the time, while people change now and then.
    Polling,
}

/// How many of this many seeds are about what.
const SHARES: [(Topic, usize); 18] = [
    (Topic::Spellings, 5),
    (Topic::Crowd, 1),
    (Topic::Restarts, 4),
    (Topic::Bursts, 3),
    (Topic::Failures, 5),
    (Topic::Silence, 2),
    (Topic::Unheard, 1),
    (Topic::Groups, 4),
    (Topic::Namesakes, 4),
    (Topic::LongFailures, 1),
    (Topic::Beginnings, 2),
    (Topic::Endings, 3),
    (Topic::Modes, 2),
    (Topic::Undated, 1),
    (Topic::Direct, 4),
    (Topic::PassedOn, 2),
    (Topic::Doubted, 1),
    (Topic::Polling, 2),
];

impl Topic {
    pub fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x70b1_c0de);
        drawn(&SHARES, &mut random)
    }

    /// Whether what is wrong shows only where nothing else is amiss.
    fn is_quiet(self) -> bool {
        matches!(
            self,
            Topic::Crowd
                | Topic::Unheard
                | Topic::LongFailures
                | Topic::Beginnings
                | Topic::Endings
                | Topic::Doubted
                | Topic::Polling
        )
    }
}

/// One of this many plain steps stays.
const STAYS: u32 = 5;
/// Connections where there is no crowd.
const FEW: usize = 8;
/// The provider that scenes are about.
const PROVIDER: usize = 0;
/// The connection of whoever sees everything.
const ADMIN: usize = 0;

/// Adapts a plan to its topic.
pub fn bend(plan: &mut Plan, topic: Topic) {
    let mut random = fastrand::Rng::with_seed(plan.seed ^ 0x0f42_7e45);
    let setting = &mut plan.setting;
    // Those of a crowd are not for a few.
    let quiet = topic.is_quiet() || random.u32(..3) == 0 || setting.connections > FEW;
    plan.steps.retain(|_| !quiet && random.u32(..STAYS) == 0);
    setting.shuffled = true;
    setting.cached[PROVIDER] |= random.u32(..8) > 0;
    setting.people = setting.people.clamp(3, 6);
    setting.connections = setting.connections.clamp(4, FEW);
    setting.session = 0;
    setting.devices = 0;
    settle(topic, setting, &mut random);
    let mut pattern = Pattern {
        random,
        setting: setting.clone(),
        at: 2 * SECOND,
        steps: Vec::new(),
    };
    pattern.play(topic);
    plan.steps.append(&mut pattern.steps);
}

/// What holds throughout in a history about a topic.
fn settle(topic: Topic, setting: &mut Setting, random: &mut fastrand::Rng) {
    setting.alone = topic == Topic::Spellings && random.bool();
    setting.undated = topic == Topic::Undated;
    setting.file = matches!(topic, Topic::Endings | Topic::Restarts) && random.u32(..4) == 0;
    match topic {
        Topic::Spellings => setting.devices = [0, 0, 2][random.usize(..3)],
        Topic::Crowd => {
            setting.connections = random.usize(200..400);
            setting.people = NAMES.len();
            setting.way = [1, 5, 30][random.usize(..3)] * MILLISECOND;
            setting.rest = 150 * SECOND;
        }
        Topic::Failures | Topic::Restarts => {
            setting.devices = [0, 0, 1][random.usize(..3)];
            setting.session = [0, 0, 40][random.usize(..3)];
        }
        Topic::Groups => {
            setting.page = [3, 100][random.usize(..2)];
            setting.way = [30, 120][random.usize(..2)] * MILLISECOND;
            setting.uneven = random.bool();
        }
        Topic::Namesakes => {
            setting.way = [5, 30, 120][random.usize(..3)] * MILLISECOND;
            setting.cached[PROVIDER] = true;
        }
        Topic::LongFailures | Topic::Doubted => setting.rest = 150 * SECOND,
        Topic::Polling => {
            // Now and then until no cached bind of before is left.
            setting.rest = [150, 150, 150, 3_700][random.usize(..4)] * SECOND;
            setting.uneven = random.u32(..4) == 0;
            setting.direct = [Direct::No, Direct::No, Direct::Fresh][random.usize(..3)];
        }
        Topic::PassedOn => {
            setting.way = [5, 30][random.usize(..2)] * MILLISECOND;
            setting.uneven = true;
        }
        Topic::Endings => {
            setting.way = [5, 30, 120][random.usize(..3)] * MILLISECOND;
            setting.uneven = true;
        }
        Topic::Undated => setting.cached[PROVIDER] = true,
        Topic::Direct => setting.direct = [Direct::Fresh, Direct::Live][random.usize(..2)],
        Topic::Modes => setting.rest = [150, 500][random.usize(..2)] * SECOND,
        Topic::Bursts | Topic::Silence | Topic::Unheard | Topic::Beginnings => {}
    }
}

/// Steps so far, and the moment from which the next are counted.
struct Pattern {
    random: fastrand::Rng,
    setting: Setting,
    at: Time,
    steps: Vec<(Time, Step)>,
}

impl Pattern {
    fn add(&mut self, after: Time, step: Step) {
        self.steps.push((self.at + after, step));
    }

    fn play(&mut self, topic: Topic) {
        let count = match topic {
            Topic::Crowd | Topic::LongFailures | Topic::Unheard | Topic::Undated | Topic::Doubted => 1,
            Topic::Restarts | Topic::Silence | Topic::Beginnings => self.random.usize(1..4),
            Topic::Endings => self.random.usize(3..7),
            _ => self.random.usize(4..9),
        };
        if matches!(
            topic,
            Topic::Groups
                | Topic::LongFailures
                | Topic::Crowd
                | Topic::Direct
                | Topic::PassedOn
                | Topic::Polling
        ) {
            self.bind(0, ADMIN, Name::User(0), Secret::Right);
            self.at += 2 * SECOND;
        }
        for _ in 0..count {
            match topic {
                Topic::Spellings => self.spellings(),
                Topic::Crowd => self.crowd(),
                Topic::Restarts => self.restarts(),
                Topic::Bursts => self.bursts(),
                Topic::Failures => self.failures(),
                Topic::Silence => self.silence(),
                Topic::Unheard => self.unheard(),
                Topic::Groups => self.groups(),
                Topic::Namesakes => self.namesakes(),
                Topic::LongFailures => self.long_failures(),
                Topic::Beginnings => self.beginnings(),
                Topic::Endings => self.endings(),
                Topic::Modes => self.modes(),
                Topic::Undated => self.undated(),
                Topic::Direct => self.direct(),
                Topic::PassedOn => self.passed_on(),
                Topic::Doubted => self.doubted(),
                Topic::Polling => self.polling(),
            }
            self.at += match self.random.u32(..4) {
                0 => self.random.u64(..80) * MILLISECOND,
                1 => self.random.u64(3..30) * SECOND,
                _ => self.random.u64(80..3_000) * MILLISECOND,
            };
        }
        if topic == Topic::Modes && self.random.bool() {
            self.add(
                0,
                Step::Serve {
                    provider: PROVIDER,
                    is: false,
                },
            );
        }
    }

    fn bind(&mut self, after: Time, connection: usize, name: Name, secret: Secret) {
        self.add(
            after,
            Step::Bind {
                connection,
                name,
                provider: PROVIDER,
                secret,
            },
        );
    }

    fn look(&mut self, after: Time, what: What) {
        self.add(
            after,
            Step::Search {
                connection: ADMIN,
                provider: PROVIDER,
                what,
            },
        );
    }

    fn person(&mut self) -> usize {
        self.random.usize(..self.setting.people)
    }

    /// Somebody other than the one who sees everything.
    fn other(&mut self) -> usize {
        self.random.usize(1..self.setting.people)
    }

    fn connection(&mut self) -> usize {
        self.random.usize(1..self.setting.connections)
    }

    /// Some moment of a bind that is sent now.
    fn meanwhile(&mut self) -> Time {
        self.random.u64(..=6 * self.setting.way + 2 * MILLISECOND)
    }

    fn spellings(&mut self) {
        use Spelling::{
            Bare, BehindDomain, Broken, Capitals, Deeper, Escaped, Mail, OnlyDomain, Plain, Spaced, Uid,
            Unescaped, WithDomain,
        };
        let all = [
            Plain,
            Capitals,
            Spaced,
            Escaped,
            Uid,
            Mail,
            Deeper,
            Bare,
            WithDomain,
            BehindDomain,
            OnlyDomain,
            Unescaped,
            Broken,
        ];
        let person = self.person();
        let by_mail = self.random.u32(..3) == 0;
        for _ in 0..self.random.usize(1..4) {
            let spelling = all[self.random.usize(..all.len())];
            let connection = self.connection();
            let name = match by_mail || spelling == Mail {
                true => Name::Mail(person),
                false => Name::User(person),
            };
            let secret =
                [Secret::Right, Secret::Right, Secret::Right, Secret::Former][self.random.usize(..4)];
            let after = self.meanwhile();
            self.add(
                after,
                Step::BindSpelled {
                    connection,
                    name,
                    provider: PROVIDER,
                    secret,
                    spelling,
                },
            );
            self.add(after, Step::WhoAmI { connection });
            self.add(
                after + SECOND,
                Step::Search {
                    connection,
                    provider: PROVIDER,
                    what: What::Name(person),
                },
            );
        }
        let after = self.meanwhile();
        let to = self.person();
        let change = match self.random.u32(..8) {
            0 => Step::Pass { from: person, to },
            1 => Step::Rename {
                person,
                name: self.random.usize(..NAMES.len()),
            },
            2 => Step::Mail {
                person: to,
                name: person,
            },
            3 => Step::LogOut { person },
            4 => Step::Password {
                person,
                secret: self.random.usize(..SECRETS.len()),
            },
            _ => Step::Wait,
        };
        self.add(after, change);
        self.at += [0, 0, 55 * SECOND][self.random.usize(..3)];
    }

    /// Right, wrong, former and equal binds at once, followed at once by whatever else a client may ask.
    fn crowd(&mut self) {
        let all = self.setting.connections;
        let within = [0, 50, 2_000][self.random.usize(..3)] * MILLISECOND;
        for connection in 1..all {
            let after = self.random.u64(..=within);
            let name = Name::User(self.person());
            let secret = match self.random.u32(..12) {
                0 => Secret::Former,
                1 => Secret::Any(self.random.usize(..SECRETS.len())),
                _ => Secret::Right,
            };
            self.bind(after, connection, name, secret);
            let provider = PROVIDER;
            let what = [What::All, What::Pages, What::Sorted][self.random.usize(..3)];
            match self.random.u32(..16) {
                0..3 => self.add(
                    after,
                    Step::Search {
                        connection,
                        provider,
                        what,
                    },
                ),
                3 => self.add(
                    after,
                    Step::Compare {
                        connection,
                        name: 0,
                        provider,
                    },
                ),
                4 => self.add(after, Step::HangUp { connection }),
                5 => self.add(after, Step::StartTls { connection }),
                6 => self.add(after, Step::WhoAmI { connection }),
                _ => {}
            }
        }
        let person = self.other();
        let after = self.random.u64(..=within + SECOND);
        let change = match self.random.u32(..5) {
            0 => Step::LogOut { person },
            1 => Step::Password { person, secret: 4 },
            2 => Step::CutStream,
            3 => Step::Refresh,
            _ => Step::Delete { person },
        };
        self.add(after, change);
        let (first, name) = (self.connection(), self.person());
        self.add(
            within + 3 * SECOND,
            Step::Together {
                first,
                count: all / 2,
                name,
                provider: PROVIDER,
                secret: Secret::Right,
            },
        );
        self.add(within + 60 * SECOND, Step::Update);
    }

    fn restarts(&mut self) {
        let (person, connection, another) = (self.person(), self.connection(), self.connection());
        self.bind(0, connection, Name::User(person), Secret::Right);
        let after = match self.random.bool() {
            true => self.meanwhile(),
            false => self.random.u64(1..5) * SECOND,
        };
        let down = [0, 300, 3_000, 20_000][self.random.usize(..4)] * MILLISECOND;
        let starting = [0, 2_000, 15_000][self.random.usize(..3)] * MILLISECOND;
        self.add(after, Step::RestartAuthentik { down, starting });
        let during = after + self.random.u64(..=down + starting + SECOND);
        let change = match self.random.u32(..6) {
            0 => Step::LogOut { person },
            1 => Step::Password {
                person,
                secret: self.random.usize(..SECRETS.len()),
            },
            2 => Step::Active {
                person,
                active: false,
            },
            3 => Step::Move { provider: PROVIDER },
            4 => Step::Restart {
                keeps_file: self.random.bool(),
            },
            _ => Step::Refresh,
        };
        self.add(during, change);
        self.bind(during, another, Name::User(person), Secret::Right);
        let later = after + down + starting + self.random.u64(..60) * SECOND;
        self.bind(later, another, Name::User(person), Secret::Former);
        self.bind(later, connection, Name::User(person), Secret::Right);
        self.at += later;
    }

    fn bursts(&mut self) {
        self.add(0, Step::Announce(Announcing::Bursts));
        for _ in 0..self.random.usize(2..6) {
            let (person, connection) = (self.person(), self.connection());
            let moment = self.random.u64(..3_000) * MILLISECOND;
            self.bind(moment, connection, Name::User(person), Secret::Right);
            for _ in 0..self.random.usize(..4) {
                let after = moment + self.meanwhile();
                let step = match self.random.u32(..5) {
                    0..2 => Step::LogOut { person },
                    2 => Step::Move { provider: PROVIDER },
                    _ => Step::Save,
                };
                self.add(after, step);
            }
        }
        self.at += 3 * SECOND;
    }

    fn failures(&mut self) {
        use Fault::{
            Cut, Missing, Recycled, Starting, TokenRefused, TooLarge, Unauthorized, Unresolved, Untrusted,
        };
        let kinds = [
            Starting,
            Recycled,
            TokenRefused,
            Unresolved,
            Untrusted,
            Unauthorized,
            Missing,
            TooLarge,
            Cut,
        ];
        let (person, connection) = (self.person(), self.connection());
        self.bind(0, connection, Name::User(person), Secret::Right);
        let after = self.meanwhile();
        let fault = Step::Fault {
            kind: kinds[self.random.usize(..kinds.len())],
            permille: [1000, 500, 200][self.random.usize(..3)],
            lasts: [20, 200, 2_000, 40_000][self.random.usize(..4)] * MILLISECOND,
        };
        self.add(after, fault);
        let to = self.person();
        let steps = [
            Step::Update,
            Step::Refresh,
            Step::CutStream,
            Step::LogOut { person },
            Step::Pass { from: person, to },
            Step::Save,
        ];
        for _ in 0..2 {
            let step = steps[self.random.usize(..steps.len())];
            let after = after + self.meanwhile();
            self.add(after, step);
        }
        let (another, after) = (self.connection(), after + self.meanwhile());
        self.bind(after, another, Name::User(person), Secret::Right);
    }

    fn silence(&mut self) {
        let (person, connection) = (self.person(), self.connection());
        self.bind(0, connection, Name::User(person), Secret::Right);
        let after = self.meanwhile();
        self.add(after, Step::Silence);
        let after = after + self.random.u64(..45) * SECOND;
        let change = match self.random.u32(..3) {
            0 => Step::Active {
                person,
                active: false,
            },
            1 => Step::Move { provider: PROVIDER },
            _ => Step::LogOut { person },
        };
        self.add(after, change);
        self.at += after + self.random.u64(30..100) * SECOND;
        self.add(0, Step::WhoAmI { connection });
        self.bind(0, connection, Name::User(person), Secret::Right);
    }

    /// Nothing tells of them but the directory.
    fn unheard(&mut self) {
        let (one, other) = (self.random.usize(2..self.setting.people), self.other());
        for (connection, person) in [(1, one), (2, other)] {
            self.bind(0, connection, Name::User(person), Secret::Right);
        }
        self.add(SECOND, Step::Announce(Announcing::Lost));
        self.at += self.random.u64(2..40) * SECOND;
        for (connection, person) in [(1, one), (2, other)] {
            let change = match self.random.u32(..3) {
                0 => Step::Delete { person },
                _ => Step::Active {
                    person,
                    active: false,
                },
            };
            self.add(0, change);
            let after = self.random.u64(50..70) * SECOND;
            self.add(after, Step::WhoAmI { connection });
            self.bind(after, 3, Name::User(person), Secret::Right);
        }
        self.at += 75 * SECOND;
    }

    /// A name passes on, its owner is fetched while a look is under way, and leaves a group before it reads the groups.
    fn groups(&mut self) {
        let (from, to) = (self.other(), self.person());
        self.add(0, Step::Pass { from, to });
        let look = match self.random.u32(..3) {
            0 => Step::CutStream,
            1 => Step::Update,
            _ => Step::Refresh,
        };
        let after = self.random.u64(..=self.setting.way);
        self.add(after, look);
        let connection = self.connection();
        self.bind(after, connection, Name::User(from), Secret::Right);
        let leaves = self.random.u64(..=14 * self.setting.way);
        for person in [from, to] {
            self.add(
                leaves,
                Step::Member {
                    person,
                    group: person % crate::plan::GROUPS,
                    is: false,
                },
            );
        }
        let later = self.random.u64(50..60) * SECOND;
        self.look(later, What::All);
        if self.random.bool() {
            self.at += later;
        }
        for person in [from, to] {
            self.add(
                SECOND,
                Step::Member {
                    person,
                    group: person % crate::plan::GROUPS,
                    is: true,
                },
            );
        }
        self.at += SECOND;
    }

    /// Somebody else has the same e-mail address before, during or after a login by it.
    fn namesakes(&mut self) {
        let owner = self.other();
        let lower = self.random.usize(..owner);
        let connection = self.connection();
        let shared = Step::Mail {
            person: lower,
            name: owner,
        };
        let own = Step::Mail {
            person: lower,
            name: lower,
        };
        match self.random.u32(..3) {
            // Had it before, and gets it again.
            0 => {
                self.add(0, shared);
                self.at += self.random.u64(40..50) * SECOND;
                self.add(0, own);
                self.at += SECOND;
                self.bind(0, connection, Name::Mail(owner), Secret::Right);
                self.at += self.random.u64(70..90) * SECOND;
                self.add(0, shared);
            }
            // Gets it during the login, and a look shows that.
            1 => {
                self.bind(0, connection, Name::Mail(owner), Secret::Right);
                let way = self.setting.way;
                let gets = self.random.u64(2 * way..=5 * way);
                self.add(gets, shared);
                let looks = gets + self.random.u64(..=way);
                self.add(looks, Step::Update);
            }
            // Gets it during the login, and logs in, too: both are unknown and are fetched.
            _ => return self.namesake_fetched(owner, lower),
        }
        let another = self.connection();
        self.bind(
            55 * SECOND,
            another,
            Name::Mail(owner),
            Secret::Any(owner % SECRETS.len()),
        );
        self.at += 58 * SECOND;
        self.add(0, own);
    }

    /// Two come by new names just before they log in. One gets the other's e-mail address then, by which that one does.
    fn namesake_fetched(&mut self, owner: usize, lower: usize) {
        let name = self.random.usize(self.setting.people..NAMES.len());
        let mail = self.random.usize(self.setting.people..NAMES.len());
        self.add(0, Step::Rename { person: lower, name });
        self.add(
            0,
            Step::Mail {
                person: owner,
                name: mail,
            },
        );
        let (one, another, way) = (self.connection(), self.connection(), self.setting.way);
        self.bind(0, one, Name::Mail(mail), Secret::Right);
        let after = self.random.u64(..=way);
        self.bind(after, another, Name::User(name), Secret::Right);
        let gets = self.random.u64(2 * way..=8 * way);
        let shared = Step::Mail {
            person: lower,
            name: mail,
        };
        self.add(gets, shared);
        let secret = Secret::Any(owner % SECRETS.len());
        self.bind(55 * SECOND, another, Name::Mail(mail), secret);
        self.at += 58 * SECOND;
        for person in [lower, owner] {
            self.add(0, Step::Rename { person, name: person });
            self.add(0, Step::Mail { person, name: person });
        }
        // Who they are by then is known.
        self.at += 33 * SECOND;
    }

    /// Somebody logs in under a new name and is fetched. While their row is on its way the name passes on, and its next owner logs
    /// in under it.
    fn passed_on(&mut self) {
        let (from, to) = (self.other(), self.other());
        let name = self.random.usize(self.setting.people..NAMES.len());
        let way = self.setting.way;
        let (one, another) = (self.connection(), self.connection());
        self.add(0, Step::Rename { person: from, name });
        self.bind(0, one, Name::User(name), Secret::Right);
        let passes = self.random.u64(6 * way..=12 * way);
        self.add(passes, Step::Pass { from, to });
        let after = passes + self.random.u64(..=way);
        self.bind(after, another, Name::User(name), Secret::Right);
        for _ in 0..4 {
            let looked = after + self.random.u64(..=40 * way);
            self.look(looked, What::All);
        }
        self.at += after + SECOND;
        self.look(0, What::All);
        for person in [to, from] {
            self.add(0, Step::Rename { person, name: person });
        }
    }

    /// Users cannot be read, and passwords change: when the former ones must have been found out, several come with theirs at once.
    fn doubted(&mut self) {
        let people: Vec<usize> = (1..self.setting.people).collect();
        for person in &people {
            let connection = self.connection();
            self.bind(0, connection, Name::User(*person), Secret::Right);
        }
        self.add(
            3 * SECOND,
            Step::Fault {
                kind: Fault::UsersDenied,
                permille: 1000,
                lasts: 800 * SECOND,
            },
        );
        self.at += self.random.u64(4..100) * SECOND;
        for person in &people {
            let secret = (person + 1) % SECRETS.len();
            let person = *person;
            self.add(0, Step::Password { person, secret });
        }
        let found_out = self.random.u64(352..400) * SECOND;
        for person in &people {
            let first = self.connection();
            self.add(
                found_out,
                Step::Together {
                    first,
                    count: 2,
                    name: *person,
                    provider: PROVIDER,
                    secret: Secret::Former,
                },
            );
        }
        self.at += 400 * SECOND;
    }

    /// One who sees everything searches again and again, while somebody changes of whom nothing else tells.
    fn polling(&mut self) {
        let person = self.random.usize(2..self.setting.people);
        let change = match self.random.u32(..8) {
            0..3 => Step::Mail {
                person,
                name: self.random.usize(self.setting.people..NAMES.len()),
            },
            3..5 => Step::Rename {
                person,
                name: self.random.usize(self.setting.people..NAMES.len()),
            },
            5 => Step::Member {
                person,
                group: self.random.usize(..crate::plan::GROUPS),
                is: self.random.bool(),
            },
            6 => Step::Delete { person },
            _ => Step::Create { person, name: person },
        };
        let after = self.random.u64(..4_000) * MILLISECOND;
        self.add(after, change);
        for _ in 0..self.random.usize(8..20) {
            let what = [What::All, What::All, What::Pages, What::Sorted][self.random.usize(..4)];
            self.look(0, what);
            self.at += self.random.u64(1_000..4_000) * MILLISECOND;
        }
    }

    /// Users cannot be read for many minutes, while somebody under a new name logs in and changes their password.
    fn long_failures(&mut self) {
        let person = self.random.usize(2..self.setting.people);
        self.add(
            SECOND,
            Step::Fault {
                kind: Fault::UsersDenied,
                permille: 1000,
                lasts: 800 * SECOND,
            },
        );
        let refresh = self.random.u64(5..20) * SECOND;
        self.add(refresh, Step::Refresh);
        let name = self.random.usize(self.setting.people..NAMES.len());
        let renamed = refresh + self.random.u64(5..20) * SECOND;
        self.add(renamed, Step::Rename { person, name });
        let logs_in = renamed + self.random.u64(20..60) * SECOND;
        let connection = self.connection();
        self.bind(logs_in, connection, Name::User(name), Secret::Right);
        let changed = logs_in + self.random.u64(10..40) * SECOND;
        self.add(
            changed,
            Step::Password {
                person,
                secret: (person + 1) % SECRETS.len(),
            },
        );
        self.at += 870 * SECOND;
        self.bind(0, connection, Name::User(name), Secret::Former);
        self.look(0, What::All);
    }

    /// Requests hang while a server begins.
    fn beginnings(&mut self) {
        self.add(0, Step::Restart { keeps_file: false });
        let after = self.random.u64(..3_000) * MILLISECOND;
        let permille = [500, 800][self.random.usize(..2)];
        self.add(
            after,
            Step::Fault {
                kind: Fault::Stalled,
                permille,
                lasts: 20 * SECOND,
            },
        );
        self.at += after + self.random.u64(55..62) * SECOND;
        let (person, connection) = (self.person(), self.connection());
        self.bind(0, connection, Name::User(person), Secret::Right);
        self.at += 15 * SECOND;
    }

    /// A server ends while binds wait for users who are fetched.
    fn endings(&mut self) {
        let (from, to) = (self.other(), self.person());
        let connection = self.connection();
        self.add(0, Step::Pass { from, to });
        for _ in 0..2 {
            let after = self.random.u64(..=self.setting.way);
            self.bind(after, connection, Name::User(from), Secret::Right);
        }
        let after = self.random.u64(..=14 * self.setting.way);
        let keeps_file = self.random.bool();
        self.add(after, Step::Restart { keeps_file });
        self.at += after + self.random.u64(1..10) * SECOND;
    }

    /// The bind mode is saved while somebody logs in or after, and they come again.
    fn modes(&mut self) {
        let (person, connection, provider) = (self.person(), self.connection(), PROVIDER);
        self.bind(0, connection, Name::User(person), Secret::Right);
        let after = match self.random.bool() {
            true => self.meanwhile(),
            false => self.random.u64(1..10) * SECOND,
        };
        let cached = self.random.u32(..3) == 0;
        self.add(after, Step::Mode { provider, cached });
        let gone = after + self.random.u64(..40) * SECOND;
        let change = match self.random.u32(..3) {
            0 => Step::Access {
                person,
                provider,
                allowed: self.random.u32(..3) == 0,
            },
            1 => Step::Password {
                person,
                secret: self.random.usize(..SECRETS.len()),
            },
            _ => Step::Wait,
        };
        self.add(gone, change);
        for _ in 0..2 {
            let (another, later) = (self.connection(), gone + self.random.u64(..50) * SECOND);
            self.bind(later, another, Name::User(person), Secret::Former);
            self.add(later, Step::WhoAmI { connection });
        }
        self.at += gone + 30 * SECOND;
    }

    /// A password changes, which no row shows.
    fn undated(&mut self) {
        for _ in 0..3 {
            let (person, connection) = (self.person(), self.connection());
            self.bind(0, connection, Name::User(person), Secret::Right);
            let after = match self.random.bool() {
                true => self.meanwhile(),
                false => self.random.u64(1..60) * SECOND,
            };
            self.add(
                after,
                Step::Password {
                    person,
                    secret: (person + 1) % SECRETS.len(),
                },
            );
            for _ in 0..3 {
                let (another, later) = (self.connection(), after + self.random.u64(1..500) * SECOND);
                self.bind(later, another, Name::User(person), Secret::Former);
            }
        }
        self.at += 560 * SECOND;
    }

    /// People change just before searches, during them and between their pages.
    fn direct(&mut self) {
        let (person, to) = (self.other(), self.other());
        let name = self.random.usize(..NAMES.len());
        for _ in 0..self.random.usize(1..4) {
            let change = match self.random.u32(..9) {
                0..3 => Step::Rename { person, name },
                3 => Step::Pass { from: person, to },
                4 => Step::Mail { person, name },
                5 => Step::Delete { person },
                6 => Step::Create { person, name },
                7 => Step::Member {
                    person,
                    group: 0,
                    is: self.random.bool(),
                },
                _ => Step::Active {
                    person,
                    active: self.random.bool(),
                },
            };
            let after = self.meanwhile();
            self.add(after, change);
            let (connection, after) = (self.connection(), after + self.meanwhile());
            self.bind(after, connection, Name::User(person), Secret::Right);
            let what = [What::All, What::Name(name), What::Pages, What::Sorted][self.random.usize(..4)];
            self.look(after, what);
            self.add(
                after + SECOND,
                Step::Search {
                    connection,
                    provider: PROVIDER,
                    what,
                },
            );
        }
        if self.random.u32(..4) == 0 {
            let kinds = [
                Fault::Failed,
                Fault::Cut,
                Fault::Stalled,
                Fault::Slow,
                Fault::Missing,
            ];
            let fault = Step::Fault {
                kind: kinds[self.random.usize(..kinds.len())],
                permille: [1000, 300][self.random.usize(..2)],
                lasts: [200, 2_000][self.random.usize(..2)] * MILLISECOND,
            };
            let after = self.meanwhile();
            self.add(after, fault);
        }
        self.at += self.random.u64(..8) * SECOND;
        self.look(0, What::All);
        self.add(0, Step::Abandon { connection: ADMIN });
        self.look(SECOND, What::All);
    }
}
