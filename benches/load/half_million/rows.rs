//! What is asked in the rows, and what the report says of each.

use akldap_simulator::{Directory, REPORT_EVERYBODY};
use anyhow::Context;
use ldap3_proto::proto::{LdapFilter, LdapSearchScope};

use akldap_testing::released::{BASE, user_dn};
use akldap_workload::wire::{self, Encoded};

/// Different users who are asked for.
const POOL: usize = 4096;
/// Members of the small group.
const SMALL: usize = 300;

/// The report's figures, p50 at the client: in words for the table, in seconds for the chart, 0 where there is none.
#[derive(Clone, Copy, Default)]
pub(super) struct Reported {
    pub(super) shipped: &'static str,
    pub(super) fixed: &'static str,
    pub(super) shipped_s: f64,
    pub(super) fixed_s: f64,
}

const fn reported(
    (shipped, shipped_s): (&'static str, f64),
    (fixed, fixed_s): (&'static str, f64),
) -> Reported {
    Reported {
        shipped,
        fixed,
        shipped_s,
        fixed_s,
    }
}

pub(super) const FIRST_BIND: Reported = reported(("3.5 s", 3.5), ("2.8 s", 2.8));
pub(super) const REPEATED_BIND: Reported = reported(("3.5 s", 3.5), ("0 ms", 0.0));
pub(super) const WRONG_PASSWORD: Reported = reported(("1.5 s", 1.5), ("1.4 s", 1.4));
pub(super) const BINDS_AT_ONCE: Reported =
    reported(("3.7 a second, p95 7.3 s", 0.0), ("4.6 a second, p95 5.2 s", 0.0));

/// A group of the directory, and how many are in it.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    members: usize,
}

/// Names of the directory.
#[derive(Clone, Debug)]
pub(super) struct Names {
    users: usize,
    /// As many as are picked: number and `uid`.
    picked: Vec<(usize, String)>,
    /// The group whose members are nearest to 300, one of a two-hundredth, and that of everybody.
    pub(super) small: Named,
    team: Named,
    everybody: Named,
    groups: usize,
}

impl Names {
    pub(super) fn of(directory: &Directory) -> Self {
        let named = |group: &akldap_simulator::Group| Named {
            name: group.name.to_string(),
            members: group.member_count(),
        };
        let of_name = |name: &str| {
            directory
                .group_named(name)
                .map(named)
                .expect("a group of the report")
        };
        let small = directory
            .groups()
            .filter(|group| group.name.starts_with("group-"))
            .min_by_key(|group| group.member_count().abs_diff(SMALL))
            .map(named)
            .expect("small groups");
        // The accounts of the outpost and for searching come first.
        let users = directory.users().len().saturating_sub(2);
        let mut random = fastrand::Rng::with_seed(5);
        let picked = (0..POOL)
            .filter_map(|_| {
                let number = random.usize(1..=users.max(1));
                let user = directory.user_named(&user_name(number))?;
                Some((number, user.uid_hex()))
            })
            .collect();
        Self {
            users,
            picked,
            small,
            team: of_name("team-001"),
            everybody: of_name(REPORT_EVERYBODY),
            groups: directory.group_count(),
        }
    }

    /// The user of this number; after the last one they begin again.
    pub(super) fn user(&self, number: usize) -> String {
        user_name((number - 1) % self.users.max(1) + 1)
    }
}

fn user_name(number: usize) -> String {
    format!("user{number:06}")
}

/// A row of searches.
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) requests: Vec<Encoded>,
    /// Entries that each must find, where all find as many.
    pub(super) entries: Option<u64>,
    /// Takes so long that it is asked a few times only.
    pub(super) heavy: bool,
    pub(super) reported: Reported,
}

fn users_base() -> String {
    format!("ou=users,{BASE}")
}

fn groups_base() -> String {
    format!("ou=groups,{BASE}")
}

fn equals(attribute: &str, value: &str) -> LdapFilter {
    LdapFilter::Equality(attribute.to_owned(), value.to_owned())
}

fn request(base: &str, scope: LdapSearchScope, filter: LdapFilter) -> anyhow::Result<Encoded> {
    Ok(Encoded::new(wire::search(base, scope, filter, &[]), vec![])?)
}

fn below(base: &str, filter: LdapFilter) -> anyhow::Result<Encoded> {
    request(base, LdapSearchScope::Subtree, filter)
}

