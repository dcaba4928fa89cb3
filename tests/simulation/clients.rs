//! LDAP clients over streams in memory: each sends what it is told, without waiting for what it sent before, and reports
//! whatever comes back. What passes over the wire is encoded and decoded with `ldap3_proto`, not with the server's code.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use akldap::server::Server;
use futures_util::{SinkExt as _, StreamExt as _};
use ldap3_proto::LdapCodec;
use ldap3_proto::control::{LdapControl, ServerSortRequet};
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapCompareRequest, LdapDerefAliases, LdapExtendedRequest, LdapFilter,
    LdapMsg, LdapOp, LdapSearchRequest, LdapSearchScope, SaslCredentials,
};
use tokio::io::duplex;
use tokio::sync::mpsc;
use tokio_util::codec::Framed;

use crate::court::{Asked, Court, Found, Request};
use crate::plan::{NAMES, SECRETS, Unfit, What};
use crate::time::now;
use crate::wire::Wire;
use crate::world::base;

/// Octets on their way in one direction, as of a socket.
const BUFFER: usize = 64 * 1024;
/// Requests a client is told of before it sends them.
const COMMANDS: usize = 256;
/// Entries of a page.
const PAGE: i64 = 2;
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";

/// A client, for as long as it is there.
pub struct Client {
    tell: mpsc::Sender<Told>,
}

enum Told {
    Ask(Request),
    Abandon,
    HangUp,
}

/// The address of a client: some share one.
pub fn address(connection: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 1, 0, (connection % 5) as u8 + 1))
}

impl Client {
    /// A client on a connection of its own.
    pub async fn connect(server: &Server, court: &Arc<Court>, connection: usize) -> Self {
        let (near, far) = duplex(BUFFER);
        let peer = SocketAddr::new(address(connection), 40_000);
        server.take(far, peer).await;
        let (tell, told) = mpsc::channel(COMMANDS);
        let number = court.connected(connection);
        let court = Arc::clone(court);
        tokio::spawn(async move {
            let talk = Talk {
                court,
                number,
                framed: Framed::new(Wire::Clear(near), codec()),
                next_id: 1,
                securing: None,
                next_pages: Vec::new(),
            };
            talk.run(told).await;
        });
        Self { tell }
    }

    /// Whether it is still there.
    pub fn is_there(&self) -> bool {
        !self.tell.is_closed()
    }

    pub fn ask(&self, request: Request) {
        let _ = self.tell.try_send(Told::Ask(request));
    }

    pub fn abandon(&self) {
        let _ = self.tell.try_send(Told::Abandon);
    }

    pub fn hang_up(&self) {
        let _ = self.tell.try_send(Told::HangUp);
    }
}

struct Talk {
    court: Arc<Court>,
    number: usize,
    framed: Framed<Wire, LdapCodec>,
    next_id: i32,
    /// The request for TLS that is under way: nothing is sent after it.
    securing: Option<i32>,
    /// Pages to be asked for after that, with their cookies.
    next_pages: Vec<(Asked, Vec<u8>)>,
}

fn codec() -> LdapCodec {
    LdapCodec::new(Some(1 << 20), Some(32))
}

impl Talk {
    async fn run(mut self, mut told: mpsc::Receiver<Told>) {
        loop {
            tokio::select! {
                biased;
                message = self.framed.next() => match message {
                    Some(Ok(message)) => match self.promises_tls(&message) {
                        false => {
                            self.receive(message).await;
                            if self.court.is_sent_away(self.number) {
                                break self.court.closed(self.number);
                            }
                        }
                        true => {
                            self.receive(message).await;
                            let wire = self.framed.into_inner().secured().await;
                            match wire {
                                Ok(wire) => self.framed = Framed::new(wire, codec()),
                                Err(_) => break self.court.closed(self.number),
                            }
                        }
                    },
                    Some(Err(_)) | None => break self.court.closed(self.number),
                },
                () = std::future::ready(()), if self.securing.is_none() && !self.next_pages.is_empty() => {
                    for (asked, cookie) in std::mem::take(&mut self.next_pages) {
                        self.ask(asked.request.clone(), cookie, Some(asked)).await;
                    }
                }
                command = told.recv(), if self.securing.is_none() => match command {
                    Some(Told::Ask(request)) => {
                        self.court.let_others().await;
                        self.ask(request, Vec::new(), None).await;
                    }
                    Some(Told::Abandon) => {
                        if let Some(id) = self.court.abandoned(self.number) {
                            self.send(LdapOp::AbandonRequest(id), Vec::new()).await;
                        }
                    }
                    Some(Told::HangUp) | None => break self.court.hung_up(self.number),
                },
            }
        }
    }

    /// Sends a request, or another page of one.
    async fn ask(&mut self, request: Request, cookie: Vec<u8>, earlier: Option<Asked>) {
        let (op, controls) = encode(&request, cookie);
        let id = self.next_id;
        if matches!(request, Request::StartTls) {
            self.securing = Some(id);
        }
        let former = self.court.former(&request, earlier.is_some());
        let mut asked = earlier.unwrap_or_else(|| Asked {
            begun: now(),
            sent: now(),
            found: Vec::new(),
            pages: None,
            request,
        });
        if let Some(former) = former {
            self.send(op, controls).await;
            tokio::time::sleep(former).await;
            asked.sent = now();
            self.court.asked(self.number, id, asked);
        } else {
            asked.sent = now();
            self.court.asked(self.number, id, asked);
            self.send(op, controls).await;
        }
    }

    async fn send(&mut self, op: LdapOp, ctrl: Vec<LdapControl>) {
        let msgid = self.next_id;
        self.next_id += 1;
        // A connection that is gone shows when it is read.
        let _ = self.framed.send(LdapMsg { msgid, op, ctrl }).await;
    }

