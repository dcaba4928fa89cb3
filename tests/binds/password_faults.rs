//! Every request of a password change with every fault: success is answered only if the new password is in effect, what may
//! have happened is never called a failure without saying so, and no password reaches the log.

use std::time::Duration;

use akldap_simulator::{Fault, Rule, When};
use ldap3_proto::proto::{LdapExtendedRequest, LdapOp};
use reqwest::Method;

use crate::lanes::{LaneOutcome, all_right};
use akldap_testing::captured_log::Log;
use akldap_testing::faults;
use akldap_testing::passwords::{Changed, answer, binds, bound, modify_password, stage};
use akldap_testing::scenery::{directory, separate};
use akldap_testing::stage::{Stage, entry_dn};

const SENTENCE: &str = "may or may not have been changed: try to bind with the new one";

/// How many cells there are on one stage at most.
const MOST_CELLS: usize = 32;

fn person(number: usize) -> String {
    format!("person-{number}")
}

/// How a change is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// One's own, in the session of the bind.
    Own,
    /// One's own, with the old password.
    OwnWithOld,
    /// By an agent.
    Agent,
}

/// The requests of a change, as rules can name them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ChangeRequest {
    /// The login that proves the old password.
    OldProof,
    /// When the password was last set, before and after.
    DateBefore,
    DateAfter,
    Settings,
    Configure,
    Challenge,
    Post,
    Follow,
    SetPassword,
    /// The login that proves the new password.
    NewProof,
}

impl How {
    fn requests(self) -> &'static [ChangeRequest] {
        match self {
            Self::Own => &[
                ChangeRequest::DateBefore,
                ChangeRequest::Settings,
                ChangeRequest::Configure,
                ChangeRequest::Challenge,
                ChangeRequest::Post,
                ChangeRequest::Follow,
                ChangeRequest::NewProof,
                ChangeRequest::DateAfter,
            ],
            Self::OwnWithOld => &[
                ChangeRequest::OldProof,
                ChangeRequest::DateBefore,
                ChangeRequest::Settings,
                ChangeRequest::Post,
                ChangeRequest::Follow,
                ChangeRequest::NewProof,
                ChangeRequest::DateAfter,
            ],
            Self::Agent => &[
                ChangeRequest::DateBefore,
                ChangeRequest::SetPassword,
                ChangeRequest::NewProof,
                ChangeRequest::DateAfter,
            ],
        }
    }
}

impl ChangeRequest {
    /// Spoils this request and those of its kind after it, so that no retry gets past it.
    fn rule(self, how: How, user_pk: i32, fault: Fault) -> Rule {
        // The proof of the old password takes two answers of the bind flow.
        let of_old = if how == How::OwnWithOld { 2 } else { 0 };
        match self {
            Self::OldProof => Rule::new("/flows/executor/binds/", fault).method(Method::POST),
            Self::DateBefore => Rule::new(&format!("/core/users/{user_pk}/"), fault).method(Method::GET),
            Self::DateAfter => Rule::new(&format!("/core/users/{user_pk}/"), fault)
                .method(Method::GET)
                .when(When::After(1)),
            Self::Settings => Rule::new("/stages/all/user_settings/", fault),
            Self::Configure => Rule::new("/flows/-/configure/", fault),
            Self::Challenge => Rule::new("/executor/default-password-change/", fault).method(Method::GET),
            Self::Post => Rule::new("/executor/default-password-change/", fault).method(Method::POST),
            Self::Follow => Rule::new("/executor/default-password-change/", fault)
                .method(Method::GET)
                .when(When::After(1)),
            Self::SetPassword => Rule::new("/set_password/", fault),
            Self::NewProof => Rule::new("/flows/executor/binds/", fault)
                .method(Method::POST)
                .when(When::After(of_old)),
        }
    }

    /// Whether the new password has been sent when this request leaves.
    fn is_late(self) -> bool {
        matches!(
            self,
            Self::Post | Self::Follow | Self::SetPassword | Self::NewProof | Self::DateAfter
        )
    }
}

fn faults() -> Vec<Fault> {
    let mut all = faults::of_every_request().to_vec();
    all.extend([
        Fault::AnonymousSession,
        Fault::Answer(200, "application/json", "{}"),
        Fault::Answer(429, "application/json", "{\"detail\":\"Request was throttled.\"}"),
        Fault::Answer(302, "text/html", ""),
    ]);
    all
}

struct ChangeLane {
    stage: Stage,
    how: How,
    users: usize,
}

impl ChangeLane {
    async fn new(how: How) -> Self {
        let settings = [
            ("REQUEST_TIMEOUT", "1s"),
            ("BIND_TIMEOUT", "6s"),
            ("FAILED_BIND_LIMIT", "0"),
            ("ACCESS_RECHECK_INTERVAL", "0"),
        ];
        let mut sample = directory("direct", separate());
        for number in 1..=MOST_CELLS {
            let mut user = sample.user_named("bob").unwrap().clone();
            (user.pk, user.username) = (sample.next_user_pk(), person(number).into());
            user.uuid = uuid::Uuid::from_u128(number as u128);
            user.uid = [0; 32];
            user.uid[..8].copy_from_slice(&number.to_be_bytes());
            sample.add_user(user);
        }
        let stage = stage(sample, "self-and-agents", &settings).await;
        Self { stage, how, users: 0 }
    }

