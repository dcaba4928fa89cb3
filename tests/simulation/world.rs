//! What authentik holds: people, groups, applications, providers and sessions, and what all of them were before. Who judges
//! asks here what was true when.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::history::History;
use crate::law::{LOOKS_AGAIN, look};
use crate::plan::{GROUPS, NAMES, PROVIDERS, SECRETS, Setting};
use crate::time::{SECOND, Time, iso, now};

/// How long authentik keeps a session without a date.
const DAY: Time = 86_400 * SECOND;
/// Longer than authentik takes to give a code again.
const CODE_LENGTH: usize = 6;

pub struct World {
    pub setting: Setting,
    /// Everybody there ever was; somebody's key is one more than their index.
    pub people: Vec<Person>,
    /// Who of them each step means by a number.
    pub slots: Vec<usize>,
    /// Members of each group, by their index among the people.
    pub groups: Vec<BTreeMap<usize, History<bool>>>,
    pub providers: Vec<Provider>,
    pub sessions: BTreeMap<String, Session>,
    /// By the cookie that was sent for it.
    pub cookies: BTreeMap<String, String>,
    pub granted: Vec<Granted>,
    /// How often each code was sent to authentik for each client.
    pub codes_sent: BTreeMap<(String, String), usize>,
    /// Spans in which calls failed or took long.
    pub trouble: Vec<(Time, Time)>,
    /// Those in which nothing was amiss but that users could not be read.
    pub denied: Vec<(Time, Time)>,
    /// When the providers were read.
    pub providers_read: Vec<Time>,
    /// When the server heard that something was saved.
    pub saves_heard: Vec<Time>,
    /// When a server was begun.
    pub started: Vec<Time>,
    /// When the stream of events was opened.
    pub opened: Vec<Time>,
    /// No session is ended by an unbind flow: a rule that a test breaks on purpose.
    pub keeps_sessions: bool,
    last_update: Time,
    numbers: u64,
}

pub struct Person {
    pub row: History<Option<Row>>,
    pub password: History<usize>,
    pub password_changed: Time,
    updated: Time,
    /// Whether each application lets them in.
    pub access: [History<bool>; PROVIDERS],
    /// Whether they may search everything at each provider.
    pub permission: [History<bool>; PROVIDERS],
    pub device: Option<Device>,
    json: Option<String>,
}

/// What the directory shows of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub mail: String,
    pub active: bool,
}

#[derive(Default)]
pub struct Device {
    /// Codes that would be taken, each once.
    pub good: Vec<String>,
    pub given: Vec<String>,
}

pub struct Provider {
    /// Which application it is under.
    pub application: History<usize>,
    /// Whether the outpost has it.
    pub served: History<bool>,
    /// Whether its bind mode is cached.
    pub cached: History<bool>,
}

pub struct Session {
    pub person: Option<usize>,
    pub expires: Time,
    pub flow: Option<Flow>,
    pub granted: Option<usize>,
}

/// How far a flow is.
#[derive(Clone, Debug)]
pub struct Flow {
    /// When the identification stage found somebody.
    pub identified: Time,
    pub person: usize,
    pub name: String,
    pub secret: String,
    pub code: bool,
    /// A code was asked for and is not there yet.
    pub wants_code: bool,
}

/// A flow that ended in a login.
#[derive(Debug)]
pub struct Granted {
    /// When the identification stage found whose login it is.
    pub identified: Time,
    pub at: Time,
    pub person: usize,
    pub name: String,
    pub secret: String,
    pub code: bool,
    pub sid: String,
    /// The client whose bind it was.
    pub client: String,
    /// When access was granted, at which provider, and with which permission.
    pub passed: Vec<(Time, usize, bool)>,
    /// When authentik ended the session.
    pub ended: Option<Time>,
    /// When the announcement of that reached the server.
    pub heard: Option<Time>,
    /// The session's own end.
    pub expires: Option<Time>,
}

pub fn uid(person: usize) -> String {
    format!("{:064x}", person + 1)
}

pub fn group_uuid(group: usize) -> String {
    format!("00000000-0000-4000-8000-{:012x}", group + 1)
}

