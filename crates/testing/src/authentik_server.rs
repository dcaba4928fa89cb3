//! A scripted server for the tests of the `authentik` layer: it plays the given answers in order, byte for byte,
//! and keeps what it was sent. Speaks raw HTTP/1.1 so that it can also break off, stall and lie.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use akldap_authentik::{Client, Settings};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The token every client of these tests has.
pub const TOKEN: &str = "token-of-the-outpost";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Status, headers, body.
    Answer(u16, Vec<(String, String)>, String),
    /// Close silently.
    Close,
    /// Say nothing more.
    Stall,
    /// Announce more than is sent.
    Truncated,
}

impl Reply {
    pub fn json(body: &str) -> Self {
        Self::Answer(
            200,
            vec![("Content-Type".into(), "application/json".into())],
            body.into(),
        )
    }

    pub fn status(status: u16, kind: &str, body: &str) -> Self {
        Self::Answer(status, vec![("Content-Type".into(), kind.into())], body.into())
    }

    pub fn redirect(to: &str) -> Self {
        Self::Answer(302, vec![("Location".into(), to.into())], String::new())
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer(_, headers, _) = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }
}

/// Practically for ever.
const PATIENCE: Duration = Duration::from_secs(120);

/// The server.
pub struct Script {
    pub address: std::net::SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
}

impl Script {
    pub async fn new(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let replies = Arc::new(Mutex::new(VecDeque::from(replies)));
        let (log, script) = (Arc::clone(&received), Arc::clone(&replies));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&script)));
            }
        });
        Self {
            address,
            received,
            replies,
        }
    }

    pub fn push(&self, replies: Vec<Reply>) {
        self.replies.lock().unwrap().extend(replies);
    }

    /// Returns the requests so far, and forgets them.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }

    pub fn left(&self) -> usize {
        self.replies.lock().unwrap().len()
    }

    /// A client that waits as long as a busy machine may take, unless an answer should be given up.
    pub fn client(&self) -> Client {
        let stalls = self
            .replies
            .lock()
            .unwrap()
            .iter()
            .any(|reply| matches!(reply, Reply::Stall));
        client(&format!("http://{}/", self.address), |settings| {
            if !stalls {
                settings.connect_timeout = PATIENCE;
                settings.request_timeout = PATIENCE;
                settings.list_timeout = PATIENCE;
            }
        })
    }
}

/// A client with short times.
pub fn client(host: &str, change: impl FnOnce(&mut Settings)) -> Client {
    let mut settings = Settings::new(host.parse().unwrap(), SecretString::from(TOKEN));
    settings.connect_timeout = Duration::from_millis(500);
    settings.request_timeout = Duration::from_millis(1500);
    settings.list_timeout = Duration::from_millis(1500);
    settings.duo_timeout = Duration::from_millis(3000);
    change(&mut settings);
    Client::new(settings).unwrap()
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Received>>>, script: Arc<Mutex<VecDeque<Reply>>>) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await {
        log.lock().unwrap().push(request);
        let reply = script.lock().unwrap().pop_front();
        match reply {
            Some(Reply::Answer(status, headers, body)) => {
                let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
                for (name, value) in headers {
                    if !["content-length", "connection", "transfer-encoding"]
                        .contains(&name.to_ascii_lowercase().as_str())
                    {
                        head.push_str(&format!("{name}: {value}\r\n"));
                    }
                }
                head.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
            }
            Some(Reply::Truncated) => {
                let text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"component\":";
                let _ = stream.write_all(text.as_bytes()).await;
                return;
            }
            Some(Reply::Stall) => std::future::pending().await,
            Some(Reply::Close) => return,
            None => {
                let text = "HTTP/1.1 599 Script is over\r\nContent-Length: 0\r\n\r\n";
                let _ = stream.write_all(text.as_bytes()).await;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Received> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().unwrap());
    while buffer.len() < end + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(buffer[end..end + length].to_vec()).unwrap();
    buffer.drain(..end + length);
    Some(Received {
        method,
        target,
        headers,
        body,
    })
}

/// A `Set-Cookie` line with a session cookie of the given claims.
pub fn session_cookie(sid: &str, uid: Option<&str>) -> String {
    use base64::Engine as _;
    let claims = serde_json::json!({
        "sid": sid, "iss": "authentik", "sub": uid.unwrap_or("anonymous"), "authenticated": uid.is_some(),
        "acr": "goauthentik.io/core/default",
    });
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("authentik_session=eyJhbGciOiJIUzI1NiJ9.{payload}.c2ln; HttpOnly; Path=/; SameSite=Lax")
}
