//! What may happen, given what authentik held and granted. `SECURITY.md`, "When access ends", has the times.

use std::collections::BTreeSet;

use crate::authentik::longest_call;
use crate::court::Request;
use crate::plan::{Direct, SECRETS};
use crate::time::{SECOND, Time};
use crate::world::{Granted, Person, Provider, Row, World};

pub const SUCCESS: i32 = 0;
const OPERATIONS_ERROR: i32 = 1;
const INVALID_CREDENTIALS: i32 = 49;
const INSUFFICIENT_ACCESS: i32 = 50;
/// What a bind that cannot be judged now is answered, and what a test refuses with on purpose.
pub const BUSY: i32 = 51;
const UNAVAILABLE: i32 = 52;
const OTHER: i32 = 80;
/// A change is news to the server for this long.
pub const NEWS: Time = 700 * SECOND;

/// From an announcement that reached the server to the end of the login.
const HEARD: Time = 3 * SECOND;
/// Between two looks at what changed.
const BETWEEN_LOOKS: Time = 30 * SECOND;
/// How old a look may be for a search that asks for what changed.
const FRESH: Time = 5 * SECOND;
/// From a new stream of events to the question about every login.
const REOPENED: Time = 30 * SECOND;
/// From a change that only a question shows to that question, and its answer.
const ASKED: Time = 325 * SECOND;
/// From a change of the configuration to when it is read.
const CONFIGURED: Time = 325 * SECOND;
/// How long it takes after trouble until looks go on as before.
pub const LOOKS_AGAIN: Time = 20 * SECOND;
/// The same of questions: they are put off for up to a minute, and twice that when something fails again.
const ASKS_AGAIN: Time = 130 * SECOND;
/// From the announcement of a save to the questions about the logins of a provider that moved, and their answers.
const REREAD: Time = 30 * SECOND;
/// From a change of a password to the end of what the former one proved, while users cannot be read; with a proof of every half
/// second.
const UNREAD: Time = 350 * SECOND;
/// How late a date may be acted upon.
const DATE: Time = 2 * SECOND;
/// How long a bind is cached at most (`BIND_CACHE_MAX_AGE`), and the sweep after that.
const KEPT: Time = 3603 * SECOND;
/// An answer for which nobody has to be asked.
const AT_ONCE: Time = SECOND;
/// The longest that an answer takes when authentik gives none: a bind waits for its turn, for the flow, for what its user may do and
/// for the user's row; a search that has to be answered by authentik waits for a minute.
const PATIENCE: Time = 70 * SECOND;
/// Calls that a look makes one after the other, as a rule.
const LOOK_CALLS: u64 = 12;
/// Calls that a bind makes one after the other at most, and logins that run at the same time (`MAX_CONCURRENT_FLOWS`).
const CALLS: u64 = 14;
const FLOWS: u64 = 8;

/// From a change to the directory that shows it: half a minute between looks, and what two looks take.
pub fn look(world: &World) -> Time {
    BETWEEN_LOOKS + two_looks(world)
}

/// A change may have come just after a look began to read.
fn two_looks(world: &World) -> Time {
    let (way, longest) = (2 * world.setting.way, longest_call(&world.setting));
    // Where some calls are held up, not all of them are.
    SECOND / 2 + 2 * LOOK_CALLS * (way + (longest - way) / 4)
}

/// A request or a connection that rests on a login.
#[derive(Clone, Copy)]
pub struct Use<'a> {
    pub granted: &'a Granted,
    pub provider: usize,
    pub at: Time,
}

