//! Names that change and pass from one user to another: what a login just proved is what everybody is shown, and no two
//! users ever have one name.

use std::collections::BTreeMap;

use akldap_simulator::{Directory, Fault, Rule};

use crate::scenery::{is_current, served, stage, update, without_lists};
use akldap_testing::stage::{BASE, SUFFIX, Stage, eventually, user_dn};

const READER: &str = "ldapservice";

fn name_of(stage: &Stage, pk: i32) -> Option<String> {
    let snapshot = served(stage);
    let user = snapshot.user_by_pk(pk.into())?;
    Some(snapshot.user(user).unwrap().username.to_owned())
}

fn assert_unique(stage: &Stage, what: &str) {
    let snapshot = served(stage);
    let mut names = BTreeMap::new();
    for user in snapshot.users().map(|user| snapshot.user(user).unwrap()) {
        if let Some(other) = names.insert(user.username.to_owned(), user.pk) {
            panic!(
                "{what}: {other} and {} are both called {}",
                user.pk, user.username
            );
        }
    }
}

#[tokio::test]
async fn a_login_under_a_new_name_is_shown_under_it_at_once() {
    let stage = stage(Directory::sample(30, 3), 100, &[]).await;
    let pk = stage.simulator.user_pk("user000007").unwrap();
    assert!(stage.simulator.rename_user(pk, "renamed"));
    assert!(stage.simulator.set_password(pk, "secret"));
    let mut client = stage.client().await;
    let bound = client.bind(&user_dn("renamed"), "secret").await;
    assert_eq!(bound.code, 0, "{bound:?}");
    let own = client.who_am_i().await;
    let own = own.strip_prefix("dn:").unwrap();
    assert_eq!(own, format!("cn=renamed,ou=users,{SUFFIX}"));
    let found = client.subtree(own, "(objectClass=*)", &["cn"]).await;
    assert_eq!(
        (found.outcome.code, found.entries.len()),
        (0, 1),
        "{:?}",
        found.outcome
    );
    // And to everybody else.
    let mut reader = stage.bound(READER).await;
    for (name, count) in [("renamed", 1), ("user000007", 0)] {
        let filter = format!("(&(objectClass=user)(cn={name}))");
        assert_eq!(
            reader.subtree(BASE, &filter, &[]).await.entries.len(),
            count,
            "{name}"
        );
    }
    assert!(is_current(&stage));
}

