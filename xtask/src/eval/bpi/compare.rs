//! The recount: one pass over each case's times, and its comparison with a server's answer.
//!
//! Of the server it knows the words alone: a silence longer than a week resolves, a week after that is
//! confirmed, what follows reopens; a silence longer than a day ends a session.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use tactful_proto::v1::{GetContextResponse, Matter, MatterState};

use super::data::{self, Work};

const DAY_S: i64 = 86_400;
const WEEK_S: i64 = 7 * DAY_S;

/// What should be known of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recount {
    pub(super) case: String,
    pub(super) sessions: i32,
    pub(super) reopenings: i32,
    /// First work, or the first after a confirmed resolution.
    opened_s: i64,
    /// Latest work.
    updated_s: i64,
}

/// Recounts every case, by the subject id of its customer.
pub(super) fn recount(works: &[Work]) -> BTreeMap<String, Recount> {
    let mut times: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for work in works {
        times.entry(&work.case).or_default().push(work.time_s);
    }
    times.into_iter().map(|(case, times)| (data::subject(case), of_case(case, times))).collect()
}

fn of_case(case: &str, mut times: Vec<i64>) -> Recount {
    times.sort_unstable();
    let (first, last) = (times[0], times[times.len() - 1]);
    let mut recount = Recount { case: case.into(), sessions: 1, reopenings: 0, opened_s: first, updated_s: last };
    for pair in times.windows(2) {
        let silence = pair[1] - pair[0];
        recount.sessions += i32::from(silence > DAY_S);
        recount.reopenings += i32::from(silence > WEEK_S);
        if silence >= 2 * WEEK_S {
            recount.opened_s = pair[1];
        }
    }
    recount
}

/// What differs, if anything. All cases are years old, hence confirmed.
pub(super) fn mismatch(expected: &Recount, found: &GetContextResponse) -> Option<String> {
    let [matter] = &found.confirmed_matters[..] else {
        return Some(format!("{} confirmed matters instead of 1", found.confirmed_matters.len()));
    };
    if !found.open_matters.is_empty() {
        return Some(format!("{} open matters instead of none", found.open_matters.len()));
    }
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let wanted = Matter {
        matter_id: data::matter(&expected.case),
        r#type: "application".into(),
        state: MatterState::Confirmed.into(),
        opened_time: at(expected.opened_s),
        updated_time: at(expected.updated_s),
        reopenings: expected.reopenings,
        channel: matter.channel.clone(),
        sessions: expected.sessions,
    };
    (*matter != wanted).then(|| format!("{matter:?} instead of {wanted:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn works(times: &[i64]) -> Vec<Work> {
        times.iter().map(|time_s| Work { case: "7".into(), activity: 1, time_s: *time_s }).collect()
    }

    #[test]
    fn sessions_and_reopenings_are_counted_by_gaps() {
        let t = 1_317_427_200;
        let counted = |times: &[i64]| {
            recount(&works(&times.iter().map(|time| t + time).collect::<Vec<_>>()))["applicant:7"].clone()
        };
        let one = counted(&[0, 0, DAY_S, 2 * DAY_S]);
        assert_eq!((one.sessions, one.reopenings, one.opened_s, one.updated_s), (1, 0, t, t + 2 * DAY_S));
        let exact = counted(&[WEEK_S, 0]);
        assert_eq!((exact.sessions, exact.reopenings, exact.opened_s), (2, 0, t));
        let reopened = counted(&[0, WEEK_S + 1]);
        assert_eq!((reopened.sessions, reopened.reopenings, reopened.opened_s), (2, 1, t));
        let anew = counted(&[0, 2 * WEEK_S, 2 * WEEK_S + 5]);
        assert_eq!((anew.sessions, anew.reopenings, anew.opened_s), (2, 1, t + 2 * WEEK_S));
    }

    #[test]
    fn every_field_is_compared() {
        let expected = recount(&works(&[1_317_427_200, 1_317_427_200 + WEEK_S + 1]))["applicant:7"].clone();
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let matter = Matter {
            matter_id: "application:7".into(),
            r#type: "application".into(),
            state: MatterState::Confirmed.into(),
            opened_time: at(expected.opened_s),
            updated_time: at(expected.updated_s),
            reopenings: 1,
            sessions: 2,
            ..Matter::default()
        };
        let answer = |matter: &Matter| GetContextResponse {
            confirmed_matters: vec![matter.clone()],
            ..GetContextResponse::default()
        };
        assert_eq!(mismatch(&expected, &answer(&matter)), None);
        let wrong = [
            Matter { sessions: 3, ..matter.clone() },
            Matter { reopenings: 0, ..matter.clone() },
            Matter { opened_time: at(1), ..matter.clone() },
            Matter { updated_time: at(1), ..matter.clone() },
            Matter { matter_id: "application:8".into(), ..matter.clone() },
            Matter { state: MatterState::Resolved.into(), ..matter.clone() },
        ];
        assert!(wrong.iter().all(|wrong| mismatch(&expected, &answer(wrong)).is_some()));
        let open = GetContextResponse { open_matters: vec![matter.clone()], ..answer(&matter) };
        assert!(mismatch(&expected, &open).is_some());
        assert!(mismatch(&expected, &GetContextResponse::default()).is_some());
    }
}
