//! The form in which forests are walked: eight trees abreast, each step a load, a comparison and an addition.
//!
//! A missing value takes no step of its own. A row holds every column twice, as it is and negated, and NaN is
//! greater than nothing: where it goes left a node asks `x > threshold`, where it goes right the mirrored `-x >=
//! -threshold`, with its children the other way round.
//!
//! Bushy trees of up to six steps are laid out whole, in blocks of three steps that are a cache line each, so that a walk
//! needs no pointers and reads two lines and a leaf. Others are linked. A leaf that comes early leads on to
//! itself. Leaf values are added in f64 in the order of the trees, whatever the walk did.

use super::forest::{Forest, Node, Tree};

/// Trees that are walked together: enough independent loads to hide what each waits for.
const ABREAST: usize = 8;
/// Steps of a block.
const BLOCK_DEPTH: usize = 3;
/// Children of a block, or leaves under it.
const WAYS: usize = 1 << BLOCK_DEPTH;
/// Nodes that a tree must have, on average, to be laid out whole: from fewer a small artifact would grow large in
/// memory, and links are as quick.
const BUSHY: usize = 32;
/// Values of a row that is read with a mask instead of a bound that would be checked at each step.
const NARROW: usize = 256;

/// A forest in the form that is walked.
#[derive(Debug)]
pub struct Walker {
    trees: Trees,
    /// Values of a row: each column twice.
    width: usize,
    /// Scale, base and link: without trees.
    frame: Forest,
}

/// Eight at a time; trees that lack in the last eight are leaves that add nothing.
#[derive(Debug)]
enum Trees {
    Whole(Vec<[Whole; ABREAST]>),
    Linked(Links),
}

/// A tree of up to two blocks' depth.
#[derive(Clone, Copy, Debug)]
struct Whole {
    top: Block,
    bottom: [Block; WAYS],
    leaves: [[f64; WAYS]; WAYS],
}

/// Three steps, in one cache line: the children of node i are 2 i and 2 i + 1, the root is 1, and 0 is idle.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Block([Step; WAYS]);

/// A node: on to the second child where the row is greater.
#[derive(Clone, Copy, Debug)]
struct Step {
    threshold: f32,
    column: u32,
}

/// Trees of any depth.
#[derive(Debug, Default)]
struct Links {
    groups: Vec<Group>,
    nodes: Vec<Linked>,
    /// By node the value of a leaf.
    values: Vec<f64>,
}

/// Trees that are walked together, to the depth of the deepest.
#[derive(Debug)]
struct Group {
    depth: usize,
    roots: [u32; ABREAST],
}

/// A node of a linked tree; the second child follows the first one.
#[derive(Clone, Copy, Debug)]
struct Linked {
    step: Step,
    first: u32,
}

impl Walker {
    /// Columns as trees read them: each as it is, then each negated, and what it takes to read a row with a mask.
    #[must_use]
    pub fn row(columns: impl ExactSizeIterator<Item = f32>) -> Vec<f32> {
        let width = 2 * columns.len();
        let mut row = Vec::with_capacity(width.max(NARROW));
        row.extend(columns);
        row.extend_from_within(..);
        row[width / 2..].iter_mut().for_each(|value| *value = -*value);
        row.resize(width.max(NARROW), 0.0);
        row
    }

    /// Compiles a checked forest over so many columns.
    #[must_use]
    pub fn new(forest: &Forest, columns: usize) -> Self {
        let nodes: usize = forest.trees.iter().map(|tree| tree.nodes.len()).sum();
        let bushy = nodes >= BUSHY * forest.trees.len();
        let whole = bushy && forest.trees.iter().all(|tree| tree.depth() <= Whole::DEPTH_MAX);
        Self::laid_out(forest, columns, whole)
    }

    fn laid_out(forest: &Forest, columns: usize, whole: bool) -> Self {
        let eights = forest.trees.chunks(ABREAST);
        let trees = if whole {
            Trees::Whole(eights.map(|trees| Whole::eight(trees, columns as u32)).collect())
        } else {
            let mut links = Links::default();
            eights.for_each(|trees| links.add(trees, columns as u32));
            Trees::Linked(links)
        };
        Self { trees, width: 2 * columns, frame: Forest { trees: Vec::new(), ..*forest } }
    }

    /// The probability for a row ([`Walker::row`]): no allocation, depth x trees steps, eight at a time.
    ///
    /// # Panics
    /// If a column lies beyond the row.
    #[must_use]
    pub fn probability(&self, row: &[f32]) -> f64 {
        let sum = match row.first_chunk::<NARROW>() {
            Some(row) if self.width <= NARROW => self.sum(|column| row[column as usize % NARROW]),
            _ => self.sum(|column| row[column as usize]),
        };
        self.frame.link(sum)
    }