impl Use<'_> {
    /// Why an open connection, or a bind answered without authentik, should have ended by now.
    pub fn overdue(&self, world: &World) -> Option<String> {
        let (granted, at) = (self.granted, self.at);
        let person = &world.people[granted.person];
        if let Some(heard) = granted.heard
            && at > heard + HEARD
        {
            return Some(format!("the end of its session was heard at {}", seconds(heard)));
        }
        if let Some(ended) = granted.ended
            && world.calm_but_for_users(ended, at, ASKS_AGAIN) > ASKED
        {
            return Some(format!(
                "its session ended at {}, and nobody heard of it",
                seconds(ended)
            ));
        }
        if let Some(ended) = granted.ended
            && let Some(opened) = world.opened_since(ended)
            && world.calm_but_for_users(opened.max(granted.at), at, ASKS_AGAIN) > REOPENED
        {
            let (ended, opened) = (seconds(ended), seconds(opened));
            return Some(format!(
                "its session ended at {ended}, unheard before the stream was opened again at {opened}"
            ));
        }
        if let Some(expires) = granted.expires
            && at > expires + DATE
        {
            return Some(format!("its session expired at {}", seconds(expires)));
        }
        let here = |row: &Option<Row>| row.as_ref().is_some_and(|row| row.active);
        if let Some(since) = person.row.since(at, |row| !here(row))
            && world.calm(since, at, LOOKS_AGAIN) > look(world)
        {
            return Some(format!("the person is gone or inactive since {}", seconds(since)));
        }
        self.barred(world).or_else(|| self.permitted_otherwise(world))
    }

    /// Why a login that was granted with a permission, or without it, should have ended: it is the other way round now.
    fn permitted_otherwise(&self, world: &World) -> Option<String> {
        let (granted, provider, at) = (self.granted, self.provider, self.at);
        let mut passed = granted.passed.iter().filter(|(_, passed, _)| *passed == provider);
        let (.., had) = passed.next()?;
        let permission = &world.people[granted.person].permission[provider];
        let since = permission.since(at, |may| may != had)?;
        let long = world.calm_but_for_users(since.max(granted.at), at, ASKS_AGAIN) > ASKED;
        let what = if *had { "taken" } else { "given" };
        long.then(|| format!("the permission was {what} at {}", seconds(since)))
    }

    /// Why the provider should let nobody in by this login any more.
    fn barred(&self, world: &World) -> Option<String> {
        let at = self.at;
        let person = &world.people[self.granted.person];
        let provider = &world.providers[self.provider];
        if let Some(since) = provider.served.since(at, |served| !served)
            && is_read(world, since, at)
        {
            return Some(format!("the provider left at {}", seconds(since)));
        }
        let application = *provider.application.during(at, at).last()?;
        let there = provider.application.since(at, |other| *other == application)?;
        let barred = person.access[application].since(at, |access| !access)?;
        let since = barred.max(there);
        // The save that told of the move, of somebody whom the other application barred by then. Where it was heard late, the
        // configuration may have been read before.
        let saved = world.saves_heard.iter().find(|heard| **heard >= there);
        // Only who has read of the application before knows that the provider moved.
        let read = world.providers_read.iter().rev().find(|read| **read < there);
        let moved = read.and_then(|read| provider.application.during(*read, *read).last());
        if barred <= there
            && there > 0
            && moved.is_some_and(|before| *before != application)
            && let Some(heard) = saved
            && *heard < there + REREAD
            && world.calm_but_for_users(self.granted.at.max(*heard), at, ASKS_AGAIN) > REREAD
        {
            let (heard, since) = (seconds(*heard), seconds(since));
            return Some(format!(
                "the provider moved to where the person is barred since {since}, heard at {heard}"
            ));
        }
        // Under the former application they may have had access until the configuration was read again; that asks at once.
        let most = if there > barred {
            CONFIGURED + REREAD
        } else {
            ASKED
        };
        let long = world.calm_but_for_users(since, at, ASKS_AGAIN) > most;
        long.then(|| format!("the application bars the person since {}", seconds(since)))
    }

    /// Why everything should not be shown any more to whom it was shown.
    pub fn blinkered(&self, world: &World) -> Option<String> {
        let permission = &world.people[self.granted.person].permission[self.provider];
        let since = permission.since(self.at, |may| !may)?;
        let long = world.calm_but_for_users(since, self.at, ASKS_AGAIN) > ASKED;
        long.then(|| format!("the permission was taken at {}", seconds(since)))
    }

    /// Why an equal bind should not be answered without authentik any more.
    pub fn stale(&self, world: &World, client: &str) -> Option<String> {
        let (granted, at) = (self.granted, self.at);
        if at > granted.at + KEPT {
            return Some("it is too old".to_owned());
        }
        let person = &world.people[granted.person];
        let password = granted.secret.split(';').next().unwrap_or_default();
        // Without a date only a proof shows it.
        let shows = if world.setting.undated {
            UNREAD
        } else {
            look(world)
        };
        if let Some(since) = person.password.since(at, |secret| SECRETS[*secret] != password)
            && world.calm(since, at, LOOKS_AGAIN) > shows
        {
            return Some(format!("the password changed at {}", seconds(since)));
        }
        if let Some(since) = person.password.since(at, |secret| SECRETS[*secret] != password)
            && world.calm_but_for_users(since, at, ASKS_AGAIN) > UNREAD
        {
            return Some(format!(
                "the password changed at {}, with users unread",
                seconds(since)
            ));
        }
        let called = |row: &Option<Row>| {
            let row = row.as_ref();
            row.is_some_and(|row| row.name == granted.name || row.mail == granted.name)
        };
        if let Some(since) = person.row.since(at, |row| !called(row))
            && world.calm(since, at, LOOKS_AGAIN) > look(world)
        {
            return Some(format!("the name went at {}", seconds(since)));
        }
        // Somebody else whom authentik would take for the one meant by now.
        let other = world
            .identify(&granted.name)
            .filter(|other| *other != granted.person);
        if let Some(other) = other
            && let Some(since) = world.people[other].row.since(at, called)
            && since > granted.identified
            // Who had it shortly before may have been in the directory with it all the time.
            && !world.had_shortly_before(other, since, called)
            && world.calm(since, at, LOOKS_AGAIN) > look(world)
        {
            return Some(format!("somebody else got the name at {}", seconds(since)));
        }
        self.foreign(client)
    }

    /// Why it should count for its own client only.
    pub fn foreign(&self, client: &str) -> Option<String> {
        let granted = self.granted;
        (granted.code && granted.client != client)
            .then(|| format!("its code was given by {}", granted.client))
    }
}

