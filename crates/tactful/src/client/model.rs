//! `tactful model train | import | report | show`: a model from rows to a file, or checked and shown. Training and
//! checking are those of `tactful-models`.

mod beside;
mod import;
mod report;
mod table;
mod train;

use std::{fs::File, io::Read, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};
use tactful_models::{ARTIFACT_BYTES_MAX, artifact};

use super::done;
use crate::{
    cli::{Global, ShowArgs, VersionName},
    output::Usage,
    render::model::ShownModel,
};

pub(crate) use self::{beside::write_all, import::import, report::report, train::train};

/// Checks a model file as a server would, or asks a server for a version, and shows what it holds.
pub(crate) async fn show(global: &Global, args: &ShowArgs) -> Result<ExitCode> {
    let named = args.file.to_str().filter(|name| name.contains('@') && !args.file.exists());
    if let Some(Ok(version)) = named.map(str::parse::<VersionName>) {
        return super::registry::show(global, &version).await;
    }
    let bytes = read(&args.file)?;
    let loaded = artifact::read(&bytes).with_context(|| format!("{} is no usable model", args.file.display()))?;
    done(global, &ShownModel { loaded: &loaded, bytes: bytes.len() })
}

/// The bytes of a model file, never more than a server takes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let missing = |error| Usage(format!("cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(missing)?;
    let mut bytes = Vec::new();
    file.take(ARTIFACT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(missing)?;
    if bytes.len() > ARTIFACT_BYTES_MAX {
        bail!("{} is no model: it is larger than {ARTIFACT_BYTES_MAX} bytes", path.display());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_larger_than_any_model_is_not_read_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("larger than"));
    }

    #[test]
    fn an_absent_file_is_wrong_usage() {
        assert!(read(Path::new("no-such.model")).unwrap_err().is::<Usage>());
    }
}
