//! The directory of a public report on the official outpost: 500,000 users, 2,020 groups and 1,712,147 memberships, or the same
//! at another size.
//!
//! Knows the numbers of that report and nothing of how a directory is served. The same users are in the same groups each time.

use uuid::Uuid;

use super::directory::Directory;
use super::sample::{add_access, add_own_accounts, named_uuid};
use super::users::{Password, User};

/// Users of the report.
pub const REPORT_USERS: usize = 500_000;
/// Name of the group that everybody is in.
pub const REPORT_EVERYBODY: &str = "everybody";
/// Groups of a tenth of the users each.
const SITES: usize = 5;
/// Groups of a two-hundredth of the users each: everybody is in one of them.
const TEAMS: usize = 200;
/// Groups without their own members, above the teams.
const DIVISIONS: usize = 20;
/// All other groups; how many members the smallest, the largest and all of them together have.
const OTHERS: usize = 1_794;
const OTHERS_SMALLEST: usize = 10;
const OTHERS_LARGEST: usize = 500;
const OTHERS_MEMBERS: usize = 462_147;

/// A group before it is made. Its members are found by steps of one length through all users.
struct Planned {
    name: String,
    parent: Option<String>,
    size: usize,
    first: usize,
    step: usize,
}

impl Planned {
    /// Positions of its members among all users, each once.
    fn members(&self, users: usize) -> impl Iterator<Item = usize> {
        let (first, step) = (self.first, self.step);
        (0..self.size).map(move |number| (first + number * step) % users.max(1))
    }
}

/// All groups of a directory of this many users, parents first.
fn plan(users: usize) -> Vec<Planned> {
    let users = users.max(1);
    let mut groups = vec![Planned {
        name: REPORT_EVERYBODY.to_owned(),
        parent: None,
        size: users,
        first: 0,
        step: 1,
    }];
    groups.extend((0..SITES).map(|number| Planned {
        name: format!("site-{}", number + 1),
        parent: None,
        size: users / 10,
        first: number,
        step: 10,
    }));
    groups.extend((0..DIVISIONS).map(|number| Planned {
        name: division(number),
        parent: None,
        size: 0,
        first: 0,
        step: 1,
    }));
    // One walk through all users, cut into pieces: whoever is in one team is in no other.
    let (size, step) = (users / TEAMS, coprime(mixed(0), users));
    groups.extend((0..TEAMS).map(|number| Planned {
        name: format!("team-{:03}", number + 1),
        parent: Some(division(number / (TEAMS / DIVISIONS))),
        size,
        first: number * size * step % users,
        step,
    }));
    groups.extend(
        other_sizes(users)
            .into_iter()
            .zip(1..)
            .map(|(size, number)| Planned {
                name: format!("group-{number:04}"),
                parent: None,
                size,
                first: mixed(2 * number) % users,
                step: coprime(mixed(2 * number + 1), users),
            }),
    );
    groups
}

fn division(number: usize) -> String {
    format!("division-{:02}", number + 1)
}

/// Sizes of the other groups: spread evenly, then each a little more or less until the sum is right.
fn other_sizes(users: usize) -> Vec<usize> {
    /// Has no factor in common with the number of groups, so that neighbours differ.
    const STRIDE: usize = 1_009;
    let scaled = |number: usize| (number * users / REPORT_USERS).max(1);
    let (smallest, largest) = (scaled(OTHERS_SMALLEST), scaled(OTHERS_LARGEST));
    let wanted = scaled(OTHERS_MEMBERS).clamp(OTHERS * smallest, smallest + (OTHERS - 1) * largest);
    let mut sizes: Vec<usize> = (0..OTHERS)
        .map(|number| smallest + (largest - smallest) * (number * STRIDE % OTHERS) / (OTHERS - 1))
        .collect();
    let mut sum: usize = sizes.iter().sum();
    // Within their bounds the sizes can reach any sum that was clamped to them.
    while sum != wanted {
        // The first stays the smallest.
        for size in sizes.iter_mut().skip(1) {
            if sum < wanted && *size < largest {
                (*size, sum) = (*size + 1, sum + 1);
            } else if sum > wanted && *size > smallest {
                (*size, sum) = (*size - 1, sum - 1);
            }
        }
    }
    sizes
}

/// A number below a million that looks random but is the same each time.
fn mixed(number: usize) -> usize {
    let mut mixed = (number as u64)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((mixed ^ (mixed >> 31)) % 1_000_000).unwrap_or_default()
}

/// The first number from `from` on that has no factor in common with `users`: steps of it meet each user once.
fn coprime(from: usize, users: usize) -> usize {
    let divisor = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (from.max(1)..)
        .find(|step| divisor(*step, users) == 1)
        .unwrap_or(1)
}

