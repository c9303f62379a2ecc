//! Reports, cards and plots: what they say of models whose truth is known.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use tactful_models::{Error, PlotLink, Report, Trained, card, plots};
use tactful_proto::v1::{DecisionRow, value::Kind};

use crate::synthetic::{TRUTH, customers, recipe, row, trained};

fn whole() -> Trained {
    let mut rows = customers(3_000, "card|platinum", TRUTH, 21);
    rows.extend(customers(100, "loan", TRUTH, 22));
    trained(&recipe(""), rows).unwrap()
}

/// Rows whose answer follows `strong` and a little `weak`, whose `noise` says nothing.
fn graded(rows: usize, seed: u64) -> Vec<DecisionRow> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut draw = |at| {
        let [strong, weak, noise] = [0; 3].map(|_| rng.gen_range(-1.0..1.0));
        let accepted = rng.gen_bool(1.0 / (1.0 + f64::exp(-(2.5 * strong + 0.6 * weak))));
        let mut features = vec![("strong", Kind::Number(strong)), ("weak", Kind::Number(weak))];
        features.push(("noise", Kind::Number(noise)));
        let channel = if at % 3 == 0 { "app" } else { "web" };
        features.push(("context.channel", Kind::Text(channel.into())));
        row(at, "offer", "", accepted, &features)
    };
    (0..rows).map(&mut draw).collect()
}

#[test]
fn a_report_comes_back_from_json_as_it_was() {
    let report = whole().report;
    let json = serde_json::to_string(&report).unwrap();
    let back: Report = serde_json::from_str(&json).unwrap();
    // Numbers may come back a last digit off: what is shown of them is the same.
    assert_eq!((back.to_string(), card(&back, &[])), (report.to_string(), card(&report, &[])));
    assert_eq!(plots(&back), plots(&report));
    assert_eq!((back.inputs.len(), back.actions.len(), &back.lineage), (5, 2, &report.lineage));
    assert_eq!(back.check(), Ok(()));
    assert_eq!((back.kind.as_str(), back.format), ("logistic", 1));
    assert_eq!(back.calibrations.values().sum::<u64>(), 3);
}

#[test]
fn importance_ranks_inputs_as_the_truth_does() {
    let report = trained(&recipe(""), graded(6_000, 23)).unwrap().report;
    let ranked: Vec<&str> = report.inputs_by_importance().iter().map(|input| input.name.as_str()).collect();
    assert_eq!(ranked[..2], ["strong", "weak"]);
    let worth = |name: &str| report.inputs.iter().find(|input| input.name == name).unwrap().importance.unwrap();
    assert!(worth("strong").log_loss > 0.1 && worth("strong").auc.unwrap() > 0.15, "{:?}", worth("strong"));
    assert!(worth("noise").log_loss.abs() < 0.005, "{:?}", worth("noise"));
    assert_eq!(worth("noise").rows, 1_200);
}

#[test]
fn actions_and_channels_are_measured_on_their_own_rows() {
    let mut rows = graded(3_000, 24);
    rows.iter_mut().step_by(5).for_each(|row| row.channel = "shop".into());
    let report = trained(&recipe(""), rows).unwrap().report;
    let channels: Vec<&str> = report.channels.iter().map(|channel| channel.channel.as_str()).collect();
    assert_eq!(channels, ["web", "app", "shop"], "the row's own channel, else what the request told");
    let tested: u64 = report.channels.iter().map(|channel| channel.test_rows).sum();
    assert_eq!(tested, report.test_rows);
    for channel in &report.channels {
        let test = channel.test.as_ref().unwrap();
        assert!(test.auc.unwrap() > 0.75 && test.log_loss < test.log_loss_baseline, "{channel:?}");
    }
    let action = report.actions[0].test.as_ref().unwrap();
    assert_eq!((action.rows, action.auc), (600, report.test.as_ref().unwrap().auc));
}

#[test]
fn an_input_whose_population_moves_has_drifted_and_the_others_have_not() {
    let mut rows = graded(4_000, 25);
    for row in rows.iter_mut().skip(3_200) {
        let noise = row.features.get_mut("noise").unwrap();
        if let Some(Kind::Number(value)) = &mut noise.kind {
            *value = *value * 0.5 + 0.5;
        }
    }
    // A field that most of the latest rows lack.
    for (at, row) in rows.iter_mut().enumerate() {
        if at < 3_200 || at % 4 == 0 {
            row.features.insert("fading".into(), tactful_proto::v1::Value { kind: Some(Kind::Flag(at % 2 == 0)) });
        }
    }
    let report = trained(&recipe(""), rows).unwrap().report;
    let drifted: Vec<&str> = report.drifted_inputs().iter().map(|(input, _)| input.name.as_str()).collect();
    assert_eq!(drifted, ["fading", "noise"]);
    let fading = report.drifted_inputs()[0].1;
    assert!(fading.missing_train == 0.0 && (fading.missing_test - 0.75).abs() < 1e-9, "{fading:?}");
    let text = report.to_string();
    assert!(text.contains("drift of inputs: 2 of 5"), "{text}");
}

