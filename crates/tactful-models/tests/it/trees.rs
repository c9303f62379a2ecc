//! Trees, forests and FTRL: what they learn, what the artifact keeps of it, and that a refit is the same.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use tactful_core::score::{Calibration, ModelKind, Scorer};
use tactful_models::{Recipe, Trained, artifact};
use tactful_proto::v1::{DecisionRow, value::Kind};

use crate::synthetic::{TRUTH, customers, row, trained};

fn recipe(kind: &str, rest: &str) -> Recipe {
    let shared = "min_rows_per_action = 100000\n";
    Recipe::parse(&format!("name = \"acceptance\"\nkind = \"{kind}\"\n{shared}{rest}")).unwrap()
}

/// Acceptance depends on two flags together and on neither alone: nothing that a sum could learn.
fn exclusive(count: usize, seed: u64) -> Vec<DecisionRow> {
    let mut rng = Pcg64::seed_from_u64(seed);
    (0..count)
        .map(|at| {
            let (one, other, noise) = (rng.gen_bool(0.5), rng.gen_bool(0.4), rng.gen_range(-1.0..1.0));
            let accepted = rng.gen_bool(if one == other { 0.05 } else { 0.3 });
            let features = [("a", Kind::Flag(one)), ("b", Kind::Flag(other)), ("noise", Kind::Number(noise))];
            row(at, "card", "", accepted, &features)
        })
        .collect()
}

fn auc(trained: &Trained) -> f64 {
    trained.report.test.as_ref().unwrap().auc.unwrap()
}

#[test]
fn trees_learn_what_no_sum_can() {
    let rows = exclusive(12_000, 1);
    let of = |kind| trained(&recipe(kind, "[trees]\ncount = 30\ndepth = 4"), rows.clone()).unwrap();
    assert!(auc(&of("logistic")) < 0.56, "{}", auc(&of("logistic")));
    for kind in ["tree", "forest"] {
        let trained = of(kind);
        assert_eq!(trained.model.kind(), ModelKind::Forest);
        let test = trained.report.test.as_ref().unwrap();
        assert!(auc(&trained) > 0.65 && test.calibration_error < 0.04, "{kind}: {test:?}");
    }
}

#[test]
fn rare_positives_still_grow_a_tree_and_honest_probabilities() {
    let rows: Vec<DecisionRow> = customers(20_000, "card", crate::synthetic::Truth { intercept: -4.1, ..TRUTH }, 2);
    let trained = trained(&recipe("tree", "[trees]\ndepth = 5"), rows).unwrap();
    let Scorer::Forest(forest) = &trained.model.heads[0].scorer else { panic!("it has trees") };
    assert!(forest.trees[0].nodes.len() > 8, "{} nodes", forest.trees[0].nodes.len());
    let (test, report) = (trained.report.test.as_ref().unwrap(), &trained.report);
    let rate = report.train_positives as f64 / report.train_rows as f64;
    assert!(rate < 0.05 && (test.mean_predicted - rate).abs() < 0.01, "{} for {rate}", test.mean_predicted);
    assert!(test.log_loss < test.log_loss_baseline, "{test:?}");
}

#[test]
fn every_kind_gives_the_same_bytes_again_and_reads_back_bit_for_bit() {
    let rows = customers(3_000, "card", TRUTH, 3);
    for kind in ["logistic", "ftrl", "tree", "forest"] {
        let recipe = recipe(kind, "[trees]\ncount = 9\ndepth = 5");
        let (first, second) = (trained(&recipe, rows.clone()).unwrap(), trained(&recipe, rows.clone()).unwrap());
        assert!(first.artifact == second.artifact, "{kind}");
        assert_eq!(artifact::read(&first.artifact).unwrap().model, first.model, "{kind}");
        assert!(auc(&first) > 0.65, "{kind}: {}", auc(&first));
    }
}

#[test]
fn ftrl_learns_what_logistic_regression_does() {
    let rows = customers(12_000, "card", TRUTH, 4);
    let of = |kind| auc(&trained(&recipe(kind, ""), rows.clone()).unwrap());
    let (logistic, ftrl) = (of("logistic"), of("ftrl"));
    assert!((logistic - ftrl).abs() < 0.005, "{logistic} and {ftrl}");
}

#[test]
fn a_calibration_is_what_the_recipe_says() {
    let rows = exclusive(6_000, 5);
    let of = |calibration: &str| {
        let recipe = recipe("forest", &format!("calibration = \"{calibration}\"\n[trees]\ncount = 9\ndepth = 3"));
        trained(&recipe, rows.clone()).unwrap().model.heads[0].calibration.clone()
    };
    assert_eq!(of("none"), Calibration::None);
    assert!(matches!(of("platt"), Calibration::Platt { .. }));
    assert!(matches!(of("isotonic"), Calibration::Isotonic(_)));
}

#[test]
fn every_tree_tells_its_progress() {
    let recipe = recipe("forest", "[trees]\ncount = 7\ndepth = 3");
    let mut dataset = tactful_models::Dataset::new(&recipe);
    exclusive(2_000, 6).into_iter().for_each(|row| dataset.push(row).unwrap());
    let mut calls = Vec::new();
    tactful_models::train(&recipe, dataset, crate::synthetic::LATER_MS, &mut |progress| {
        calls.push((progress.done, progress.total));
    })
    .unwrap();
    assert_eq!(calls, (1..=7).map(|done| (done, 7)).collect::<Vec<_>>());
}
