//! What training learns, leaves out, reports and refuses.

use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_pcg::Pcg64;
use tactful_core::score::{Column, Model, Scope, Scorer};
use tactful_models::{Error, Trained, artifact, card};
use tactful_proto::v1::{DecisionRow, OutcomeType, value::Kind};

use crate::synthetic::{LATER_MS, START_S, TRUTH, Truth, customers, recipe, row, trained, trained_at};

/// Weight of the column that holds a number, or a category's word, in one head.
fn weight(model: &Model, head: usize, name: &str, word: Option<&str>) -> f64 {
    let wanted = |column: &Column| match (column, word) {
        (Column::Number { input, .. }, None) => model.inputs[*input].name == name,
        (Column::Category { input, category }, Some(word)) => match &model.inputs[*input].kind {
            tactful_core::layout::FieldKind::Category(words) => {
                model.inputs[*input].name == name && words[*category as usize] == word
            }
            _ => false,
        },
        _ => false,
    };
    let column = model.columns.iter().position(wanted).expect("the column exists");
    let Scorer::Linear(linear) = &model.heads[head].scorer else { panic!("the head is linear") };
    f64::from(linear.weights[column])
}

fn head_of<'a>(trained: &'a Trained, action: &str) -> &'a str {
    &trained.report.actions.iter().find(|report| report.action == action).expect("the action is reported").head
}

#[test]
fn known_coefficients_are_recovered_on_unscaled_inputs() {
    let trained =
        trained(&recipe("test_share = 0.0\nmin_rows_per_action = 100000"), customers(12_000, "card", TRUTH, 1))
            .unwrap();
    let model = &trained.model;
    let near = |found: f64, truth: f64, error: f64| assert!((found - truth).abs() < error, "{found} for {truth}");
    near(weight(model, 0, "customer.age", None), TRUTH.age, 0.005);
    near(weight(model, 0, "customer.spend", None), TRUTH.spend, 2.5e-7);
    near(weight(model, 0, "customer.loyal", None), TRUTH.loyal, 0.15);
    near(weight(model, 0, "customer.tenure", None), 0.0, 0.025);
    let channel = |word| weight(model, 0, "context.channel", Some(word));
    near(channel("app") - channel("web"), TRUTH.channel, 0.15);
    near(channel("web") - channel("shop"), TRUTH.channel, 0.15);
}

#[test]
fn rare_responders_are_not_flipped() {
    let truth = Truth { intercept: -4.1, age: 0.05, spend: 3e-6, ..TRUTH };
    let rows = customers(20_000, "card", truth, 2);
    let trained = trained(&recipe("min_rows_per_action = 100000"), rows).unwrap();
    let report = &trained.report;
    let rate = report.train_positives as f64 / report.train_rows as f64;
    assert!((0.02..0.06).contains(&rate), "the case is not the one meant: {rate}");
    let test = report.test.as_ref().unwrap();
    assert!(test.auc.unwrap() > 0.7, "{test:?}");
    assert!((test.mean_predicted - rate).abs() < 0.005, "{} predicted, {rate} true", test.mean_predicted);
    assert!(test.log_loss < test.log_loss_baseline && test.calibration_error < 0.01, "{test:?}");
}

#[test]
fn heads_back_off_from_action_to_group_to_all() {
    let mut rows = customers(3_000, "card", TRUTH, 3);
    rows.extend(customers(90, "loan", TRUTH, 4));
    rows.extend(customers(90, "advice", TRUTH, 5).into_iter().map(|row| DecisionRow { group: "help".into(), ..row }));
    rows.extend(customers(500, "none", TRUTH, 6));
    let trained = trained(&recipe("test_share = 0.0"), rows).unwrap();
    assert_eq!(["card", "loan", "advice"].map(|action| head_of(&trained, action)), ["action", "group", "global"]);
    let scopes: Vec<(Scope, &str, u64)> =
        trained.model.heads.iter().map(|head| (head.scope, head.id.as_str(), head.rows)).collect();
    assert_eq!(scopes, [(Scope::Action, "card", 3_000), (Scope::Group, "offers", 3_090), (Scope::Global, "", 3_180)]);
    assert_eq!(trained.report.left_out.excluded_action, 500);
}

#[test]
fn rows_with_an_open_window_are_left_out() {
    let now_ms = (START_S + 1_000 * 60 + 7 * 86_400) * 1_000;
    let mut rows = customers(2_000, "card", TRUTH, 7);
    // Of the young rows the silent are left out; an explicit answer is known before the window ends.
    let silent = rows[1_001..].iter().filter(|row| row.outcomes.is_empty()).count() as u64;
    let accepted = 999 - silent;
    let report = trained_at(&recipe(""), rows.clone(), now_ms).unwrap().report;
    assert_eq!((report.left_out.window_open, report.answered_early), (silent, accepted));
    assert_eq!(report.train_rows + report.test_rows + silent, 2_000);
    assert!(report.to_string().contains(&format!("{silent}  window still open")), "{report}");

    for row in &mut rows[1_001..] {
        let mut outcome = rows_outcome();
        outcome.occur_time = row.decision_time;
        row.outcomes.push(outcome);
    }
    assert_eq!(trained_at(&recipe(""), rows.clone(), now_ms).unwrap().report.left_out.window_open, 0);
    let waiting = trained_at(&recipe("[reward]\nwait_for_window = true"), rows, now_ms).unwrap().report;
    assert_eq!((waiting.left_out.window_open, waiting.answered_early), (999, 0));
}

