//! The shipped catalogue with exploration, with or without one action.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};

const EXPLORATION: &str = "\n[exploration]\n";

/// Writes a copy, without one action if that is named.
pub(super) fn write(shipped: &Path, folder: &Path, without: Option<&str>) -> Result<()> {
    let mut left_out = 0;
    copy(shipped, folder, without, &mut left_out)?;
    if let Some(action) = without {
        ensure!(left_out == 1, "no action of the shipped catalogue is called {action}: name one with --scenario");
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, without: Option<&str>, left_out: &mut usize) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, without, left_out)?;
            continue;
        }
        let mut table: Table = fs::read_to_string(entry.path())?.parse()?;
        if let (Some(without), Some(actions)) = (without, table.get_mut("action").and_then(Value::as_array_mut)) {
            let before = actions.len();
            actions.retain(|action| action.get("id").and_then(Value::as_str) != Some(without));
            *left_out += before - actions.len();
        }
        let mut text = toml::to_string(&table)?;
        if entry.file_name() == "catalog.toml" {
            text += EXPLORATION;
        }
        fs::write(target, text)?;
    }
    Ok(())
}
