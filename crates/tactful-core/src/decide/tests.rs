//! The decision on small catalogues, and against a slow obvious oracle on random ones.

use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;
use crate::layout::FieldKind;
use crate::ruleset::Ruleset;
use crate::score::{Calibration, Column, Head, Linear, Model, ModelInput, Scope, Scorer};
use crate::state::{CustomerView, Value};

const NOW: i64 = 1_780_000_000_000;

const BASE: &str = r#"
company = "Test"
purpose = [{ name = "marketing", default = "allowed" }, { name = "third_party", default = "denied" }]
channel = [{ id = "web" }, { id = "agent" }]
placement = [
  { id = "hero", channel = "web", fallback = { title = "Welcome" } },
  { id = "side", channel = "web", count = 2, interruption_cost = 1.0, fallback = { title = "Hello" } },
  { id = "desk", channel = "agent", fallback = { title = "Listen" } },
]
feature = [
  { name = "age", aggregate = "last", trait = "age" },
  { name = "plan", aggregate = "last", trait = "plan", vocabulary = ["small", "large"] },
]
context = [{ name = "intent", type = "category", vocabulary = ["buy", "help"] }, { name = "basket", type = "number" }]
weight = [{ id = "buying", when = "context.intent == 'buy'", factor = 2.0, message = "you are shopping", applies_to = { groups = ["offers"] } }]
"#;

fn action(id: &str, extra: &str) -> String {
    format!(
        "[[action]]\nid = {id:?}\ntitle = {id:?}\nissue = \"i\"\ngroup = \"offers\"\nkind = \"sell\"\nowner = \"o\"\ntopic = \"t\"\n\
         tone = \"n\"\nintensity = 1\nvalue = 10.0\nstart_acceptance = 0.5\n\
         treatment = [{{ channel = \"web\", content = {{ title = {id:?} }} }}]\n{extra}\n"
    )
}

fn ruleset(actions: &[String]) -> Ruleset {
    let catalog: Catalog = toml::from_str(&format!("{BASE}\n{}", actions.join("\n"))).unwrap();
    Ruleset::compile(&catalog).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn three() -> Ruleset {
    ruleset(&[
        action(
            "plain",
            "eligibility = [\"customer.age >= 18\"]\nreasons = [\"you are {customer.age}\", { text = \"a senior\", when = \"customer.age >= 60\" }]",
        ),
        action(
            "best",
            "lever = 2.0\nsuitability = [{ block = \"customer.plan == 'small'\", when_unknown = \"pass\", message = \"too much for a small plan\" }]",
        ),
        action("cheap", "lever = 0.1"),
    ])
}

fn text<'a>(placements: &[(&'a str, i64)]) -> RequestText<'a> {
    RequestText { subject_id: "customer:1", placements: placements.to_vec(), ..RequestText::default() }
}

fn decided(ruleset: &Ruleset, text: &RequestText<'_>) -> Decision {
    let request = Request::resolve(ruleset, text).unwrap();
    decide(ruleset, &CustomerView::unknown(&ruleset.schema), &request, NOW, 7)
}

fn shown<'a>(ruleset: &'a Ruleset, decision: &Decision) -> Vec<Vec<&'a str>> {
    let ids =
        |placement: &PlacementDecision| placement.shown.iter().map(|s| ruleset.actions[s.action].id.as_str()).collect();
    decision.placements.iter().map(ids).collect()
}

#[test]
fn an_unknown_customer_is_a_cold_start_and_missing_requirements_drop() {
    let ruleset = three();
    let decision = decided(&ruleset, &text(&[("hero", 3)]));
    assert!(decision.cold_start);
    assert_eq!(shown(&ruleset, &decision), [["best", "cheap"]]);
    assert_eq!(decision.placements[0].shown[0].scored.priority, 0.5 * 10.0 * 1.0 * 2.0);
}