#[test]
fn the_card_holds_every_part() {
    let report = whole().report;
    let links = [PlotLink { title: "Calibration".into(), link: "may.calibration.svg".into() }];
    let card = card(&report, &links);
    for part in [
        "## Intended use",
        "## Data",
        "## Quality on the test part",
        "lift of the highest 10 %",
        "Calibration, in bins",
        "![Calibration](<may.calibration.svg>)",
        "## Actions",
        "## Inputs",
        "## Drift",
        "## Limits",
        "A straight line on the logit",
        "## Lineage",
        "| card platinum |",
    ] {
        assert!(card.contains(part), "{part} is not in\n{card}");
    }
    let columns = |line: &str| line.matches('|').count();
    let table: Vec<&str> =
        card.lines().skip_while(|line| !line.starts_with("| action ")).take_while(|line| !line.is_empty()).collect();
    assert!(table.len() == 4 && table.iter().all(|line| columns(line) == columns(table[0])), "{table:#?}");
}

#[test]
fn the_plots_are_pages_of_svg() {
    let report = whole().report;
    let drawn = plots(&report).unwrap();
    let names: Vec<&str> = drawn.iter().map(|plot| plot.name).collect();
    assert_eq!(names, ["calibration", "roc", "lift", "scores"]);
    for plot in &drawn {
        assert!(plot.svg.starts_with("<svg") && plot.svg.trim_end().ends_with("</svg>"), "{}", plot.name);
        for part in [plot.title.split(':').next().unwrap(), &report.version, "test rows"] {
            assert!(plot.svg.contains(part), "{part} is not in {}", plot.name);
        }
    }
    assert_eq!(plots(&report).unwrap(), drawn, "the same page again");
}

#[test]
fn without_a_test_part_there_is_nothing_to_draw_but_a_card() {
    let report = trained(&recipe("test_share = 0.0"), customers(1_000, "card", TRUTH, 26)).unwrap().report;
    assert_eq!(plots(&report), Ok(Vec::new()));
    assert!(card(&report, &[]).contains("nothing is measured"));
    assert!(report.to_string().contains("no test part"));
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap().to_string(), report.to_string());
}

#[test]
fn a_report_from_outside_is_checked_before_it_is_drawn() {
    let good = whole().report;
    type Damage = fn(&mut Report);
    let damages: [(&str, Damage); 8] = [
        ("format", |report| report.format = 2),
        ("model", |report| report.model = "<script>".into()),
        ("version", |report| report.version = "a b".into()),
        ("test.bins", |report| report.test.as_mut().unwrap().bins[0].predicted = -1e300),
        ("test.auc", |report| report.test.as_mut().unwrap().auc = Some(f64::NAN)),
        ("curves.roc", |report| report.curves.as_mut().unwrap().roc[0].true_positive_rate = f64::INFINITY),
        ("curves.lift", |report| report.curves.as_mut().unwrap().lift[0].lift = 1e300),
        ("curves.scores", |report| report.curves.as_mut().unwrap().scores[0].to = 0.0),
    ];
    for (part, damage) in damages {
        let mut report = good.clone();
        damage(&mut report);
        let Err(Error::Report(reason)) = plots(&report) else { panic!("{part} was drawn") };
        assert!(reason.contains(part), "{part}: {reason}");
    }
    let mut long = good;
    let bars = &mut long.curves.as_mut().unwrap().scores;
    *bars = vec![bars[0]; 100_000];
    assert!(plots(&long).is_err());
}

/// Rows of two actions drawn with chance 0.3 and 0.7: one is wanted by those with `x` above 0, the other by
/// the rest. Returns them with the mean acceptance that the best choice would have had in the last fifth.
fn explored(rows: usize, seed: u64) -> (Vec<DecisionRow>, f64) {
    let mut rng = Pcg64::seed_from_u64(seed);
    let (mut all, mut best) = (Vec::new(), 0.0);
    for at in 0..rows {
        let x = rng.gen_range(-1.0..1.0);
        let accepts = |action: &str| if (action == "up") == (x > 0.0) { 0.5 } else { 0.1 };
        let (action, chance) = if rng.gen_bool(0.3) { ("up", 0.3) } else { ("down", 0.7) };
        let accepted = rng.gen_bool(accepts(action));
        let mut drawn = row(at, action, "", accepted, &[("x", Kind::Number(x))]);
        drawn.selection_probability = chance;
        drawn.placement = "home".into();
        all.push(drawn);
        best += if at >= rows * 4 / 5 { accepts("up").max(accepts("down")) } else { 0.0 };
    }
    (all, best / (rows as f64 / 5.0))
}

