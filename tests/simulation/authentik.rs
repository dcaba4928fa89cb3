//! authentik as the server reaches it: calls that take time and may fail, and announcements that may come late, twice or
//! never.

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use akldap_authentik::events::Disconnect;
use akldap_authentik::transport::{Reply, Request, StreamFrame, Transport, Upgrade, Wire};
use akldap_authentik::{ApiError, Unreachable};
use futures_util::future::BoxFuture;
use futures_util::{sink, stream};
use reqwest::header::{HeaderValue, LOCATION, RETRY_AFTER};
use tokio::sync::mpsc;

use crate::answers::{answer, reply};
use crate::plan::{Announcing, Fault};
use crate::time::{MILLISECOND, SECOND, Time, now};
use crate::world::World;

/// Longer than any call is waited for.
const STALL: Time = 100 * SECOND;
/// The longest time limit of a call.
const PATIENCE: Time = 25 * SECOND;

/// Frames on their way to the server; none is read as late as that.
const ANNOUNCED: usize = 4096;

type Sender = mpsc::Sender<Result<StreamFrame, Disconnect>>;

pub struct Authentik {
    own: Weak<Authentik>,
    state: Mutex<State>,
}

pub struct State {
    pub world: World,
    random: fastrand::Rng,
    fault: Option<(Fault, u32, Time)>,
    announcing: Announcing,
    wire: Option<Sender>,
    /// Calls so far.
    pub calls: u64,
}

/// What becomes of a call.
struct Fate {
    there: Time,
    back: Time,
    fault: Option<Fault>,
}

