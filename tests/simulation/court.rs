//! The judge: is told what every client asks and is answered, and holds it against what authentik held and granted. The first
//! thing that may not be ends the history.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::authentik::Authentik;
use crate::clients::address;
use crate::law::{LOOK, LOOKS_AGAIN, Use, must_succeed, seconds};
use crate::plan::What;
use crate::time::{SECOND, Time, now};
use crate::world::{World, base, uid};

const SUCCESS: i32 = 0;
/// Any code but success will do.
const BUSY: i32 = 51;
const COMPARE_FALSE: i32 = 5;
const COMPARE_TRUE: i32 = 6;
/// A change is news to the server for so long.
const NEWS: Time = 700 * SECOND;
/// A wrong secret is refused for so long without being asked about.
const REFUSED_AGAIN: Time = 12 * SECOND;

#[derive(Clone, Debug)]
pub enum Request {
    Bind {
        name: String,
        provider: usize,
        secret: String,
    },
    Search {
        provider: usize,
        what: What,
    },
    Compare {
        name: usize,
        provider: usize,
    },
    WhoAmI,
    StartTls,
}

/// A request that is under way.
#[derive(Debug)]
pub struct Asked {
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
    fn values(&self, name: &str) -> &[String] {
        let attribute = self
            .attributes
            .iter()
            .find(|(attribute, _)| attribute.eq_ignore_ascii_case(name));
        attribute.map_or(&[], |(_, values)| values)
    }

    fn one(&self, name: &str) -> &str {
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
    told: bool,
    gone: bool,
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
    state: Mutex<State>,
}

/// What a test says to the court that it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Whoever was renamed may not log in.
    NobodyIsRenamed,
}

#[derive(Default)]
struct State {
    connections: Vec<Connection>,
    faults: Vec<String>,
    trace: DefaultHasher,
    lines: Option<Vec<String>>,
    restarting: bool,
    /// How often a code was given with a bind.
    codes_given: BTreeMap<String, usize>,
    pub answers: usize,
}

