//! Answers kept for retries: the same subject and request id within the window get the same answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use tactful_core::hash;

use crate::decide::Decided;
use crate::options::Options;

/// Recent answers by subject and request id, bounded in number and age.
pub(crate) struct Replies {
    /// By subject and request: the hash of the subject, and the answer.
    answers: DashMap<u64, (u64, Arc<Decided>), RandomState>,
    order: Mutex<VecDeque<(i64, u64)>>,
    answers_max: usize,
    age_ms_max: i64,
}

impl Replies {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            answers: DashMap::with_hasher(RandomState::default()),
            order: Mutex::default(),
            answers_max: options.replies_max,
            age_ms_max: options.replies_age_ms_max,
        }
    }

    /// The kept answer, or a new one which is kept. Two calls with the same id at once get one answer:
    /// the second waits on the map's shard, which is held for one decision, never across an await.
    pub(crate) fn get_or_decide(
        &self,
        (subject_id, request_id): (&str, &str),
        now_ms: i64,
        decide: impl FnOnce() -> Arc<Decided>,
    ) -> Arc<Decided> {
        self.forget(now_ms);
        let subject = hash::content(subject_id.as_bytes());
        let key = hash::keyed(subject, request_id.as_bytes());
        let mut fresh = false;
        let answer = Arc::clone(
            &self
                .answers
                .entry(key)
                .or_insert_with(|| {
                    fresh = true;
                    (subject, decide())
                })
                .value()
                .1,
        );
        if fresh {
            self.order.lock().unwrap_or_else(PoisonError::into_inner).push_back((now_ms, key));
        }
        answer
    }

    /// Keeps no answer about a subject id any more.
    pub(crate) fn forget_subject(&self, subject_id: &str) {
        let subject = hash::content(subject_id.as_bytes());
        self.answers.retain(|_, (of, _)| *of != subject);
    }

    fn forget(&self, now_ms: i64) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((time, key)) = order.front().copied() {
            if order.len() <= self.answers_max && now_ms - time <= self.age_ms_max {
                break;
            }
            order.pop_front();
            self.answers.remove(&key);
        }
    }
}
