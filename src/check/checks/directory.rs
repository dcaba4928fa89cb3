//! The lists of users and groups: how they are read, and what is in them.

use crate::check::cause::code_of_list;
use crate::check::facts::{Facts, People};
use crate::check::verdict::{Area, Check, Verdict, after, joined};

/// Milliseconds per row from which the list counts as slow.
const SLOW_ROW: f64 = 5.0;
/// Octets of memory for each user, as measured (BENCHMARKS.md: 100,000 users, ten memberships each), and for the process.
const PER_USER: u64 = 720;
const PROCESS: u64 = 14_000_000;

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "AK701",
        area: Area::Directory,
        title: "pages are as large as requested",
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
        title: "rows arrive quickly",
        why: "a full read takes the time per row, multiplied by the number of users",
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
        why: "users and groups that cannot be read are missing from the directory",
        fix: "Directory > Users or Groups: correct what is named, usually an attribute",
        judge: |facts| {
            with_people(facts, |people| {
                let lists = [
                    ("users", people.users, people.users_read),
                    ("groups", people.groups, people.groups_read),
                ];
                let unread = lists.iter().find(|(_, listed, read)| *listed > 0 && *read == 0);
                match (joined(people.unreadable.iter().cloned()), unread) {
                    (Some(problems), Some((what, ..))) => {
                        Verdict::Fault(format!("none of the {what} can: {problems}"))
                    }
                    (problems, _) => of_all(people, problems, "they can"),
                }
            })
        },
    },
    Check {
        code: "AK704",
        area: Area::Directory,
        title: "the directory fits into memory",
        why: "all of it is kept in memory",
        fix: "give the container more memory than this, and twice as much while it is read again",
        judge: |facts| {
            with_people(facts, |people| {
                let megabytes = people
                    .users
                    .saturating_mul(PER_USER)
                    .saturating_add(PROCESS)
                    .div_ceil(1_000_000);
                let memberships = if people.cut_off.is_empty() { "" } else { " or more" };
                let seen = format!(
                    "{} users, {} groups, {}{memberships} memberships: about {megabytes} MB",
                    people.users, people.groups, people.memberships
                );
                let Some(memory) = facts.memory.map(|octets| octets / 1_000_000) else {
                    return Verdict::Well(seen);
                };
                let seen = format!("{seen}, of {memory} MB that this process may use");
                match megabytes {
                    more if more > memory => Verdict::Fault(seen),
                    half if half.saturating_mul(2) > memory => {
                        Verdict::Warning(format!("{seen}: not twice as much"))
                    }
                    _ => Verdict::Well(seen),
                }
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
                of_all(people, twice, "none is")
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
            with_people(facts, |people| {
                let (count, name) = &people.escaped;
                let escaped = (*count > 0).then(|| format!("{count} do, such as {name:?}"));
                of_all(people, escaped, "none does")
            })
        },
    },
    Check {
        code: "AK707",
        area: Area::Directory,
        title: "numbers are within their ranges",
        why: "a number outside them may belong to another machine or to a system account",
        fix: "Directory > Users or Groups > Attributes: set uidNumber or gidNumber to a number of the range and give the files to it; or correct AUTHENTIK_LDAP__UID_NUMBER_RANGE or AUTHENTIK_LDAP__GID_NUMBER_RANGE",
        judge: |facts| {
            with_people(facts, |people| {
                let outside = people.outside_range.iter();
                let outside = joined(outside.map(|(what, number, whose, range)| {
                    format!("{what} {number} of {whose:?}, not {range}")
                }));
                of_all(people, outside, "they are")
            })
        },
    },
    Check {
        code: "AK708",
        area: Area::Directory,
        title: "every name is its own",
        why: "case and blanks do not count in names over LDAP: of two that are alike only one is found, and nobody without a name",
        fix: "Directory > Users or Groups: rename",
        judge: |facts| {
            with_people(facts, |people| {
                of_all(people, joined(people.doubtful_names.iter().cloned()), "it is")
            })
        },
    },
];

/// What is said of every row: these problems, or that all is well, if every row was looked at.
fn of_all(people: &People, problems: Option<String>, well: &str) -> Verdict {
    let cut_off = joined(people.cut_off.iter().map(|list| {
        format!(
            "not looked at beyond {} of {} {} within {} s",
            list.received,
            list.listed,
            list.what,
            list.within.as_secs()
        )
    }));
    match (problems, cut_off) {
        (Some(problems), Some(cut_off)) => Verdict::Warning(format!("{problems}; {cut_off}")),
        (Some(problems), None) => Verdict::Warning(problems),
        (None, Some(cut_off)) => Verdict::NotSeen(format!("{cut_off}: --wait with a longer time reads more")),
        (None, None) => Verdict::Well(well.to_owned()),
    }
}

fn with_people(facts: &Facts, judge: impl FnOnce(&People) -> Verdict) -> Verdict {
    match (&facts.users, &facts.groups) {
        (Some(Ok(())), Some(Ok(()))) if facts.people.users == 0 => after("AK206"),
        (Some(Ok(())), Some(Ok(()))) => judge(&facts.people),
        (Some(Ok(())), Some(Err(failed))) => after(code_of_list(failed).unwrap_or("AK207")),
        (Some(Err(failed)), _) => after(code_of_list(failed).unwrap_or("AK206")),
        (_, None) | (None, _) => after("AK202"),
    }
}
