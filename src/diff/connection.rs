//! One LDAP connection as a client has it: opened with or without TLS, bound, used. Knows the wire and nothing about what is
//! compared.
//!
//! It reads answers with the codec of the server, message by message, so that only one entry of an answer is held. A
//! client library would hide what is compared here: the order of attributes and values, names that are not text, the end of the
//! connection.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use akldap_ldap::ber::{self, BerError, Element, Reader};
use akldap_ldap::control::{Control, PAGED_RESULTS, PagedResults};
use akldap_ldap::frame::{self, Frame, FrameError};
use bytes::{Buf as _, BytesMut};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::target::{Security, Target};

/// How long connecting may take, not counting the TLS handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long the answer to StartTLS or a bind may take. A login that authentik judges takes seconds, twice as many where it is busy.
const BIND_LIMIT: Duration = Duration::from_secs(60);
/// How long a server may stay silent during a search. The official outpost, asking authentik for a large directory, is silent for
/// minutes.
const SEARCH_LIMIT: Duration = Duration::from_secs(300);
/// After an error, a server that hangs up does so within this time.
const HANGUP_LIMIT: Duration = Duration::from_millis(200);
/// Largest message that is read: a group of a million members fits.
const MESSAGE_LIMIT: usize = 256 * 1024 * 1024;
/// Octets that a read has room for.
const READ_SIZE: usize = 64 * 1024;

const START_TLS: &str = "1.3.6.1.4.1.1466.20037";

const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const SEARCH_ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const SEARCH_REFERENCE: u8 = 0x73;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
const CONTROLS: u8 = 0xa0;
const SIMPLE: u8 = 0x80;

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The server was silent for too long.
    #[error("no answer to {step} within {} s; --timeout sets another limit", .limit.as_secs())]
    Timeout {
        /// What it was to answer.
        step: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// What TLS needs is missing.
    #[error("TLS cannot be set up: {0}")]
    Settings(String),
    /// The handshake failed.
    #[error("the TLS handshake failed: {0}")]
    Tls(io::Error),
    /// StartTLS was refused.
    #[error("StartTLS was answered with {0}")]
    StartTls(OperationEnd),
    /// The bind was refused.
    #[error("the bind was answered with {0}")]
    Bind(OperationEnd),
    /// Time was up for everything.
    #[error("no end of its answer when {} s were over, the limit for the whole comparison; --max-time sets another", .limit.as_secs())]
    Late {
        /// How long everything might take.
        limit: Duration,
    },
    /// The connection ended.
    #[error("the server closed the connection")]
    Closed,
    /// What came is not LDAP.
    #[error("the answer is not LDAP: {0}")]
    Malformed(String),
}

impl From<BerError> for ConnectionError {
    fn from(error: BerError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<FrameError> for ConnectionError {
    fn from(error: FrameError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// How an operation ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationEnd {
    /// The result code.
    pub code: i64,
    /// What the server says about it.
    pub message: String,
    /// The cookie of a paged answer; empty after the last page, and without pages.
    pub cookie: Vec<u8>,
}

impl fmt::Display for OperationEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", code_name(self.code))?;
        if self.message.is_empty() {
            Ok(())
        } else {
            write!(formatter, ": {}", self.message)
        }
    }
}

/// A result code as RFC 4511 names it, with its number.
pub(super) fn code_name(code: i64) -> String {
    let name = match code {
        0 => "success",
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        16 => "noSuchAttribute",
        17 => "undefinedAttributeType",
        18 => "inappropriateMatching",
        19 => "constraintViolation",
        21 => "invalidAttributeSyntax",
        32 => "noSuchObject",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        80 => "other",
        _ => return code.to_string(),
    };
    format!("{name} ({code})")
}

/// An entry as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceivedEntry {
    /// The name, as sent.
    pub dn: Vec<u8>,
    /// The attributes and their values, in the order sent.
    pub attributes: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

/// What a search finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// An entry.
    Entry(ReceivedEntry),
    /// The URLs at which another server is to be asked, with blanks in between.
    Reference(Vec<u8>),
}