/// Logs in, and returns the name in the answer to who am I.
async fn logs_in_as(stage: &Stage, name: &str) -> String {
    let mut client = stage.client().await;
    let bound = client.bind(&user_dn(name), "secret").await;
    assert_eq!(bound.code, 0, "{name}: {bound:?}");
    let own = client.who_am_i().await;
    let own = own.strip_prefix("dn:cn=").unwrap();
    own.strip_suffix(&format!(",ou=users,{SUFFIX}"))
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_fetch_that_fails_is_made_up_for_by_a_later_login() {
    let stage = stage(Directory::sample(30, 3), 100, &[]).await;
    let pk = stage.simulator.user_pk("user000007").unwrap();
    assert!(stage.simulator.set_password(pk, "secret"));
    without_lists(&stage);
    let mut shown = "user000007";
    for name in ["first", "second", "first"] {
        assert!(stage.simulator.rename_user(pk, name));
        let rule = stage
            .simulator
            .faults()
            .add(Rule::new(&format!("/core/users/{pk}/"), Fault::BadGateway));
        assert_eq!(logs_in_as(&stage, name).await, shown, "nothing else is known");
        stage.simulator.faults().remove(rule);
        // Whoever could not be fetched is left alone for a moment.
        for _ in 0..1000 {
            if logs_in_as(&stage, name).await == name {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(name_of(&stage, pk).as_deref(), Some(name));
        shown = name;
    }
    // And to names that it had before, where no fetch fails.
    for name in ["user000007", "second", "first"] {
        assert!(stage.simulator.rename_user(pk, name));
        assert_eq!(logs_in_as(&stage, name).await, name);
    }
}

#[tokio::test]
async fn who_gets_a_name_gets_its_entry_and_who_had_it_keeps_their_own() {
    let stage = stage(Directory::sample(30, 3), 100, &[]).await;
    let simulator = &stage.simulator;
    let former = simulator.user_pk("user000007").unwrap();
    let heir = simulator.user_pk("user000008").unwrap();
    assert!(simulator.rename_user(former, "moved-on"));
    assert!(simulator.rename_user(heir, "user000007"));
    assert!(simulator.set_password(heir, "heir"));
    let mut client = stage.client().await;
    assert_eq!(client.bind(&user_dn("user000007"), "heir").await.code, 0);
    let mut reader = stage.bound(READER).await;
    let found = reader
        .subtree(
            BASE,
            "(&(objectClass=user)(cn=user000007))",
            &["uidNumber", "mail"],
        )
        .await;
    assert_eq!(found.entries.len(), 1, "one entry of one name");
    let snapshot = served(&stage);
    let number = |pk: i32| {
        snapshot
            .user_by_pk(pk.into())
            .map(|user| snapshot.user(user).unwrap().pk)
    };
    assert_eq!(number(heir), Some(heir.into()));
    assert_eq!(name_of(&stage, heir).as_deref(), Some("user000007"));
    assert_eq!(
        name_of(&stage, former).as_deref(),
        Some("moved-on"),
        "fetched with the heir"
    );
    assert!(is_current(&stage));
}

#[tokio::test]
async fn twins_by_case_are_two_users() {
    let stage = stage(Directory::sample(10, 2), 100, &[]).await;
    let upper = stage.simulator.create_user("TWIN", "Upper", "");
    let lower = stage.simulator.create_user("twin", "Lower", "");
    update(&stage).await;
    assert_eq!(name_of(&stage, upper).as_deref(), Some("TWIN"));
    assert_eq!(name_of(&stage, lower).as_deref(), Some("twin"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_names_do_a_login_is_right_and_no_name_is_there_twice() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let stage = stage(Directory::sample(30, 2), 100, &[]).await;
        let names = |number: usize| format!("user{number:06}");
        let mut pks = Vec::new();
        for number in 11..=15 {
            let name = names(number);
            pks.push(stage.simulator.user_pk(&name).unwrap());
        }
        let now = |pk: i32| {
            stage
                .simulator
                .look(|directory| directory.user(pk).unwrap().username.to_string())
        };
        let password = |pk: i32| format!("secret-{pk}");
        for pk in &pks {
            assert!(stage.simulator.set_password(*pk, &password(*pk)));
        }
        let (mut history, mut free) = (Vec::new(), Vec::new());
        for step in 0..30 {
            let pk = pks[random.usize(..pks.len())];
            let what = match random.u8(..8) {
                0..3 => {
                    let old = now(pk);
                    let new = match random.bool() {
                        true if !free.is_empty() => free.swap_remove(random.usize(..free.len())),
                        _ => format!("name-{step}"),
                    };
                    assert!(stage.simulator.rename_user(pk, &new));
                    free.push(old.clone());
                    format!("{pk}: {old} is {new}")
                }
                3 => {
                    update(&stage).await;
                    "changes".to_owned()
                }
                4 => {
                    stage.refresh().await;
                    "all".to_owned()
                }
                5 => {
                    // A look under way may have read what the login then contradicts.
                    stage.server.outpost().refresh_requests().update();
                    "a look".to_owned()
                }
                _ => {
                    let name = now(pk);
                    let answer = stage.bind(&user_dn(&name), &password(pk)).await;
                    assert_eq!(answer.code, 0, "seed {seed}: {history:#?}: {name}");
                    let shown = name_of(&stage, pk);
                    assert_eq!(shown.as_deref(), Some(name.as_str()), "seed {seed}: {history:#?}");
                    format!("{pk} logs in as {name}")
                }
            };
            history.push(what);
            assert_unique(&stage, &format!("seed {seed}: {history:#?}"));
        }
        update(&stage).await;
        eventually("all is as authentik has it", || is_current(&stage)).await;
    }
}
