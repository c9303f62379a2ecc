//! What a learner has learnt as the log keeps it: one value under one key, set only over what this learner
//! wrote last, so that of two learners one is fenced out whatever they think of their leases.

use bytes::Bytes;
use prost::Message;
use tactful_log::{Offset, Partition, VALUE_BYTES_MAX};
use tactful_models::{HeadState, Learner};
use tactful_proto::storage::{LearnerHead, LearnerState};

use crate::engine::Engine;
use crate::error::Error;

/// The state with what stands under its key.
pub(super) struct Saved {
    key: String,
    state: LearnerState,
    /// What the log held last.
    written: Option<Bytes>,
}

impl Saved {
    /// What the log keeps of a learner that follows this champion; if it keeps nothing, or that of another champion, a
    /// beginning from now on. One that has stopped stays so unless it may resume.
    pub(super) async fn load(
        engine: &Engine,
        key: &str,
        champion: [u8; 32],
        token: u64,
        resume: bool,
    ) -> Result<Self, Error> {
        let written = engine.log.get_key(key).await?;
        let known = written.as_deref().and_then(|bytes| LearnerState::decode(bytes).ok());
        let partitions = usize::from(engine.log.partitions());
        let goes_on = |state: &LearnerState| {
            let published = if state.published.is_empty() { &state.base } else { &state.published };
            let stays = if state.stopped.is_empty() { *published == champion } else { !resume };
            state.offsets.len() == partitions && stays
        };
        let mut state = match known.filter(goes_on) {
            Some(state) => state,
            None => LearnerState { base: champion.to_vec(), offsets: tails(engine).await?, ..LearnerState::default() },
        };
        state.token = token;
        let mut saved = Self { key: key.into(), state, written };
        // Whoever held the lease before is fenced out from here on.
        saved.write(engine).await?;
        Ok(saved)
    }

    pub(super) fn heads(&self) -> Vec<HeadState> {
        let head = |head: &LearnerHead| HeadState {
            action: head.action_id.clone(),
            group: head.group.clone(),
            z: head.z.clone(),
            n: head.n.clone(),
            rows: head.rows,
            positives: head.positives,
        };
        self.state.heads.iter().map(head).collect()
    }

    pub(super) fn offsets(&self) -> &[Offset] {
        &self.state.offsets
    }

    /// sha256 of the champion that it follows: what it published last, or what it started from.
    pub(super) fn champion(&self) -> [u8; 32] {
        let sha256 = if self.state.published.is_empty() { &self.state.base } else { &self.state.published };
        sha256.as_slice().try_into().unwrap_or_default()
    }

    pub(super) fn is_stopped(&self) -> bool {
        !self.state.stopped.is_empty()
    }

    /// Keeps what was learnt up to these entries.
    pub(super) async fn save(
        &mut self,
        engine: &Engine,
        learner: &Learner,
        offsets: Vec<Offset>,
        more: u64,
    ) -> Result<(), Error> {
        let head = |state: HeadState| LearnerHead {
            action_id: state.action,
            group: state.group,
            z: state.z,
            n: state.n,
            rows: state.rows,
            positives: state.positives,
        };
        self.state.heads = learner.states().into_iter().map(head).collect();
        self.state.offsets = offsets;
        self.state.learnt += more;
        self.write(engine).await
    }

    pub(super) async fn publish(&mut self, engine: &Engine, sha256: [u8; 32]) -> Result<(), Error> {
        self.state.published = sha256.to_vec();
        self.write(engine).await
    }

    pub(super) async fn stop(&mut self, engine: &Engine, reason: &str) -> Result<(), Error> {
        self.state.stopped = reason.into();
        self.write(engine).await
    }

    async fn write(&mut self, engine: &Engine) -> Result<(), Error> {
        let bytes = Bytes::from(self.state.encode_to_vec());
        if bytes.len() > VALUE_BYTES_MAX {
            let (heads, most) = (self.state.heads.len(), VALUE_BYTES_MAX);
            return Err(Error::Model(format!("{heads} heads take {} bytes, at most {most} can be kept", bytes.len())));
        }
        if !engine.log.compare_and_set(&self.key, self.written.clone(), bytes.clone()).await? {
            return Err(Error::Busy);
        }
        self.written = Some(bytes);
        Ok(())
    }
}

async fn tails(engine: &Engine) -> Result<Vec<Offset>, Error> {
    let mut tails = Vec::new();
    for partition in 0..engine.log.partitions() {
        tails.push(engine.log.tail(Partition::Data(partition)).await?);
    }
    Ok(tails)
}
