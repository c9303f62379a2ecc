//! Rows to train from out of a file: a CSV or a Parquet table by the recipe's `[columns]`, or the Parquet
//! that `tactful export decisions` writes. What kind of file it is, its first bytes say.

mod csv;
mod decisions;
mod parquet;

use std::{
    fs::File,
    io::{Read, Seek},
    path::Path,
};

use anyhow::{Context, Result, bail};
use tactful_models::{Dataset, Recipe};

use crate::{client::progress::Progress, output::Usage};

/// Reads all rows of a file.
///
/// # Errors
/// If it cannot be read, is of no known kind, or a row is not what the recipe says.
pub(super) fn read(path: &Path, recipe: &Recipe, quiet: bool) -> Result<Dataset> {
    let missing = |error| Usage(format!("cannot read {}: {error}", path.display()));
    let mut file = File::open(path).map_err(missing)?;
    if !file.metadata().map_err(missing)?.is_file() {
        bail!(Usage(format!("{} is no ordinary file", path.display())));
    }
    let mut dataset = Dataset::new(recipe);
    let name = || path.display().to_string();
    match kind(&mut file, path).map_err(missing)? {
        Kind::Parquet => parquet::read(file, recipe, &mut dataset, &Progress::steps(quiet)).with_context(name)?,
        Kind::Csv => csv::read(file, recipe, &mut dataset, quiet).with_context(name)?,
        Kind::Other(reason) => bail!("{}: {reason}", path.display()),
    }
    Ok(dataset)
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Csv,
    Parquet,
    /// Nothing that is read, with the way out.
    Other(&'static str),
}

fn kind(file: &mut File, path: &Path) -> std::io::Result<Kind> {
    let mut first = Vec::new();
    file.by_ref().take(4).read_to_end(&mut first)?;
    file.rewind()?;
    let parquet = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"));
    Ok(match first.as_slice() {
        b"PAR1" => Kind::Parquet,
        _ if parquet => Kind::Other("it is named .parquet, but is no Parquet file"),
        b"" => Kind::Other("it is empty"),
        [b'{' | b'[', ..] => Kind::Other("JSON is not read: export with --format parquet, or convert it to CSV"),
        [0x1F, 0x8B, ..] | [0x28, 0xB5, ..] | b"PK\x03\x04" => Kind::Other("it is compressed: unpack it first"),
        _ => Kind::Csv,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_of_other_kinds_are_refused_with_the_way_out() {
        let recipe = Recipe::parse("name = \"a\"\nkind = \"logistic\"").unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes, part) in [
            ("a.csv", &b""[..], "empty"),
            ("a.jsonl", b"{\"x\": 1}", "--format parquet"),
            ("a.csv.gz", b"\x1F\x8B\x08\x00", "unpack"),
            ("a.parquet", b"x,y\n1,2\n", "no Parquet file"),
            ("b.parquet", b"PAR1 but no more", "Parquet"),
            ("a.csv", b"x,y\n1,2\n", "[columns]"),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            let told = format!("{:#}", read(&path, &recipe, true).unwrap_err());
            assert!(told.contains(name) && told.contains(part), "{name}: {told}");
        }
        for path in [folder.path(), &folder.path().join("absent.csv")] {
            assert!(read(path, &recipe, true).unwrap_err().is::<Usage>());
        }
    }
}
