//! Linked subject ids over gRPC: what one channel knows of a visitor, the next knows of the customer.

use tactful_proto::v1;
use tonic::Code;

use crate::faulty::broken;
use crate::fixture::{Served, aged, ask, at, event, fields, now_s, order, reason};

fn link(subject: &str, other: &str) -> v1::LinkRequest {
    v1::LinkRequest { subject_id: subject.into(), other_subject_id: other.into(), ..v1::LinkRequest::default() }
}

async fn context(served: &Served, subject: &str) -> v1::GetContextResponse {
    let request = v1::GetContextRequest { subject_id: subject.into() };
    served.customers().get_context(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_unlinkings_are_known_to_the_decision_that_names_their_position() {
    let served = Served::new().await;
    let items = vec![aged("customer:1", 44.0), order("anon:a", "m1"), order("customer:1", "m2")];
    served.events().ingest(v1::IngestRequest { items }).await.unwrap();
    assert_eq!(served.orders("customer:1").await, 1.0);

    let position = served.customers().link(link("customer:1", "anon:a")).await.unwrap().into_inner().position;
    let explained = v1::DecideRequest { min_position: position, explain: v1::Explain::Reasons.into(), ..ask("anon:a") };
    let decided = served.decisions().decide(explained).await.unwrap().into_inner();
    assert!(!decided.degraded && !decided.cold_start, "{:?}", decided.degraded_reasons);
    assert_eq!(decided.placements[0].actions[0].reasons, ["You are 44"], "the visitor is known by the customer's age");
    assert_eq!(served.orders("anon:a").await, 2.0);
    let known = context(&served, "anon:a").await;
    assert_eq!((known.subject_id.as_str(), known.subject_ids_truncated), ("anon:a", false));
    assert_eq!(known.subject_ids, ["anon:a", "customer:1"]);
    assert_eq!(known.timeline.iter().filter(|line| line.kind == "event").count(), 3);

    let unlink = v1::UnlinkRequest {
        message_id: "u1".into(),
        subject_id: "anon:a".into(),
        other_subject_id: "customer:1".into(),
        source: "agent".into(),
        ..v1::UnlinkRequest::default()
    };
    let position = served.customers().unlink(unlink).await.unwrap().into_inner().position;
    let decided =
        served.decisions().decide(v1::DecideRequest { min_position: position, ..ask("anon:a") }).await.unwrap();
    assert!(!decided.into_inner().degraded);
    assert_eq!((served.orders("anon:a").await, served.orders("customer:1").await), (1.0, 1.0));
    assert_eq!(context(&served, "customer:1").await.subject_ids, ["customer:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identify_that_names_a_visitor_links_and_forty_ids_are_flagged() {
    let served = Served::new().await;
    let identify = v1::Event {
        subject_id: "customer:1".into(),
        r#type: v1::EventType::Identify.into(),
        anonymous_id: "af31".into(),
        ..v1::Event::default()
    };
    let answer = served.events().ingest(v1::IngestRequest { items: vec![event(identify)] }).await.unwrap().into_inner();
    assert_eq!((answer.accepted, answer.errors.len()), (1, 0));
    served.engine.applied_all().await.unwrap();
    assert_eq!(context(&served, "customer:1").await.subject_ids, ["anon:af31", "customer:1"]);
    for n in 2..41 {
        served.customers().link(link("customer:1", &format!("customer:{n}"))).await.unwrap();
    }
    served.engine.applied_all().await.unwrap();
    let decided = served.decide("customer:40").await.unwrap();
    assert!(decided.degraded);
    assert_eq!(decided.degraded_reasons, ["TOO_MANY_IDS"]);
    let known = context(&served, "anon:af31").await;
    assert_eq!((known.subject_ids.len(), known.subject_ids_truncated), (32, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_links_name_their_fields_and_a_failing_log_acknowledges_none() {
    let served = Served::new().await;
    let mut customers = served.customers();
    let invalid = (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned());
    let canary = "anon:canary-7d41b0";
    let cases = [
        ("subject_id", link("", "anon:a")),
        ("other_subject_id", link("customer:1", "")),
        ("other_subject_id", link("customer:1", "customer:1")),
        ("other_subject_id", link("device:x", canary)),
        ("event_time", v1::LinkRequest { event_time: at(now_s() + 3_600), ..link("customer:1", canary) }),
        ("message_id", v1::LinkRequest { message_id: "x".repeat(129), ..link("customer:1", canary) }),
    ];
    for (field, request) in cases {
        let v1::LinkRequest { message_id, subject_id, other_subject_id, event_time, source } = request.clone();
        let undo = v1::UnlinkRequest { message_id, subject_id, other_subject_id, event_time, source };
        for status in [customers.link(request).await.unwrap_err(), customers.unlink(undo).await.unwrap_err()] {
            assert_eq!((reason(&status), fields(&status)), (invalid.clone(), vec![field.into()]), "{status:?}");
            assert!(!format!("{status:?}").contains(canary), "an id in an error: {status:?}");
        }
    }
    served.log.fail(broken());
    let status = customers.link(link("customer:1", canary)).await.unwrap_err();
    assert_eq!(reason(&status), (Code::Unavailable, "LOG_UNAVAILABLE".into()));
    served.log.fail(None);
    served.engine.applied_all().await.unwrap();
    assert_eq!(context(&served, "customer:1").await.subject_ids, ["customer:1"]);
}