impl Authentik {
    pub fn new(world: World, seed: u64) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            own: own.clone(),
            state: Mutex::new(State {
                world,
                random: fastrand::Rng::with_seed(seed ^ 0xfa7e),
                fault: None,
                announcing: Announcing::AtOnce,
                wire: None,
                calls: 0,
            }),
        })
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    pub fn set_fault(&self, kind: Fault, permille: u32, lasts: Time) {
        self.lock().fault = Some((kind, permille, now() + lasts));
        if kind == Fault::Down && permille == 1000 {
            self.cut();
        }
    }

    pub fn set_announcing(&self, announcing: Announcing) {
        self.lock().announcing = announcing;
    }

    /// All is well from now on.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.fault = None;
        state.announcing = Announcing::AtOnce;
    }

    /// Ends the stream of events.
    pub fn cut(&self) {
        if let Some(wire) = self.lock().wire.take() {
            let _ = wire.try_send(Err(Disconnect::Closed { code: Some(1012) }));
        }
    }

    pub fn announce_save(&self) {
        self.announce("{\"instruction\":2,\"args\":{}}".to_owned(), None);
    }

    pub fn announce_ends(&self, sids: Vec<String>) {
        for sid in sids {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, sid.as_bytes());
            let id: String = digest
                .as_ref()
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect();
            let text = format!(
                "{{\"instruction\":4,\"args\":{{\"type\":\"event.session.end\",\"session_id\":\"{id}\"}}}}"
            );
            self.announce(text, Some(sid));
        }
    }

    fn announce(&self, text: String, sid: Option<String>) {
        let (mode, soon, late) = {
            let state = &mut *self.lock();
            let soon = match state.random.u32(..4) {
                0 => 0,
                1 => state.random.u64(..40),
                _ => state.random.u64(..1500),
            };
            (state.announcing, soon, state.random.u64(2_000..60_000))
        };
        let delays = match mode {
            Announcing::Lost => vec![],
            Announcing::AtOnce => vec![soon],
            Announcing::Twice => vec![soon, soon + late / 10],
            Announcing::Late => vec![late],
        };
        for delay in delays {
            let (own, text, sid) = (self.own.clone(), text.clone(), sid.clone());
            tokio::spawn(async move {
                wait(delay * MILLISECOND).await;
                if let Some(own) = own.upgrade() {
                    own.deliver(text, sid);
                }
            });
        }
    }

    fn deliver(&self, text: String, sid: Option<String>) {
        let state = &mut *self.lock();
        let sent = state
            .wire
            .as_ref()
            .is_some_and(|wire| wire.try_send(Ok(StreamFrame::Text(text))).is_ok());
        let ended = sid.and_then(|sid| {
            let all = &mut state.world.granted;
            all.iter_mut()
                .find(|granted| granted.sid == sid && granted.heard.is_none())
        });
        if sent && let Some(granted) = ended {
            granted.heard = Some(now());
        }
    }

    fn fate(&self) -> Fate {
        let state = &mut *self.lock();
        state.calls += 1;
        let way = state.world.setting.way;
        let mut one_way = || match state.random.u32(..4) {
            0 => 0,
            1 => way,
            _ => state.random.u64(..=way),
        };
        let (there, back) = (one_way(), one_way());
        let active = state.fault.filter(|(.., until)| now() < *until);
        let hit = active.filter(|(_, permille, _)| state.random.u32(..1000) < *permille);
        let fault = hit.map(|(kind, ..)| kind);
        if fault.is_some() {
            let from = now();
            let to = match fault {
                Some(Fault::Stalled) => from + PATIENCE,
                Some(Fault::Slow) => from + 12 * SECOND,
                _ => from + there + back,
            };
            state.world.note_trouble(from, to);
        }
        match fault {
            Some(Fault::Slow) => Fate {
                there: state.random.u64(SECOND..6 * SECOND),
                back: state.random.u64(SECOND..6 * SECOND),
                fault: None,
            },
            fault => Fate { there, back, fault },
        }
    }

    fn carry_out(&self, request: &Request) -> Reply {
        let answered = answer(&mut self.lock().world, request);
        self.announce_ends(answered.ended);
        answered.reply
    }

    async fn run(self: Arc<Self>, request: Request) -> Result<Reply, ApiError> {
        let fate = self.fate();
        wait(fate.there).await;
        let url = request.url.path().to_owned();
        let interrupted = |cause: &str| ApiError::Interrupted {
            url: url.clone(),
            cause: cause.to_owned(),
        };
        let result = match fate.fault {
            None => Ok(self.carry_out(&request)),
            Some(Fault::Down) => Err(ApiError::Unreachable {
                url: url.clone(),
                cause: Unreachable::Refused,
            }),
            Some(Fault::Gateway) => Ok(reply(502, "<html>502 Bad Gateway</html>")),
            Some(Fault::Failed) => {
                self.carry_out(&request);
                Ok(reply(500, r#"{"detail":"Server Error"}"#))
            }
            Some(Fault::Lost) => {
                self.carry_out(&request);
                Err(interrupted("connection reset"))
            }
            Some(Fault::Stalled) => {
                wait(STALL).await;
                Err(interrupted("closed"))
            }
            Some(Fault::Cut) => {
                let mut reply = self.carry_out(&request);
                let half = reply.body.len() / 2;
                reply.body.truncate(half);
                Ok(reply)
            }
            Some(Fault::Nonsense) => Ok(reply(200, r#"{"pagination":[],"results":{"a":1}}"#)),
            Some(Fault::Throttled) => {
                let mut reply = reply(429, r#"{"detail":"Request was throttled."}"#);
                reply.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
                Ok(reply)
            }
            Some(Fault::Redirected) => {
                let mut reply = reply(302, "");
                let to = HeaderValue::from_static("https://elsewhere.example/");
                reply.headers.insert(LOCATION, to);
                Ok(reply)
            }
            Some(Fault::Slow) => Ok(self.carry_out(&request)),
        };
        wait(fate.back).await;
        result
    }

    async fn open(self: Arc<Self>) -> Result<Upgrade, Disconnect> {
        let fate = self.fate();
        wait(fate.there).await;
        if fate.fault.is_some() {
            return Err(Disconnect::Unreachable(Unreachable::Refused));
        }
        let (sender, receiver) = mpsc::channel(ANNOUNCED);
        {
            let state = &mut *self.lock();
            state.wire = Some(sender.clone());
            state.world.opened.push(now());
        }
        let incoming = stream::unfold(receiver, |mut receiver| async move {
            let frame = receiver.recv().await?;
            Some((frame, receiver))
        });
        // Each hello is acknowledged, and a farewell is answered.
        let outgoing = sink::unfold(sender, |sender: Sender, frame| async move {
            let answer = match frame {
                StreamFrame::Close(code) => StreamFrame::Close(code),
                _ => StreamFrame::Text("{\"instruction\":0}".to_owned()),
            };
            let _ = sender.try_send(Ok(answer));
            Ok::<_, Disconnect>(sender)
        });
        Ok(Upgrade {
            status: 101,
            wire: Ok(Wire {
                incoming: Box::pin(incoming),
                outgoing: Box::pin(outgoing),
            }),
        })
    }

    fn shared(&self) -> Arc<Self> {
        self.own.upgrade().expect("whoever calls holds it")
    }
}

impl Transport for Authentik {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Reply, ApiError>> {
        Box::pin(self.shared().run(request))
    }

    fn events(&self, _request: Request) -> BoxFuture<'_, Result<Upgrade, Disconnect>> {
        Box::pin(self.shared().open())
    }
}

/// Nothing takes no time at all: others have their turn before.
async fn wait(time: Time) {
    if time < MILLISECOND {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(Duration::from_micros(time)).await;
    }
}
