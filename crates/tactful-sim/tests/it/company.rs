//! The company in miniature: the pure core with the real catalogue, without server, log or network.

use std::collections::HashMap;

use tactful_core::catalog::OutcomeName;
use tactful_core::decide::{Decision, Explain, PlacementReason, Request, RequestText, decide};
use tactful_core::ruleset::Ruleset;
use tactful_core::state::{
    Chosen, CustomerView, DecisionMade, Entry, Event, EventKind, Names, OutcomeSeen, Row, Value, apply,
};
use tactful_proto::v1::{self, value};
use tactful_sim::Reaction;

/// Rows of all customers under one ruleset.
pub(crate) struct Company {
    pub(crate) ruleset: Ruleset,
    names: Names,
    rows: HashMap<String, Row>,
}

impl Company {
    pub(crate) fn new() -> Self {
        let mut catalog = super::catalog::read();
        // Policies are compared one at a time here: nobody is held out of any.
        catalog.holdout = None;
        let ruleset = Ruleset::compile(&catalog).expect("the catalogue compiles");
        Self { ruleset, names: Names::new(), rows: HashMap::new() }
    }

    /// Folds an event.
    pub(crate) fn event(&mut self, event: &v1::Event) {
        let properties: Vec<(&str, Value<'_>)> =
            event.properties.iter().map(|(key, v)| (key.as_str(), read(v))).collect();
        let entry = Entry::Event(Event {
            kind: kind(event.r#type()),
            name: &event.name,
            time_ms: millis(event.event_time.as_ref()),
            channel: &event.channel,
            matter_id: &event.matter_id,
            properties: &properties,
        });
        self.fold(&event.subject_id, &entry);
    }

    /// Folds what came of a decision; tokens are action ids here.
    pub(crate) fn reaction(&mut self, reaction: &Reaction) {
        match reaction {
            Reaction::Event(event) => self.event(event),
            Reaction::Outcome(outcome) => {
                let entry = Entry::Outcome(OutcomeSeen {
                    kind: outcome_name(outcome.r#type()),
                    action: &outcome.outcome_token,
                    value: outcome.value,
                    time_ms: millis(outcome.occur_time.as_ref()),
                    channel: "",
                });
                self.fold(&outcome.subject_id, &entry);
            }
        }
    }

    /// Decides with every candidate traced.
    pub(crate) fn decide(&self, asked: &v1::DecideRequest, now_ms: i64) -> (Request, Decision) {
        let text = RequestText {
            subject_id: &asked.subject_id,
            placements: asked.placements.iter().map(|p| (p.placement.as_str(), i64::from(p.count))).collect(),
            context: asked.context.iter().map(|(key, v)| (key.as_str(), read(v))).collect(),
            excluded: asked.excluded_actions.iter().map(String::as_str).collect(),
            explain: Explain::Full,
            ..RequestText::default()
        };
        let request = Request::resolve(&self.ruleset, &text).unwrap_or_else(|errors| panic!("{errors:?}"));
        let row = self.rows.get(&asked.subject_id);
        let view = CustomerView::read(&self.ruleset.schema, row.as_slice(), now_ms);
        let decision = decide(&self.ruleset, &view, &request, now_ms, 1);
        (request, decision)
    }

    /// Shows actions and notes that they were shown; tokens are action ids.
    pub(crate) fn show(&mut self, asked: &v1::DecideRequest, shown: &[Vec<usize>], now_ms: i64) -> v1::DecideResponse {
        let ruleset = self.ruleset.clone();
        let mut placements = Vec::new();
        let mut chosen = Vec::new();
        for (place, actions) in asked.placements.iter().zip(shown) {
            let channel = &ruleset.placements[ruleset.placement(&place.placement).expect("resolved before")].channel;
            let id = |action: &usize| ruleset.actions[*action].id.clone();
            chosen.extend(actions.iter().map(|action| Chosen { action: &ruleset.actions[*action].id, channel }));
            let actions = actions
                .iter()
                .map(|action| v1::ShownAction {
                    action_id: id(action),
                    outcome_token: id(action),
                    ..Default::default()
                })
                .collect();
            placements.push(v1::PlacementResult { placement: place.placement.clone(), actions, ..Default::default() });
        }
        let made = DecisionMade { time_ms: now_ms, matter_id: &asked.matter_id, chosen: &chosen };
        self.fold(&asked.subject_id, &Entry::Decision(made));
        v1::DecideResponse { decision_id: asked.request_id.clone(), placements, ..Default::default() }
    }

    fn fold(&mut self, subject_id: &str, entry: &Entry<'_>) {
        let schema = &self.ruleset.schema;
        let row = self.rows.entry(subject_id.to_owned()).or_insert_with(|| Row::new(schema));
        let applied = apply(schema, &mut self.names, row, entry, entry.time_ms());
        assert_eq!((applied.late, applied.unusable, applied.out_of_range), (0, 0, false), "{entry:?}");
    }
}

/// What the engine itself would show.
pub(crate) fn engine_choice(decision: &Decision) -> Vec<Vec<usize>> {
    let choice = |placement: &tactful_core::decide::PlacementDecision| {
        assert!(placement.reason == PlacementReason::Decided || placement.shown.is_empty());
        placement.shown.iter().map(|shown| shown.action).collect()
    };
    decision.placements.iter().map(choice).collect()
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: Option<&prost_types::Timestamp>) -> i64 {
    let time = time.expect("the simulator gives every time");
    time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000
}

fn read(value: &v1::Value) -> Value<'_> {
    match value.kind.as_ref().expect("the simulator gives every value") {
        value::Kind::Number(number) => Value::Number(*number),
        value::Kind::Text(text) => Value::Text(text),
        value::Kind::Flag(flag) => Value::Flag(*flag),
    }
}

fn kind(kind: v1::EventType) -> EventKind {
    match kind {
        v1::EventType::Identify => EventKind::Identify,
        v1::EventType::Page => EventKind::Page,
        v1::EventType::Screen => EventKind::Screen,
        v1::EventType::Track => EventKind::Track,
        other => panic!("the simulator sends no {other:?}"),
    }
}

fn outcome_name(kind: v1::OutcomeType) -> OutcomeName {
    match kind {
        v1::OutcomeType::Exposed => OutcomeName::Exposed,
        v1::OutcomeType::Accepted => OutcomeName::Accepted,
        v1::OutcomeType::Rejected => OutcomeName::Rejected,
        v1::OutcomeType::Deferred => OutcomeName::Deferred,
        v1::OutcomeType::Clicked => OutcomeName::Clicked,
        v1::OutcomeType::Converted => OutcomeName::Converted,
        v1::OutcomeType::Resolved => OutcomeName::Resolved,
        v1::OutcomeType::NotPresented => OutcomeName::NotPresented,
        v1::OutcomeType::Unspecified => panic!("the simulator gives every type"),
    }
}
