//! A model that comes in pieces: a header, then bytes, never more than an artifact may have. The thread that receives
//! them also decides, so it copies each piece once and leaves the whole to another thread.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tactful_engine::{ARTIFACT_BYTES_MAX, background, give_way, sha256};
use tactful_proto::v1::push_request::Part;
use tactful_proto::v1::{PushHeader, PushRequest};
use tonic::Status;

use crate::status;

/// Bytes that are kept together while they come: what has come is never copied to make room.
const BLOCK_BYTES: usize = 1 << 18;

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
    let mut blocks = Vec::new();
    let mut bytes = 0;
    while let Some(request) = parts.next().await.transpose()? {
        let Some(Part::Chunk(chunk)) = request.part else {
            return Err(status::field("chunk", "the messages after the first hold bytes, and no second header"));
        };
        bytes += chunk.len();
        if bytes > ARTIFACT_BYTES_MAX {
            return Err(status::field("chunk", &format!("the model has more than {ARTIFACT_BYTES_MAX} bytes")));
        }
        append(&mut blocks, &chunk);
    }
    if bytes == 0 {
        return Err(status::field("chunk", "there are no bytes: send the file that `tactful model train` wrote"));
    }
    let expected = header.sha256.clone();
    let joining = background::compute_soon(move || {
        let whole = join(&blocks, bytes);
        let same = expected.is_empty() || expected == sha256(&whole);
        same.then(|| whole.into())
    });
    let Some(bytes) = joining.await.map_err(|error| status::from_engine(&error))? else {
        return Err(status::field("header.sha256", "the bytes that came have another sha256: send them again"));
    };
    Ok(Upload { header, bytes })
}

fn append(blocks: &mut Vec<Vec<u8>>, mut piece: &[u8]) {
    while !piece.is_empty() {
        if blocks.last().is_none_or(|block| block.len() == BLOCK_BYTES) {
            blocks.push(Vec::with_capacity(BLOCK_BYTES));
        }
        let block = blocks.last_mut().expect("there is one with room");
        let (now, later) = piece.split_at(piece.len().min(BLOCK_BYTES - block.len()));
        block.extend_from_slice(now);
        piece = later;
    }
}

fn join(blocks: &[Vec<u8>], bytes: usize) -> Vec<u8> {
    let mut whole = Vec::with_capacity(bytes);
    for piece in blocks.iter().flat_map(|block| block.chunks(1 << 14)) {
        whole.extend_from_slice(piece);
        give_way();
    }
    whole
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
        let of_abc = sha256(b"abc");
        let whole =
            received(vec![header(&of_abc), Part::Chunk(b"ab".to_vec()), Part::Chunk(b"c".to_vec())]).await.unwrap();
        assert_eq!(&whole.bytes[..], b"abc");
        let long: Vec<u8> = (0..3 * BLOCK_BYTES + 5).map(|at| (at % 251) as u8).collect();
        let pieces = long.chunks(BLOCK_BYTES / 3 * 2).map(|piece| Part::Chunk(piece.to_vec()));
        let header_of_long = header(&sha256(&long));
        assert!(received(std::iter::once(header_of_long).chain(pieces).collect()).await.unwrap().bytes == long);
        let chunk = || Part::Chunk(b"ab".to_vec());
        for (parts, field) in [
            (vec![], "header"),
            (vec![chunk()], "header"),
            (vec![header(&[])], "chunk"),
            (vec![header(&[]), chunk(), header(&[])], "chunk"),
            (vec![header(&of_abc), chunk()], "header.sha256"),
            (vec![header(&[]), Part::Chunk(vec![0; ARTIFACT_BYTES_MAX]), chunk()], "chunk"),
        ] {
            let refused = received(parts).await.unwrap_err();
            assert!(refused.message().contains(field), "{field}: {}", refused.message());
        }
    }
}
