//! A catalogue of any size with 64 features and every stage of a decision in use: purposes, validity,
//! rules of all tiers that leave about a third of the actions, context weights, a holdout.

use std::collections::BTreeMap;

use tactful_core::catalog::{
    ActionDef, Aggregate, Catalog, ChannelDef, ContextDef, ContextType, Duration, FeatureDef, HoldoutDef, Kind,
    MatterDef, PlacementDef, Polarity, PurposeDef, PurposeDefault, ReasonDef, RuleDef, Selector, Tier, TierRule,
    TreatmentDef, Unit, WeightDef, WhenUnknown,
};

use crate::rng::Rng;

/// Features of the catalogue, hence inputs of the model.
pub const FEATURES: usize = 64;
/// The first features are traits with numbers up to [`TRAIT_MAX`].
pub const NUMBER_TRAITS: usize = 32;
/// Then come traits that are flags.
pub const FLAG_TRAITS: usize = 8;
/// Number traits are spread evenly from 0 to this.
pub const TRAIT_MAX: f64 = 1_000.0;
/// Tracked events; each drives several features.
pub const EVENTS: [&str; 6] =
    ["Product Viewed", "Basket Filled", "Help Opened", "Order Placed", "Bill Opened", "Call Made"];
/// The placement that is decided for.
pub const PLACEMENT: &str = "web_home";
/// Actions that it shows.
pub const SHOWN: usize = 5;
/// Words of `context.intent`.
pub const INTENTS: [&str; 6] = ["browse", "buy", "fix", "complain", "pay", "cancel"];
/// Words of `context.topic` and topics of actions.
pub const TOPICS: [&str; 8] = ["mobile", "fibre", "tv", "devices", "insurance", "credit", "billing", "order"];

const KINDS: [Kind; 6] = [Kind::Serve, Kind::Inform, Kind::Ask, Kind::Route, Kind::Retain, Kind::Sell];
const DAY: u32 = 86_400;

/// A catalogue with this many actions; the same for the same number.
#[must_use]
pub fn catalog(actions: usize) -> Catalog {
    let mut rng = Rng::new(actions as u64);
    Catalog {
        company: "Benchmark".into(),
        purpose: vec![purpose("marketing", PurposeDefault::Allowed), purpose("third_party", PurposeDefault::Denied)],
        feature: (0..FEATURES).map(feature).collect(),
        fact: Vec::new(),
        context: contexts(),
        channel: ["web", "app"].map(|id| ChannelDef { id: id.into(), description: String::new() }).into(),
        placement: vec![placement(PLACEMENT, "web", SHOWN as u32), placement("app_home", "app", 2)],
        matter: ["fault", "complaint"].map(matter).into(),
        rule: shared_rules(),
        weight: weights(),
        action: (0..actions).map(|number| action(number, &mut rng)).collect(),
        exploration: None,
        holdout: Some(HoldoutDef { share: 0.1, salt: "benchmark".into() }),
    }
}

/// Name of a feature.
#[must_use]
pub fn feature_name(number: usize) -> String {
    format!("f{number:02}")
}

fn purpose(id: &str, default: PurposeDefault) -> PurposeDef {
    PurposeDef { name: id.into(), description: String::new(), default }
}

fn feature(number: usize) -> FeatureDef {
    let mut def = FeatureDef {
        name: feature_name(number),
        description: String::new(),
        aggregate: Aggregate::Last,
        event: None,
        trait_name: None,
        page: None,
        screen: None,
        outcome: None,
        action: None,
        value: None,
        filter: BTreeMap::new(),
        scale: 0,
        half_life: None,
        window: None,
        buckets: None,
        vocabulary: Vec::new(),
        unit: Unit::default(),
        max_age: None,
        lateness: None,
        purpose: if number % 4 == 3 { "marketing" } else { "service" }.into(),
    };
    if number < NUMBER_TRAITS + FLAG_TRAITS {
        def.trait_name = Some(feature_name(number));
        def.aggregate = if number < NUMBER_TRAITS { Aggregate::Last } else { Aggregate::Flag };
        return def;
    }
    behaviour(number - NUMBER_TRAITS - FLAG_TRAITS, &mut def);
    def
}

