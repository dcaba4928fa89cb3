//! authentik as the server reaches it: calls that take time and may fail, and announcements that may come late, twice or
//! never.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use akldap_authentik::events::Disconnect;
use akldap_authentik::transport::{Credential, Reply, Request, StreamFrame, Transport, Upgrade, Wire};
use akldap_authentik::{ApiError, Unreachable};
use futures_util::future::BoxFuture;
use futures_util::{sink, stream};
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use tokio::sync::mpsc;

use crate::answers::{answer, reply};
use crate::plan::{Announcing, Fault, Setting};
use crate::time::{MILLISECOND, SECOND, Time, now};
use crate::world::World;

/// Longer than the wait for any call.
const STALL: Time = 100 * SECOND;
/// How long a call that nobody answers may be trouble. The client waits for a minute where nobody sets it a shorter limit, but
/// whatever others wait for must be given up within 20 s and asked again: lists, questions, users, the configuration. A login is
/// waited for longer, for 30 s, by its own bind only.
const PATIENCE: Time = 25 * SECOND;
/// Between two bursts of announcements.
const BURST: Time = 4 * SECOND;
/// Others that go on before what is ready, where the order is drawn.
const TURNS: u32 = 5;

/// How many times as long as others some ways are, and how long at most.
const LONGER: u64 = 40;
const LONGEST: Time = 900 * MILLISECOND;

/// How long a call takes at most where nothing is amiss.
pub fn longest_call(setting: &Setting) -> Time {
    2 * match setting.uneven {
        true => (setting.way * LONGER).min(LONGEST).max(setting.way),
        false => setting.way,
    }
}

/// Frames on their way to the server; none is read as late as that.
const ANNOUNCED: usize = 4096;

type Sender = mpsc::Sender<Result<StreamFrame, Disconnect>>;

pub struct Authentik {
    own: Weak<Authentik>,
    state: Mutex<AuthentikState>,
}

pub struct AuthentikState {
    pub world: World,
    random: fastrand::Rng,
    fault: Option<(Fault, u32, Time)>,
    announcing: Announcing,
    wire: Option<Sender>,
    /// Set when nothing more is said on the current stream.
    silent: Arc<AtomicBool>,
    /// When authentik was last restarted, until when nobody listens, and until when it is starting.
    restarted: Option<(Time, Time, Time)>,
    /// Draws the order of what is ready.
    order: Option<fastrand::Rng>,
    /// Calls so far.
    pub calls: u64,
}

/// What happens to a call.
struct Fate {
    there: Time,
    back: Time,
    fault: Option<Fault>,
}

impl Authentik {
    pub fn new(world: World, seed: u64) -> Arc<Self> {
        let shuffled = world.setting.shuffled;
        Arc::new_cyclic(|own| Self {
            own: own.clone(),
            state: Mutex::new(AuthentikState {
                world,
                random: fastrand::Rng::with_seed(seed ^ 0xfa7e),
                fault: None,
                announcing: Announcing::AtOnce,
                wire: None,
                silent: Arc::default(),
                restarted: None,
                order: shuffled.then(|| fastrand::Rng::with_seed(seed ^ 0x0bde_4ed0)),
                calls: 0,
            }),
        })
    }

    pub fn lock(&self) -> MutexGuard<'_, AuthentikState> {
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

    /// Ends all that is under way, and the stream of events; sessions are kept.
    pub fn restart(&self, down: Time, starting: Time) {
        self.lock().restarted = Some((now(), now() + down, now() + down + starting));
        self.cut();
    }

    /// Whether authentik was restarted while a call was under way: it is trouble from its beginning on.
    fn ended_under_way(&self, began: Time) -> bool {
        let state = &mut *self.lock();
        let ended = state.restarted.is_some_and(|(restarted, ..)| restarted >= began);
        if ended {
            state.world.note_trouble(began, now());
        }
        ended
    }

