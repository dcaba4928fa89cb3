//! Sockets in: a listener that can be closed and opened again, connections that can be reset.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The wait between attempts to get the old port back.
const REBIND_PAUSE: Duration = Duration::from_millis(20);
const ACCEPTED_AHEAD: usize = 64;

/// Opens and closes the listener, and resets its connections.
#[derive(Debug)]
pub(crate) struct ListenerHandle {
    open: watch::Sender<bool>,
    /// Resets the current connections.
    reset: Mutex<CancellationToken>,
    pub(crate) stop: CancellationToken,
}

impl ListenerHandle {
    /// Opens or closes the listener; closing resets every connection.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
        if !open {
            self.reset_all();
        }
    }

    /// Resets every connection.
    pub(crate) fn reset_all(&self) {
        let mut reset = self.reset.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *reset).cancel();
    }

    /// What resets the next connection.
    fn reset_token(&self) -> CancellationToken {
        self.reset
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .child_token()
    }
}

/// Starts listening. Returns the incoming connections and the handle of the listener.
pub(crate) async fn listen(
    at: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> io::Result<(Incoming, Arc<ListenerHandle>)> {
    let listener = TcpListener::bind(at).await?;
    let address = listener.local_addr()?;
    let (open, watched) = watch::channel(true);
    let handle = Arc::new(ListenerHandle {
        open,
        reset: Mutex::default(),
        stop: CancellationToken::new(),
    });
    let (sender, accepted) = mpsc::channel(ACCEPTED_AHEAD);
    let tls = tls.map(TlsAcceptor::from);
    tokio::spawn(accept(
        listener,
        address,
        tls,
        watched,
        Arc::clone(&handle),
        sender,
    ));
    Ok((Incoming { accepted, address }, handle))
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    mut open: watch::Receiver<bool>,
    handle: Arc<ListenerHandle>,
    sender: mpsc::Sender<(Connection, SocketAddr)>,
) {
    let mut listener = Some(listener);
    loop {
        let wanted = *open.borrow_and_update();
        if !wanted {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        let Some(listening) = &listener else {
            tokio::select! {
                () = handle.stop.cancelled() => return,
                changed = open.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(REBIND_PAUSE), if wanted => {}
            }
            continue;
        };
        tokio::select! {
            () = handle.stop.cancelled() => return,
            changed = open.changed() => if changed.is_err() { return },
            accepted = listening.accept() => match accepted {
                Ok((stream, peer)) => {
                    tokio::spawn(receive(stream, peer, tls.clone(), handle.reset_token(), sender.clone()));
                }
                Err(_) => tokio::time::sleep(REBIND_PAUSE).await,
            },
        }
    }
}

async fn receive(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    reset: CancellationToken,
    sender: mpsc::Sender<(Connection, SocketAddr)>,
) {
    let _ = stream.set_nodelay(true);
    let secure = tls.is_some();
    let stream = match tls {
        None => Stream::Plain(stream),
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => Stream::Tls(Box::new(stream)),
            Err(_) => return,
        },
    };
    let connection = Connection {
        stream,
        reset: reset.clone(),
        waiting: Box::pin(reset.cancelled_owned()),
        secure,
    };
    let _ = sender.send((connection, peer)).await;
}

/// The accepted connections, for axum to serve.
#[derive(Debug)]
pub(crate) struct Incoming {
    accepted: mpsc::Receiver<(Connection, SocketAddr)>,
    pub(crate) address: SocketAddr,
}

impl Listener for Incoming {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    reset: CancellationToken,
    waiting: Pin<Box<WaitForCancellationFutureOwned>>,
    secure: bool,
}

impl Connection {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.waiting.as_mut().poll(cx).is_pending() {
            return Ok(());
        }
        let tcp = match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        };
        // With no time to linger, closing sends a reset instead of an orderly end.
        let _ = socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO));
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// What a handler knows about its connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) secure: bool,
    reset: CancellationToken,
}

impl Peer {
    /// Resets this connection.
    pub(crate) fn reset(&self) {
        self.reset.cancel();
    }
}

impl Connected<IncomingStream<'_, Incoming>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Incoming>) -> Self {
        let io = stream.io();
        Self {
            address: *stream.remote_addr(),
            secure: io.secure,
            reset: io.reset.clone(),
        }
    }
}
