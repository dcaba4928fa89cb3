//! The lists of users and groups: how they are read, and what is in them.

use crate::check::facts::{Facts, People};
use crate::check::row::{Area, Check, Verdict, joined};

/// Milliseconds for each row from which on the list is slow.
const SLOW_ROW: f64 = 5.0;
/// Octets of memory for each user, as measured (BENCHMARKS.md: 100,000 users, ten memberships each), and for the process.
const PER_USER: u64 = 720;
const PROCESS: u64 = 14_000_000;

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "AK701",
        area: Area::Directory,
        title: "pages are as large as asked",
        why: "each page is a request: small ones make a large directory load slowly",
        fix: "authentik: System > Settings > Maximum page size (pagination); akldap: AUTHENTIK_LDAP__PAGE_SIZE",
        judge: |facts| {
            with_people(facts, |people| {
                let asked = facts.settings.page_size;
                let capped =
                    people.has_more_pages && people.first_page < usize::try_from(asked).unwrap_or(usize::MAX);
                let seen = format!("{asked} rows asked for, {} on the first page", people.first_page);
                if capped {
                    Verdict::Warning(seen)
                } else {
                    Verdict::Well(seen)
                }
            })
        },
    },
    Check {
        code: "AK702",
        area: Area::Directory,
        title: "rows come quickly",
        why: "the time of a row times the number of users is how long a whole reading takes",
        fix: "authentik: System > Settings > Avatars: initials or none, not Gravatar; let AUTHENTIK_HOST go to the server directly, with the Host header people use",
        judge: |facts| {
            with_people(facts, |people| {
                let rows = u32::try_from(people.first_page.max(1)).unwrap_or(u32::MAX);
                let each = people.took.as_secs_f64() * 1000.0 / f64::from(rows);
                let seen = format!("{each:.1} ms a row");
                if each > SLOW_ROW && people.took.as_millis() > 100 {
                    Verdict::Warning(seen)
                } else {
                    Verdict::Well(seen)
                }
            })
        },
    },
    Check {
        code: "AK703",
        area: Area::Directory,
        title: "every row can be read",
        why: "who cannot be read is missing from the directory",
        fix: "Directory > Users or Groups: correct what is named, mostly an attribute",
        judge: |facts| {
            with_people(facts, |people| {
                let problems = joined(people.unreadable.iter().cloned());
                problems.map_or_else(|| Verdict::Well("they can".to_owned()), Verdict::Warning)
            })
        },
    },
    Check {
        code: "AK704",
        area: Area::Directory,
        title: "the directory fits into memory",
        why: "all of it is held in memory",
        fix: "give the container more memory than this, and twice as much while it is read again",
        judge: |facts| {
            with_people(facts, |people| {
                let megabytes = people
                    .users
                    .saturating_mul(PER_USER)
                    .saturating_add(PROCESS)
                    .div_ceil(1_000_000);
                let memberships = if people.is_complete { "" } else { " or more" };
                Verdict::Well(format!(
                    "{} users, {} groups, {}{memberships} memberships: about {megabytes} MB",
                    people.users, people.groups, people.memberships
                ))
            })
        },
    },
    Check {
        code: "AK705",
        area: Area::Directory,
        title: "no number is given twice",
        why: "files of one user or group belong to the other too",
        fix: "Directory > Users or Groups > Attributes: set uidNumber or gidNumber on one of the two",
        judge: |facts| {
            with_people(facts, |people| {
                let twice = people.same_numbers.iter();
                let twice = joined(
                    twice.map(|(what, number, one, other)| format!("{what} {number}: {one:?} and {other:?}")),
                );
                twice.map_or_else(|| Verdict::Well("none is".to_owned()), Verdict::Warning)
            })
        },
    },
    Check {
        code: "AK706",
        area: Area::Directory,
        title: "names need no escaping",
        why: "some clients do not find names with commas, plus signs and the like in DNs",
        fix: "Directory > Groups or Users: rename, if such a client is concerned",
        judge: |facts| {
            with_people(facts, |people| match &people.escaped {
                (0, _) => Verdict::Well("none does".to_owned()),
                (count, name) => Verdict::Warning(format!("{count} do, {name:?} for one")),
            })
        },
    },
    Check {
        code: "AK801",
        area: Area::Events,
        title: "authentik's events arrive",
        why: "without them changes show with the next look, and ended sessions are noticed late",
        fix: "let the proxy between this server and authentik pass websockets on (Upgrade and Connection headers, HTTP/1.1)",
        judge: |facts| match &facts.events {
            Some(Ok(())) => Verdict::Well("the websocket is open".to_owned()),
            Some(Err(error)) => Verdict::Fault(error.clone()),
            None => Verdict::NotSeen("see AK202 first".to_owned()),
        },
    },
];

fn with_people(facts: &Facts, judge: impl FnOnce(&People) -> Verdict) -> Verdict {
    match &facts.people {
        Some(Ok(people)) => judge(people),
        _ => Verdict::NotSeen("see AK204 first".to_owned()),
    }
}