#[test]
fn overrides_and_context_count_and_every_factor_is_visible() {
    let ruleset = three();
    let mut request = text(&[("hero", 3)]);
    request.overrides = vec![("age", Value::Number(30.0)), ("plan", Value::Text("small"))];
    request.context = vec![("intent", Value::Text("buy"))];
    request.explain = Explain::Reasons;
    let decision = decided(&ruleset, &request);
    assert_eq!(shown(&ruleset, &decision), [["plain", "cheap"]]);
    let plain = &decision.placements[0].shown[0];
    assert_eq!(
        (plain.scored.acceptance, plain.scored.value, plain.scored.context, plain.scored.lever),
        (0.5, 10.0, 2.0, 1.0)
    );
    assert_eq!(plain.reasons, ["you are 30", "you are shopping"]);
    let loser = decision.traces.iter().find(|trace| ruleset.actions[trace.action].id == "best").unwrap();
    assert_eq!((loser.stage, loser.detail.as_str()), (Stage::Suitability, "too much for a small plan"));
    assert_eq!(ruleset.rules[loser.rule.unwrap()].id, "best.suitability[0]");
}

#[test]
fn no_action_is_shown_in_two_placements_and_earlier_ones_choose_first() {
    let ruleset = three();
    let decision = decided(&ruleset, &text(&[("hero", 1), ("side", 2)]));
    assert_eq!(shown(&ruleset, &decision), [vec!["best"], vec![]]);
    assert_eq!(decision.placements[1].reason, PlacementReason::NoAction, "cheap scores 0.5, the interruption costs 1");
}

#[test]
fn a_placement_without_candidates_falls_back() {
    let ruleset = three();
    let decision = decided(&ruleset, &text(&[("desk", 1)]));
    assert_eq!(decision.placements[0].reason, PlacementReason::Fallback);
}

#[test]
fn candidates_exclusions_validity_and_purposes_are_explained() {
    let ruleset = ruleset(&[
        action("a", ""),
        action("b", ""),
        action("c", "valid_until = \"2020-01-01T00:00:00Z\""),
        action("d", "purpose = \"third_party\""),
        action("e", ""),
    ]);
    let mut request = text(&[("hero", 5)]);
    request.candidates = vec!["b", "c", "d", "e", "gone"];
    request.excluded = vec!["e"];
    request.explain = Explain::Full;
    let decision = decided(&ruleset, &request);
    assert_eq!(shown(&ruleset, &decision), [["b"]]);
    let mut stages: Vec<(&str, Stage)> =
        decision.traces.iter().map(|t| (ruleset.actions[t.action].id.as_str(), t.stage)).collect();
    stages.sort_unstable();
    let wanted = [
        ("a", Stage::Candidate),
        ("b", Stage::Shown),
        ("c", Stage::Validity),
        ("d", Stage::Purpose),
        ("e", Stage::Candidate),
    ];
    assert_eq!(stages, wanted);
    assert_eq!(decision.skipped, [Skipped { action: "gone".into(), reason: SkipReason::UnknownAction }]);
}

#[test]
fn bad_requests_name_every_field() {
    let ruleset = three();
    let long = "x".repeat(129);
    let many: Vec<&str> = vec!["a"; 100_000];
    let request = RequestText {
        subject_id: &long,
        placements: vec![("heroo", 1), ("hero", -1), ("side", 21), ("side", 1)],
        context: vec![
            ("intent", Value::Text("dance")),
            ("basket", Value::Number(f64::NAN)),
            ("baskett", Value::Number(1.0)),
        ],
        overrides: vec![("age", Value::Number(f64::INFINITY)), ("plan", Value::Flag(true))],
        candidates: many,
        ..RequestText::default()
    };
    let errors = Request::resolve(&ruleset, &request).unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    let wanted = [
        "subject_id",
        "placements[0].placement",
        "placements[1].count",
        "placements[2].count",
        "placements[3].placement",
        "context[\"intent\"]",
        "context[\"basket\"]",
        "context[\"baskett\"]",
        "profile_overrides[\"age\"]",
        "profile_overrides[\"plan\"]",
        "candidate_actions",
    ];
    assert_eq!(fields, wanted);
    assert!(errors[1].not_found && errors[1].message.contains("did you mean hero?"), "{}", errors[1].message);
    assert!(errors[7].message.contains("context.basket"), "{}", errors[7].message);
    let empty = Request::resolve(&ruleset, &RequestText::default()).unwrap_err();
    assert_eq!(empty.iter().map(|e| e.field.as_str()).collect::<Vec<_>>(), ["subject_id", "placements"]);
}

