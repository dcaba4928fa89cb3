//! What a history mostly is about: most seeds have a focus, by which a part of the plain steps gives way to scenes, a few steps
//! each that belong together. So what is rare when everything is drawn evenly is frequent in some histories.

use crate::plan::{Announcing, Fault};
use crate::plan::{GROUPS, NAMES, Name, Plan, SECRETS, Secret, Setting, Step, Unfit, What};
use crate::shares::drawn;
use crate::time::{MILLISECOND, SECOND, Time};

/// What a history focuses on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// Everything alike.
    Plain,
    /// Names and e-mail addresses that pass from one to another.
    Names,
    /// One-time codes, used again, from elsewhere, and in steps that break.
    Codes,
    /// Sessions that end, heard or not, while somebody logs in.
    Ends,
    /// Users fetched for a login while the directory is refreshed.
    Fetches,
    /// People who go, and whom no group mentions.
    Gone,
    /// Binds and connections that are not used for long.
    Idle,
    /// Providers that are saved, moved and taken away.
    Providers,
    /// Access and permissions given and taken.
    Rights,
    /// Equal binds at once.
    Equals,
    /// Calls that fail, one in some.
    Failures,
    /// Binds that fail on connections that are bound.
    Refused,
    /// Passwords that change during a login.
    Passwords,
    /// Users that may not be read for some minutes.
    Unread,
    /// Servers that end and begin again with their file.
    Restarts,
}

/// How many of this many seeds have which focus.
const SHARES: [(Focus, usize); 15] = [
    (Focus::Plain, 4),
    (Focus::Names, 2),
    (Focus::Codes, 2),
    (Focus::Ends, 3),
    (Focus::Fetches, 4),
    (Focus::Gone, 1),
    (Focus::Idle, 1),
    (Focus::Providers, 2),
    (Focus::Rights, 1),
    (Focus::Equals, 1),
    (Focus::Failures, 1),
    (Focus::Refused, 1),
    (Focus::Passwords, 2),
    (Focus::Unread, 1),
    (Focus::Restarts, 1),
];

impl Focus {
    /// Drawn for itself, so that plain histories do not depend on it.
    pub fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0xf0c5);
        drawn(&SHARES, &mut random)
    }
}

/// One of this many plain steps stays.
const STAYS: u32 = 4;
/// The provider that scenes are about.
const PROVIDER: usize = 0;
/// How long a call may be held up where some are.
const HELD_UP: Time = 400 * MILLISECOND;
/// The connection of whoever sees everything.
const ADMIN: usize = 0;

/// Adapts a plan to its focus.
pub fn bend(plan: &mut Plan, focus: Focus) {
    let mut random = fastrand::Rng::with_seed(plan.seed ^ 0x005c_e7e5);
    // Nobody notices who is gone while something else goes wrong.
    plan.steps
        .retain(|_| focus != Focus::Gone && random.u32(..STAYS) == 0);
    let setting = &mut plan.setting;
    setting.cached[PROVIDER] |= random.u32(..8) > 0;
    setting.people = setting.people.clamp(3, 6);
    setting.connections = setting.connections.max(4);
    setting.session = 0;
    settle(focus, setting, &mut random);
    let mut scenes = Scenes {
        random,
        setting: plan.setting.clone(),
        steps: Steps {
            at: 2 * SECOND,
            all: Vec::new(),
        },
    };
    scenes.play(focus);
    plan.steps.append(&mut scenes.steps.all);
}

/// What holds throughout in a history with a focus.
fn settle(focus: Focus, setting: &mut Setting, random: &mut fastrand::Rng) {
    setting.devices = match focus {
        Focus::Codes => 1,
        Focus::Equals => random.usize(..2),
        _ => 0,
    };
    setting.file = focus == Focus::Restarts;
    match focus {
        Focus::Ends => {
            setting.unbind |= random.bool();
            setting.uneven = random.bool();
        }
        Focus::Fetches => {
            setting.uneven = true;
            setting.way = [5, 30][random.usize(..2)] * MILLISECOND;
        }
        Focus::Passwords | Focus::Restarts => setting.uneven = random.u32(..4) > 0,
        Focus::Idle => setting.rest = 150 * SECOND,
        Focus::Rights => setting.rest = 760 * SECOND,
        _ => {}
    }
}