/// A search for all users and groups.
pub(super) fn everything() -> anyhow::Result<Encoded> {
    below(BASE, LdapFilter::Present("objectClass".to_owned()))
}

/// All rows of searches, in the order of the report.
pub(super) fn searches(names: &Names) -> anyhow::Result<Vec<Asked>> {
    let users = users_base();
    let each = |filter: &dyn Fn(&str, &str) -> LdapFilter| {
        let requests = names.picked.iter().map(|(number, uid)| {
            let name = user_name(*number);
            below(&users, filter(&name, uid))
        });
        requests.collect::<anyhow::Result<Vec<Encoded>>>()
    };
    let mail = |name: &str| equals("mail", &format!("{name}@example.com"));
    let look_up = |name: &str, requests, reported| Asked {
        name: name.to_owned(),
        requests,
        entries: Some(1),
        heavy: false,
        reported,
    };
    let base_reads = names.picked.iter().map(|(number, _)| {
        let filter = LdapFilter::Present("objectClass".to_owned());
        request(&user_dn(&user_name(*number)), LdapSearchScope::Base, filter)
    });
    let base_reads = base_reads.collect::<anyhow::Result<Vec<Encoded>>>()?;
    let mut rows = vec![
        look_up(
            "`(cn=x)`",
            each(&|name, _| equals("cn", name))?,
            reported(("341 ms", 0.341), ("< 1 ms", 0.001)),
        ),
        look_up(
            "`(&(objectClass=user)(cn=x))`",
            each(&|name, _| LdapFilter::And(vec![equals("objectClass", "user"), equals("cn", name)]))?,
            Reported::default(),
        ),
        look_up(
            "`(mail=x)`",
            each(&|name, _| mail(name))?,
            reported(("403 ms", 0.403), ("< 1 ms", 0.001)),
        ),
        look_up(
            "base read of a user",
            base_reads,
            reported(("2.05 s", 2.05), ("< 1 ms", 0.001)),
        ),
        look_up(
            "`(uid=x)`",
            each(&|_, uid| equals("uid", uid))?,
            reported(("download of all users", 0.0), ("2.6 s", 2.6)),
        ),
        look_up(
            "`(|(uid=x)(mail=x))`",
            each(&|name, uid| LdapFilter::Or(vec![equals("uid", uid), mail(name)]))?,
            reported(("download of all users", 0.0), ("2.8 s", 2.8)),
        ),
    ];
    let groups = groups_base();
    for (group, reported) in [
        (&names.small, reported(("273 ms", 0.273), ("< 1 ms", 0.001))),
        (&names.team, reported(("387 ms", 0.387), ("3 ms", 0.003))),
        (&names.everybody, reported(("22.7 s", 22.7), ("435 ms", 0.435))),
    ] {
        rows.push(Asked {
            name: format!("group of {} by name", group.members),
            heavy: group.members > 10_000,
            ..look_up("", vec![below(&groups, equals("cn", &group.name))?], reported)
        });
    }
    let members = names
        .picked
        .iter()
        .take(64)
        .map(|(number, _)| below(&groups, equals("member", &user_dn(&user_name(*number)))));
    let dn_of_small = format!("cn={},{groups}", names.small.name);
    let count = |number: usize| u64::try_from(number).context("too many");
    rows.extend([
        Asked {
            name: "groups `(member=cn=x,…)`".to_owned(),
            requests: members.collect::<anyhow::Result<_>>()?,
            entries: None,
            heavy: true,
            reported: reported(("24.3 s", 24.3), ("52 ms", 0.052)),
        },
        Asked {
            name: format!("users `(memberOf=…)` of a group of {}", names.small.members),
            requests: vec![below(&users, equals("memberOf", &dn_of_small))?],
            // One more than were planned: the change that was looked at.
            entries: None,
            heavy: false,
            reported: reported(("83.9 s, p95 138 s", 83.9), ("2 ms", 0.002)),
        },
        Asked {
            name: "all users, all attributes".to_owned(),
            requests: vec![below(&users, equals("objectClass", "user"))?],
            entries: Some(count(names.users + 2)?),
            heavy: true,
            reported: reported(("download", 0.0), ("4.9 s", 4.9)),
        },
        Asked {
            name: "all groups, all attributes".to_owned(),
            requests: vec![below(&groups, equals("objectClass", "group"))?],
            entries: Some(count(names.groups)?),
            heavy: true,
            reported: reported(("84.8 s", 84.8), ("216 ms", 0.216)),
        },
    ]);
    Ok(rows)
}
