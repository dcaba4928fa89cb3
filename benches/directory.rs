//! `cargo bench --bench directory [-- USERS…]`: CPU time of building a snapshot and of searching it, without sockets.
//! `cargo bench --bench directory -- shape [USERS]`: what a shape adds to building and to memory.
//!
//! Times are CPU time of this process, so that a busy machine disturbs them little; they still vary by a few percent.

#![allow(
    unreachable_pub,
    reason = "modules of a program; what is public in them is for the program"
)]

mod shape;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use akldap_authentik as authentik;
use akldap_directory::{Builder, Snapshot, Tree};
use akldap_workload::process::{self, CpuUse};
use akldap_workload::{sample, wire};
use ldap3_proto::proto::LdapSearchScope;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// CPU time every search is repeated for.
const LONG_ENOUGH: Duration = Duration::from_millis(300);
/// Rows of a page of JSON.
const PAGE: usize = 1000;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if shape::run(&arguments) {
        return;
    }
    let sizes: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() {
        vec![10_000, 100_000, 1_000_000]
    } else {
        sizes
    };
    println!(
        "| users | JSON to rows s | rows to builder s | finish s | all s | resident MB |\n| --: | --: | --: | --: | --: | --: |"
    );
    let mut snapshots = Vec::new();
    for users in &sizes {
        let built = build(*users);
        built.print(*users);
        snapshots.push(built.snapshot);
    }
    println!();
    let tree = sample::tree();
    print!("| search | entries |");
    sizes.iter().for_each(|users| print!(" µs at {users} users |"));
    println!("\n| --- | --: |{}", " --: |".repeat(sizes.len()));
    for (name, filter, attributes) in searches() {
        search_all(name, &filter, attributes, &snapshots, &tree);
    }
}

