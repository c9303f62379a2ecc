//! What a comparison is asked for: versions, span of time, window, each with its default.

use std::time::{SystemTime, UNIX_EPOCH};

use tactful_core::catalog::Duration;
use tactful_core::ruleset::Alias;
use tactful_engine::{CompareCommand, Engine, Reference, RewardRule};
use tactful_proto::v1;
use tonic::Status;

use crate::convert::millis;
use crate::status;

/// How far back a comparison looks unless it is told.
const SPAN_MS: i64 = 7 * 86_400_000;

#[allow(clippy::result_large_err, reason = "tonic's own error type")]
pub(super) fn command(engine: &Engine, request: &v1::CompareRequest) -> Result<CompareCommand, Status> {
    let end_ms = request.end_time.as_ref().map_or_else(now_ms, millis);
    let start_ms = request.start_time.as_ref().map_or(end_ms.saturating_sub(SPAN_MS), millis);
    if start_ms >= end_ms {
        return Err(status::field("end_time", "does not lie after start_time"));
    }
    let first = if request.first.is_empty() { Alias::Champion.name() } else { &request.first };
    let first = find(engine, &request.name, first, "first")?;
    let second = match request.second.as_str() {
        "" => default_second(engine, &request.name)?,
        second => find(engine, &request.name, second, "second")?,
    };
    Ok(CompareCommand { first, second, start_ms, end_ms, reward: reward(request.window.as_ref())? })
}

/// The challenger, the shadow, or else the latest version.
#[allow(clippy::result_large_err, reason = "tonic's own error type")]
fn default_second(engine: &Engine, name: &str) -> Result<Reference, Status> {
    let in_use = engine.models().in_use;
    let tried = [Alias::Challenger, Alias::Shadow].into_iter().filter_map(|alias| in_use.get(&alias));
    let found = tried.map(|in_use| in_use.reference.clone()).find(|reference| reference.name == name);
    found.map_or_else(|| find(engine, name, "", "second"), Ok)
}

#[allow(clippy::result_large_err, reason = "tonic's own error type")]
fn find(engine: &Engine, name: &str, version: &str, field: &str) -> Result<Reference, Status> {
    engine.find_version(name, version).map_err(|error| match &error {
        tactful_engine::Error::Invalid(fields) => {
            let found = fields.first();
            let of_name = found.is_some_and(|found| found.field == "name");
            let message = found.map_or_else(String::new, |found| found.message.clone());
            status::field(if of_name { "name" } else { field }, &message)
        }
        other => status::from_engine(other),
    })
}

#[allow(clippy::result_large_err, reason = "tonic's own error type")]
fn reward(window: Option<&prost_types::Duration>) -> Result<RewardRule, Status> {
    let mut reward = RewardRule::default();
    if let Some(window) = window {
        let seconds = u32::try_from(window.seconds).ok().filter(|seconds| *seconds > 0);
        let wrong = || status::field("window", "is not between a second and a hundred years");
        reward.window = Duration::from_seconds(seconds.ok_or_else(wrong)?);
    }
    Ok(reward)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
