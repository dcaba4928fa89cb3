//! Every request of a bind with every fault, in both bind modes, after every kind of bind before: success is answered
//! only if every answer was right, and an outage is never a wrong password.

use std::time::Duration;

use akldap_simulator::{Endpoint, Fault, Rule, When, demo_secrets, totp_code};
use reqwest::Method;

use crate::lanes::{LaneOutcome, all_right};
use akldap_testing::client::{Client, Outcome};
use akldap_testing::faults;
use akldap_testing::scenery::{alias, directory, flow_requests, of, separate, stage};
use akldap_testing::stage::{Stage, eventually, user_dn};

const PASSWORD: &str = "correct horse";

/// The requests of a bind through identification, password and login, as rules can name them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Request {
    FirstChallenge,
    Identification,
    SecondChallenge,
    Password,
    End,
    CheckAccess,
    UsersMe,
}

const REQUESTS: [Request; 7] = [
    Request::FirstChallenge,
    Request::Identification,
    Request::SecondChallenge,
    Request::Password,
    Request::End,
    Request::CheckAccess,
    Request::UsersMe,
];

impl Request {
    /// Spoils this request and those of its kind after it, so that no retry gets past it.
    fn rule(self, fault: Fault) -> Rule {
        let flow = |method, earlier| {
            Rule::new("/flows/executor/binds/", fault.clone())
                .method(method)
                .when(When::After(earlier))
        };
        match self {
            Self::FirstChallenge => flow(Method::GET, 0),
            Self::Identification => flow(Method::POST, 0),
            Self::SecondChallenge => flow(Method::GET, 1),
            Self::Password => flow(Method::POST, 1),
            Self::End => flow(Method::GET, 2),
            Self::CheckAccess => Rule::new("/check_access/", fault),
            Self::UsersMe => Rule::new("/core/users/me/", fault),
        }
    }

    /// How many requests come before it in a bind.
    fn position(self) -> u64 {
        REQUESTS.iter().position(|request| *request == self).unwrap() as u64
    }
}

#[derive(Clone, Debug)]
enum Disturbance {
    /// Nothing listens any more from this request on.
    Refused,
    Spoiled(Fault),
}

fn disturbances() -> Vec<Disturbance> {
    let mut all = vec![Disturbance::Refused];
    all.extend(faults::of_every_request().map(Disturbance::Spoiled));
    all.extend([Fault::AnonymousSession, Fault::PassingForAnyone].map(Disturbance::Spoiled));
    all
}

/// What may be answered when this request is disturbed like this. Zero only if the fault spoils nothing.
fn allowed(request: Request, disturbance: &Disturbance) -> &'static [i32] {
    let on_get = matches!(
        request,
        Request::FirstChallenge | Request::SecondChallenge | Request::End
    );
    let redirect = matches!(request, Request::Identification | Request::Password);
    match (disturbance, request) {
        // The flow ends and nobody is logged in: it is broken.
        (Disturbance::Spoiled(Fault::AnonymousSession), _) if on_get => &[52],
        (Disturbance::Spoiled(Fault::AnonymousSession | Fault::PassingForAnyone), _) => &[0],
        // The answer to a right identification or password is a redirect, which has no body to spoil.
        (Disturbance::Spoiled(Fault::EmptyBody | Fault::Truncated | Fault::WrongContentType), _)
            if redirect =>
        {
            &[0]
        }
        (Disturbance::Spoiled(Fault::BrokenOff), _) if redirect => &[0, 51, 52, 80],
        // authentik's own statement that this session belongs to nobody.
        (Disturbance::Spoiled(Fault::Forbidden | Fault::NotFound), Request::UsersMe) => &[1],
        _ => &[51, 52, 80],
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Nothing,
    Success,
    Failure,
}

/// One server; cells one after the other, each with its own user whom the directory does not know yet, so that
/// `users/me` is part of the bind.
struct Lane {
    stage: Stage,
    before: Before,
    users: usize,
}

impl Lane {
    async fn new(mode: &str, before: Before) -> Self {
        let settings = [
            ("REQUEST_TIMEOUT", "1s"),
            ("BIND_TIMEOUT", "5s"),
            ("FLOW_QUEUE_TIMEOUT", "5s"),
            // The users of the cells must stay unknown.
            ("REFRESH_DELTA_INTERVAL", "0"),
        ];
        let stage = of(directory(mode, separate()), &settings).await;
        Self {
            stage,
            before,
            users: 0,
        }
    }

    fn create_user(&mut self) -> String {
        self.users += 1;
        let name = format!("fresh{}", self.users);
        let pk = self.stage.simulator.create_user(&name, "Fresh", "");
        self.stage.simulator.set_password(pk, PASSWORD);
        // It must stay unknown to the directory, so that each bind has to ask who it is.
        self.stage
            .simulator
            .faults()
            .add(Rule::new(&format!("/core/users/{pk}/"), Fault::NotFound));
        name
    }

