//! Rules about documents: the tests that docs/architecture.md names for its invariants exist.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Findings, Texts};

const ARCHITECTURE: &str = "docs/architecture.md";
/// The part of the document that names tests.
const HEADING: &str = "## Invariants";

/// Checks that every test that the document names is in the tree.
pub(super) fn check(texts: &Texts, findings: &mut Findings) {
    let Some(text) = texts.get(Path::new(ARCHITECTURE)) else {
        findings.failures.push(format!("{ARCHITECTURE} is missing"));
        return;
    };
    let sources: Vec<&str> = texts
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "rs"))
        .map(|(_, text)| text.as_str())
        .collect();
    for name in named_tests(text) {
        let definition = format!("fn {name}(");
        if !sources.iter().any(|source| source.contains(&definition)) {
            findings.failures.push(format!("{ARCHITECTURE}: names the test {name}, which is not in the tree"));
        }
    }
}

/// Names in backticks below the heading that look like a test: lower case, digits and underscores.
fn named_tests(text: &str) -> BTreeSet<&str> {
    let below = text.split_once(HEADING).map_or("", |(_, below)| below);
    let looks_like_a_test = |name: &&str| {
        name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    below.split('`').skip(1).step_by(2).filter(looks_like_a_test).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_test_that_is_gone_is_found() {
        let document = "intro `not_a_test_here`\n## Invariants\n| 1 | `it_holds`, `it_is_gone`, `Engine::decide` |\n";
        assert_eq!(named_tests(document).into_iter().collect::<Vec<_>>(), ["it_holds", "it_is_gone"]);
        let mut texts = Texts::new();
        texts.insert(ARCHITECTURE.into(), document.into());
        texts.insert("a.rs".into(), "fn it_holds() {}".into());
        let mut findings = Findings::default();
        check(&texts, &mut findings);
        assert_eq!(findings.failures.len(), 1);
        assert!(findings.failures[0].contains("it_is_gone"));
    }
}
