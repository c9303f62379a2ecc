//! A client one layer below tonic's: headers as a test wants them, and connections that end as
//! rudely as they do in life.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::codegen::http::{HeaderMap, Request};

/// One HTTP/2 connection.
pub(crate) struct Raw {
    client: h2::client::SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

/// One call in progress.
pub(crate) struct Call {
    pub(crate) response: h2::client::ResponseFuture,
    pub(crate) sender: h2::SendStream<Bytes>,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(tcp).await.unwrap();
        Self { client, driver: tokio::spawn(connection) }
    }

    /// Begins a call, with a `grpc-timeout` if there is one.
    pub(crate) async fn begin(&self, path: &str, timeout: Option<&str>) -> Call {
        let mut request = Request::post(format!("http://tactful{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let mut client = self.client.clone().ready().await.unwrap();
        let (response, sender) = client.send_request(request.body(()).unwrap(), false).unwrap();
        Call { response, sender }
    }

    /// A whole call; returns how it ended.
    pub(crate) async fn call(&self, path: &str, timeout: Option<&str>, message: Bytes) -> Status {
        let mut call = self.begin(path, timeout).await;
        // The server may have answered by now, and want no more.
        let _answered = call.sender.send_data(message, true).is_err();
        let response = call.response.await.unwrap();
        if let Some(status) = Status::from_header_map(response.headers()) {
            return status;
        }
        let mut body = response.into_body();
        while let Some(chunk) = body.data().await {
            let length = chunk.unwrap().len();
            body.flow_control().release_capacity(length).unwrap();
        }
        let trailers = body.trailers().await.unwrap().unwrap_or_else(HeaderMap::new);
        Status::from_header_map(&trailers).unwrap()
    }

    /// Ends the connection without a word of goodbye.
    pub(crate) async fn kill(self) {
        self.driver.abort();
        let _aborted = self.driver.await.is_err();
    }
}

/// A message as it travels: not compressed, length, bytes.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.encoded_len() as u32);
    message.encode(&mut frame).unwrap();
    frame.freeze()
}
