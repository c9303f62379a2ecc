//! TreeEnsembleClassifier and TreeEnsembleRegressor: flat lists of nodes by tree and node id, and
//! lists of what leaves add.

use std::collections::BTreeMap;

use tactful_core::limits::NODES_MAX;
use tactful_core::score::{Forest, Link, Node as CoreNode, Tree};

use super::attributes::Attributes;
use super::messages::Node;
use super::shown;
use crate::import::trees::{Raw, at_most, below, check_count, laid_out};

/// Attributes that both operators share.
const NODES: [&str; 14] = [
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_modes",
    "nodes_values",
    "nodes_values_as_tensor",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
    "nodes_hitrates",
    "nodes_hitrates_as_tensor",
    "base_values",
    "base_values_as_tensor",
    "post_transform",
];
const CLASSES: [&str; 7] = [
    "class_ids",
    "class_nodeids",
    "class_treeids",
    "class_weights",
    "class_weights_as_tensor",
    "classlabels_int64s",
    "classlabels_strings",
];
const TARGETS: [&str; 7] = [
    "target_ids",
    "target_nodeids",
    "target_treeids",
    "target_weights",
    "target_weights_as_tensor",
    "n_targets",
    "aggregate_function",
];
/// How far a sum of shares may lie outside 0 to 1 by rounding.
const ROUNDING: f64 = 1e-4;

/// What leaves add, entry by entry.
struct Adds<'a> {
    trees: &'a [i64],
    nodes: &'a [i64],
    classes: &'a [i64],
    weights: Vec<f64>,
}

/// A classifier of two classes, of which the second is the positive one.
pub(super) fn classifier(node: &Node, columns: usize) -> Result<Forest, String> {
    let attributes = Attributes::of(node, &[&NODES[..], &CLASSES[..]].concat())?;
    let labels = attributes.ints("classlabels_int64s").len() + attributes.strings("classlabels_strings").len();
    if labels != 2 {
        return Err(format!("{labels} classes: only models of two are read"));
    }
    let adds = Adds::of(&attributes, "class")?;
    if adds.classes.iter().any(|class| !(0..2).contains(class)) {
        return Err("a leaf adds to a class that does not exist".into());
    }
    let link = match attributes.post_transform()? {
        "NONE" => Link::Identity,
        "LOGISTIC" => Link::Logistic,
        other => return Err(format!("post_transform {} is not read for trees, only NONE and LOGISTIC", shown(other))),
    };
    // With leaves that add to one class alone, their sum is the score of the positive one, whichever is named.
    let single = adds.classes.windows(2).all(|pair| pair[0] == pair[1]);
    // What ONNX Runtime does with other base values than one for the sum is not what they say.
    let base = match attributes.numbers("base_values")?[..] {
        [] => 0.0,
        [base] if single && adds.classes.first() == Some(&0) => base,
        ref other => return Err(format!("{} base_values beside leaves of these classes", other.len())),
    };
    let trees = trees(&attributes, columns, &adds, |class| single || class == 1)?;
    bounded(Forest { trees, scale: 1.0, base, link })
}

/// A regression whose answer is a probability: a sum that stays within 0 and 1.
pub(super) fn regressor(node: &Node, columns: usize) -> Result<Forest, String> {
    let attributes = Attributes::of(node, &[&NODES[..], &TARGETS[..]].concat())?;
    if attributes.has("n_targets") && attributes.int("n_targets")? != 1 {
        return Err(format!("{} targets: only models of one are read", attributes.int("n_targets")?));
    }
    let adds = Adds::of(&attributes, "target")?;
    if adds.classes.iter().any(|target| *target != 0) {
        return Err("a leaf adds to a target that does not exist".into());
    }
    let base = match attributes.numbers("base_values")?[..] {
        [] => 0.0,
        [base] => base,
        ref other => return Err(format!("{} base_values for one target", other.len())),
    };
    plain(&attributes)?;
    let trees = trees(&attributes, columns, &adds, |_| true)?;
    let aggregate = if attributes.has("aggregate_function") { attributes.text("aggregate_function")? } else { "SUM" };
    let scale = match aggregate {
        "SUM" => 1.0,
        "AVERAGE" => 1.0 / trees.len() as f64,
        other => return Err(format!("aggregate_function {} is not read, only SUM and AVERAGE", shown(other))),
    };
    bounded(Forest { trees, scale, base, link: Link::Identity })
}

