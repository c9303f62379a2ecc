//! `tactful model import`: a model of another library becomes a model file of ours, proved on rows with
//! the library's own predictions. What is read and refused is the word of `tactful-models`.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use tactful_core::score::Scope;
use tactful_models::{ForeignRow, Format, IMPORT_BYTES_MAX, ImportOptions};

use super::super::{done, file::NewFile};
use crate::{
    cli::{Global, ImportArgs, ImportFormat},
    output::Usage,
    render::import::ImportedModel,
};

/// Column of the golden rows that holds what the library predicts.
const PROBABILITY: &str = "probability";
/// Golden rows that are read; the import refuses fewer already.
const ROWS_MAX: usize = 100_000;

/// Reads the foreign file, proves it and writes the model.
pub(crate) fn import(global: &Global, args: &ImportArgs) -> Result<ExitCode> {
    let bytes = read(&args.file)?;
    let columns = args.columns.as_deref().map(specs).transpose()?;
    let golden = args.golden.as_deref().map(|path| golden(path, columns.as_deref())).transpose()?;
    let (header, golden) = golden.unwrap_or_default();
    let (scope, id) = match (&args.action, &args.group) {
        (Some(id), _) => (Scope::Action, id.clone()),
        (None, Some(id)) => (Scope::Group, id.clone()),
        (None, None) => (Scope::Global, String::new()),
    };
    let options = ImportOptions {
        name: args.name.clone(),
        format: args.format.map(format),
        columns: columns.unwrap_or(header),
        scope,
        id,
        golden,
        ..ImportOptions::default()
    };
    let imported = tactful_models::import(&bytes, &options)
        .with_context(|| format!("{} was not imported", args.file.display()))?;
    let out = args.out.clone().unwrap_or_else(|| format!("{}.model", args.name).into());
    NewFile::create(&out)?.write(&imported.artifact)?;
    done(global, &ImportedModel { imported: &imported, from: &args.file, file: &out })
}

fn format(format: ImportFormat) -> Format {
    match format {
        ImportFormat::Lightgbm => Format::LightGbm,
        ImportFormat::Xgboost => Format::XgBoost,
        ImportFormat::Onnx => Format::Onnx,
    }
}

/// The bytes of a file, never more than an import takes.
fn read(path: &Path) -> Result<Vec<u8>> {
    let missing = |error| Usage(format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(missing)?;
    file.take(IMPORT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(missing)?;
    if bytes.len() > IMPORT_BYTES_MAX {
        bail!("{} is larger than {IMPORT_BYTES_MAX} bytes, which is more than is read", path.display());
    }
    Ok(bytes)
}

/// The specs of a file of columns.
fn specs(path: &Path) -> Result<Vec<String>> {
    let text = String::from_utf8(read(path)?).map_err(|_| Usage(format!("{} is no text", path.display())))?;
    // A word may hold a # of its own: only one at the start or after a blank begins a comment.
    let comment = |line: &str| {
        let mut marks = line.match_indices('#').map(|(at, _)| at);
        marks.find(|at| line[..*at].is_empty() || line[..*at].ends_with(char::is_whitespace)).unwrap_or(line.len())
    };
    let lines = text.trim_start_matches('\u{feff}').lines().map(|line| line[..comment(line)].trim());
    let specs: Vec<String> = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if specs.is_empty() {
        bail!(Usage(format!("{} has no column: write one spec on each line", path.display())));
    }
    Ok(specs)
}

/// Golden rows and the specs of their columns, in the order of `columns` or of the file.
fn golden(path: &Path, columns: Option<&[String]>) -> Result<(Vec<String>, Vec<ForeignRow>)> {
    let name = path.display();
    let file = File::open(path).map_err(|error| Usage(format!("cannot read {name}: {error}")))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(without_mark(file)?);
    let header: Vec<String> = reader.headers().with_context(|| name.to_string())?.iter().map(str::to_owned).collect();
    let order = order(&header, columns).map_err(|reason| Usage(format!("{name}: {reason}")))?;
    let place = |what: &str| header.iter().position(|column| column == what);
    let Some(probability) = place(PROBABILITY) else {
        bail!(Usage(format!("{name}: no column `{PROBABILITY}` with what the library predicts")));
    };
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| name.to_string())?;
        let told = || format!("{name}: row {}", rows.len() + 1);
        if rows.len() == ROWS_MAX {
            bail!("{name}: more than {ROWS_MAX} rows: take a few hundred");
        }
        let cell = |at: usize| number(&record[at]).with_context(|| format!("{}, {}", told(), header[at]));
        let values = order.iter().map(|at| cell(*at).map(|value| value as f32)).collect::<Result<_>>()?;
        rows.push(ForeignRow { values, probability: cell(probability)? });
    }
    Ok((order.iter().map(|at| header[*at].clone()).collect(), rows))
}

