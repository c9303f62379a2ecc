//! One decision in process by number of actions, from names to the bytes of its record.

use std::hint::black_box;

use benches::customers::id;
use benches::decide::{SIZES, Setting, now_ms};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const CUSTOMERS: usize = 1_000;

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    let mut setting = Setting::new(SIZES[0], CUSTOMERS);
    let now_ms = now_ms();
    for actions in SIZES {
        setting = setting.with_actions(actions);
        let mut number = 0;
        group.bench_function(BenchmarkId::from_parameter(actions), |bencher| {
            bencher.iter(|| {
                number += 1;
                black_box(setting.decide(&id(number % CUSTOMERS), number as u64, now_ms))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
