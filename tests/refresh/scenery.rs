//! What these tests share: servers with short pages, and what authentik holds at a moment as a directory.

use std::sync::Arc;
use std::time::SystemTime;

use akldap::config::StringMap;
use akldap::outpost::records::{group_record, user_record};
use akldap_authentik::{Group, User};
use akldap_directory::{Builder, Snapshot};
use akldap_simulator::{Directory, Endpoint, Fault, Options, Rule, Simulator};

use akldap_testing::stage::{Stage, eventually};

/// A server of this directory, read in pages of this many rows.
pub async fn stage(directory: Directory, page_size: usize, settings: &[(&str, &str)]) -> Stage {
    let options = Options {
        record_requests: true,
        max_page_size: page_size,
        ..Options::default()
    };
    let simulator = Simulator::start(directory, options).await.unwrap();
    let stage = unready(simulator, settings).await;
    stage.ready().await;
    stage
}

/// The same, not necessarily ready.
pub async fn unready(simulator: Simulator, settings: &[(&str, &str)]) -> Stage {
    Stage::of(simulator, |map: &mut StringMap| {
        // Looks come when a test asks for them, however long it takes.
        map.set("AUTHENTIK_LDAP__REFRESH_DELTA_INTERVAL", "0");
        for (name, value) in settings {
            map.set(format!("AUTHENTIK_LDAP__{name}"), *value);
        }
    })
    .await
}

/// What authentik holds now, built by the plain way.
pub fn truth(simulator: &Simulator) -> Snapshot {
    let (users, groups) = simulator.lists();
    let users: Vec<User> = serde_json::from_str(&users).unwrap();
    let groups: Vec<Group> = serde_json::from_str(&groups).unwrap();
    let mut builder = Builder::new();
    for user in &users {
        builder.add_user(&user_record(user));
    }
    for group in &groups {
        builder.add_group(&group_record(group, &group.parents));
    }
    builder.finish().unwrap().0
}

pub fn served(stage: &Stage) -> Arc<Snapshot> {
    stage
        .server
        .outpost()
        .directory()
        .snapshot()
        .expect("a directory")
}

/// Whether what is served is what authentik holds.
pub fn is_current(stage: &Stage) -> bool {
    served(stage).fingerprint() == truth(&stage.simulator).fingerprint()
}

/// Has the changes looked at, and waits until that is done.
pub async fn update(stage: &Stage) {
    let asked = SystemTime::now();
    stage.server.outpost().refresh_requests().update();
    eventually("the changes were looked at", || {
        stage.server.outpost().status().directory().read > Some(asked)
    })
    .await;
}

/// From now on authentik shows single users and no list, so that what is right was not learnt from a list. Whoever counts
/// requests for lists counts also those that a busy machine leads to, by an event stream or a call that took too long.
pub fn without_lists(stage: &Stage) {
    for list in ["/core/users/?", "/core/groups/?"] {
        stage.simulator.faults().add(Rule::new(list, Fault::Forbidden));
    }
}

/// Pages of users and groups asked for so far.
pub fn pages(stage: &Stage) -> (u64, u64) {
    let requests = stage.simulator.requests();
    (
        requests.count(Endpoint::UserList),
        requests.count(Endpoint::GroupList),
    )
}