/// Whether a search that was sent at a moment may not show a user as they were until another.
pub fn is_late(world: &World, provider: usize, ended: Time, sent: Time) -> bool {
    let direct = match provider {
        0 => world.setting.direct,
        _ => Direct::No,
    };
    ended < sent
        && match direct {
            Direct::Live => true,
            Direct::Fresh => world.calm(ended, sent, LOOKS_AGAIN) > FRESH + two_looks(world),
            Direct::No => world.calm(ended, sent, LOOKS_AGAIN) > look(world),
        }
}

/// Whether each bind has to be judged by authentik by now: the provider's mode is direct, and that must have been noticed.
pub fn judges_each(world: &World, provider: usize, at: Time) -> bool {
    let since = world.providers[provider].cached.since(at, |cached| !cached);
    since.is_some_and(|since| since == 0 || is_read(world, since, at))
}

/// Whether a change of the configuration must have been read, and acted upon, by a moment.
fn is_read(world: &World, since: Time, at: Time) -> bool {
    let mut saved = world.saves_heard.iter();
    let heard = saved.find(|heard| **heard >= since && **heard < since + REREAD);
    heard.is_some_and(|heard| world.calm_but_for_users(*heard, at, ASKS_AGAIN) > REREAD)
        || world.calm_but_for_users(since, at, ASKS_AGAIN) > CONFIGURED
}

/// Whether a login was made from this secret. Whoever has no device is asked for no code: authentik is then sent what stands
/// before the code, and judges nothing else. So it is where a name passed from somebody with a device to somebody without one who
/// has the same password.
pub fn is_by(granted: &Granted, secret: &str) -> bool {
    let unasked = || {
        let password = secret.rsplit_once(';').map(|(password, _)| password);
        !granted.code && password == Some(&granted.secret)
    };
    granted.secret == secret || unasked()
}

/// A moment as it is written in a history.
pub fn seconds(time: Time) -> String {
    format!("{:.3} s", time as f64 / SECOND as f64)
}

/// The application of a provider where the server was there all through a span, nothing was amiss, and the providers were as they
/// are, long enough for nothing else to be known of them.
fn settled(world: &World, provider: usize, from: Time, to: Time) -> Option<usize> {
    let started = world
        .started
        .last()
        .is_some_and(|started| *started + 5 * SECOND < from);
    let own = &world.providers[provider];
    let is = started
        && *own.served.now()
        && world.is_calm(from, to, LOOKS_AGAIN)
        && world
            .providers
            .iter()
            .all(|other| is_steady(world, other, from, to));
    is.then(|| *own.application.now())
}

/// Whether nothing about a provider has changed in a span, and what had changed before must have been read.
fn is_steady(world: &World, provider: &Provider, from: Time, to: Time) -> bool {
    let served = provider.served.changes(0, to);
    let applications = provider.application.changes(0, to);
    let modes = provider.cached.changes(0, to);
    let last = served.chain(applications).chain(modes).max();
    last.is_none_or(|since| since < from && is_read(world, since, from))
}

