//! What a command prints and how it ends: results to standard output, as text or JSON, and all
//! else to standard error. It decides nothing about what a result says.

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use serde_json::Value;

/// The command line parsed, but what it says cannot be done: ends with exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Something that can be shown to a human and to a program.
pub(crate) trait Render {
    /// As JSON: snake_case keys, times in RFC 3339.
    fn json(&self) -> Value;
    /// As text for a terminal, ending with a line break.
    fn text(&self) -> String;
}

/// Prints a result on standard output.
pub(crate) fn show(json: bool, result: &impl Render) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", result.json())?;
    } else {
        out.write_all(result.text().as_bytes())?;
    }
    out.flush()
}

/// Prints text on standard output as it is.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints one line on standard error; a closed standard error is no reason to fail.
pub(crate) fn note(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Reports what went wrong and says how to exit. A reader who closed the pipe has seen enough.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(closed) {
        return ExitCode::SUCCESS;
    }
    note(format_args!("error: {}", told(error)));
    let usage = error.chain().any(|cause| cause.is::<Usage>());
    ExitCode::from(if usage { 2 } else { 1 })
}

/// The error and its causes in one text; a cause that the text before it tells already is left out.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text += &format!(": {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = anyhow::anyhow!("no space").context("cannot write: no space").context("cannot export");
        assert_eq!(told(&cause), "cannot export: cannot write: no space");
    }

    #[test]
    fn the_kind_of_error_decides_the_exit_code() {
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        let cases = [
            (anyhow::anyhow!("broken"), ExitCode::from(1)),
            (anyhow::Error::new(Usage("no such file".into())).context("while reading"), ExitCode::from(2)),
            (anyhow::Error::new(pipe).context("while writing"), ExitCode::SUCCESS),
        ];
        for (error, expected) in cases {
            assert_eq!(format!("{:?}", failure(&error)), format!("{expected:?}"), "{error:#}");
        }
    }
}
