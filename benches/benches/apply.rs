//! One tracked event folded into a row of 64 features.

use std::hint::black_box;

use benches::customers::{Customers, id, tracked};
use benches::decide::{now_ms, ruleset};
use benches::rng::Rng;
use criterion::{Criterion, criterion_group, criterion_main};
use tactful_core::state::{Entry, Value};

const CUSTOMERS: usize = 1_000;

fn apply(criterion: &mut Criterion) {
    let (ruleset, mut now_ms) = (ruleset(10), now_ms());
    let customers = Customers::new(&ruleset.schema, CUSTOMERS, now_ms);
    let mut rng = Rng::new(1);
    criterion.bench_function("apply", |bencher| {
        bencher.iter(|| {
            now_ms += 1;
            let properties = [("amount", Value::Number(9.5))];
            let event = Entry::Event(tracked(&mut rng, now_ms, &properties));
            black_box(customers.apply(&ruleset.schema, &id(rng.below(CUSTOMERS)), &event, now_ms))
        });
    });
}

criterion_group!(benches, apply);
criterion_main!(benches);
