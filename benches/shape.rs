//! What a shape costs in addition to the directory as it is loaded: eight templates, memberships inherited through ten levels,
//! and users shown by a group. Each in a process of its own, since memory that was given back is not always seen to be.

use std::process::Command;
use std::time::Duration;

use akldap_directory::shape::visibility::{About, Visibility, conditions};
use akldap_directory::shape::{Made, Membership, RecordKind, Show, Template};
use akldap_directory::{Shape, Snapshot};
use akldap_workload::process;

use super::{build, timed};

/// The argument that asks for one of them.
const CHILD: &str = "--one-shape";

const TEMPLATES: [(&str, &str); 8] = [
    ("uid", "{{ username }}"),
    ("givenName", "{{ name | split | first }}"),
    ("sn", "{{ name | split | last }}"),
    ("userPrincipalName", "{{ username }}@example.com"),
    ("homeDirectory", "/srv/home/{{ username }}"),
    ("loginShell", "{{ attributes.shell | default('/bin/bash') }}"),
    ("gecos", "{{ name | ascii }},,,"),
    ("employeeType", "{{ type }}"),
];

/// The group whose members are shown.
const GROUPS: [(&str, &str); 3] = [
    ("as loaded", ""),
    ("shaped, all users shown", "everyone"),
    ("shaped, the users of one group shown", "group0001"),
];

fn shape(group: &str) -> Option<Shape> {
    if group.is_empty() {
        return None;
    }
    let mut shape = Shape {
        visible_users: Visibility {
            shown: conditions(&format!("group:{group}"), About::Users).expect("a condition"),
            ..Visibility::default()
        },
        membership: Membership::Inherited,
        ..Shape::default()
    };
    for (name, template) in TEMPLATES {
        let made = Made {
            templates: vec![Template::new(template, RecordKind::User).expect("a template")],
            syntax: None,
            operational: false,
        };
        shape.users.set(name, Show::Made(made)).expect("an attribute");
    }
    Some(shape)
}

/// Compares them, or is one of them. False if neither was asked for.
pub fn run(arguments: &[String]) -> bool {
    match arguments {
        [child, users, group] if child == CHILD => one(users.parse().unwrap_or(1000), group),
        [shape, users @ ..] if shape == "shape" => {
            compare(users.first().map_or("100000", String::as_str));
        }
        _ => return false,
    }
    true
}

/// Prints CPU milliseconds from JSON to a directory that can be searched, and kB of memory then.
fn one(users: usize, group: &str) {
    let ((base, shaped), took) = timed(|| {
        let base = build(users).snapshot;
        let shaped = shape(group).map(|shape| base.shaped(&shape).expect("a sound directory").0);
        let searched: &Snapshot = shaped.as_ref().unwrap_or(&base);
        searched.warm_usual();
        (base, shaped)
    });
    let resident = process::memory(std::process::id(), "VmRSS");
    let shown = shaped.as_ref().map_or(base.user_count(), Snapshot::user_count);
    println!("{} {} {shown}", took.as_millis(), resident / 1000);
}

fn compare(users: &str) {
    let program = std::env::current_exe().expect("this program");
    println!(
        "| {users} users | shown | build, CPU s | | resident MB | |\n| --- | --: | --: | --: | --: | --: |"
    );
    let mut first = None;
    for (name, group) in GROUPS {
        let output = Command::new(&program).args([CHILD, users, group]).output();
        let output = String::from_utf8_lossy(&output.expect("it runs").stdout).into_owned();
        let numbers: Vec<u64> = output
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [took, resident, shown] = numbers[..] else {
            panic!("{name}: {output:?}");
        };
        let (before, before_resident) = *first.get_or_insert((took, resident));
        let more = |now: u64, before: u64| (now as f64 / before as f64 - 1.0) * 100.0;
        println!(
            "| {name} | {shown} | {:.2} | {:+.0} % | {:.0} | {:+.0} % |",
            Duration::from_millis(took).as_secs_f64(),
            more(took, before),
            resident as f64 / 1000.0,
            more(resident, before_resident)
        );
    }
}
