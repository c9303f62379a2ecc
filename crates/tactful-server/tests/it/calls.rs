//! Every call as it is meant to be made.

use tactful_proto::v1;
use tactful_proto::v1::batch_decide_result::Result as Answer;
use tonic_reflection::pb::{v1 as reflection, v1alpha as reflection_alpha};
use tonic_types::StatusExt;

use crate::artifacts::constant;
use crate::fixture::{PATIENCE, Served, aged, ask, at, now_s, order, place};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_changes_the_next_decision_and_its_outcome_comes_back() {
    let served = Served::new().await;
    let cold = served.decide("customer:1").await.unwrap();
    assert!(cold.cold_start && !cold.degraded && cold.model_version.is_empty());
    let answer = served
        .events()
        .ingest(v1::IngestRequest { items: vec![aged("customer:1", 44.0), order("customer:1", "m1")] })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((answer.accepted, answer.errors.len()), (2, 0));
    served.engine.applied_all().await.unwrap();

    let request = v1::DecideRequest {
        placements: vec![place("home", 1), place("cart", 2)],
        explain: v1::Explain::Full.into(),
        ..ask("customer:1")
    };
    let decided = served.decisions().decide(request).await.unwrap().into_inner();
    assert!(!decided.cold_start && decided.feature_watermark.is_some() && decided.server_time.is_some());
    assert_eq!(decided.selection(), v1::Selection::Best);
    let home = &decided.placements[0];
    assert_eq!((home.placement.as_str(), home.reason()), ("home", v1::PlacementReason::Decided));
    let card = &home.actions[0];
    assert_eq!(
        (card.action_id.as_str(), card.content["title"].as_str(), card.kind.as_str()),
        ("card", "A card", "sell")
    );
    assert_eq!((card.priority, card.selection_probability, card.score_source()), (6.0, 1.0, v1::ScoreSource::Prior));
    assert_eq!(card.reasons, ["You are 44"]);
    let factors = card.factors.unwrap();
    assert_eq!((factors.acceptance_probability, factors.value), (0.2, 30.0));
    assert_eq!((factors.context_weight, factors.lever), (1.0, 1.0));
    assert_eq!(decided.placements[1].actions[0].action_id, "plus", "no action in two places");
    assert_eq!(decided.candidates.len(), 2);

    let report = |token: &str, kind: v1::OutcomeType, message: &str| v1::OutcomeReport {
        subject_id: "customer:1".into(),
        outcome_token: token.into(),
        r#type: kind.into(),
        message_id: message.into(),
        ..v1::OutcomeReport::default()
    };
    let outcomes = vec![
        report(&card.outcome_token, v1::OutcomeType::Exposed, "o1"),
        report(&card.outcome_token, v1::OutcomeType::Accepted, "o2"),
        report("forged", v1::OutcomeType::Accepted, "o3"),
        report(&card.outcome_token, v1::OutcomeType::Accepted, "o2"),
    ];
    let recorded =
        served.decisions().record_outcomes(v1::RecordOutcomesRequest { outcomes }).await.unwrap().into_inner();
    assert_eq!((recorded.accepted, recorded.errors.len(), recorded.errors[0].index), (3, 1, 2));
    assert_eq!(
        (recorded.errors[0].field.as_str(), recorded.errors[0].reason.as_str()),
        ("outcome_token", "TOKEN_INVALID")
    );

    let rows: Vec<_> = served.export().await.into_iter().filter(|row| row.decision_id == decided.decision_id).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].action_id.as_str(), rows[0].outcomes.len()), ("card", 2));
    assert_eq!((rows[1].action_id.as_str(), rows[1].outcomes.len()), ("plus", 0));
    let before = v1::ExportDecisionsRequest { end_time: at(now_s() - 3_600), ..v1::ExportDecisionsRequest::default() };
    let mut none = served.decisions().export_decisions(before).await.unwrap().into_inner();
    assert!(none.message().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_names_a_position_knows_what_it_covers() {
    let served = Served::new().await;
    for customer in 0..50 {
        let subject = format!("customer:{customer}");
        let items = vec![aged(&subject, 44.0), order(&subject, &format!("m{customer}"))];
        let answer = served.events().ingest(v1::IngestRequest { items }).await.unwrap().into_inner();
        let min_position = answer.position.clone();
        let request = v1::DecideRequest { min_position, ..ask(&subject) };
        let alone = served.decisions().decide(request.clone()).await.unwrap().into_inner();
        assert!(!alone.cold_start && !alone.degraded, "{customer}: {:?}", alone.degraded_reasons);
        let batch = v1::BatchDecideRequest { requests: vec![request] };
        let results = served.decisions().batch_decide(batch).await.unwrap().into_inner().results;
        assert!(matches!(&results[0].result, Some(Answer::Response(response)) if !response.degraded));
    }
    let request = v1::DecideRequest { min_position: "forged".into(), ..ask("customer:1") };
    let refused = served.decisions().decide(request).await.unwrap_err();
    let details = refused.get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "min_position");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_fallbacks_are_told() {
    let served = Served::new().await;
    served.events().ingest(v1::IngestRequest { items: vec![aged("child", 12.0)] }).await.unwrap();
    served.engine.applied_all().await.unwrap();
    let request = v1::DecideRequest {
        candidate_actions: vec!["plus".into(), "gone".into()],
        explain: v1::Explain::Full.into(),
        ..ask("child")
    };
    let decided = served.decisions().decide(request).await.unwrap().into_inner();
    assert_eq!(decided.placements[0].reason(), v1::PlacementReason::Fallback);
    assert_eq!(decided.placements[0].fallback_content["title"], "Welcome");
    assert_eq!((decided.skipped[0].action_id.as_str(), decided.skipped[0].reason.as_str()), ("gone", "UNKNOWN_ACTION"));
    let plus = decided.candidates.iter().find(|trace| trace.action_id == "plus").unwrap();
    assert_eq!(plus.stage(), v1::Stage::Eligibility);
    assert!(plus.detail.contains("adults only") && !plus.rule_version.is_empty(), "{plus:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_each_by_itself() {
    let served = Served::new().await;
    let requests = vec![
        ask("customer:1"),
        ask(""),
        v1::DecideRequest { placements: vec![place("hom", 0)], ..ask("customer:2") },
        ask("customer:3"),
    ];
    let results =
        served.decisions().batch_decide(v1::BatchDecideRequest { requests }).await.unwrap().into_inner().results;
    assert_eq!(results.len(), 4);
    for good in [0, 3] {
        let Some(Answer::Response(response)) = &results[good].result else { panic!("{:?}", results[good]) };
        assert_eq!(response.placements[0].actions[0].action_id, "card");
    }
    for (bad, field, reason) in [(1, "subject_id", "INVALID_ARGUMENT"), (2, "placements[0].placement", "NOT_FOUND")] {
        let Some(Answer::Error(error)) = &results[bad].result else { panic!("{:?}", results[bad]) };
        assert_eq!((error.index, error.field.as_str(), error.reason.as_str()), (bad as i64, field, reason));
        assert!(!error.message.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_and_what_ifs_hold_over_the_wire() {
    let served = Served::new().await;
    let request = || v1::DecideRequest { request_id: "r1".into(), ..ask("customer:1") };
    let first = served.decisions().decide(request()).await.unwrap().into_inner();
    let again = served.decisions().decide(request()).await.unwrap().into_inner();
    assert_eq!(first, again);
    let test = v1::DecideRequest { mode: v1::Mode::Test.into(), ..ask("customer:1") };
    let test = served.decisions().decide(test).await.unwrap().into_inner();
    assert!(test.decision_id.is_empty() && test.placements[0].actions[0].outcome_token.is_empty());
    assert_eq!(served.export().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_says_what_is_known_and_why() {
    let served = Served::new().await;
    served
        .events()
        .ingest(v1::IngestRequest { items: vec![aged("customer:1", 44.0), order("customer:1", "m1")] })
        .await
        .unwrap();
    served.engine.applied_all().await.unwrap();
    let get = |subject: &str| v1::GetContextRequest { subject_id: subject.into() };
    let context = served.customers().get_context(get("customer:1")).await.unwrap().into_inner();
    assert!(context.known && context.subject_id == "customer:1" && context.feature_watermark.is_some());
    let age = &context.features[0];
    assert_eq!((age.name.as_str(), age.state(), age.purpose.as_str()), ("age", v1::FeatureState::Present, "service"));
    assert_eq!(age.value.as_ref().unwrap().kind, Some(v1::value::Kind::Number(44.0)));
    assert!(age.evidence_time.is_some() && age.derivation.contains("age"));
    let kinds: Vec<_> = context.timeline.iter().map(|entry| (entry.kind.as_str(), entry.name.as_str())).collect();
    assert_eq!(kinds.len(), 2);
    assert!(kinds.contains(&("event", "Order Placed")) && kinds.contains(&("event", "identify")), "{kinds:?}");
    assert!(!served.customers().get_context(get("nobody")).await.unwrap().into_inner().known);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_decides_once_it_is_the_champion() {
    let served = Served::new().await;
    let before = served.decide("customer:1").await.unwrap();
    let pushed = served.push(constant(1.0)).await.unwrap();
    let version = pushed.version.unwrap();
    assert_eq!((version.name.as_str(), version.id.len(), version.number, pushed.known), ("acceptance", 16, 1, false));
    assert_eq!(served.decide("customer:1").await.unwrap().ruleset_version, before.ruleset_version);
    let moved = served.alias(v1::ModelAlias::Champion, "1", 0.0).await.unwrap();
    let after = served.decide("customer:1").await.unwrap();
    assert_eq!((&after.model_version, &after.ruleset_version), (&version.id, &moved.ruleset_version));
    assert_ne!(before.ruleset_version, after.ruleset_version);
    let card = &after.placements[0].actions[0];
    assert_eq!(card.score_source(), v1::ScoreSource::Global);
    assert!((card.factors.unwrap().acceptance_probability - 0.731).abs() < 1e-3);
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_the_services_in_both_versions() {
    let served = Served::new().await;
    let ours =
        ["DecisionService", "EventService", "CustomerService", "ModelService"].map(|s| format!("tactful.v1.{s}"));
    let names = tokio::time::timeout(PATIENCE, async {
        use reflection::server_reflection_request::MessageRequest;
        use reflection::server_reflection_response::MessageResponse;
        let request = reflection::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = reflection::server_reflection_client::ServerReflectionClient::new(served.channel.clone());
        let mut answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
        match answers.message().await.unwrap().unwrap().message_response {
            Some(MessageResponse::ListServicesResponse(list)) => {
                list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    });
    let names = names.await.unwrap();
    assert!(ours.iter().all(|service| names.contains(service)), "{names:?}");
    let names = tokio::time::timeout(PATIENCE, async {
        use reflection_alpha::server_reflection_request::MessageRequest;
        use reflection_alpha::server_reflection_response::MessageResponse;
        let request = reflection_alpha::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client =
            reflection_alpha::server_reflection_client::ServerReflectionClient::new(served.channel.clone());
        let mut answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
        match answers.message().await.unwrap().unwrap().message_response {
            Some(MessageResponse::ListServicesResponse(list)) => {
                list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    });
    let names = names.await.unwrap();
    assert!(ours.iter().all(|service| names.contains(service)), "{names:?}");
}
