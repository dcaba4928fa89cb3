//! What these tests share: sample directories with other flows and modes, and passwords.

use akldap::config::StringMap;
use akldap_simulator::{Directory, Endpoint, Flow, Provider, Simulator, Stage as FlowStage};

use crate::client::Client;
use crate::stage::Stage;

/// The flow every provider of [`directory`] uses.
pub const FLOW: &str = "binds";
/// authentik's unbind flow that logs out.
pub const LOGOUT: &str = "default-invalidation-flow";

/// The recommended flow: password in the identification stage, then the login.
pub fn recommended() -> Vec<FlowStage> {
    vec![FlowStage::identification_with_password(), FlowStage::login()]
}

/// Identification and password one after the other, then the login.
pub fn separate() -> Vec<FlowStage> {
    vec![
        FlowStage::identification(),
        FlowStage::password(),
        FlowStage::login(),
    ]
}

/// The sample people with this bind mode and flow, and without unbind flow.
pub fn directory(mode: &str, stages: Vec<FlowStage>) -> Directory {
    let mut directory = Directory::sample(0, 0);
    directory
        .flows
        .insert(FLOW.into(), Flow::new(FLOW, "Binds", stages));
    change(&mut directory, |provider| {
        provider.bind_mode = mode.into();
        provider.bind_flow = FLOW.into();
        provider.unbind_flow = None;
    });
    directory
}

pub fn change(directory: &mut Directory, change: impl Fn(&mut Provider)) {
    directory.providers.values_mut().for_each(change);
}

/// A server of such a directory.
pub async fn stage(mode: &str, stages: Vec<FlowStage>, settings: &[(&str, &str)]) -> Stage {
    of(directory(mode, stages), settings).await
}

pub async fn of(directory: Directory, settings: &[(&str, &str)]) -> Stage {
    let stage = Stage::with(directory, |map: &mut StringMap| {
        for (name, value) in settings {
            map.set(format!("AUTHENTIK_LDAP__{name}"), *value);
        }
    })
    .await;
    stage.flow_known().await;
    stage
}

pub fn flow_requests(simulator: &Simulator) -> u64 {
    simulator.requests().count(Endpoint::FlowExecutor)
}

/// Binds under a name that a cache has never seen and that is still the same to authentik, which trims it.
pub fn alias(username: &str, number: usize) -> String {
    format!(
        "cn={username}{},ou=users,{}",
        "\\20".repeat(number),
        crate::stage::BASE
    )
}

/// Waits for the notice of disconnection and the end of the connection.
pub async fn assert_disconnected(client: &mut Client) {
    let notice = client.receive().await.expect("a notice");
    let ldap3_proto::proto::LdapOp::ExtendedResponse(notice) = notice.op else {
        panic!("{notice:?}")
    };
    assert_eq!(notice.name.as_deref(), Some("1.3.6.1.4.1.1466.20036"));
    assert!(
        client.receive().await.is_none(),
        "the connection ends after the notice"
    );
}
