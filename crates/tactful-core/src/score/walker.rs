//! The form in which forests are walked: eight trees abreast, each step a load, a comparison and an addition.
//!
//! A missing value takes no step of its own. A row holds every column twice, as it is and negated, and NaN is
//! greater than nothing: where it goes left a node asks `x > threshold`, where it goes right the mirrored `-x >=
//! -threshold`, with its children the other way round. Trees of up to eight steps are whole binary trees in an
//! array, which needs no pointers; deeper ones are linked. A leaf that comes early leads on to itself. Leaf values are
//! added in f64 in the order of the trees, whatever the walk did.

use super::forest::{Forest, Node, Tree};

/// Trees that are walked together: enough independent loads to hide what each waits for.
const ABREAST: usize = 8;
/// Steps of the deepest tree that is laid out whole.
const WHOLE_DEPTH_MAX: usize = 8;

/// A forest in the form that is walked.
#[derive(Debug)]
pub struct Walker {
    groups: Vec<Group>,
    /// Of whole trees, 2^depth for each group: the children of node i are 2 i and 2 i + 1, the root is 1.
    whole: Vec<[Step; ABREAST]>,
    /// Where their walks end, in the same order.
    leaves: Vec<[f64; ABREAST]>,
    /// Nodes of the other trees, and by node the value of a leaf.
    linked: Vec<Linked>,
    values: Vec<f64>,
    /// Scale, base and link: without trees.
    frame: Forest,
}

/// Up to eight trees.
#[derive(Debug)]
struct Group {
    trees: usize,
    depth: usize,
    /// Place in `whole`, or the roots in `linked`.
    roots: [u32; ABREAST],
}

/// A node of a whole tree: on to the second child where the row is greater.
#[derive(Clone, Copy, Debug)]
struct Step {
    threshold: f32,
    column: u32,
}

/// A node of a linked tree; the second child follows the first one.
#[derive(Clone, Copy, Debug)]
struct Linked {
    step: Step,
    first: u32,
}

impl Step {
    /// Nothing is greater.
    const STAY: Self = Self { threshold: f32::INFINITY, column: 0 };

    #[inline(always)]
    fn second(self, row: &[f32]) -> usize {
        usize::from(row[self.column as usize] > self.threshold)
    }
}

impl Walker {
    /// Columns as trees read them: each as it is, then each negated.
    #[must_use]
    pub fn row(columns: impl ExactSizeIterator<Item = f32>) -> Vec<f32> {
        let mut row = Vec::with_capacity(2 * columns.len());
        row.extend(columns);
        row.extend_from_within(..);
        let columns = row.len() / 2;
        row[columns..].iter_mut().for_each(|value| *value = -*value);
        row
    }

    /// Compiles a checked forest over so many columns.
    #[must_use]
    pub fn new(forest: &Forest, columns: usize) -> Self {
        let mut walker = Self {
            groups: Vec::new(),
            whole: Vec::new(),
            leaves: Vec::new(),
            linked: Vec::new(),
            values: Vec::new(),
            frame: Forest { trees: Vec::new(), ..*forest },
        };
        for trees in forest.trees.chunks(ABREAST) {
            let depth = trees.iter().map(Tree::depth).max().unwrap_or_default();
            let group = if depth > WHOLE_DEPTH_MAX {
                // Where there is no tree the first node of all is walked, for nothing.
                let mut roots = [0; ABREAST];
                for (root, tree) in roots.iter_mut().zip(trees) {
                    *root = walker.link(tree, columns as u32);
                }
                Group { trees: trees.len(), depth, roots }
            } else {
                let start = walker.whole.len();
                walker.whole.resize(start + (1 << depth), [Step::STAY; ABREAST]);
                walker.leaves.resize(start + (1 << depth), [0.0; ABREAST]);
                for (lane, tree) in trees.iter().enumerate() {
                    walker.fill(tree, 0, (start, lane), 1, columns as u32);
                }
                Group { trees: trees.len(), depth, roots: [start as u32; ABREAST] }
            };
            walker.groups.push(group);
        }
        walker
    }

    /// Lays out a node and all below it as node `at` of a whole tree.
    fn fill(&mut self, tree: &Tree, node: usize, (start, lane): (usize, usize), at: usize, columns: u32) {
        let nodes = self.whole.len() - start;
        if at >= nodes {
            if let Node::Leaf(value) = tree.nodes[node] {
                self.leaves[start + at - nodes][lane] = value;
            }
            return;
        }
        let (step, first, second) = way(tree, node, columns);
        self.whole[start + at][lane] = step;
        self.fill(tree, first, (start, lane), 2 * at, columns);
        if second != first {
            self.fill(tree, second, (start, lane), 2 * at + 1, columns);
        }
    }

