//! The door: how many may come in at once, and how long each may stay.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// Connections at once: a scraper, a few people, and somebody who misbehaves.
const MOST_GUESTS: usize = 64;
/// From the first byte to the last; a guest who dawdles is shown out.
const LONGEST_STAY: Duration = Duration::from_secs(30);

/// A listener that lets in so many at once.
pub(crate) struct ConnectionLimit {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl ConnectionLimit {
    pub(crate) fn new(listener: TcpListener) -> ConnectionLimit {
        ConnectionLimit { listener, room: Arc::new(Semaphore::new(MOST_GUESTS)) }
    }
}

impl axum::serve::Listener for ConnectionLimit {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        // The semaphore is never closed.
        let room = Arc::clone(&self.room).acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let leaves = Box::pin(tokio::time::sleep(LONGEST_STAY));
                    return (Guest { stream, leaves, _room: room }, address);
                }
                // Out of file descriptors, or a client that left early: neither ends the server.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when its time is up.
pub(crate) struct Guest {
    stream: TcpStream,
    leaves: Pin<Box<Sleep>>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Guest {
    fn time_is_up(&mut self, context: &mut Context<'_>) -> bool {
        self.leaves.as_mut().poll(context).is_ready()
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.time_is_up(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.time_is_up(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