    /// Makes the outpost forget how the flow begins, so that the next bind asks for the first challenge.
    async fn forget_opening(&self) {
        let rule = self
            .stage
            .simulator
            .faults()
            .add(Rule::new("/flows/executor/", Fault::Forbidden));
        assert_eq!(self.stage.bind(&user_dn("alice"), "demo-alice").await.code, 80);
        self.stage.simulator.faults().remove(rule);
    }

    async fn bind(
        &self,
        client: &mut Client,
        dn: &str,
        password: &str,
        request: Request,
        disturbance: &Disturbance,
    ) -> Outcome {
        let simulator = &self.stage.simulator;
        match disturbance {
            Disturbance::Spoiled(fault) => {
                let rule = simulator.faults().add(request.rule(fault.clone()));
                let outcome = client.bind(dn, password).await;
                simulator.faults().remove(rule);
                outcome
            }
            Disturbance::Refused => {
                simulator.requests().clear();
                let rule = simulator
                    .faults()
                    .add(request.rule(Fault::Stall(Duration::from_millis(800))));
                let seen = || {
                    let requests = simulator.requests();
                    flow_requests(simulator)
                        + requests.count(Endpoint::CheckAccess)
                        + requests.count(Endpoint::UsersMe)
                };
                let position = request.position();
                let (outcome, ()) = tokio::join!(client.bind(dn, password), async {
                    eventually("the request has arrived", || seen() > position).await;
                    simulator.refuse_connections(true);
                });
                simulator.faults().remove(rule);
                simulator.refuse_connections(false);
                // With the events back, changes are looked for; the next user must be unknown then.
                eventually("the events are back", || simulator.websockets() > 0).await;
                tokio::time::sleep(Duration::from_millis(700)).await;
                self.stage.refresh().await;
                outcome
            }
        }
    }

    async fn cell(&mut self, request: Request, disturbance: &Disturbance) -> Result<(), String> {
        let user = self.create_user();
        let mut client = self.stage.client().await;
        let before = self.before;
        let wrong = |what: &str, outcome: &Outcome| {
            Err(format!(
                "{before:?} {request:?} {disturbance:?}: {what}: {} {}",
                outcome.code, outcome.message
            ))
        };
        match self.before {
            Before::Nothing => {}
            Before::Success => {
                let dn = alias(&user, 0);
                let outcome = client.bind(&dn, PASSWORD).await;
                if outcome.code != 0 {
                    return wrong("the bind before", &outcome);
                }
            }
            Before::Failure => {
                let dn = alias(&user, 0);
                let outcome = client.bind(&dn, "wrong").await;
                if outcome.code != 49 {
                    return wrong("the wrong bind before", &outcome);
                }
            }
        }
        self.forget_opening().await;
        // To authentik the same name, to the cache another.
        let dn = alias(&user, 1);
        let outcome = self.bind(&mut client, &dn, PASSWORD, request, disturbance).await;
        let allowed = allowed(request, disturbance);
        if !allowed.contains(&outcome.code) {
            return wrong(&format!("expected one of {allowed:?}"), &outcome);
        }
        if (outcome.code == 0) != outcome.message.is_empty() {
            return wrong("message", &outcome);
        }
        let authority = self.stage.simulator.address().to_string();
        let inner = ["http", "/api/", "authentik_session", authority.as_str()];
        if inner.iter().any(|inner| outcome.message.contains(inner)) {
            return wrong("more than a stranger should know", &outcome);
        }
        let identity = client.who_am_i().await;
        if (outcome.code == 0) == identity.is_empty() {
            return wrong(&format!("afterwards the connection is {identity:?}"), &outcome);
        }
        // An outage leaves nothing behind: the same bind is let in as soon as it is over.
        let outcome = client.bind(&dn, PASSWORD).await;
        if outcome.code != 0 {
            return wrong("the same bind afterwards", &outcome);
        }
        Ok(())
    }
}

