//! A recipe: what to train, from what, and what counts as success. Read from TOML; unknown keys and
//! values out of range are refused with their line. It names no data source.

mod columns;
mod features;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tactful_core::catalog::{Duration, OutcomeName};

pub use self::columns::Columns;
pub use self::features::Features;
use crate::error::Error;
use crate::reward::RewardRule;

/// Most golden rows that a recipe may ask for.
pub(crate) const GOLDEN_ROWS_MAX: usize = 4_096;
/// Most trees of a forest and most steps down a tree: with both, a head still fits an artifact.
const TREES_MAX: usize = 2_000;
const DEPTH_MAX: usize = 16;
/// Fewest golden rows of any artifact.
pub(crate) const GOLDEN_ROWS_MIN: usize = 10;

/// A training recipe, checked. The keys are explained in `models/acceptance.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the model.
    pub name: String,
    /// What is trained.
    pub kind: RecipeKind,
    /// Fields to learn from.
    #[serde(default)]
    pub features: Features,
    /// What counts as success and as failure.
    #[serde(default)]
    pub reward: RewardRule,
    /// Actions that never train.
    #[serde(default = "exclude_none")]
    pub exclude_actions: Vec<String>,
    /// Fewest rows of an action or group with a head of its own.
    #[serde(default = "min_rows")]
    pub min_rows_per_action: usize,
    /// Fewest positive rows of an action or group with a head of its own.
    #[serde(default = "min_positives")]
    pub min_positives_per_action: usize,
    /// What follows the scorer of each head.
    #[serde(default)]
    pub calibration: CalibrationKind,
    /// How trees grow.
    #[serde(default)]
    pub trees: TreeOptions,
    /// How FTRL learns.
    #[serde(default)]
    pub ftrl: FtrlOptions,
    /// How the server learns by itself.
    #[serde(default)]
    pub online: OnlineOptions,
    /// L2 penalty on the weights against the summed log loss.
    #[serde(default = "one")]
    pub l2: f64,
    /// Most optimiser steps for one head.
    #[serde(default = "max_iterations")]
    pub max_iterations: u64,
    /// Share of the rows, the latest, kept for measuring; 0 up to but without 1.
    #[serde(default = "test_share")]
    pub test_share: f64,
    /// Draws the golden rows.
    #[serde(default = "seed")]
    pub seed: u64,
    /// Golden rows in the artifact, if there are fewer heads.
    #[serde(default = "golden_rows")]
    pub golden_rows: usize,
    /// What the columns of a plain table are; none if rows of the decision record train.
    #[serde(default)]
    pub columns: Option<Columns>,
    #[serde(skip)]
    sha256: [u8; 32],
}

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipeKind {
    /// A logistic regression per head.
    Logistic,
    /// A logistic regression per head, learnt row by row.
    Ftrl,
    /// A decision tree per head.
    Tree,
    /// A random forest per head.
    Forest,
}

/// What follows the scorer of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationKind {
    /// Whatever predicts best on rows that it was not learnt from; nothing if that gains nothing.
    #[default]
    Auto,
    /// Nothing.
    None,
    /// A logistic curve.
    Platt,
    /// A rising curve of straight lines.
    Isotonic,
}

/// How trees grow.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TreeOptions {
    /// Trees of a forest.
    pub count: usize,
    /// Steps from the root to the deepest leaf.
    pub depth: usize,
    /// Fewest rows of a leaf.
    pub min_leaf: usize,
    /// Share of the columns that are drawn for each split of a forest.
    pub columns: f64,
}

/// How FTRL learns.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FtrlOptions {
    /// Alpha of the paper: greater learns faster.
    pub learning_rate: f64,
    /// Beta of the paper: greater starts slower.
    pub beta: f64,
    /// L1 penalty: small weights become zero.
    pub l1: f64,
    /// L2 penalty.
    pub l2: f64,
    /// Passes over the rows.
    pub epochs: usize,
    /// Rows of one step.
    pub batch: usize,
}

/// How the server learns by itself, and when it stops.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OnlineOptions {
    /// Pause between two versions.
    pub publish_every: Duration,
    /// Mean difference between the scores of two versions beyond which the later one is not published.
    pub drift_max: f64,
    /// Standard errors between what is answered and what the version in use predicts beyond which learning stops.
    pub surprise_max: f64,
}

impl Default for OnlineOptions {
    fn default() -> Self {
        Self { publish_every: Duration::from_seconds(300), drift_max: 0.25, surprise_max: 6.0 }
    }
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self { count: 100, depth: 8, min_leaf: 20, columns: 0.4 }
    }
}