fn model(heads: Vec<Head>) -> Model {
    let plan = FieldKind::Category(vec!["small".into(), "large".into()]);
    Model {
        name: "acceptance".into(),
        version: "v1".into(),
        inputs: vec![
            ModelInput { name: "customer.age".into(), kind: FieldKind::Number },
            ModelInput { name: "customer.plan".into(), kind: plan },
        ],
        columns: vec![
            Column::Number { input: 0, fill: 40.0, low: 0.0, high: 100.0 },
            Column::Category { input: 1, category: 1 },
            Column::Missing { input: 0 },
        ],
        heads,
    }
}

fn head(scope: Scope, id: &str, weights: [f32; 3], bias: f32) -> Head {
    let scorer = Scorer::Linear(Linear { weights: weights.to_vec(), bias, spread: None });
    Head { scope, id: id.into(), scorer, calibration: Calibration::None, rows: 100, positives: 10 }
}

#[test]
fn heads_back_off_and_contributions_sum_to_the_logit() {
    let base = ruleset(&[action("own", ""), action("grouped", ""), action("lone", "").replace("offers", "other")]);
    let heads =
        vec![head(Scope::Action, "own", [0.1, 1.0, -0.5], -2.0), head(Scope::Group, "offers", [0.0, 0.0, 0.0], 0.0)];
    let ruleset = base.with_model(&model(heads)).unwrap();
    assert_ne!(base.hash(), ruleset.hash());
    let mut request = text(&[("hero", 3)]);
    request.overrides = vec![("plan", Value::Text("large"))];
    request.explain = Explain::Full;
    let decision = decided(&ruleset, &request);
    let of = |id: &str| decision.traces.iter().find(|trace| ruleset.actions[trace.action].id == id).unwrap();
    assert_eq!(
        (of("own").scored.source, of("grouped").scored.source, of("lone").scored.source),
        (Source::Action, Source::Group, Source::Prior)
    );
    // Age is missing: filled with 40 and marked; plan is large.
    let logit = -2.0 + 0.1 * 40.0 + 1.0 - 0.5;
    let own = of("own");
    let sum: f32 = own.intercept + own.contributions.iter().map(|(_, part)| part).sum::<f32>();
    assert!((f64::from(sum) - logit).abs() < 1e-6);
    assert!((f64::from(own.scored.acceptance) - 1.0 / (1.0 + libm::exp(-logit))).abs() < 1e-6);
    assert_eq!(own.contributions[0], (ruleset.layout.index("customer.age").unwrap(), 0.1 * 40.0 - 0.5));
    assert_eq!((of("grouped").scored.acceptance, of("lone").scored.acceptance), (0.5, 0.5));
}

#[test]
fn an_action_that_cannot_be_scored_is_skipped_with_the_reason() {
    let base = ruleset(&[action("sound", ""), action("broken", ""), action("named", "model = \"other\"")]);
    let heads =
        vec![head(Scope::Action, "broken", [f32::MAX, 0.0, 0.0], 0.0), head(Scope::Action, "sound", [0.0; 3], 0.0)];
    let ruleset = base.with_model(&model(heads)).unwrap();
    let mut request = text(&[("hero", 3)]);
    request.overrides = vec![("age", Value::Number(-1e30))];
    let broken = decided(&ruleset, &request);
    assert_eq!(broken.skipped.len(), 1, "an infinite logit is a sound probability of 0: {:?}", broken.skipped);
    assert_eq!(broken.skipped[0], Skipped { action: "named".into(), reason: SkipReason::ModelMissing });
    assert!(shown(&ruleset, &broken)[0].contains(&"sound"));
}