/// Whether whoever stands on a login had to be answered throughout a span: nothing has happened to it, nor anything else that
/// an answer could be refused for.
pub fn must_answer(world: &World, granted: &Granted, provider: usize, from: Time, to: Time) -> bool {
    let Some(application) = settled(world, provider, from, to) else {
        return false;
    };
    let person = &world.people[granted.person];
    let mut rows = person
        .row
        .during(from.saturating_sub(look(world) + LOOKS_AGAIN), to);
    // Whoever was created a moment ago may have to be fetched first.
    let created = person.row.spans().next().map_or(from, |(began, ..)| began);
    let own = &world.providers[provider];
    // Under a former application they may have been barred.
    let mut applications = own.application.during(granted.at, to);
    (created == 0 || world.calm(created, from, LOOKS_AGAIN) > look(world))
        && rows.all(|row| row.as_ref().is_some_and(|row| row.active))
        && applications.all(|other| person.access[*other].during(granted.at, to).all(|access| *access))
        && person.access[application]
            .during(granted.at, to)
            .all(|access| *access)
        && own.served.during(granted.at, to).all(|served| *served)
        && !person.permission[provider].changed_since(granted.at)
        && granted.ended.is_none()
        && granted.expires.is_none_or(|expires| to + DATE < expires)
}

/// A name and a secret, and where they are used.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    pub name: &'a str,
    pub secret: &'a str,
    pub provider: usize,
    /// Its code, if it has one, was given by nobody else and never before.
    pub new_code: bool,
}

/// What authentik may have made of an attempt at the moments of a span.
#[derive(Debug, Default)]
struct Verdicts {
    right: bool,
    wrong: bool,
    let_in: bool,
    barred: bool,
    /// Nothing that matters changed.
    steady: bool,
}

impl Verdicts {
    fn new(world: &World, attempt: Attempt<'_>, from: Time, to: Time) -> Self {
        let mut moments = vec![from];
        for person in &world.people {
            moments.extend(person.row.changes(from, to));
            moments.extend(person.password.changes(from, to));
        }
        let mut verdicts = Self {
            steady: true,
            ..Self::default()
        };
        let mut meant = BTreeSet::new();
        for moment in moments {
            let Some(person) = world.identified_at(attempt.name, moment) else {
                verdicts.wrong = true;
                meant.insert(None);
                continue;
            };
            meant.insert(Some(person));
            let (right, wrong) = world.people[person].judges(attempt, moment);
            verdicts.right |= right;
            verdicts.wrong |= wrong;
        }
        verdicts.steady = meant.len() == 1;
        for person in meant.into_iter().flatten() {
            verdicts.consider(world, person, attempt.provider, (from, to));
        }
        verdicts
    }

    /// Takes in what happened to somebody who was meant.
    fn consider(&mut self, world: &World, person: usize, provider: usize, (from, to): (Time, Time)) {
        let known = &world.people[person];
        let here = |row: &Option<Row>| row.as_ref().is_some_and(|row| row.active);
        // Whoever is identified may be gone before they are logged in.
        self.wrong |= known.row.during(from, to).any(|row| !here(row));
        // Where it is not known that the provider has moved, the former application is asked about.
        let own = &world.providers[provider];
        let since = match is_steady(world, own, from, to) {
            true => from,
            false => from.saturating_sub(NEWS),
        };
        let applications: BTreeSet<usize> = own.application.during(since, to).copied().collect();
        let access = || {
            applications
                .iter()
                .flat_map(|application| known.access[*application].during(from, to))
        };
        self.let_in |= access().any(|access| *access);
        self.barred |= access().any(|access| !access);
        let ended = world.granted.iter().any(|granted| {
            granted.person == person && granted.ended.is_some_and(|ended| from <= ended && ended <= to)
        });
        self.steady &= !ended
            && known.row.during(from, to).count() == 1
            && known.password.during(from, to).count() == 1
            && known.permission[provider].during(from, to).count() == 1
            && access().count() == applications.len();
    }
}

impl Person {
    /// Whether somebody's secret at a moment may be the one of an attempt, and whether it may be another.
    fn judges(&self, attempt: Attempt<'_>, moment: Time) -> (bool, bool) {
        let active = self
            .row
            .at(moment)
            .and_then(Option::as_ref)
            .is_some_and(|row| row.active);
        let (password, code) = match attempt.secret.split_once(';') {
            Some((password, code)) => (password, Some(code)),
            None => (attempt.secret, None),
        };
        let right = self
            .password
            .at(moment)
            .is_some_and(|secret| SECRETS[*secret] == password);
        match (&self.device, code) {
            _ if !active || !right => (false, true),
            // Whoever has no device is asked for no code.
            (None, _) => (true, false),
            (Some(_), None) => (false, true),
            (Some(device), Some(code)) if device.given.iter().any(|given| given == code) => {
                (true, !attempt.new_code)
            }
            (Some(_), Some(_)) => (false, true),
        }
    }
}

