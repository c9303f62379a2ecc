//! Tree ensembles: the plain description that an artifact holds. [`super::Walker`] is the form that is walked.

use crate::limits::{NODES_MAX, TREES_MAX};
use crate::math::logistic;

/// An ensemble of binary trees: scale x (sum of one leaf of each tree) + base, through the link.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forest {
    /// Trees in the order in which their leaves are added.
    pub trees: Vec<Tree>,
    /// Factor of the sum: one over the trees for a mean, 1 for boosted trees.
    pub scale: f64,
    /// Added to the scaled sum.
    pub base: f64,
    /// From the sum to a probability.
    pub link: Link,
}

/// From a sum of leaves to a probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// The sum is the probability; rounding beyond 0 and 1 is cut off.
    #[default]
    Identity,
    /// The sum is a logit.
    Logistic,
}

/// A binary tree; the first node is its root.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    /// Nodes. The children of a node stand side by side, behind it.
    pub nodes: Vec<Node>,
}

/// A node of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node {
    /// Two ways on.
    Split(Split),
    /// The end, with its value.
    Leaf(f64),
}

/// Goes left where the column is at most the threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Index of the column that is compared.
    pub column: u32,
    /// Finite.
    pub threshold: f32,
    /// Whether a missing value goes left.
    pub missing_left: bool,
    /// Index of the left child, greater than the node's own; the right child is the next node.
    pub left: u32,
}

impl Forest {
    /// Checks counts, columns, finiteness, and that every tree is one: each node but the root is the
    /// child of exactly one node before it, so there is no cycle and nothing is out of reach.
    pub(super) fn check(&self, columns: usize) -> Result<(), String> {
        if !(1..=TREES_MAX).contains(&self.trees.len()) {
            return Err(format!("{} trees, not 1 to {TREES_MAX}", self.trees.len()));
        }
        let nodes: usize = self.trees.iter().map(|tree| tree.nodes.len()).sum();
        if nodes > NODES_MAX {
            return Err(format!("{nodes} nodes, at most {NODES_MAX} are allowed"));
        }
        for (at, tree) in self.trees.iter().enumerate() {
            tree.check(columns).map_err(|reason| format!("tree {at}: {reason}"))?;
        }
        let size: f64 = self.trees.iter().map(Tree::largest).sum();
        // Half of what there is leaves room for rounding.
        let sound = self.base.is_finite() && (self.scale * size + self.base).abs() < f64::MAX / 2.0;
        if sound { Ok(()) } else { Err("its sum is not always a finite number".into()) }
    }

    /// The probability for encoded columns, one node after the other: the plain form of `Walker::probability`.
    #[must_use]
    pub fn probability(&self, encoded: &[f32]) -> f64 {
        let sum: f64 = self.trees.iter().map(|tree| tree.leaf(encoded)).sum();
        self.link(sum)
    }

    pub(super) fn link(&self, sum: f64) -> f64 {
        let raw = self.scale * sum + self.base;
        match self.link {
            Link::Identity => raw.clamp(0.0, 1.0),
            Link::Logistic => logistic(raw),
        }
    }
}

impl Tree {
    fn check(&self, columns: usize) -> Result<(), String> {
        if self.nodes.is_empty() {
            return Err("it has no nodes".into());
        }
        let mut parents = vec![0u8; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            match node {
                Node::Leaf(value) if value.is_finite() => {}
                Node::Leaf(_) => return Err(format!("leaf {at} is not finite")),
                Node::Split(split) => {
                    if split.column as usize >= columns {
                        return Err(format!("node {at} reads column {} of {columns}", split.column));
                    }
                    if !split.threshold.is_finite() {
                        return Err(format!("node {at} has a threshold that is not finite"));
                    }
                    let left = split.left as usize;
                    if left <= at || left + 1 >= self.nodes.len() {
                        return Err(format!("node {at} leads to node {left}, not behind itself in the tree"));
                    }
                    parents[left] = parents[left].saturating_add(1);
                    parents[left + 1] = parents[left + 1].saturating_add(1);
                }
            }
        }
        match parents.iter().skip(1).position(|parents| *parents != 1) {
            None => Ok(()),
            Some(at) => Err(format!("node {} has {} parents", at + 1, parents[at + 1])),
        }
    }

