//! Forests of 100 trees of depth 6, one for each candidate action: what a (row, tree) costs.

use std::hint::black_box;

use benches::catalog::FEATURES;
use benches::rng::Rng;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tactful_core::score::{Forest, Link, Node, Split, Tree, Walker};

const TREES: usize = 100;
const DEPTH: u32 = 6;

/// A whole tree: every path has the same length.
fn tree(rng: &mut Rng) -> Tree {
    let inner = (1u32 << DEPTH) - 1;
    let mut nodes: Vec<Node> = (0..inner)
        .map(|at| {
            let (column, threshold) = (rng.below(FEATURES) as u32, rng.unit() as f32);
            Node::Split(Split { column, threshold, missing_left: at % 2 == 0, left: 2 * at + 1 })
        })
        .collect();
    nodes.extend((0..=inner).map(|_| Node::Leaf(rng.unit())));
    Tree { nodes }
}

fn forest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forest");
    for candidates in [1, 10, 50] {
        let mut rng = Rng::new(candidates as u64);
        let walkers: Vec<Walker> = (0..candidates)
            .map(|_| {
                let trees = (0..TREES).map(|_| tree(&mut rng)).collect();
                Walker::new(&Forest { trees, scale: 1.0 / TREES as f64, base: 0.0, link: Link::Identity })
            })
            .collect();
        let row: Vec<f32> = (0..FEATURES).map(|_| rng.unit() as f32).collect();
        group.throughput(Throughput::Elements((candidates * TREES) as u64));
        group.bench_function(BenchmarkId::from_parameter(candidates), |bencher| {
            bencher.iter(|| walkers.iter().map(|walker| walker.probability(black_box(&row))).sum::<f64>());
        });
    }
    group.finish();
}

criterion_group!(benches, forest);
criterion_main!(benches);