struct Scenes {
    random: fastrand::Rng,
    setting: Setting,
    steps: Steps,
}

/// Steps so far, and the moment from which the next are counted.
struct Steps {
    at: Time,
    all: Vec<(Time, Step)>,
}

impl Steps {
    fn add(&mut self, after: Time, step: Step) {
        self.all.push((self.at + after, step));
    }
}

impl Scenes {
    fn play(&mut self, focus: Focus) {
        let count = match focus {
            Focus::Idle | Focus::Unread => 1,
            Focus::Gone => 2,
            Focus::Restarts => self.random.usize(2..4),
            _ => self.random.usize(4..9),
        };
        if matches!(focus, Focus::Fetches | Focus::Gone | Focus::Rights) {
            self.bind(ADMIN, 0, Secret::Right);
            self.steps.at += 3 * SECOND;
        }
        for _ in 0..count {
            self.scene(focus);
            self.steps.at += match self.random.u32(..10) {
                0..4 => self.random.u64(..80) * MILLISECOND,
                4..8 => self.random.u64(80..3_000) * MILLISECOND,
                _ => self.random.u64(3..40) * SECOND,
            };
        }
    }

    fn scene(&mut self, focus: Focus) {
        match focus {
            Focus::Plain => {}
            Focus::Names => self.names(),
            Focus::Codes => self.codes(),
            Focus::Ends => self.ends(),
            Focus::Fetches => self.fetches(),
            Focus::Gone => self.gone(),
            Focus::Idle => self.idle(),
            Focus::Providers => self.providers(),
            Focus::Rights => self.rights(),
            Focus::Equals => self.equals(),
            Focus::Failures => self.failures(),
            Focus::Refused => self.refused(),
            Focus::Passwords => self.passwords(),
            Focus::Unread => self.unread(),
            Focus::Restarts => self.restarts(),
        }
    }

    fn bind_as(&mut self, after: Time, connection: usize, name: Name, secret: Secret) {
        self.steps.add(
            after,
            Step::Bind {
                connection,
                name,
                provider: PROVIDER,
                secret,
            },
        );
    }

