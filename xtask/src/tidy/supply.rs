//! Licences, bans and sources of every foreign package, by the lists of `deny.toml`.
//!
//! The same lists that cargo-deny reads, for machines that lack it. It trusts what a package
//! declares; reading licence texts is cargo-deny's part.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Findings;
use crate::metadata::{Metadata, Package};

#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
struct Sources {
    #[serde(rename = "allow-registry")]
    registries: Vec<String>,
}

/// Checks every foreign package against the policy.
pub(super) fn check(metadata: &Metadata, policy: &str, findings: &mut Findings) -> Result<()> {
    let policy: Policy = toml::from_str(policy).context("deny.toml")?;
    for package in metadata.foreign() {
        findings.failures.extend(complaints(package, &policy));
    }
    Ok(())
}

fn complaints(package: &Package, policy: &Policy) -> Vec<String> {
    let who = format!("{} {}", package.name, package.version);
    let mut found = Vec::new();
    match &package.license {
        None => found.push(format!("{who} states no licence")),
        Some(expression) if !accepted(expression, &policy.licenses.allow) => {
            found.push(format!("{who} has licence {expression}, which deny.toml does not allow"));
        }
        Some(_) => {}
    }
    if let Some(ban) = policy.bans.deny.iter().find(|ban| ban.name == package.name) {
        found.push(format!("{who} is banned: {}", ban.reason));
    }
    let source = package.source.as_deref().unwrap_or("a path outside the workspace");
    let registry = source.strip_prefix("registry+").unwrap_or(source);
    if !policy.sources.registries.iter().any(|allowed| allowed == registry) {
        found.push(format!("{who} comes from {source}, which deny.toml does not allow"));
    }
    found
}

/// Whether an SPDX expression can be satisfied with the allowed licences alone.
/// `/` is the old spelling of OR. What is no expression is not accepted.
fn accepted(expression: &str, allow: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut tokens: Vec<&str> = spaced.split_whitespace().collect();
    tokens.reverse();
    any_of(&mut tokens, allow).unwrap_or(false) && tokens.is_empty()
}

/// `a OR b`, reading from the end of `tokens`.
fn any_of(tokens: &mut Vec<&str>, allow: &[String]) -> Option<bool> {
    let mut fine = all_of(tokens, allow)?;
    while tokens.pop_if(|token| *token == "OR").is_some() {
        fine |= all_of(tokens, allow)?;
    }
    Some(fine)
}

/// `a AND b`, which binds tighter than OR.
fn all_of(tokens: &mut Vec<&str>, allow: &[String]) -> Option<bool> {
    let mut fine = one(tokens, allow)?;
    while tokens.pop_if(|token| *token == "AND").is_some() {
        fine &= one(tokens, allow)?;
    }
    Some(fine)
}

/// A licence, one with an exception, or a group.
fn one(tokens: &mut Vec<&str>, allow: &[String]) -> Option<bool> {
    let token = tokens.pop()?;
    if token == "(" {
        let fine = any_of(tokens, allow)?;
        return (tokens.pop()? == ")").then_some(fine);
    }
    if matches!(token, ")" | "OR" | "AND" | "WITH") {
        return None;
    }
    let mut licence = token.to_owned();
    if tokens.pop_if(|next| *next == "WITH").is_some() {
        licence = format!("{licence} WITH {}", tokens.pop()?);
    }
    Some(allow.contains(&licence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_satisfied_or_not() {
        let allow = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned);
        for fine in [
            "MIT",
            "MIT OR GPL-2.0-only",
            "GPL-3.0/MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR MIT",
            "GPL-2.0-only AND LGPL-2.1 OR MIT",
        ] {
            assert!(accepted(fine, &allow), "{fine}");
        }
        for refused in [
            "",
            "AGPL-3.0-only",
            "MIT AND AGPL-3.0-only",
            "MIT AND (AGPL-3.0-only OR GPL-3.0)",
            "Apache-2.0 WITH LLVM-exception",
            "MIT OR",
            "(MIT",
            "MIT Apache-2.0",
        ] {
            assert!(!accepted(refused, &allow), "{refused}");
        }
    }

    #[test]
    fn a_package_is_judged_by_licence_ban_and_source() {
        let policy: Policy = toml::from_str(
            r#"
            licenses.allow = ["MIT"]
            bans.deny = [{ crate = "evil", reason = "it is" }]
            sources.allow-registry = ["https://index"]
            "#,
        )
        .unwrap();
        let package = |name: &str, license: Option<&str>, source: Option<&str>| -> Package {
            serde_json::from_value(serde_json::json!({
                "id": "x", "name": name, "version": "1.0.0", "license": license, "source": source,
                "dependencies": [],
            }))
            .unwrap()
        };
        assert!(complaints(&package("good", Some("MIT"), Some("registry+https://index")), &policy).is_empty());
        assert_eq!(complaints(&package("evil", None, Some("git+https://elsewhere")), &policy).len(), 3);
        assert_eq!(complaints(&package("local", Some("MIT"), None), &policy).len(), 1);
    }
}
