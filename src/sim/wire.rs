//! The sockets: a listener whose connections can be cut at a chosen byte. Nothing here knows what is served.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// What a connection may still send.
#[derive(Clone, Copy, Debug)]
enum Allowance {
    Everything,
    /// The head of the reply and so many bytes of its body.
    Body(usize),
    /// So many bytes, whatever they are.
    Bytes(usize),
}

/// The handle by which a fault cuts a connection.
#[derive(Clone, Debug)]
pub(crate) struct Scissors(Arc<Mutex<Allowance>>);

impl Scissors {
    /// Nothing more is sent: the client sees the connection end.
    pub(crate) fn cut_now(&self) {
        self.set(Allowance::Bytes(0));
    }

    /// The next reply is cut after so many bytes of its body.
    pub(crate) fn cut_after_body_bytes(&self, bytes: usize) {
        self.set(Allowance::Body(bytes));
    }

    fn set(&self, allowance: Allowance) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = allowance;
    }

    /// How many of these bytes may go out.
    fn allow(&self, bytes: &[u8]) -> usize {
        let mut allowance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *allowance {
            Allowance::Everything => bytes.len(),
            Allowance::Bytes(left) => left.min(bytes.len()),
            Allowance::Body(of_body) => match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end_of_head) => {
                    let left = end_of_head + 4 + of_body;
                    *allowance = Allowance::Bytes(left);
                    left.min(bytes.len())
                }
                None => bytes.len(),
            },
        }
    }

    fn sent(&self, bytes: usize) {
        let mut allowance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Allowance::Bytes(left) = *allowance {
            *allowance = Allowance::Bytes(left.saturating_sub(bytes));
        }
    }
}

/// A TCP stream under scissors.
pub(crate) struct Stream {
    tcp: TcpStream,
    scissors: Scissors,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let allowed = self.scissors.allow(buf);
        if allowed == 0 && !buf.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let result = Pin::new(&mut self.tcp).poll_write(cx, &buf[..allowed]);
        if let Poll::Ready(Ok(bytes)) = result {
            self.scissors.sent(bytes);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// A loopback listener whose connections are [`Stream`]s.
pub(crate) struct Listener {
    tcp: TcpListener,
    local: SocketAddr,
}

impl Listener {
    /// Binds a loopback port; 0 takes a free one.
    pub(crate) async fn bind(port: u16) -> io::Result<Self> {
        let tcp = TcpListener::bind(("127.0.0.1", port)).await?;
        Ok(Self { local: tcp.local_addr()?, tcp })
    }

    pub(crate) fn port(&self) -> u16 {
        self.local.port()
    }
}

impl axum::serve::Listener for Listener {
    type Io = Stream;
    type Addr = Scissors;

    async fn accept(&mut self) -> (Stream, Scissors) {
        loop {
            match self.tcp.accept().await {
                Ok((tcp, _)) => {
                    // Small replies must not wait for Nagle's algorithm; a failure only costs time.
                    let _ = tcp.set_nodelay(true);
                    let scissors = Scissors(Arc::new(Mutex::new(Allowance::Everything)));
                    return (Stream { tcp, scissors: scissors.clone() }, scissors);
                }
                // Out of file descriptors or a client that left early: neither ends the server.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Scissors> {
        Ok(Scissors(Arc::new(Mutex::new(Allowance::Everything))))
    }
}

impl axum::extract::connect_info::Connected<axum::serve::IncomingStream<'_, Listener>> for Scissors {
    fn connect_info(stream: axum::serve::IncomingStream<'_, Listener>) -> Self {
        stream.remote_addr().clone()
    }
}
