//! The world itself: reproducible, steady, and in step with the catalogue.

use std::collections::{BTreeMap, BTreeSet};

use tactful_core::catalog::ContextType;
use tactful_proto::v1::{self, OutcomeType, value};
use tactful_sim::{Reaction, Step, World};

use super::company::millis;

const START_MS: i64 = 1_790_000_000_000;

/// Ten seconds at 200 decisions a second; every request is answered by showing two actions.
fn play(seed: u64) -> (Vec<Step>, Vec<Reaction>) {
    let mut world = World::new(seed, 400, START_MS);
    let (mut steps, mut reactions) = (Vec::new(), Vec::new());
    for tick in 1..=100 {
        let now_ms = START_MS + 100 * tick;
        let happened = world.advance(now_ms, 200.0);
        for step in &happened {
            if let Step::Decide(request) = step {
                let response = answer(request, &["sell_phone_upgrade", "fault_line_check"]);
                reactions.extend(world.respond(&request.subject_id, &response, now_ms));
            }
        }
        steps.extend(happened);
    }
    (steps, reactions)
}

fn answer(request: &v1::DecideRequest, actions: &[&str]) -> v1::DecideResponse {
    let actions = actions
        .iter()
        .map(|id| v1::ShownAction {
            action_id: (*id).into(),
            outcome_token: format!("{}/{id}", request.request_id),
            ..Default::default()
        })
        .collect();
    let placement = v1::PlacementResult { actions, ..Default::default() };
    v1::DecideResponse { decision_id: request.request_id.clone(), placements: vec![placement], ..Default::default() }
}

#[test]
fn the_same_seed_gives_the_same_world_and_another_one_another() {
    assert_eq!(play(1), play(1));
    assert_ne!(play(1), play(2));
    let introduced = |seed| World::new(seed, 50, START_MS).introductions();
    assert_eq!(introduced(1), introduced(1));
    assert_ne!(introduced(1), introduced(2));
}