#[test]
fn a_model_that_does_not_fit_is_refused() {
    let base = three();
    let mut unknown = model(Vec::new());
    unknown.inputs[0].name = "customer.shoe_size".into();
    assert!(base.with_model(&unknown).unwrap_err().to_string().contains("customer.shoe_size"));
    let mut other_kind = model(Vec::new());
    other_kind.inputs[0].kind = FieldKind::Bool;
    assert!(base.with_model(&other_kind).unwrap_err().to_string().contains("is a number here and was a bool"));
    let endless = model(vec![head(Scope::Global, "", [f32::NAN, 0.0, 0.0], 0.0)]);
    assert!(base.with_model(&endless).is_err());
}

#[test]
fn of_equal_priorities_the_action_written_first_wins_whatever_it_could_reach() {
    let sure = action("sure", "").replace("start_acceptance = 0.5", "start_acceptance = 1.0");
    let (far, near) = (action("far", "lever = 4.0"), action("near", "lever = 2.0"));
    let sure = format!("{sure}lever = 2.0\n");
    for (actions, wanted) in
        [([&sure, &far, &near], ["sure", "far", "near"]), ([&far, &near, &sure], ["far", "sure", "near"])]
    {
        let ruleset = ruleset(&actions.map(String::clone));
        assert_eq!(ruleset.actions[0].id, "far");
        let decision = decided(&ruleset, &text(&[("side", 3)]));
        assert_eq!(shown(&ruleset, &decision), [wanted]);
    }
}

fn held_out(actions: usize) -> Ruleset {
    let actions: Vec<String> = (0..actions).map(|n| action(&format!("a{n}"), "")).collect();
    let catalog: Catalog =
        toml::from_str(&format!("holdout = {{ share = 1.0 }}\n{BASE}\n{}", actions.join("\n"))).unwrap();
    Ruleset::compile(&catalog).unwrap()
}

#[test]
fn holdout_draws_are_uniform_without_replacement_with_conditional_probabilities() {
    let ruleset = held_out(4);
    let request = Request::resolve(&ruleset, &text(&[("hero", 1), ("side", 2)])).unwrap();
    let view = CustomerView::unknown(&ruleset.schema);
    let mut first = [0u32; 4];
    for seed in 0..4_000 {
        let decision = decide(&ruleset, &view, &request, NOW, seed);
        assert_eq!(decision.selection, Selection::Holdout);
        let slots: Vec<&Shown> = decision.placements.iter().flat_map(|p| &p.shown).collect();
        let probabilities: Vec<f64> = slots.iter().map(|slot| slot.selection_probability).collect();
        assert_eq!(probabilities, [1.0 / 4.0, 1.0 / 3.0, 1.0 / 2.0]);
        let mut actions: Vec<usize> = slots.iter().map(|slot| slot.action).collect();
        first[actions[0]] += 1;
        actions.sort_unstable();
        actions.dedup();
        assert_eq!(actions.len(), 3);
    }
    // 1,000 expected each; six standard deviations are about 164.
    assert!(first.iter().all(|count| (836..1_164).contains(count)), "{first:?}");
}