impl Court {
    pub fn new(authentik: &Arc<Authentik>, tell: bool, broken: Option<Broken>) -> Arc<Self> {
        Arc::new(Self {
            authentik: Arc::clone(authentik),
            broken,
            state: Mutex::new(State {
                lines: tell.then(Vec::new),
                ..State::default()
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    /// Writes something into the history.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let state = &mut *self.lock();
        state.note(line);
    }

    /// Something that may not be.
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
        self.lock().restarting = is;
    }

    pub fn connected(&self, slot: usize) -> usize {
        let state = &mut *self.lock();
        let number = state.connections.len();
        state.connections.push(Connection {
            client: address(slot).to_string(),
            ..Connection::default()
        });
        state.note(|| format!("connection {number} is made by {}", address(slot)));
        number
    }

    pub fn asked(&self, number: usize, id: i32, asked: Asked) {
        let state = &mut *self.lock();
        state.note(|| format!("connection {number} asks {id}: {:?}", asked.request));
        if let Request::Bind { secret, .. } = &asked.request
            && let Some((_, code)) = secret.split_once(';')
        {
            *state.codes_given.entry(code.to_owned()).or_default() += 1;
        }
        state.connections[number].asked.insert(id, asked);
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
        connection.abandoned.insert(id);
        state.note(|| format!("connection {number} abandons {id}"));
        Some(id)
    }

    pub fn found(&self, number: usize, id: i32, found: Found) {
        let state = &mut *self.lock();
        state.note(|| {
            format!(
                "connection {number} is sent for {id}: {} {:?}",
                found.dn, found.attributes
            )
        });
        let connection = &mut state.connections[number];
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
        let mut asked = connection.asked.remove(&id)?;
        if connection.abandoned.remove(&id) {
            return None;
        }
        let bound = connection.bound.as_ref().map(|bound| bound.id);
        let Request::Search { provider, what } = asked.request else {
            return None;
        };
        forget_others(&mut asked, bound);
        if let Some(fault) = search(&outside.world, connection, id, &asked, (provider, what), BUSY) {
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
        connection.abandoned.remove(&id);
        let Some(mut asked) = connection.asked.remove(&id) else {
            state.fault(format!(
                "connection {number} got a second answer to {id}, or one to nothing"
            ));
            return;
        };
        let fault = match &asked.request {
            Request::Bind {
                name,
                provider,
                secret,
            } => {
                let judged = bind(
                    world,
                    &connection.client,
                    &asked,
                    (name, *provider, secret),
                    code,
                    self.broken,
                );
                let (logins, fault) = match judged {
                    Ok(logins) => (logins, None),
                    Err(fault) => (Vec::new(), Some(fault)),
                };
                let provider = *provider;
                connection.bound = (code == SUCCESS).then_some(Bound { id, provider, logins });
                fault
            }
            Request::Search { provider, what } => {
                let (provider, what) = (*provider, *what);
                let same = forget_others(&mut asked, connection.bound.as_ref().map(|bound| bound.id));
                let code = if same { code } else { BUSY };
                search(world, connection, id, &asked, (provider, what), code)
            }
            Request::Compare { name, provider } => {
                compare(world, connection, id, asked.sent, (*name, *provider), code)
            }
            Request::WhoAmI => who_am_i(world, connection, asked.sent, id, value),
            Request::StartTls => None,
        };
        if let Some(fault) = fault {
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
        connection.gone = true;
        connection.asked.clear();
        let Some(bound) = connection.bound.take().filter(|_| !restarting) else {
            return;
        };
        if !bound
            .logins
            .iter()
            .any(|login| may_end(&outside.world, *login, bound.provider))
        {
            state.fault(format!(
                "connection {number} was closed although nothing ended the login it stood on"
            ));
        }
    }

    /// A client left of its own accord.
    pub fn hung_up(&self, number: usize) {
        let state = &mut *self.lock();
        state.note(|| format!("connection {number} hangs up"));
        let connection = &mut state.connections[number];
        connection.gone = true;
        connection.asked.clear();
        connection.bound = None;
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
                    "the code {code} was given {given} times and sent {sent} times"
                ));
            }
        }
        faults.into_iter().for_each(|fault| state.fault(fault));
    }
}

impl State {
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

/// The logins that a bind may have succeeded by, or why it may not have been answered so.
fn bind(
    world: &World,
    client: &str,
    asked: &Asked,
    (name, provider, secret): (&str, usize, &str),
    code: i32,
    broken: Option<Broken>,
) -> Result<Vec<usize>, String> {
    let (sent, at) = (asked.sent, now());
    if code != SUCCESS {
        let from = sent.saturating_sub(REFUSED_AGAIN);
        if sent > REFUSED_AGAIN && must_succeed(world, name, secret, provider, from, at) {
            return Err(format!("refused with {code}, although it was right all the time"));
        }
        return Ok(Vec::new());
    }
    let mut reasons = Vec::new();
    let mut logins = Vec::new();
    for (number, granted) in world.granted.iter().enumerate().rev() {
        if granted.name != name || granted.secret != secret {
            continue;
        }
        if !granted.passed.iter().any(|(_, passed, _)| *passed == provider) {
            continue;
        }
        let fresh = granted.at >= sent;
        if !fresh && !world.setting.cached[provider] {
            continue;
        }
        let used = Use {
            granted,
            provider,
            at: sent,
        };
        let over = match fresh {
            true => None,
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

/// Whether a connection may stand on any of the logins it was bound by.
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

/// Whether anything has happened to whom a login is of, or to its provider, that could end it.
fn may_end(world: &World, login: usize, provider: usize) -> bool {
    let granted = &world.granted[login];
    let person = &world.people[granted.person];
    // What was changed before may have come to the server's knowledge since.
    let since = granted.at.saturating_sub(NEWS);
    granted.ended.is_some()
        || granted.expires.is_some_and(|expires| now() + SECOND >= expires)
        || person.row.changed_since(since)
        || person.access.iter().chain(&person.permission).any(|history| history.changed_since(since))
        || world.providers[provider].served.changed_since(since)
        || world.providers[provider].application.changed_since(since)
        // Words of authentik that say something else are believed.
        || world.calm(since, now(), 0) < now() - since
}

fn search(
    world: &World,
    connection: &Connection,
    id: i32,
    asked: &Asked,
    (provider, what): (usize, What),
    code: i32,
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
    if code == SUCCESS
        && let Err(reason) = standing(world, bound, asked.sent)
    {
        return Some(format!(
            "answered to a connection that should have ended: {reason}"
        ));
    }
    let (at, sent) = (now(), asked.sent);
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
    for entry in &asked.found {
        if !entry.dn.ends_with(base(provider)) {
            return Some(format!("{} is of another tree", entry.dn));
        }
        if !entry.dn.contains(",ou=users,") {
            if entry.dn.contains(",ou=groups,")
                && let Some(fault) = group(world, entry, (!full).then_some(&own), whole, sent, at)
            {
                return Some(fault);
            }
            continue;
        }
        let Some(person) = (0..world.people.len()).find(|person| uid(*person) == entry.one("uid")) else {
            return Some(format!("{} never was", entry.dn));
        };
        if !full && !own.contains(&person) {
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
        if ended < sent && world.calm(ended, sent, LOOKS_AGAIN) > LOOK {
            return Some(format!(
                "{} is shown as it was until {}",
                entry.dn,
                seconds(ended)
            ));
        }
        let steady = world.people[person]
            .row
            .during(sent.saturating_sub(LOOK), at)
            .count()
            == 1;
        if !seen.insert(person) && steady {
            return Some(format!("{} is there twice", entry.dn));
        }
    }
    if code != SUCCESS || !whole {
        return None;
    }
    missing(world, &seen, what, sent, at)
}

/// Somebody who was there all the time and is not among those found.
fn missing(world: &World, seen: &BTreeSet<usize>, what: What, sent: Time, at: Time) -> Option<String> {
    for (person, known) in world.people.iter().enumerate() {
        let wanted = match what {
            What::Name(name) => Some(crate::plan::NAMES[name]),
            What::All | What::Pages => None,
        };
        let is = |row: &Option<crate::world::Row>| {
            let row = row.as_ref();
            row.is_some_and(|row| wanted.is_none_or(|wanted| row.name == wanted))
        };
        // Pages are a directory of several moments: whoever changed their name between them may be on none.
        let renamed = what == What::Pages && known.row.during(sent.saturating_sub(LOOK), at).count() > 1;
        let Some(since) = known.row.since(at, is) else {
            continue;
        };
        if !seen.contains(&person) && !renamed && world.calm(since, sent, LOOKS_AGAIN) > LOOK {
            return Some(format!("{:?} is missing", known.row.now()));
        }
    }
    None
}

/// Holds a group against who was in it.
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
    let from = |ended: Time| ended >= sent || world.calm(ended, sent, LOOKS_AGAIN) <= LOOK;
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
        if !shown && world.calm(since.max(there), sent, LOOKS_AGAIN) > LOOK {
            return Some(format!(
                "{:?} is missing in {}",
                world.people[*person].row.now(),
                entry.dn
            ));
        }
    }
    None
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
        return None;
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
        is && began <= now() && (ended >= sent || world.calm(ended, sent, LOOKS_AGAIN) <= LOOK)
    });
    (!was).then(|| format!("{code}, which was not so"))
}

fn who_am_i(world: &World, connection: &Connection, sent: Time, id: i32, value: &str) -> Option<String> {
    let bound = connection.bound.as_ref().filter(|bound| bound.id < id);
    let Some(bound) = bound else {
        return (!value.is_empty()).then(|| format!("{value} was said to a stranger"));
    };
    if let Err(reason) = standing(world, bound, sent) {
        return Some(format!(
            "answered to a connection that should have ended: {reason}"
        ));
    }
    let name = value.strip_prefix("dn:cn=")?.split(',').next()?;
    let own = bound.logins.iter().any(|login| {
        let granted = &world.granted[*login];
        let mut rows = world.people[granted.person].row.during(0, now()).flatten();
        granted.name == name || rows.any(|row| row.name == name)
    });
    (!own).then(|| format!("{value} is somebody else"))
}
