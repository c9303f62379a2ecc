//! Accepted connections of one listener: nodelay set, their number and their first silence bounded,
//! and an accept loop that rests when the system runs out of descriptors instead of spinning.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{self, Stream};
use metrics::counter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tonic::transport::server::Connected;

/// Rest after a failed accept, for example for want of file descriptors.
const REST: Duration = Duration::from_millis(50);

/// How long a new connection may stay silent: the transport's own pings begin after its first bytes.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A connection that gives its place back when it ends.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Ends a connection that never sent a byte; none once it did.
    silence: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

/// A listener with a bound on open connections; further ones wait in the backlog.
pub(crate) struct Incoming {
    listener: TcpListener,
    places: Arc<Semaphore>,
    silence_max: Duration,
}

impl Incoming {
    /// At most this many connections at a time.
    pub(crate) fn new(listener: TcpListener, connections_max: usize) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(connections_max.max(1))), silence_max: SILENCE_MAX }
    }

    /// The connections one after the other.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        stream::unfold(self, |incoming| async move {
            let (connection, _peer) = incoming.next().await;
            Some((Ok(connection), incoming))
        })
    }

    async fn next(&self) -> (Connection, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        let (stream, peer) = accept(&self.listener).await;
        let silence = Some(Box::pin(tokio::time::sleep(self.silence_max)));
        (Connection { stream, silence, _place: place }, peer)
    }
}

impl axum::serve::Listener for Incoming {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        self.next().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        let accepted = listener.accept().await.and_then(|(stream, peer)| {
            // Without it Nagle's algorithm and delayed acknowledgements add 40 ms to a reply.
            stream.set_nodelay(true)?;
            Ok((stream, peer))
        });
        match accepted {
            Ok(accepted) => return accepted,
            Err(error) => {
                counter!("tactful_accept_errors_total").increment(1);
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// A listener that shares its port with those of the other serving threads.
///
/// # Errors
/// If the address cannot be bound.
pub(crate) fn listen(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    const BACKLOG: i32 = 1_024;
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        match (&mut self.silence, read) {
            (Some(silence), Poll::Pending) => {
                silence.as_mut().poll(cx).map(|()| Err(io::Error::from(io::ErrorKind::TimedOut)))
            }
            (_, read) => {
                if read.is_ready() {
                    self.silence = None;
                }
                read
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn connections_are_nodelay_and_bounded() {
        let listener = TcpListener::from_std(listen(([127, 0, 0, 1], 0).into(), true).unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = Box::pin(Incoming::new(listener, 1).into_stream());
        let _first_peer = TcpStream::connect(address).await.unwrap();
        let _second_peer = TcpStream::connect(address).await.unwrap();
        let first = connections.next().await.unwrap().unwrap();
        assert!(first.stream.nodelay().unwrap());
        let waiting = tokio::time::timeout(Duration::from_millis(50), connections.next()).await;
        assert!(waiting.is_err(), "a second connection was accepted beyond the bound");
        drop(first);
        assert!(connections.next().await.unwrap().unwrap().stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_connection_that_never_speaks_ends() {
        let listener = TcpListener::from_std(listen(([127, 0, 0, 1], 0).into(), true).unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = Incoming { silence_max: Duration::from_millis(50), ..Incoming::new(listener, 2) };
        let _silent_peer = TcpStream::connect(address).await.unwrap();
        let (mut silent, _) = incoming.next().await;
        assert_eq!(silent.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut speaking_peer = TcpStream::connect(address).await.unwrap();
        let (mut speaking, _) = incoming.next().await;
        speaking_peer.write_u8(7).await.unwrap();
        assert_eq!(speaking.read_u8().await.unwrap(), 7);
        let later = tokio::time::timeout(Duration::from_millis(150), speaking.read_u8()).await;
        assert!(later.is_err(), "one that has spoken may be silent");
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error() {
        let first = listen(([127, 0, 0, 1], 0).into(), true).unwrap();
        let address = first.local_addr().unwrap();
        assert_eq!(listen(address, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(listen(address, true).is_ok(), "threads of one server share the port");
    }
}
