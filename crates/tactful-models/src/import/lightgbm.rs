//! LightGBM's text format, versions v3 and v4: a header of `key=value` lines, then blocks `Tree=0`,
//! `Tree=1` and so on, up to `end of trees`.
//!
//! Numbers go left where `x <= threshold`. A threshold in double precision is rounded down, which
//! changes nothing for numbers in single precision. Without a missing type NaN counts as 0, whose way
//! is known at each node. Categorical splits, linear leaves and zero as missing are refused.

use std::collections::BTreeMap;

use tactful_core::limits::{COLUMNS_MAX, NODES_MAX};
use tactful_core::score::{Forest, Link, Tree};

use super::trees::{Raw, at_most, check_count, laid_out};
use super::{Body, Foreign};

/// Keys that a header may have.
const HEADER: [&str; 11] = [
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "average_output",
    "feature_names",
    "monotone_constraints",
    "feature_infos",
    "tree_sizes",
];
/// Keys that a tree may have; others could change what it means.
const TREE: [&str; 22] = [
    "num_leaves",
    "num_cat",
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "leaf_weight",
    "leaf_count",
    "internal_value",
    "internal_weight",
    "internal_count",
    "cat_boundaries",
    "cat_threshold",
    "is_linear",
    "leaf_const",
    "num_features",
    "leaf_features",
    "leaf_coeff",
    "shrinkage",
];
/// Bits of a decision type.
const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;
const MISSING_TYPE: u8 = 0b1100;
const MISSING_ZERO: u8 = 0b0100;
const MISSING_NAN: u8 = 0b1000;

/// Lines of one part, by key.
type Keys<'a> = BTreeMap<&'a str, &'a str>;

/// Reads a model.
///
/// # Errors
/// Says what is not a LightGBM text, or cannot be scored exactly.
pub(super) fn read(bytes: &[u8]) -> Result<Foreign, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the file is no UTF-8 text")?;
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_end).peekable();
    if lines.next() != Some("tree") {
        return Err("the file does not begin with the line `tree`".into());
    }
    let header = part(&mut lines, &HEADER).map_err(|reason| format!("header: {reason}"))?;
    let frame = Frame::of(&header)?;
    let (mut trees, mut nodes) = (Vec::new(), 0);
    loop {
        match lines.next() {
            Some("") => {}
            Some("end of trees") => break,
            Some(line) if line.strip_prefix("Tree=") == Some(trees.len().to_string().as_str()) => {
                let told = |reason| format!("tree {}: {reason}", trees.len());
                let keys = part(&mut lines, &TREE).map_err(told)?;
                let tree = tree(&keys, frame.columns).map_err(told)?;
                nodes += tree.nodes.len();
                trees.push(tree);
                if nodes > NODES_MAX {
                    return Err(format!("more than {NODES_MAX} nodes"));
                }
                // With one more than is allowed the reading ends.
                check_count(trees.len())?;
            }
            Some(line) => return Err(format!("`{}` where tree {} should begin", shown(line), trees.len())),
            None => return Err("the file ends before `end of trees`: it is cut off".into()),
        }
    }
    check_count(trees.len())?;
    if let Some(sizes) = header.get("tree_sizes")
        && sizes.split_ascii_whitespace().count() != trees.len()
    {
        return Err(format!("{} trees, which are not as many as `tree_sizes` says", trees.len()));
    }
    // With bagged trees the raw score is their mean.
    let scale = if frame.average { frame.sigmoid / trees.len() as f64 } else { frame.sigmoid };
    Ok(Foreign {
        version: header["version"].to_owned(),
        columns: frame.columns,
        names: names(&header, frame.columns)?,
        fills: Vec::new(),
        body: Body::Forest(Forest { trees, scale, base: 0.0, link: Link::Logistic }),
        notes: Vec::new(),
    })
}

/// What the header says of all trees.
struct Frame {
    columns: usize,
    /// Factor of the raw score in the logistic function.
    sigmoid: f64,
    average: bool,
}

impl Frame {
    fn of(header: &Keys<'_>) -> Result<Self, String> {
        match key(header, "version")? {
            "v3" | "v4" => {}
            other => return Err(format!("version {} is not read, only v3 and v4", shown(other))),
        }
        for (name, what) in [("num_class", "classes"), ("num_tree_per_iteration", "trees each iteration")] {
            if key(header, name)? != "1" {
                return Err(format!("{} {what}: only models of two classes are read", shown(key(header, name)?)));
            }
        }
        let last: usize = number(key(header, "max_feature_idx")?)?;
        if last >= COLUMNS_MAX {
            return Err(format!("column {last}, at most {COLUMNS_MAX} columns are allowed"));
        }
        let sigmoid = sigmoid(header.get("objective").copied().unwrap_or_default())?;
        Ok(Self { columns: last + 1, sigmoid, average: header.contains_key("average_output") })
    }
}

fn sigmoid(objective: &str) -> Result<f64, String> {
    let mut words = objective.split_ascii_whitespace();
    let mut sigmoid = 1.0;
    match words.next() {
        Some("binary" | "cross_entropy") => {}
        None => {
            return Err("it has no objective, so its scores are no probabilities: train with objective=binary".into());
        }
        Some(other) => {
            return Err(format!("objective {} is not read, only binary and cross_entropy", shown(other)));
        }
    }
    for word in words {
        match word.split_once(':') {
            Some(("sigmoid", value)) => sigmoid = number(value)?,
            _ => return Err(format!("`{}` in the objective is not known", shown(word))),
        }
    }
    let sound = f64::is_finite(sigmoid) && sigmoid > 0.0;
    if sound { Ok(sigmoid) } else { Err(format!("the objective's sigmoid is {sigmoid}")) }
}

