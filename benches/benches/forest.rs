//! Forests of 100 trees of depth 6: what a (row, tree) costs, for a batch of rows of one forest, and where each candidate
//! action has a forest of its own; and of depth 9, which are walked by links.

use std::hint::black_box;

use benches::catalog::FEATURES;
use benches::rng::Rng;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tactful_core::score::{Forest, Link, Node, Split, Tree, Walker};

const TREES: usize = 100;
const DEPTH: u32 = 6;
/// Deeper than trees that are laid out whole.
const DEEP: u32 = 9;

/// A whole tree: every path has the same length.
fn tree(rng: &mut Rng, depth: u32) -> Tree {
    let inner = (1u32 << depth) - 1;
    let mut nodes: Vec<Node> = (0..inner)
        .map(|at| {
            let (column, threshold) = (rng.below(FEATURES) as u32, rng.unit() as f32);
            Node::Split(Split { column, threshold, missing_left: at % 2 == 0, left: 2 * at + 1 })
        })
        .collect();
    nodes.extend((0..=inner).map(|_| Node::Leaf(rng.unit())));
    Tree { nodes }
}

fn forest(rng: &mut Rng, depth: u32) -> Walker {
    let trees = (0..TREES).map(|_| tree(rng, depth)).collect();
    Walker::new(&Forest { trees, scale: 1.0 / TREES as f64, base: 0.0, link: Link::Identity }, FEATURES)
}

fn row(rng: &mut Rng) -> Vec<f32> {
    Walker::row((0..FEATURES).map(|_| rng.unit() as f32))
}

fn rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forest/rows");
    for (name, count, depth) in [("1", 1, DEPTH), ("50", 50, DEPTH), ("50 of depth 9", 50, DEEP)] {
        let mut rng = Rng::new(count as u64);
        let walker = forest(&mut rng, depth);
        let rows: Vec<Vec<f32>> = (0..count).map(|_| row(&mut rng)).collect();
        group.throughput(Throughput::Elements((count * TREES) as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(&rows).iter().map(|row| walker.probability(row)).sum::<f64>());
        });
    }
    group.finish();
}

fn candidates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forest/candidates");
    for count in [10, 50] {
        let mut rng = Rng::new(count as u64);
        let walkers: Vec<Walker> = (0..count).map(|_| forest(&mut rng, DEPTH)).collect();
        let row = row(&mut rng);
        group.throughput(Throughput::Elements((count * TREES) as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| walkers.iter().map(|walker| walker.probability(black_box(&row))).sum::<f64>());
        });
    }
    group.finish();
}

criterion_group!(benches, rows, candidates);
criterion_main!(benches);
