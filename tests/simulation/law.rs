//! What may be, by what authentik held and granted. `SECURITY.md`, "When access ends", has the times.

use crate::plan::SECRETS;
use crate::time::{SECOND, Time};
use crate::world::{Granted, Row, World};

/// From an announcement that reached the server to the end of the login.
const HEARD: Time = 3 * SECOND;
/// From a change to the directory that shows it: half a minute between looks, and what two looks take.
pub const LOOK: Time = 48 * SECOND;
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
/// How late a date may be acted upon.
const DATE: Time = 2 * SECOND;

/// A request or a connection that stands on a login.
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
            && world.calm(ended, at, ASKS_AGAIN) > ASKED
        {
            return Some(format!("its session ended at {}, unheard", seconds(ended)));
        }
        if let Some(ended) = granted.ended
            && let Some(opened) = world.opened_since(ended)
            && world.calm(opened.max(granted.at), at, ASKS_AGAIN) > REOPENED
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
        if let Some(since) = provider.served.since(at, |served| !served)
            && world.calm(since, at, ASKS_AGAIN) > CONFIGURED
        {
            return Some(format!("the provider left at {}", seconds(since)));
        }
        let application = *provider.application.during(at, at).last()?;
        let there = provider.application.since(at, |other| *other == application)?;
        let barred = person.access[application].since(at, |access| !access)?;
        let since = barred.max(there);
        // Under the former application they may have had access until the configuration was read again.
        let most = if there > barred { ASKED + CONFIGURED } else { ASKED };
        let long = world.calm(since, at, ASKS_AGAIN) > most;
        long.then(|| format!("the application bars the person since {}", seconds(since)))
    }

    /// Why everything should not be shown any more to whom it was shown.
    pub fn blinkered(&self, world: &World) -> Option<String> {
        let permission = &world.people[self.granted.person].permission[self.provider];
        let since = permission.since(self.at, |may| !may)?;
        let long = world.calm(since, self.at, ASKS_AGAIN) > ASKED;
        long.then(|| format!("the permission was taken at {}", seconds(since)))
    }

    /// Why an equal bind should not be answered without authentik any more.
    pub fn stale(&self, world: &World, client: &str) -> Option<String> {
        let (granted, at) = (self.granted, self.at);
        let person = &world.people[granted.person];
        let password = granted.secret.split(';').next().unwrap_or_default();
        if let Some(since) = person.password.since(at, |secret| SECRETS[*secret] != password)
            && world.calm(since, at, LOOKS_AGAIN) > LOOK
        {
            return Some(format!("the password changed at {}", seconds(since)));
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
            && world.calm(since, at, LOOKS_AGAIN) > LOOK
        {
            return Some(format!("somebody else got the name at {}", seconds(since)));
        }
        if granted.code && granted.client != client {
            return Some(format!("its code was given by {}", granted.client));
        }
        None
    }
}

/// A moment as it is written in a history.
pub fn seconds(time: Time) -> String {
    format!("{:.3} s", time as f64 / SECOND as f64)
}

/// Whether somebody with this name and secret had to be let in by any judgement between two moments, the first of which is
/// well before the request.
pub fn must_succeed(world: &World, name: &str, secret: &str, provider: usize, from: Time, to: Time) -> bool {
    let constant = world
        .providers
        .iter()
        .all(|provider| provider.served.spans().count() == 1 && provider.application.spans().count() == 1);
    let started = world
        .started
        .last()
        .is_some_and(|started| *started + 5 * SECOND < from);
    if !constant || !started || !world.is_calm(from, to, LOOKS_AGAIN) {
        return false;
    }
    let mut named = world.people.iter().filter(|person| {
        let mut rows = person.row.during(from, to).flatten();
        rows.any(|row| row.name == name || row.mail == name)
    });
    let (Some(person), None) = (named.next(), named.next()) else {
        return false;
    };
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
    row.active
        && person.device.is_none()
        && matches!(passwords.as_slice(), [right] if SECRETS[**right] == secret)
        && access.as_slice() == [&true]
        && !ended
}