    /// Adds a tree to the linked ones, and says where its root is.
    fn link(&mut self, tree: &Tree, columns: u32) -> u32 {
        let root = self.linked.len();
        let mut open = vec![(0, root)];
        self.grow(1);
        while let Some((node, at)) = open.pop() {
            let (step, first, second) = way(tree, node, columns);
            if let Node::Leaf(value) = tree.nodes[node] {
                self.values[at] = value;
                self.linked[at] = Linked { step, first: at as u32 };
                continue;
            }
            let children = self.linked.len();
            self.grow(2);
            self.linked[at] = Linked { step, first: children as u32 };
            open.extend([(first, children), (second, children + 1)]);
        }
        root as u32
    }

    fn grow(&mut self, nodes: usize) {
        self.linked.resize(self.linked.len() + nodes, Linked { step: Step::STAY, first: 0 });
        self.values.resize(self.linked.len(), 0.0);
    }

    /// The probability for a row ([`Walker::row`]): no allocation, depth x trees steps, eight at a time.
    ///
    /// # Panics
    /// If a column lies beyond the row.
    #[must_use]
    pub fn probability(&self, row: &[f32]) -> f64 {
        let mut sum = 0.0;
        for group in &self.groups {
            let leaves = match group.depth {
                0 => self.walk_whole::<1>(group, row),
                1 => self.walk_whole::<2>(group, row),
                2 => self.walk_whole::<4>(group, row),
                3 => self.walk_whole::<8>(group, row),
                4 => self.walk_whole::<16>(group, row),
                5 => self.walk_whole::<32>(group, row),
                6 => self.walk_whole::<64>(group, row),
                7 => self.walk_whole::<128>(group, row),
                WHOLE_DEPTH_MAX => self.walk_whole::<256>(group, row),
                _ => self.walk_linked(group, row),
            };
            leaves[..group.trees].iter().for_each(|leaf| sum += leaf);
        }
        self.frame.link(sum)
    }

    /// Leaves of whole trees of `NODES`, a power of two: masks instead of bounds that would be checked at each step.
    #[inline(always)]
    fn walk_whole<const NODES: usize>(&self, group: &Group, row: &[f32]) -> [f64; ABREAST] {
        let start = group.roots[0] as usize;
        let steps = self.whole[start..].first_chunk::<NODES>().expect("a group has all its nodes");
        let leaves = self.leaves[start..].first_chunk::<NODES>().expect("a group has all its leaves");
        let mut at = [1; ABREAST];
        for _ in 0..NODES.trailing_zeros() {
            for (lane, at) in at.iter_mut().enumerate() {
                *at = 2 * *at + steps[*at & (NODES - 1)][lane].second(row);
            }
        }
        std::array::from_fn(|lane| leaves[at[lane] & (NODES - 1)][lane])
    }

    fn walk_linked(&self, group: &Group, row: &[f32]) -> [f64; ABREAST] {
        let mut at = group.roots;
        for _ in 0..group.depth {
            at = at.map(|at| {
                let link = self.linked[at as usize];
                link.first + link.step.second(row) as u32
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
                let walker = Walker::new(&forest, 1);
                for value in values.into_iter().chain([f32::NAN]) {
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
        for trees in [1, 7, 8, 9, 30] {
            let forest = Forest {
                trees: (0..trees).map(|tree| grown(tree * 5 % 13, &mut next)).collect(),
                scale: 0.7,
                base: -0.2,
                link: Link::Logistic,
            };
            assert_eq!(forest.check(5), Ok(()));
            let walker = Walker::new(&forest, 5);
            for _ in 0..200 {
                let columns: Vec<f32> = (0..5).map(|_| if next() > 0.7 { f32::NAN } else { next() }).collect();
                let row = Walker::row(columns.iter().copied());
                assert_eq!(walker.probability(&row).to_bits(), forest.probability(&columns).to_bits());
            }
        }
    }

    /// A random tree of at most this depth over five columns.
    fn grown(depth: usize, next: &mut impl FnMut() -> f32) -> Tree {
        let mut nodes = vec![Node::Leaf(0.0)];
        let mut open = vec![(0, depth)];
        while let Some((at, depth)) = open.pop() {
            if depth == 0 || next() > 0.8 {
                nodes[at] = Node::Leaf(f64::from(next()));
                continue;
            }
            let left = nodes.len();
            nodes[at] = split(((next() + 1.0) * 2.5) as u32 % 5, next(), next() > 0.0, left as u32);
            nodes.extend([Node::Leaf(0.0); 2]);
            open.extend([(left, depth - 1), (left + 1, depth - 1)]);
        }
        Tree { nodes }
    }
}
