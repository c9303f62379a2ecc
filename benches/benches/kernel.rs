//! Scores of all actions with 64 columns, dense.

use std::hint::black_box;

use benches::catalog::FEATURES;
use benches::decide::SIZES;
use benches::rng::Rng;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tactful_core::score::kernel::{GROUP, Kernel, LANES, Weights, dispatch};

/// Scores every block, in groups where the number of blocks allows.
struct All<'a>(&'a Weights, &'a [f32]);

impl Kernel for All<'_> {
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        let Self(weights, encoded) = self;
        let blocks = weights.blocks();
        let mut sum = 0.0;
        for first in (0..blocks).step_by(GROUP) {
            let group: [usize; GROUP] = std::array::from_fn(|at| (first + at).min(blocks - 1));
            let mut out = [[0.0; LANES]; GROUP];
            weights.probabilities(&group, encoded, &mut out);
            sum += out[0][0];
        }
        sum
    }
}

fn kernel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("kernel");
    for actions in SIZES {
        let mut rng = Rng::new(1);
        let mut weights = Weights::new(actions, FEATURES);
        for action in 0..actions {
            let row: Vec<f32> = (0..FEATURES).map(|_| rng.unit() as f32 - 0.5).collect();
            weights.set(action, 0.0, &row);
        }
        let encoded: Vec<f32> = (0..FEATURES).map(|_| rng.unit() as f32).collect();
        group.bench_function(BenchmarkId::from_parameter(actions), |bencher| {
            bencher.iter(|| black_box(dispatch(All(&weights, black_box(&encoded)))));
        });
    }
    group.finish();
}

criterion_group!(benches, kernel);
criterion_main!(benches);
