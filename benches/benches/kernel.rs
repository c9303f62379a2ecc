//! Scores of a random third of the actions with 64 columns: what the rules leave of a catalogue.

use std::hint::black_box;

use benches::catalog::FEATURES;
use benches::decide::SIZES;
use benches::rng::Rng;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tactful_core::score::kernel::{Weights, rows};

fn kernel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("kernel");
    for actions in SIZES {
        let mut rng = Rng::new(1);
        let mut weights = Weights::new(actions, FEATURES);
        for action in 0..actions {
            let row: Vec<f32> = (0..FEATURES).map(|_| rng.unit() as f32 - 0.5).collect();
            weights.set(action, 0.0, row.iter().copied());
        }
        let encoded = rows((0..FEATURES).map(|_| rng.unit() as f32));
        let third: Vec<usize> = (0..actions).filter(|_| rng.below(3) == 0).collect();
        let mut out = vec![[0.0; 4]; third.len().div_ceil(4)];
        group.bench_function(BenchmarkId::from_parameter(actions), |bencher| {
            bencher.iter(|| {
                weights.probabilities(&third, black_box(&encoded), &mut out);
                black_box(&out);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, kernel);
criterion_main!(benches);