fn rows_outcome() -> tactful_proto::v1::Outcome {
    tactful_proto::v1::Outcome { r#type: OutcomeType::Rejected.into(), ..Default::default() }
}

#[test]
fn the_test_part_is_the_latest_and_does_not_train() {
    let mut rows = customers(1_000, "card", TRUTH, 8);
    rows.extend(customers(1_000, "card", Truth { intercept: 2.0, ..TRUTH }, 9).into_iter().map(|mut row| {
        row.decision_time.as_mut().unwrap().seconds += 100_000;
        row.outcomes.iter_mut().for_each(|outcome| outcome.occur_time.as_mut().unwrap().seconds += 100_000);
        row
    }));
    rows.shuffle(&mut Pcg64::seed_from_u64(10));
    let report = trained(&recipe("test_share = 0.5"), rows).unwrap().report;
    assert_eq!((report.train_rows, report.test_rows), (1_000, 1_000));
    assert!(report.lineage.last_decision_ms < (START_S + 100_000) * 1_000);
    let drift = report.drift.unwrap();
    assert!(drift.drifted && drift.standard_errors > 5.0, "{drift:?}");
    assert!(report.to_string().contains("drift:"), "{report}");
}

#[test]
fn the_same_rows_give_the_same_bytes_in_any_order() {
    let mut rows = customers(2_000, "card", TRUTH, 11);
    rows.extend(customers(2_000, "loan", TRUTH, 12));
    // All at one moment: only the rows themselves can order them.
    rows.iter_mut().for_each(|row| row.decision_time = Some(prost_types::Timestamp { seconds: START_S, nanos: 0 }));
    let first = trained(&recipe(""), rows.clone()).unwrap();
    rows.shuffle(&mut Pcg64::seed_from_u64(13));
    let second = trained(&recipe(""), rows.clone()).unwrap();
    assert!(first.artifact == second.artifact && first.report == second.report);
    let reseeded = trained(&recipe("seed = 2"), rows).unwrap();
    assert_eq!(first.model.heads, reseeded.model.heads);
    assert_ne!(first.artifact, reseeded.artifact);
}

#[test]
fn the_artifact_gives_back_the_model_bit_for_bit() {
    let trained = trained(&recipe("golden_rows = 30"), customers(2_000, "card", TRUTH, 14)).unwrap();
    let loaded = artifact::read(&trained.artifact).unwrap();
    assert_eq!(loaded.model, trained.model);
    assert_eq!(loaded.model.version, artifact::hex(&loaded.sha256[..8]));
    assert_eq!(loaded.lineage, trained.report.lineage);
    assert_eq!(loaded.metrics["auc"], trained.report.test.unwrap().auc.unwrap());
    assert_eq!(loaded.golden_rows.len(), 30);
    let heads: std::collections::BTreeSet<usize> = loaded.golden_rows.iter().map(|row| row.head).collect();
    assert_eq!(heads.len(), loaded.model.heads.len());
    assert!(loaded.golden_rows.iter().any(|row| row.inputs.iter().all(|input| input.is_nan())));
}

#[test]
fn a_missing_number_is_filled_with_the_training_mean_and_marked() {
    // Customers with an unknown income accept far more often than any known income would say.
    let mut rng = Pcg64::seed_from_u64(15);
    let rows = (0..4_000)
        .map(|at| {
            let known = rng.gen_bool(0.5);
            let income = [("income", Kind::Number(rng.gen_range(10.0..50.0)))];
            let accepted = rng.gen_bool(if known { 0.2 } else { 0.7 });
            row(at, "card", "", accepted, if known { &income } else { &[] })
        })
        .collect();
    let model = trained(&recipe("test_share = 0.0"), rows).unwrap().model;
    let Column::Number { fill, .. } = model.columns[0] else { panic!("{:?}", model.columns) };
    assert!((fill - 30.0).abs() < 1.0, "{fill}");
    assert_eq!(model.columns[1], Column::Missing { input: 0 });
    let (unknown, known) = (model.probability(0, &[f32::NAN]), model.probability(0, &[30.0]));
    assert!((unknown - 0.7).abs() < 0.03 && (known - 0.2).abs() < 0.03, "{unknown} {known}");
}

#[test]
fn what_lies_beyond_the_training_rows_counts_as_their_edge() {
    // Acceptance rises by the minute; nobody has waited for longer than half an hour.
    let mut rng = Pcg64::seed_from_u64(16);
    let rows = (0..4_000)
        .map(|at| {
            let minutes: f64 = rng.gen_range(0.0..30.0);
            row(at, "card", "", rng.gen_bool(minutes / 60.0), &[("income", Kind::Number(minutes))])
        })
        .collect();
    let model = trained(&recipe("test_share = 0.0"), rows).unwrap().model;
    let Column::Number { low, high, .. } = model.columns[0] else { panic!("{:?}", model.columns) };
    assert!(low < 0.5 && (29.5..=30.0).contains(&high), "{low} to {high}");
    let probability = |minutes: f32| model.probability(0, &[minutes]);
    assert!(probability(29.0) < 0.7 && probability(29.0) > probability(10.0));
    assert_eq!((probability(1e6), probability(-1e6)), (probability(high), probability(low)));
}

#[test]
fn without_inputs_heads_give_the_share_of_positives() {
    let rows = (0..1_000).map(|at| row(at, "card", "", at % 4 == 0, &[("constant", Kind::Number(3.0))])).collect();
    let trained = trained(&recipe("test_share = 0.0"), rows).unwrap();
    assert!(trained.model.columns.is_empty());
    assert_eq!(trained.report.dropped_inputs[0].name, "constant");
    assert!((trained.model.probability(0, &[]) - 0.25).abs() < 1e-6);
}

#[test]
fn an_unknown_feature_is_named_with_what_was_meant() {
    let refused = trained(&recipe("features = [\"customer.agee\"]"), customers(500, "card", TRUTH, 16)).unwrap_err();
    assert_eq!(refused.to_string(), "recipe: no row has the feature customer.agee: did you mean customer.age?");
}

#[test]
fn nothing_to_learn_from_says_why() {
    let none = trained(&recipe(""), Vec::new()).unwrap_err();
    assert_eq!(none.to_string(), "no rows to train on: the record is empty");
    let silent = |count| (0..count).map(|at| row(at, "card", "", false, &[])).collect::<Vec<_>>();
    let open = trained_at(&recipe(""), silent(7), START_S * 1_000).unwrap_err();
    assert_eq!(open.to_string(), "no rows to train on: all 7 rows are left out: 7 window still open");
    let one_class = trained(&recipe("test_share = 0.0"), silent(7)).unwrap_err();
    assert_eq!(one_class, Error::OneClass { rows: 7, positives: 0 });
}

#[test]
fn the_last_row_is_not_lost_to_the_test_part() {
    let rows = vec![row(0, "card", "", true, &[]), row(1, "card", "", false, &[])];
    assert_eq!(trained(&recipe("test_share = 0.99"), rows).unwrap_err(), Error::OneClass { rows: 1, positives: 1 });
}

#[test]
fn a_model_that_single_precision_cannot_hold_is_refused() {
    // 240 deviations from zero and a weight of 20 per deviation: the roundings exceed the tolerance.
    let mut rng = Pcg64::seed_from_u64(19);
    let rows = (0..2_000)
        .map(|at| {
            let x: f64 = rng.gen_range(-1.7..1.7);
            row(at, "card", "", rng.gen_bool(1.0 / (1.0 + f64::exp(-20.0 * x))), &[("year", Kind::Number(240.0 + x))])
        })
        .collect();
    let refused = trained(&recipe("l2 = 0.001\ngolden_rows = 4096"), rows).unwrap_err();
    assert!(matches!(&refused, Error::Mismatch { suspect: Some(input), .. } if input == "year"), "{refused}");
}

#[test]
fn the_report_is_a_table_json_and_a_card() {
    let mut rows = customers(3_000, "card|platinum", TRUTH, 17);
    rows.extend(customers(100, "loan", TRUTH, 18));
    let mut calls = Vec::new();
    let recipe = recipe("");
    let mut dataset = tactful_models::Dataset::new(&recipe);
    rows.into_iter().for_each(|row| dataset.push(row).unwrap());
    let trained = tactful_models::train(&recipe, dataset, LATER_MS, &mut |progress| {
        calls.push((progress.done, progress.total, progress.id.to_owned()));
    })
    .unwrap();
    assert_eq!(calls.last(), Some(&(3, 3, String::new())));
    let table = trained.report.to_string();
    assert!(table.contains("card|platinum") && table.contains("AUC") && table.contains("group"), "{table}");
    let json = serde_json::to_value(&trained.report).unwrap();
    assert_eq!(json["actions"][0]["action"], "card|platinum");
    assert_eq!(json["test"]["rows"], 620);
    assert!(json["test"]["bins"].as_array().is_some_and(|bins| bins.len() > 5));
    let card = card(&trained.report, &[]);
    assert!(card.starts_with(&format!("# Model card: acceptance {}", trained.model.version)), "{card}");
    assert!(card.contains("| card platinum |") && card.contains("## Limits"), "{card}");
}
