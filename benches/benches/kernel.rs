//! Scores of all actions with 64 columns, dense.

use std::hint::black_box;

use benches::catalog::FEATURES;
use benches::decide::SIZES;
use benches::rng::Rng;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tactful_core::score::kernel::{Kernel, LANES, Weights, dispatch, lanes};

/// Scores every action.
struct All<'a>(&'a Weights, &'a [usize], &'a [[f32; LANES]]);

impl Kernel for All<'_> {
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        let Self(weights, actions, encoded) = self;
        let mut sum = 0.0;
        for actions in actions.chunks(LANES) {
            let mut out = [0.0; LANES];
            weights.probabilities(actions, encoded, &mut out);
            sum += out[0];
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
        let encoded = lanes(&(0..FEATURES).map(|_| rng.unit() as f32).collect::<Vec<f32>>());
        let all: Vec<usize> = (0..actions).collect();
        group.bench_function(BenchmarkId::from_parameter(actions), |bencher| {
            bencher.iter(|| black_box(dispatch(All(&weights, &all, black_box(&encoded)))));
        });
    }
    group.finish();
}

criterion_group!(benches, kernel);
criterion_main!(benches);
