//! The life of models over the API: versions, aliases, traffic, and the way back.

use tactful_proto::v1::{self, ModelAlias};
use tonic::Code;

use crate::artifacts::{artifact, constant};
use crate::fixture::{Served, fields, reason};

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