pub fn base(provider: usize) -> &'static str {
    ["dc=one,dc=example", "dc=two,dc=example"][provider]
}

impl World {
    pub fn new(setting: &Setting) -> Self {
        let mut world = Self {
            setting: setting.clone(),
            people: Vec::new(),
            slots: Vec::new(),
            groups: vec![BTreeMap::new(); GROUPS],
            providers: (0..PROVIDERS)
                .map(|provider| Provider {
                    application: History::new(0, provider),
                    served: History::new(0, provider == 0 || !setting.alone),
                    cached: History::new(0, setting.cached[provider]),
                })
                .collect(),
            sessions: BTreeMap::new(),
            cookies: BTreeMap::new(),
            granted: Vec::new(),
            codes_sent: BTreeMap::new(),
            trouble: Vec::new(),
            denied: Vec::new(),
            providers_read: Vec::new(),
            saves_heard: Vec::new(),
            started: Vec::new(),
            opened: Vec::new(),
            keeps_sessions: false,
            last_update: 0,
            numbers: 0,
        };
        for slot in 0..setting.people {
            let name = NAMES
                .get(slot)
                .map_or_else(|| format!("user{slot}"), |name| (*name).to_owned());
            let person = world.add(name);
            world.slots.push(person);
            world.people[person].password = History::new(0, slot % SECRETS.len());
            if setting.devices > 0 && slot % setting.devices == 1 % setting.devices {
                world.people[person].device = Some(Device::default());
            }
            // The first two may search everything.
            world.people[person].permission = std::array::from_fn(|_| History::new(0, slot < 2));
            world.groups[slot % GROUPS].insert(person, History::new(0, true));
        }
        world
    }

    fn add(&mut self, name: String) -> usize {
        let at = self.tick();
        let person = self.people.len();
        self.people.push(Person {
            row: History::new(
                now(),
                Some(Row {
                    mail: format!("{name}@example.org"),
                    name,
                    active: true,
                }),
            ),
            password: History::new(now(), person % SECRETS.len()),
            password_changed: at,
            updated: at,
            access: std::array::from_fn(|_| History::new(now(), true)),
            permission: std::array::from_fn(|_| History::new(now(), false)),
            device: None,
            json: None,
        });
        person
    }

    /// A date of its own for each change.
    fn tick(&mut self) -> Time {
        self.last_update = now().max(self.last_update + 1);
        self.last_update
    }

    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Who is meant by a number, if they are there.
    pub fn slot(&self, slot: usize) -> Option<usize> {
        let person = *self.slots.get(slot)?;
        self.people[person].row.now().is_some().then_some(person)
    }

    pub fn named(&self, name: &str) -> Option<usize> {
        self.find(|row| row.name == name)
    }

    /// Whom the identification stage finds.
    pub fn identify(&self, typed: &str) -> Option<usize> {
        self.named(typed).or_else(|| self.find(|row| row.mail == typed))
    }

    fn find(&self, is: impl Fn(&Row) -> bool) -> Option<usize> {
        self.people
            .iter()
            .position(|person| person.row.now().as_ref().is_some_and(&is))
    }

    /// Whom the identification stage found at a moment.
    pub fn identified_at(&self, typed: &str, moment: Time) -> Option<usize> {
        let find = |is: &dyn Fn(&Row) -> bool| {
            let mut people = self.people.iter();
            people.position(|person| {
                person
                    .row
                    .at(moment)
                    .is_some_and(|row| row.as_ref().is_some_and(is))
            })
        };
        find(&|row| row.name == typed).or_else(|| find(&|row| row.mail == typed))
    }

    pub fn change(&mut self, person: usize, change: impl FnOnce(&mut Row)) {
        let at = self.tick();
        let person = &mut self.people[person];
        if let Some(mut row) = person.row.now().clone() {
            change(&mut row);
            person.row.set(now(), Some(row));
            person.updated = at;
            person.json = None;
        }
    }

    pub fn rename(&mut self, person: usize, name: &str) {
        if self.named(name).is_none() {
            self.change(person, |row| row.name = name.to_owned());
        }
    }

    pub fn delete(&mut self, person: usize) {
        let at = now();
        self.people[person].row.set(at, None);
        for group in &mut self.groups {
            if let Some(is) = group.get_mut(&person) {
                is.set(at, false);
            }
        }
    }

