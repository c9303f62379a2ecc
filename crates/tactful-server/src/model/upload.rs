//! A model that comes in pieces: a header, then bytes, never more than an artifact may have.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tactful_engine::ARTIFACT_BYTES_MAX;
use tactful_proto::v1::push_request::Part;
use tactful_proto::v1::{PushHeader, PushRequest};
use tonic::Status;

use crate::status;

/// All of it.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) header: PushHeader,
    pub(super) bytes: Bytes,
}

/// Receives a whole model.
pub(super) async fn receive(
    mut parts: impl Stream<Item = Result<PushRequest, Status>> + Unpin,
) -> Result<Upload, Status> {
    let first = parts.next().await.transpose()?.and_then(|request| request.part);
    let Some(Part::Header(header)) = first else {
        return Err(status::field("header", "the first message holds the header, those after it the bytes"));
    };
    let mut bytes = Vec::new();
    while let Some(request) = parts.next().await.transpose()? {
        let Some(Part::Chunk(chunk)) = request.part else {
            return Err(status::field("chunk", "the messages after the first hold bytes, and no second header"));
        };
        if bytes.len() + chunk.len() > ARTIFACT_BYTES_MAX {
            return Err(status::field("chunk", &format!("the model has more than {ARTIFACT_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    if bytes.is_empty() {
        return Err(status::field("chunk", "there are no bytes: send the file that `tactful model train` wrote"));
    }
    if !header.sha256.is_empty() && header.sha256 != Sha256::digest(&bytes)[..] {
        return Err(status::field("header.sha256", "the bytes that came have another sha256: send them again"));
    }
    Ok(Upload { header, bytes: bytes.into() })
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn header(sha256: &[u8]) -> Part {
        Part::Header(PushHeader { sha256: sha256.to_vec(), ..PushHeader::default() })
    }

    async fn received(parts: Vec<Part>) -> Result<Upload, Status> {
        receive(stream::iter(parts.into_iter().map(|part| Ok(PushRequest { part: Some(part) })))).await
    }

    #[tokio::test]
    async fn pieces_are_joined_and_checked() {
        let sha256 = Sha256::digest(b"abc");
        let whole =
            received(vec![header(&sha256), Part::Chunk(b"ab".to_vec()), Part::Chunk(b"c".to_vec())]).await.unwrap();
        assert_eq!(&whole.bytes[..], b"abc");
        let chunk = || Part::Chunk(b"ab".to_vec());
        for (parts, field) in [
            (vec![], "header"),
            (vec![chunk()], "header"),
            (vec![header(&[])], "chunk"),
            (vec![header(&[]), chunk(), header(&[])], "chunk"),
            (vec![header(&sha256), chunk()], "header.sha256"),
            (vec![header(&[]), Part::Chunk(vec![0; ARTIFACT_BYTES_MAX]), chunk()], "chunk"),
        ] {
            let refused = received(parts).await.unwrap_err();
            assert!(refused.message().contains(field), "{field}: {}", refused.message());
        }
    }
}
