//! Floods of requests that have to wait for authentik: searches of somebody the directory lacks, and binds.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use akldap_simulator::{Endpoint, Fault, Rule};
use ldap3_proto::proto::{LdapBindCred, LdapBindRequest, LdapOp};
use tokio::net::TcpSocket;
use tokio::time::sleep;

use crate::hostile::process::Server;
use akldap_testing::client::Client;
use akldap_testing::stage::{BASE, user_dn};

/// Each took two kilobytes for as long as the look-up stalled.
const SEARCHES: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn searches_of_somebody_whose_look_up_stalls_take_no_memory() {
    let server = Server::start(&[]).await;
    // No look at the directory's changes finds her either, however long it all takes.
    let looks = Rule::new("/core/users/?", Fault::Hang);
    server.simulator.faults().add(looks);
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
    // A task for each search would be 20 MB.
    server.assert_used(before, 60.0, 8 << 20);
    let mut honest = Client::connect(server.ldap).await;
    assert_eq!(honest.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}

/// People of the sample directory who log in for the first time while a flood goes on.
const HONEST: usize = 40;

/// Sends a bind from an address that no honest client has, and hangs up 10 ms later.
async fn bind_and_go(server: SocketAddr, name: &str, secret: String) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 66, 6, 6), 0)))?;
    let mut client = Client::over(Box::new(socket.connect(server).await?));
    let request = LdapBindRequest {
        dn: user_dn(name),
        cred: LdapBindCred::Simple(secret),
        version: 3,
    };
    client.send(LdapOp::BindRequest(request), vec![]).await;
    sleep(Duration::from_millis(10)).await;
    Ok(())
}

/// First logins of honest people during about 190 bad binds a second; how many bad binds there were, and how many
/// requests of flows authentik received for them.
async fn honest_beside_bad_binds(
    server: &Server,
    name: impl Fn(usize) -> String + Send + 'static,
) -> (usize, u64) {
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let flood = tokio::spawn({
        let (stop, sent, ldap) = (Arc::clone(&stop), Arc::clone(&sent), server.ldap);
        async move {
            while !stop.load(Ordering::Relaxed) {
                let number = sent.fetch_add(1, Ordering::Relaxed);
                let name = name(number);
                tokio::spawn(async move {
                    // An attacker does not mind.
                    let _ = bind_and_go(ldap, &name, format!("wrong{number}")).await;
                });
                sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let flows = || server.simulator.requests().count(Endpoint::FlowExecutor);
    let before = flows();
    sleep(Duration::from_millis(500)).await;
    for number in 1..=HONEST {
        let name = format!("user{number:06}");
        let mut honest = Client::connect(server.ldap).await;
        let outcome = honest.bind(&user_dn(&name), &format!("demo-{name}")).await;
        assert_eq!(outcome.code, 0, "{name}: {outcome:?}");
        sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, Ordering::Relaxed);
    flood.await.unwrap();
    // A first login takes two requests of a flow, three if the flow has to begin again.
    let honest = 3 * HONEST as u64;
    (
        sent.load(Ordering::Relaxed),
        (flows() - before).saturating_sub(honest),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_first_logins_beside_bad_binds_for_one_name() {
    let server = Server::start(&[]).await;
    server.simulator.faults().set_latency(Duration::from_millis(30));
    let before = server.usage();
    let (bad, asked) = honest_beside_bad_binds(&server, |_| "alice".to_owned()).await;
    println!("{bad} bad binds, {asked} requests for them");
    assert!(bad > 100, "{bad}");
    // Twenty guesses, two or three requests each.
    assert!(asked <= 60, "{asked} requests for {bad} bad binds");
    server.assert_used(before, 60.0, 64 << 20);
    // From elsewhere alice logs in as usual.
    let mut alice = Client::connect(server.ldap).await;
    assert_eq!(alice.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_first_logins_beside_bad_binds_for_many_names() {
    let server = Server::start(&[]).await;
    server.simulator.faults().set_latency(Duration::from_millis(30));
    let before = server.usage();
    let (bad, _) = honest_beside_bad_binds(&server, |number| format!("nobody{number}")).await;
    assert!(bad > 100, "{bad}");
    server.assert_used(before, 60.0, 64 << 20);
}