    pub fn create(&mut self, slot: usize, name: &str) {
        if slot < self.slots.len() && self.named(name).is_none() && self.slot(slot).is_none() {
            self.slots[slot] = self.add(name.to_owned());
        }
    }

    pub fn set_password(&mut self, person: usize, secret: usize) {
        self.change(person, |_| {});
        let updated = self.last_update;
        let person = &mut self.people[person];
        person.password.set(now(), secret);
        person.password_changed = updated;
        person.json = None;
    }

    pub fn set_member(&mut self, person: usize, group: usize, is: bool) {
        let at = now();
        self.groups[group]
            .entry(person)
            .and_modify(|was| was.set(at, is))
            .or_insert_with(|| {
                let mut was = History::new(0, false);
                was.set(at, is);
                was
            });
        self.people[person].json = None;
    }

    /// A code that will be taken once.
    pub fn new_code(&mut self, person: usize) -> Option<String> {
        let number = self.number();
        let device = self.people[person].device.as_mut()?;
        let code = format!("{:0width$}", number % 1_000_000, width = CODE_LENGTH);
        device.good.push(code.clone());
        device.given.push(code.clone());
        Some(code)
    }

    pub fn open_session(&mut self, person: Option<usize>) -> String {
        let sid = format!("session{}", self.number());
        let lasts = match self.setting.session {
            0 => DAY,
            seconds => seconds * SECOND,
        };
        self.sessions.insert(
            sid.clone(),
            Session {
                person,
                expires: now() + lasts,
                flow: None,
                granted: None,
            },
        );
        sid
    }

    /// The session that a cookie names, if it lives.
    pub fn session_of(&mut self, cookie: &str) -> Option<String> {
        let sid = self.cookies.get(cookie)?.clone();
        let lives = self
            .sessions
            .get(&sid)
            .is_some_and(|session| session.expires > now());
        lives.then_some(sid)
    }

    /// Ends a session; says whether there was one.
    pub fn end_session(&mut self, sid: &str) -> bool {
        let Some(session) = self.sessions.remove(sid) else {
            return false;
        };
        if let Some(granted) = session.granted {
            self.granted[granted].ended = Some(now());
        }
        session.person.is_some()
    }

    /// Ends all sessions of somebody; which they were.
    pub fn end_sessions_of(&mut self, person: usize) -> Vec<String> {
        let sids = self.sessions_of(person);
        sids.iter().for_each(|sid| {
            self.end_session(sid);
        });
        sids
    }

    fn sessions_of(&self, person: usize) -> Vec<String> {
        let own = self
            .sessions
            .iter()
            .filter(|(_, session)| session.person == Some(person));
        own.map(|(sid, _)| sid.clone()).collect()
    }

    pub fn note_trouble(&mut self, from: Time, to: Time) {
        note(&mut self.trouble, from, to);
    }

    pub fn note_denied(&mut self, from: Time, to: Time) {
        note(&mut self.denied, from, to);
    }

    /// When the stream of events was first opened after a moment, and held.
    pub fn opened_since(&self, moment: Time) -> Option<Time> {
        let later = self.opened.iter().skip(1).copied().chain([Time::MAX]);
        let mut held = self.opened.iter().copied().zip(later);
        held.find(|(opened, next)| *opened >= moment && *next > opened + SECOND)
            .map(|(opened, _)| opened)
    }

    /// Whether somebody had something before they got it again, with no more of calm in between than a look takes.
    pub fn had_shortly_before(&self, person: usize, again: Time, has: impl Fn(&Option<Row>) -> bool) -> bool {
        let spans = self.people[person].row.spans();
        let mut had = spans.filter(|(_, ended, row)| *ended <= again && has(row));
        had.any(|(_, ended, _)| self.calm(ended, again, LOOKS_AGAIN) <= look(self))
    }

    /// Whether there was no trouble in a span, nor shortly before it.
    pub fn is_calm(&self, from: Time, to: Time, after: Time) -> bool {
        let mut spans = self.trouble.iter().chain(&self.denied);
        !spans.any(|(began, ended)| *began <= to && from <= ended.saturating_add(after))
    }

