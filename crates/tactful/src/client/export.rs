//! `tactful export decisions`: the record of decisions as JSON lines. A file appears whole or not at all.

use std::{
    io::{self, BufWriter, Write},
    pin::pin,
    process::ExitCode,
};

use anyhow::{Context, Result};
use futures_util::{Stream, TryStreamExt};
use tactful_proto::v1::DecisionRow;

use super::{
    file::NewFile,
    progress::Progress,
    rows::{self, Range},
};
use crate::{
    cli::{ExportDecisionsArgs, Global},
    output, render,
};

/// Writes the rows out.
pub(crate) async fn run(global: &Global, args: &ExportDecisionsArgs) -> Result<ExitCode> {
    let range = Range { since: args.since, until: args.until };
    let rows = rows::of(global, args.data_dir.as_deref(), range).await?;
    let progress = Progress::count(global.quiet || args.out.is_none());
    progress.say("decisions");
    let Some(path) = &args.out else {
        write(rows, BufWriter::new(io::stdout().lock()), &progress).await?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut file = NewFile::create(path)?;
    let count = write(rows, BufWriter::new(file.writer()), &progress).await?;
    file.keep()?;
    drop(progress);
    if !global.quiet {
        output::note(format_args!("{count} rows written to {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes one JSON line for each row and returns how many.
async fn write(rows: impl Stream<Item = Result<DecisionRow>>, mut out: impl Write, progress: &Progress) -> Result<u64> {
    let mut rows = pin!(rows);
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        writeln!(out, "{}", render::row::json(&row)).context("cannot write a row")?;
        count += 1;
        progress.set(count);
    }
    out.flush().context("cannot write the last rows")?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn each_row_is_one_line() {
        let row = DecisionRow { action_id: "two\nlines".into(), ..DecisionRow::default() };
        let mut out = Vec::new();
        let rows = stream::iter([Ok(row.clone()), Ok(row)]);
        assert_eq!(write(rows, &mut out, &Progress::count(true)).await.unwrap(), 2);
        let lines: Vec<serde_json::Value> =
            String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["action_id"], "two\nlines");
    }

    #[tokio::test]
    async fn a_broken_stream_is_an_error_after_its_rows() {
        let mut out = Vec::new();
        let rows = stream::iter([Ok(DecisionRow::default()), Err(anyhow!("gone"))]);
        let error = write(rows, &mut out, &Progress::count(true)).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), out.is_empty()), ("gone", false));
    }
}