fn searches() -> Vec<(&'static str, String, &'static [&'static str])> {
    let group = |name: &str| format!("\"cn={name},ou=groups,{}\"", sample::BASE);
    vec![
        ("equality, all attributes", "(cn=user000500)".into(), &[]),
        (
            "equality, dn only",
            "(mail=user000500@example.com)".into(),
            &["1.1"],
        ),
        ("uid", format!("(uid={})", sample::User::new(500).uid), &[]),
        ("miss", "(cn=nobody)".into(), &[]),
        (
            "login filter",
            format!(
                "(&(objectClass=user)(|(cn=user000500)(mail=user000500))(memberOf={}))",
                group("everyone")
            ),
            &[],
        ),
        (
            "members of a group, cn",
            format!("(memberOf={})", group("group0001")),
            &["cn"],
        ),
        (
            "in chain, cn",
            format!(
                "(&(cn=user000500)(memberOf:1.2.840.113556.1.4.1941:={}))",
                group("group0001")
            ),
            &["cn"],
        ),
        ("prefix", "(displayName=\"User 00050*\")".into(), &["cn", "mail"]),
        ("substring", "(mail=*00050*)".into(), &["cn", "mail"]),
        (
            "substring of three parts, nothing found",
            "(mail=*a*b*c*)".into(),
            &["cn"],
        ),
        ("listing, all attributes", "(objectClass=user)".into(), &[]),
    ]
}

/// A snapshot, and what it took to build it.
struct Built {
    snapshot: Arc<Snapshot>,
    parsing: Duration,
    adding: Duration,
    finishing: Duration,
    resident: u64,
}

impl Built {
    fn print(&self, users: usize) {
        let Self {
            parsing,
            adding,
            finishing,
            resident,
            ..
        } = self;
        let all = *parsing + *adding + *finishing;
        println!(
            "| {users} | {:.2} | {:.2} | {:.2} | **{:.2}** | {:.0} |",
            parsing.as_secs_f64(),
            adding.as_secs_f64(),
            finishing.as_secs_f64(),
            all.as_secs_f64(),
            *resident as f64 / 1e6
        );
    }
}

/// Builds a snapshot from JSON as it is received, a page at a time.
fn build(users: usize) -> Built {
    let before = process::memory(std::process::id(), "VmRSS");
    let (mut parsing, mut adding) = (Duration::ZERO, Duration::ZERO);
    let mut builder = Builder::new();
    let mut number = 1;
    while number <= users {
        let last = (number + PAGE - 1).min(users);
        let rows: Vec<String> = (number..=last).map(user_json).collect();
        let page = format!("[{}]", rows.join(","));
        let (rows, took) = timed(|| serde_json::from_str::<Vec<authentik::User>>(&page).expect("sound rows"));
        parsing += took;
        let ((), took) = timed(|| rows.iter().for_each(|row| builder.add_user(&row_record(row))));
        adding += took;
        number = last + 1;
    }
    for group in sample::Group::all(users) {
        let json = group_json(&group);
        let (row, took) = timed(|| serde_json::from_str::<authentik::Group>(&json).expect("a sound row"));
        parsing += took;
        let parents: Vec<String> = row.parent_keys().map(str::to_owned).collect();
        let ((), took) = timed(|| {
            builder.add_group(&akldap_directory::GroupRecord {
                uuid: &row.pk,
                num_pk: row.num_pk,
                name: &row.name,
                is_superuser: row.is_superuser,
                parents: &parents,
                users: &row.users,
                roles: &[],
                attributes: row.attributes.as_ref().map(|attributes| attributes.get()),
            });
        });
        adding += took;
    }
    let ((snapshot, warnings), finishing) = timed(|| builder.finish().expect("sound"));
    assert!(
        warnings
            .iter()
            .all(|warning| matches!(warning, akldap_directory::Warning::GidNumberCollision { .. })),
        "{:?}",
        warnings.first()
    );
    let resident = process::memory(std::process::id(), "VmRSS").saturating_sub(before);
    Built {
        snapshot: Arc::new(snapshot),
        parsing,
        adding,
        finishing,
        resident,
    }
}

/// A user's row with what authentik sends besides what we need.
fn user_json(number: usize) -> String {
    let user = sample::User::new(number);
    let groups: Vec<String> = (0..10)
        .map(|group| format!("\"{group:08x}-5555-4666-8777-{number:012x}\""))
        .collect();
    format!(
        r#"{{"pk":{},"username":"{}","name":"{}","is_active":true,"last_login":null,"date_joined":"2025-01-02T03:04:05.678901Z","is_superuser":false,"groups":[{}],"groups_obj":null,"roles":[],"roles_obj":null,"email":"{}","avatar":"data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=","attributes":{},"uid":"{}","path":"users","type":"internal","uuid":"{}","password_change_date":"2026-01-02T03:04:05.678901Z","last_updated":"2026-03-04T05:06:07.890123Z"}}"#,
        user.pk,
        user.username,
        user.name,
        groups.join(","),
        user.email,
        user.attributes,
        user.uid,
        user.uuid
    )
}

fn group_json(group: &sample::Group) -> String {
    let record = group.record();
    let users: Vec<String> = group.users.iter().map(i64::to_string).collect();
    let parents: Vec<String> = group
        .parents
        .iter()
        .map(|parent| format!("\"{parent}\""))
        .collect();
    format!(
        r#"{{"pk":"{}","num_pk":{},"name":"{}","is_superuser":false,"parents":[{}],"parents_obj":null,"users":[{}],"users_obj":null,"attributes":{{}},"roles":[],"roles_obj":[],"inherited_roles_obj":[],"children":[],"children_obj":null}}"#,
        group.uuid,
        record.num_pk.expect("a number"),
        group.name,
        parents.join(","),
        users.join(",")
    )
}

/// As the refresh does it.
fn row_record(row: &authentik::User) -> akldap_directory::UserRecord<'_> {
    akldap_directory::UserRecord {
        pk: row.pk,
        uuid: &row.uuid,
        uid: &row.uid,
        username: &row.username,
        name: &row.name,
        email: &row.email,
        is_active: row.is_active,
        is_superuser: row.is_superuser,
        path: &row.path,
        kind: &row.kind,
        roles: &[],
        attributes: row.attributes.as_ref().map(|attributes| attributes.get()),
        password_change_date: row.password_change_date.micros(),
        date_joined: row.date_joined.micros(),
        last_updated: row.last_updated.micros(),
    }
}

fn search_all(name: &str, filter: &str, attributes: &[&str], snapshots: &[Arc<Snapshot>], tree: &Arc<Tree>) {
    let filter = ldap3_proto::parse_ldap_filter_str(filter).expect("a sound filter");
    let op = wire::search(
        &format!("ou=users,{}", sample::BASE),
        LdapSearchScope::Subtree,
        filter,
        attributes,
    );
    let mut request = Vec::new();
    wire::Encoded::new(op, vec![])
        .expect("encodes")
        .write(1, &mut request);
    let mut out = Vec::new();
    let (mut entries, mut times) = (Vec::new(), Vec::new());
    for snapshot in snapshots {
        entries.push(sample::answer(snapshot, tree, &request, &mut out).to_string());
        let (mut rounds, mut all, mut batch) = (0_u64, Duration::ZERO, 1_u64);
        while all < LONG_ENOUGH {
            let ((), took) = timed(|| {
                for _ in 0..batch {
                    out.clear();
                    black_box(sample::answer(snapshot, tree, &request, &mut out));
                }
            });
            (rounds, all) = (rounds + batch, all + took);
            batch = (batch * 2).min(10_000);
        }
        times.push(all.as_secs_f64() * 1e6 / rounds as f64);
    }
    entries.dedup();
    print!("| {name} | {} |", entries.join(", "));
    times.iter().for_each(|time| print!(" {time:.2} |"));
    println!();
}

/// What `work` returns, and the CPU time all threads took for it.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = CpuUse::of(std::process::id());
    let result = work();
    (result, before.until_now())
}
