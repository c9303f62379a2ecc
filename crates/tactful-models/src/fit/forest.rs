//! Trees and forests grown of linfa's stumps.
//!
//! linfa's own trees and forests stop at traps that this way avoids: below the root they miss splits
//! where equal values straddle a node, prune what does not change the majority, hold no class counts,
//! and break ties by the order of a hash map. So each node is one depth-1 tree of linfa, fitted on the
//! node's rows alone, with both classes weighing the same (imbalance would hide every split from the
//! majority vote), over ranks instead of values (linfa takes values closer than 1e-5 for equal). The
//! leaves hold smoothed shares of the rows that grew them.

use linfa::traits::Fit;
use linfa_trees::DecisionTree;
use ndarray::{Array1, Array2};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use tactful_core::score::{Forest, Link, Node, Scorer, Split, Tree};

use super::design::Design;
use super::{Library, Raw};
use crate::recipe::{Recipe, TreeOptions};

/// Rows of the head's own share that are added to every leaf.
const SMOOTHING: f64 = 10.0;

/// Trees as they were grown: thresholds in double precision.
#[derive(Debug)]
pub(super) struct Grown {
    trees: Vec<GrownTree>,
}

#[derive(Debug)]
struct GrownTree {
    nodes: Vec<GrownNode>,
}

#[derive(Clone, Copy, Debug)]
enum GrownNode {
    Split { column: usize, threshold: f64, left: usize },
    Leaf(f64),
}

/// Columns as ranks of their distinct values.
struct Ranks {
    /// By column, then by row.
    ranks: Vec<Vec<u32>>,
    /// By column, the distinct values in order.
    values: Vec<Vec<f32>>,
    labels: Vec<bool>,
    rate: f64,
}

/// One tree over all rows and columns.
pub(super) fn tree(design: &Design, recipe: &Recipe) -> Result<Raw, String> {
    let ranks = Ranks::of(design);
    let all: Vec<u32> = (0..design.labels.len() as u32).collect();
    let options = TreeOptions { columns: 1.0, ..recipe.trees };
    let tree = grow(&ranks, &all, &options, &mut Pcg64::seed_from_u64(recipe.seed))?;
    Ok(Grown { trees: vec![tree] }.raw(None))
}

