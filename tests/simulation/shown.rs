//! What was shown and granted before: the directory never goes back to before what a client has seen of it, and equal binds
//! at once are one login. Knows nothing of connections.

use std::collections::{BTreeMap, BTreeSet};

use crate::court::Asked;
use crate::law::{LOOKS_AGAIN, seconds};
use crate::time::{SECOND, Time, now};
use crate::world::{World, uid};

/// Trouble so shortly before may have left somebody out who gave way to another.
const CALM: Time = 60 * SECOND;

/// The newest that was shown of everybody.
#[derive(Default)]
pub struct Shown {
    /// When, and since when they were as they were shown.
    people: BTreeMap<usize, (Time, Time)>,
}

impl Shown {
    /// Notes what a search has shown, and says what of it is older than what was shown before it was sent. The `whole` of the
    /// directory has everybody who was shown before and is there.
    pub fn note(&mut self, world: &World, asked: &Asked, whole: bool) -> Option<String> {
        let mut seen = BTreeSet::new();
        for entry in asked.found.iter().filter(|entry| entry.dn.contains(",ou=users,")) {
            let Some(person) = (0..world.people.len()).find(|person| uid(*person) == entry.one("uid")) else {
                continue;
            };
            seen.insert(person);
            let (name, mail) = (entry.one("cn"), entry.one("mail"));
            let spans = world.people[person].row.spans();
            let mut alike = spans.filter(|(began, _, row)| {
                let is = row
                    .as_ref()
                    .is_some_and(|row| row.name == name && row.mail == mail);
                *began <= now() && is
            });
            // Of those that look the same it may be any.
            let Some((first, ..)) = alike.next() else {
                continue;
            };
            let last = alike.next_back();
            let Some((began, ended)) = last.map(|(began, ended, _)| (began, ended)).or_else(|| {
                let spans = world.people[person].row.spans();
                spans
                    .filter(|(began, ..)| *began == first)
                    .map(|(began, ended, _)| (began, ended))
                    .next_back()
            }) else {
                continue;
            };
            let before = self.people.get(&person).copied();
            if let Some((shown, newer)) = before
                && shown < asked.begun
                && began < newer
                && ended <= newer
            {
                return Some(format!(
                    "{} is shown as it was until {}, although what came after was shown at {}",
                    entry.dn,
                    seconds(ended),
                    seconds(shown)
                ));
            }
            if before.is_none_or(|(_, newest)| first >= newest) {
                self.people.insert(person, (now(), first));
            }
        }
        if !whole {
            return None;
        }
        self.people.iter().find_map(|(person, (shown, _))| {
            let row = &world.people[*person].row;
            let there = row
                .since(now(), Option::is_some)
                .is_some_and(|since| since < *shown);
            let calm = world.is_calm(shown.saturating_sub(CALM), now(), LOOKS_AGAIN);
            (*shown < asked.begun && there && calm && few_changed(world, *person) && !seen.contains(person))
                .then(|| format!("{:?} is missing, who was shown at {}", row.now(), seconds(*shown)))
        })
    }
}

/// Whether no more has changed recently than when a name passes from one to another. Where names go round any further, a
/// directory of several moments may leave somebody out until the next look.
fn few_changed(world: &World, missing: usize) -> bool {
    let since = now().saturating_sub(CALM).max(1);
    let changes = |person: usize| {
        let spans = world.people[person].row.spans();
        spans.filter(|(began, ..)| *began >= since).count()
    };
    let changed = (0..world.people.len()).filter(|person| changes(*person) > 0);
    changed.count() <= 2 && changes(missing) <= 1
}

/// Binds that were answered with success.
#[derive(Default)]
pub struct Equals {
    answered: Vec<(Key, Time, Time)>,
}

/// Name, secret and provider.
type Key = (String, String, usize);

impl Equals {
    /// Notes a success, and says whether it and an equal one at the same time were granted one by one. A bind begins when the bind
    /// before it on its connection has been answered.
    pub fn note(
        &mut self,
        world: &World,
        (name, secret, provider): (&str, &str, usize),
        (begun, answered): (Time, Time),
    ) -> Option<String> {
        // What the provider was is part of what makes binds equal.
        let settings = &world.providers[provider];
        if settings.application.spans().count() > 1
            || settings.served.spans().count() > 1
            || settings.cached.spans().count() > 1
        {
            return None;
        }
        // With a code and without it are two binds, of which authentik is sent the same where no code is asked for.
        if world.setting.devices > 0 {
            return None;
        }
        let key = (name.to_owned(), secret.to_owned(), provider);
        let twice = self.answered.iter().rev().find_map(|(other, began, ended)| {
            if *other != key {
                return None;
            }
            let (from, to) = (begun.max(*began), answered.min(*ended));
            let granted = world.granted.iter().filter(|granted| {
                granted.name == name
                    && granted.secret == secret
                    && !granted.code
                    && from < granted.at
                    && granted.at < to
                    && granted.passed.iter().any(|(_, passed, _)| *passed == provider)
            });
            (granted.count() > 1).then(|| {
                format!(
                    "an equal bind was under way from {} on, and each had a login of its own",
                    seconds(from)
                )
            })
        });
        self.answered.push((key, begun, answered));
        twice
    }
}