impl Default for FtrlOptions {
    fn default() -> Self {
        Self { learning_rate: 0.1, beta: 1.0, l1: 0.0, l2: 0.0, epochs: 3, batch: 32 }
    }
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// `Error::Recipe` with the line of the first problem.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut recipe: Self = toml::from_str(text).map_err(|error| Error::Recipe {
            line: error.span().map_or(1, |span| line_at(text, span.start)),
            reason: error.message().trim().replace('\n', "; "),
        })?;
        recipe
            .check()
            .map_err(|(key, reason)| Error::Recipe { line: line_of(text, key), reason: format!("{key}: {reason}") })?;
        recipe.sha256 = Sha256::digest(text.as_bytes()).into();
        Ok(recipe)
    }

    /// sha256 of the recipe's text.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        check_name(&self.name).map_err(|reason| ("name", reason))?;
        if let Features::Listed(names) = &self.features {
            features::check(names).map_err(|reason| ("features", reason))?;
        }
        check_positive(&self.reward.positive).map_err(|reason| ("positive", reason))?;
        if !self.l2.is_finite() || self.l2 < 0.0 {
            return Err(("l2", format!("{} is not a finite number of at least 0", self.l2)));
        }
        self.trees.check()?;
        self.ftrl.check()?;
        self.online.check()?;
        if !(1..=10_000).contains(&self.max_iterations) {
            return Err(("max_iterations", format!("{} is not between 1 and 10000", self.max_iterations)));
        }
        if !(0.0..1.0).contains(&self.test_share) {
            return Err(("test_share", format!("{} is not at least 0 and below 1", self.test_share)));
        }
        if !(GOLDEN_ROWS_MIN..=GOLDEN_ROWS_MAX).contains(&self.golden_rows) {
            let reason = format!("{} is not between {GOLDEN_ROWS_MIN} and {GOLDEN_ROWS_MAX}", self.golden_rows);
            return Err(("golden_rows", reason));
        }
        let Some(columns) = &self.columns else { return Ok(()) };
        if self.reward != RewardRule::default() {
            return Err(("reward", "does not apply where [columns] names a column with the answer".into()));
        }
        columns.check()
    }
}

impl RecipeKind {
    /// As recipes and reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Ftrl => "ftrl",
            Self::Tree => "tree",
            Self::Forest => "forest",
        }
    }
}

impl TreeOptions {
    fn check(&self) -> Result<(), (&'static str, String)> {
        let within = |key, value: usize, least: usize, most: usize| {
            let sound = (least..=most).contains(&value);
            if sound { Ok(()) } else { Err((key, format!("{value} is not between {least} and {most}"))) }
        };
        within("count", self.count, 1, TREES_MAX)?;
        within("depth", self.depth, 1, DEPTH_MAX)?;
        within("min_leaf", self.min_leaf, 1, 1_000_000)?;
        let sound = self.columns > 0.0 && self.columns <= 1.0;
        if sound { Ok(()) } else { Err(("columns", format!("{} is not above 0 and at most 1", self.columns))) }
    }
}

impl OnlineOptions {
    fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, value) in [("drift_max", self.drift_max), ("surprise_max", self.surprise_max)] {
            if !value.is_finite() || value <= 0.0 {
                return Err((key, format!("{value} is not a finite number above 0")));
            }
        }
        Ok(())
    }
}

impl FtrlOptions {
    fn check(&self) -> Result<(), (&'static str, String)> {
        let positive = |key, value: f64, zero: bool| {
            let sound = value.is_finite() && (value > 0.0 || (zero && value == 0.0));
            let least = if zero { "of at least 0" } else { "above 0" };
            if sound { Ok(()) } else { Err((key, format!("{value} is not a finite number {least}"))) }
        };
        positive("learning_rate", self.learning_rate, false)?;
        positive("beta", self.beta, true)?;
        for (key, value) in [("l1", self.l1), ("l2", self.l2)] {
            if !(0.0..=1.0).contains(&value) {
                return Err((key, format!("{value} is not between 0 and 1")));
            }
        }
        for (key, value) in [("epochs", self.epochs), ("batch", self.batch)] {
            if !(1..=1_000).contains(&value) {
                return Err((key, format!("{value} is not between 1 and 1000")));
            }
        }
        Ok(())
    }
}

/// Checks the name of a model: 1 to 64 of `a-z 0-9 _ -`, a letter first.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let sound = (1..=64).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
    if sound {
        Ok(())
    } else {
        let shown: String = name.chars().take(64).collect();
        Err(format!("{shown:?} is no name: write 1 to 64 of a-z, 0-9, _ and -, a letter first"))
    }
}

fn check_positive(positive: &[OutcomeName]) -> Result<(), String> {
    use OutcomeName::{Exposed, NotPresented, Rejected};
    if positive.is_empty() {
        return Err("names no outcome".into());
    }
    match positive.iter().find(|outcome| matches!(outcome, Exposed | NotPresented | Rejected)) {
        Some(outcome) => Err(format!("{outcome:?} is no success")),
        None => Ok(()),
    }
}

/// Line (from 1) of a byte offset.
fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Line (from 1) on which a key is set or its table begins, or 1 where its default is meant.
fn line_of(text: &str, key: &str) -> usize {
    let sets = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
    let begins = |line: &str| line.trim_end().trim_matches(['[', ']']) == key && line.starts_with('[');
    text.lines().position(|line| sets(line.trim_start()) || begins(line.trim_start())).map_or(1, |at| at + 1)
}

