//! Catalogues over gRPC: taken as a whole or refused as a whole, with everything that is wrong.

use tactful_proto::v1;
use tactful_proto::v1::catalog_service_client::CatalogServiceClient;
use tonic::{Code, Status};

use crate::artifacts::artifact;
use crate::fixture::{Served, fields, order, reason};

async fn apply(served: &Served, request: v1::ApplyRequest) -> Result<v1::ApplyResponse, Status> {
    let mut client = CatalogServiceClient::new(served.channel.clone());
    Ok(client.apply(request).await?.into_inner())
}

async fn get(served: &Served) -> v1::GetResponse {
    let mut client = CatalogServiceClient::new(served.channel.clone());
    client.get(v1::GetRequest {}).await.unwrap().into_inner()
}

fn files(text: String) -> v1::ApplyRequest {
    let file = |name: &str, text: String| v1::CatalogFile { name: name.into(), text };
    let empty = file("more/empty.toml", String::new());
    v1::ApplyRequest { files: vec![empty, file("test.toml", text)], note: "a test".into(), dry_run: false }
}

const VISITS: &str = "[[feature]]\nname = \"visits\"\naggregate = \"count\"\nevent = \"Order Placed\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_comes_into_use_over_grpc() {
    let served = Served::new().await;
    served.engine.ingest(vec![order("customer:1", "m1")]).await.unwrap();
    let first = get(&served).await;
    assert_eq!(first.files.len(), 1);
    let text = format!("{}{VISITS}", first.files[0].text);
    let dry = apply(&served, v1::ApplyRequest { dry_run: true, ..files(text.clone()) }).await.unwrap();
    assert_eq!((dry.applied, dry.schema_changed, dry.changes.len()), (false, true, 1));
    assert_eq!(get(&served).await, first);

    let applied = apply(&served, files(text.clone())).await.unwrap();
    assert!(applied.applied && applied.schema_changed);
    let change = &applied.changes[0];
    assert_eq!((change.kind.as_str(), change.id.as_str()), ("feature", "visits"));
    assert_eq!((change.r#type(), change.starts_empty), (v1::ChangeType::Added, false));
    let second = get(&served).await;
    assert_eq!(second.catalog_version, applied.catalog_version);
    assert_ne!(second.schema_version, first.schema_version);
    let names: Vec<&str> = second.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!((names, second.note.as_str()), (vec!["more/empty.toml", "test.toml"], "a test"));
    assert!(second.apply_time.is_some());
    let decided = served.decide("customer:1").await.unwrap();
    assert_eq!(decided.ruleset_version, applied.ruleset_version);
    assert_eq!(served.orders("customer:1").await, 1.0, "what is unchanged goes on");
    assert!(!apply(&served, files(text)).await.unwrap().applied, "it is in use already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_catalogue_is_refused_with_every_place_and_the_old_one_stays() {
    let served = Served::new().await;
    let first = get(&served).await;
    let text = &first.files[0].text;
    let wrong = text.replace("intensity = 2", "intensity = 99").replace("customer.age >= 18", "customer.agee >= 18");
    let status = apply(&served, files(wrong)).await.unwrap_err();
    assert_eq!(reason(&status), (Code::InvalidArgument, "CATALOG_REFUSED".into()));
    let places = fields(&status);
    assert!(places.len() >= 2 && places.iter().all(|place| place.starts_with("files[test.toml]:")), "{places:?}");
    let invalid = |request: v1::ApplyRequest, field: &'static str| {
        let served = &served;
        async move {
            let status = apply(served, request).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
            assert!(fields(&status).iter().any(|named| named == field), "{field}: {status:?}");
        }
    };
    invalid(v1::ApplyRequest::default(), "files").await;
    invalid(v1::ApplyRequest { note: "n".repeat(1_001), ..files(text.clone()) }, "note").await;
    let named = |name: &str| {
        let file = v1::CatalogFile { name: name.into(), text: text.clone() };
        v1::ApplyRequest { files: vec![file], ..v1::ApplyRequest::default() }
    };
    invalid(named("../test.toml"), "files[../test.toml]").await;
    assert_eq!(get(&served).await, first);

    // The model in use must fit what replaces the catalogue below it.
    let model = artifact(0.5, ("customer.orders", "number"));
    served.champion(model).await.unwrap();
    let without = text.replace("name = \"orders\"", "name = \"purchases\"");
    assert_ne!(&without, text);
    let status = apply(&served, files(without)).await.unwrap_err();
    assert_eq!(reason(&status), (Code::FailedPrecondition, "MODEL_DOES_NOT_FIT".into()));
    assert!(status.message().contains("customer.orders"), "{status:?}");
    assert_eq!(get(&served).await.catalog_version, first.catalog_version);
}
