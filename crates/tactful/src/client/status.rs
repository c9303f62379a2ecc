//! A server's refusal as a human reads it: what is wrong, the fields at fault with the way to mend
//! them, and what to try next. It invents no reason that the server did not give.

use std::{error::Error, fmt::Write, io};

use anyhow::anyhow;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A refused call as an error: one line for the whole, one for each field at fault.
pub(crate) fn refused(status: &Status) -> anyhow::Error {
    anyhow!(describe(status))
}

fn describe(status: &Status) -> String {
    let details = status.get_error_details();
    let fields = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
    // The message repeats the first field at fault, for callers that read no details.
    let mut text = match fields {
        [] if status.message().is_empty() => code(status.code()).into(),
        [] => status.message().to_owned(),
        [only] => format!("{}: {}", only.field, only.description),
        several => format!("{} fields of the request are wrong", several.len()),
    };
    if let Some(info) = details.error_info() {
        let _ = write!(text, " ({})", info.reason);
    }
    for violation in fields.iter().filter(|_| fields.len() > 1) {
        let _ = write!(text, "\n  {}: {}", violation.field, violation.description);
    }
    for violation in details.precondition_failure().iter().flat_map(|failure| &failure.violations) {
        let _ = write!(text, "\n  {}: {}", violation.subject, violation.description);
    }
    for violation in details.quota_failure().iter().flat_map(|failure| &failure.violations) {
        let _ = write!(text, "\n  {}: {}", violation.subject, violation.description);
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        let _ = write!(text, "\n  try again in {:.1} s", delay.as_secs_f64());
    }
    if let Some(hint) = hint(status.code()) {
        let _ = write!(text, "\n  {hint}");
    }
    text
}

/// What a code says when the server says no more.
fn code(code: Code) -> &'static str {
    match code {
        Code::Unavailable => "the server is not available",
        Code::DeadlineExceeded => "the server did not answer in time",
        Code::ResourceExhausted => "the server has too much to do",
        Code::Unimplemented => "the server does not know this call",
        Code::Internal => "the server failed",
        other => other.description(),
    }
}

/// What to try next, where the code alone tells.
fn hint(code: Code) -> Option<&'static str> {
    match code {
        Code::Unavailable => Some("is the server still running? its log says more"),
        Code::Unimplemented => Some("is it a Tactful server, and of the same version as this program?"),
        _ => None,
    }
}

/// Why no connection came about, and how to get one.
pub(super) fn unreachable(address: &str, error: &tonic::transport::Error) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut deepest = error.to_string();
    let mut kind = None;
    while let Some(current) = cause {
        deepest = current.to_string();
        kind = current.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        cause = current.source();
    }
    let why = match kind {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused: nothing listens there".into(),
        Some(io::ErrorKind::TimedOut) => "no answer in time".into(),
        _ => deepest,
    };
    format!("cannot reach {address}: {why}\n  start a server with `tactful serve`, or name another with --server URL")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn fields_at_fault_are_told_one_a_line() {
        let mut details = ErrorDetails::new();
        details.set_error_info("UNKNOWN_PLACEMENT", "tactful", []);
        details.add_bad_request_violation("placements[0].placement", "unknown `web_hom`; did you mean `web_home`?");
        details.add_bad_request_violation("context.topic", "is not finite");
        let status = Status::with_error_details(Code::InvalidArgument, "the request is not valid", details);
        assert_eq!(
            describe(&status),
            "2 fields of the request are wrong (UNKNOWN_PLACEMENT)\n  \
             placements[0].placement: unknown `web_hom`; did you mean `web_home`?\n  context.topic: is not finite"
        );
    }

    #[test]
    fn one_field_at_fault_is_told_once() {
        let mut details = ErrorDetails::with_error_info("NOT_FOUND", "tactful", []);
        details.add_bad_request_violation("placements[0].placement", "unknown `web_hom`");
        let status = Status::with_error_details(Code::NotFound, "placements[0].placement unknown `web_hom`", details);
        assert_eq!(describe(&status), "placements[0].placement: unknown `web_hom` (NOT_FOUND)");
    }

    #[test]
    fn a_busy_server_says_when_to_come_back() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(1_500)));
        let status = Status::with_error_details(Code::ResourceExhausted, "", details);
        assert_eq!(describe(&status), "the server has too much to do\n  try again in 1.5 s");
    }

    #[test]
    fn garbage_in_the_details_is_no_reason_to_fail() {
        let status = Status::with_details(Code::Internal, "broken", vec![0xFF; 40].into());
        assert_eq!(describe(&status), "broken");
    }
}
