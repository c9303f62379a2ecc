//! The traps of linfa's logistic regression, each shown in linfa itself and closed here. A trap
//! that linfa closes in a later version fails its test, which is then to be read again.

use linfa::traits::Fit;
use linfa::{Dataset as Rows, DatasetBase};
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use tactful_core::score::Model;
use tactful_models::{Error, artifact};
use tactful_proto::v1::{DecisionRow, value::Kind};

use crate::synthetic::{TRUTH, Truth, customers, recipe, row, trained};

/// One number per row, and whether it was accepted: more often the greater the number.
fn numbers(count: usize, intercept: f64, seed: u64) -> Vec<(f64, bool)> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut draw = || {
        let x = rng.gen_range(-2.0..2.0);
        (x, rng.gen_bool(1.0 / (1.0 + f64::exp(-(intercept + 1.5 * x)))))
    };
    (0..count).map(|_| draw()).collect()
}

fn in_linfa(rows: &[(f64, bool)]) -> Rows<f64, bool, ndarray::Ix1> {
    let x = Array2::from_shape_vec((rows.len(), 1), rows.iter().map(|(x, _)| *x).collect()).unwrap();
    Rows::new(x, rows.iter().map(|(_, accepted)| *accepted).collect::<Array1<bool>>())
}

fn here(rows: &[(f64, bool)], scale: f64) -> Vec<DecisionRow> {
    let row =
        |(at, (x, accepted)): (usize, &(f64, bool))| row(at, "card", "", *accepted, &[("x", Kind::Number(x * scale))]);
    rows.iter().enumerate().map(row).collect()
}

fn model_of(rows: Vec<DecisionRow>) -> Model {
    trained(&recipe("test_share = 0.0\nmin_rows_per_action = 1\nmin_positives_per_action = 1"), rows).unwrap().model
}

#[test]
fn the_positive_class_of_linfa_is_the_majority_and_never_ours() {
    for (intercept, majority) in [(-4.0, false), (4.0, true)] {
        let rows = numbers(5_000, intercept, 1);
        let linfa = LogisticRegression::default().fit(&in_linfa(&rows)).unwrap();
        assert_eq!(linfa.labels().pos.class, majority);
        let model = model_of(here(&rows, 1.0));
        let (low, high) = (model.probability(0, &[-2.0]), model.probability(0, &[2.0]));
        assert!(low < high, "the greater number accepts more often: {low} {high}");
        let rate = rows.iter().filter(|(_, accepted)| *accepted).count() as f64 / 5_000.0;
        let mean = rows.iter().map(|(x, _)| f64::from(model.probability(0, &[*x as f32]))).sum::<f64>() / 5_000.0;
        assert!((mean - rate).abs() < 0.002, "{mean} predicted, {rate} true");
    }
}

#[test]
fn linfa_refuses_nan_and_gets_none() {
    let mut rows = numbers(500, 0.0, 2);
    rows[3].0 = f64::NAN;
    assert!(LogisticRegression::default().fit(&in_linfa(&rows)).is_err());
    let model = model_of(here(&rows, 1.0));
    assert!(model.probability(0, &[f32::NAN]).is_finite());
}

#[test]
fn linfa_panics_on_a_wrong_width_and_the_artifact_is_refused() {
    let rows = numbers(500, 0.0, 3);
    let linfa = LogisticRegression::default().fit(&in_linfa(&rows)).unwrap();
    let wide = std::panic::catch_unwind(|| linfa.predict_probabilities(&Array2::<f64>::zeros((1, 2))));
    assert!(wide.is_err());
    let bytes = trained(&recipe(""), here(&rows, 1.0)).unwrap().artifact;
    let refused = crate::damaged::resigned(&bytes, |model| model.golden_rows[0].inputs.push(0.0));
    assert!(artifact::read(&refused).unwrap_err().to_string().contains("golden row 0 has 2 inputs"));
}

#[test]
fn the_scale_of_a_column_changes_nothing_but_its_weight() {
    let rows = numbers(5_000, -1.0, 4);
    let (plain, scaled, tiny) = (model_of(here(&rows, 1.0)), model_of(here(&rows, 1e6)), model_of(here(&rows, 1e-6)));
    for x in [-2.0f32, -0.3, 0.0, 1.7] {
        let expected = plain.probability(0, &[x]);
        assert!((scaled.probability(0, &[x * 1e6]) - expected).abs() < 1e-5);
        assert!((tiny.probability(0, &[x * 1e-6]) - expected).abs() < 1e-5);
    }
}

#[test]
fn linfa_refuses_one_class_and_such_an_action_has_no_head() {
    let sure: Vec<(f64, bool)> = (0..300).map(|at| (f64::from(at), true)).collect();
    assert!(LogisticRegression::default().fit(&in_linfa(&sure)).is_err());
    let mut rows = customers(1_000, "card", TRUTH, 5);
    rows.extend(customers(300, "gift", Truth { intercept: 60.0, ..TRUTH }, 6));
    let report = trained(&recipe("test_share = 0.0"), rows).unwrap().report;
    let gift = report.actions.iter().find(|action| action.action == "gift").unwrap();
    assert_eq!((gift.head.as_str(), gift.positives), ("group", 300));
    assert_eq!((report.failed_heads[0].id.as_str(), report.failed_heads[0].scope.as_str()), ("gift", "action"));
}

#[test]
fn linfa_says_nothing_of_convergence_and_a_half_fitted_head_is_refused() {
    let rows = numbers(2_000, -1.0, 7);
    assert!(LogisticRegression::default().max_iterations(1).fit(&in_linfa(&rows)).is_ok());
    let mut rows = customers(2_000, "card", TRUTH, 7);
    rows.truncate(2_000);
    let refused = trained(&recipe("max_iterations = 1"), rows).unwrap_err();
    assert!(matches!(&refused, Error::NoHead { reason } if reason.contains("not converged")), "{refused}");
}

#[test]
fn linfa_ignores_row_weights_so_none_are_offered() {
    let rows = numbers(500, 0.0, 8);
    let plain: DatasetBase<_, _> = in_linfa(&rows);
    let weights = (0..500).map(|at| if at % 2 == 0 { 9.0 } else { 0.1 }).collect::<Array1<f32>>();
    let weighted = in_linfa(&rows).with_weights(weights);
    let fit = |data: &Rows<f64, bool, ndarray::Ix1>| LogisticRegression::default().fit(data).unwrap();
    assert_eq!(fit(&plain).params(), fit(&weighted).params());
    // The selection probability of a row does not weigh it either.
    let even = model_of(here(&rows, 1.0));
    let mut uneven = here(&rows, 1.0);
    uneven.iter_mut().step_by(3).for_each(|row| row.selection_probability = 0.001);
    assert_eq!(even.heads, model_of(uneven).heads);
}

#[test]
fn a_start_that_is_already_the_optimum_is_fitted() {
    // Balanced and unrelated: the gradient at linfa's start, all zeros, is zero.
    let rows: Vec<(f64, bool)> = (0..400).map(|at| (if at % 2 == 0 { 1.0 } else { -1.0 }, at / 2 % 2 == 0)).collect();
    let model = model_of(here(&rows, 1.0));
    assert!((model.probability(0, &[1.0]) - 0.5).abs() < 1e-6);
}

#[test]
fn separated_classes_stay_finite() {
    let rows: Vec<(f64, bool)> = (0..400).map(|at| (f64::from(at - 200) + 0.5, at >= 200)).collect();
    let model = model_of(here(&rows, 1.0));
    assert!(model.probability(0, &[-199.5]) < 0.01 && model.probability(0, &[199.5]) > 0.99);
}
