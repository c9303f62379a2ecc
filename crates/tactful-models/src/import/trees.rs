//! Trees as foreign files describe them, laid out as the core walks them; and thresholds of other
//! comparisons as the core's `x <= t` over single precision, exactly.

use std::collections::VecDeque;

use tactful_core::limits::{NODES_MAX, TREES_MAX};
use tactful_core::score::{Node, Split, Tree};

/// A node with its children anywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Raw {
    Leaf(f64),
    Split { column: u32, threshold: f32, missing_left: bool, left: usize, right: usize },
}

/// The greatest finite f32 of at most `t`: for any finite x in single precision, `x <= t` and `x <= at_most(t)` agree.
///
/// # Errors
/// If there is none.
pub(super) fn at_most(t: f64) -> Result<f32, String> {
    let rounded = t as f32;
    finite(if f64::from(rounded) > t { rounded.next_down() } else { rounded }, t)
}

/// The greatest finite f32 below `t`: for any finite x in single precision, `x < t` and `x <= below(t)` agree.
///
/// # Errors
/// If there is none.
pub(super) fn below(t: f64) -> Result<f32, String> {
    let rounded = t as f32;
    finite(if f64::from(rounded) >= t { rounded.next_down() } else { rounded }, t)
}

fn finite(threshold: f32, t: f64) -> Result<f32, String> {
    // Above all numbers: scikit-learn divides what is known from what is missing so.
    if threshold == f32::INFINITY {
        return Ok(f32::MAX);
    }
    let told = || format!("a threshold of {t}, which no finite number in single precision stands for");
    if threshold.is_finite() { Ok(threshold) } else { Err(told()) }
}

/// Checks how many trees a file has.
pub(super) fn check_count(trees: usize) -> Result<(), String> {
    let sound = (1..=TREES_MAX).contains(&trees);
    if sound { Ok(()) } else { Err(format!("{trees} trees, not 1 to {TREES_MAX}")) }
}

/// Lays a tree out breadth first, so that the children of a node stand side by side behind it. Nodes
/// out of reach are left out.
///
/// # Errors
/// If a child does not exist, or is reached twice: by two parents, or by a way back up.
pub(super) fn laid_out(nodes: &[Raw], root: usize) -> Result<Tree, String> {
    if nodes.len() > NODES_MAX {
        return Err(format!("{} nodes, at most {NODES_MAX} are allowed", nodes.len()));
    }
    let mut reached = vec![false; nodes.len()];
    let mut tree = Tree { nodes: vec![Node::Leaf(0.0)] };
    let mut open = VecDeque::from([(root, 0)]);
    while let Some((from, to)) = open.pop_front() {
        let node = nodes.get(from).ok_or_else(|| format!("there is no node {from}"))?;
        if std::mem::replace(&mut reached[from], true) {
            return Err(format!("node {from} is reached twice: this is no tree"));
        }
        tree.nodes[to] = match *node {
            Raw::Leaf(value) => Node::Leaf(value),
            Raw::Split { column, threshold, missing_left, left, right } => {
                let at = tree.nodes.len();
                tree.nodes.extend([Node::Leaf(0.0); 2]);
                open.extend([(left, at), (right, at + 1)]);
                Node::Split(Split { column, threshold, missing_left, left: at as u32 })
            }
        };
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(left: usize, right: usize) -> Raw {
        Raw::Split { column: 0, threshold: 0.5, missing_left: true, left, right }
    }

    #[test]
    fn rounded_thresholds_agree_for_every_number_around_them() {
        let around = |t: f64| {
            let mut x = t as f32;
            (0..3).for_each(|_| x = x.next_down());
            (0..7).map(move |_| {
                x = x.next_up();
                x
            })
        };
        for t in [0.0, -0.0, 0.1, -0.1, 0.5, 1.0 + 1e-12, 16_777_217.0, 1.000_000_018e-35, 1e-300, -1e-300, 3.0e38] {
            for x in around(t) {
                assert_eq!(x <= at_most(t).unwrap(), f64::from(x) <= t, "{x} and {t}");
                assert_eq!(x <= below(t).unwrap(), f64::from(x) < t, "{x} and {t}");
            }
        }
        for t in [1e300, f64::INFINITY] {
            assert_eq!((at_most(t), below(t)), (Ok(f32::MAX), Ok(f32::MAX)));
        }
        for t in [f64::NAN, f64::NEG_INFINITY, -1e300] {
            assert!(at_most(t).is_err() && below(t).is_err(), "{t}");
        }
    }

    #[test]
    fn children_come_to_stand_side_by_side() {
        // Numbered depth first, as scikit-learn does it.
        let nodes = [split(1, 4), split(2, 3), Raw::Leaf(1.0), Raw::Leaf(2.0), Raw::Leaf(3.0)];
        let tree = laid_out(&nodes, 0).unwrap();
        let leaves: Vec<f64> = [[-1.0], [1.0]].iter().map(|row| tree.leaf(row)).collect();
        assert_eq!((tree.nodes.len(), leaves), (5, vec![1.0, 3.0]));
        assert!(matches!(tree.nodes[1], Node::Split(Split { left: 3, .. })));
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let leaf = Raw::Leaf(0.0);
        for (nodes, word) in [
            (vec![split(0, 1), leaf], "node 0 is reached twice"),
            (vec![split(1, 1), leaf], "node 1 is reached twice"),
            (vec![split(1, 2), split(0, 2), leaf], "reached twice"),
            (vec![split(1, 7), leaf], "no node 7"),
            (vec![], "no node 0"),
        ] {
            assert!(laid_out(&nodes, 0).unwrap_err().contains(word), "{word}");
        }
    }
}