impl Directory {
    /// The directory of the report with this many users, the outpost's account and `ldapservice` among them, which may search
    /// everything; all others are `user000001…` with the password `demo-<username>`. It has 2,020 groups at any size: `everybody`,
    /// `site-1…`, `team-001…` below `division-01…`, and `group-0001…`, whose members are in proportion.
    pub fn report(users: usize) -> Self {
        let mut directory = Self::new();
        let groups = plan(users);
        let pks: Vec<Uuid> = groups
            .iter()
            .map(|group| directory.add_group(named_uuid("group", &group.name), &group.name))
            .collect();
        for (group, pk) in groups.iter().zip(&pks) {
            if let Some(parent) = &group.parent {
                directory.set_parents(*pk, &[named_uuid("group", parent)]);
            }
        }
        add_own_accounts(&mut directory);
        let missing = users.saturating_sub(directory.users().len());
        directory.reserve(missing);
        for number in 1..=missing {
            let username = format!("user{number:06}");
            let name = format!("User {number:06}");
            let mut user = User::new(
                directory.next_user_pk(),
                &username,
                &name,
                &format!("{username}@example.com"),
            );
            user.password = Password::Demo;
            directory.add_user(user);
        }
        // In the order of the users, so that each is appended to its groups.
        let mut memberships: Vec<(usize, usize)> = Vec::new();
        for (at, group) in groups.iter().enumerate() {
            memberships.extend(group.members(users).map(|user| (user, at)));
        }
        memberships.sort_unstable();
        let members: Vec<i32> = directory.users().iter().map(|user| user.pk).collect();
        for (user, group) in memberships {
            if let (Some(user), Some(group)) = (members.get(user), pks.get(group)) {
                directory.join(*user, *group);
            }
        }
        add_access(&mut directory);
        directory
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn has_the_numbers_of_the_report() {
        let groups = plan(REPORT_USERS);
        assert_eq!(groups.len(), 2_020);
        assert_eq!(groups.iter().map(|group| group.size).sum::<usize>(), 1_712_147);
        let of_size = |size: usize| groups.iter().filter(|group| group.size == size).count();
        assert_eq!(of_size(500_000), 1);
        assert_eq!(of_size(50_000), 5);
        assert_eq!(of_size(2_500), 200);
        assert_eq!(of_size(0), 20, "divisions have no members of their own");
        let others: Vec<usize> = groups
            .iter()
            .filter(|group| group.name.starts_with("group-"))
            .map(|group| group.size)
            .collect();
        assert_eq!(others.len(), 1_794);
        assert_eq!(
            (others.iter().min(), others.iter().max()),
            (Some(&10), Some(&500))
        );
        assert!(others.contains(&300), "the report asks for a group of 300");
        let parents: HashSet<&String> = groups.iter().filter_map(|group| group.parent.as_ref()).collect();
        assert_eq!(parents.len(), 20);
    }

    #[test]
    fn nobody_is_in_a_group_twice_and_everybody_in_one_team() {
        let mut teams = vec![0_u8; REPORT_USERS];
        for group in plan(REPORT_USERS) {
            let mut members: Vec<usize> = group.members(REPORT_USERS).collect();
            members.sort_unstable();
            members.dedup();
            assert_eq!(members.len(), group.size, "{}", group.name);
            if group.name.starts_with("team-") {
                members.iter().for_each(|user| teams[*user] += 1);
            }
        }
        assert!(teams.iter().all(|teams| *teams == 1));
    }

    #[test]
    fn at_any_size_what_is_served_is_what_was_planned() {
        for users in [7, 1_000] {
            let directory = Directory::report(users);
            assert_eq!(directory.users().len(), users);
            assert_eq!(directory.group_count(), 2_020);
            for group in plan(users) {
                let made = directory.group_named(&group.name).expect("it is there");
                assert_eq!(made.members.len(), group.size, "{users}: {}", group.name);
                assert_eq!(made.parents.len(), usize::from(group.parent.is_some()));
            }
        }
        let (directory, again) = (Directory::report(1_000), Directory::report(1_000));
        for (one, other) in directory.groups().zip(again.groups()) {
            assert_eq!((&one.name, &one.members), (&other.name, &other.members));
        }
        let memberships: usize = directory.users().iter().map(|user| user.groups.len()).sum();
        // 1,000 in all, five of 100, 200 of 5, and the smallest group there is 1,794 times.
        assert_eq!(memberships, 1_000 + 500 + 1_000 + 1_794);
        let service = directory.user_named("ldapservice").expect("the service account");
        assert!(directory.may_search(service.pk, 1));
    }

    #[test]
    fn a_million_have_twice_the_memberships() {
        let memberships: usize = plan(2 * REPORT_USERS).iter().map(|group| group.size).sum();
        assert_eq!(memberships, 2 * 1_712_147);
    }
}
