//! Rules about `Cargo.toml`: every crate inherits the lints, every dependency has a stated reason.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Findings, Texts};

const REASONS: &str = "docs/decisions.md";

/// Checks all manifests.
pub(super) fn check(texts: &Texts, findings: &mut Findings) -> Result<()> {
    for (path, text) in texts.iter().filter(|(path, _)| path.file_name().is_some_and(|name| name == "Cargo.toml")) {
        let manifest: toml::Table = text.parse().with_context(|| path.display().to_string())?;
        if manifest.contains_key("package") && !inherits_lints(&manifest) {
            findings.failures.push(format!("{}: no `[lints] workspace = true`", path.display()));
        }
        if let Some(dependencies) = shared_dependencies(&manifest) {
            let reasons = texts.get(Path::new(REASONS)).map_or("", String::as_str);
            findings.failures.extend(
                without_reason(dependencies, reasons)
                    .map(|name| format!("{REASONS}: no row `| {name} | reason |` for this dependency")),
            );
        }
    }
    Ok(())
}

fn inherits_lints(manifest: &toml::Table) -> bool {
    manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
}

fn shared_dependencies(manifest: &toml::Table) -> Option<&toml::Table> {
    manifest.get("workspace")?.get("dependencies")?.as_table()
}

/// Foreign dependencies that no row of the table gives a reason for.
fn without_reason<'a>(dependencies: &'a toml::Table, reasons: &'a str) -> impl Iterator<Item = &'a str> {
    let foreign = dependencies.iter().filter(|(_, value)| value.get("path").is_none());
    foreign.map(|(name, _)| name.as_str()).filter(move |name| !has_reason(reasons, name))
}

/// Whether some table row starts with the name and goes on with a text.
fn has_reason(reasons: &str, name: &str) -> bool {
    reasons.lines().any(|line| {
        let mut cells = line.trim().trim_start_matches('|').split('|').map(str::trim);
        line.trim().starts_with('|') && cells.next() == Some(name) && cells.next().is_some_and(|why| !why.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(manifest: &str, reasons: &str) -> Texts {
        Texts::from([("Cargo.toml".into(), manifest.to_owned()), (REASONS.into(), reasons.to_owned())])
    }

    fn failures(manifest: &str, reasons: &str) -> Vec<String> {
        let mut findings = Findings::default();
        check(&texts(manifest, reasons), &mut findings).unwrap();
        findings.failures
    }

    #[test]
    fn every_crate_inherits_the_lints() {
        assert!(failures("[package]\nname = \"a\"\n[lints]\nworkspace = true", "").is_empty());
        assert_eq!(failures("[package]\nname = \"a\"", "").len(), 1);
        assert_eq!(failures("[package]\nname = \"a\"\n[lints.rust]\nunsafe_code = \"deny\"", "").len(), 1);
    }

    #[test]
    fn every_dependency_has_its_reason() {
        let manifest = "[workspace.dependencies]\nserde = \"1\"\nours = { path = \"ours\" }";
        assert!(
            failures(manifest, "| crate | reason |\n|---|---|\n| serde | reads and writes definitions |").is_empty()
        );
        assert_eq!(failures(manifest, "").len(), 1);
        assert_eq!(failures(manifest, "| serde | |").len(), 1);
        assert_eq!(failures(manifest, "| serde_json | for JSON |").len(), 1);
    }

    #[test]
    fn a_broken_manifest_is_an_error() {
        assert!(check(&texts("[package", ""), &mut Findings::default()).is_err());
    }
}
