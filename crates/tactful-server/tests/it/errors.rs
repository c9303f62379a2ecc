//! Bad input: every error says which field and why, and the server goes on.

use tactful_proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::artifacts::{artifact, constant};
use crate::faulty::{broken, full};
use crate::fixture::{Served, ask, at, event, fields, number, order, ordered, place, reason, text, until, values};
use crate::raw::{Raw, framed};

async fn refused(served: &Served, request: v1::DecideRequest) -> Status {
    served.decisions().decide(request).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_decide_names_its_field() {
    let served = Served::new().await;
    let long = "x".repeat(129);
    let invalid = (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned());
    let with_context = |name: &str, value| v1::DecideRequest { context: values([(name, value)]), ..ask("c") };
    let cases = [
        ("subject_id", ask("")),
        ("subject_id", ask(&long)),
        ("request_id", v1::DecideRequest { request_id: long.clone(), ..ask("c") }),
        ("matter_id", v1::DecideRequest { matter_id: long.clone(), ..ask("c") }),
        ("context[\"hour\"]", with_context("hour", number(f64::NAN))),
        ("context[\"hour\"]", with_context("hour", number(f64::INFINITY))),
        ("context[\"hour\"]", with_context("hour", number(f64::NEG_INFINITY))),
        ("context[\"hour\"]", with_context("hour", number(1e300))),
        ("context[\"hour\"]", with_context("hour", text("noon"))),
        ("context[\"hours\"]", with_context("hours", number(1.0))),
        ("context[\"page\"]", with_context("page", text("nowhere"))),
        ("context", with_context(&"n".repeat(100_000), number(1.0))),
        (
            "profile_overrides[\"age\"]",
            v1::DecideRequest { profile_overrides: values([("age", number(f64::NAN))]), ..ask("c") },
        ),
        (
            "context",
            v1::DecideRequest { context: (0..65).map(|n| (format!("f{n}"), number(1.0))).collect(), ..ask("c") },
        ),
        ("placements", v1::DecideRequest { placements: Vec::new(), ..ask("c") }),
        ("placements", v1::DecideRequest { placements: vec![place("home", 0); 11], ..ask("c") }),
        ("placements[1].placement", v1::DecideRequest { placements: vec![place("home", 0); 2], ..ask("c") }),
        ("placements[0].placement", v1::DecideRequest { placements: vec![place(&"p".repeat(100_000), 0)], ..ask("c") }),
        ("placements[0].count", v1::DecideRequest { placements: vec![place("home", -1)], ..ask("c") }),
        ("placements[0].count", v1::DecideRequest { placements: vec![place("home", i32::MIN)], ..ask("c") }),
        ("placements[0].count", v1::DecideRequest { placements: vec![place("home", 21)], ..ask("c") }),
        ("candidate_actions", v1::DecideRequest { candidate_actions: vec!["card".into(); 100_000], ..ask("c") }),
        ("excluded_actions", v1::DecideRequest { excluded_actions: vec!["card".into(); 100_000], ..ask("c") }),
    ];
    for (field, request) in cases {
        let status = refused(&served, request).await;
        assert_eq!(reason(&status), invalid, "{field}: {status:?}");
        assert!(fields(&status).iter().any(|named| named == field), "{field}: {status:?}");
    }
    let unknown = refused(&served, v1::DecideRequest { placements: vec![place("hom", 0)], ..ask("c") }).await;
    assert_eq!(reason(&unknown), (Code::NotFound, "NOT_FOUND".into()));
    assert_eq!(fields(&unknown), ["placements[0].placement"]);
    assert!(unknown.message().contains("did you mean home?"), "{unknown:?}");
    // Unknown customers, candidates and matters are none of these.
    let fine = v1::DecideRequest { candidate_actions: vec!["gone".into()], matter_id: "m".into(), ..ask("unheard") };
    assert!(served.decisions().decide(fine).await.unwrap().into_inner().cold_start);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_fits_into_headers_however_much_is_wrong() {
    let served = Served::new().await;
    let context = (0..64).map(|n| (format!("{n:-<120}"), text(&"w".repeat(3_000)))).collect();
    let status = refused(&served, v1::DecideRequest { context, ..ask("c") }).await;
    assert_eq!(reason(&status).0, Code::InvalidArgument);
    assert!(status.message().contains("and 63 more"), "{status:?}");
    assert!(!fields(&status).is_empty() && fields(&status).len() < 64);
    // A vocabulary of a thousand words is not recited whole.
    let context = values([("page", text("nowhere"))]);
    let status = refused(&served, v1::DecideRequest { context, ..ask("c") }).await;
    let size = status.message().len() + status.details().len();
    assert!(size < 4_096, "{size} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_calls_name_their_fields_too() {
    let served = Served::new().await;
    let invalid = (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned());
    let too_many = |count: usize| v1::BatchDecideRequest { requests: vec![ask("c"); count] };
    for count in [0, 257] {
        let status = served.decisions().batch_decide(too_many(count)).await.unwrap_err();
        assert_eq!((reason(&status), fields(&status)), (invalid.clone(), vec!["requests".into()]));
    }
    for count in [0, 1_001] {
        let request = v1::RecordOutcomesRequest { outcomes: vec![v1::OutcomeReport::default(); count] };
        let status = served.decisions().record_outcomes(request).await.unwrap_err();
        assert_eq!((reason(&status), fields(&status)), (invalid.clone(), vec!["outcomes".into()]));
        let request = v1::IngestRequest { items: vec![order("c", ""); count] };
        let status = served.events().ingest(request).await.unwrap_err();
        assert_eq!((reason(&status), fields(&status)), (invalid.clone(), vec!["items".into()]));
        let batch = v1::IngestStreamRequest { sequence: 1, items: vec![order("c", ""); count] };
        let mut acks = served.events().ingest_stream(tokio_stream::iter([batch])).await.unwrap().into_inner();
        let status = acks.message().await.unwrap_err();
        assert_eq!((reason(&status), fields(&status)), (invalid.clone(), vec!["items".into()]));
    }
    for subject in [String::new(), "x".repeat(129)] {
        let status = served.customers().get_context(v1::GetContextRequest { subject_id: subject }).await.unwrap_err();
        assert_eq!((reason(&status), fields(&status)), (invalid.clone(), vec!["subject_id".into()]));
    }
    let backwards = v1::ExportDecisionsRequest { start_time: at(20), end_time: at(10) };
    let status = served.decisions().export_decisions(backwards).await.unwrap_err();
    assert_eq!((reason(&status), fields(&status)), (invalid.clone(), vec!["end_time".into()]));
    let status = served.models().push(tokio_stream::empty()).await.unwrap_err();
    assert_eq!((reason(&status), fields(&status)), (invalid, vec!["header".into()]));
    served.decide("c").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_1900_and_2100_are_refused_and_their_neighbours_are_not() {
    let served = Served::new().await;
    let items = vec![
        order("customer:1", "m1"),
        event(v1::Event { event_time: at(-2_208_988_800), ..ordered("customer:1") }),
        event(v1::Event { event_time: at(4_102_444_800), ..ordered("customer:1") }),
        event(v1::Event { channel: "pigeon".into(), ..ordered("customer:1") }),
        event(v1::Event { subject_id: String::new(), ..ordered("customer:1") }),
        order("customer:1", "m2"),
    ];
    let answer = served.events().ingest(v1::IngestRequest { items }).await.unwrap().into_inner();
    assert_eq!(answer.accepted, 2);
    let errors: Vec<_> = answer.errors.iter().map(|e| (e.index, e.field.as_str(), e.reason.as_str())).collect();
    assert_eq!(
        errors,
        [
            (1, "event_time", "TIME_TOO_EARLY"),
            (2, "event_time", "TIME_TOO_LATE"),
            (3, "channel", "CHANNEL_UNKNOWN"),
            (4, "subject_id", "ID_EMPTY"),
        ]
    );
    assert_eq!(served.orders("customer:1").await, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_model_is_refused_and_the_old_one_stays() {
    let served = Served::new().await;
    let good = constant(1.0);
    let version = served.champion(good.clone()).await.unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 4;
    for bad in
        [good[..good.len() - 9].to_vec(), flipped, b"PK nonsense".to_vec(), artifact(1.0, ("customer.x", "number"))]
    {
        let status = served.push(bad).await.unwrap_err();
        assert_eq!(reason(&status), (Code::FailedPrecondition, "MODEL_REFUSED".into()), "{status:?}");
        assert_eq!(served.decide("c").await.unwrap().model_version, version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_transport_refuses_has_details_as_well() {
    let served = Served::new().await;
    let raw = Raw::connect(served.addresses.grpc).await;
    // Bytes that are no DecideRequest: its first field is a text.
    let garbage = framed(&v1::PushRequest { part: Some(v1::push_request::Part::Chunk(vec![0xFF, 0xFE])) });
    let status = raw.call("/tactful.v1.DecisionService/Decide", None, garbage).await;
    assert_eq!(reason(&status), (Code::InvalidArgument, "MESSAGE_MALFORMED".into()));
    for path in ["/tactful.v1.DecisionService/Decode", "/tactful.v9.Nothing/At"] {
        let status = raw.call(path, None, framed(&ask("c"))).await;
        assert_eq!(status.code(), Code::Unimplemented);
        let details = status.get_error_details();
        assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("METHOD_UNKNOWN"), "{status:?}");
    }
    assert_eq!(raw.call("/tactful.v1.DecisionService/Decide", None, framed(&ask("c"))).await.code(), Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_fails_or_is_full_is_told_apart() {
    let served = Served::new().await;
    let mut events = served.events();
    let request = || v1::IngestRequest { items: vec![order("customer:1", "m1")] };
    served.log.fail(full());
    let status = events.ingest(request()).await.unwrap_err();
    assert_eq!(reason(&status), (Code::ResourceExhausted, "LOG_FULL".into()));
    served.log.fail(broken());
    let status = events.ingest(request()).await.unwrap_err();
    assert_eq!(reason(&status), (Code::Unavailable, "LOG_UNAVAILABLE".into()));
    until(async || served.decide("customer:1").await.unwrap().degraded, "decisions are flagged").await;
    let degraded = served.decide("customer:1").await.unwrap();
    assert_eq!(degraded.degraded_reasons, ["LOG_UNAVAILABLE"]);
    assert_eq!(degraded.placements[0].actions[0].action_id, "card");
    served.log.fail(None);
    assert_eq!(events.ingest(request()).await.unwrap().into_inner().accepted, 1);
    assert_eq!(served.orders("customer:1").await, 1.0);
    until(async || !served.decide("customer:1").await.unwrap().degraded, "the flag goes").await;
}
