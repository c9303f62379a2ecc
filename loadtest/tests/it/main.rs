//! The load generator against a real tonic server whose behaviour is known.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod server;

use std::{sync::Arc, time::Duration};

use loadtest::{DecideCall, Load, Plan, Report, Subjects, Target, UNFINISHED, decide_requests, run};
use server::{Behaviour, Server};
use tactful_proto::v1::Mode;

fn plan(server: &Server, load: Load) -> Plan {
    Plan {
        target: Target::parse(&server.url(), false).unwrap(),
        load,
        connections: 2,
        threads: 1,
        warm_up: Duration::from_millis(200),
        duration: Duration::from_secs(2),
        timeout: Duration::from_secs(3),
        server_pid: None,
    }
}

fn decide(plan: &Plan) -> anyhow::Result<Report> {
    let subjects = Subjects::Numbered { prefix: "customer:".into(), count: 100 }.ids()?;
    let requests: Arc<[_]> = decide_requests(&subjects, &["hero".into()], 1, Mode::Live).into();
    run(plan, |channel| DecideCall::new(channel, Arc::clone(&requests)), |_| {})
}

/// 0.4 s, one second after the first request.
const STALL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(400));

fn stalled(load: Load) -> Report {
    let server = Server::start(Behaviour { stall_after: Some(STALL), ..Behaviour::default() });
    let report = decide(&plan(&server, load)).unwrap();
    assert!(report.errors.is_empty(), "{report}");
    report
}

/// A stall of 0.4 s in 2 s at 500 requests a second makes a fifth of them late, by 0.2 s on average.
/// A generator that waits for the answer before it sends again would see a few slow requests only.
#[test]
fn a_stall_shows_in_the_latency_of_every_request_that_was_due() {
    let report = stalled(Load::Open { rate: 500.0, in_flight_max: 10_000 });
    assert_eq!(report.requests, 1_000, "every request that was due is counted");
    assert!(report.latency_us.p99 > 300_000.0 && report.latency_us.max >= 390_000.0, "{report}");

    // Beside nineteen times as many quick ones the late ones are a hundredth.
    let quick = decide(&plan(&Server::start(Behaviour::default()), Load::Open { rate: 500.0, in_flight_max: 10_000 }));
    let quick = quick.unwrap();
    let all = Report::latency_of_all(std::iter::repeat_n(&quick, 19).chain([&report]));
    assert!(all.p99 < report.latency_us.p99 && all.p99 > quick.latency_us.p50, "{report}\n{quick}");
    assert_eq!(all.max, report.latency_us.max.max(quick.latency_us.max));
}

/// The contrast: a closed loop of two streams hides the same stall, which is why it only finds peaks.
#[test]
fn a_closed_loop_hides_the_stall() {
    // A machine that is kept busy from outside slows many requests: one quiet turn is enough.
    let mut reports = (0..8).map(|_| stalled(Load::Closed { streams: 1 })).inspect(|report| eprintln!("{report}"));
    assert!(reports.any(|report| {
        let latency = &report.latency_us;
        latency.max >= 390_000.0 && latency.p99 < 100_000.0 && report.rate > 500.0
    }));
}

#[test]
fn errors_are_counted_by_code() {
    let server = Server::start(Behaviour { refuse_every: Some(4), ..Behaviour::default() });
    let report = decide(&plan(&server, Load::Open { rate: 400.0, in_flight_max: 100 })).unwrap();
    assert_eq!(report.requests, 800);
    let refused = report.errors["RESOURCE_EXHAUSTED"];
    assert!((190..=210).contains(&refused), "{report}");
    assert_eq!(report.failed(), refused);
}

/// Requests that never get an answer are in the tail, not left out.
#[test]
fn unfinished_requests_count() {
    let server = Server::start(Behaviour { hang_every: Some(10), ..Behaviour::default() });
    let mut plan = plan(&server, Load::Open { rate: 100.0, in_flight_max: 1_000 });
    plan.timeout = Duration::from_millis(500);
    let report = decide(&plan).unwrap();
    assert_eq!(report.requests, 200);
    assert!((18..=22).contains(&report.errors[UNFINISHED]), "{report}");
    assert!(report.latency_us.p99 >= 490_000.0, "{report}");
}

#[test]
fn several_threads_share_the_schedule() {
    let server = Server::start(Behaviour::default());
    let mut plan = plan(&server, Load::Open { rate: 300.0, in_flight_max: 100 });
    (plan.threads, plan.connections) = (2, 3);
    plan.duration = Duration::from_secs(1);
    plan.server_pid = Some(std::process::id());
    let report = decide(&plan).unwrap();
    assert_eq!(report.requests, 300);
    assert_eq!(report.failed(), 0);
    let json = serde_json::to_value(&report).unwrap();
    for key in ["latency_us", "send_lag_us", "errors", "machine", "rate", "server_cpu_us"] {
        assert!(!json[key].is_null(), "{key}: {json}");
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let server = Server::start(Behaviour::default());
    let plan = plan(&server, Load::Closed { streams: 1 });
    drop(server);
    let error = decide(&plan).unwrap_err();
    assert!(format!("{error:#}").contains("cannot connect"), "{error:#}");
}