/// Refuses what is done to the scores of a regression.
fn plain(attributes: &Attributes<'_>) -> Result<(), String> {
    match attributes.post_transform()? {
        "NONE" => Ok(()),
        other => Err(format!("post_transform {} of a regression, which ONNX Runtime passes over", shown(other))),
    }
}

/// Refuses a plain sum that may lie outside 0 to 1: it would be no probability.
fn bounded(forest: Forest) -> Result<Forest, String> {
    if forest.link == Link::Logistic {
        return Ok(forest);
    }
    let (mut low, mut high) = (0.0, 0.0);
    for tree in &forest.trees {
        let leaves =
            || tree.nodes.iter().filter_map(|node| if let CoreNode::Leaf(value) = node { Some(*value) } else { None });
        low += leaves().fold(f64::INFINITY, f64::min);
        high += leaves().fold(f64::NEG_INFINITY, f64::max);
    }
    let ends = [low, high].map(|end| forest.scale * end + forest.base);
    let sound = ends[0] >= -ROUNDING && ends[1] <= 1.0 + ROUNDING;
    if sound {
        Ok(forest)
    } else {
        Err(format!("its scores run from {} to {}: these are no probabilities", ends[0], ends[1]))
    }
}

impl<'a> Adds<'a> {
    fn of(attributes: &Attributes<'a>, what: &str) -> Result<Self, String> {
        let ints = |name: &str| attributes.ints(&format!("{what}_{name}"));
        let weights = attributes.numbers(&format!("{what}_weights"))?;
        let adds = Self { trees: ints("treeids"), nodes: ints("nodeids"), classes: ints("ids"), weights };
        let lengths = [adds.trees.len(), adds.nodes.len(), adds.classes.len()];
        if lengths.iter().any(|length| *length != adds.weights.len()) {
            return Err(format!("its lists of {what}_* are not equally long"));
        }
        if adds.weights.iter().all(|weight| weight.is_finite()) { Ok(adds) } else { Err("a leaf is not finite".into()) }
    }

    /// What each leaf adds, by (tree, node), as far as the class counts.
    fn by_leaf(&self, counts: impl Fn(i64) -> bool) -> Result<BTreeMap<(i64, i64), f64>, String> {
        let mut leaves = BTreeMap::new();
        for (at, class) in self.classes.iter().enumerate().filter(|(_, class)| counts(**class)) {
            let place = (self.trees[at], self.nodes[at]);
            if leaves.insert(place, self.weights[at]).is_some() {
                return Err(format!("leaf {} of tree {} adds twice to class {class}", place.1, place.0));
            }
        }
        Ok(leaves)
    }
}

/// The nodes as the file lists them.
struct Listed<'a> {
    trees: &'a [i64],
    ids: &'a [i64],
    columns: &'a [i64],
    modes: &'a [Vec<u8>],
    values: Vec<f64>,
    on_true: &'a [i64],
    on_false: &'a [i64],
    missing_true: &'a [i64],
}

impl<'a> Listed<'a> {
    fn of(attributes: &Attributes<'a>) -> Result<Self, String> {
        let listed = Self {
            trees: attributes.ints("nodes_treeids"),
            ids: attributes.ints("nodes_nodeids"),
            columns: attributes.ints("nodes_featureids"),
            modes: attributes.strings("nodes_modes"),
            values: attributes.numbers("nodes_values")?,
            on_true: attributes.ints("nodes_truenodeids"),
            on_false: attributes.ints("nodes_falsenodeids"),
            missing_true: attributes.ints("nodes_missing_value_tracks_true"),
        };
        let count = listed.trees.len();
        if count > NODES_MAX {
            return Err(format!("{count} nodes, at most {NODES_MAX} are allowed"));
        }
        let lengths = [
            listed.ids.len(),
            listed.columns.len(),
            listed.modes.len(),
            listed.values.len(),
            listed.on_true.len(),
            listed.on_false.len(),
        ];
        let missing = listed.missing_true.len();
        if lengths.iter().any(|length| *length != count) || (missing != count && missing != 0) {
            return Err("its lists of nodes_* are not equally long".into());
        }
        Ok(listed)
    }

