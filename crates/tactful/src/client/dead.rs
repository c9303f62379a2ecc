//! `tactful dead`: what came in through Redis and could not be read. It speaks to Redis alone; no server need run.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tactful_log::{DeadEntry, DeadList};

use crate::{
    cli::{DeadListArgs, DeadRetryArgs, Global},
    output::{self, Usage},
};

/// Characters of a field that are shown as text.
const SHOWN_MAX: usize = 100;

/// Lists the entries, oldest first.
pub(crate) fn list(global: &Global, args: &DeadListArgs) -> Result<ExitCode> {
    let dead = dead_list(&args.log)?;
    let (mut after, mut count) = (None, 0_u64);
    loop {
        let entries = dead.after(after.as_deref())?;
        let Some(last) = entries.last() else { break };
        after = Some(last.id.clone());
        count += entries.len() as u64;
        let lines = entries.iter().map(|entry| if global.json { as_json(entry) } else { as_text(entry) });
        output::print(&lines.collect::<String>())?;
    }
    if !global.json && !global.quiet {
        output::note(format_args!("{count} entries"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Gives entries to the intake again.
pub(crate) fn retry(global: &Global, args: &DeadRetryArgs) -> Result<ExitCode> {
    let dead = dead_list(&args.log)?;
    let mut ids = args.ids.clone();
    if args.all {
        // Those of now: what cannot be read now either comes back behind them.
        let mut after: Option<String> = None;
        loop {
            let entries = dead.after(after.as_deref())?;
            let Some(last) = entries.last() else { break };
            after = Some(last.id.clone());
            ids.extend(entries.into_iter().map(|entry| entry.id));
        }
    }
    let mut missing = Vec::new();
    for id in &ids {
        if !dead.retry(id)? {
            missing.push(id.as_str());
        }
    }
    let retried = ids.len() - missing.len();
    let line = if global.json {
        format!("{}\n", json!({ "retried": retried }))
    } else {
        format!("{retried} entries retried\n")
    };
    output::print(&line)?;
    if !missing.is_empty() {
        bail!("not in the dead list: {}; `tactful dead list` shows what is", missing.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// The dead list at an address, which may be mistyped.
fn dead_list(url: &str) -> Result<DeadList> {
    DeadList::new(url).map_err(|error| Usage(error.to_string()).into())
}

fn as_json(entry: &DeadEntry) -> String {
    let fields: serde_json::Map<String, Value> = entry
        .original
        .fields
        .iter()
        .map(|(name, value)| {
            let value = match std::str::from_utf8(value) {
                Ok(text) => json!(text),
                Err(_) => json!({ "bytes": value.to_vec() }),
            };
            (String::from_utf8_lossy(name).into_owned(), value)
        })
        .collect();
    let line = json!({ "id": entry.id, "entry": entry.original.id, "reason": entry.reason, "fields": fields });
    format!("{line}\n")
}

fn as_text(entry: &DeadEntry) -> String {
    let mut text = format!("{}  {}\n", entry.id, entry.reason);
    for (name, value) in &entry.original.fields {
        let value = String::from_utf8_lossy(value);
        // Escaped: it is somebody else's text on somebody's terminal.
        let shown: String = value.chars().take(SHOWN_MAX).collect::<String>().escape_debug().to_string();
        let more = if value.chars().nth(SHOWN_MAX).is_some() { "..." } else { "" };
        text.push_str(&format!("    {}: {shown}{more}\n", String::from_utf8_lossy(name).escape_debug()));
    }
    text
}
