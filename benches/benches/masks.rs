//! Eligibility of all actions by interval masks.

use std::hint::black_box;

use benches::customers::{Customers, id};
use benches::decide::{SIZES, now_ms, ruleset};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn masks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("masks");
    for actions in SIZES {
        let (ruleset, now_ms) = (ruleset(actions), now_ms());
        let view = Customers::new(&ruleset.schema, 1, now_ms).view(&ruleset.schema, &id(0), now_ms);
        let mut fields = vec![f32::NAN; ruleset.layout.fields().len()];
        view.write_fields(&ruleset.schema, now_ms, &mut fields);
        let mut passed = vec![0; ruleset.words()];
        group.bench_function(BenchmarkId::from_parameter(actions), |bencher| {
            bencher.iter(|| {
                passed.fill(u64::MAX);
                ruleset.masks.eligible(black_box(&fields), &mut passed);
                black_box(&passed);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, masks);
criterion_main!(benches);