/// The names of the columns; none if they are those that LightGBM gives itself.
fn names(header: &Keys<'_>, columns: usize) -> Result<Vec<String>, String> {
    let names: Vec<&str> = key(header, "feature_names")?.split_ascii_whitespace().collect();
    if names.len() != columns {
        return Err(format!("{} feature_names for {columns} columns", names.len()));
    }
    let given = names.iter().enumerate().any(|(at, name)| *name != format!("Column_{at}"));
    Ok(if given { names.into_iter().map(str::to_owned).collect() } else { Vec::new() })
}

fn tree(keys: &Keys<'_>, columns: usize) -> Result<Tree, String> {
    if keys.get("num_cat").is_some_and(|count| *count != "0") {
        return Err("it splits by categories, which is not read: encode them as columns of 0 and 1".into());
    }
    if keys.get("is_linear").is_some_and(|linear| *linear != "0") {
        return Err("its leaves are linear models, which is not read: train without linear_tree".into());
    }
    let leaves: usize = number(key(keys, "num_leaves")?)?;
    let values: Vec<f64> = list(keys, "leaf_value", leaves)?;
    if values.is_empty() {
        return Err("it has no leaves".into());
    }
    let splits = leaves - 1;
    let lists = if splits == 0 { &Keys::new() } else { keys };
    let features: Vec<u32> = list(lists, "split_feature", splits)?;
    let thresholds: Vec<f64> = list(lists, "threshold", splits)?;
    let decisions: Vec<u8> = list(lists, "decision_type", splits)?;
    let left: Vec<i64> = list(lists, "left_child", splits)?;
    let right: Vec<i64> = list(lists, "right_child", splits)?;
    // Splits come first, then the leaves; a child below zero is a leaf.
    let place = |child: i64| match usize::try_from(child) {
        Ok(split) if split < splits => Ok(split),
        Err(_) if child >= -(leaves as i64) => Ok(splits + (-1 - child) as usize),
        _ => Err(format!("child {child} does not exist")),
    };
    let mut nodes = Vec::with_capacity(splits + leaves);
    for at in 0..splits {
        if features[at] as usize >= columns {
            return Err(format!("it reads column {} of {columns}", features[at]));
        }
        nodes.push(Raw::Split {
            column: features[at],
            threshold: at_most(thresholds[at])?,
            missing_left: missing_left(decisions[at], thresholds[at])?,
            left: place(left[at])?,
            right: place(right[at])?,
        });
    }
    nodes.extend(values.into_iter().map(Raw::Leaf));
    let tree = laid_out(&nodes, 0)?;
    let lost = nodes.len() - tree.nodes.len();
    if lost == 0 { Ok(tree) } else { Err(format!("{lost} of its nodes are out of reach")) }
}

/// Where a missing value goes.
fn missing_left(decision: u8, threshold: f64) -> Result<bool, String> {
    if decision & CATEGORICAL != 0 {
        return Err("it splits by categories, which is not read: encode them as columns of 0 and 1".into());
    }
    match decision & MISSING_TYPE {
        0 => Ok(0.0 <= threshold),
        MISSING_NAN => Ok(decision & DEFAULT_LEFT != 0),
        MISSING_ZERO => Err("zero counts as missing there, which is not read: train without zero_as_missing".into()),
        _ => Err(format!("decision type {decision} is not known")),
    }
}

/// The `key=value` lines up to an empty one; a key alone has an empty value.
fn part<'a>(lines: &mut impl Iterator<Item = &'a str>, known: &[&str]) -> Result<Keys<'a>, String> {
    let mut keys = Keys::new();
    for line in lines {
        if line.is_empty() {
            return Ok(keys);
        }
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        if !known.contains(&name) {
            return Err(format!("`{}` is not known", shown(name)));
        }
        if keys.insert(name, value).is_some() {
            return Err(format!("{name} comes twice"));
        }
    }
    Err("the file ends there: it is cut off".into())
}

fn key<'a>(keys: &Keys<'a>, name: &str) -> Result<&'a str, String> {
    keys.get(name).copied().ok_or_else(|| format!("{name} is missing"))
}

/// A list of exactly this many numbers, counted before any is read.
fn list<T: std::str::FromStr>(keys: &Keys<'_>, name: &str, count: usize) -> Result<Vec<T>, String> {
    let Some(text) = keys.get(name).filter(|_| count > 0) else {
        return if count == 0 { Ok(Vec::new()) } else { Err(format!("{name} is missing")) };
    };
    let found = text.split_ascii_whitespace().count();
    if found != count {
        return Err(format!("{name} has {found} numbers, not {count}"));
    }
    text.split_ascii_whitespace().map(|word| number(word).map_err(|reason| format!("{name}: {reason}"))).collect()
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{}` is no number that can be there", shown(text)))
}

/// A piece of the file as a message shows it.
fn shown(text: &str) -> String {
    text.chars().take(60).filter(|c| !c.is_control()).collect()
}
