//! A small LDAP client for tests. What passes over the wire is encoded and decoded with `ldap3_proto`, not with the server's code; raw
//! octets can be sent where a proper client would refuse.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ldap3_proto::LdapCodec;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapCompareRequest, LdapDerefAliases, LdapExtendedRequest,
    LdapExtendedResponse, LdapMsg, LdapOp, LdapResult, LdapSearchRequest, LdapSearchScope,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::codec::Framed;

use crate::filter;

/// Longer than anything the server does in a test.
const PATIENCE: Duration = Duration::from_secs(120);

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub struct Client {
    framed: Framed<Box<dyn Stream>, LdapCodec>,
    next_id: i32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub dn: String,
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// The values of an attribute as text; `None` when the attribute is not there.
    pub fn get(&self, name: &str) -> Option<Vec<String>> {
        let (_, values) = self.attributes.iter().find(|(attribute, _)| attribute == name)?;
        Some(
            values
                .iter()
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect(),
        )
    }

    pub fn one(&self, name: &str) -> String {
        self.get(name)
            .and_then(|values| values.into_iter().next())
            .unwrap_or_default()
    }

    pub fn names(&self) -> Vec<&str> {
        self.attributes.iter().map(|(name, _)| name.as_str()).collect()
    }
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub code: i32,
    pub matched_dn: String,
    pub message: String,
    pub controls: Vec<LdapControl>,
}

#[derive(Clone, Debug)]
pub struct Found {
    pub entries: Vec<Entry>,
    pub outcome: Outcome,
}

impl Found {
    pub fn dns(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.dn.as_str()).collect()
    }

    pub fn entry(&self, dn: &str) -> &Entry {
        self.entries
            .iter()
            .find(|entry| entry.dn == dn)
            .unwrap_or_else(|| panic!("no entry {dn} among {:?}", self.dns()))
    }
}

/// A search as most tests need it.
pub fn search(base: &str, scope: LdapSearchScope, filter: &str, attributes: &[&str]) -> LdapSearchRequest {
    LdapSearchRequest {
        base: base.to_owned(),
        scope,
        aliases: LdapDerefAliases::Never,
        sizelimit: 0,
        timelimit: 0,
        typesonly: false,
        filter: filter::parse(filter),
        attrs: attributes
            .iter()
            .map(|attribute| (*attribute).to_owned())
            .collect(),
    }
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(Box::new(TcpStream::connect(address).await.unwrap()))
    }

    pub fn over(stream: Box<dyn Stream>) -> Self {
        let codec = LdapCodec::new(Some(64 << 20), Some(64));
        Self {
            framed: Framed::new(stream, codec),
            next_id: 1,
        }
    }

    pub fn into_stream(self) -> Box<dyn Stream> {
        self.framed.into_inner()
    }

    pub async fn send(&mut self, op: LdapOp, ctrl: Vec<LdapControl>) -> i32 {
        self.try_send(op, ctrl).await.unwrap()
    }

    /// The same where the server may have ended the connection.
    pub async fn try_send(&mut self, op: LdapOp, ctrl: Vec<LdapControl>) -> std::io::Result<i32> {
        let msgid = self.next_id;
        self.next_id += 1;
        self.framed.send(LdapMsg { msgid, op, ctrl }).await?;
        Ok(msgid)
    }

    pub async fn send_raw(&mut self, octets: &[u8]) {
        let stream = self.framed.get_mut();
        stream.write_all(octets).await.unwrap();
        stream.flush().await.unwrap();
    }

    /// The next message; `None` when the server closed the connection.
    pub async fn receive(&mut self) -> Option<LdapMsg> {
        match timeout(PATIENCE, self.framed.next())
            .await
            .expect("an answer in time")
        {
            Some(Ok(message)) => Some(message),
            Some(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Some(Err(error)) => panic!("unreadable answer: {error}"),
            None => None,
        }
    }

    async fn answer(&mut self) -> LdapMsg {
        self.receive()
            .await
            .expect("an answer, not the end of the connection")
    }

    pub async fn bind(&mut self, dn: &str, password: &str) -> Outcome {
        let request = LdapBindRequest {
            dn: dn.to_owned(),
            cred: LdapBindCred::Simple(password.to_owned()),
            version: 3,
        };
        let id = self.send(LdapOp::BindRequest(request), vec![]).await;
        let message = self.answer().await;
        assert_eq!(message.msgid, id);
        let LdapOp::BindResponse(response) = message.op else {
            panic!("{message:?}")
        };
        outcome(response.res, message.ctrl)
    }

    pub async fn search(
        &mut self,
        base: &str,
        scope: LdapSearchScope,
        filter: &str,
        attributes: &[&str],
    ) -> Found {
        self.search_with(search(base, scope, filter, attributes), vec![])
            .await
    }

    /// A search of the whole tree below `base`.
    pub async fn subtree(&mut self, base: &str, filter: &str, attributes: &[&str]) -> Found {
        self.search(base, LdapSearchScope::Subtree, filter, attributes)
            .await
    }

    /// A search of one entry.
    pub async fn read(&mut self, base: &str, attributes: &[&str]) -> Found {
        self.search(base, LdapSearchScope::Base, "(objectClass=*)", attributes)
            .await
    }

    pub async fn search_with(&mut self, request: LdapSearchRequest, controls: Vec<LdapControl>) -> Found {
        let id = self.send(LdapOp::SearchRequest(request), controls).await;
        self.collect(id).await
    }

    /// Collects the answers to the search `id`.
    pub async fn collect(&mut self, id: i32) -> Found {
        let mut entries = Vec::new();
        loop {
            let message = self.answer().await;
            assert_eq!(message.msgid, id, "{message:?}");
            match message.op {
                LdapOp::SearchResultEntry(entry) => entries.push(Entry {
                    dn: entry.dn,
                    attributes: entry
                        .attributes
                        .into_iter()
                        .map(|attribute| (attribute.atype, attribute.vals))
                        .collect(),
                }),
                LdapOp::SearchResultDone(result) => {
                    return Found {
                        entries,
                        outcome: outcome(result, message.ctrl),
                    };
                }
                other => panic!("{other:?}"),
            }
        }
    }

    pub async fn compare(&mut self, dn: &str, attribute: &str, value: &[u8]) -> Outcome {
        let request = LdapCompareRequest {
            dn: dn.to_owned(),
            atype: attribute.to_owned(),
            val: value.to_vec(),
        };
        self.send(LdapOp::CompareRequest(request), vec![]).await;
        let message = self.answer().await;
        let LdapOp::CompareResult(result) = message.op else {
            panic!("{message:?}")
        };
        outcome(result, message.ctrl)
    }

    pub async fn extended(&mut self, name: &str, value: Option<Vec<u8>>) -> LdapExtendedResponse {
        let request = LdapExtendedRequest {
            name: name.to_owned(),
            value,
        };
        self.send(LdapOp::ExtendedRequest(request), vec![]).await;
        let message = self.answer().await;
        let LdapOp::ExtendedResponse(response) = message.op else {
            panic!("{message:?}")
        };
        response
    }

    pub async fn who_am_i(&mut self) -> String {
        let response = self.extended("1.3.6.1.4.1.4203.1.11.3", None).await;
        String::from_utf8(response.value.unwrap_or_default()).unwrap()
    }
}

fn outcome(result: LdapResult, controls: Vec<LdapControl>) -> Outcome {
    Outcome {
        code: result.code as i32,
        matched_dn: result.matcheddn,
        message: result.message,
        controls,
    }
}
