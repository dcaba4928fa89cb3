//! A directory of any size for the benchmarks that need no server: rows as authentik sends them, the same every time.
//!
//! The shape is that of `akldap demo`: ten memberships a user, one of them in a group of everybody, and custom
//! attributes for every tenth user.

use std::sync::Arc;

use akldap_directory::{
    Builder, GroupRecord, Progress, Search, SearchControls, SearchOutcome, Snapshot, Tree, UserRecord, Viewer,
};
use akldap_ldap::message::{Message, Operation};

/// The base DN of the directory.
pub const BASE: &str = "DC=ldap,DC=goauthentik,DC=io";
/// Memberships of a user besides the one in the group of everybody.
const MEMBERSHIPS: usize = 9;

/// What a user's row is made from.
pub struct User {
    pub pk: i64,
    pub username: String,
    pub name: String,
    pub email: String,
    pub uuid: String,
    pub uid: String,
    pub attributes: String,
}

impl User {
    /// The user with this number, from 1.
    pub fn new(number: usize) -> Self {
        let username = format!("user{number:06}");
        Self {
            pk: number as i64 + 10,
            name: format!("User {number:06}"),
            email: format!("{username}@example.com"),
            uuid: format!(
                "{:08x}-1111-4222-8333-{number:012x}",
                number.wrapping_mul(2_654_435_761) & 0xffff_ffff
            ),
            uid: format!("{:016x}{number:048x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            attributes: if number.is_multiple_of(10) {
                format!(r#"{{"department":"D{}","employeeNumber":{number}}}"#, number % 97)
            } else {
                "{}".to_owned()
            },
            username,
        }
    }

    /// The row as it was parsed.
    pub fn record(&self) -> UserRecord<'_> {
        UserRecord {
            pk: self.pk,
            uuid: &self.uuid,
            uid: &self.uid,
            username: &self.username,
            name: &self.name,
            email: &self.email,
            is_active: true,
            is_superuser: false,
            path: "users",
            kind: "internal",
            roles: &[],
            attributes: Some(&self.attributes),
            // 2026-01-02T03:04:05.678901Z, 2025-01-02T03:04:05.678901Z and 2026-03-04T05:06:07.890123Z.
            password_change_date: Some(1_767_323_045_678_901),
            date_joined: Some(1_735_787_045_678_901),
            last_updated: Some(1_772_600_767_890_123),
        }
    }
}

/// A group's row.
pub struct Group {
    pub uuid: String,
    pub name: String,
    pub users: Vec<i64>,
    pub parents: Vec<String>,
}

impl Group {
    /// All groups: one of everybody, and a hundredth as many as users.
    pub fn all(users: usize) -> Vec<Self> {
        let count = (users / 100).max(20);
        let uuid = |number: usize| {
            format!(
                "{:08x}-5555-4666-8777-{number:012x}",
                number.wrapping_mul(2_246_822_519) & 0xffff_ffff
            )
        };
        let mut groups: Vec<Self> = (0..=count)
            .map(|number| Self {
                uuid: uuid(number),
                name: if number == 0 {
                    "everyone".to_owned()
                } else {
                    format!("group{number:04}")
                },
                users: Vec::new(),
                // Chains of ten groups, one below the other.
                parents: if number == 0 || number % 10 == 1 {
                    Vec::new()
                } else {
                    vec![uuid(number - 1)]
                },
            })
            .collect();
        for number in 1..=users {
            let pk = number as i64 + 10;
            groups[0].users.push(pk);
            for step in 0..MEMBERSHIPS.min(count) {
                groups[1 + (number * 7 + step * (step + 11)) % count]
                    .users
                    .push(pk);
            }
        }
        groups
    }

    /// The row as it was parsed.
    pub fn record(&self) -> GroupRecord<'_> {
        GroupRecord {
            uuid: &self.uuid,
            num_pk: Some(i64::from(u32::from_str_radix(&self.uuid[..8], 16).unwrap_or_default()) % 100_000),
            name: &self.name,
            is_superuser: false,
            parents: &self.parents,
            users: &self.users,
            roles: &[],
            attributes: Some("{}"),
        }
    }
}

/// A snapshot of this many users.
pub fn snapshot(users: usize) -> Arc<Snapshot> {
    let mut builder = Builder::new();
    for number in 1..=users {
        builder.add_user(&User::new(number).record());
    }
    Group::all(users)
        .iter()
        .for_each(|group| builder.add_group(&group.record()));
    Arc::new(builder.finish().unwrap().0)
}

/// Where the snapshot is in the tree.
pub fn tree() -> Arc<Tree> {
    Arc::new(Tree::new(BASE, 2000, 4000).expect("a sound base DN"))
}

/// Decodes a search request and answers all of it into `out`; the number of entries.
#[inline(never)] // So that a profile can be limited to it.
pub fn answer(snapshot: &Arc<Snapshot>, tree: &Arc<Tree>, request: &[u8], out: &mut Vec<u8>) -> u64 {
    let message = Message::decode(request).expect("a sound message");
    let Operation::Search(request) = &message.operation else {
        panic!("a search")
    };
    let controls = SearchControls::default();
    let search = Search::new(
        Arc::clone(snapshot),
        Arc::clone(tree),
        Viewer::Full,
        request,
        &controls,
    );
    let mut search = search.expect("a sound search");
    loop {
        match search.advance(out, message.message_id, usize::MAX, usize::MAX) {
            Progress::More => {}
            Progress::Done(SearchOutcome { entries, .. }) => return entries,
        }
    }
}
