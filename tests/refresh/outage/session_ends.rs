//! No end of a session is lost on its way from the websocket to the connection bound by it, whatever goes on meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use akldap_testing::scenery::{recommended, stage};
use akldap_testing::stage::{Stage, eventually, user_dn};

/// Connections at a time.
const CLIENTS: usize = 64;
/// An end that was not acted on by then, on however busy a machine, is lost: nothing else would end the connection.
const LOST: Duration = Duration::from_secs(90);
/// Ends of other people's sessions in one burst.
const STRANGERS: usize = 3_000;

struct Soak {
    stage: Stage,
    left: AtomicUsize,
    /// Binds whose session was ended before they were answered.
    overtaken: AtomicUsize,
    disconnected: AtomicUsize,
}

impl Soak {
    /// Binds again and again and waits each time until the server says that the login is over.
    async fn client(&self, number: usize) {
        const PEOPLE: [&str; 3] = ["alice", "bob", "ldapservice"];
        while self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
        {
            let person = PEOPLE[number % PEOPLE.len()];
            let mut client = self.stage.client().await;
            let outcome = client.bind(&user_dn(person), &format!("demo-{person}")).await;
            match outcome.code {
                0 => {
                    let over = tokio::time::timeout(LOST, client.receive()).await;
                    assert!(over.is_ok(), "the end of a session was lost");
                    self.disconnected.fetch_add(1, Ordering::SeqCst);
                }
                51 | 52 => {
                    self.overtaken.fetch_add(1, Ordering::SeqCst);
                }
                _ => panic!("{outcome:?}"),
            }
        }
    }

    /// Ends every session sooner or later: some as soon as they are there.
    async fn end_sessions(&self) {
        loop {
            for session in self.stage.simulator.sessions() {
                if fastrand::u8(..4) == 0 {
                    self.stage.simulator.delete_session(&session.sid);
                }
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..20))).await;
        }
    }

    /// Refreshes, other people's sessions, and now and then a gap in the stream.
    async fn disturb(&self, gaps: bool) {
        for round in 0_u32.. {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let simulator = &self.stage.simulator;
            let zoe = simulator.user_pk("zoë").unwrap();
            simulator.save_user(zoe, |user| user.name = format!("Zoë {round}").into());
            self.stage.server.outpost().refresh_requests().update();
            if round % 8 == 3 {
                for _ in 0..STRANGERS {
                    let id = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
                    simulator.send_frame(&format!(
                        r#"{{"instruction": 4, "args": {{"type": "event.session.end", "session_id": "{id}"}}}}"#
                    ));
                }
            }
            if gaps && round % 8 == 7 {
                simulator.recycle_worker();
            }
        }
    }
}

async fn soak(logins: usize, gaps: bool) {
    // Nothing but the events, and the look that follows a gap in them, ends a login here.
    let stage = stage("direct", recommended(), &[("ACCESS_RECHECK_INTERVAL", "0")]).await;
    eventually("the websocket is there", || stage.simulator.websockets() > 0).await;
    stage.simulator.requests().record(false);
    stage.simulator.disorder_session_ends(Duration::from_millis(400));
    let soak = Arc::new(Soak {
        stage,
        left: logins.into(),
        overtaken: 0.into(),
        disconnected: 0.into(),
    });
    let clients = (0..CLIENTS).map(|number| {
        let soak = Arc::clone(&soak);
        tokio::spawn(async move { soak.client(number).await })
    });
    let all = futures_util::future::try_join_all(clients);
    tokio::select! {
        done = all => drop(done.unwrap()),
        () = soak.end_sessions() => {}
        () = soak.disturb(gaps) => {}
    }
    let (overtaken, disconnected) = (
        soak.overtaken.load(Ordering::SeqCst),
        soak.disconnected.load(Ordering::SeqCst),
    );
    println!("{disconnected} connections ended, {overtaken} binds overtaken by their end");
    assert_eq!(overtaken + disconnected, logins);
    assert!(disconnected > logins / 4, "{disconnected} of {logins}");
}

/// How many logins; a variable asks for a long run.
fn logins(short: usize) -> usize {
    match std::env::var_os("AKLDAP_TEST_LONG") {
        Some(_) => 10_000,
        None => short,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_end_of_a_session_is_lost_beside_logins_and_refreshes() {
    soak(logins(1_200), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_when_the_stream_breaks_again_and_again() {
    soak(logins(300), true).await;
}