#[test]
fn a_customers_answer_does_not_depend_on_who_answers_first() {
    let request =
        |subject: &str| v1::DecideRequest { subject_id: subject.into(), request_id: "r".into(), ..Default::default() };
    let mut worlds = [World::new(4, 40, START_MS), World::new(4, 40, START_MS)];
    let mut seen = [BTreeMap::new(), BTreeMap::new()];
    let subjects: Vec<String> = (1..=40).map(|number| format!("customer:{number:06}")).collect();
    for world in &mut worlds {
        world.advance(START_MS + 5_000, 100.0);
    }
    for subject in &subjects {
        let response = answer(&request(subject), &["scam_warning", "bill_ready"]);
        seen[0].insert(subject.clone(), worlds[0].respond(subject, &response, START_MS + 5_000));
    }
    for subject in subjects.iter().rev() {
        let response = answer(&request(subject), &["scam_warning", "bill_ready"]);
        seen[1].insert(subject.clone(), worlds[1].respond(subject, &response, START_MS + 5_000));
    }
    assert!(seen[0].values().any(|reactions| !reactions.is_empty()));
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn rates_hold_and_time_goes_forward() {
    let mut world = World::new(3, 300, START_MS);
    let (mut decisions, mut events, mut last_ms) = (0, 0, START_MS);
    for tick in 1..=200 {
        let (from_ms, now_ms) = (START_MS + 50 * (tick - 1), START_MS + 50 * tick);
        for step in world.advance(now_ms, 37.0) {
            match step {
                Step::Decide(_) => decisions += 1,
                Step::Event(event) => {
                    events += 1;
                    let at_ms = millis(event.event_time.as_ref());
                    assert!(at_ms >= last_ms && at_ms >= from_ms && at_ms <= now_ms, "{at_ms}");
                    last_ms = at_ms;
                }
            }
        }
    }
    assert!((368..=370).contains(&decisions), "{decisions} decisions in 10 s at 37 a second");
    assert!((decisions..decisions * 5).contains(&events), "{events} events");
    assert!(world.advance(START_MS, 1_000.0).is_empty(), "time does not go back");
    assert!(world.advance(START_MS + 10_001, f64::NAN).iter().all(|step| matches!(step, Step::Event(_))));
}

#[test]
fn requests_name_what_the_catalogue_declares() {
    let catalog = super::catalog::read();
    let placements: BTreeMap<&str, &str> =
        catalog.placement.iter().map(|p| (p.id.as_str(), p.channel.as_str())).collect();
    let mut used = BTreeSet::new();
    let mut intents = BTreeSet::new();
    for seed in 1..=3 {
        for step in play(seed).0 {
            let Step::Decide(request) = step else { continue };
            assert!(!request.placements.is_empty());
            for placement in &request.placements {
                assert!(placements.contains_key(placement.placement.as_str()), "{}", placement.placement);
                used.insert(placement.placement.clone());
            }
            for (name, given) in &request.context {
                let field =
                    catalog.context.iter().find(|field| field.name == *name).unwrap_or_else(|| panic!("{name}"));
                match given.kind.as_ref().unwrap() {
                    value::Kind::Number(number) => assert!(field.kind == ContextType::Number && number.is_finite()),
                    value::Kind::Flag(_) => assert_eq!(field.kind, ContextType::Bool),
                    value::Kind::Text(word) => assert!(field.vocabulary.contains(word), "{name} = {word}"),
                }
            }
            if let Some(value::Kind::Text(word)) = request.context.get("intent").and_then(|given| given.kind.clone()) {
                intents.insert(word);
            }
        }
    }
    assert_eq!(used.len(), placements.len(), "every placement is asked for: {used:?}");
    assert_eq!(intents.len(), 9, "every goal occurs: {intents:?}");
}

#[test]
fn events_speak_the_catalogues_language() {
    let catalog = super::catalog::read();
    let (steps, reactions) = play(5);
    let mut events: Vec<v1::Event> = World::new(5, 400, START_MS).introductions();
    events.extend(steps.into_iter().filter_map(|step| if let Step::Event(event) = step { Some(event) } else { None }));
    events
        .extend(reactions.into_iter().filter_map(|r| if let Reaction::Event(event) = r { Some(event) } else { None }));
    let channels: BTreeSet<&str> = catalog.channel.iter().map(|channel| channel.id.as_str()).collect();
    assert!(events.iter().all(|event| event.channel.is_empty() || channels.contains(event.channel.as_str())));
    let names: BTreeSet<&str> = events.iter().map(|event| event.name.as_str()).collect();
    let traits: BTreeSet<&str> = events.iter().flat_map(|event| event.properties.keys().map(String::as_str)).collect();
    for feature in &catalog.feature {
        let heard = feature.event.as_deref().is_none_or(|name| names.contains(name))
            && feature.page.as_deref().is_none_or(|name| names.contains(name))
            && feature.trait_name.as_deref().is_none_or(|name| traits.contains(name))
            && feature.value.as_deref().is_none_or(|name| traits.contains(name));
        assert!(heard, "nothing ever feeds {}", feature.name);
    }
    for matter in &catalog.matter {
        assert!(matter.opens_on.iter().any(|name| names.contains(name.as_str())), "no {} is ever opened", matter.kind);
    }
}

#[test]
fn ids_are_unique_and_outcomes_carry_their_token() {
    let (steps, reactions) = play(6);
    let mut ids = BTreeSet::new();
    let mut tokens = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for step in steps {
        let id = match step {
            Step::Event(event) => event.message_id,
            Step::Decide(request) => {
                tokens.insert(format!("{}/sell_phone_upgrade", request.request_id));
                tokens.insert(format!("{}/fault_line_check", request.request_id));
                request.request_id
            }
        };
        assert!(id.len() <= 128 && ids.insert(id.clone()), "{id}");
    }
    for reaction in reactions {
        let id = match reaction {
            Reaction::Event(event) => event.message_id,
            Reaction::Outcome(outcome) => {
                kinds.insert(outcome.r#type());
                assert!(tokens.contains(&outcome.outcome_token), "{}", outcome.outcome_token);
                outcome.message_id
            }
        };
        assert!(ids.insert(id.clone()), "{id}");
    }
    assert!(!kinds.contains(&OutcomeType::Unspecified));
    assert!(kinds.len() >= 8, "{kinds:?}");
}

#[test]
fn acceptance_is_a_probability_for_everybody_and_everything() {
    let mut world = World::new(7, 60, START_MS);
    world.advance(START_MS + 3_000, 100.0);
    let actions: Vec<String> = super::catalog::read().action.into_iter().map(|action| action.id).collect();
    for subject in (1..=60).map(|number| format!("customer:{number:06}")).chain(["nobody".into()]) {
        for action in actions.iter().map(String::as_str).chain(["", "sell_something_new_in_tv"]) {
            let probability = world.acceptance(&subject, action);
            assert!(probability > 0.0 && probability < 1.0, "{subject} {action}: {probability}");
        }
    }
}

#[test]
fn who_has_taken_a_product_hardly_takes_it_again() {
    let mut world = World::new(8, 30, START_MS);
    world.advance(START_MS + 5_000, 100.0);
    let keen = |subject: &String| (world.acceptance(subject, "sell_savings_start") * 1e9) as u64;
    let subject = (1..=30).map(|number| format!("customer:{number:06}")).max_by_key(keen).unwrap();
    let request = v1::DecideRequest { subject_id: subject.clone(), request_id: "r".into(), ..Default::default() };
    let before = world.acceptance(&subject, "sell_savings_start");
    let mut activated = None;
    for _ in 0..500 {
        let reactions = world.respond(&subject, &answer(&request, &["sell_savings_start"]), START_MS + 5_000);
        activated = reactions.into_iter().find_map(|reaction| match reaction {
            Reaction::Event(event) if event.name == "Product Activated" => Some(event),
            _ => None,
        });
        if activated.is_some() {
            break;
        }
    }
    assert!(activated.is_some(), "500 offers and never taken");
    assert!(!world.fits(&subject, "sell_savings_start"));
    assert!(world.acceptance(&subject, "sell_savings_start") < before / 3.0);
}

#[test]
fn decisions_in_mode_test_and_of_strangers_have_no_effect() {
    let mut world = World::new(9, 5, START_MS);
    world.advance(START_MS + 2_000, 20.0);
    let request = v1::DecideRequest { subject_id: "customer:000001".into(), ..Default::default() };
    let mut response = answer(&request, &["scam_warning"]);
    assert!(world.respond("stranger", &response, START_MS + 2_000).is_empty());
    response.placements[0].actions[0].outcome_token.clear();
    assert!(world.respond("customer:000001", &response, START_MS + 2_000).is_empty());
}