    /// How much of a span was without trouble, and not just after it.
    pub fn calm(&self, from: Time, to: Time, after: Time) -> Time {
        self.without(self.trouble.iter().chain(&self.denied), from, to, after)
    }

    /// The same where it does not matter whether users could be read.
    pub fn calm_but_for_users(&self, from: Time, to: Time, after: Time) -> Time {
        self.without(self.trouble.iter(), from, to, after)
    }

    fn without<'w>(
        &'w self,
        trouble: impl Iterator<Item = &'w (Time, Time)>,
        from: Time,
        to: Time,
        after: Time,
    ) -> Time {
        let mut calm = 0;
        let mut at = from;
        let starts = self.started.iter().map(|start| (*start, *start + 5 * SECOND));
        let mut spans: Vec<(Time, Time)> = trouble.copied().chain(starts).collect();
        spans.sort_unstable();
        for (began, ended) in spans {
            let ended = ended.saturating_add(after);
            if began >= to {
                break;
            }
            calm += began.saturating_sub(at);
            at = at.max(ended);
        }
        calm + to.saturating_sub(at)
    }

    /// A user as `core/users/` lists it.
    pub fn user_json(&mut self, person: usize) -> &str {
        if self.people[person].json.is_none() {
            let text = self.write_user(person);
            self.people[person].json = Some(text);
        }
        self.people[person].json.as_deref().unwrap_or_default()
    }

    fn write_user(&self, person: usize) -> String {
        let known = &self.people[person];
        let row = known
            .row
            .now()
            .as_ref()
            .expect("only those who are there are listed");
        let dated = match self.setting.undated {
            true => "null".to_owned(),
            false => format!("\"{}\"", iso(known.password_changed)),
        };
        let mut groups = String::new();
        for (group, members) in self.groups.iter().enumerate() {
            if members.get(&person).is_some_and(|is| *is.now()) {
                let comma = if groups.is_empty() { "" } else { "," };
                let _ = write!(groups, "{comma}\"{}\"", group_uuid(group));
            }
        }
        format!(
            "{{\"pk\":{},\"username\":\"{name}\",\"name\":\"{name}\",\"is_active\":{},\"last_login\":null,\"date_joined\":\"{}\",\
             \"is_superuser\":false,\"groups\":[{groups}],\"email\":\"{}\",\"attributes\":{{}},\"uid\":\"{}\",\"path\":\"users\",\
             \"type\":\"internal\",\"uuid\":\"00000000-0000-4000-9000-{:012x}\",\"password_change_date\":{},\"last_updated\":\"{}\"}}",
            person + 1,
            row.active,
            iso(0),
            row.mail,
            uid(person),
            person + 1,
            dated,
            iso(known.updated),
            name = row.name,
        )
    }

    /// A group as `core/groups/` lists it.
    pub fn group_json(&self, group: usize) -> String {
        let members = self.groups[group].iter().filter(|(_, is)| *is.now());
        let members: Vec<String> = members.map(|(person, _)| (person + 1).to_string()).collect();
        format!(
            "{{\"pk\":\"{}\",\"num_pk\":{},\"name\":\"group{group}\",\"is_superuser\":false,\"parents\":[],\"parents_obj\":[],\
             \"users\":[{}],\"users_obj\":null,\"attributes\":{{}},\"roles\":[],\"roles_obj\":[],\"children\":[],\"children_obj\":[]}}",
            group_uuid(group),
            group + 1,
            members.join(",")
        )
    }

    pub fn updated(&self, person: usize) -> Time {
        self.people[person].updated
    }

    /// Everybody there is, by their index.
    pub fn present(&self) -> Vec<usize> {
        let people = self.people.iter().enumerate();
        people
            .filter(|(_, person)| person.row.now().is_some())
            .map(|(person, _)| person)
            .collect()
    }
}

/// Adds a span to others, one with the last if they touch.
fn note(spans: &mut Vec<(Time, Time)>, from: Time, to: Time) {
    match spans.last_mut() {
        Some(last) if from <= last.1 + SECOND => {
            last.0 = last.0.min(from);
            last.1 = last.1.max(to);
        }
        _ => spans.push((from, to)),
    }
}
