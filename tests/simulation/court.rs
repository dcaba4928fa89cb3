//! The judge: it is told what every client asks and is answered, and compares that with what authentik held and granted. The
//! first thing that must not happen ends the history.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::authentik::Authentik;
use crate::clients::address;
use crate::law::{
    Attempt, BUSY, LOOKS_AGAIN, NEWS, SUCCESS, Use, answered_within, is_by, is_late, judges_each, look,
    must_answer, seconds, unneeded, wrongly_refused,
};
use crate::plan::{Spelling, Unfit, What};
use crate::shown::{Equals, Shown};
use crate::time::{SECOND, Time, now};
use crate::world::{World, base, uid};

const COMPARE_FALSE: i32 = 5;
const COMPARE_TRUE: i32 = 6;
const NO_SUCH_OBJECT: i32 = 32;
/// A connection on which nothing is sent for this long is ended.
const IDLE: Time = 900 * SECOND;
/// A wrong secret is refused for this long without asking authentik.
const REFUSED_AGAIN: Time = 12 * SECOND;
/// How long a server takes for each answer that is slow on purpose.
const DAWDLED: Duration = Duration::from_secs(5);
/// How old is what is found on purpose.
const FOUND_FORMER: Duration = Duration::from_secs(12);
const PAGES_FORMER: Duration = Duration::from_secs(60);
/// So many wrong secrets are judged of somebody at an address (`FAILED_BIND_LIMIT`).
const WRONG_SECRETS: usize = 20;

#[derive(Clone, Debug)]
pub enum Request {
    Bind {
        name: String,
        provider: usize,
        secret: String,
        spelling: Spelling,
    },
    Search {
        provider: usize,
        what: What,
    },
    Compare {
        name: usize,
        provider: usize,
    },
    Unfit(Unfit),
    WhoAmI,
    StartTls,
}

/// A request that is under way.
#[derive(Debug)]
pub struct Asked {
    /// When its first page was asked for, and the one that is under way.
    pub begun: Time,
    pub sent: Time,
    pub request: Request,
    /// What a search found so far.
    pub found: Vec<Found>,
    /// By which bind its pages so far were shown, and how many entries they had.
    pub pages: Option<(Option<i32>, usize)>,
}

#[derive(Debug)]
pub struct Found {
    pub dn: String,
    pub attributes: Vec<(String, Vec<String>)>,
}

impl Found {
    pub fn values(&self, name: &str) -> &[String] {
        let attribute = self
            .attributes
            .iter()
            .find(|(attribute, _)| attribute.eq_ignore_ascii_case(name));
        attribute.map_or(&[], |(_, values)| values)
    }

    pub fn one(&self, name: &str) -> &str {
        self.values(name).first().map_or("", String::as_str)
    }
}

/// A connection as its client knows it.
#[derive(Default)]
struct Connection {
    client: String,
    asked: BTreeMap<i32, Asked>,
    abandoned: BTreeSet<i32>,
    /// The message id of the last bind that was answered, and by what it may have succeeded.
    bound: Option<Bound>,
    /// When the last bind with a name and a secret was answered.
    judged: Time,
    /// When something was last answered.
    answered: Time,
    /// When something was last sent or received.
    active: Time,
    /// The server said that it ends the connection.
    told: bool,
    /// TLS is in place.
    secure: bool,
    /// Nothing else was open when TLS was asked for.
    ready: bool,
}

struct Bound {
    id: i32,
    provider: usize,
    /// By their numbers.
    logins: Vec<usize>,
}

pub struct Court {
    authentik: Arc<Authentik>,
    /// Rules that a test has broken on purpose.
    broken: Option<Broken>,
    state: Mutex<CourtState>,
}

/// What a test tells the court that is not true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Whoever was renamed may not log in.
    NobodyIsRenamed,
    /// The server sends whoever is bound away, with a notice.
    SendsAway,
    /// The server hangs up without a word after its first answer.
    HangsUp,
    /// Every search is refused.
    RefusesSearches,
    /// Every compare is refused.
    RefusesCompares,
    /// StartTLS is refused.
    RefusesTls,
    /// A client that asks who it is is told that it is nobody.
    ForgetsWho,
    /// No group is found.
    LosesGroups,
    /// Nobody finds themselves.
    LosesOwn,
    /// A bind that authentik could not judge is answered as if the password were wrong.
    BlamesPasswords,
    /// A wrong password is answered as if authentik were away.
    BlamesAuthentik,
    /// A wrong password is answered as if the account were barred.
    BlamesAccounts,
    /// Nobody gets in with a code.
    RefusesCodes,
    /// Nobody finds anything once a provider was changed.
    RefusesChanged,
    /// Every bind that is not judged is answered alike.
    ConfusesUnfit,
    /// Each answer takes seconds.
    Dawdles,
    /// No connection is ended.
    KeepsOpen,
    /// Whoever was let in once is let in for ever.
    Remembers,
    /// Whoever logged in after trouble is sent away.
    EndsAfterTrouble,
    /// Whoever was logged in when trouble began is sent away.
    EndsInTrouble,
    /// No session is ended in authentik.
    KeepsSessions,
    /// A search finds what was there some seconds ago.
    FindsFormer,
    /// The pages of a search after the first one show what was there a minute ago.
    PagesFormer,
}

