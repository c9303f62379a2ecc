//! A unary call with messages that are encoded once and never decoded: the generator costs the same
//! whatever service it loads, and as little as a tonic client can.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use loadtest::Call;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// Messages as bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// One method on one connection, with requests to take turns.
#[derive(Clone)]
pub(crate) struct RawCall {
    client: tonic::client::Grpc<Channel>,
    path: PathAndQuery,
    requests: Arc<[Bytes]>,
}

impl RawCall {
    /// Sends these requests, of which there must be one, to `path`.
    pub(crate) fn new(channel: Channel, path: &'static str, requests: Arc<[Bytes]>) -> Self {
        assert!(!requests.is_empty(), "no requests");
        Self { client: tonic::client::Grpc::new(channel), path: PathAndQuery::from_static(path), requests }
    }

    /// The reply to one request.
    pub(crate) async fn reply(&mut self, index: u64) -> Result<Bytes, Status> {
        let request = self.requests[index as usize % self.requests.len()].clone();
        self.client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(self.client.unary(Request::new(request), self.path.clone(), Raw).await?.into_inner())
    }
}

impl Call for RawCall {
    fn call(&mut self, index: u64) -> impl Future<Output = Result<(), Code>> + 'static {
        let mut call = self.clone();
        async move { call.reply(index).await.map(drop).map_err(|status| status.code()) }
    }
}