    /// Lets others go first, as many as the seed says.
    pub async fn let_others(&self) {
        let turns = self.lock().order.as_mut().map_or(0, |order| order.u32(..TURNS));
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    /// Ends the stream of events.
    pub fn cut(&self) {
        if let Some(wire) = self.lock().wire.take() {
            let _ = wire.try_send(Err(Disconnect::Closed { code: Some(1012) }));
        }
    }

    /// Has nothing more come on the stream of events, which stays open.
    pub fn silence(&self) {
        let state = &mut *self.lock();
        state.wire = None;
        state.silent.store(true, Ordering::Relaxed);
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
            Announcing::Bursts => vec![(BURST - now() % BURST) / MILLISECOND],
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
        let saved = sid.is_none();
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
        if sent && saved {
            state.world.saves_heard.push(now());
        }
    }

    fn fate(&self, path: &str) -> Fate {
        let state = &mut *self.lock();
        state.calls += 1;
        let way = state.world.setting.way;
        let uneven = state.world.setting.uneven;
        let mut one_way = || {
            let time = match state.random.u32(..4) {
                0 => 0,
                1 => way,
                _ => state.random.u64(..=way),
            };
            // Some are held up for longer, which is no trouble yet.
            match uneven && state.random.u32(..6) == 0 {
                true => (time * state.random.u64(2..=LONGER)).min(LONGEST),
                false => time,
            }
        };
        let (there, back) = (one_way(), one_way());
        let active = state.fault.filter(|(.., until)| now() < *until);
        let active =
            active.filter(|(kind, ..)| *kind != Fault::UsersDenied || path.ends_with("/core/users/"));
        let hit = active.filter(|(_, permille, _)| state.random.u32(..1000) < *permille);
        let restart = state.restarted.and_then(|(_, down, up)| match now() {
            at if at < down => Some(Fault::Down),
            at if at < up => Some(Fault::Starting),
            _ => None,
        });
        let fault = restart.or(hit.map(|(kind, ..)| kind));
        if fault == Some(Fault::UsersDenied) {
            state.world.note_denied(now(), now() + there + back);
        } else if fault.is_some() {
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
        let mut answered = answer(&mut self.lock().world, request);
        self.announce_ends(answered.ended);
        // By which its answers are told from those of others.
        let id = HeaderValue::from_static("0a1b2c3d");
        answered.reply.headers.insert("x-authentik-id", id);
        answered.reply
    }

    async fn run(self: Arc<Self>, request: Request) -> Result<Reply, ApiError> {
        let fate = self.fate(request.url.path());
        let began = now();
        wait(fate.there).await;
        self.let_others().await;
        let url = request.url.path().to_owned();
        let interrupted = |cause: &str| ApiError::Interrupted {
            url: url.clone(),
            cause: cause.to_owned(),
        };
        if fate.fault.is_none() && self.ended_under_way(began) {
            return Err(interrupted("connection reset"));
        }
        let unreachable = |cause| ApiError::Unreachable {
            url: url.clone(),
            cause,
        };
        let result = match fate.fault {
            None => Ok(self.carry_out(&request)),
            Some(Fault::Down) => Err(unreachable(Unreachable::Refused)),
            Some(Fault::Unresolved) => Err(unreachable(Unreachable::Dns("no such host".to_owned()))),
            Some(Fault::Untrusted) => Err(unreachable(Unreachable::UnknownAuthority)),
            Some(Fault::TooLarge) => Err(ApiError::TooLarge {
                url: url.clone(),
                limit: request.most,
            }),
            Some(Fault::Starting) => Ok(reply(503, r#"{"error":"authentik starting"}"#)),
            Some(Fault::Recycled) => {
                self.carry_out(&request);
                let mut reply = reply(500, "Internal Server Error");
                let plain = HeaderValue::from_static("text/plain");
                reply.headers.insert(CONTENT_TYPE, plain);
                Ok(reply)
            }
            Some(Fault::TokenRefused) if request.credential == Credential::Session => {
                Ok(self.carry_out(&request))
            }
            Some(Fault::TokenRefused) => Ok(reply(403, r#"{"detail":"Token invalid/expired"}"#)),
            Some(Fault::Unauthorized) => Ok(reply(401, "<html>401 Authorization Required</html>")),
            Some(Fault::Missing) => Ok(reply(404, "<html>404 Not Found</html>")),
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
            Some(Fault::UsersDenied) => Ok(reply(
                403,
                r#"{"detail":"You do not have permission to perform this action."}"#,
            )),
            Some(Fault::Slow) => Ok(self.carry_out(&request)),
        };
        wait(fate.back).await;
        self.let_others().await;
        match fate.fault.is_none() && self.ended_under_way(began) {
            true => Err(interrupted("connection reset")),
            false => result,
        }
    }

    async fn open(self: Arc<Self>) -> Result<Upgrade, Disconnect> {
        let fate = self.fate("");
        let began = now();
        wait(fate.there).await;
        let status = match fate.fault {
            None if self.ended_under_way(began) => return Err(Disconnect::Broken("reset".to_owned())),
            None => None,
            Some(Fault::TokenRefused) => Some(403),
            Some(Fault::Starting) => Some(503),
            Some(_) => return Err(Disconnect::Unreachable(Unreachable::Refused)),
        };
        if let Some(status) = status {
            let wire = Err(Disconnect::Refused {
                status,
                is_foreign: false,
            });
            return Ok(Upgrade { status, wire });
        }
        let (sender, receiver) = mpsc::channel(ANNOUNCED);
        let silent = Arc::new(AtomicBool::new(false));
        {
            let state = &mut *self.lock();
            state.wire = Some(sender.clone());
            state.silent = Arc::clone(&silent);
            state.world.opened.push(now());
        }
        let incoming = stream::unfold(receiver, |mut receiver| async move {
            let frame = receiver.recv().await?;
            Some((frame, receiver))
        });
        // Each hello is acknowledged, and a farewell is answered.
        let outgoing = sink::unfold(
            (sender, silent),
            |(sender, silent): (Sender, Arc<AtomicBool>), frame| async move {
                let answer = match frame {
                    StreamFrame::Close(code) => StreamFrame::Close(code),
                    _ => StreamFrame::Text("{\"instruction\":0}".to_owned()),
                };
                if !silent.load(Ordering::Relaxed) {
                    let _ = sender.try_send(Ok(answer));
                }
                Ok::<_, Disconnect>((sender, silent))
            },
        );
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

/// Nothing takes no time at all: others have their turn first.
async fn wait(time: Time) {
    if time < MILLISECOND {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(Duration::from_micros(time)).await;
    }
}