    /// One node; `place` says where a node id of the same tree is.
    fn node(&self, at: usize, columns: usize, place: impl Fn(i64) -> Option<usize>) -> Result<Raw, String> {
        let child = |id: i64| place(id).ok_or_else(|| format!("node {}: there is no node {id}", self.ids[at]));
        let (yes, no) = (child(self.on_true[at])?, child(self.on_false[at])?);
        let column = u32::try_from(self.columns[at]).ok().filter(|column| (*column as usize) < columns);
        let column =
            column.ok_or_else(|| format!("node {} reads column {} of {columns}", self.ids[at], self.columns[at]))?;
        let with_true = self.missing_true.get(at).is_some_and(|tracks| *tracks != 0);
        let value = self.values[at];
        // Left is where x <= threshold; for the opposite comparisons that is the false branch.
        let (threshold, swapped) = match self.modes[at].as_slice() {
            b"BRANCH_LEQ" => (at_most(value), false),
            b"BRANCH_LT" => (below(value), false),
            b"BRANCH_GT" => (at_most(value), true),
            b"BRANCH_GTE" => (below(value), true),
            other => return Err(format!("mode {} is not read", shown(&String::from_utf8_lossy(other)))),
        };
        let threshold = threshold.map_err(|reason| format!("node {} has {reason}", self.ids[at]))?;
        let (left, right) = if swapped { (no, yes) } else { (yes, no) };
        Ok(Raw::Split { column, threshold, missing_left: with_true != swapped, left, right })
    }

    /// The tree of the nodes at some places of the lists; what its leaves add is taken out of `leaves`.
    fn tree(
        &self,
        id: i64,
        members: &[usize],
        columns: usize,
        leaves: &mut BTreeMap<(i64, i64), f64>,
    ) -> Result<Tree, String> {
        let mut places: Vec<(i64, usize)> =
            members.iter().enumerate().map(|(at, node)| (self.ids[*node], at)).collect();
        places.sort_unstable();
        if let Some(pair) = places.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("node {} comes twice", pair[0].0));
        }
        let place = |id: i64| places.binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| places[at].1);
        let mut nodes = Vec::with_capacity(members.len());
        for at in members {
            let leaf = self.modes[*at] == b"LEAF";
            nodes.push(if leaf {
                Raw::Leaf(leaves.remove(&(id, self.ids[*at])).unwrap_or_default())
            } else {
                self.node(*at, columns, place)?
            });
        }
        let tree = laid_out(&nodes, root(&nodes)?)?;
        let lost = nodes.len() - tree.nodes.len();
        if lost == 0 { Ok(tree) } else { Err(format!("{lost} of its nodes are out of reach")) }
    }
}

/// The trees in the order in which their ids appear.
fn trees(
    attributes: &Attributes<'_>,
    columns: usize,
    adds: &Adds<'_>,
    counts: impl Fn(i64) -> bool,
) -> Result<Vec<Tree>, String> {
    let listed = Listed::of(attributes)?;
    let mut order: Vec<i64> = Vec::new();
    let mut members: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (at, tree) in listed.trees.iter().enumerate() {
        let nodes = members.entry(*tree).or_default();
        if nodes.is_empty() {
            order.push(*tree);
        }
        nodes.push(at);
    }
    check_count(order.len())?;
    let mut leaves = adds.by_leaf(counts)?;
    let mut trees = Vec::with_capacity(order.len());
    for id in order {
        let tree = listed.tree(id, &members[&id], columns, &mut leaves);
        trees.push(tree.map_err(|reason| format!("tree {id}: {reason}"))?);
    }
    match leaves.first_key_value() {
        None => Ok(trees),
        Some(((tree, node), _)) => Err(format!("node {node} of tree {tree} adds to the score and is no leaf")),
    }
}

/// The one node that is nobody's child.
fn root(nodes: &[Raw]) -> Result<usize, String> {
    let mut is_child = vec![false; nodes.len()];
    for node in nodes {
        if let Raw::Split { left, right, .. } = node {
            is_child[*left] = true;
            is_child[*right] = true;
        }
    }
    let mut roots = is_child.iter().enumerate().filter(|(_, child)| !**child).map(|(at, _)| at);
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root),
        (None, _) => Err("it has no root: its nodes run in a circle".into()),
        (Some(_), Some(_)) => Err("it has more than one root".into()),
    }
}