    fn bind(&mut self, connection: usize, name: usize, secret: Secret) {
        self.bind_as(0, connection, Name::User(name), secret);
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

    fn names(&mut self) {
        let (owner, connection) = (self.other(), self.connection());
        let by_mail = self.random.bool();
        let name = match by_mail {
            true => Name::Mail(owner),
            false => Name::User(owner),
        };
        self.bind_as(0, connection, name, Secret::Right);
        let after = match self.random.bool() {
            true => self.meanwhile(),
            false => self.random.u64(1..5) * SECOND,
        };
        let lower = self.random.usize(..owner);
        let change = match self.random.u32(..4) {
            0 if !by_mail => Step::Rename {
                person: owner,
                name: self.random.usize(..NAMES.len()),
            },
            _ if by_mail => Step::Mail {
                person: lower,
                name: owner,
            },
            _ => Step::Pass {
                from: owner,
                to: lower,
            },
        };
        self.steps.add(after, change);
        if self.random.bool() {
            let (connection, later) = (self.connection(), [1, 55][self.random.usize(..2)] * SECOND);
            self.bind_as(
                after + later,
                connection,
                name,
                Secret::Any(owner % SECRETS.len()),
            );
        }
    }

    fn codes(&mut self) {
        let (person, connection, another) = (self.person(), self.connection(), self.connection());
        if self.random.u32(..3) == 0 {
            use Fault::{Failed, Gateway, Lost};
            let kind = [Lost, Lost, Failed, Gateway][self.random.usize(..4)];
            let after = self.meanwhile();
            self.steps.add(
                after,
                Step::Fault {
                    kind,
                    permille: [1000, 300][self.random.usize(..2)],
                    lasts: [2, 20, 100][self.random.usize(..3)] * MILLISECOND,
                },
            );
        }
        match self.random.bool() {
            true => self.bind(connection, person, Secret::Right),
            false => self.steps.add(
                0,
                Step::Together {
                    first: connection,
                    count: 2,
                    name: person,
                    provider: PROVIDER,
                    secret: Secret::Right,
                },
            ),
        }
        let after = match self.random.bool() {
            true => self.meanwhile(),
            false => self.random.u64(1..5) * SECOND,
        };
        self.bind_as(after, another, Name::User(person), Secret::SpentCode);
    }

    fn ends(&mut self) {
        let (person, connection) = (self.person(), self.connection());
        self.bind(connection, person, Secret::Right);
        // When it is decided, or any time.
        let way = self.setting.way;
        let after = match self.random.bool() {
            true => self.random.u64(2 * way..=5 * way),
            false => self.meanwhile(),
        };
        let end = match self.random.u32(..8) {
            0..4 => Step::LogOut { person },
            4..6 => Step::LogOutUnheard { person },
            6 => Step::Active {
                person,
                active: false,
            },
            _ => Step::HangUp { connection },
        };
        self.steps.add(after, end);
        if self.random.u32(..3) == 0 {
            let after = self.meanwhile();
            self.steps.add(after, Step::CutStream);
        }
        self.steps.at += after;
    }

    /// Somebody is renamed, another gets their name, and both log in while the directory is read.
    fn fetches(&mut self) {
        let (person, to) = (self.other(), self.other());
        let free = self.random.usize(self.setting.people..NAMES.len());
        let way = self.setting.way;
        let look = match self.random.u32(..3) {
            0 => Step::Update,
            _ => Step::Refresh,
        };
        self.steps.add(0, look);
        // A call may be held up for this long while others go through.
        let after = self.random.u64(..=HELD_UP);
        let (change, called) = match self.random.u32(..6) {
            0..2 => (Step::Pass { from: person, to }, person),
            2..5 => (Step::Rename { person, name: free }, free),
            _ => (Step::Delete { person }, to),
        };
        self.steps.add(after, change);
        for number in 0..2 {
            let connection = self.connection();
            let name = if number == 0 {
                called
            } else {
                self.random.usize(..NAMES.len())
            };
            let moment = after + self.random.u64(..=way + MILLISECOND);
            self.bind_as(moment, connection, Name::User(name), Secret::Right);
        }
        if self.random.bool() {
            let moment = after + self.random.u64(..=HELD_UP);
            let name = self.random.usize(self.setting.people..NAMES.len());
            self.steps.add(moment, Step::Rename { person, name });
            let look = moment + self.random_way();
            self.steps.add(look, Step::Update);
        }
        for _ in 0..4 {
            let moment = after + self.random.u64(..=3 * HELD_UP);
            self.steps.add(
                moment,
                Step::Search {
                    connection: ADMIN,
                    provider: PROVIDER,
                    what: What::All,
                },
            );
        }
        if self.random.u32(..4) == 0 {
            self.steps.add(30 * way, Step::Create { person, name: person });
        }
    }

    /// When somebody goes who is in no group, no group changes: only the number of users tells.
    fn gone(&mut self) {
        let person = self.random.usize(2..self.setting.people);
        let connection = self.connection();
        self.bind(connection, person, Secret::Right);
        // Nor does any announcement.
        self.steps.add(SECOND, Step::Announce(Announcing::Lost));
        for group in 0..GROUPS {
            self.steps.add(
                0,
                Step::Member {
                    person,
                    group,
                    is: false,
                },
            );
        }
        self.steps.at += self.random.u64(34..40) * SECOND;
        self.steps.add(0, Step::Delete { person });
        if self.random.bool() {
            let after = self.random.u64(..20) * SECOND;
            self.steps.add(after, Step::Create { person, name: person });
        }
        self.steps.at += self.random.u64(49..55) * SECOND;
        self.steps.add(0, Step::WhoAmI { connection });
        self.steps.add(
            0,
            Step::Search {
                connection: ADMIN,
                provider: PROVIDER,
                what: What::All,
            },
        );
    }

    fn random_way(&mut self) -> Time {
        self.random.u64(..=self.setting.way)
    }

    /// What was bound once, and checked once, comes back when it should have ended.
    fn idle(&mut self) {
        let bound: Vec<(usize, usize)> = (1..self.setting.connections)
            .map(|connection| (connection, self.person()))
            .collect();
        for (connection, person) in &bound {
            self.bind(*connection, *person, Secret::Right);
            if self.random.u32(..3) > 0 {
                let after = self.random.u64(1..20) * SECOND;
                self.steps.add(
                    after,
                    Step::HangUp {
                        connection: *connection,
                    },
                );
            }
        }
        self.steps.add(SECOND, Step::Announce(Announcing::Lost));
        self.steps.at += self.random.u64(290..320) * SECOND;
        for (_, person) in &bound {
            let person = *person;
            let change = match self.random.bool() {
                true => Step::LogOut { person },
                false => Step::Access {
                    person,
                    provider: PROVIDER,
                    allowed: false,
                },
            };
            let after = self.random.u64(..20) * SECOND;
            self.steps.add(after, change);
        }
        self.steps.at += self.random.u64(350..380) * SECOND;
        for (connection, person) in bound {
            self.steps.add(0, Step::WhoAmI { connection });
            self.bind(connection, person, Secret::Right);
        }
    }

    /// A provider moves under an application that bars some, while they log in or after.
    fn providers(&mut self) {
        let (person, connection) = (self.person(), self.connection());
        self.steps.add(
            0,
            Step::Access {
                person,
                provider: 1,
                allowed: false,
            },
        );
        self.bind(connection, person, Secret::Right);
        let after = match self.random.u32(..3) {
            0 => self.random.u64(1..10) * SECOND,
            _ => self.meanwhile(),
        };
        self.steps.add(
            after,
            match self.random.u32(..8) {
                0 => Step::Serve {
                    provider: PROVIDER,
                    is: false,
                },
                1 => Step::Save,
                _ => Step::Move { provider: PROVIDER },
            },
        );
        self.steps.at += after + 36 * SECOND;
        self.steps.add(0, Step::WhoAmI { connection });
        self.bind(connection, person, Secret::Right);
        self.steps.add(
            SECOND,
            Step::Serve {
                provider: PROVIDER,
                is: true,
            },
        );
        if self.random.bool() {
            self.steps.add(SECOND, Step::Move { provider: PROVIDER });
        }
        self.steps.at += 3 * SECOND;
    }

    fn rights(&mut self) {
        let (person, connection, provider) = (self.person(), self.connection(), PROVIDER);
        self.bind(connection, person, Secret::Right);
        let after = match self.random.bool() {
            true => self.meanwhile(),
            false => self.random.u64(1..5) * SECOND,
        };
        let allowed = self.random.u32(..3) == 0;
        self.steps.add(
            after,
            match self.random.bool() {
                true => Step::Access {
                    person,
                    provider,
                    allowed,
                },
                false => Step::Permission {
                    person,
                    provider,
                    allowed: !allowed,
                },
            },
        );
        let what = [What::All, What::Sorted, What::Pages][self.random.usize(..3)];
        self.steps.add(
            after + SECOND,
            Step::Search {
                connection,
                provider,
                what,
            },
        );
    }

    fn equals(&mut self) {
        let (name, first) = (self.person(), self.connection());
        for _ in 0..self.random.usize(1..4) {
            let after = self.meanwhile();
            let count = self.random.usize(1..4);
            let secret = match self.random.u32(..4) {
                0 => Secret::Former,
                _ => Secret::Right,
            };
            self.steps.add(
                after,
                Step::Together {
                    first,
                    count,
                    name,
                    provider: PROVIDER,
                    secret,
                },
            );
        }
        if self.random.u32(..3) == 0 {
            let (after, connection) = (self.meanwhile(), self.connection());
            self.steps.add(after, Step::HangUp { connection });
        }
        if self.random.u32(..3) == 0 {
            let after = self.meanwhile();
            self.steps.add(after, Step::LogOut { person: name });
        }
    }

    fn failures(&mut self) {
        use Fault::{Cut, Down, Failed, Gateway, Lost, Nonsense, Slow, Stalled, Throttled};
        let kinds = [
            Down, Gateway, Failed, Lost, Stalled, Cut, Nonsense, Throttled, Slow,
        ];
        let (person, connection) = (self.person(), self.connection());
        self.bind(connection, person, Secret::Right);
        let after = self.meanwhile();
        let kind = kinds[self.random.usize(..kinds.len())];
        self.steps.add(
            after,
            Step::Fault {
                kind,
                permille: [1000, 300][self.random.usize(..2)],
                lasts: [20, 200, 2_000][self.random.usize(..3)] * MILLISECOND,
            },
        );
        let look = [
            Step::Update,
            Step::Refresh,
            Step::CutStream,
            Step::LogOut { person },
        ][self.random.usize(..4)];
        let after = self.meanwhile();
        self.steps.add(after, look);
    }

    fn refused(&mut self) {
        use Unfit::{Anonymous, NoName, NoSecret, OtherTree, Sasl, Version};
        let (person, connection) = (self.person(), self.connection());
        self.bind(connection, person, Secret::Right);
        let after = match self.random.bool() {
            true => self.meanwhile(),
            false => self.random.u64(1..3) * SECOND,
        };
        let kinds = [Anonymous, NoName, NoSecret, OtherTree, Sasl, Version];
        match self.random.bool() {
            true => {
                let kind = kinds[self.random.usize(..kinds.len())];
                self.steps.add(after, Step::Unfit { connection, kind });
            }
            false => {
                let secret = Secret::Any(self.random.usize(..SECRETS.len()));
                self.bind_as(after, connection, Name::User(person), secret);
            }
        }
        let later = after + self.meanwhile();
        self.steps.add(later, Step::WhoAmI { connection });
        self.steps.add(
            later,
            Step::Search {
                connection,
                provider: PROVIDER,
                what: What::Name(person),
            },
        );
    }

    fn passwords(&mut self) {
        let (person, connection) = (self.person(), self.connection());
        self.bind(connection, person, Secret::Right);
        let after = self.meanwhile();
        self.steps.add(
            after,
            Step::Password {
                person,
                secret: self.random.usize(..SECRETS.len()),
            },
        );
        let look = after + self.random_way();
        self.steps.add(look, Step::Update);
        if self.random.u32(..3) == 0 {
            let (another, later) = (self.connection(), [5, 55][self.random.usize(..2)] * SECOND);
            self.bind_as(later, another, Name::User(person), Secret::Former);
        }
    }

    /// Users cannot be read, and a password changes: what it proved is proved again.
    fn unread(&mut self) {
        let (person, connection) = (self.other(), self.connection());
        self.bind(connection, person, Secret::Right);
        self.steps.add(
            3 * SECOND,
            Step::Fault {
                kind: Fault::UsersDenied,
                permille: 1000,
                lasts: 800 * SECOND,
            },
        );
        self.steps.at += self.random.u64(4..100) * SECOND;
        self.steps.add(
            0,
            Step::Password {
                person,
                secret: (person + 1) % SECRETS.len(),
            },
        );
        for _ in 0..3 {
            let (connection, after) = (self.connection(), self.random.u64(340..400) * SECOND);
            self.bind_as(after, connection, Name::User(person), Secret::Former);
        }
        self.steps.at += 400 * SECOND;
    }

    fn restarts(&mut self) {
        let (person, connection) = (self.person(), self.connection());
        self.bind(connection, person, Secret::Right);
        let change = match self.random.u32(..4) {
            0 => Step::Rename {
                person,
                name: self.random.usize(..NAMES.len()),
            },
            1 => Step::Delete { person },
            2 => Step::Password {
                person,
                secret: self.random.usize(..SECRETS.len()),
            },
            _ => Step::Move { provider: PROVIDER },
        };
        let after = self.meanwhile();
        self.steps.add(after, change);
        let after = self.meanwhile();
        let keeps_file = self.random.u32(..4) > 0;
        self.steps.add(after, Step::Restart { keeps_file });
        let later = after + self.random_way();
        self.bind_as(later, connection, Name::User(person), Secret::Right);
        self.steps.add(
            later,
            Step::Search {
                connection,
                provider: PROVIDER,
                what: What::All,
            },
        );
    }
}
