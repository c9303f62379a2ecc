//! The one table from domain errors to gRPC codes. Every error carries `google.rpc.ErrorInfo`, bad
//! input its field violations, overload the time after which to try again. Errors travel in headers,
//! which peers bound, so their texts are cut.

use std::collections::HashMap;
use std::time::Duration;

use tactful_core::decide::FieldError;
use tactful_engine::catalog::CatalogProblem;
use tactful_engine::{Error, LogFailure, archive};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const DOMAIN: &str = "tactful";
/// When an overloaded server may be asked again.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Field violations that one error carries; the message counts the others.
const VIOLATIONS_MAX: usize = 8;
/// Characters of one field violation's path and of its description.
const VIOLATION_CHARS_MAX: usize = 200;
/// Characters of a message.
const MESSAGE_CHARS_MAX: usize = 600;

/// The status of an engine's error.
pub(crate) fn from_engine(error: &Error) -> Status {
    match error {
        Error::Invalid(fields) => invalid(fields),
        Error::Catalog(problems) => catalog(problems),
        Error::Unfit(_) => plain(Code::FailedPrecondition, "MODEL_DOES_NOT_FIT", &error.to_string()),
        Error::Model(reason) => plain(Code::FailedPrecondition, "MODEL_REFUSED", reason),
        Error::Log(log) => from_log(LogFailure::of(log), &log.to_string()),
        // Of a start and of housekeeping alone: no call meets them.
        Error::EraseList { .. } => plain(Code::Internal, "ERASE_LIST", "the list of erasures cannot be used"),
        Error::Snapshots { .. } => plain(Code::Internal, "SNAPSHOTS", "the folder of the snapshots cannot be used"),
        Error::Archive(archive) => from_archive(archive),
        Error::ArchiveAbsent { .. } => plain(Code::FailedPrecondition, "ARCHIVE_ABSENT", &error.to_string()),
        Error::TooManyErasures { .. } => plain(Code::ResourceExhausted, "TOO_MANY_ERASURES", &error.to_string()),
        Error::Busy => plain(Code::Aborted, "BUSY", &error.to_string()),
        Error::TooManyNodes { .. } => plain(Code::Internal, "TOO_MANY_NODES", &error.to_string()),
        Error::Schema(_) => plain(Code::InvalidArgument, "SCHEMA_REFUSED", &error.to_string()),
        Error::Closed => plain(Code::Unavailable, "SHUTTING_DOWN", &error.to_string()),
    }
}

/// Overload of a named bound.
pub(crate) fn overloaded(what: &str) -> Status {
    let mut details = info("OVERLOADED");
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(Code::ResourceExhausted, format!("too many {what}, try again shortly"), details)
}

/// The caller's deadline has passed.
pub(crate) fn deadline_exceeded() -> Status {
    plain(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "the deadline passed before the work was done")
}

/// One wrong field.
pub(crate) fn field(field: &str, message: &str) -> Status {
    invalid(&[FieldError { field: field.into(), message: message.into(), not_found: false }])
}

/// A handler panicked: a defect of ours, told without its text, which may hold personal data.
pub(crate) fn panicked() -> Status {
    plain(Code::Internal, "INTERNAL", "an internal error; it was logged")
}

/// The status that the transport made, for example of a message beyond its bound, with the details
/// that every error of ours carries.
pub(crate) fn completed(status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    let (code, reason) = match status.code() {
        Code::OutOfRange => (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        // Tonic's name for a message that cannot be decoded.
        Code::Internal => (Code::InvalidArgument, "MESSAGE_MALFORMED"),
        Code::Unimplemented => (Code::Unimplemented, "METHOD_UNKNOWN"),
        Code::NotFound => (Code::NotFound, "NOT_FOUND"),
        Code::Cancelled => (Code::Cancelled, "CANCELLED"),
        code => (code, "TRANSPORT"),
    };
    let message = if status.message().is_empty() { "the server has no such method" } else { status.message() };
    plain(code, reason, message)
}

/// A catalogue that is refused as a whole: what is wrong, each with file, line and column as its field.
fn catalog(problems: &[CatalogProblem]) -> Status {
    let mut details = info("CATALOG_REFUSED");
    for problem in problems.iter().take(VIOLATIONS_MAX) {
        let text = match problem.hint.as_str() {
            "" => problem.message.clone(),
            hint => format!("{} (hint: {hint})", problem.message),
        };
        let file = problem.file.display();
        let place = match problem.line {
            0 => format!("files[{file}]"),
            line => format!("files[{file}]:{line}:{}", problem.column),
        };
        details.add_bad_request_violation(cut(&place, VIOLATION_CHARS_MAX), cut(&text, VIOLATION_CHARS_MAX));
    }
    let first = problems.first().map_or_else(String::new, ToString::to_string).replace('\n', " ");
    let message = match problems.len() {
        0 | 1 => format!("the catalogue is refused: {first}"),
        count => format!("the catalogue is refused with {count} problems, the first is {first}"),
    };
    Status::with_error_details(Code::InvalidArgument, cut(&message, MESSAGE_CHARS_MAX), details)
}

fn invalid(fields: &[FieldError]) -> Status {
    let missing = fields.iter().all(|field| field.not_found);
    let (code, reason) =
        if missing { (Code::NotFound, "NOT_FOUND") } else { (Code::InvalidArgument, "INVALID_ARGUMENT") };
    let mut details = info(reason);
    for field in fields.iter().take(VIOLATIONS_MAX) {
        let (path, text) = (cut(&field.field, VIOLATION_CHARS_MAX), cut(&field.message, VIOLATION_CHARS_MAX));
        details.add_bad_request_violation(path, text);
    }
    let first = fields.first().map_or_else(String::new, |field| format!("{} {}", field.field, field.message));
    let first = cut(&first, MESSAGE_CHARS_MAX);
    let more = fields.len().saturating_sub(1);
    let message = if more == 0 { first } else { format!("{first} (and {more} more)") };
    Status::with_error_details(code, message, details)
}

fn from_log(failure: LogFailure, text: &str) -> Status {
    let (code, reason) = match failure {
        LogFailure::Full => (Code::ResourceExhausted, "LOG_FULL"),
        LogFailure::Unavailable => (Code::Unavailable, "LOG_UNAVAILABLE"),
        LogFailure::Damaged => (Code::DataLoss, "LOG_DAMAGED"),
        LogFailure::Refused => (Code::InvalidArgument, "LOG_REFUSED"),
    };
    plain(code, reason, text)
}

fn from_archive(error: &archive::Error) -> Status {
    use archive::Error as Archive;
    let (code, reason) = match error {
        Archive::Damaged { .. } | Archive::Missing { .. } => (Code::DataLoss, "ARCHIVE_DAMAGED"),
        Archive::Elsewhere { .. } | Archive::OtherLog { .. } => (Code::FailedPrecondition, "ARCHIVE_ABSENT"),
        Archive::Io { .. } | Archive::Locked { .. } | Archive::Gaps { .. } | Archive::Fenced => {
            (Code::Unavailable, "ARCHIVE_UNAVAILABLE")
        }
    };
    plain(code, reason, &error.to_string())
}

fn plain(code: Code, reason: &str, message: &str) -> Status {
    Status::with_error_details(code, cut(message, MESSAGE_CHARS_MAX), info(reason))
}

fn info(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

/// A text that a header can carry.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into(),
    }
}