#[test]
fn the_same_inputs_give_the_same_bits() {
    let ruleset = held_out(40);
    let request = Request::resolve(&ruleset, &text(&[("hero", 3), ("side", 2)])).unwrap();
    let view = CustomerView::unknown(&ruleset.schema);
    let bits = |seed| {
        let decision = decide(&ruleset, &view, &request, NOW, seed);
        let shown = decision.placements.into_iter().flat_map(|p| p.shown);
        shown.map(|s| (s.action, s.scored.priority.to_bits(), s.selection_probability.to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(bits(1), bits(1));
    assert_ne!(bits(1), bits(2));
}

/// What one random action looks like: minimum age, lever, whether it blocks small plans.
type RandomAction = (u8, u8, bool);

fn random_ruleset(actions: &[RandomAction], weights: &[[i8; 3]]) -> Ruleset {
    let text: Vec<String> = actions
        .iter()
        .enumerate()
        .map(|(n, (age, lever, blocks))| {
            let suitability = if *blocks { "suitability = [{ block = \"customer.plan == 'small' && context.basket > 10\", when_unknown = \"block\" }]" } else { "" };
            action(&format!("a{n}"), &format!("lever = {}.5\neligibility = [\"customer.age >= {age}\"]\n{suitability}", lever % 8))
        })
        .collect();
    let heads = weights
        .iter()
        .enumerate()
        .map(|(n, w)| head(Scope::Action, &format!("a{n}"), w.map(|w| f32::from(w) / 64.0), f32::from(w[0]) / 32.0));
    ruleset(&text).with_model(&model(heads.collect())).unwrap()
}

/// Decides one action after the other with no masks, blocks or heaps.
fn oracle(ruleset: &Ruleset, model: &Model, fields: &[f32], counts: &[usize], costs: &[f32]) -> Vec<Vec<usize>> {
    let age = fields[ruleset.layout.index("customer.age").unwrap()];
    let plan = fields[ruleset.layout.index("customer.plan").unwrap()];
    let mut priorities: Vec<(f32, usize)> = Vec::new();
    for (index, action) in ruleset.actions.iter().enumerate() {
        let stays = action.rules.iter().all(|rule| {
            let rule = &ruleset.rules[*rule];
            crate::rule::passes(&rule.program, rule.block, rule.unknown_drops, fields)
        });
        if stays {
            let p = match model.heads.iter().position(|head| head.id == action.id) {
                Some(head) => model.probability(head, &[age, plan]),
                None => 0.5,
            };
            priorities.push((p * 10.0 * 1.0 * ruleset.catalog.action[action.position].lever, index));
        }
    }
    let position = |index: usize| ruleset.actions[index].position;
    priorities.sort_by(|a, b| b.0.total_cmp(&a.0).then(position(a.1).cmp(&position(b.1))));
    let mut used = Vec::new();
    let mut placements = Vec::new();
    for (count, cost) in counts.iter().zip(costs) {
        let free = priorities.iter().filter(|(priority, action)| !used.contains(action) && priority > cost);
        let chosen: Vec<usize> = free.take(*count).map(|(_, action)| *action).collect();
        used.extend(&chosen);
        placements.push(chosen);
    }
    placements
}

/// Compares decisions under a random catalogue with the oracle.
fn agrees_with_the_oracle(
    ruleset: &Ruleset,
    weights: &[[i8; 3]],
    customer: (Option<u8>, Option<bool>, Option<u8>),
    counts: (usize, usize),
) -> Result<(), TestCaseError> {
    let heads = weights
        .iter()
        .enumerate()
        .map(|(n, w)| head(Scope::Action, &format!("a{n}"), w.map(|w| f32::from(w) / 64.0), f32::from(w[0]) / 32.0));
    let model = model(heads.collect());
    let (age, plan, basket) = customer;
    let mut request = text(&[("hero", counts.0 as i64), ("side", counts.1 as i64)]);
    request.overrides.extend(age.map(|age| ("age", Value::Number(f64::from(age)))));
    request.overrides.extend(plan.map(|large| ("plan", Value::Text(if large { "large" } else { "small" }))));
    request.context.extend(basket.map(|basket| ("basket", Value::Number(f64::from(basket)))));
    let decision = decided(ruleset, &request);
    let wanted = oracle(ruleset, &model, &decision.fields, &[counts.0, counts.1], &[0.0, 1.0]);
    let shown = |placement: &PlacementDecision| placement.shown.iter().map(|shown| shown.action).collect();
    let got: Vec<Vec<usize>> = decision.placements.iter().map(shown).collect();
    prop_assert_eq!(got, wanted);
    Ok(())
}

proptest! {
    #[test]
    fn decisions_agree_with_the_oracle(
        actions in prop::collection::vec((0u8..90, any::<u8>(), any::<bool>()), 1..40),
        weights in prop::collection::vec(any::<[i8; 3]>(), 0..40),
        customer in (prop::option::of(0u8..90), prop::option::of(prop::bool::ANY), prop::option::of(0u8..20)),
        counts in (1usize..6, 1usize..6),
    ) {
        agrees_with_the_oracle(&random_ruleset(&actions, &weights), &weights, customer, counts)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// With so many candidates most are passed over by their bounds, among them equals.
    #[test]
    fn decisions_among_many_actions_agree_with_the_oracle(
        actions in prop::collection::vec((0u8..40, any::<u8>(), any::<bool>()), 150..250),
        weights in prop::collection::vec(any::<[i8; 3]>(), 0..250),
        customers in prop::collection::vec(
            (prop::option::of(0u8..90), prop::option::of(prop::bool::ANY), prop::option::of(0u8..20)), 1..6),
        counts in (1usize..12, 1usize..12),
    ) {
        let ruleset = random_ruleset(&actions, &weights);
        for customer in customers {
            agrees_with_the_oracle(&ruleset, &weights, customer, counts)?;
        }
    }
}

/// One action that is known well, one that nobody knows, one that is known to be worthless.
fn exploring(exploration: &str) -> Ruleset {
    let actions = ["known", "new", "worthless"].map(|id| action(id, "")).join("\n");
    let catalog: Catalog = toml::from_str(&format!("{BASE}\n{exploration}\n{actions}")).unwrap();
    let ruleset = Ruleset::compile(&catalog).unwrap_or_else(|problems| panic!("{problems:?}"));
    let of = |id: &str, bias: f32, positives: u64| Head {
        rows: 100_000,
        positives,
        ..head(Scope::Action, id, [0.0; 3], bias)
    };
    ruleset.with_model(&model(vec![of("known", 0.2, 55_000), of("worthless", -6.0, 250)])).unwrap()
}

fn chosen(ruleset: &Ruleset, request: &RequestText<'_>, seed: u64) -> Decision {
    let request = Request::resolve(ruleset, request).unwrap();
    decide(ruleset, &CustomerView::unknown(&ruleset.schema), &request, NOW, seed)
}

#[test]
fn exploration_tries_what_is_not_known_and_logs_its_exact_chance() {
    let ruleset = exploring("[exploration]\nfloor = 0.05\nwidth = 1.0");
    let seeds = 4_000;
    let (mut shown, mut weights) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
    for seed in 0..seeds {
        let decision = chosen(&ruleset, &text(&[("hero", 1)]), seed);
        assert_eq!(decision.selection, Selection::Thompson);
        let again = chosen(&ruleset, &text(&[("hero", 1)]), seed);
        assert_eq!(decision.placements, again.placements, "the same seed, the same decision");
        let slot = &decision.placements[0].shown[0];
        let id = ruleset.actions[slot.action].id.clone();
        *shown.entry(id.clone()).or_insert(0) += 1;
        *weights.entry(id).or_insert(0.0) += 1.0 / slot.selection_probability;
    }
    // The known one and the new one are worth a try in every draw: by inverse propensity each counts for all seeds.
    for id in ["known", "new"] {
        let estimate = weights[id] / seeds as f64;
        assert!((estimate - 1.0).abs() < 0.1, "{id}: {estimate} by {} draws", shown[id]);
    }
    assert!(shown["new"] > 1_000 && shown["known"] > 1_500, "{shown:?}");
    assert!(shown.get("worthless").copied().unwrap_or(0) < 150, "only the floor: {shown:?}");
}

#[test]
fn a_narrower_width_tries_less_of_what_is_not_known() {
    let new = |width: &str| {
        let ruleset = exploring(&format!("[exploration]\nfloor = 0.0\nwidth = {width}"));
        let first = |seed| chosen(&ruleset, &text(&[("hero", 1)]), seed).placements[0].shown[0].action;
        (0..1_000).filter(|seed| ruleset.actions[first(*seed)].id == "new").count()
    };
    let (wide, narrow) = (new("1.0"), new("0.25"));
    assert!(narrow > 0 && narrow * 2 < wide, "{narrow} of {wide}");
}

#[test]
fn exploration_keeps_silence_and_fills_slots_without_repeats() {
    let ruleset = exploring("[exploration]\nfloor = 0.0");
    let decision = chosen(&ruleset, &text(&[("hero", 2), ("side", 2)]), 7);
    let all: Vec<usize> = decision.placements.iter().flat_map(|place| &place.shown).map(|slot| slot.action).collect();
    let distinct: std::collections::BTreeSet<usize> = all.iter().copied().collect();
    assert_eq!(all.len(), distinct.len(), "{all:?}");
    let quiet =
        BASE.replace("id = \"hero\", channel = \"web\"", "id = \"hero\", channel = \"web\", interruption_cost = 100.0");
    let catalog: Catalog = toml::from_str(&format!("{quiet}\n[exploration]\n{}", action("a", ""))).unwrap();
    let decision = chosen(&Ruleset::compile(&catalog).unwrap(), &text(&[("hero", 1)]), 7);
    let place = &decision.placements[0];
    assert_eq!((place.reason, place.silence_probability), (PlacementReason::NoAction, 1.0));
}

#[test]
fn an_exploration_that_makes_no_sense_is_refused_by_key() {
    for (key, value) in [
        ("floor", "1.5"),
        ("floor", "nan"),
        ("width", "0.0"),
        ("width", "3.0"),
        ("draws", "0"),
        ("draws", "5000"),
        ("candidates", "0"),
    ] {
        let catalog: Catalog = toml::from_str(&format!("{BASE}\n[exploration]\n{key} = {value}")).unwrap();
        let problems = Ruleset::compile(&catalog).unwrap_err();
        assert!(format!("{problems:?}").contains(key), "{problems:?}");
    }
}

#[test]
fn a_challenger_takes_its_share_and_keeps_it() {
    use crate::ruleset::{Alias, Challenger, Models};
    let base = ruleset(&[action("plain", "")]);
    let bank = |bias: f32, version: &str| {
        let model = Model { version: version.into(), ..model(vec![head(Scope::Global, "", [0.0; 3], bias)]) };
        base.bank_for(&model).unwrap()
    };
    let with = |share| {
        let challenger = Some(Challenger { bank: bank(1.0, "v2"), share });
        base.with_models(Models { champion: Some(bank(-1.0, "v1")), challenger })
    };
    let (tenth, half) = (with(0.1), with(0.5));
    assert!(tenth.hash() != half.hash() && tenth.hash() != base.hash());
    let takes = |ruleset: &Ruleset, customer: u64| ruleset.alias_for(customer) == Alias::Challenger;
    let count = |ruleset: &Ruleset| (0..10_000).filter(|customer| takes(ruleset, *customer)).count();
    assert!((900..1_100).contains(&count(&tenth)) && (4_700..5_300).contains(&count(&half)));
    assert!((0..10_000).all(|customer| !takes(&tenth, customer) || takes(&half, customer)));
    assert_eq!((count(&with(0.0)), count(&with(1.0))), (0, 10_000));
    let request = Request::resolve(&half, &text(&[("hero", 1)])).unwrap();
    let mut aliases = std::collections::BTreeSet::new();
    for customer in 0..20 {
        let view = CustomerView::unknown(&half.schema).of(&format!("customer:{customer}"));
        let decision = decide(&half, &view, &request, NOW, 1);
        let expected = if decision.alias == Alias::Challenger { 1.0f32 } else { -1.0 };
        let acceptance = decision.placements[0].shown[0].scored.acceptance;
        assert_eq!(acceptance, crate::math::sigmoid(expected));
        aliases.insert(decision.alias);
    }
    assert_eq!(aliases.len(), 2);
}
