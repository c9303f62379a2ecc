//! Schema records: where the fold of a partition switches, what goes on and what starts anew.

use prost::Message;
use tactful_core::state::{Definition, Schema};
use tactful_log::{Log, Partition};
use tactful_proto::storage::{Record, SchemaBody, record::Body};

use crate::fixture::{CATALOG, PATIENCE, Running, aged, feature, field, ingest, item, now_s, order, tracked, until};

/// The definition of the usual catalogue with one text in place of another.
fn definition(from: &str, to: &str) -> Vec<u8> {
    assert!(CATALOG.contains(from), "{from}");
    let catalog = toml::from_str(&CATALOG.replace(from, to)).unwrap();
    toml::to_string(&Definition::of(&catalog)).unwrap().into()
}

/// A schema record for every partition.
async fn append(log: &dyn Log, version: u64, definition: &[u8]) {
    let hash = Schema::of(&toml::from_str(std::str::from_utf8(definition).unwrap()).unwrap()).unwrap().hash();
    append_body(log, SchemaBody { hash, definition: definition.to_vec(), version }).await;
}

async fn append_body(log: &dyn Log, body: SchemaBody) {
    let record = Record { body: Some(Body::Schema(body)), ..Record::default() }.encode_to_vec();
    let records = (0..log.partitions()).map(|partition| (Partition::Data(partition), record.clone().into()));
    log.append(records.collect()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_record_switches_the_fold_and_leaves_what_is_unchanged() {
    let running = Running::new().await;
    let (engine, now) = (&running.engine, now_s());
    let fault = || item(tracked("customer:1", "Fault Reported", now - 40));
    ingest(engine, vec![aged("customer:1", 44.0, now - 50), order("customer:1", "m1", 5.0, now - 45), fault()]).await;
    let orders = || feature(engine, "customer:1", "orders");
    assert_eq!((orders(), feature(engine, "customer:1", "spend")), (1.0, 5.0));

    // `orders` counts something else from here on; the ruleset goes on reading its own, which nothing feeds.
    let other =
        definition("aggregate = \"count\"\nevent = \"Order Placed\"", "aggregate = \"count\"\nevent = \"Other\"");
    append(running.log.as_ref(), 7, &other).await;
    ingest(engine, vec![order("customer:1", "m2", 7.0, now - 30), order("customer:2", "m3", 1.0, now - 30)]).await;
    assert_eq!((orders(), feature(engine, "customer:1", "spend")), (0.0, 12.0));
    assert_eq!((feature(engine, "customer:1", "age"), field(engine, "customer:1", "matter.fault.open")), (44.0, 1.0));
    assert_eq!(feature(engine, "customer:2", "spend"), 1.0);

    // What comes again, or late, changes nothing; a later version does.
    let usual = definition("", "");
    append(running.log.as_ref(), 7, &usual).await;
    append(running.log.as_ref(), 3, &usual).await;
    ingest(engine, vec![order("customer:1", "m4", 1.0, now - 20)]).await;
    assert_eq!(orders(), 0.0);
    append(running.log.as_ref(), 8, &usual).await;
    ingest(engine, vec![order("customer:1", "m5", 1.0, now - 10)]).await;
    assert_eq!((orders(), feature(engine, "customer:1", "spend")), (1.0, 14.0));

    let digests = engine.digests();
    let again = running.restart().await;
    assert_eq!(again.engine.digests(), digests);
    assert_eq!(feature(&again.engine, "customer:1", "orders"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_cannot_be_read_takes_the_node_out_of_service() {
    let running = Running::new().await;
    ingest(&running.engine, vec![order("customer:1", "m1", 5.0, now_s())]).await;
    let broken = SchemaBody { hash: 1, definition: b"[[feature]]\nname = 1".to_vec(), version: 9 };
    append_body(running.log.as_ref(), broken).await;
    tokio::time::timeout(PATIENCE, running.engine.damaged()).await.unwrap();
    let told = running.engine.readiness().damage.unwrap();
    assert!(told.contains("cannot use the schema"), "{told}");
    until(|| feature(&running.engine, "customer:1", "orders") == 1.0, "what is known goes on answering").await;
}