    /// The leaves of all trees, given what a row holds in a column.
    #[inline(always)]
    fn sum(&self, value: impl Fn(u32) -> f32 + Copy) -> f64 {
        let mut sum = 0.0;
        let mut add = |leaves: [f64; ABREAST]| leaves.iter().for_each(|leaf| sum += leaf);
        match &self.trees {
            Trees::Whole(eights) => eights.iter().for_each(|trees| add(Whole::walk(trees, value))),
            Trees::Linked(links) => links.groups.iter().for_each(|group| add(links.walk(group, value))),
        }
        sum
    }
}

impl Step {
    /// Nothing is greater.
    const STAY: Self = Self { threshold: f32::INFINITY, column: 0 };

    #[inline(always)]
    fn second(self, value: impl Fn(u32) -> f32) -> usize {
        usize::from(value(self.column) > self.threshold)
    }
}

impl Whole {
    const DEPTH_MAX: usize = 2 * BLOCK_DEPTH;
    /// A leaf that adds nothing.
    const NONE: Self = Self { top: Block::STAY, bottom: [Block::STAY; WAYS], leaves: [[0.0; WAYS]; WAYS] };

    fn eight(trees: &[Tree], columns: u32) -> [Self; ABREAST] {
        let mut eight = [Self::NONE; ABREAST];
        for (whole, tree) in eight.iter_mut().zip(trees) {
            for (way, node) in whole.top.fill(tree, 0, columns) {
                for (end, leaf) in whole.bottom[way].fill(tree, node, columns) {
                    if let Node::Leaf(value) = tree.nodes[leaf] {
                        whole.leaves[way][end] = value;
                    }
                }
            }
        }
        eight
    }

    #[inline(always)]
    fn walk(trees: &[Self; ABREAST], value: impl Fn(u32) -> f32 + Copy) -> [f64; ABREAST] {
        let ways = Block::walk(std::array::from_fn(|lane| &trees[lane].top), value);
        let ends = Block::walk(std::array::from_fn(|lane| &trees[lane].bottom[ways[lane]]), value);
        std::array::from_fn(|lane| trees[lane].leaves[ways[lane]][ends[lane]])
    }
}

impl Block {
    const STAY: Self = Self([Step::STAY; WAYS]);

    /// Lays out a node and three steps below it, and says where each way leads.
    fn fill(&mut self, tree: &Tree, node: usize, columns: u32) -> Vec<(usize, usize)> {
        let mut open = vec![(1, node)];
        let mut ends = Vec::with_capacity(WAYS);
        while let Some((at, node)) = open.pop() {
            if at >= WAYS {
                ends.push((at - WAYS, node));
                continue;
            }
            let (step, first, second) = way(tree, node, columns);
            self.0[at] = step;
            open.extend([(2 * at, first), (2 * at + 1, second)]);
        }
        ends
    }

    /// Which way each row of steps leads.
    #[inline(always)]
    fn walk(blocks: [&Self; ABREAST], value: impl Fn(u32) -> f32 + Copy) -> [usize; ABREAST] {
        let mut at = [1; ABREAST];
        for _ in 0..BLOCK_DEPTH {
            for (at, block) in at.iter_mut().zip(blocks) {
                *at = 2 * *at + block.0[*at % WAYS].second(value);
            }
        }
        at.map(|at| at % WAYS)
    }
}

impl Links {
    fn add(&mut self, trees: &[Tree], columns: u32) {
        let nothing = Tree { nodes: vec![Node::Leaf(0.0)] };
        let depth = trees.iter().map(Tree::depth).max().unwrap_or_default();
        let roots = std::array::from_fn(|lane| self.link(trees.get(lane).unwrap_or(&nothing), columns));
        self.groups.push(Group { depth, roots });
    }

    /// Adds a tree, and says where its root is.
    fn link(&mut self, tree: &Tree, columns: u32) -> u32 {
        let root = self.grow(1);
        let mut open = vec![(0, root)];
        while let Some((node, at)) = open.pop() {
            let (step, first, second) = way(tree, node, columns);
            if let Node::Leaf(value) = tree.nodes[node] {
                self.values[at] = value;
                self.nodes[at] = Linked { step, first: at as u32 };
                continue;
            }
            let children = self.grow(2);
            self.nodes[at] = Linked { step, first: children as u32 };
            open.extend([(first, children), (second, children + 1)]);
        }
        root as u32
    }

    /// Room for so many nodes, from the index that is given.
    fn grow(&mut self, count: usize) -> usize {
        let start = self.nodes.len();
        self.nodes.resize(start + count, Linked { step: Step::STAY, first: 0 });
        self.values.resize(start + count, 0.0);
        start
    }