#[derive(Default)]
struct CourtState {
    connections: Vec<Connection>,
    faults: Vec<String>,
    trace: DefaultHasher,
    lines: Option<Vec<String>>,
    restarting: bool,
    /// A name was spelled in another way than ours.
    spelled: bool,
    /// How often a code was given by each client.
    codes_given: BTreeMap<(String, String), usize>,
    /// The secrets that each client was refused with.
    refused: BTreeMap<String, BTreeSet<String>>,
    shown: Shown,
    equals: Equals,
    pub answers: usize,
}

impl Court {
    pub fn new(authentik: &Arc<Authentik>, tell: bool, broken: Option<Broken>) -> Arc<Self> {
        Arc::new(Self {
            authentik: Arc::clone(authentik),
            broken,
            state: Mutex::new(CourtState {
                lines: tell.then(Vec::new),
                ..CourtState::default()
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, CourtState> {
        self.state.lock().expect("no panic under the lock")
    }

    /// Lets others go first, as many as the seed says.
    pub async fn let_others(&self) {
        self.authentik.let_others().await;
    }

    /// How long before it is known to have been asked a search is answered, where a rule is broken on purpose.
    pub fn former(&self, request: &Request, later_page: bool) -> Option<Duration> {
        match self.broken {
            Some(Broken::FindsFormer) if matches!(request, Request::Search { .. }) => Some(FOUND_FORMER),
            Some(Broken::PagesFormer) if later_page => Some(PAGES_FORMER),
            _ => None,
        }
    }

    /// Waits where a rule is broken on purpose by a server that is slow.
    pub async fn dawdle(&self) {
        if self.broken == Some(Broken::Dawdles) {
            tokio::time::sleep(DAWDLED).await;
        }
    }

    /// Writes something into the history.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let state = &mut *self.lock();
        state.note(line);
    }

    /// Something that must not happen.
    pub fn fault(&self, what: String) {
        let state = &mut *self.lock();
        state.fault(what);
    }

    pub fn faults(&self) -> Vec<String> {
        self.lock().faults.clone()
    }

    pub fn trace(&self) -> u64 {
        self.lock().trace.finish()
    }

    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.take().unwrap_or_default()
    }

    pub fn restarting(&self, is: bool) {
        let state = &mut *self.lock();
        state.restarting = is;
        // It may begin with an earlier directory.
        state.shown = Shown::default();
    }

    pub fn connected(&self, slot: usize) -> usize {
        let state = &mut *self.lock();
        let number = state.connections.len();
        state.connections.push(Connection {
            client: address(slot).to_string(),
            active: now(),
            ..Connection::default()
        });
        state.note(|| format!("connection {number} is made by {}", address(slot)));
        number
    }

    pub fn asked(&self, number: usize, id: i32, asked: Asked) {
        let state = &mut *self.lock();
        state.note(|| format!("connection {number} asks {id}: {:?}", asked.request));
        state.spelled |=
            matches!(&asked.request, Request::Bind { spelling, .. } if *spelling != Spelling::Plain);
        if let Request::Bind { secret, .. } = &asked.request
            && let Some((_, code)) = secret.split_once(';')
        {
            let given = (code.to_owned(), state.connections[number].client.clone());
            *state.codes_given.entry(given).or_default() += 1;
        }
        let connection = &mut state.connections[number];
        connection.active = now();
        if matches!(asked.request, Request::StartTls) {
            connection.ready = connection.asked.is_empty();
        }
        connection.asked.insert(id, asked);
    }

    /// The request that is to be abandoned: the last one that can be.
    pub fn abandoned(&self, number: usize) -> Option<i32> {
        let state = &mut *self.lock();
        let connection = &mut state.connections[number];
        let searches = connection.asked.iter().rev();
        let id = searches
            .filter(|(_, asked)| matches!(asked.request, Request::Search { .. }))
            .map(|(id, _)| *id)
            .next()?;
        connection.active = now();
        connection.abandoned.insert(id);
        state.note(|| format!("connection {number} abandons {id}"));
        Some(id)
    }

    pub fn found(&self, number: usize, id: i32, found: Found) {
        let outside = self.authentik.lock();
        let state = &mut *self.lock();
        state.note(|| {
            format!(
                "connection {number} is sent for {id}: {} {:?}",
                found.dn, found.attributes
            )
        });
        let connection = &mut state.connections[number];
        connection.active = now();
        let lost = match self.broken {
            Some(Broken::LosesGroups) => found.dn.contains(",ou=groups,"),
            Some(Broken::LosesOwn) => connection.bound.as_ref().is_some_and(|bound| {
                let mut logins = bound.logins.iter();
                logins.any(|login| uid(outside.world.granted[*login].person) == found.one("uid"))
            }),
            _ => false,
        };
        if lost {
            return;
        }
        match connection.asked.get_mut(&id) {
            Some(asked) => asked.found.push(found),
            None => state.fault(format!(
                "connection {number} got an entry for {id}, which was not asked or is answered"
            )),
        }
    }

    /// A page came to its end, and another will be asked for.
    pub fn page_ended(&self, number: usize, id: i32) -> Option<Asked> {
        let outside = self.authentik.lock();
        let state = &mut *self.lock();
        state.note(|| format!("connection {number}: the page of {id} ends"));
        let connection = &mut state.connections[number];
        connection.active = now();
        // Whatever was asked after it had to wait for it.
        connection.answered = now();
        let mut asked = connection.asked.remove(&id)?;
        if connection.abandoned.remove(&id) {
            return None;
        }
        let bound = connection.bound.as_ref().map(|bound| bound.id);
        let Request::Search { provider, what } = asked.request else {
            return None;
        };
        forget_others(&mut asked, bound);
        if let Some(fault) = search(
            &outside.world,
            connection,
            id,
            &asked,
            (provider, what),
            Progress::Page,
        ) {
            state.fault(format!("connection {number}, a page of {id}: {fault}"));
        }
        asked.pages = Some((bound, asked.found.len()));
        Some(asked)
    }

    pub fn answered(&self, number: usize, id: i32, code: i32, message: &str, value: &str) {
        let outside = self.authentik.lock();
        let world = &outside.world;
        let state = &mut *self.lock();
        state.answers += 1;
        // References for the log are random, and are the same again with the same seed.
        state.note(|| format!("connection {number} is answered {id}: {code} {message} {value}"));
        if id == 0 {
            // A notice that the connection ends.
            state.connections[number].told = true;
            return;
        }
        let connection = &mut state.connections[number];
        connection.active = now();
        connection.abandoned.remove(&id);
        let Some(mut asked) = connection.asked.remove(&id) else {
            state.fault(format!(
                "connection {number} got a second answer to {id}, or one to nothing"
            ));
            return;
        };
        let (code, value) = match self.broken {
            Some(broken) => broken.alter(world, &asked.request, (code, value)),
            None => (code, value),
        };
        let due = asked.sent.max(connection.answered);
        connection.answered = now();
        let late = now() - due > answered_within(world, &asked.request, due, now());
        let late = late.then(|| format!("answered {} after it was due", seconds(now() - due)));
        let fault = match &asked.request {
            Request::Bind {
                name,
                provider,
                secret,
                spelling,
            } => {
                let client = &connection.client;
                let given = |code: &str| {
                    let given = state.codes_given.iter().filter(|((given, _), _)| given == code);
                    given.map(|(_, times)| times).sum::<usize>()
                };
                let attempt = Attempt {
                    name,
                    secret,
                    provider: *provider,
                    new_code: secret.split_once(';').is_some_and(|(_, code)| given(code) == 1),
                };
                let judged = match code {
                    SUCCESS => bind_anywhere(world, client, asked.sent, attempt, *spelling, self.broken),
                    _ => {
                        let refused = state.refused.entry(client.clone()).or_default();
                        refused.insert(secret.clone());
                        let limited = refused.len() > WRONG_SECRETS;
                        refuse(world, asked.sent, attempt, *spelling, code, limited)
                            .map_or(Ok((*provider, Vec::new())), Err)
                    }
                };
                let (provider, logins, fault) = match judged {
                    Ok((provider, logins)) => (provider, logins, None),
                    Err(fault) => (*provider, Vec::new(), Some(fault)),
                };
                let begun = asked.sent.max(connection.judged);
                let plain = *spelling == Spelling::Plain;
                let twice =
                    (code == SUCCESS && fault.is_none() && plain && *world.providers[provider].cached.now())
                        .then(|| state.equals.note(world, (name, secret, provider), (begun, now())))
                        .flatten();
                connection.judged = now();
                connection.bound = (code == SUCCESS).then_some(Bound { id, provider, logins });
                fault.or(twice)
            }
            Request::Search { provider, what } => {
                let (provider, what) = (*provider, *what);
                let same = forget_others(&mut asked, connection.bound.as_ref().map(|bound| bound.id));
                // A client that binds in the middle may not continue its earlier pages.
                let refused = same
                    && code != SUCCESS
                    && must_be_answered(world, connection, (id, asked.sent), provider);
                let progress = match code {
                    SUCCESS if same => Progress::All,
                    SUCCESS => Progress::Page,
                    _ => Progress::Refused,
                };
                let fault = search(world, connection, id, &asked, (provider, what), progress);
                let fault = fault
                    .or_else(|| refused.then(|| format!("refused with {code}, although nothing was amiss")));
                fault.or_else(|| {
                    let whole = code == SUCCESS && what == What::All && sees_all(world, connection, provider);
                    state.shown.note(world, &asked, whole)
                })
            }
            Request::Compare { name, provider } => {
                compare(world, connection, id, asked.sent, (*name, *provider), code)
            }
            Request::WhoAmI => who_am_i(world, connection, (id, asked.sent), (code, value)),
            Request::Unfit(kind) => {
                connection.bound = None;
                let expected = answer_to(*kind);
                (code != expected).then(|| format!("answered with {code} and not with {expected}"))
            }
            Request::StartTls => {
                let secure = connection.secure;
                // What was known without TLS does not count under TLS.
                if code == SUCCESS {
                    connection.bound = None;
                    connection.secure = true;
                }
                match code {
                    SUCCESS if secure => Some("TLS begins within TLS".to_owned()),
                    SUCCESS => None,
                    _ => (!secure && connection.ready)
                        .then(|| format!("TLS was refused with {code}, although nothing else was open")),
                }
            }
        };
        if let Some(fault) = fault.or(late) {
            state.fault(format!(
                "connection {number}, {id} ({:?}), sent at {}: {fault}",
                asked.request,
                seconds(asked.sent)
            ));
        }
    }

    /// The server ended a connection.
    pub fn closed(&self, number: usize) {
        let outside = self.authentik.lock();
        let state = &mut *self.lock();
        state.note(|| format!("connection {number} is closed by the server"));
        let restarting = state.restarting;
        let connection = &mut state.connections[number];
        let open = std::mem::take(&mut connection.asked);
        if self.broken == Some(Broken::KeepsOpen) && !restarting {
            return;
        }
        let bound = connection.bound.take();
        if restarting {
            return;
        }
        let why = match &bound {
            _ if !connection.told => "without a notice",
            _ if now() >= connection.active + IDLE => return,
            // Nothing but that ends a connection on which nobody is bound.
            None => "although nobody was bound and it was not idle",
            Some(bound) => {
                let mut logins = bound.logins.iter();
                if logins.any(|login| may_end(&outside.world, *login, bound.provider)) {
                    return;
                }
                "although nothing ended the login it stood on"
            }
        };
        let unanswered: Vec<String> = open
            .iter()
            .filter(|(id, _)| !connection.abandoned.contains(id))
            .map(|(id, asked)| format!("{id} {:?}", asked.request))
            .collect();
        state.fault(format!(
            "connection {number} was closed {why} (unanswered: {unanswered:?})"
        ));
    }

    /// Whether a rule is broken on purpose by a server that now ends the connection.
    pub fn is_sent_away(&self, number: usize) -> bool {
        let outside = self.authentik.lock();
        let state = &mut *self.lock();
        let connection = &mut state.connections[number];
        match self.broken {
            Some(Broken::SendsAway) if connection.bound.is_some() => {
                connection.told = true;
                true
            }
            Some(broken @ (Broken::EndsAfterTrouble | Broken::EndsInTrouble)) => {
                let world = &outside.world;
                let mut trouble = world.trouble.iter().chain(&world.denied);
                let logins = connection.bound.iter().flat_map(|bound| &bound.logins);
                let last = logins.map(|login| world.granted[*login].at).max();
                connection.told |= last.is_some_and(|at| match broken {
                    Broken::EndsInTrouble => trouble.any(|(began, _)| *began > at),
                    _ => trouble.clone().count() > 0 && trouble.all(|(_, ended)| ended + SECOND < at),
                });
                connection.told
            }
            broken => broken == Some(Broken::HangsUp),
        }
    }

    /// A client left of its own accord.
    pub fn hung_up(&self, number: usize) {
        let state = &mut *self.lock();
        state.note(|| format!("connection {number} hangs up"));
        let connection = &mut state.connections[number];
        connection.asked.clear();
        connection.bound = None;
    }

    /// Nobody has been connected since a moment: no session is left that nobody needs.
    pub fn alone_since(&self, moment: Time) {
        let outside = self.authentik.lock();
        let world = &outside.world;
        if !world.setting.unbind {
            return;
        }
        let state = &mut *self.lock();
        for login in world.sessions.values().filter_map(|session| session.granted) {
            if let Some(reason) = unneeded(world, login, moment, state.spelled) {
                let granted = &world.granted[login];
                let (name, at) = (&granted.name, seconds(granted.at));
                state.fault(format!(
                    "the session of {name} of {at} is left, although nobody is connected and it {reason}"
                ));
            }
        }
    }

    /// Nothing is under way any more: everything asked must have been answered, and no code sent more often than given.
    pub fn at_rest(&self) {
        let outside = self.authentik.lock();
        let state = &mut *self.lock();
        let mut faults = Vec::new();
        for (number, connection) in state.connections.iter().enumerate() {
            for (id, asked) in &connection.asked {
                if !connection.abandoned.contains(id) {
                    faults.push(format!(
                        "connection {number} never got an answer to {id}: {:?}",
                        asked.request
                    ));
                }
            }
            if let Some(bound) = &connection.bound
                && let Err(fault) = standing(&outside.world, bound, now())
            {
                faults.push(format!("connection {number} is open, and {fault}"));
            }
        }
        for (code, sent) in &outside.world.codes_sent {
            let given = state.codes_given.get(code).copied().unwrap_or_default();
            if *sent > given {
                faults.push(format!(
                    "the code {} of {} was given {given} times and sent {sent} times",
                    code.0, code.1
                ));
            }
        }
        faults.into_iter().for_each(|fault| state.fault(fault));
    }
}

impl CourtState {
    fn note(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{:>12}  {}", seconds(now()), line());
        line.hash(&mut self.trace);
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    fn fault(&mut self, what: String) {
        self.note(|| format!("!! {what}"));
        self.faults.push(what);
    }
}

/// Leaves out the pages that were shown to whoever was bound before. Says whether there were none.
fn forget_others(asked: &mut Asked, bound: Option<i32>) -> bool {
    match asked.pages {
        Some((before, count)) if before != bound => {
            asked.found.drain(..count);
            asked.pages = Some((bound, 0));
            false
        }
        _ => true,
    }
}

impl Broken {
    /// What such a server answers instead.
    fn alter<'a>(self, world: &World, request: &Request, (code, value): (i32, &'a str)) -> (i32, &'a str) {
        let changed = || {
            let mut providers = world.providers.iter();
            providers
                .any(|provider| provider.served.spans().count() + provider.application.spans().count() > 2)
        };
        let code = match (self, request) {
            (Self::RefusesSearches, Request::Search { .. })
            | (Self::RefusesCompares, Request::Compare { .. })
            | (Self::RefusesTls, Request::StartTls)
            | (Self::ConfusesUnfit, Request::Unfit(_)) => BUSY,
            (Self::RefusesChanged, Request::Search { .. }) if changed() => BUSY,
            (Self::ForgetsWho, Request::WhoAmI) => return (code, ""),
            (Self::RefusesCodes, Request::Bind { secret, .. }) if secret.contains(';') => 49,
            (Self::BlamesPasswords, Request::Bind { .. }) if code == 52 => 49,
            (Self::BlamesAuthentik, Request::Bind { .. }) if code == 49 => 52,
            (Self::BlamesAccounts, Request::Bind { .. }) if code == 49 => 50,
            (
                Self::Remembers,
                Request::Bind {
                    name,
                    secret,
                    provider,
                    ..
                },
            ) => {
                let mut granted = world.granted.iter();
                let known = granted.any(|granted| {
                    granted.name == *name
                        && is_by(granted, secret)
                        && granted.passed.iter().any(|(_, passed, _)| passed == provider)
                });
                if known { SUCCESS } else { code }
            }
            _ => code,
        };
        (code, value)
    }
}

/// How a bind is answered that is not judged.
fn answer_to(kind: Unfit) -> i32 {
    match kind {
        Unfit::Anonymous => SUCCESS,
        Unfit::Version => 2,
        Unfit::Sasl => 7,
        Unfit::NoName | Unfit::OtherTree => 50,
        Unfit::NoSecret => 53,
    }
}

/// Why a bind may not have been refused so.
fn refuse(
    world: &World,
    sent: Time,
    attempt: Attempt<'_>,
    spelling: Spelling,
    code: i32,
    limited: bool,
) -> Option<String> {
    // A name in another spelling is that of the user whom the directory says.
    let known = match spelling {
        Spelling::Plain => REFUSED_AGAIN,
        _ => look(world) + LOOKS_AGAIN,
    };
    let taken = spelling.is_theirs() && (world.setting.alone || !spelling.is_bare());
    if !taken || sent <= known {
        return None;
    }
    wrongly_refused(world, attempt, (sent.saturating_sub(known), now()), code, limited)
}

/// Whom a bind may have succeeded at, and by which logins. A name that is no DN is taken for one of the only provider that is known.
fn bind_anywhere(
    world: &World,
    client: &str,
    sent: Time,
    attempt: Attempt<'_>,
    spelling: Spelling,
    broken: Option<Broken>,
) -> Result<(usize, Vec<usize>), String> {
    let judge = |provider: usize| {
        let attempt = Attempt { provider, ..attempt };
        bind(world, client, sent, attempt, spelling, broken).map(|logins| (provider, logins))
    };
    let judged = judge(attempt.provider);
    if judged.is_ok() || !spelling.is_bare() {
        return judged;
    }
    let since = sent.saturating_sub(NEWS);
    let was = |provider: usize, is: bool| {
        let mut served = world.providers[provider].served.during(since, now());
        served.any(|served| *served == is)
    };
    let all = 0..world.providers.len();
    let is_only = |provider: &usize| {
        was(*provider, true) && all.clone().all(|other| other == *provider || was(other, false))
    };
    let only = all.clone().filter(is_only);
    only.map(judge).find(Result::is_ok).unwrap_or(judged)
}

/// The logins that a bind may have succeeded by, or why it may not have been answered so.
fn bind(
    world: &World,
    client: &str,
    sent: Time,
    attempt: Attempt<'_>,
    spelling: Spelling,
    broken: Option<Broken>,
) -> Result<Vec<usize>, String> {
    let Attempt {
        name,
        secret,
        provider,
        ..
    } = attempt;
    if !spelling.is_theirs() {
        return Err("answered with success, which is nobody's name".to_owned());
    }
    let remembered = broken == Some(Broken::Remembers)
        && world.granted.iter().any(|granted| {
            let mut passed = granted.passed.iter();
            granted.name == name
                && is_by(granted, secret)
                && granted.at < sent
                && passed.any(|(_, passed, _)| *passed == provider)
        });
    let mut reasons = Vec::new();
    let mut logins = Vec::new();
    for (number, granted) in world.granted.iter().enumerate().rev() {
        if granted.name != name || !is_by(granted, secret) {
            continue;
        }
        if !granted.passed.iter().any(|(_, passed, _)| *passed == provider) {
            continue;
        }
        let fresh = granted.at >= sent;
        if fresh && remembered {
            continue;
        }
        if !fresh && judges_each(world, provider, sent) {
            continue;
        }
        let used = Use {
            granted,
            provider,
            at: sent,
        };
        let over = match fresh {
            true => used.foreign(client),
            false => used.overdue(world).or_else(|| used.stale(world, client)),
        };
        match over {
            None => logins.push(number),
            Some(reason) => reasons.push(format!("the login of {}: {reason}", seconds(granted.at))),
        }
    }
    if logins.is_empty() {
        reasons.truncate(3);
        return Err(format!(
            "answered with success, which authentik did not grant ({})",
            reasons.join("; ")
        ));
    }
    if broken == Some(Broken::NobodyIsRenamed)
        && logins.iter().any(|login| {
            let person = &world.people[world.granted[*login].person];
            person.row.spans().count() > 1
        })
    {
        return Err("somebody who was renamed was let in".to_owned());
    }
    Ok(logins)
}

/// Whether a connection may rest on any of the logins it was bound by.
fn standing(world: &World, bound: &Bound, at: Time) -> Result<(), String> {
    let mut reason = String::new();
    for login in &bound.logins {
        let (granted, provider) = (&world.granted[*login], bound.provider);
        match (Use {
            granted,
            provider,
            at,
        })
        .overdue(world)
        {
            None => return Ok(()),
            Some(overdue) => reason = overdue,
        }
    }
    if bound.logins.is_empty() {
        // What was wrong with the bind has been said.
        return Ok(());
    }
    Err(reason)
}

/// Whether anything has happened to the user of a login, or to its provider, that could end it. A connection goes on when its user
/// is renamed or has another e-mail address or password, and whatever happens at another provider.
fn may_end(world: &World, login: usize, provider: usize) -> bool {
    let granted = &world.granted[login];
    let person = &world.people[granted.person];
    // What was changed before may have come to the server's knowledge since.
    let since = granted.at.saturating_sub(NEWS);
    let served = &world.providers[provider];
    let mut rows = person.row.during(since, now());
    let mut applications = served.application.during(since, now());
    granted.ended.is_some()
        || granted.expires.is_some_and(|expires| now() + SECOND >= expires)
        || rows.any(|row| row.as_ref().is_none_or(|row| !row.active))
        || applications.any(|application| person.access[*application].changed_since(since))
        || person.permission[provider].changed_since(since)
        || served.served.changed_since(since)
        || served.application.changed_since(since)
}

/// How far the answer to a search is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Another page follows, or the first ones were shown to somebody else.
    Page,
    All,
    Refused,
}

fn search(
    world: &World,
    connection: &Connection,
    id: i32,
    asked: &Asked,
    (provider, what): (usize, What),
    progress: Progress,
) -> Option<String> {
    let bound = connection
        .bound
        .as_ref()
        .filter(|bound| bound.id < id && bound.provider == provider);
    let Some(bound) = bound else {
        let shown = asked.found.first()?;
        return Some(format!(
            "{} was shown to somebody who may see nothing there",
            shown.dn
        ));
    };
    if progress != Progress::Refused
        && let Err(reason) = standing(world, bound, asked.sent)
    {
        return Some(format!(
            "answered to a connection that should have ended: {reason}"
        ));
    }
    let (at, sent, begun) = (now(), asked.sent, asked.begun);
    let judged = asked.pages.map_or(0, |(_, count)| count);
    let candidates: Vec<usize> = bound.logins.clone();
    let mut blinkered = String::from("it never had the permission");
    let full = candidates.iter().any(|login| {
        let granted = &world.granted[*login];
        let had = granted
            .passed
            .iter()
            .any(|(_, passed, search)| *passed == provider && *search);
        match (Use {
            granted,
            provider,
            at: sent,
        })
        .blinkered(world)
        {
            None => had,
            Some(reason) => {
                blinkered = reason;
                false
            }
        }
    });
    // Where it may have stood on several logins, or the permission has changed since, less may be shown than everything.
    let whole = full
        && candidates.iter().all(|login| {
            let granted = &world.granted[*login];
            let mut passed = granted.passed.iter().filter(|(_, passed, _)| *passed == provider);
            let permission = &world.people[granted.person].permission[provider];
            passed.all(|(.., search)| *search) && !permission.changed_since(granted.at)
        });
    let own: BTreeSet<usize> = candidates
        .iter()
        .map(|login| world.granted[*login].person)
        .collect();
    let mut seen = BTreeSet::new();
    if what == What::Sorted
        && progress != Progress::Refused
        && let Some(fault) = unsorted(asked)
    {
        return Some(fault);
    }
    for (number, entry) in asked.found.iter().enumerate() {
        if !entry.dn.ends_with(base(provider)) {
            return Some(format!("{} is of another tree", entry.dn));
        }
        // What earlier pages showed was judged when they came.
        let is_new = number >= judged;
        if !entry.dn.contains(",ou=users,") {
            if is_new
                && entry.dn.contains(",ou=groups,")
                && let Some(fault) = group(world, entry, (!full).then_some(&own), whole, sent, at)
            {
                return Some(fault);
            }
            continue;
        }
        let Some(person) = (0..world.people.len()).find(|person| uid(*person) == entry.one("uid")) else {
            return Some(format!("{} never was", entry.dn));
        };
        if is_new && !full && !own.contains(&person) {
            return Some(format!("{} was shown to somebody else ({blinkered})", entry.dn));
        }
        let (name, mail) = (entry.one("cn"), entry.one("mail"));
        let rows = world.people[person].row.spans();
        let mut shown = rows.filter(|(began, _, row)| {
            *began <= at
                && row
                    .as_ref()
                    .is_some_and(|row| row.name == name && row.mail == mail)
        });
        let Some((_, ended, _)) = shown.next_back() else {
            return Some(format!("{} never was as it is shown", entry.dn));
        };
        if is_new && is_late(world, provider, ended, sent) {
            return Some(format!(
                "{} is shown as it was until {}",
                entry.dn,
                seconds(ended)
            ));
        }
        let steady = world.people[person]
            .row
            .during(begun.saturating_sub(look(world)), at)
            .count()
            == 1;
        if !seen.insert(person) && steady {
            return Some(format!("{} is there twice", entry.dn));
        }
    }
    if progress != Progress::All {
        return None;
    }
    // Groups stay throughout.
    let shows = |group: usize| {
        let mut groups = asked
            .found
            .iter()
            .filter(|entry| entry.dn.contains(",ou=groups,"));
        groups.any(|entry| entry.one("cn") == format!("group{group}"))
    };
    if whole
        && !matches!(what, What::Name(_))
        && let Some(group) = (0..world.groups.len()).find(|group| !shows(*group))
    {
        return Some(format!("group{group} is missing"));
    }
    match own.len() {
        _ if whole => missing(world, &seen, None, what, begun, at),
        // Whoever may not see everybody sees themselves.
        1 => missing(world, &seen, Some(&own), what, begun, at),
        _ => None,
    }
}

/// Two entries of the last page that are in an order other than the one asked for. Between pages the directory may change.
fn unsorted(asked: &Asked) -> Option<String> {
    let page = asked.found.iter().skip(asked.pages.map_or(0, |(_, count)| count));
    let named: Vec<&Found> = page.filter(|entry| !entry.values("cn").is_empty()).collect();
    let wrong = named
        .windows(2)
        .find(|pair| pair[0].one("cn") > pair[1].one("cn"))?;
    Some(format!("{} is sorted behind {}", wrong[1].dn, wrong[0].dn))
}

/// Whether a search of this connection must show everybody.
fn sees_all(world: &World, connection: &Connection, provider: usize) -> bool {
    let Some(bound) = connection
        .bound
        .as_ref()
        .filter(|bound| bound.provider == provider)
    else {
        return false;
    };
    !bound.logins.is_empty()
        && bound.logins.iter().all(|login| {
            let granted = &world.granted[*login];
            let mut passed = granted.passed.iter().filter(|(_, passed, _)| *passed == provider);
            let permission = &world.people[granted.person].permission[provider];
            passed.all(|(.., search)| *search) && !permission.changed_since(granted.at)
        })
}

/// Somebody, of some or of all, who was there all the time and is not among those found.
fn missing(
    world: &World,
    seen: &BTreeSet<usize>,
    some: Option<&BTreeSet<usize>>,
    what: What,
    sent: Time,
    at: Time,
) -> Option<String> {
    let people = world.people.iter().enumerate();
    for (person, known) in people.filter(|(person, _)| some.is_none_or(|some| some.contains(person))) {
        let wanted = match what {
            What::Name(name) => Some(crate::plan::NAMES[name]),
            What::All | What::Pages | What::Sorted => None,
        };
        let is = |row: &Option<crate::world::Row>| {
            let row = row.as_ref();
            row.is_some_and(|row| wanted.is_none_or(|wanted| row.name == wanted))
        };
        // Pages are a directory of several moments: whoever changed their name between them may be on none.
        let paged = matches!(what, What::Pages | What::Sorted);
        let rows = known.row.during(sent.saturating_sub(look(world)), at).flatten();
        let mut names = rows.map(|row| &row.name);
        let first = names.next();
        let renamed = paged && names.any(|name| Some(name) != first);
        let Some(since) = known.row.since(at, is) else {
            continue;
        };
        if !seen.contains(&person) && !renamed && world.calm(since, sent, LOOKS_AGAIN) > look(world) {
            let whose = if some.is_some() {
                "from what they find"
            } else {
                "here"
            };
            return Some(format!("{:?} is missing {whose}", known.row.now()));
        }
    }
    None
}

/// Compares a group with who was in it.
fn group(
    world: &World,
    entry: &Found,
    own: Option<&BTreeSet<usize>>,
    whole: bool,
    sent: Time,
    at: Time,
) -> Option<String> {
    let number: usize = entry.one("cn").strip_prefix("group")?.parse().ok()?;
    let members = world.groups.get(number)?;
    let names: BTreeSet<&str> = entry
        .values("member")
        .iter()
        .filter_map(|member| member.strip_prefix("cn=")?.split(',').next())
        .collect();
    let from = |ended: Time| ended >= sent || world.calm(ended, sent, LOOKS_AGAIN) <= look(world);
    for name in &names {
        let is = members.iter().any(|(person, is)| {
            let was = is
                .spans()
                .any(|(began, ended, is)| *is && began <= at && from(ended));
            let rows = world.people[*person].row.spans();
            let mut named = rows.filter(|(.., row)| row.as_ref().is_some_and(|row| row.name == *name));
            was && named.any(|(began, ended, _)| began <= at && from(ended))
                && own.is_none_or(|own| own.contains(person))
        });
        if !is {
            return Some(format!("{name} is shown in {}", entry.dn));
        }
    }
    if !whole {
        return None;
    }
    for (person, is) in members {
        let Some(since) = is.since(at, |is| *is) else {
            continue;
        };
        let Some(there) = world.people[*person].row.since(at, Option::is_some) else {
            continue;
        };
        let rows = world.people[*person].row.spans();
        let mut rows = rows.filter(|(began, ended, _)| *began <= at && from(*ended));
        let shown = rows.any(|(.., row)| row.as_ref().is_some_and(|row| names.contains(row.name.as_str())));
        if !shown && world.calm(since.max(there), sent, LOOKS_AGAIN) > look(world) {
            return Some(format!(
                "{:?} is missing in {}",
                world.people[*person].row.now(),
                entry.dn
            ));
        }
    }
    None
}

/// Whether a request of this connection about this provider must not be refused.
fn must_be_answered(
    world: &World,
    connection: &Connection,
    (id, sent): (i32, Time),
    provider: usize,
) -> bool {
    let bound = connection
        .bound
        .as_ref()
        .filter(|bound| bound.id < id && bound.provider == provider);
    let from = sent.saturating_sub(REFUSED_AGAIN);
    bound.is_some_and(|bound| {
        let mut logins = bound.logins.iter();
        !bound.logins.is_empty()
            && logins.all(|login| must_answer(world, &world.granted[*login], provider, from, now()))
    })
}

/// Why a compare may not have been refused, if its entry was there all the time for this connection to see.
fn refused_compare(
    world: &World,
    connection: &Connection,
    (id, sent): (i32, Time),
    (name, provider): (usize, usize),
    code: i32,
) -> Option<String> {
    if !must_be_answered(world, connection, (id, sent), provider) {
        return None;
    }
    if code != NO_SUCH_OBJECT {
        return Some(format!("refused with {code}, although nothing was amiss"));
    }
    let name = crate::plan::NAMES[name];
    let from = sent.saturating_sub(look(world) + LOOKS_AGAIN);
    let named = |row: &Option<crate::world::Row>| row.as_ref().is_some_and(|row| row.name == name);
    let people = world.people.iter().enumerate();
    let mut people = people.filter(|(_, person)| person.row.during(from, now()).any(named));
    let (Some((person, known)), None) = (people.next(), people.next()) else {
        return None;
    };
    let since = known.row.since(now(), named)?;
    let steady = known.row.during(from, now()).count() == 1;
    let bound = connection.bound.as_ref()?;
    let own = bound
        .logins
        .iter()
        .all(|login| world.granted[*login].person == person);
    let there = since == 0 || world.calm(since, sent, LOOKS_AGAIN) > look(world);
    (steady && there && (own || sees_all(world, connection, provider)))
        .then(|| format!("{name} is not there to be compared, who was there all the time"))
}

fn compare(
    world: &World,
    connection: &Connection,
    id: i32,
    sent: Time,
    (name, provider): (usize, usize),
    code: i32,
) -> Option<String> {
    if !matches!(code, COMPARE_TRUE | COMPARE_FALSE) {
        return refused_compare(world, connection, (id, sent), (name, provider), code);
    }
    let bound = connection
        .bound
        .as_ref()
        .filter(|bound| bound.id < id && bound.provider == provider);
    let Some(bound) = bound else {
        return Some("compared for somebody who may see nothing there".to_owned());
    };
    if let Err(reason) = standing(world, bound, sent) {
        return Some(format!(
            "compared for a connection that should have ended: {reason}"
        ));
    }
    let (name, mail) = (
        crate::plan::NAMES[name],
        format!("{}@example.org", crate::plan::NAMES[name]),
    );
    let mut rows = world.people.iter().flat_map(|person| person.row.spans());
    let was = rows.any(|(began, ended, row)| {
        let is = row
            .as_ref()
            .is_some_and(|row| row.name == name && (row.mail == mail) == (code == COMPARE_TRUE));
        is && began <= now() && (ended >= sent || world.calm(ended, sent, LOOKS_AGAIN) <= look(world))
    });
    (!was).then(|| format!("{code}, which was not so"))
}

fn who_am_i(
    world: &World,
    connection: &Connection,
    (id, sent): (i32, Time),
    (code, value): (i32, &str),
) -> Option<String> {
    if code != SUCCESS {
        return Some(format!("refused with {code}"));
    }
    let bound = connection.bound.as_ref().filter(|bound| bound.id < id);
    let Some(bound) = bound else {
        return (!value.is_empty()).then(|| format!("{value} was said to a stranger"));
    };
    if let Err(reason) = standing(world, bound, sent) {
        return Some(format!(
            "answered to a connection that should have ended: {reason}"
        ));
    }
    if value.is_empty() {
        return Some("somebody who is bound was said to be nobody".to_owned());
    }
    let name = value.strip_prefix("dn:cn=")?.split(',').next()?;
    let own = bound.logins.iter().any(|login| {
        let granted = &world.granted[*login];
        let mut rows = world.people[granted.person].row.during(0, now()).flatten();
        granted.name == name || rows.any(|row| row.name == name)
    });
    (!own).then(|| format!("{value} is somebody else"))
}