/// What the tracked events leave: three of each aggregate, two sliding windows.
fn behaviour(number: usize, def: &mut FeatureDef) {
    def.event = Some(EVENTS[number % EVENTS.len()].into());
    let valued = |def: &mut FeatureDef, aggregate| {
        def.aggregate = aggregate;
        def.value = Some("amount".into());
    };
    match number {
        0..6 => def.aggregate = Aggregate::Count,
        6..10 => {
            valued(def, Aggregate::Sum);
            def.scale = 2;
        }
        10..14 => {
            def.aggregate = Aggregate::DecayedCount;
            def.half_life = Some(Duration::from_seconds(900 << (2 * (number - 10))));
        }
        14 => {
            valued(def, Aggregate::DecayedSum);
            def.half_life = Some(Duration::from_seconds(7 * DAY));
        }
        15..18 => {
            def.aggregate = Aggregate::SinceLast;
            def.unit = Unit::Hours;
        }
        18 => valued(def, Aggregate::Min),
        19 => valued(def, Aggregate::Max),
        20 => valued(def, Aggregate::First),
        21 => {
            valued(def, Aggregate::Last);
            def.max_age = Some(Duration::from_seconds(30 * DAY));
        }
        _ => {
            def.aggregate = Aggregate::WindowedCount;
            def.window = Some(Duration::from_seconds(if number == 22 { DAY } else { 14 * DAY }));
            def.buckets = Some(if number == 22 { 24 } else { 14 });
        }
    }
}

fn contexts() -> Vec<ContextDef> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).into()).collect();
    let context =
        |name: &str, kind, vocabulary| ContextDef { name: name.into(), description: String::new(), kind, vocabulary };
    vec![
        context("intent", ContextType::Category, words(&INTENTS)),
        context("topic", ContextType::Category, words(&TOPICS)),
        context("sentiment", ContextType::Number, Vec::new()),
    ]
}

fn placement(id: &str, channel: &str, count: u32) -> PlacementDef {
    PlacementDef {
        id: id.into(),
        channel: channel.into(),
        description: String::new(),
        count,
        interruption_cost: 0.2,
        fallback: BTreeMap::from([("title".into(), "Welcome".into())]),
    }
}

fn matter(kind: &str) -> MatterDef {
    MatterDef {
        kind: kind.into(),
        description: String::new(),
        opens_on: vec![format!("{kind} opened")],
        waits_on_company: Vec::new(),
        waits_on_customer: Vec::new(),
        hands_off_on: Vec::new(),
        resolves_on: vec![format!("{kind} resolved")],
        contacts_on: Vec::new(),
        confirm_after: Duration::from_seconds(7 * DAY),
        resolve_after_silence: None,
        session_gap: Duration::from_seconds(DAY),
    }
}

fn shared_rules() -> Vec<RuleDef> {
    let block = |id: &str, condition: &str, kinds: &[Kind]| RuleDef {
        id: id.into(),
        tier: Tier::Suitability,
        require: None,
        block: Some(condition.into()),
        when_unknown: Some(WhenUnknown::Pass),
        message: "not now".into(),
        applies_to: Selector { kinds: kinds.to_vec(), ..Selector::default() },
    };
    vec![
        block("a_problem_comes_first", "matter.fault.open > 0 || matter.complaint.open > 0", &[Kind::Sell]),
        block("the_upset_are_left_alone", "context.sentiment < -0.5 || context.intent == \"complain\"", &[Kind::Sell]),
        block("enough_for_today", "contact.shown_24h >= 500", &[Kind::Sell, Kind::Ask]),
        block("no_means_no", "contact.rejected_30d >= 6 && contact.accepted_30d == 0", &[Kind::Sell]),
    ]
}

