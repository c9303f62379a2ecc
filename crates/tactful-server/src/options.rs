//! What an operator may set about the server.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Addresses and bounds of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Address of the gRPC API. Loopback unless set otherwise.
    pub grpc_listen: SocketAddr,
    /// Address of metrics and health over HTTP.
    pub http_listen: SocketAddr,
    /// Serving threads, each with a runtime of its own; 0 takes one for each core.
    pub threads: usize,
    /// Open connections on each serving thread; further ones wait in the backlog.
    pub connections_max: usize,
    /// Concurrent streams of one HTTP/2 connection.
    pub streams_per_connection_max: u32,
    /// Requests in flight on the whole server; beyond, RESOURCE_EXHAUSTED at once.
    pub requests_max: usize,
    /// Open IngestStream and ExportDecisions calls on the whole server.
    pub streams_max: usize,
    /// Largest request message, in bytes.
    pub message_bytes_max: usize,
    /// How long a drain may take after SIGTERM, in milliseconds.
    pub drain_ms_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            grpc_listen: SocketAddr::from(([127, 0, 0, 1], 7411)),
            http_listen: SocketAddr::from(([127, 0, 0, 1], 7412)),
            threads: 0,
            connections_max: 4_096,
            streams_per_connection_max: 128,
            requests_max: 4_096,
            streams_max: 256,
            message_bytes_max: 4 << 20,
            drain_ms_max: 10_000,
        }
    }
}
