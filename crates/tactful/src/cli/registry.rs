//! Options of the commands that work on a running server's models.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use tactful_proto::v1::ModelAlias;

pub(super) const PUSH_EXAMPLES: &str = "\
Examples:
  tactful model push acceptance.model
  tactful model push acceptance.model --as shadow --note tenure
  tactful model push acceptance.model --as champion
  tactful model push acceptance.model --dry-run --json

A model that is damaged, does not fit the catalogue, does not reproduce its golden rows or is too slow is refused, and
nothing is registered. Bytes that are registered already keep their number.";

/// Options of `model push`.
#[derive(Args, Debug)]
pub(crate) struct PushArgs {
    /// Model file, as `tactful model train` and `tactful model import` write it
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// What it is there for at once: nothing, unless said
    #[arg(long = "as", value_name = "ALIAS", value_enum)]
    pub(crate) alias: Option<AliasName>,
    /// Share of the customers for whom a challenger decides
    #[arg(long, value_name = "SHARE", default_value = "10%", requires = "alias", value_parser = share)]
    pub(crate) share: f64,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
    /// Only check it
    #[arg(long, conflicts_with = "alias")]
    pub(crate) dry_run: bool,
}

pub(super) const LIST_EXAMPLES: &str = "\
Examples:
  tactful model list
  tactful model list acceptance --json";

/// Options of `model list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Name of a model [default: all]
    #[arg(value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) name: String,
}

pub(super) const PROMOTE_EXAMPLES: &str = "\
Examples:
  tactful model promote acceptance@3
  tactful model promote acceptance@challenger --note better
  tactful model promote acceptance";

/// Options of `model promote`.
#[derive(Args, Debug)]
pub(crate) struct PromoteArgs {
    /// Version that decides from now on: NAME@NUMBER, NAME@ALIAS, or NAME for the latest
    #[arg(value_name = "VERSION")]
    pub(crate) version: VersionName,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
}

pub(super) const SHADOW_EXAMPLES: &str = "\
Examples:
  tactful model shadow acceptance@3
  tactful model shadow --stop";

/// Options of `model shadow`.
#[derive(Args, Debug)]
pub(crate) struct ShadowArgs {
    /// Version that scores what is decided: NAME@NUMBER, NAME@ALIAS, or NAME for the latest
    #[arg(value_name = "VERSION", required_unless_present = "stop")]
    pub(crate) version: Option<VersionName>,
    /// Have no shadow any more
    #[arg(long, conflicts_with = "version")]
    pub(crate) stop: bool,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
}

pub(super) const CANARY_EXAMPLES: &str = "\
Examples:
  tactful model canary acceptance@3                   decides for a tenth of the customers
  tactful model canary acceptance@3 --share 25%
  tactful model canary --share 50%                    another share for the challenger of now
  tactful model canary --stop

A customer stays with the challenger as long as it stays; a share that grows takes nobody away from it.";

/// Options of `model canary`.
#[derive(Args, Debug)]
pub(crate) struct CanaryArgs {
    /// Version that decides for a share of the customers [default: the challenger of now, with another share]
    #[arg(value_name = "VERSION", required_unless_present_any = ["share", "stop"])]
    pub(crate) version: Option<VersionName>,
    /// Share of the customers [default: 10%]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) share: Option<f64>,
    /// Have no challenger any more
    #[arg(long, conflicts_with_all = ["version", "share"])]
    pub(crate) stop: bool,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
}

pub(super) const ROLLBACK_EXAMPLES: &str = "\
Examples:
  tactful model rollback
  tactful model rollback --note refusals";

/// Options of `model rollback`.
#[derive(Args, Debug)]
pub(crate) struct RollbackArgs {
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
}

pub(super) const COMPARE_EXAMPLES: &str = "\
Examples:
  tactful model compare acceptance                    champion against challenger, shadow, or the latest version
  tactful model compare acceptance@1 acceptance@3
  tactful model compare acceptance --since 2026-11-01T00:00:00Z --window 1d --json

Both decide again on recorded decisions, without exploration. What a policy would have been worth is estimated from
recorded selection probabilities: without exploration or a holdout there is nothing to estimate from, and no number.";

/// Options of `model compare`.
#[derive(Args, Debug)]
pub(crate) struct CompareArgs {
    /// First version: NAME@NUMBER, NAME@ALIAS, or NAME for the champion
    #[arg(value_name = "FIRST")]
    pub(crate) first: VersionName,
    /// Second version [default: the challenger, the shadow, or else the latest]
    #[arg(value_name = "SECOND")]
    pub(crate) second: Option<VersionName>,
    /// Decisions made at or after this time (RFC 3339) [default: seven days before the end]
    #[arg(long, value_name = "TIME", value_parser = super::value::time)]
    pub(crate) since: Option<jiff::Timestamp>,
    /// Decisions made before this time (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = super::value::time)]
    pub(crate) until: Option<jiff::Timestamp>,
    /// How long after a decision a success counts, for example 1h or 7d
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = window)]
    pub(crate) window: u32,
}

/// Seconds of a duration as catalogues write it.
fn window(text: &str) -> Result<u32, String> {
    let duration: Result<tactful_core::catalog::Duration, _> = toml::Value::from(text).try_into();
    duration.map(tactful_core::catalog::Duration::seconds).map_err(|error| error.message().trim().to_owned())
}

/// A version of a registered model: `NAME`, `NAME@NUMBER`, `NAME@ALIAS` or `NAME@ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionName {
    pub(crate) name: String,
    /// Empty for the latest.
    pub(crate) version: String,
}

impl FromStr for VersionName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = text.split_once('@').unwrap_or((text, ""));
        if name.is_empty() || text.ends_with('@') {
            return Err("write NAME, NAME@NUMBER or NAME@ALIAS, for example acceptance@3".into());
        }
        Ok(Self { name: name.into(), version: version.into() })
    }
}

/// What a model is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AliasName {
    /// It decides
    Champion,
    /// It decides for a share of the customers
    Challenger,
    /// It scores what is decided, and decides nothing
    Shadow,
}

impl From<AliasName> for ModelAlias {
    fn from(alias: AliasName) -> Self {
        match alias {
            AliasName::Champion => Self::Champion,
            AliasName::Challenger => Self::Challenger,
            AliasName::Shadow => Self::Shadow,
        }
    }
}

/// `10%` or `0.1`.
fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().ok().map(|number| number / unit);
    share
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .ok_or_else(|| format!("`{text}` is no share above 0 and up to 1; write 10% or 0.1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_names_with_what_comes_after_the_at() {
        let parsed = |text: &str| text.parse::<VersionName>().map(|found| (found.name, found.version));
        assert_eq!(parsed("a@3"), Ok(("a".into(), "3".into())));
        assert_eq!(parsed("a"), Ok(("a".into(), String::new())));
        assert!(parsed("@3").is_err() && parsed("a@").is_err() && parsed("").is_err());
    }

    #[test]
    fn shares_are_percent_or_parts_of_one() {
        assert_eq!((share("10%"), share("0.25"), share("100 %")), (Ok(0.1), Ok(0.25), Ok(1.0)));
        for wrong in ["0", "10", "-1%", "many", "nan", "101%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
