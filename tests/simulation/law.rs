//! What may happen, given what authentik held and granted. `SECURITY.md`, "When access ends", has the times.

use crate::plan::{Direct, SECRETS};
use crate::time::{SECOND, Time};
use crate::world::{Granted, Row, World};

/// From an announcement that reached the server to the end of the login.
const HEARD: Time = 3 * SECOND;
/// From a change to the directory that shows it: half a minute between looks, and what two looks take.
pub const LOOK: Time = 48 * SECOND;
/// The same before a search that asks for what changed: five seconds, and a reading that may be under way.
const FRESH: Time = 20 * SECOND;
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
            return Some(format!("its session ended at {}, unheard", seconds(ended)));
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
            && world.calm(since, at, LOOKS_AGAIN) > LOOK
        {
            return Some(format!("the person is gone or inactive since {}", seconds(since)));
        }
        self.barred(world)
    }

    /// Why the provider should let nobody in by this login any more.
    fn barred(&self, world: &World) -> Option<String> {
        let at = self.at;
        let person = &world.people[self.granted.person];
        let provider = &world.providers[self.provider];
        if let Some(since) = provider.served.since(at, |served| !served) {
            let mut saved = world.saves_heard.iter();
            let heard = saved.find(|heard| **heard >= since && **heard < since + REREAD);
            if let Some(heard) = heard
                && world.calm_but_for_users(*heard, at, ASKS_AGAIN) > REREAD
            {
                let (since, heard) = (seconds(since), seconds(*heard));
                return Some(format!("the provider left at {since}, heard at {heard}"));
            }
            if world.calm_but_for_users(since, at, ASKS_AGAIN) > CONFIGURED {
                return Some(format!("the provider left at {}", seconds(since)));
            }
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
        let person = &world.people[granted.person];
        let password = granted.secret.split(';').next().unwrap_or_default();
        // Without a date only a proof shows it.
        let shows = if world.setting.undated { UNREAD } else { LOOK };
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
            && world.calm(since, at, LOOKS_AGAIN) > LOOK
        {
            return Some(format!("the name went at {}", seconds(since)));
        }
        // Somebody else whom authentik would take for the one meant by now.
        let other = world
            .identify(&granted.name)
            .filter(|other| *other != granted.person);
        if let Some(other) = other
            && let Some(since) = world.people[other].row.since(at, called)
            && since > granted.at
            // Who had it shortly before may have been in the directory with it all the time.
            && !world.had_shortly_before(other, since, called)
            && world.calm(since, at, LOOKS_AGAIN) > LOOK
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
            Direct::Fresh => world.calm(ended, sent, LOOKS_AGAIN) > FRESH,
            Direct::No => world.calm(ended, sent, LOOKS_AGAIN) > LOOK,
        }
}

/// Whether each bind has to be judged by authentik by now: the provider's mode is direct, and that must have been noticed.
pub fn judges_each(world: &World, provider: usize, at: Time) -> bool {
    let Some(since) = world.providers[provider].cached.since(at, |cached| !cached) else {
        return false;
    };
    let mut saved = world.saves_heard.iter();
    let heard = saved.find(|heard| **heard >= since && **heard < since + REREAD);
    since == 0
        || heard.is_some_and(|heard| world.calm_but_for_users(*heard, at, ASKS_AGAIN) > REREAD)
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

/// Whether the server was there all through a span, its providers have always been the same, and nothing was amiss.
fn is_settled(world: &World, provider: usize, from: Time, to: Time) -> bool {
    let constant = world
        .providers
        .iter()
        .all(|provider| provider.served.spans().count() == 1 && provider.application.spans().count() == 1);
    let started = world
        .started
        .last()
        .is_some_and(|started| *started + 5 * SECOND < from);
    let served = *world.providers[provider].served.now();
    served && constant && started && world.is_calm(from, to, LOOKS_AGAIN)
}

/// Whether whoever stands on a login had to be answered throughout a span: nothing has happened to it, nor anything else that
/// an answer could be refused for.
pub fn must_answer(world: &World, granted: &Granted, provider: usize, from: Time, to: Time) -> bool {
    let person = &world.people[granted.person];
    let mut rows = person.row.during(from.saturating_sub(LOOK + LOOKS_AGAIN), to);
    // Whoever was created a moment ago may have to be fetched first.
    let created = person.row.spans().next().map_or(from, |(began, ..)| began);
    is_settled(world, provider, from, to)
        && (created == 0 || world.calm(created, from, LOOKS_AGAIN) > LOOK)
        && rows.all(|row| row.as_ref().is_some_and(|row| row.active))
        && !person.access[provider].changed_since(granted.at)
        && !person.permission[provider].changed_since(granted.at)
        && granted.ended.is_none()
        && granted.expires.is_none_or(|expires| to + DATE < expires)
}

/// Whether somebody with this name and secret had to be let in by any judgement between two moments, the first of which is
/// well before the request.
pub fn must_succeed(world: &World, name: &str, secret: &str, provider: usize, from: Time, to: Time) -> bool {
    if !is_settled(world, provider, from, to) {
        return false;
    }
    let mut named = world.people.iter().filter(|person| {
        let mut rows = person.row.during(from, to).flatten();
        rows.any(|row| row.name == name || row.mail == name)
    });
    let (Some(person), None) = (named.next(), named.next()) else {
        return false;
    };
    // Whoever was created in between was nobody before.
    let there = person.row.spans().next().is_some_and(|(began, ..)| began <= from);
    let rows: Vec<_> = person.row.during(from, to).collect();
    let passwords: Vec<_> = person.password.during(from, to).collect();
    let access: Vec<_> = person.access[provider].during(from, to).collect();
    let [Some(row)] = rows.as_slice() else {
        return false;
    };
    let key = world.people.iter().position(|other| std::ptr::eq(other, person));
    let ended = world.granted.iter().any(|granted| {
        Some(granted.person) == key && granted.ended.is_some_and(|ended| from <= ended && ended <= to)
    });
    there
        && row.active
        && person.device.is_none()
        && matches!(passwords.as_slice(), [right] if SECRETS[**right] == secret)
        && access.as_slice() == [&true]
        && !ended
}
