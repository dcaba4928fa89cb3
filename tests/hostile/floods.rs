//! Floods of requests that have to wait for authentik: searches of somebody the directory lacks, and binds.

use akldap::simulator::{Fault, Rule};

use crate::client::Client;
use crate::process::Server;
use crate::stage::{BASE, user_dn};

/// Each took two kilobytes for as long as the look-up stalled.
const SEARCHES: usize = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn searches_of_somebody_whose_look_up_stalls_take_no_memory() {
    let server = Server::start(&[]).await;
    let pk = server.simulator.create_user("carol", "Carol", "");
    server.simulator.set_password(pk, "secret");
    let rule = Rule::new(&format!("/core/users/{pk}/"), Fault::Hang);
    server.simulator.faults().add(rule);
    let mut carol = Client::connect(server.ldap).await;
    assert_eq!(carol.bind(&user_dn("carol"), "secret").await.code, 0);
    for _ in 0..100 {
        assert_eq!(carol.subtree(BASE, "(cn=carol)", &[]).await.outcome.code, 52);
    }
    let before = server.usage();
    for _ in 0..SEARCHES {
        assert_eq!(carol.subtree(BASE, "(cn=carol)", &[]).await.outcome.code, 52);
    }
    // A task for each search would be 40 MB.
    server.assert_used(before, 60.0, 8 << 20);
    let mut honest = Client::connect(server.ldap).await;
    assert_eq!(honest.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}