async fn lane(mode: &'static str, before: Before, disturbances: Vec<Disturbance>) -> LaneOutcome {
    let mut lane = Lane::new(mode, before).await;
    let (mut cells, mut wrong) = (0, Vec::new());
    for disturbance in disturbances {
        for request in REQUESTS {
            cells += 1;
            let mut result = lane.cell(request, &disturbance).await;
            for _ in 0..2 {
                // On a busy machine any answer may be later than its limit here. That lets nobody in, so look again.
                if result.as_ref().is_err_and(|what| what.contains(": 52 ")) {
                    result = lane.cell(request, &disturbance).await;
                }
            }
            if let Err(what) = result {
                wrong.push(format!("{mode} {what}"));
            }
        }
    }
    (cells, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn success_is_answered_only_if_every_answer_was_right() {
    let mut lanes = Vec::new();
    for mode in ["direct", "cached"] {
        for before in [Before::Nothing, Before::Success, Before::Failure] {
            lanes.extend(
                disturbances()
                    .chunks(4)
                    .map(|few| tokio::spawn(lane(mode, before, few.to_vec()))),
            );
        }
    }
    assert_eq!(all_right(lanes).await, 7 * 15 * 6);
}

#[tokio::test]
async fn wrong_and_refused_people_never_get_in_whatever_authentik_does() {
    let stage = stage(
        "direct",
        separate(),
        &[("REQUEST_TIMEOUT", "1s"), ("BIND_TIMEOUT", "5s")],
    )
    .await;
    for disturbance in disturbances() {
        let Disturbance::Spoiled(fault) = disturbance else {
            continue;
        };
        if fault == Fault::Hang {
            continue;
        }
        for request in REQUESTS {
            let rule = stage.simulator.faults().add(request.rule(fault.clone()));
            let wrong = stage.bind(&user_dn("alice"), "wrong").await;
            let unknown = stage.bind(&user_dn("nobody"), "wrong").await;
            let inactive = stage.bind(&user_dn("inactive"), "demo-inactive").await;
            stage.simulator.faults().remove(rule);
            for outcome in [wrong, unknown, inactive] {
                assert!(
                    [49, 51, 52, 80].contains(&outcome.code),
                    "{request:?} {fault:?}: {outcome:?}"
                );
            }
        }
    }
    assert_eq!(stage.bind(&user_dn("mallory"), "demo-mallory").await.code, 50);
    assert_eq!(stage.bind(&user_dn("alice"), "wrong").await.code, 49);
}

#[tokio::test]
async fn an_anonymous_session_is_refused_even_if_access_passes_for_everybody() {
    for mode in ["direct", "cached"] {
        let stage = stage(mode, separate(), &[]).await;
        stage
            .simulator
            .faults()
            .add(Rule::new("/flows/executor/", Fault::AnonymousSession));
        stage
            .simulator
            .faults()
            .add(Rule::new("/check_access/", Fault::PassingForAnyone));
        for _ in 0..3 {
            let outcome = stage.bind(&user_dn("alice"), "demo-alice").await;
            assert_eq!(outcome.code, 52, "{outcome:?}");
        }
        stage.simulator.faults().clear();
        assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    }
}

#[tokio::test]
async fn a_recycled_worker_costs_one_retry_but_never_a_second_code_or_password() {
    let stage = stage("direct", separate(), &[]).await;
    for fault in [Fault::Reset, Fault::WorkerLost, Fault::BrokenOff] {
        for (method, number) in [
            (Method::POST, 1),
            (Method::POST, 2),
            (Method::GET, 1),
            (Method::GET, 2),
        ] {
            let rule = Rule::new("/flows/executor/", fault.clone())
                .method(method)
                .when(When::Nth(number));
            stage.simulator.faults().add(rule.clone());
            let outcome = stage.bind(&user_dn("alice"), "demo-alice").await;
            assert_eq!(outcome.code, 0, "{rule:?}: {outcome:?}");
            stage.simulator.faults().clear();
        }
    }
    // The worker is lost at the whole password, after authentik refused its first part.
    stage.simulator.faults().add(
        Rule::new("/flows/executor/", Fault::WorkerLost)
            .method(Method::POST)
            .when(When::Nth(3)),
    );
    stage.simulator.requests().clear();
    let outcome = stage.bind(&user_dn("alice"), "wrong;123456").await;
    assert!([51, 52, 80].contains(&outcome.code), "{outcome:?}");
    let sent = |part: &str| {
        let all = stage.simulator.requests().all();
        all.iter()
            .filter(|request| String::from_utf8_lossy(&request.body).contains(part))
            .count()
    };
    assert_eq!(
        sent("\"component\":\"ak-stage-password\""),
        2,
        "each form of the password once"
    );
    stage.simulator.faults().clear();
}

#[tokio::test]
async fn a_code_is_sent_once_even_if_the_answer_is_lost() {
    let stage = Stage::sample().await;
    let secrets = demo_secrets();
    let code = totp_code(&secrets.totp_key, stage.simulator.now());
    for fault in [Fault::Reset, Fault::WorkerLost, Fault::BadGateway] {
        stage.simulator.requests().clear();
        stage.simulator.faults().add(
            Rule::new("/flows/executor/", fault.clone())
                .method(Method::POST)
                .when(When::Nth(2)),
        );
        let outcome = stage.bind(&user_dn("totp"), &format!("demo-totp;{code}")).await;
        assert!([51, 52, 80].contains(&outcome.code), "{fault:?}: {outcome:?}");
        let all = stage.simulator.requests().all();
        let codes = all
            .iter()
            .filter(|request| String::from_utf8_lossy(&request.body).contains(&code))
            .count();
        assert_eq!(codes, 1, "{fault:?}");
        stage.simulator.faults().clear();
    }
}