fn weights() -> Vec<WeightDef> {
    let weight = |id: String, when: String, factor, applies_to| WeightDef {
        id,
        when,
        factor,
        message: "fits the contact".into(),
        applies_to,
    };
    let mut weights: Vec<WeightDef> = Vec::new();
    for topic in TOPICS {
        let about = Selector { topics: vec![topic.into()], ..Selector::default() };
        weights.push(weight(format!("about_{topic}"), format!("context.topic == \"{topic}\""), 2.0, about));
    }
    for (intent, kind, factor) in
        [("buy", Kind::Sell, 1.3), ("fix", Kind::Sell, 0.4), ("pay", Kind::Ask, 0.5), ("cancel", Kind::Retain, 2.0)]
    {
        let whom = Selector { kinds: vec![kind], ..Selector::default() };
        weights.push(weight(format!("goal_{intent}"), format!("context.intent == \"{intent}\""), factor, whom));
    }
    weights
}

fn action(number: usize, rng: &mut Rng) -> ActionDef {
    let expired = rng.below(100) < 3;
    let dated = expired || rng.below(100) < 3;
    let mut treatment = vec![content("web", number)];
    if number.is_multiple_of(2) {
        treatment.push(content("app", number));
    }
    ActionDef {
        id: format!("action_{number:05}"),
        title: format!("Action {number}"),
        issue: format!("issue_{}", number % 7),
        group: format!("group_{}", number % 50),
        kind: KINDS[number % KINDS.len()],
        owner: "Department".into(),
        topic: TOPICS[number % TOPICS.len()].into(),
        tone: "plain".into(),
        intensity: 1 + (number % 5) as u8,
        purpose: if rng.below(100) < 3 { "third_party" } else { "marketing" }.into(),
        value: 5.0 + rng.below(96) as f32,
        cost: rng.below(5) as f32,
        lever: 0.5 + rng.unit() as f32,
        start_acceptance: 0.02,
        model: None,
        valid_from: dated.then(|| "2020-01-01T00:00:00Z".into()),
        valid_until: dated.then(|| if expired { "2021-01-01T00:00:00Z" } else { "2099-01-01T00:00:00Z" }.into()),
        significant_effect: false,
        eligibility: vec![own_rule(Polarity::Require(above(rng)))],
        applicability: vec![own_rule(Polarity::Require(below(rng)))],
        suitability: vec![own_rule(Polarity::Block(below_quarter(rng), WhenUnknown::Pass))],
        reasons: vec![ReasonDef { text: "Because of {customer.f01}.".into(), when: None }],
        treatment,
    }
}

fn own_rule(polarity: Polarity) -> TierRule {
    TierRule { polarity, message: "does not fit".into() }
}

/// Holds for 62 to 78 % of the customers.
fn above(rng: &mut Rng) -> String {
    format!("customer.{} > {}", feature_name(rng.below(NUMBER_TRAITS)), 220 + 10 * rng.below(16))
}

/// Holds for 62 to 78 % of the customers.
fn below(rng: &mut Rng) -> String {
    format!("customer.{} < {}", feature_name(rng.below(NUMBER_TRAITS)), 620 + 10 * rng.below(16))
}

/// Holds for 20 to 35 % of the customers.
fn below_quarter(rng: &mut Rng) -> String {
    format!("customer.{} < {}", feature_name(rng.below(NUMBER_TRAITS)), 200 + 10 * rng.below(16))
}

fn content(channel: &str, number: usize) -> TreatmentDef {
    let content = [
        ("title", format!("Something for you, number {number}")),
        ("body", "It takes a minute and fits what you already have.".into()),
        ("button", "Show me".into()),
    ];
    TreatmentDef {
        channel: channel.into(),
        placements: Vec::new(),
        content: content.map(|(key, text)| (key.into(), text)).into(),
    }
}

#[cfg(test)]
mod tests {
    use tactful_core::ruleset::Ruleset;

    use super::*;

    #[test]
    fn every_size_compiles_and_survives_toml() {
        for actions in [100, 1_000] {
            let catalog = catalog(actions);
            let ruleset = Ruleset::compile(&catalog).unwrap();
            assert_eq!((ruleset.actions.len(), catalog.feature.len()), (actions, FEATURES));
            let text = toml::to_string(&catalog).unwrap();
            assert_eq!(toml::from_str::<Catalog>(&text).unwrap(), catalog);
        }
    }
}