    async fn ask(&self, user: &str, old: &str, new: &str, rule: Rule) -> Changed {
        let simulator = &self.stage.simulator;
        let who = match self.how {
            How::Agent => ("ldapservice", "demo-ldapservice"),
            How::Own | How::OwnWithOld => (user, old),
        };
        let mut client = bound(&self.stage, who.0, who.1).await;
        let rule = simulator.faults().add(rule);
        let changed = match self.how {
            How::Own => modify_password(&mut client, None, None, Some(new)).await,
            How::OwnWithOld => modify_password(&mut client, None, Some(old), Some(new)).await,
            How::Agent => modify_password(&mut client, Some(&entry_dn(user)), None, Some(new)).await,
        };
        simulator.faults().remove(rule);
        changed
    }

    async fn cell(&mut self, request: ChangeRequest, fault: &Fault) -> Result<(), String> {
        self.users += 1;
        // A user of its own: no cell is about what an earlier one left under way.
        assert!(self.users <= MOST_CELLS);
        let user = &person(self.users);
        let pk = self.stage.simulator.user_pk(user).unwrap();
        let (old, new) = (
            format!("Sesame-old-{}", self.users),
            format!("Sesame-new-{}", self.users),
        );
        self.stage.simulator.set_password(pk, &old);
        let changed = self
            .ask(user, &old, &new, request.rule(self.how, pk, fault.clone()))
            .await;
        let told = changed.message.contains(SENTENCE);
        let how = self.how;
        let wrong = |what: &str| Err(format!("{how:?} {request:?} {fault:?}: {what}: {changed:?}"));
        let in_force = binds(&self.stage, user, &new).await;
        let still = binds(&self.stage, user, &old).await;
        if ![0, 49].contains(&in_force) || (in_force == 0) == (still == 0) {
            return wrong(&format!(
                "afterwards the new one is {in_force} and the old one {still}"
            ));
        }
        if changed.code == 0 && in_force != 0 {
            return wrong("success that did not happen");
        }
        if changed.code != 0 && in_force == 0 && !told {
            return wrong("a change called a failure");
        }
        if told != (changed.code == 80) {
            return wrong("80 and the sentence belong together");
        }
        if told && !request.is_late() {
            return wrong("nothing had been sent");
        }
        // A flow that begins again after the answer has refused the login, as in every bind.
        let begins_again = request == ChangeRequest::OldProof && matches!(fault, Fault::Answer(302, ..));
        if changed.code == 49 && !begins_again {
            return wrong("no password was wrong");
        }
        if changed.message.contains("Sesame") || changed.message.contains("http") {
            return wrong("more than a client should know");
        }
        Ok(())
    }
}

async fn lane(how: How, faults: Vec<Fault>) -> LaneOutcome {
    let mut lane = ChangeLane::new(how).await;
    let (mut cells, mut wrong) = (0, Vec::new());
    for fault in faults {
        for request in how.requests() {
            cells += 1;
            if let Err(what) = lane.cell(*request, &fault).await {
                wrong.push(what);
            }
        }
    }
    (cells, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_success_that_did_not_happen_and_no_change_that_is_called_a_failure() {
    let mut lanes = Vec::new();
    for how in [How::Own, How::OwnWithOld, How::Agent] {
        lanes.extend(
            faults()
                .chunks(4)
                .map(|few| tokio::spawn(lane(how, few.to_vec()))),
        );
    }
    assert_eq!(all_right(lanes).await, faults().len() * (8 + 7 + 4));
}

#[tokio::test]
async fn no_password_of_a_change_reaches_the_log() {
    let (log, _guard) = Log::listen_at(tracing::Level::TRACE);
    for how in [How::Own, How::OwnWithOld, How::Agent] {
        let mut lane = ChangeLane::new(how).await;
        for fault in [
            Fault::Truncated,
            Fault::WorkerLost,
            Fault::BadGateway,
            Fault::Forbidden,
        ] {
            for request in how.requests() {
                lane.cell(*request, &fault).await.unwrap();
            }
        }
        let undisturbed = Rule::new("/nowhere/", Fault::Stall(Duration::ZERO));
        lane.stage
            .simulator
            .set_password(lane.stage.simulator.user_pk("alice").unwrap(), "Sesame-old");
        assert_eq!(
            lane.ask("alice", "Sesame-old", "Sesame-last", undisturbed)
                .await
                .code,
            0
        );
        // Refused ones, without TLS, and as no operation at all.
        let mut client = bound(&lane.stage, "alice", "Sesame-last").await;
        assert_eq!(
            modify_password(&mut client, None, Some("Sesame-wrong"), Some("Sesame-x"))
                .await
                .code,
            49
        );
        assert_eq!(
            modify_password(&mut client, None, None, Some("Sesame"))
                .await
                .code,
            19
        );
        let mut plain = lane.stage.client().await;
        assert_eq!(
            modify_password(&mut plain, None, None, Some("Sesame-clear"))
                .await
                .code,
            13
        );
        // What cannot be read may hold one, too.
        for client in [&mut plain, &mut client] {
            let request = LdapExtendedRequest {
                name: "1.3.6.1.4.1.4203.1.11.1".to_owned(),
                value: Some(b"\x30\x20\x82\x0eSesame-broken!".to_vec()),
            };
            client.send(LdapOp::ExtendedRequest(request), vec![]).await;
            assert!([2, 13].contains(&answer(client).await.code));
        }
        if how == How::Agent {
            let mut agent = bound(&lane.stage, "ldapservice", "demo-ldapservice").await;
            let generated = modify_password(&mut agent, Some(&entry_dn("bob")), None, None).await;
            let password = generated.generated().unwrap();
            assert!(!log.text().contains(&password));
        }
    }
    let text = log.text();
    assert!(text.contains("starting new connection") && text.contains("password change"));
    let line = text.lines().find(|line| line.contains("Sesame"));
    assert_eq!(line, None);
}