fn exclude_none() -> Vec<String> {
    vec!["none".into()]
}

fn min_rows() -> usize {
    200
}

fn min_positives() -> usize {
    20
}

fn one() -> f64 {
    1.0
}

fn max_iterations() -> u64 {
    200
}

fn test_share() -> f64 {
    0.2
}

fn seed() -> u64 {
    1
}

fn golden_rows() -> usize {
    64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORTEST: &str = "name = \"acceptance\"\nkind = \"logistic\"\n";

    #[test]
    fn the_shipped_recipe_states_the_defaults() {
        let mut shipped = Recipe::parse(include_str!("../../../models/acceptance.toml")).unwrap();
        let shortest = Recipe::parse(SHORTEST).unwrap();
        assert_ne!(shipped.sha256, shortest.sha256);
        shipped.sha256 = shortest.sha256;
        assert_eq!(shipped, shortest);
    }

    /// The keys of `[columns]` stand in the file behind a `#` without a blank.
    #[test]
    fn the_shipped_recipe_states_the_defaults_of_a_table() {
        let shipped = include_str!("../../../models/acceptance.toml");
        let key = |line: &str| {
            line.strip_prefix('#').filter(|key| key.starts_with(|c: char| c != ' ' && c != '#')).map(str::to_owned)
        };
        let table: Vec<String> = shipped.lines().filter_map(key).collect();
        let stated = Recipe::parse(&format!("{SHORTEST}{}", table.join("\n"))).unwrap().columns.unwrap();
        let short = format!("{SHORTEST}[columns]\ntarget = \"accepted\"\naction_id = \"offer\"");
        assert_eq!(Some(stated), Recipe::parse(&short).unwrap().columns);
        // No key is forgotten: each line above sets one, and all there are.
        assert_eq!(table.len(), 1 + 15, "{table:#?}");
    }

    #[test]
    fn the_shipped_recipes_are_sound() {
        for text in [include_str!("../../../models/bank.toml"), include_str!("../../../models/demo.toml")] {
            assert!(Recipe::parse(text).is_ok());
        }
    }

    #[test]
    fn features_are_all_or_a_list() {
        let recipe = Recipe::parse(&format!("{SHORTEST}features = [\"customer.age\"]")).unwrap();
        assert_eq!(recipe.features, Features::Listed(vec!["customer.age".into()]));
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_line() {
        for (line, text, word) in [
            (3, "surprise = 1", "surprise"),
            (3, "features = \"some\"", "all"),
            (3, "features = [\"a\", \"a\"]", "listed twice"),
            (4, "seed = 2\nl2 = -1.0", "l2"),
            (4, "seed = 2\nl2 = nan", "l2"),
            (3, "test_share = 1.0", "test_share"),
            (3, "max_iterations = 0", "max_iterations"),
            (3, "golden_rows = 9", "golden_rows"),
            (3, "calibration = \"some\"", "some"),
            (4, "[trees]\ncount = 0", "count"),
            (4, "[trees]\ncolumns = 1.5", "columns"),
            (4, "[ftrl]\nlearning_rate = 0.0", "learning_rate"),
            (4, "[ftrl]\nbatch = 0", "batch"),
            (4, "[reward]\nwindow = \"soon\"", "soon"),
            (4, "[reward]\npositive = []", "positive"),
            (4, "[reward]\npositive = [\"rejected\"]", "Rejected"),
            (4, "[reward]\nnegative_when = \"never\"", "never"),
            (3, "[columns]\naction_id = \"a\"", "target"),
            (3, "[columns]\ntarget = \"y\"", "action_id"),
            (5, "[columns]\ntarget = \"y\"\naction = \"y\"", "column of target already"),
            (6, "[columns]\ntarget = \"y\"\naction_id = \"a\"\nseparator = \"ab\"", "separator"),
            (6, "[columns]\ntarget = \"y\"\naction_id = \"a\"\npositive = []", "positive"),
            (6, "[columns]\ntarget = \"y\"\naction_id = \"a\"\nleave_out = [\"y\"]", "left out"),
            (6, "[columns]\ntarget = \"y\"\naction_id = \"a\"\nmissing = [\"yes\"]", "missing and positive"),
            (3, "[reward]\nwindow = \"5s\"\n[columns]\ntarget = \"y\"\naction_id = \"a\"", "does not apply"),
            (5, "[reward]\nwindow = \"7d\"\nwindows = \"7d\"", "windows"),
        ] {
            let Err(Error::Recipe { line: at, reason }) = Recipe::parse(&format!("{SHORTEST}{text}")) else {
                panic!("{text} was accepted");
            };
            assert!(at == line && reason.contains(word), "{text}: line {at}: {reason}");
        }
        assert!(Recipe::parse("name = \"Not A Name\"\nkind = \"logistic\"").is_err());
        assert!(Recipe::parse("name = \"a\"\nkind = \"jungle\"").is_err());
    }
}
