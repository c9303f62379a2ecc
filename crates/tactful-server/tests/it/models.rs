//! The life of models over the API: versions, aliases, traffic, and the way back.

use tactful_proto::v1::{self, ModelAlias};
use tonic::Code;

use crate::artifacts::{artifact, card, constant, overflowing};
use crate::fixture::{Served, ask, fields, reason, until};

async fn id(served: &Served, subject: &str) -> String {
    served.decide(subject).await.unwrap().model_version
}

/// The aliases of each version of `acceptance`, the latest first.
async fn aliases(served: &Served) -> Vec<(i32, Vec<ModelAlias>)> {
    let list = served.models().list(v1::ListRequest::default()).await.unwrap().into_inner();
    let versions = list.models.into_iter().flat_map(|model| model.versions);
    versions.map(|version| (version.version.as_ref().unwrap().number, version.aliases().collect())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_pushed_shadowed_tried_promoted_and_rolled_back() {
    let served = Served::new().await;
    let first = served.champion(constant(0.0)).await.unwrap();
    let second = served.push(constant(1.0)).await.unwrap().version.unwrap();
    assert_eq!((second.number, id(&served, "c").await), (2, first.clone()));
    let again = served.push(constant(1.0)).await.unwrap();
    assert!(again.known && again.version.unwrap() == second);

    served.alias(ModelAlias::Shadow, "", 0.0).await.unwrap();
    assert_eq!(aliases(&served).await, [(2, vec![ModelAlias::Shadow]), (1, vec![ModelAlias::Champion])]);
    assert_eq!(id(&served, "c").await, first, "a shadow decides nothing");

    served.alias(ModelAlias::Challenger, "shadow", 0.3).await.unwrap();
    let mut tried = Vec::new();
    for customer in 0..200 {
        tried.push(id(&served, &format!("c{customer}")).await == second.id);
    }
    let share = tried.iter().filter(|tried| **tried).count();
    assert!((30..90).contains(&share), "{share} of 200 for a share of 0.3");
    served.models().set_traffic(v1::SetTrafficRequest { share: 0.6, note: String::new() }).await.unwrap();
    let mut grown = 0;
    for (customer, was) in tried.iter().enumerate() {
        let now = id(&served, &format!("c{customer}")).await == second.id;
        assert!(now || !was, "who was the challenger's stays so");
        grown += usize::from(now);
    }
    assert!(grown > share + 20, "{grown} after {share}");

    served.alias(ModelAlias::Champion, "challenger", 0.0).await.unwrap();
    assert_eq!(aliases(&served).await, [(2, vec![ModelAlias::Champion]), (1, vec![])], "and no shadow of itself");
    assert_eq!(id(&served, "c").await, second.id);
    let back = served.models().rollback(v1::RollbackRequest { note: "worse".into() }).await.unwrap().into_inner();
    assert_eq!((back.version.unwrap().id, id(&served, "c").await), (first.clone(), first));
    let list = served.models().list(v1::ListRequest::default()).await.unwrap().into_inner();
    assert!(list.moves[0].rollback && list.moves[0].note == "worse" && list.champion_before.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_makes_no_sense_is_refused_by_field() {
    let served = Served::new().await;
    let refused = |status: tonic::Status, field: &str| {
        assert_eq!(fields(&status), [field.to_owned()], "{status:?}");
        status.message().to_owned()
    };
    let none = served.alias(ModelAlias::Champion, "1", 0.0).await.unwrap_err();
    assert!(refused(none, "name").contains("push one first"));
    served.push(constant(0.0)).await.unwrap();
    let version = served.alias(ModelAlias::Champion, "7", 0.0).await.unwrap_err();
    assert_eq!(reason(&version).0, Code::NotFound);
    refused(version, "version");
    refused(served.alias(ModelAlias::Champion, "challenger", 0.0).await.unwrap_err(), "version");
    refused(served.alias(ModelAlias::Challenger, "1", 0.5).await.unwrap_err(), "alias");
    refused(served.alias(ModelAlias::Unspecified, "1", 0.0).await.unwrap_err(), "alias");
    served.alias(ModelAlias::Champion, "1", 0.0).await.unwrap();
    for share in [1.5, -0.1, f64::NAN] {
        refused(served.alias(ModelAlias::Challenger, "1", share).await.unwrap_err(), "share");
    }
    refused(served.alias(ModelAlias::Shadow, "1", 0.5).await.unwrap_err(), "share");
    let traffic = v1::SetTrafficRequest { share: 0.5, note: String::new() };
    refused(served.models().set_traffic(traffic).await.unwrap_err(), "share");
    refused(served.models().rollback(v1::RollbackRequest::default()).await.unwrap_err(), "champion");
    let typo = v1::ListRequest { name: "acceptence".into() };
    assert!(refused(served.models().list(typo).await.unwrap_err(), "name").contains("did you mean acceptance?"));
    let long = v1::RollbackRequest { note: "n".repeat(1_001) };
    served.push(constant(1.0)).await.unwrap();
    served.alias(ModelAlias::Champion, "2", 0.0).await.unwrap();
    refused(served.models().rollback(long).await.unwrap_err(), "note");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_tells_what_it_holds_and_whether_it_still_fits() {
    let served = Served::new().await;
    served.push(artifact(0.5, ("customer.orders", "number"))).await.unwrap();
    let name = || "acceptance".to_owned();
    let get = v1::ModelServiceGetRequest { name: name(), version: "v1".into() };
    let held = served.models().get(get).await.unwrap().into_inner();
    assert_eq!((held.kind.as_str(), held.inputs[0].name.as_str(), held.heads.len()), ("linear", "customer.orders", 1));
    assert!(held.summary.unwrap().bytes > 100 && held.lineage.is_some());
    let validate = v1::ValidateRequest { name: name(), version: String::new() };
    let check = served.models().validate(validate).await.unwrap().into_inner().check.unwrap();
    assert!(check.golden_rows >= 10 && check.requests >= 1 && check.p99_us > 0.0, "{check:?}");
    let header = v1::PushHeader { dry_run: true, ..v1::PushHeader::default() };
    let parts = [v1::push_request::Part::Header(header), v1::push_request::Part::Chunk(constant(3.0))];
    let parts = parts.map(|part| v1::PushRequest { part: Some(part) });
    let dry = served.models().push(tokio_stream::iter(parts)).await.unwrap().into_inner();
    assert_eq!(dry.version.unwrap().number, 0);
    assert_eq!(aliases(&served).await.len(), 1, "a dry run registers nothing");
}

fn number(value: f64) -> v1::Value {
    v1::Value { kind: Some(v1::value::Kind::Number(value)) }
}

async fn last_move(served: &Served) -> v1::AliasMove {
    let list = served.models().list(v1::ListRequest::default()).await.unwrap().into_inner();
    list.moves.into_iter().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_that_does_harm_is_taken_away_and_the_list_says_why() {
    let served = Served::new().await;
    let champion = served.champion(constant(0.0)).await.unwrap();
    // On what was recorded so far, which is nothing, every score is a number.
    let challenger = served.push(overflowing()).await.unwrap().version.unwrap();
    served.alias(ModelAlias::Challenger, &challenger.number.to_string(), 0.5).await.unwrap();
    for customer in 0..40 {
        let mut request = ask(&format!("c{customer}"));
        request.profile_overrides = [("age", 60.0), ("orders", 50.0)].map(|(name, n)| (name.into(), number(n))).into();
        // Whatever a model does, the request does not fail for it.
        served.decisions().decide(request).await.unwrap();
    }
    until(async || last_move(&served).await.cause() == v1::MoveCause::GuardRail, "it is taken away").await;
    let moved = last_move(&served).await;
    assert!(moved.to.is_none() && moved.note.contains("were no numbers"), "{moved:?}");
    for customer in 0..40 {
        assert_eq!(id(&served, &format!("c{customer}")).await, champion);
    }
}

async fn exported(served: &Served) -> Vec<v1::DecisionRow> {
    let mut rows = Vec::new();
    let mut pages =
        served.decisions().export_decisions(v1::ExportDecisionsRequest::default()).await.unwrap().into_inner();
    while let Some(page) = pages.message().await.unwrap() {
        rows.extend(page.rows);
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_recorded_with_what_was_decided_and_compared() {
    let served = Served::new().await;
    let champion = served.champion(constant(0.0)).await.unwrap();
    served.decide("before").await.unwrap();
    // Under the shadow hardly anybody takes the card; it is all that there is to show.
    let shadow = served.push(card(-8.0, 100)).await.unwrap().version.unwrap();
    served.alias(ModelAlias::Shadow, "2", 0.0).await.unwrap();
    for customer in 0..20 {
        let decided = served.decide(&format!("c{customer}")).await.unwrap();
        assert_eq!(
            (decided.model_version.as_str(), decided.placements[0].actions[0].action_id.as_str()),
            (champion.as_str(), "card")
        );
    }
    let rows = exported(&served).await;
    let (with, without): (Vec<_>, Vec<_>) = rows.iter().partition(|row| !row.shadow_model_version.is_empty());
    assert_eq!((with.len(), without.len()), (20, 1));
    for row in with {
        assert_eq!(
            (row.shadow_model_version.as_str(), row.model_version.as_str()),
            (shadow.id.as_str(), champion.as_str())
        );
        assert!((row.shadow_acceptance_probability - 0.000_335).abs() < 1e-5 && row.acceptance_probability == 0.5);
        assert_eq!(row.shadow_action_id, "card");
    }
    let request = v1::CompareRequest { name: "acceptance".into(), ..v1::CompareRequest::default() };
    let compared = served.models().compare(request.clone()).await.unwrap().into_inner();
    assert_eq!((compared.first.unwrap().number, compared.second.unwrap().number), (1, 2));
    assert_eq!((compared.decisions, compared.agreement, compared.one_in), (21, 1.0, 1));
    assert!((compared.mean_difference - 0.499_665).abs() < 1e-4, "{}", compared.mean_difference);
    assert!(compared.first_quality.is_none(), "no window is closed yet");
    let window = Some(prost_types::Duration { seconds: 0, nanos: 0 });
    let wrong = v1::CompareRequest { window, ..request.clone() };
    assert_eq!(fields(&served.models().compare(wrong).await.unwrap_err()), ["window"]);
    let wrong = v1::CompareRequest { second: "9".into(), ..request };
    assert_eq!(fields(&served.models().compare(wrong).await.unwrap_err()), ["second"]);
}

/// A file that LightGBM wrote, and its predictions.
fn lightgbm() -> (Vec<u8>, Vec<v1::ForeignRow>) {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../tactful-models/tests/fixtures");
    let rows = std::fs::read_to_string(format!("{fixtures}/lightgbm_nan.csv")).unwrap();
    let row = |line: &str| {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap_or(f64::NAN)).collect();
        let (probability, values) = cells.split_last().unwrap();
        v1::ForeignRow { values: values.iter().map(|value| *value as f32).collect(), probability: *probability }
    };
    (std::fs::read(format!("{fixtures}/lightgbm_nan.txt")).unwrap(), rows.lines().skip(1).map(row).collect())
}

async fn push_foreign(
    served: &Served,
    foreign: v1::ForeignModel,
    file: Vec<u8>,
) -> Result<v1::PushResponse, tonic::Status> {
    let header = v1::PushHeader { foreign: Some(foreign), ..v1::PushHeader::default() };
    let parts = [v1::push_request::Part::Header(header), v1::push_request::Part::Chunk(file)];
    let parts = parts.map(|part| v1::PushRequest { part: Some(part) });
    Ok(served.models().push(tokio_stream::iter(parts)).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_another_library_is_pushed_as_it_is() {
    let served = Served::new().await;
    let (file, golden_rows) = lightgbm();
    let columns = [
        "customer.age",
        "customer.orders",
        "contact.shown_24h",
        "contact.shown_7d",
        "contact.accepted_30d",
        "contact.rejected_30d",
    ];
    let foreign = v1::ForeignModel {
        name: "acceptance".into(),
        columns: columns.map(Into::into).into(),
        golden_rows,
        ..v1::ForeignModel::default()
    };
    let pushed = push_foreign(&served, foreign.clone(), file.clone()).await.unwrap();
    assert_eq!(pushed.check.unwrap().golden_rows, 40);
    served.alias(ModelAlias::Champion, "", 0.0).await.unwrap();
    let decided = served.decide("c").await.unwrap();
    let acceptance = decided.placements[0].actions[0].factors.unwrap().acceptance_probability;
    assert!(decided.model_version == pushed.version.unwrap().id && (0.3..0.8).contains(&acceptance), "{acceptance}");
    let mut wrong = foreign.clone();
    wrong.golden_rows[3].probability += 1e-4;
    let refused = push_foreign(&served, wrong, file.clone()).await.unwrap_err();
    assert_eq!(reason(&refused), (Code::FailedPrecondition, "MODEL_REFUSED".into()));
    let unknown = v1::ForeignModel { format: "pickle".into(), ..foreign };
    assert_eq!(fields(&push_foreign(&served, unknown, file).await.unwrap_err()), ["header.foreign.format"]);
}
