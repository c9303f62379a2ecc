//! SetConsent and the answers that follow it.

use tactful_proto::v1;
use tonic::Code;

use crate::fixture::{Served, aged, ask, at, fields, number, place, reason, values};
use crate::http::get;

fn said(subject: &str, allowed: bool) -> v1::SetConsentRequest {
    v1::SetConsentRequest {
        subject_id: subject.into(),
        purpose: "marketing".into(),
        allowed,
        source: "form".into(),
        text_version: "v2".into(),
        ..v1::SetConsentRequest::default()
    }
}

fn shown(decided: &v1::DecideResponse) -> Vec<&str> {
    let actions = decided.placements.iter().flat_map(|placement| &placement.actions);
    actions.map(|action| action.action_id.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_holds_for_the_decision_that_names_its_position() {
    let served = Served::new().await;
    let items = vec![aged("customer:1", 44.0)];
    served.events().ingest(v1::IngestRequest { items }).await.unwrap();
    served.engine.applied_all().await.unwrap();
    for round in 0..40 {
        for allowed in [false, true] {
            let answer = served.customers().set_consent(said("customer:1", allowed)).await.unwrap().into_inner();
            let request = v1::DecideRequest {
                placements: vec![place("home", 2)],
                explain: v1::Explain::Full.into(),
                min_position: answer.position,
                ..ask("customer:1")
            };
            let decided = served.decisions().decide(request).await.unwrap().into_inner();
            assert!(!decided.degraded, "{:?}", decided.degraded_reasons);
            assert_eq!(shown(&decided), if allowed { vec!["card", "plus"] } else { vec!["card"] }, "round {round}");
            let plus = decided.candidates.iter().find(|trace| trace.action_id == "plus").unwrap();
            let stage = if allowed { v1::Stage::Shown } else { v1::Stage::Purpose };
            assert_eq!((plus.stage(), decided.basis()), (stage, v1::Basis::Personal));
        }
    }
    served.customers().set_consent(said("customer:1", false)).await.unwrap();
    let request = v1::GetContextRequest { subject_id: "customer:1".into() };
    let context = served.customers().get_context(request).await.unwrap().into_inner();
    let [service, marketing] = &context.consents[..] else { panic!("{:?}", context.consents) };
    assert_eq!((service.purpose.as_str(), service.allowed), ("service", true));
    assert_eq!((service.state(), &service.event_time), (v1::ConsentState::Default, &None));
    assert_eq!((marketing.allowed, marketing.state()), (false, v1::ConsentState::Recorded));
    assert_eq!((marketing.source.as_str(), marketing.text_version.as_str()), ("form", "v2"));
    assert!(marketing.event_time.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_non_personal_answer_says_so_and_is_counted() {
    let served = Served::new().await;
    let items = vec![aged("customer:1", 44.0)];
    served.events().ingest(v1::IngestRequest { items }).await.unwrap();
    served.engine.applied_all().await.unwrap();
    let request = v1::DecideRequest { placements: vec![place("home", 2)], ..ask("customer:1") };
    let decided = served.decisions().decide(request.clone()).await.unwrap().into_inner();
    assert_eq!((decided.basis(), shown(&decided)), (v1::Basis::Personal, vec!["card", "plus"]));
    let request = v1::DecideRequest { non_personal: true, ..request };
    let decided = served.decisions().decide(request.clone()).await.unwrap().into_inner();
    assert_eq!((decided.basis(), shown(&decided)), (v1::Basis::NonPersonal, vec!["card"]));
    assert!(!decided.cold_start && !decided.decision_id.is_empty());
    let unheard = served.decide("customer:unheard").await.unwrap();
    assert_eq!((unheard.basis(), unheard.cold_start), (v1::Basis::NonPersonal, true));
    let (_, metrics) = get(served.addresses.http, "/metrics").await;
    assert!(metrics.contains("tactful_decisions_total{outcome=\"non_personal\"}"), "{metrics}");
    let wrong = v1::DecideRequest { profile_overrides: values([("age", number(30.0))]), ..request };
    let refused = served.decisions().decide(wrong).await.unwrap_err();
    assert_eq!(fields(&refused), ["profile_overrides"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_consent_names_its_field() {
    let served = Served::new().await;
    let unknown = (Code::NotFound, "NOT_FOUND".to_owned());
    let invalid = (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned());
    let cases = [
        ("subject_id", &invalid, said("", true)),
        ("purpose", &unknown, v1::SetConsentRequest { purpose: "marketng".into(), ..said("c", true) }),
        ("purpose", &invalid, v1::SetConsentRequest { purpose: "service".into(), ..said("c", true) }),
        ("source", &invalid, v1::SetConsentRequest { source: "x".repeat(129), ..said("c", true) }),
        ("event_time", &invalid, v1::SetConsentRequest { event_time: at(1), ..said("c", true) }),
    ];
    for (field, wanted, request) in cases {
        let refused = served.customers().set_consent(request).await.unwrap_err();
        assert_eq!((&reason(&refused), fields(&refused)), (wanted, vec![field.to_owned()]), "{refused:?}");
    }
}
