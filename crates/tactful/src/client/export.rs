//! `tactful export decisions`: the record of decisions as JSON lines or Parquet. A file appears whole or not at all.

mod parquet;
mod table;

use std::{
    io::{self, BufWriter, Write},
    pin::pin,
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use futures_util::{Stream, TryStreamExt};
use tactful_proto::v1::DecisionRow;

use super::{
    file::NewFile,
    progress::Progress,
    rows::{self, Range},
};
use crate::{
    cli::{ExportDecisionsArgs, ExportFormat, Global},
    output::{self, Usage},
    render,
};

/// Writes the rows out.
pub(crate) async fn run(global: &Global, args: &ExportDecisionsArgs) -> Result<ExitCode> {
    if args.format == ExportFormat::Parquet && args.out.is_none() {
        bail!(Usage("--format parquet needs a file: add --out decisions.parquet".into()));
    }
    let range = Range { since: args.since, until: args.until };
    // Opened first: a place that cannot be written to is better known before the work than after.
    let file = args.out.as_deref().map(NewFile::create).transpose()?;
    let rows = rows::of(global, args.stopped.place().as_ref(), range).await?;
    let progress = Progress::count(global.quiet || args.out.is_none());
    progress.say("decisions");
    let (Some(path), Some(mut file)) = (&args.out, file) else {
        write(rows, BufWriter::new(io::stdout().lock()), &progress).await?;
        return Ok(ExitCode::SUCCESS);
    };
    let count = match args.format {
        ExportFormat::Jsonl => write(rows, BufWriter::new(file.writer()), &progress).await?,
        ExportFormat::Parquet => {
            let spool = parquet::Spool::fill(rows, path, &progress).await?;
            drop(progress);
            let progress = Progress::steps(global.quiet);
            progress.say("rows written");
            spool.write(file.writer(), &progress)?
        }
    };
    file.keep()?;
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
