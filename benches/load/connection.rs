//! A blocking LDAP connection for everything that is not measured: reading the directory out, checking answers,
//! walking pages.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, bail};
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{LdapOp, LdapSearchResultEntry};

use akldap_workload::wire::{self, Encoded, Frame};

/// Octets read at once.
const CHUNK: usize = 256 * 1024;

/// One connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
}

/// How an operation ended.
#[derive(Debug)]
pub struct Ending {
    /// The result code.
    pub code: i32,
    /// The server's words.
    pub message: String,
    /// Controls of the result.
    pub controls: Vec<LdapControl>,
}

impl Connection {
    /// Connects and binds.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses the bind.
    pub fn bound(address: SocketAddr, dn: &str, password: &str) -> anyhow::Result<Self> {
        let mut connection = Self::open(address)?;
        let ending = connection.bind(dn, password)?;
        if ending.code != 0 {
            bail!("bind as {dn} on {address}: {} {}", ending.code, ending.message);
        }
        Ok(connection)
    }

    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
            start: 0,
        })
    }

    /// Binds, and says how that ended.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn bind(&mut self, dn: &str, password: &str) -> anyhow::Result<Ending> {
        self.send(&Encoded::new(wire::bind(dn, password), vec![])?)?;
        self.finish(|_| {})
    }

    /// A second handle of the socket.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn socket(&self) -> std::io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// The socket alone.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Sends a request with the message id 1.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn send(&mut self, request: &Encoded) -> anyhow::Result<()> {
        let mut out = Vec::with_capacity(request.len());
        request.write(1, &mut out);
        self.stream.write_all(&out)?;
        Ok(())
    }

    /// The next message, undecoded.
    ///
    /// # Errors
    /// When the connection ended.
    pub fn message(&mut self) -> anyhow::Result<(&[u8], Frame)> {
        loop {
            if let Some(frame) = Frame::first(&self.buffer[self.start..]) {
                let begin = self.start;
                self.start += frame.length;
                return Ok((&self.buffer[begin..begin + frame.length], frame));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            let filled = self.buffer.len();
            self.buffer.resize(filled + CHUNK, 0);
            let count = self.stream.read(&mut self.buffer[filled..])?;
            self.buffer.truncate(filled + count);
            if count == 0 {
                bail!("the server closed the connection");
            }
        }
    }

    /// Reads to the end of the operation; every entry is handed to `entry`.
    ///
    /// # Errors
    /// When the connection ended or an answer is malformed.
    pub fn finish(&mut self, mut entry: impl FnMut(LdapSearchResultEntry)) -> anyhow::Result<Ending> {
        loop {
            let (octets, _) = self.message()?;
            let message = wire::decode(octets)?;
            let result = match message.op {
                LdapOp::SearchResultEntry(found) => {
                    entry(found);
                    continue;
                }
                LdapOp::SearchResultDone(result) => result,
                LdapOp::BindResponse(response) => response.res,
                other => bail!("unexpected answer {other:?}"),
            };
            return Ok(Ending {
                code: result.code as i32,
                message: result.message,
                controls: message.ctrl,
            });
        }
    }

    /// One search; every entry is handed to `entry`.
    ///
    /// # Errors
    /// When the connection ended or the search did not succeed.
    pub fn search(
        &mut self,
        request: &Encoded,
        entry: impl FnMut(LdapSearchResultEntry),
    ) -> anyhow::Result<Vec<LdapControl>> {
        self.send(request)?;
        let ending = self.finish(entry).context("search")?;
        if ending.code != 0 {
            bail!("a search ended with {} {}", ending.code, ending.message);
        }
        Ok(ending.controls)
    }

    /// All octets of the answer to a request, as they came.
    ///
    /// # Errors
    /// When the connection ended.
    pub fn raw_answer(&mut self, request: &Encoded) -> anyhow::Result<Vec<u8>> {
        self.send(request)?;
        let mut octets = Vec::new();
        loop {
            let (message, frame) = self.message()?;
            octets.extend_from_slice(message);
            let answer = wire::Answer::read(message, frame).context("a malformed answer")?;
            if answer.tag != wire::SEARCH_ENTRY {
                return Ok(octets);
            }
        }
    }
}