#[test]
fn the_policy_is_worth_what_it_would_have_got() {
    let (rows, truth) = explored(10_000, 31);
    let report = trained(&recipe(""), rows).unwrap().report;
    let value = report.policy_value.as_ref().unwrap();
    assert_eq!((value.decisions, value.measured, value.warnings.len()), (2_000, 2_000, 0), "{value:?}");
    for (name, interval) in [("ips", value.ips.unwrap()), ("snips", value.snips.unwrap())] {
        // The model hardly errs about who wants what, so that it is about as good as the best choice.
        assert!(interval.low < truth && truth < interval.high + 0.01, "{name}: {interval:?}, truth {truth}");
        assert!(interval.high - interval.low < 0.15, "{name}: {interval:?}");
    }
    assert!((value.logged.value - 0.3).abs() < 0.04 && value.difference.unwrap().low > 0.1, "{value:?}");
    assert!((value.mean_weight - 1.0).abs() < 0.1 && (value.agreement - 0.5).abs() < 0.05, "{value:?}");
    let text = report.to_string();
    assert!(text.contains("this model, SNIPS") && text.contains("as recorded"), "{text}");
    assert!(card(&report, &[]).contains("if all these actions were allowed"));
}

#[test]
fn without_exploration_no_number_is_given() {
    let (mut rows, _) = explored(3_000, 32);
    rows.iter_mut().for_each(|row| row.selection_probability = 1.0);
    let report = trained(&recipe(""), rows.clone()).unwrap().report;
    let value = report.policy_value.as_ref().unwrap();
    assert!(value.ips.is_none() && value.snips.is_none() && value.difference.is_none(), "{value:?}");
    assert!(value.warnings[0].contains("no overlap"), "{value:?}");
    assert!(report.to_string().contains("warning: no overlap") && card(&report, &[]).contains("| no overlap |"));
    for chance in [0.0, f64::NAN, 2.0, -0.5] {
        rows.iter_mut().for_each(|row| row.selection_probability = chance);
        assert_eq!(trained(&recipe(""), rows.clone()).unwrap().report.policy_value, None, "{chance}");
    }
}

#[test]
fn silence_counts_and_later_slots_do_not() {
    let (mut rows, _) = explored(5_000, 33);
    for (at, row) in rows.iter_mut().enumerate() {
        if at % 10 == 0 {
            // Half of the silences were certain: no policy could have shown anything.
            row.action_id = "none".into();
            row.outcomes.clear();
            row.selection_probability = if at % 20 == 0 { 1.0 } else { 0.5 };
        } else if at % 10 == 1 {
            row.slot = 1;
        }
    }
    let report = trained(&recipe(""), rows).unwrap().report;
    let value = report.policy_value.unwrap();
    // The last fifth of the 4,500 rows that are no silence, less the later slots, and the silences since then.
    assert!((795..=805).contains(&(value.decisions - 100)), "{value:?}");
    assert!(value.unsupported == 0.0 && value.agreement > 0.45, "{value:?}");
    let (ips, logged) = (value.ips.unwrap(), value.logged.value);
    assert!(ips.value > logged && ips.value < 0.5, "a tenth of the decisions earns nothing: {ips:?}");
}

/// Digits, signs and commas of a report changed at random: what still reads is shown and drawn, or refused.
#[test]
fn a_damaged_report_never_ends_the_process() {
    let json = serde_json::to_string(&whole().report).unwrap().into_bytes();
    let mut rng = Pcg64::seed_from_u64(41);
    let (mut read, mut drawn) = (0, 0);
    for _ in 0..1_500 {
        let mut bytes = json.clone();
        for _ in 0..rng.gen_range(1..4) {
            let at = rng.gen_range(0..bytes.len());
            let at = bytes[at..].iter().position(u8::is_ascii_digit).map_or(0, |next| at + next);
            match rng.gen_range(0..4) {
                0 => bytes[at] = b"0123456789.-e"[rng.gen_range(0..13)],
                1 => drop(bytes.splice(at..at, *b"9999999999")),
                2 => drop(bytes.splice(at..at, *b"1e-300,")),
                _ => drop(bytes.splice(at..=at, *b"7e-310")),
            }
        }
        let Ok(report) = serde_json::from_slice::<Report>(&bytes) else { continue };
        read += 1;
        drawn += usize::from(plots(&report).is_ok());
        assert!(!card(&report, &[]).is_empty() && !report.to_string().is_empty());
    }
    assert!(read > 300 && drawn > 100, "{read} read, {drawn} drawn");
}

#[test]
fn the_smallest_scores_are_drawn_too() {
    let mut report = whole().report;
    for top in [1e-6, 1e-12, 1e-300, f64::MIN_POSITIVE] {
        for (at, bar) in report.curves.as_mut().unwrap().scores.iter_mut().enumerate() {
            (bar.from, bar.to) = (at as f64 / 20.0 * top, (at + 1) as f64 / 20.0 * top);
        }
        let drawn = plots(&report);
        assert!(drawn.is_ok_and(|drawn| drawn.len() == 4), "{top}");
    }
}