    /// Absolute value of the largest leaf.
    fn largest(&self) -> f64 {
        let leaf = |node: &Node| if let Node::Leaf(value) = node { value.abs() } else { 0.0 };
        self.nodes.iter().map(leaf).fold(0.0, f64::max)
    }

    /// Value of the leaf that encoded columns lead to.
    #[must_use]
    pub fn leaf(&self, encoded: &[f32]) -> f64 {
        let mut at = 0;
        loop {
            match &self.nodes[at] {
                Node::Leaf(value) => return *value,
                Node::Split(split) => {
                    let value = encoded[split.column as usize];
                    let left = if value.is_nan() { split.missing_left } else { value <= split.threshold };
                    at = split.left as usize + usize::from(!left);
                }
            }
        }
    }

    /// Steps from the root to the deepest leaf.
    pub(super) fn depth(&self) -> usize {
        let mut depths = vec![0; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            if let Node::Split(split) = node {
                depths[split.left as usize] = depths[at] + 1;
                depths[split.left as usize + 1] = depths[at] + 1;
            }
        }
        depths.into_iter().max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(column: u32, threshold: f32, missing_left: bool, left: u32) -> Node {
        Node::Split(Split { column, threshold, missing_left, left })
    }

    /// A stump and a deeper, lopsided tree.
    fn forest() -> Forest {
        let stump = Tree { nodes: vec![split(0, 1.0, true, 1), Node::Leaf(0.25), Node::Leaf(0.75)] };
        let deep = Tree {
            nodes: vec![
                split(1, -2.0, false, 1),
                Node::Leaf(0.1),
                split(0, 5.0, true, 3),
                split(1, 3.0, true, 5),
                Node::Leaf(0.9),
                Node::Leaf(0.3),
                Node::Leaf(0.5),
            ],
        };
        Forest { trees: vec![stump, deep], scale: 0.5, base: 0.0, link: Link::Identity }
    }

    #[test]
    fn values_worked_out_by_hand() {
        let forest = forest();
        assert_eq!(forest.check(2), Ok(()));
        for (row, expected) in [
            ([1.0, -2.0], (0.25 + 0.1) / 2.0),
            ([1.1, 3.0], (0.75 + 0.3) / 2.0),
            ([6.0, 0.0], (0.75 + 0.9) / 2.0),
            ([f32::NAN, f32::NAN], (0.25 + 0.3) / 2.0),
            ([4.0, 9.0], (0.75 + 0.5) / 2.0),
        ] {
            assert!((forest.probability(&row) - expected).abs() < 1e-15, "{row:?}");
        }
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let (left, right) = (Node::Leaf(0.1), Node::Leaf(0.2));
        for (nodes, word) in [
            (vec![], "no nodes"),
            (vec![split(0, 1.0, true, 0), left, right], "not behind itself"),
            (vec![split(0, 1.0, true, 2), left, right], "not behind itself"),
            (vec![split(9, 1.0, true, 1), left, right], "reads column 9"),
            (vec![split(0, f32::NAN, true, 1), left, right], "threshold"),
            (vec![split(0, 1.0, true, 1), Node::Leaf(f64::INFINITY), right], "not finite"),
            (vec![split(0, 1.0, true, 1), left, right, left], "0 parents"),
            (vec![split(0, 1.0, true, 1), split(0, 1.0, true, 3), split(0, 1.0, true, 3), left, right], "2 parents"),
        ] {
            let forest = Forest { trees: vec![Tree { nodes }], scale: 1.0, base: 0.0, link: Link::Identity };
            let refused = forest.check(2).unwrap_err();
            assert!(refused.contains(word), "{refused} for {word}");
        }
        assert!(Forest { trees: Vec::new(), ..forest() }.check(2).is_err());
        assert!(Forest { base: f64::NAN, ..forest() }.check(2).is_err());
        assert!(Forest { scale: f64::MAX, base: f64::MAX, ..forest() }.check(2).is_err());
    }
}