/// Trees over bootstrapped rows and drawn columns, on all processors; predictions of rows by the trees
/// that did not draw them.
pub(super) fn forest(design: &Design, recipe: &Recipe, step: &mut dyn FnMut()) -> Result<Raw, String> {
    let ranks = Ranks::of(design);
    let rows = design.labels.len();
    let mut votes = vec![(0.0, 0u32); rows];
    let mut trees = Vec::with_capacity(recipe.trees.count);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    while trees.len() < recipe.trees.count {
        let batch = trees.len()..(trees.len() + workers).min(recipe.trees.count);
        let grown: Vec<_> = std::thread::scope(|scope| {
            let grow = |at: usize| {
                let (ranks, options) = (&ranks, &recipe.trees);
                scope.spawn(move || bagged(ranks, options, recipe.seed, at))
            };
            let workers: Vec<_> = batch.map(grow).collect();
            workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        // Taken in the order of the trees, whoever was first.
        for tree in grown {
            let (tree, drawn) = tree.map_err(|_| "growing a tree panicked")??;
            for (at, (sum, count)) in votes.iter_mut().enumerate().filter(|(at, _)| !drawn[*at]) {
                *sum += tree.leaf(&design.row(at));
                *count += 1;
            }
            trees.push(tree);
            step();
        }
    }
    let held_out = votes.iter().zip(&design.labels).filter(|((_, count), _)| *count > 0);
    let held_out = held_out.map(|((sum, count), label)| (sum / f64::from(*count), *label)).collect();
    Ok(Grown { trees }.raw(Some(held_out)))
}

/// One tree of a forest, and which rows it drew.
fn bagged(ranks: &Ranks, options: &TreeOptions, seed: u64, at: usize) -> Result<(GrownTree, Vec<bool>), String> {
    let mut rng = Pcg64::new(u128::from(seed), at as u128);
    let count = ranks.labels.len();
    let mut rows: Vec<u32> = (0..count).map(|_| rng.gen_range(0..count as u32)).collect();
    rows.sort_unstable();
    let mut drawn = vec![false; count];
    rows.iter().for_each(|row| drawn[*row as usize] = true);
    grow(ranks, &rows, options, &mut rng).map(|tree| (tree, drawn))
}

/// Grows a tree breadth first, so that the children of a node stand side by side behind it.
fn grow(ranks: &Ranks, rows: &[u32], options: &TreeOptions, rng: &mut Pcg64) -> Result<GrownTree, String> {
    let mut nodes = vec![GrownNode::Leaf(0.0)];
    let mut open = std::collections::VecDeque::from([(0, 0, rows.to_vec())]);
    while let Some((at, depth, rows)) = open.pop_front() {
        let split = if depth < options.depth { ranks.split(&rows, options, rng)? } else { None };
        let Some((column, rank)) = split else {
            nodes[at] = GrownNode::Leaf(ranks.share(&rows));
            continue;
        };
        let (low, high): (Vec<u32>, Vec<u32>) =
            rows.iter().partition(|row| ranks.ranks[column][**row as usize] <= rank);
        let left = nodes.len();
        nodes[at] = GrownNode::Split { column, threshold: ranks.between(column, rank), left };
        nodes.extend([GrownNode::Leaf(0.0); 2]);
        open.extend([(left, depth + 1, low), (left + 1, depth + 1, high)]);
    }
    Ok(GrownTree { nodes })
}

/// linfa's best split of one column: what it gains, and the last rank to its left. A row for each rank and
/// class, weighing as much as all rows that it stands for.
fn stump(groups: &[(u32, [u32; 2])], weights: [f32; 2], options: &TreeOptions) -> Result<Option<(f32, u32)>, String> {
    let rows = || {
        let classes = groups.iter().flat_map(|(rank, counts)| [(*rank, false, counts[0]), (*rank, true, counts[1])]);
        classes.filter(|(.., count)| *count > 0)
    };
    let ranks: Vec<f32> = rows().map(|(rank, ..)| rank as f32).collect();
    let labels: Array1<bool> = rows().map(|(_, label, _)| label).collect();
    let weights: Array1<f32> = rows().map(|(_, label, count)| count as f32 * weights[usize::from(label)]).collect();
    let records = Array2::from_shape_vec((ranks.len(), 1), ranks).map_err(|error| error.to_string())?;
    let stump = DecisionTree::params()
        .max_depth(Some(1))
        .min_weight_leaf(options.min_leaf as f32)
        .min_weight_split(0.0)
        .fit(&linfa::DatasetBase::new(records, labels).with_weights(weights))
        .map_err(|error| format!("linfa: {error}"))?;
    let root = stump.root_node();
    let (_, threshold, gain) = root.split();
    Ok((!root.is_leaf()).then_some((gain, threshold.floor() as u32)))
}

impl Ranks {
    fn of(design: &Design) -> Self {
        let mut ranks =
            Self { ranks: Vec::new(), values: Vec::new(), labels: design.labels.clone(), rate: design.rate() };
        for column in 0..design.columns() {
            let mut values: Vec<f32> = design.column(column).collect();
            values.sort_unstable_by(f32::total_cmp);
            values.dedup();
            let rank = |value: f32| values.partition_point(|other| *other < value) as u32;
            ranks.ranks.push(design.column(column).map(rank).collect());
            ranks.values.push(values);
        }
        ranks
    }

    /// The column and the last rank to the left of linfa's best split of some rows; none if there is none
    /// that leaves enough rows on both sides.
    fn split(&self, rows: &[u32], options: &TreeOptions, rng: &mut Pcg64) -> Result<Option<(usize, u32)>, String> {
        let positives = rows.iter().filter(|row| self.labels[**row as usize]).count();
        if positives == 0 || positives == rows.len() || rows.len() < 2 * options.min_leaf {
            return Ok(None);
        }
        let columns = self.draw(rows, options, rng);
        if columns.is_empty() {
            return Ok(None);
        }
        let of_each = [rows.len() - positives, positives];
        let weights = of_each.map(|count| rows.len() as f32 / (2.0 * count as f32));
        let mut best: Option<(f32, usize, u32)> = None;
        for column in columns {
            let stump = stump(&self.groups(rows, column), weights, options)?;
            // Of equal ones the first column.
            if let Some((gain, rank)) = stump
                && best.is_none_or(|(other, ..)| gain > other)
            {
                best = Some((gain, column, rank));
            }
        }
        let Some((_, column, rank)) = best else { return Ok(None) };
        // linfa weighs the sides; here they are counted as well.
        let low = rows.iter().filter(|row| self.ranks[column][**row as usize] <= rank).count();
        let enough = low.min(rows.len() - low) >= options.min_leaf;
        Ok(enough.then_some((column, rank)))
    }

    /// Ranks of a column among some rows, in order, each with its negative and positive ones: all that a
    /// split of one column depends on. Counted where the rows are many for the ranks, else sorted.
    fn groups(&self, rows: &[u32], column: usize) -> Vec<(u32, [u32; 2])> {
        let (ranks, distinct) = (&self.ranks[column], self.values[column].len());
        let label = |row: u32| usize::from(self.labels[row as usize]);
        if distinct <= 4 * rows.len() {
            let mut counts = vec![[0; 2]; distinct];
            rows.iter().for_each(|row| counts[ranks[*row as usize] as usize][label(*row)] += 1);
            return (0..).zip(counts).filter(|(_, count)| *count != [0; 2]).collect();
        }
        let mut pairs: Vec<(u32, usize)> = rows.iter().map(|row| (ranks[*row as usize], label(*row))).collect();
        pairs.sort_unstable();
        let count = |run: &[(u32, usize)]| {
            let positives = run.iter().filter(|(_, label)| *label == 1).count();
            (run[0].0, [(run.len() - positives) as u32, positives as u32])
        };
        pairs.chunk_by(|one, other| one.0 == other.0).map(count).collect()
    }

    /// Columns that vary over the rows, of which a share is drawn, in their order.
    fn draw(&self, rows: &[u32], options: &TreeOptions, rng: &mut Pcg64) -> Vec<usize> {
        let varies = |column: &usize| {
            let ranks = &self.ranks[*column];
            rows.iter().any(|row| ranks[*row as usize] != ranks[rows[0] as usize])
        };
        let mut columns: Vec<usize> = (0..self.ranks.len()).collect();
        let wanted = ((columns.len() as f64 * options.columns).ceil() as usize).max(1);
        columns.shuffle(rng);
        let mut drawn: Vec<usize> = columns.into_iter().filter(varies).take(wanted).collect();
        drawn.sort_unstable();
        drawn
    }

    /// A threshold between the values of a rank and the next one.
    fn between(&self, column: usize, rank: u32) -> f64 {
        let values = &self.values[column];
        let (low, high) = (f64::from(values[rank as usize]), f64::from(values[rank as usize + 1]));
        low + (high - low) / 2.0
    }

    /// Share of positives with the head's own share added.
    fn share(&self, rows: &[u32]) -> f64 {
        let positives = rows.iter().filter(|row| self.labels[**row as usize]).count();
        (positives as f64 + SMOOTHING * self.rate) / (rows.len() as f64 + SMOOTHING)
    }
}

impl Grown {
    fn raw(self, held_out: Option<Vec<(f64, bool)>>) -> Raw {
        let forest = Forest {
            trees: self.trees.iter().map(GrownTree::compiled).collect(),
            scale: 1.0 / self.trees.len() as f64,
            base: 0.0,
            link: Link::Identity,
        };
        Raw { scorer: Scorer::Forest(forest), library: Library::Forest(self), held_out }
    }

    /// Mean of the leaves.
    pub(super) fn predict(&self, encoded: &[f32]) -> f64 {
        self.trees.iter().map(|tree| tree.leaf(encoded)).sum::<f64>() / self.trees.len() as f64
    }
}

impl GrownTree {
    fn leaf(&self, encoded: &[f32]) -> f64 {
        let mut at = 0;
        loop {
            match self.nodes[at] {
                GrownNode::Leaf(value) => return value,
                GrownNode::Split { column, threshold, left } => {
                    at = left + usize::from(f64::from(encoded[column]) > threshold);
                }
            }
        }
    }

    /// The same with thresholds rounded down to single precision: no f32 lies between the two.
    fn compiled(&self) -> Tree {
        let node = |node: &GrownNode| match *node {
            GrownNode::Leaf(value) => Node::Leaf(value),
            GrownNode::Split { column, threshold, left } => {
                let rounded = threshold as f32;
                let threshold = if f64::from(rounded) > threshold { rounded.next_down() } else { rounded };
                // No column is ever missing here: numbers are filled and categories are zeros and ones.
                Node::Split(Split { column: column as u32, threshold, missing_left: false, left: left as u32 })
            }
        };
        Tree { nodes: self.nodes.iter().map(node).collect() }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// Two columns: one of few values, one of as many as there are rows.
    fn ranks(rows: usize, seed: u64) -> Ranks {
        let mut rng = Pcg64::seed_from_u64(seed);
        let mut wide: Vec<u32> = (0..rows as u32).collect();
        wide.shuffle(&mut rng);
        let narrow: Vec<u32> = (0..rows).map(|_| rng.gen_range(0..3)).collect();
        let labels = narrow.iter().map(|rank| rng.gen_bool(0.2 + 0.2 * f64::from(*rank))).collect();
        let values = |count: usize| (0..count).map(|value| value as f32).collect();
        Ranks { ranks: vec![narrow, wide], values: vec![values(3), values(rows)], labels, rate: 0.4 }
    }

    #[test]
    fn counted_or_sorted_the_groups_are_the_same() {
        let ranks = ranks(400, 1);
        // Few enough rows for the wide column to be sorted, and with repeats, as a bootstrap draws them.
        let few: Vec<u32> = (0..60).map(|at| at / 2 * 7).collect();
        for (rows, column) in [(&few, 0), (&few, 1), (&(0..400).collect(), 1)] {
            let mut expected: std::collections::BTreeMap<u32, [u32; 2]> = Default::default();
            for row in rows {
                let label = usize::from(ranks.labels[*row as usize]);
                expected.entry(ranks.ranks[column][*row as usize]).or_default()[label] += 1;
            }
            assert_eq!(ranks.groups(rows, column), expected.into_iter().collect::<Vec<_>>());
        }
    }

    /// A row for each rank and class, weighted, splits where all rows together do.
    #[test]
    fn a_stump_of_groups_splits_where_one_of_all_rows_does() {
        for seed in 0..20 {
            let ranks = ranks(300, seed);
            let options = TreeOptions { columns: 1.0, min_leaf: 5, ..TreeOptions::default() };
            let rows: Vec<u32> = (0..300).map(|at| at * 7 % 300 / 2).collect();
            let found = ranks.split(&rows, &options, &mut Pcg64::seed_from_u64(seed)).unwrap();
            let records =
                Array2::from_shape_fn((rows.len(), 2), |(row, column)| ranks.ranks[column][rows[row] as usize] as f32);
            let labels: Array1<bool> = rows.iter().map(|row| ranks.labels[*row as usize]).collect();
            let positives = labels.iter().filter(|label| **label).count();
            let of_each = [rows.len() - positives, positives];
            let weights = labels.mapv(|label| rows.len() as f32 / (2.0 * of_each[usize::from(label)] as f32));
            let stump = DecisionTree::params()
                .max_depth(Some(1))
                .min_weight_leaf(5.0)
                .min_weight_split(0.0)
                .fit(&linfa::DatasetBase::new(records, labels).with_weights(weights))
                .unwrap();
            let (column, threshold, _) = stump.root_node().split();
            assert_eq!(found, Some((column, threshold.floor() as u32)), "seed {seed}");
        }
    }
}
