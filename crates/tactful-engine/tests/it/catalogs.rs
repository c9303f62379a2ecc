//! Catalogues that come into use while decisions go on: what switches, what stays, what is refused, and which one a
//! node starts with.

use std::sync::Arc;
use std::time::Duration;

use tactful_engine::catalog::{Change, Files};
use tactful_engine::{AppliedCatalog, Engine, Error, Options};
use tactful_log::{Log, Partition, RedisLog, RedisOptions, RedisServer};

use crate::artifacts::{artifact, constant};
use crate::fixture::{
    CATALOG, PATIENCE, Running, Stop, aged, decide, export, feature, ingest, now_s, open, order, ruleset, settle,
    shown, start, until,
};

const VISITS: &str = "[[feature]]\nname = \"visits\"\naggregate = \"count\"\nevent = \"Order Placed\"\n";
const ORDERS: &str = "name = \"orders\"\naggregate = \"count\"\nevent = \"Order Placed\"";

/// A catalogue as a caller gives it.
fn given(text: &str) -> Vec<(std::path::PathBuf, String)> {
    vec![("test.toml".into(), text.into())]
}

/// The usual catalogue with one text in place of another.
fn otherwise(from: &str, to: &str) -> String {
    assert!(CATALOG.contains(from), "{from}");
    CATALOG.replace(from, to)
}

/// The usual catalogue with a further feature.
fn with_visits() -> String {
    format!("{CATALOG}{VISITS}")
}

/// The same, but `orders` and `visits` are made of something else.
fn other_orders() -> String {
    let visits = with_visits() + "lateness = \"1h\"\n";
    visits.replace(ORDERS, &format!("{ORDERS}\nlateness = \"2h\""))
}

async fn apply(engine: &Engine, text: &str) -> Result<AppliedCatalog, Error> {
    engine.apply_catalog(given(text), "a test", false).await
}

async fn start_as(log: &Arc<dyn Log>, text: &str) -> Result<Arc<Engine>, Error> {
    let written = Files::new(given(text)).unwrap().compile().unwrap();
    let engine = Engine::start(Arc::clone(log), written, &Options::default()).await?;
    tokio::time::timeout(PATIENCE, engine.caught_up()).await.unwrap();
    Ok(engine)
}

/// A feature of the usual customer.
fn known(engine: &Engine, name: &str) -> f64 {
    feature(engine, "customer:1", name)
}