    /// Whether this is the answer after which TLS begins; with any other to that request all goes on in clear.
    fn promises_tls(&mut self, message: &LdapMsg) -> bool {
        let awaited = self.securing.take_if(|id| *id == message.msgid);
        let LdapOp::ExtendedResponse(response) = &message.op else {
            return false;
        };
        awaited.is_some() && response.res.code.clone() as i32 == 0
    }

    async fn receive(&mut self, message: LdapMsg) {
        let (number, id) = (self.number, message.msgid);
        self.court.dawdle().await;
        match message.op {
            LdapOp::SearchResultEntry(entry) => {
                let attributes = entry.attributes.into_iter().map(|attribute| {
                    let values = attribute.vals.iter();
                    let values = values.map(|value| String::from_utf8_lossy(value).into_owned());
                    (attribute.atype, values.collect())
                });
                let found = Found {
                    dn: entry.dn,
                    attributes: attributes.collect(),
                };
                self.court.found(number, id, found);
            }
            LdapOp::SearchResultDone(result) => {
                let cookie = message.ctrl.into_iter().find_map(|control| match control {
                    LdapControl::SimplePagedResults { cookie, .. } if !cookie.is_empty() => Some(cookie),
                    _ => None,
                });
                let code = result.code as i32;
                match cookie.filter(|_| code == 0) {
                    Some(cookie) => {
                        if let Some(asked) = self.court.page_ended(number, id) {
                            match self.securing {
                                None => self.ask(asked.request.clone(), cookie, Some(asked)).await,
                                Some(_) => self.next_pages.push((asked, cookie)),
                            }
                        }
                    }
                    None => self.court.answered(number, id, code, &result.message, ""),
                }
            }
            LdapOp::BindResponse(response) => {
                self.court
                    .answered(number, id, response.res.code as i32, &response.res.message, "");
            }
            LdapOp::CompareResult(result) => {
                self.court
                    .answered(number, id, result.code as i32, &result.message, "")
            }
            LdapOp::ExtendedResponse(response) => {
                let value = String::from_utf8(response.value.unwrap_or_default()).unwrap_or_default();
                self.court.answered(
                    number,
                    id,
                    response.res.code as i32,
                    &response.res.message,
                    &value,
                );
            }
            other => self
                .court
                .fault(format!("connection {number} was sent {other:?}")),
        }
    }
}

fn encode(request: &Request, cookie: Vec<u8>) -> (LdapOp, Vec<LdapControl>) {
    let extended = |name: &str| {
        LdapOp::ExtendedRequest(LdapExtendedRequest {
            name: name.to_owned(),
            value: None,
        })
    };
    let mut controls = Vec::new();
    let op = match request {
        Request::Bind {
            name,
            provider,
            secret,
            spelling,
        } => LdapOp::BindRequest(LdapBindRequest {
            dn: spelling.spell(name, base(*provider)),
            cred: LdapBindCred::Simple(secret.clone()),
            version: 3,
        }),
        Request::Search { provider, what } => {
            let filter = match what {
                What::Name(name) => LdapFilter::Equality("cn".to_owned(), NAMES[*name].to_owned()),
                What::All | What::Pages | What::Sorted => LdapFilter::Present("objectClass".to_owned()),
            };
            if *what == What::Sorted {
                controls.push(LdapControl::ServerSort {
                    sort_requests: vec![ServerSortRequet {
                        attribute_name: "cn".to_owned(),
                        ordering_rule: None,
                        reverse_order: false,
                    }],
                });
            }
            if matches!(what, What::Pages | What::Sorted) {
                controls.push(LdapControl::SimplePagedResults { size: PAGE, cookie });
            }
            LdapOp::SearchRequest(LdapSearchRequest {
                base: base(*provider).to_owned(),
                scope: LdapSearchScope::Subtree,
                aliases: LdapDerefAliases::Never,
                sizelimit: 0,
                timelimit: 0,
                typesonly: false,
                filter,
                attrs: ["cn", "uid", "mail", "member"].map(str::to_owned).to_vec(),
            })
        }
        Request::Compare { name, provider } => LdapOp::CompareRequest(LdapCompareRequest {
            dn: format!("cn={},ou=users,{}", NAMES[*name], base(*provider)),
            atype: "mail".to_owned(),
            val: format!("{}@example.org", NAMES[*name]).into_bytes(),
        }),
        Request::Unfit(kind) => LdapOp::BindRequest(unfit(*kind)),
        Request::WhoAmI => extended(WHO_AM_I),
        Request::StartTls => extended(START_TLS),
    };
    (op, controls)
}

/// A bind that is refused without being judged, or of nobody. Where there is a name and a secret they are somebody's own.
fn unfit(kind: Unfit) -> LdapBindRequest {
    let own = format!("cn={},ou=users,{}", NAMES[0], base(0));
    let (dn, secret) = match kind {
        Unfit::Anonymous => (String::new(), ""),
        Unfit::NoSecret => (own, ""),
        Unfit::NoName => (format!("ou=users,{}", base(0)), SECRETS[0]),
        Unfit::OtherTree => (format!("cn={},dc=three,dc=example", NAMES[0]), SECRETS[0]),
        Unfit::Version | Unfit::Sasl => (own, SECRETS[0]),
    };
    let cred = match kind {
        Unfit::Sasl => LdapBindCred::SASL(SaslCredentials {
            mechanism: "PLAIN".to_owned(),
            credentials: secret.into(),
        }),
        _ => LdapBindCred::Simple(secret.to_owned()),
    };
    let version = if kind == Unfit::Version { 2 } else { 3 };
    LdapBindRequest { dn, cred, version }
}
