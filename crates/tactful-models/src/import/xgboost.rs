//! XGBoost's JSON, as versions 2 and 3 save it: `gbtree` boosters with `binary:logistic`.
//!
//! A number goes left where `x < t` in single precision, which is `x <= next_down(t)`. The base score
//! is a probability, in version 3 within brackets. The library adds leaves in single precision; the
//! difference to our sum stays far below 1e-6. Nodes that pruning left behind are out of reach and dropped.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use tactful_core::limits::{COLUMNS_MAX, NODES_MAX, TREES_MAX};
use tactful_core::score::{Forest, Link};

use super::trees::{Raw, below, check_count, laid_out};
use super::{Body, Foreign, sniff};

#[derive(Deserialize)]
struct File {
    learner: Learner,
    version: Vec<u32>,
}

#[derive(Deserialize)]
struct Learner {
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    feature_names: Vec<String>,
    gradient_booster: Booster,
    learner_model_param: Parameters,
    objective: Objective,
}

#[derive(Deserialize)]
struct Booster {
    name: String,
    #[serde(default)]
    model: Trees,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Trees {
    gbtree_model_param: TreesParameters,
    #[serde(deserialize_with = "bounded")]
    trees: Vec<Tree>,
    tree_info: Vec<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TreesParameters {
    num_parallel_tree: String,
    num_trees: String,
}

#[derive(Deserialize)]
struct Tree {
    left_children: Vec<i32>,
    right_children: Vec<i32>,
    split_indices: Vec<u32>,
    split_conditions: Vec<f32>,
    default_left: Vec<Flag>,
    #[serde(default)]
    split_type: Vec<u8>,
    tree_param: TreeParameters,
}

#[derive(Deserialize)]
struct TreeParameters {
    #[serde(default)]
    size_leaf_vector: String,
    num_nodes: String,
}

#[derive(Deserialize)]
struct Parameters {
    base_score: String,
    #[serde(default)]
    num_class: String,
    #[serde(default)]
    num_target: String,
    num_feature: String,
}

#[derive(Deserialize)]
struct Objective {
    name: String,
}

/// A truth value, which older versions write as one and newer ones as 0 or 1.
struct Flag(bool);

/// Reads a model.
///
/// # Errors
/// Says what is no XGBoost JSON, or cannot be scored exactly.
pub(super) fn read(bytes: &[u8]) -> Result<Foreign, String> {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if matches!(text, [b'{', b'L' | b'l' | b'I' | b'i' | b'U', ..]) {
        return Err(sniff::ubj());
    }
    let file: File = serde_json::from_slice(text)
        .map_err(|error| format!("this is no model that XGBoost saved as JSON: {error}"))?;
    let version = version(&file.version)?;
    let Learner { attributes, feature_names, gradient_booster, learner_model_param, objective } = file.learner;
    check_kind(&gradient_booster.name, &objective.name, &learner_model_param)?;
    let columns: usize = number("num_feature", &learner_model_param.num_feature)?;
    if !(1..=COLUMNS_MAX).contains(&columns) {
        return Err(format!("{columns} columns, not 1 to {COLUMNS_MAX}"));
    }
    if !feature_names.is_empty() && feature_names.len() != columns {
        return Err(format!("{} feature_names for {columns} columns", feature_names.len()));
    }
    let trees = gradient_booster.model;
    check_trees(&trees, &attributes)?;
    let forest = Forest {
        trees: trees
            .trees
            .into_iter()
            .enumerate()
            .map(|(at, tree)| tree.read(columns).map_err(|reason| format!("tree {at}: {reason}")))
            .collect::<Result<_, _>>()?,
        scale: 1.0,
        base: base(&learner_model_param.base_score)?,
        link: Link::Logistic,
    };
    Ok(Foreign {
        version,
        columns,
        names: feature_names,
        fills: Vec::new(),
        body: Body::Forest(forest),
        notes: Vec::new(),
    })
}

fn version(parts: &[u32]) -> Result<String, String> {
    let text = parts.iter().take(4).map(u32::to_string).collect::<Vec<_>>().join(".");
    match parts.first() {
        Some(2 | 3) => Ok(text),
        _ => Err(format!("version {text} of XGBoost is not read, only 2 and 3: load and save it with one of these")),
    }
}

fn check_kind(booster: &str, objective: &str, parameters: &Parameters) -> Result<(), String> {
    match booster {
        "gbtree" => {}
        "dart" => return Err("booster dart is not read, only gbtree".into()),
        other => return Err(format!("booster {} is not read, only gbtree", shown(other))),
    }
    if objective != "binary:logistic" {
        return Err(format!("objective {} is not read, only binary:logistic", shown(objective)));
    }
    if !matches!(parameters.num_class.as_str(), "" | "0" | "1") {
        return Err(format!("{} classes: only models of two classes are read", shown(&parameters.num_class)));
    }
    if !matches!(parameters.num_target.as_str(), "" | "1") {
        return Err(format!("{} targets: only models of one are read", shown(&parameters.num_target)));
    }
    Ok(())
}

fn check_trees(trees: &Trees, attributes: &BTreeMap<String, String>) -> Result<(), String> {
    check_count(trees.trees.len())?;
    let told: usize = number("num_trees", &trees.gbtree_model_param.num_trees)?;
    if told != trees.trees.len() || trees.tree_info.len() != told {
        return Err(format!("{} trees, but num_trees says {told}", trees.trees.len()));
    }
    if trees.tree_info.iter().any(|class| *class != 0) {
        return Err("it has trees for several classes: only models of two classes are read".into());
    }
    let nodes: usize = trees.trees.iter().map(|tree| tree.left_children.len()).sum();
    if nodes > NODES_MAX {
        return Err(format!("{nodes} nodes, at most {NODES_MAX} are allowed"));
    }
    // Early stopping: Python's classifier then predicts with the first rounds only, a Booster with all.
    let Some(best) = attributes.get("best_iteration") else { return Ok(()) };
    let best: usize = number("best_iteration", best)?;
    let parallel: usize = number("num_parallel_tree", &trees.gbtree_model_param.num_parallel_tree)?;
    if best.saturating_add(1).saturating_mul(parallel) == told {
        return Ok(());
    }
    Err(format!(
        "early stopping kept round {best} as the best, but the file holds {told} trees: save the rounds that predict, \
         with booster[:booster.best_iteration + 1].save_model(\"model.json\")"
    ))
}

/// The logit of the base score.
fn base(text: &str) -> Result<f64, String> {
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    let base: f32 = number("base_score", inner)?;
    if base > 0.0 && base < 1.0 {
        Ok(tactful_core::math::logit(f64::from(base)))
    } else {
        Err(format!("base_score {base} is no probability between 0 and 1"))
    }
}

impl Tree {
    fn read(self, columns: usize) -> Result<tactful_core::score::Tree, String> {
        if !matches!(self.tree_param.size_leaf_vector.as_str(), "" | "0" | "1") {
            return Err("its leaves hold several values: train with multi_strategy=one_output_per_tree".into());
        }
        if self.split_type.iter().any(|kind| *kind != 0) {
            return Err("it splits by categories, which is not read: encode them as columns of 0 and 1".into());
        }
        let count = self.left_children.len();
        let told: usize = number("num_nodes", &self.tree_param.num_nodes)?;
        let lengths =
            [self.right_children.len(), self.split_indices.len(), self.split_conditions.len(), self.default_left.len()];
        if told != count || lengths.iter().any(|length| *length != count) {
            return Err(format!("its lists do not have {told} nodes each"));
        }
        let nodes = (0..count).map(|at| self.node(at, columns)).collect::<Result<Vec<_>, _>>()?;
        laid_out(&nodes, 0)
    }

    fn node(&self, at: usize, columns: usize) -> Result<Raw, String> {
        let (left, right) = (self.left_children[at], self.right_children[at]);
        let (Ok(left), Ok(right)) = (usize::try_from(left), usize::try_from(right)) else {
            let leaf = (left, right) == (-1, -1);
            return if leaf {
                Ok(Raw::Leaf(self.split_conditions[at].into()))
            } else {
                Err(format!("node {at} has one child"))
            };
        };
        let column = self.split_indices[at];
        if column as usize >= columns {
            return Err(format!("node {at} reads column {column} of {columns}"));
        }
        let threshold = below(self.split_conditions[at].into()).map_err(|reason| format!("node {at} has {reason}"))?;
        Ok(Raw::Split { column, threshold, missing_left: self.default_left[at].0, left, right })
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, 1 or 0")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Flag, E> {
                Ok(Flag(flag))
            }

            fn visit_u64<E: serde::de::Error>(self, flag: u64) -> Result<Flag, E> {
                match flag {
                    0 | 1 => Ok(Flag(flag == 1)),
                    other => Err(E::custom(format!("{other} is neither 0 nor 1"))),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Trees, never more than are allowed: an empty one takes two bytes of the file and hundreds of memory.
fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Tree>, D::Error> {
    struct Bounded;
    impl<'de> Visitor<'de> for Bounded {
        type Value = Vec<Tree>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of trees")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut trees: A) -> Result<Vec<Tree>, A::Error> {
            let mut read = Vec::new();
            while let Some(tree) = trees.next_element()? {
                read.push(tree);
                if read.len() > TREES_MAX {
                    return Err(A::Error::custom(format!("more than {TREES_MAX} trees")));
                }
            }
            Ok(read)
        }
    }
    deserializer.deserialize_seq(Bounded)
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("{name} is `{}`, which is no number that can be there", shown(text)))
}

/// A piece of the file as a message shows it.
fn shown(text: &str) -> String {
    text.chars().take(60).filter(|c| !c.is_control()).collect()
}
