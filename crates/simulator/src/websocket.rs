//! `/ws/outpost/{uuid}/`: hellos in, updates and session ends out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::clock::{Clock, micros};

/// A hello an outpost sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Hello {
    /// The outpost it is connected as.
    pub outpost: Uuid,
    /// `instance_uuid` of the connection.
    pub instance: String,
    /// The arguments as sent.
    pub args: Value,
    /// When it came, microseconds since the epoch.
    pub at: i64,
}

/// Close code of a server process that ends itself (RFC 6455's registry: service restart).
pub(crate) const SERVICE_RESTART: u16 = 1012;
/// Frames waiting for one connection.
const BACKLOG: usize = 65_536;
const NORMAL: u16 = 1000;
/// How long an instance's state is kept. A state of the wrong shape makes everything that reads it fail until then.
const STATE_LIFE: Duration = Duration::from_secs(15);
/// How long the peer has to answer a close frame.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
enum Push {
    Text(String),
    Close(u16),
}

/// All open websockets and what they said.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    inner: Mutex<WebsocketState>,
}

#[derive(Debug, Default)]
struct WebsocketState {
    next: u64,
    open: HashMap<u64, (Uuid, mpsc::Sender<Push>)>,
    hellos: Vec<Hello>,
    /// When the misshapen state of an instance is forgotten.
    misshapen: HashMap<String, i64>,
    connects: u64,
}

impl Hub {
    /// Tells one outpost to fetch its configuration again.
    pub(crate) fn trigger_update(&self, outpost: Uuid) {
        self.push(
            Some(outpost),
            &Push::Text(r#"{"instruction": 2, "args": {}}"#.into()),
        );
    }

    /// Tells every outpost that a session is over.
    pub(crate) fn session_end(&self, session_id: &str) {
        let args = json!({"type": "event.session.end", "session_id": session_id});
        self.push(
            None,
            &Push::Text(json!({"instruction": 4, "args": args}).to_string()),
        );
    }

    /// Sends any text to all.
    pub(crate) fn send_text(&self, text: &str) {
        self.push(None, &Push::Text(text.to_owned()));
    }

    /// Closes all with a code.
    pub(crate) fn close_all(&self, code: u16) {
        self.push(None, &Push::Close(code));
    }

    pub(crate) fn hellos(&self) -> Vec<Hello> {
        self.lock().hellos.clone()
    }

    pub(crate) fn open_count(&self) -> usize {
        self.lock().open.len()
    }

    pub(crate) fn connects(&self) -> u64 {
        self.lock().connects
    }

    fn push(&self, outpost: Option<Uuid>, push: &Push) {
        for (of, sender) in self.lock().open.values() {
            if outpost.is_none_or(|outpost| outpost == *of) {
                // As in authentik's channel layer, frames for a peer that does not read are dropped at some point.
                let _ = sender.try_send(push.clone());
            }
        }
    }

    fn enter(&self, outpost: Uuid) -> (u64, mpsc::Receiver<Push>) {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let mut inner = self.lock();
        inner.next += 1;
        inner.connects += 1;
        let number = inner.next;
        inner.open.insert(number, (outpost, sender));
        (number, receiver)
    }

    fn leave(&self, number: u64) {
        self.lock().open.remove(&number);
    }

    /// Accepts a hello; false when an earlier hello of the wrong shape makes the server fail on it.
    fn hello(&self, hello: Hello) -> bool {
        let mut inner = self.lock();
        if inner
            .misshapen
            .get(&hello.instance)
            .is_some_and(|until| *until > hello.at)
        {
            return false;
        }
        if !well_shaped(&hello.args) {
            inner.misshapen.insert(
                hello.instance.clone(),
                hello.at.saturating_add(micros(STATE_LIFE)),
            );
        }
        inner.hellos.push(hello);
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, WebsocketState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The JSON types the stored state needs; absent keys have defaults.
fn well_shaped(args: &Value) -> bool {
    let is = |key: &str, check: fn(&Value) -> bool| args.get(key).is_none_or(check);
    is("version", |value| value.is_string() || value.is_null())
        && is("buildHash", Value::is_string)
        && is("golangVersion", Value::is_string)
        && is("opensslEnabled", Value::is_boolean)
        && is("opensslVersion", Value::is_string)
        && is("fipsEnabled", Value::is_boolean)
        && is("hostname", Value::is_string)
}

/// Serves one websocket to its end.
pub(crate) async fn serve(mut socket: WebSocket, hub: &Hub, clock: &Clock, outpost: Uuid, instance: String) {
    let (number, mut pushes) = hub.enter(outpost);
    let code = loop {
        tokio::select! {
            push = pushes.recv() => match push {
                Some(Push::Text(text)) => {
                    if socket.send(Message::Text(text.into())).await.is_err() {
                        break None;
                    }
                }
                Some(Push::Close(code)) => break Some(code),
                None => break None,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => match answer(&text, hub, clock, outpost, &instance) {
                    Ok(true) => {
                        let ack = r#"{"instruction": 0, "args": {}}"#;
                        if socket.send(Message::Text(ack.into())).await.is_err() {
                            break None;
                        }
                    }
                    Ok(false) => {}
                    Err(Stumble) => break Some(NORMAL),
                },
                Some(Ok(Message::Binary(_))) => break Some(NORMAL),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
            },
        }
    };
    hub.leave(number);
    if let Some(code) = code
        && socket
            .send(Message::Close(Some(CloseFrame {
                code,
                reason: "".into(),
            })))
            .await
            .is_ok()
    {
        let _ = tokio::time::timeout(CLOSE_PATIENCE, async {
            while let Some(Ok(_)) = socket.recv().await {}
        })
        .await;
    }
}

/// The server could not handle a message and closes.
struct Stumble;

/// Whether a message gets an acknowledgement.
fn answer(text: &str, hub: &Hub, clock: &Clock, outpost: Uuid, instance: &str) -> Result<bool, Stumble> {
    let message: Value = serde_json::from_str(text).map_err(|_| Stumble)?;
    let instruction = message
        .get("instruction")
        .and_then(Value::as_i64)
        .ok_or(Stumble)?;
    let args = message.get("args").cloned().unwrap_or_else(|| json!({}));
    if !args.is_object() {
        return Err(Stumble);
    }
    const ACK: i64 = 0;
    const HELLO: i64 = 1;
    if instruction == HELLO {
        let hello = Hello {
            outpost,
            instance: instance.to_owned(),
            args,
            at: clock.now(),
        };
        if !hub.hello(hello) {
            return Err(Stumble);
        }
    }
    Ok(instruction != ACK)
}