fn text_in_use(engine: &Engine) -> String {
    engine.catalog().files.list()[0].1.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_comes_into_use_and_what_is_unchanged_goes_on() {
    let running = Running::new().await;
    let (engine, now) = (&running.engine, now_s());
    ingest(engine, vec![aged("customer:1", 44.0, now - 90), order("customer:1", "m1", 5.0, now - 80)]).await;
    let before = engine.ruleset().hash();

    let applied = apply(engine, &with_visits()).await.unwrap();
    assert!(applied.applied && applied.schema_changed);
    let changes: Vec<_> = applied.changes.iter().map(|it| (it.kind, it.id.as_str(), it.change)).collect();
    assert_eq!(changes, [("feature", "visits", Change::Added)]);
    assert_eq!(applied.ruleset, engine.ruleset().hash());
    assert_ne!(applied.ruleset, before);
    assert_eq!((known(engine, "orders"), known(engine, "visits"), known(engine, "age")), (1.0, 0.0, 44.0));
    ingest(engine, vec![order("customer:1", "m2", 7.0, now - 70)]).await;
    assert_eq!((known(engine, "orders"), known(engine, "visits"), known(engine, "spend")), (2.0, 1.0, 12.0));

    let applied = apply(engine, &other_orders()).await.unwrap();
    let empty: Vec<_> = applied.changes.iter().filter(|it| it.starts_empty).map(|it| it.id.as_str()).collect();
    assert_eq!(empty, ["orders", "visits"]);
    assert_eq!((known(engine, "orders"), known(engine, "spend")), (0.0, 12.0));
    ingest(engine, vec![order("customer:1", "m3", 1.0, now - 60)]).await;
    assert_eq!((known(engine, "orders"), known(engine, "visits"), known(engine, "spend")), (1.0, 1.0, 13.0));
    decide(engine, "customer:1");
    settle(engine).await;

    // A restart with the files of the beginning replays through both switches, and does not roll anybody back.
    let (digests, used) = (engine.digests(), engine.catalog());
    assert_eq!((used.note.as_str(), text_in_use(engine)), ("a test", other_orders()));
    let running = running.restart().await;
    assert_eq!(running.engine.digests(), digests);
    assert_eq!(running.engine.catalog(), used);
    assert_eq!(known(&running.engine, "orders"), 1.0);
    // Its records can be read, though it was made under another layout.
    let rows = export(&running.engine).await;
    assert!(rows[0].features.contains_key("customer.visits"), "{:?}", rows[0].features);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_decides_needs_no_schema_record() {
    let running = Running::new().await;
    let engine = &running.engine;
    let tails = || async {
        let mut tails = Vec::new();
        for partition in 0..4 {
            tails.push(running.log.tail(Partition::Data(partition)).await.unwrap());
        }
        tails
    };
    assert_eq!(tails().await, [1; 4], "an empty log begins with its schema");
    let cheap = otherwise("value = 30.0", "value = 1.0");
    assert_eq!(shown(&decide(engine, "customer:1"), 0), "card");
    let applied = apply(engine, &cheap).await.unwrap();
    assert!(applied.applied && !applied.schema_changed);
    assert_eq!(shown(&decide(engine, "customer:1"), 0), "plus");
    settle(engine).await;
    let control = running.log.tail(Partition::Control).await.unwrap();
    // What is in use already is not applied again.
    let again = apply(engine, &cheap).await.unwrap();
    assert!(!again.applied && again.changes.is_empty());
    // A comment makes no other ruleset, but other files.
    let told = apply(engine, &format!("# cheaper\n{cheap}")).await.unwrap();
    assert!(told.applied && told.changes.is_empty() && told.ruleset == applied.ruleset);
    assert!(text_in_use(engine).starts_with("# cheaper"));
    assert_eq!(running.log.tail(Partition::Control).await.unwrap(), control + 1);
    let schemas = tails().await.into_iter().sum::<u64>();
    assert_eq!(schemas, 4 + 2, "the schema of the beginning and two decisions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_catalogue_never_replaces_a_good_one() {
    let running = Running::new().await;
    let engine = &running.engine;
    let (before, control) = (engine.ruleset().hash(), running.log.tail(Partition::Control).await.unwrap());
    let cases = [
        (otherwise("customer.age < 18", "customer.agee < 18"), "customer.age"),
        (otherwise("[[action]]", "[[acton]]"), "acton"),
        (otherwise("aggregate = \"sum\"", "aggregate = \"summ\""), "summ"),
        (String::from("company = "), "test.toml:1"),
    ];
    for (text, told) in cases {
        let Err(Error::Catalog(problems)) = apply(engine, &text).await else { panic!("taken: {told}") };
        let all = problems.iter().map(ToString::to_string).collect::<String>();
        assert!(all.contains("test.toml:") && all.contains(told), "{told}: {all}");
    }
    let long = engine.apply_catalog(given(&with_visits()), &"n".repeat(1_001), false).await;
    assert!(matches!(long, Err(Error::Invalid(_))), "{long:?}");
    let nothing = engine.apply_catalog(Vec::new(), "", false).await;
    assert!(matches!(nothing, Err(Error::Catalog(_))), "{nothing:?}");
    // A dry run of a good one changes nothing either.
    let dry = engine.apply_catalog(given(&with_visits()), "", true).await.unwrap();
    assert!(!dry.applied && dry.schema_changed && dry.ruleset != before);
    assert_eq!(engine.ruleset().hash(), before);
    assert_eq!(running.log.tail(Partition::Control).await.unwrap(), control);
    decide(engine, "customer:1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_the_model_in_use_does_not_fit_is_refused() {
    let running = Running::new().await;
    let engine = &running.engine;
    engine.load_model(artifact(0.5, ("customer.since_order", "number")).into()).await.unwrap();
    let decides = engine.ruleset().hash();
    let without = otherwise("name = \"since_order\"", "name = \"seconds_since_order\"");
    let refused = apply(engine, &without).await;
    let Err(Error::Unfit(reason)) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("customer.since_order"), "{reason}");
    assert_eq!(engine.ruleset().hash(), decides);
    // Neither does a restart with such files get by it.
    let (folder, _) = running.stop().await;
    let log = open(folder.path());
    let started = start_as(&log, &without).await;
    assert!(matches!(started, Err(Error::Unfit(_))), "{:?}", started.err());
    drop(started);
    let engine = start(&log).await;
    assert_eq!(engine.ruleset().hash(), decides);
    // With a model that fits both, it goes.
    engine.load_model(constant(0.5).into()).await.unwrap();
    apply(&engine, &without).await.unwrap();
    assert!(engine.ruleset().bank().is_some(), "the model goes on deciding");
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_starts_with_what_the_log_says_unless_its_own_files_are_new() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let engine = start_as(&log, CATALOG).await.unwrap();
    ingest(&engine, vec![order("customer:1", "m1", 5.0, now_s() - 50)]).await;
    apply(&engine, &with_visits()).await.unwrap();
    engine.close(PATIENCE).await;
    drop(engine);
    // Old files: what was applied goes on.
    let engine = start_as(&log, CATALOG).await.unwrap();
    assert_eq!(text_in_use(&engine), with_visits());
    engine.close(PATIENCE).await;
    drop(engine);
    // Files that were never in use: they are.
    let engine = start_as(&log, &other_orders()).await.unwrap();
    assert_eq!(text_in_use(&engine), other_orders());
    assert_eq!((known(&engine, "orders"), known(&engine, "spend")), (0.0, 5.0));
    ingest(&engine, vec![order("customer:1", "m2", 5.0, now_s() - 40)]).await;
    assert_eq!(known(&engine, "orders"), 1.0);
    // And going back takes a word.
    apply(&engine, CATALOG).await.unwrap();
    assert_eq!((text_in_use(&engine), known(&engine, "spend")), (CATALOG.into(), 10.0));
    let digests = engine.digests();
    engine.close(PATIENCE).await;
    drop(engine);
    let engine = start_as(&log, &with_visits()).await.unwrap();
    assert_eq!((text_in_use(&engine), engine.digests()), (CATALOG.into(), digests));
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn decisions_and_events_go_on_while_catalogues_come_and_go() {
    let running = Running::new().await;
    let (engine, now) = (&running.engine, now_s());
    let stop = Stop::default();
    let stopping = stop.on_drop();
    let (deciding, stopped) = (Arc::clone(engine), stop.clone());
    let decider = tokio::task::spawn_blocking(move || {
        let mut made = 0_u64;
        while !stopped.is_set() {
            let decided = decide(&deciding, &format!("customer:{}", made % 40));
            assert!(decided.degraded.is_empty(), "{:?}", decided.degraded);
            made += 1;
            // Slower than any disk, so that the queue of the record has room throughout.
            std::thread::sleep(Duration::from_millis(1));
        }
        made
    });
    let (writing, stopped) = (Arc::clone(engine), stop.clone());
    let writer = tokio::spawn(async move {
        let mut sent = 0_u64;
        while !stopped.is_set() {
            let events = (0..40).map(|n| order(&format!("customer:{n}"), &format!("{sent}-{n}"), 1.0, now - 9));
            assert_eq!(writing.ingest(events.collect()).await.unwrap().accepted, 40);
            sent += 1;
        }
        sent
    });
    let catalogues = [with_visits(), other_orders(), CATALOG.to_owned()];
    for turn in 0..60 {
        if turn % 5 == 0 {
            engine.load_model(constant(turn as f32 / 10.0).into()).await.unwrap();
        }
        let applied = apply(engine, &catalogues[turn % 3]).await.unwrap();
        assert!(applied.applied && applied.schema_changed, "{turn}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(stopping);
    let (made, sent) = (decider.await.unwrap(), writer.await.unwrap());
    settle(engine).await;
    assert!(made > 0);
    // Through all switches nothing of an unchanged feature was lost.
    let spent: f64 = (0..40).map(|n| feature(engine, &format!("customer:{n}"), "spend")).sum();
    assert_eq!(spent, (40 * sent) as f64);
    let digests = engine.digests();
    assert_eq!(running.restart().await.engine.digests(), digests);
}

/// A log of its own in one Redis.
fn redis_log(redis: &RedisServer) -> Arc<dyn Log> {
    let options = RedisOptions { url: redis.url(), partitions: 4, recent_bytes: 1 << 20 };
    Arc::new(RedisLog::open(&options).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_on_one_redis_switch_at_the_same_place() {
    let home = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(home.path()).unwrap();
    let logs = [redis_log(&redis), redis_log(&redis)];
    // Both bring the same new catalogue at once: it counts once.
    let (one, two) = tokio::join!(start_as(&logs[0], CATALOG), start_as(&logs[1], CATALOG));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.catalog(), two.catalog());
    let now = now_s();
    let write = |engine: &Arc<Engine>, writer: usize| {
        let engine = Arc::clone(engine);
        async move {
            for batch in 0..30 {
                let message = |n: i32| format!("{writer}-{batch}-{n}");
                let events = (0..20).map(|n| order(&format!("customer:{n}"), &message(n), 1.0, now - 9));
                assert_eq!(engine.ingest(events.collect()).await.unwrap().accepted, 20);
            }
        }
    };
    let applying = async {
        apply(&one, &with_visits()).await.unwrap();
        apply(&two, &other_orders()).await.unwrap();
    };
    tokio::join!(write(&one, 1), write(&two, 2), applying);
    until(|| one.catalog() == two.catalog() && text_in_use(&one) == other_orders(), "both decide by the last").await;
    // What the other one wrote is heard of a moment later. Each order counts once.
    let spent = |engine: &Engine| (0..20).map(|n| feature(engine, &format!("customer:{n}"), "spend")).sum::<f64>();
    until(|| [&one, &two].iter().all(|engine| spent(engine) >= 1_200.0), "both know all orders").await;
    until(|| one.digests() == two.digests(), "both come to the same").await;
    assert_eq!(spent(&two), 1_200.0);
    // A third one, with the files of the beginning, comes to the same.
    let third = start_as(&redis_log(&redis), CATALOG).await.unwrap();
    assert_eq!((third.digests(), third.catalog()), (one.digests(), one.catalog()));
    for engine in [one, two, third] {
        engine.close(PATIENCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_before_there_were_schema_records_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    // What such a log held: records and a model, but no catalogue.
    let engine = start(&log).await;
    ingest(&engine, vec![order("customer:1", "m1", 5.0, now_s() - 50)]).await;
    let records = log.read(Partition::Data(partition_of("customer:1")), 1, 9).await.unwrap();
    engine.close(PATIENCE).await;
    let old = tempfile::tempdir().unwrap();
    let old_log = open(old.path());
    let partition = Partition::Data(partition_of("customer:1"));
    old_log.append(records.into_iter().map(|entry| (partition, entry.payload)).collect()).await.unwrap();
    let engine = start_as(&old_log, CATALOG).await.unwrap();
    assert_eq!(known(&engine, "orders"), 1.0);
    apply(&engine, &other_orders()).await.unwrap();
    ingest(&engine, vec![order("customer:1", "m2", 5.0, now_s() - 40)]).await;
    let digests = engine.digests();
    engine.close(PATIENCE).await;
    drop(engine);
    // Its beginning is folded by the catalogue that was applied first, whatever decides now.
    let engine = start_as(&old_log, &other_orders()).await.unwrap();
    assert_eq!((known(&engine, "spend"), known(&engine, "orders")), (10.0, 1.0));
    assert_eq!(engine.digests(), digests);
    engine.close(PATIENCE).await;
}

fn partition_of(subject: &str) -> u16 {
    tactful_core::hash::partition(subject, 4)
}

#[test]
fn definitions_without_files_are_written_as_one_that_compiles_to_the_same() {
    let written = tactful_engine::catalog::Written::from(ruleset());
    let again = written.files.clone().compile().unwrap();
    assert_eq!(again.ruleset.hash(), written.ruleset.hash());
}
