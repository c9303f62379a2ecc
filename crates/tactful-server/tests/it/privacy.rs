//! No personal data leaks: an id that is found nowhere else appears in no log line, no metric and no
//! error, whatever goes wrong for its customer.

use tactful_proto::v1;
use tonic::Status;

use crate::faulty::broken;
use crate::fixture::{Served, ask, at, event, lines, number, order, ordered, place, text, until, values};
use crate::http::get;

const CANARY: &str = "canary-7d41b0";

fn clean(what: &str, written: &str) {
    let found = written.find(CANARY).map(|at| &written[at.saturating_sub(200)..(at + 100).min(written.len())]);
    assert!(found.is_none(), "{what} holds a subject id: {found:?}");
}

fn clean_status(status: &Status) {
    clean("an error", status.message());
    clean("an error's details", &String::from_utf8_lossy(status.details()));
    clean("an error's metadata", &format!("{:?}", status.metadata()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_id_appears_nowhere_but_in_answers() {
    let served = Served::new().await;
    let subject = format!("customer:{CANARY}");
    let mut decisions = served.decisions();
    let decided = served.decide(&subject).await.unwrap();
    let token = decided.placements[0].actions[0].outcome_token.clone();
    served.events().ingest(v1::IngestRequest { items: vec![order(&subject, CANARY)] }).await.unwrap();
    served.orders(&subject).await;

    let long = subject.repeat(10);
    for bad in [
        ask(&long),
        v1::DecideRequest { request_id: long.clone(), ..ask(&subject) },
        v1::DecideRequest { placements: vec![place("hom", -3)], ..ask(&subject) },
        v1::DecideRequest { context: values([("hour", number(f64::NAN))]), ..ask(&subject) },
        v1::DecideRequest { context: values([("page", text("x"))]), matter_id: long.clone(), ..ask(&subject) },
    ] {
        clean_status(&decisions.decide(bad.clone()).await.unwrap_err());
        let batch = v1::BatchDecideRequest { requests: vec![bad] };
        clean("a batch", &format!("{:?}", decisions.batch_decide(batch).await.unwrap().into_inner()));
    }
    let get_long = v1::GetContextRequest { subject_id: long.clone() };
    clean_status(&served.customers().get_context(get_long).await.unwrap_err());
    let report = |subject: &str, token: &str| v1::OutcomeReport {
        subject_id: subject.into(),
        outcome_token: token.into(),
        r#type: v1::OutcomeType::Accepted.into(),
        message_id: CANARY.into(),
        ..v1::OutcomeReport::default()
    };
    let outcomes = vec![report(&subject, CANARY), report("customer:other", &token), report(&long, &token)];
    let recorded = decisions.record_outcomes(v1::RecordOutcomesRequest { outcomes }).await.unwrap().into_inner();
    assert_eq!(recorded.errors.len(), 3);
    clean("refused outcomes", &format!("{:?}", recorded.errors));
    let items = vec![
        order(&long, ""),
        event(v1::Event { event_time: at(0), ..ordered(&subject) }),
        event(v1::Event { matter_id: long.clone(), ..ordered(&subject) }),
        event(v1::Event { properties: values([("total", number(f64::NAN))]), ..ordered(&subject) }),
    ];
    let refused = served.events().ingest(v1::IngestRequest { items }).await.unwrap().into_inner();
    assert_eq!(refused.errors.len(), 4);
    clean("refused items", &format!("{:?}", refused.errors));

    served.log.fail(broken());
    let failed = served.events().ingest(v1::IngestRequest { items: vec![order(&subject, "m9")] }).await;
    clean_status(&failed.unwrap_err());
    until(async || served.decide(&subject).await.unwrap().degraded, "decisions are flagged").await;
    served.log.fail(None);
    until(async || !served.decide(&subject).await.unwrap().degraded, "the flag goes").await;

    let (_, metrics) = get(served.addresses.http, "/metrics").await;
    clean("the metrics", &metrics);
    served.server.stop().await;
    let lines = lines();
    assert!(lines.contains("cannot record decisions"), "the log is captured: {lines}");
    clean("the log", &lines);
}
