//! The protobuf messages of Tactful and, with feature `grpc`, its services and clients.
//!
//! Generated code, whose documentation the files under `proto/` carry, and what writes messages from
//! pieces that are encoded already.

mod encoded;

#[allow(unreachable_pub, missing_docs, clippy::all, clippy::pedantic, reason = "generated code")]
pub mod tactful {
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/tactful.v1.rs"));
        #[cfg(feature = "grpc")]
        include!(concat!(env!("OUT_DIR"), "/server/tactful.v1.rs"));
    }
    pub mod storage {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/tactful.storage.v1.rs"));
        }
    }
    pub mod artifact {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/tactful.artifact.v1.rs"));
        }
    }
}

pub use encoded::{Encoded, put_bytes, put_head, put_message};
pub use tactful::{artifact::v1 as artifact, storage::v1 as storage, v1};

/// Descriptors of all protos, encoded: what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tactful.binpb"));