    #[inline(always)]
    fn walk(&self, group: &Group, value: impl Fn(u32) -> f32 + Copy) -> [f64; ABREAST] {
        let mut at = group.roots;
        for _ in 0..group.depth {
            at = at.map(|at| {
                let node = self.nodes[at as usize];
                node.first + node.step.second(value) as u32
            });
        }
        at.map(|leaf| self.values[leaf as usize])
    }
}

/// What a node asks, and its first and second child; a leaf leads to itself.
fn way(tree: &Tree, node: usize, columns: u32) -> (Step, usize, usize) {
    let Node::Split(split) = tree.nodes[node] else { return (Step::STAY, node, node) };
    let (left, right) = (split.left as usize, split.left as usize + 1);
    if split.missing_left {
        return (Step { threshold: split.threshold, column: split.column }, left, right);
    }
    let threshold = (-split.threshold).next_down();
    (Step { threshold, column: columns + split.column }, right, left)
}

#[cfg(test)]
mod tests {
    use super::super::forest::{Link, Split};
    use super::*;

    fn split(column: u32, threshold: f32, missing_left: bool, left: u32) -> Node {
        Node::Split(Split { column, threshold, missing_left, left })
    }

    #[test]
    fn a_value_at_the_threshold_goes_left_and_a_missing_one_where_it_belongs() {
        let values =
            [f32::NEG_INFINITY, f32::MIN, -1.5, -f32::MIN_POSITIVE, -0.0, 0.0, 1e-45, 1.5, f32::MAX, f32::INFINITY];
        for threshold in values.into_iter().filter(|value| value.is_finite()) {
            for missing_left in [true, false] {
                let nodes = vec![split(0, threshold, missing_left, 1), Node::Leaf(0.25), Node::Leaf(0.75)];
                let tree = Tree { nodes };
                let forest = Forest { trees: vec![tree], scale: 1.0, base: 0.0, link: Link::Identity };
                for (value, whole) in
                    values.into_iter().chain([f32::NAN]).flat_map(|value| [(value, true), (value, false)])
                {
                    let walker = Walker::laid_out(&forest, 1, whole);
                    let row = Walker::row([value].into_iter());
                    assert_eq!(walker.probability(&row), forest.probability(&[value]), "{value} at {threshold}");
                }
            }
        }
    }

    #[test]
    fn every_walk_gives_the_bits_of_the_plain_one() {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        // Trees that are laid out whole and linked ones, and rows that are read with a mask and without.
        for (trees, deepest, columns) in [(1, 6, 5), (8, 3, 128), (9, 6, 129), (30, 6, 5), (7, 12, 5), (20, 12, 300)] {
            let forest = Forest {
                trees: (0..trees).map(|tree| grown(deepest - tree % 3, columns, &mut next)).collect(),
                scale: 0.7,
                base: -0.2,
                link: Link::Logistic,
            };
            assert_eq!(forest.check(columns), Ok(()));
            let mut walkers = vec![Walker::laid_out(&forest, columns, false)];
            if deepest <= Whole::DEPTH_MAX {
                walkers.push(Walker::laid_out(&forest, columns, true));
            }
            for _ in 0..200 {
                let row: Vec<f32> = (0..columns).map(|_| if next() > 0.7 { f32::NAN } else { next() }).collect();
                let expected = forest.probability(&row).to_bits();
                for walker in &walkers {
                    assert_eq!(walker.probability(&Walker::row(row.iter().copied())).to_bits(), expected);
                }
            }
        }
    }

    #[test]
    fn only_bushy_trees_of_six_steps_are_laid_out_whole() {
        // Without chance every path has the whole length.
        for (depth, whole) in [(0, false), (3, false), (5, true), (6, true), (7, false)] {
            let trees = vec![grown(depth, 5, &mut || 0.0)];
            let forest = Forest { trees, scale: 1.0, base: 0.0, link: Link::Identity };
            assert_eq!(matches!(Walker::new(&forest, 5).trees, Trees::Whole(_)), whole, "{depth}");
        }
    }

    /// A random tree of at most this depth over so many columns.
    fn grown(depth: usize, columns: usize, next: &mut impl FnMut() -> f32) -> Tree {
        let mut nodes = vec![Node::Leaf(0.0)];
        let mut open = vec![(0, depth)];
        while let Some((at, depth)) = open.pop() {
            if depth == 0 || next() > 0.8 {
                nodes[at] = Node::Leaf(f64::from(next()));
                continue;
            }
            let left = nodes.len();
            nodes[at] = split(((next() + 1.0) * 500.0) as u32 % columns as u32, next(), next() > 0.0, left as u32);
            nodes.extend([Node::Leaf(0.0); 2]);
            open.extend([(left, depth - 1), (left + 1, depth - 1)]);
        }
        Tree { nodes }
    }
}
