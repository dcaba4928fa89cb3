//! The floor: a tokio server that answers every request with octets prepared before. It finds where messages begin and
//! end and puts the message id in, as any server must; it does nothing else.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use akldap_workload::wire::{BIND_REQUEST, Frame};

/// What a successful bind is answered, with the message id 1.
pub const BIND_ANSWER: [u8; 14] = [0x30, 12, 2, 1, 1, 0x61, 7, 10, 1, 0, 4, 0, 4, 0];

/// Answers to one kind of request: octets, and where message ids are in them.
struct Template {
    octets: Vec<u8>,
    ids: Vec<usize>,
}

impl Template {
    fn new(octets: Vec<u8>) -> Self {
        let (mut ids, mut at) = (Vec::new(), 0);
        while let Some(frame) = Frame::first(&octets[at..]) {
            ids.push(at + frame.header + 2);
            at += frame.length;
        }
        Self { octets, ids }
    }

    fn write(&self, id: u8, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&self.octets);
        for at in &self.ids {
            out[begin + at] = id;
        }
    }
}

/// Serves until killed. `answer` is a file with the answer to everything but binds.
///
/// # Errors
/// When the address is taken or the file is not readable.
pub fn serve(address: SocketAddr, answer: &Path) -> anyhow::Result<()> {
    let answer = std::fs::read(answer).context("the answer to echo")?;
    let templates = Arc::new((Template::new(BIND_ANSWER.to_vec()), Template::new(answer)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let templates = Arc::clone(&templates);
            tokio::spawn(async move {
                let _ = converse(stream, &templates.0, &templates.1).await;
            });
        }
    })
}

async fn converse(mut stream: TcpStream, bind: &Template, other: &Template) -> std::io::Result<()> {
    let (mut input, mut out) = (Vec::with_capacity(4096), Vec::new());
    loop {
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        let mut at = 0;
        while let Some(frame) = Frame::first(&input[at..]) {
            let id = at + frame.header + 2;
            match (input.get(id), input.get(id + 1)) {
                (Some(id), Some(&BIND_REQUEST)) => bind.write(*id, &mut out),
                // Unbind: the client closes.
                (Some(_), Some(&0x42)) => {}
                (Some(id), _) => other.write(*id, &mut out),
                (None, _) => return Ok(()),
            }
            at += frame.length;
        }
        input.drain(..at);
        stream.write_all(&out).await?;
        out.clear();
    }
}