#[cfg(test)]
impl ReceivedEntry {
    /// An entry with these attributes.
    pub(super) fn of(dn: &str, attributes: &[(&str, &[&str])]) -> Self {
        let octets = |text: &str| text.as_bytes().to_vec();
        let attributes = attributes.iter();
        let attributes = attributes
            .map(|(name, values)| (octets(name), values.iter().map(|value| octets(value)).collect()));
        Self {
            dn: octets(dn),
            attributes: attributes.collect(),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection to a server.
pub(super) struct ClientConnection {
    stream: Box<dyn Stream>,
    received: BytesMut,
    next_id: u32,
    patience: Option<Duration>,
}

/// Something that the server is to answer, and how long it may be silent before.
#[derive(Clone, Copy)]
struct AwaitedAnswer {
    step: &'static str,
    limit: Duration,
}

impl AwaitedAnswer {
    fn connecting(step: &'static str, patience: Option<Duration>) -> Self {
        let limit = patience.map_or(CONNECT_LIMIT, |patience| patience.min(CONNECT_LIMIT));
        Self { step, limit }
    }

    /// What the server does, unless it takes too long.
    async fn within<T>(self, answer: impl Future<Output = T>) -> Result<T, ConnectionError> {
        let Self { step, limit } = self;
        let answered = timeout(limit, answer).await;
        answered.map_err(|_| ConnectionError::Timeout { step, limit })
    }
}

/// A message of the server.
struct ServerMessage {
    id: u32,
    tag: u8,
    contents: Vec<u8>,
    controls: Vec<u8>,
}

impl ClientConnection {
    /// Connects, with TLS as the target says.
    ///
    /// # Errors
    /// When there is no connection, or no trusted one.
    pub(super) async fn open(target: &Target) -> Result<Self, ConnectionError> {
        let address = (target.host.as_str(), target.port);
        let stream = AwaitedAnswer::connecting("the attempt to connect", target.patience)
            .within(TcpStream::connect(address))
            .await?
            .map_err(ConnectionError::Connect)?;
        let _ = stream.set_nodelay(true);
        let mut plain = Self::over(stream, target.patience);
        match target.security {
            Security::None => return Ok(plain),
            Security::Tls => {}
            Security::StartTls => plain.start_tls().await?,
        }
        let name = ServerName::try_from(target.host.clone())
            .map_err(|error| ConnectionError::Settings(error.to_string()))?;
        let config = target.tls.as_ref().map(Arc::clone);
        let config = config.ok_or_else(|| ConnectionError::Settings("nobody is trusted".to_owned()))?;
        let handshake = TlsConnector::from(config).connect(name, plain.stream);
        let stream = AwaitedAnswer::connecting("the TLS handshake", target.patience)
            .within(handshake)
            .await?
            .map_err(ConnectionError::Tls)?;
        Ok(Self::over(stream, target.patience))
    }

    fn over(stream: impl Stream + 'static, patience: Option<Duration>) -> Self {
        Self {
            stream: Box::new(stream),
            received: BytesMut::new(),
            next_id: 1,
            patience,
        }
    }

    fn awaited(&self, step: &'static str, usual: Duration) -> AwaitedAnswer {
        let limit = self.patience.unwrap_or(usual);
        AwaitedAnswer { step, limit }
    }

    async fn start_tls(&mut self) -> Result<(), ConnectionError> {
        let awaited = self.awaited("StartTLS", BIND_LIMIT);
        let id = self
            .send(awaited, &[], |out| {
                ber::write_constructed(out, EXTENDED_REQUEST, |out| {
                    ber::write_element(out, SIMPLE, START_TLS.as_bytes());
                });
            })
            .await?;
        let outcome = self.outcome_of(id, EXTENDED_RESPONSE, awaited).await?;
        match outcome.code {
            // What came after the answer came without TLS.
            0 if self.received.is_empty() => Ok(()),
            0 => Err(ConnectionError::Malformed(
                "more than the answer to StartTLS".into(),
            )),
            _ => Err(ConnectionError::StartTls(outcome)),
        }
    }

    /// A simple bind.
    ///
    /// # Errors
    /// Also when it is refused.
    pub(super) async fn bind(&mut self, dn: &str, password: &[u8]) -> Result<(), ConnectionError> {
        let awaited = self.awaited("the bind", BIND_LIMIT);
        let id = self
            .send(awaited, &[], |out| {
                ber::write_constructed(out, BIND_REQUEST, |out| {
                    ber::write_integer(out, ber::INTEGER, 3);
                    ber::write_element(out, ber::OCTET_STRING, dn.as_bytes());
                    ber::write_element(out, SIMPLE, password);
                });
            })
            .await?;
        let outcome = self.outcome_of(id, BIND_RESPONSE, awaited).await?;
        match outcome.code {
            0 => Ok(()),
            _ => Err(ConnectionError::Bind(outcome)),
        }
    }

    /// Sends a search, given with its protocolOp tag, and passes on what is found, one by one.
    ///
    /// # Errors
    /// When the connection ends before the answer does, or what comes is not LDAP.
    pub(super) async fn search(
        &mut self,
        request: &[u8],
        page: Option<&PagedResults>,
        mut each: impl FnMut(Received) -> Result<(), ConnectionError>,
    ) -> Result<OperationEnd, ConnectionError> {
        let value = page.map(PagedResults::encode);
        let paged = value.as_deref().map(|value| Control {
            control_type: PAGED_RESULTS.as_bytes(),
            criticality: false,
            value: Some(value),
        });
        let controls: Vec<Control<'_>> = paged.into_iter().collect();
        let awaited = self.awaited("the search", SEARCH_LIMIT);
        let id = self
            .send(awaited, &controls, |out| out.extend_from_slice(request))
            .await?;
        loop {
            let message = self.receive(awaited).await?;
            // What has arrived is read without waiting: a server that is fast enough would keep everything else from its turn.
            tokio::task::consume_budget().await;
            match message.tag {
                _ if message.id != id => return Err(self.unasked(&message)),
                SEARCH_ENTRY => each(Received::Entry(read_entry(&message.contents)?))?,
                SEARCH_REFERENCE => each(Received::Reference(read_reference(&message.contents)?))?,
                SEARCH_DONE => return read_outcome(&message),
                _ => return Err(self.unasked(&message)),
            }
        }
    }

    /// Whether the server hangs up by itself now.
    pub(super) async fn is_closed(&mut self) -> bool {
        let read = timeout(HANGUP_LIMIT, self.stream.read_buf(&mut self.received)).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    }

    async fn send(
        &mut self,
        awaited: AwaitedAnswer,
        controls: &[Control<'_>],
        operation: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u32, ConnectionError> {
        let id = self.next_id;
        self.next_id += 1;
        // It may hold the password.
        let mut octets = Zeroizing::new(Vec::new());
        ber::write_constructed(&mut octets, ber::SEQUENCE, |out| {
            ber::write_integer(out, ber::INTEGER, i64::from(id));
            operation(out);
            if !controls.is_empty() {
                ber::write_constructed(out, CONTROLS, |out| {
                    controls.iter().for_each(|control| control.write(out));
                });
            }
        });
        let written = async {
            self.stream.write_all(&octets).await?;
            self.stream.flush().await
        };
        match awaited.within(written).await? {
            Ok(()) => Ok(id),
            Err(_) => Err(ConnectionError::Closed),
        }
    }

    async fn outcome_of(
        &mut self,
        id: u32,
        tag: u8,
        awaited: AwaitedAnswer,
    ) -> Result<OperationEnd, ConnectionError> {
        // It is short: octet by octet is as good as nothing.
        let message = awaited.within(self.receive(awaited)).await??;
        if (message.id, message.tag) == (id, tag) {
            read_outcome(&message)
        } else {
            Err(self.unasked(&message))
        }
    }

    /// A message that answers nothing: the notice that the server hangs up, or nonsense.
    fn unasked(&self, message: &ServerMessage) -> ConnectionError {
        if message.id == 0 {
            ConnectionError::Closed
        } else {
            let (id, tag) = (message.id, message.tag);
            ConnectionError::Malformed(format!("message {id} with the tag 0x{tag:02x}"))
        }
    }

    async fn receive(&mut self, awaited: AwaitedAnswer) -> Result<ServerMessage, ConnectionError> {
        loop {
            match frame::split(&self.received, MESSAGE_LIMIT)? {
                Frame::Complete { length } => {
                    let message = read_message(self.received.get(..length).unwrap_or_default())?;
                    self.received.advance(length);
                    return Ok(message);
                }
                Frame::Incomplete { .. } => self.received.reserve(READ_SIZE),
            }
            match awaited.within(self.stream.read_buf(&mut self.received)).await? {
                Ok(0) | Err(_) => return Err(ConnectionError::Closed),
                Ok(_) => {}
            }
        }
    }
}

fn read_message(octets: &[u8]) -> Result<ServerMessage, BerError> {
    let mut envelope = Reader::new(octets).constructed(ber::SEQUENCE)?;
    let id = envelope.max_int()?;
    let Element { tag, contents } = envelope.element()?;
    let controls = envelope.optional(CONTROLS)?.unwrap_or_default();
    Ok(ServerMessage {
        id,
        tag,
        contents: contents.to_vec(),
        controls: controls.to_vec(),
    })
}

fn read_entry(contents: &[u8]) -> Result<ReceivedEntry, BerError> {
    let mut reader = Reader::new(contents);
    let mut entry = ReceivedEntry {
        dn: reader.octet_string()?.to_vec(),
        attributes: Vec::new(),
    };
    let mut attributes = reader.constructed(ber::SEQUENCE)?;
    while !attributes.is_empty() {
        let mut attribute = attributes.constructed(ber::SEQUENCE)?;
        let name = attribute.octet_string()?.to_vec();
        let mut set = attribute.constructed(ber::SET)?;
        let mut values = Vec::new();
        while !set.is_empty() {
            values.push(set.octet_string()?.to_vec());
        }
        entry.attributes.push((name, values));
    }
    Ok(entry)
}

/// The URLs of a reference, sorted, with blanks in between.
fn read_reference(contents: &[u8]) -> Result<Vec<u8>, BerError> {
    let mut reader = Reader::new(contents);
    let mut urls: Vec<&[u8]> = Vec::new();
    while !reader.is_empty() {
        urls.push(reader.octet_string()?);
    }
    // Any of them will do, so that their order means nothing.
    urls.sort_unstable();
    Ok(urls.join(&b' '))
}

fn read_outcome(message: &ServerMessage) -> Result<OperationEnd, ConnectionError> {
    let mut reader = Reader::new(&message.contents);
    let code = reader.enumerated()?;
    let _matched_dn = reader.octet_string()?;
    let text = String::from_utf8_lossy(reader.octet_string()?).into_owned();
    Ok(OperationEnd {
        code,
        message: text,
        cookie: cookie(&message.controls)?,
    })
}

fn cookie(controls: &[u8]) -> Result<Vec<u8>, BerError> {
    let mut controls = Reader::new(controls);
    while !controls.is_empty() {
        let mut control = controls.constructed(ber::SEQUENCE)?;
        let name = control.octet_string()?;
        control.optional(ber::BOOLEAN)?;
        let value = control.optional(ber::OCTET_STRING)?;
        if name == PAGED_RESULTS.as_bytes() {
            return Ok(PagedResults::read(value.unwrap_or_default())?.cookie);
        }
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that takes connections, answers the first of them with this, and says nothing else.
    async fn silent(answer: &'static [u8]) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(answer).await;
                kept.push(stream);
            }
        });
        Target::parse(&format!("ldap://{address}"), false).expect("a URI")
    }

    async fn told(target: &Target) -> String {
        let asked = async {
            let mut connection = ClientConnection::open(target).await?;
            connection.bind("cn=a", b"b").await?;
            connection.search(b"", None, |_| Ok(())).await
        };
        asked.await.expect_err("silence").to_string()
    }

    const BOUND: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_given_up_at_every_step() {
        let began = tokio::time::Instant::now();
        let text = told(&silent(b"").await).await;
        assert!(text.starts_with("no answer to the bind within 60 s"), "{text}");
        assert!(text.contains("--timeout"), "{text}");
        let text = told(&silent(BOUND).await).await;
        assert!(text.starts_with("no answer to the search within 300 s"), "{text}");
        let start_tls = Target {
            security: Security::StartTls,
            ..silent(b"").await
        };
        let text = told(&start_tls).await;
        assert!(text.starts_with("no answer to StartTLS within 60 s"), "{text}");
        let tls = Target {
            security: Security::Tls,
            tls: Some(Arc::new(
                akldap_authentik::tls::client_config(&akldap_authentik::tls::Trust::Anybody).expect("TLS"),
            )),
            ..silent(b"").await
        };
        let text = told(&tls).await;
        assert!(
            text.starts_with("no answer to the TLS handshake within 10 s"),
            "{text}"
        );
        for (answer, step) in [(&b""[..], "the bind"), (BOUND, "the search")] {
            let impatient = Target {
                patience: Some(Duration::from_secs(7)),
                ..silent(answer).await
            };
            let text = told(&impatient).await;
            assert!(
                text.starts_with(&format!("no answer to {step} within 7 s")),
                "{text}"
            );
        }
        assert!(
            began.elapsed() < Duration::from_secs(500),
            "{:?}",
            began.elapsed()
        );
    }
}