/// A reader behind the byte order mark with which spreadsheets begin a file.
fn without_mark(file: File) -> Result<impl Read> {
    let mut reader = BufReader::new(file);
    if reader.fill_buf()?.starts_with(b"\xEF\xBB\xBF") {
        reader.consume(3);
    }
    Ok(reader)
}

/// For each spec the place of its column; without specs all columns but the prediction.
fn order(header: &[String], columns: Option<&[String]>) -> Result<Vec<usize>, String> {
    let all = || (0..header.len()).filter(|at| header[*at] != PROBABILITY);
    if let Some(twice) = all().find(|at| header[..*at].contains(&header[*at])) {
        return Err(format!("the column `{}` comes twice", header[twice]));
    }
    let Some(columns) = columns else { return Ok(all().collect()) };
    let place = |spec: &String| {
        let found = header.iter().position(|column| column == spec);
        found.ok_or_else(|| format!("no column `{spec}`, which the file of columns names"))
    };
    let places = columns.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    match all().find(|at| !places.contains(at)) {
        Some(other) => Err(format!("the column `{}` is not in the file of columns", header[other])),
        None => Ok(places),
    }
}

/// A number; missing if the cell is empty.
fn number(cell: &str) -> Result<f64> {
    if cell.is_empty() {
        return Ok(f64::NAN);
    }
    cell.parse().map_err(|_| {
        let shown: String = cell.chars().take(40).filter(|c| !c.is_control()).collect();
        anyhow::anyhow!("`{shown}` is no number; leave the cell empty if it is missing, write truth values as 1 and 0")
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn columns_are_lines_without_comments() {
        let found = specs(file("# ours\nage\n\n  plan=c#  # the language\nincome?\n").path()).unwrap();
        assert_eq!(found, ["age", "plan=c#", "income?"]);
        assert!(specs(file("# nothing\n").path()).unwrap_err().is::<Usage>());
        assert!(specs(Path::new("no-such.txt")).unwrap_err().is::<Usage>());
    }

    #[test]
    fn golden_rows_come_in_the_order_of_the_columns() {
        let rows = file("\u{feff}b, probability ,a\n1,0.25,\n2.5,1,-3\n");
        let (header, found) = golden(rows.path(), None).unwrap();
        assert_eq!((header, found.len(), found[1].probability), (vec!["b".to_owned(), "a".into()], 2, 1.0));
        let columns = ["a".to_owned(), "b".into()];
        let (header, found) = golden(rows.path(), Some(&columns)).unwrap();
        assert_eq!((header, &found[1].values), (columns.to_vec(), &vec![-3.0, 2.5]));
        assert!(found[0].values[0].is_nan());
    }

    #[test]
    fn wrong_golden_files_say_where() {
        let told = |text: &str, columns: Option<&[String]>| {
            let error = golden(file(text).path(), columns).unwrap_err();
            format!("{error:#}")
        };
        let columns = ["a".to_owned()];
        assert!(told("a\n1\n", None).contains("no column `probability`"));
        assert!(told("a,a,probability\n", None).contains("`a` comes twice"));
        assert!(told("b,probability\n", Some(&columns)).contains("no column `a`"));
        assert!(told("a,b,probability\n", Some(&columns)).contains("`b` is not in the file"));
        let cell = told("a,probability\n1,0.5\nyes,0.5\n", None);
        assert!(cell.contains("row 2, a") && cell.contains("`yes` is no number"), "{cell}");
        assert!(told("a,probability\n1\n", None).contains("2 fields"));
    }
}
