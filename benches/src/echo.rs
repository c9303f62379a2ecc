//! The yardstick: a tonic server that answers a message with one of a given size and does nothing
//! else, in the same set-up as Tactful's server (one current-thread runtime, SO_REUSEPORT, nodelay).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use tokio::net::TcpSocket;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status, body::Body};
use tonic_prost::ProstCodec;

/// Path of the one method.
pub(crate) const PATH: &str = "/benches.Echo/Echo";

/// The message, in and out.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Payload {
    /// Any bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) bytes: Vec<u8>,
}

impl Payload {
    /// A message that is `size` bytes long when encoded, or a few less where no message has that size.
    pub(crate) fn of_size(size: usize) -> Self {
        let mut payload = Self { bytes: vec![0x5A; size] };
        while payload.bytes.len() > 1 && prost::Message::encoded_len(&payload) > size {
            payload.bytes.pop();
        }
        payload
    }
}

/// Answers every message with the same number of bytes.
#[derive(Clone)]
struct Echo {
    reply: Payload,
}

impl UnaryService<Payload> for Echo {
    type Response = Payload;
    type Future = std::future::Ready<Result<Response<Payload>, Status>>;

    fn call(&mut self, _request: Request<Payload>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.reply.clone())))
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "benches.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Payload, Payload>::default());
            Ok(grpc.unary(service, request).await)
        })
    }
}

/// Serves on a free loopback port until it is killed; `ready` is told the port's address.
///
/// # Errors
/// If there is no port, or the transport fails.
pub fn serve(reply_bytes: usize, ready: impl FnOnce(SocketAddr)) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(1_024)?;
        ready(listener.local_addr()?);
        let connections = TcpListenerStream::new(listener).map(|stream| {
            let stream = stream?;
            stream.set_nodelay(true)?;
            Ok::<_, std::io::Error>(stream)
        });
        let service = Echo { reply: Payload::of_size(reply_bytes) };
        let server = tonic::transport::Server::builder().max_concurrent_streams(128).add_service(service);
        server.serve_with_incoming(connections).await.context("the echo server failed")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use prost::Message;
    use tonic::transport::Endpoint;

    use super::*;
    use crate::raw::RawCall;

    #[test]
    fn payloads_have_the_size_asked_for() {
        for size in [3, 100, 127, 600, 2_000] {
            assert_eq!(Payload::of_size(size).encoded_len(), size);
        }
    }

    #[test]
    fn it_answers_with_as_many_bytes_as_asked() {
        let (sender, address) = mpsc::channel();
        std::thread::spawn(move || serve(600, |address| sender.send(address).unwrap()).unwrap());
        let address = address.recv().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let reply = runtime.block_on(async {
            let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
            let request = Payload::of_size(100).encode_to_vec().into();
            RawCall::new(channel, PATH, [request].into()).reply(0).await.unwrap()
        });
        assert_eq!(reply.len(), 600);
    }
}