/// Why a bind may not have been refused with a code, between two moments, the first of which is well before the request.
/// `limited`: there were so many wrong secrets that no more are judged.
pub fn wrongly_refused(
    world: &World,
    attempt: Attempt<'_>,
    (from, to): (Time, Time),
    code: i32,
    limited: bool,
) -> Option<String> {
    let own = &world.providers[attempt.provider];
    // What is said about a provider that is not served, or was not a while ago, is nobody's secret.
    if !own
        .served
        .during(from.saturating_sub(NEWS), to)
        .all(|served| *served)
    {
        return None;
    }
    let verdicts = Verdicts::new(world, attempt, from, to);
    match code {
        INVALID_CREDENTIALS if !verdicts.wrong => {
            return Some(format!("refused with {code}, although it was right all the time"));
        }
        INSUFFICIENT_ACCESS if !verdicts.barred => {
            return Some(format!("refused with {code}, although nothing barred them"));
        }
        INVALID_CREDENTIALS | INSUFFICIENT_ACCESS | BUSY | UNAVAILABLE | OTHER | OPERATIONS_ERROR => {}
        _ => return Some(format!("refused with {code}, which no bind is")),
    }
    if settled(world, attempt.provider, from, to).is_none() || !verdicts.steady || (code == BUSY && limited) {
        return None;
    }
    let expected = match verdicts {
        Verdicts { right: false, .. } => INVALID_CREDENTIALS,
        Verdicts { wrong: true, .. } => return None,
        Verdicts { barred: true, .. } => INSUFFICIENT_ACCESS,
        _ => return Some(format!("refused with {code}, although it was right all the time")),
    };
    (code != expected)
        .then(|| format!("refused with {code} and not with {expected}, although nothing was amiss"))
}

/// Why the session of a login is needed by nobody, where nobody has been connected since a moment. `spelled`: equal names may have been
/// spelled in several ways, and be kept side by side.
pub fn unneeded(world: &World, login: usize, at: Time, spelled: bool) -> Option<String> {
    let granted = &world.granted[login];
    let began = granted.at.saturating_sub(SECOND);
    let started = world.started.last().is_some_and(|started| *started < began);
    let mut providers = world.providers.iter();
    if !started
        || granted.expires.is_some()
        || !world.is_calm(began, at, LOOKS_AGAIN)
        || !providers.all(|provider| is_steady(world, provider, began, at))
    {
        return None;
    }
    let Some((_, provider, _)) = granted.passed.first().copied() else {
        return Some("let nobody in".to_owned());
    };
    if !*world.providers[provider].cached.now() {
        return Some("is not kept for other binds".to_owned());
    }
    let used = Use {
        granted,
        provider,
        at,
    };
    let over = used.overdue(world).or_else(|| used.stale(world, &granted.client));
    over.or_else(|| {
        let equal = world.granted.iter().skip(login + 1).find(|other| {
            !spelled
                && other.ended.is_none()
                && (&other.name, &other.secret) == (&granted.name, &granted.secret)
                && other
                    .passed
                    .first()
                    .is_some_and(|(_, passed, _)| *passed == provider)
        });
        equal.map(|equal| format!("gave way to the one of {}", seconds(equal.at)))
    })
}

/// How long an answer may take that was due between two moments.
pub fn answered_within(world: &World, request: &Request, from: Time, to: Time) -> Time {
    let calm = world.is_calm(from, to, LOOKS_AGAIN)
        && world
            .started
            .last()
            .is_some_and(|started| *started + 5 * SECOND < from);
    let call = longest_call(&world.setting);
    match request {
        Request::Bind { .. } if calm => {
            let rounds = (world.setting.connections as u64).div_ceil(FLOWS);
            AT_ONCE + CALLS * call * rounds
        }
        Request::Search { provider: 0, .. } if world.setting.direct != Direct::No => match calm {
            true => AT_ONCE + 3 * SECOND + 2 * CALLS * call,
            false => PATIENCE,
        },
        Request::Bind { .. } => PATIENCE,
        Request::Search { .. }
        | Request::Compare { .. }
        | Request::Unfit(_)
        | Request::WhoAmI
        | Request::StartTls => AT_ONCE,
    }
}
