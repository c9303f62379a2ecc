//! What a ruleset says in every reply, record and outcome token, encoded once when it comes into use: ids
//! and content of its actions and placements. A decision joins them with what is its own.

use std::ops::Range;

use prost::Message;
use tactful_core::ruleset::{ActionIx, Alias, PlacementIx, Ruleset};
use tactful_models::give_way;
use tactful_proto::storage::{ChosenBody, DecisionBody, OutcomeToken};
use tactful_proto::v1::{DecideResponse, PlacementResult, ShownAction};

/// Encoded pieces of messages.
#[derive(Debug)]
pub struct Pieces {
    /// All of them, one after the other.
    bytes: Vec<u8>,
    /// By the model that scored: champion, challenger.
    responses: [Piece; 2],
    records: [Piece; 2],
    placements: Vec<OfPlacement>,
    actions: Vec<OfAction>,
    /// `ShownAction` for each action and within it each placement; empty where it has no treatment.
    shown: Vec<Piece>,
}

type Piece = Range<usize>;

#[derive(Debug)]
struct OfPlacement {
    result: Piece,
    chosen: Piece,
    token: Piece,
}

#[derive(Debug)]
struct OfAction {
    chosen: Piece,
    token: Piece,
}

impl Pieces {
    pub(crate) fn new(ruleset: &Ruleset) -> Self {
        let mut bytes = Vec::new();
        let aliases = [Alias::Champion, Alias::Challenger];
        let responses = aliases.map(|alias| add(&mut bytes, &whole_response(ruleset, alias)));
        let records = aliases.map(|alias| add(&mut bytes, &whole_record(ruleset, alias)));
        let placements = (0..ruleset.placements.len()).map(|at| of_placement(ruleset, at, &mut bytes)).collect();
        let actions = (0..ruleset.actions.len()).map(|at| of_action(ruleset, at, &mut bytes)).collect();
        let shown = (0..ruleset.actions.len()).flat_map(|action| shown(ruleset, action, &mut bytes)).collect();
        Self { bytes, responses, records, placements, actions, shown }
    }

    /// Of a `DecideResponse`: versions.
    #[must_use]
    pub fn response(&self, alias: Alias) -> &[u8] {
        self.get(&self.responses[usize::from(alias != Alias::Champion)])
    }

    /// Of a `PlacementResult`: the placement and its cost.
    #[must_use]
    pub fn placement(&self, placement: PlacementIx) -> &[u8] {
        self.get(&self.placements[placement].result)
    }

    /// Of a `ShownAction`: the action and its content for a placement.
    #[must_use]
    pub fn shown(&self, action: ActionIx, placement: PlacementIx) -> &[u8] {
        self.get(&self.shown[action * self.placements.len() + placement])
    }

    /// Of a `DecisionBody`: ruleset, model, layout.
    pub(crate) fn record(&self, alias: Alias) -> &[u8] {
        self.get(&self.records[usize::from(alias != Alias::Champion)])
    }

    /// Of a `ChosenBody`: action and placement.
    pub(crate) fn chosen(&self, action: ActionIx, placement: PlacementIx) -> [&[u8]; 2] {
        [self.get(&self.actions[action].chosen), self.chosen_in(placement)]
    }

    /// Of a `ChosenBody`: the placement alone.
    pub(crate) fn chosen_in(&self, placement: PlacementIx) -> &[u8] {
        self.get(&self.placements[placement].chosen)
    }

    /// Of an `OutcomeToken`: action, placement, ruleset.
    pub(crate) fn token(&self, action: ActionIx, placement: PlacementIx) -> [&[u8]; 2] {
        [self.get(&self.actions[action].token), self.get(&self.placements[placement].token)]
    }

    fn get(&self, piece: &Piece) -> &[u8] {
        &self.bytes[Piece::clone(piece)]
    }
}

fn add(bytes: &mut Vec<u8>, message: &impl Message) -> Piece {
    let start = bytes.len();
    message.encode_raw(bytes);
    start..bytes.len()
}

fn model_version(ruleset: &Ruleset, alias: Alias) -> String {
    ruleset.bank_of(alias).map_or_else(String::new, |bank| bank.version().into())
}

fn whole_response(ruleset: &Ruleset, alias: Alias) -> DecideResponse {
    DecideResponse {
        ruleset_version: format!("{:016x}", ruleset.hash()),
        model_version: model_version(ruleset, alias),
        ..DecideResponse::default()
    }
}

fn whole_record(ruleset: &Ruleset, alias: Alias) -> DecisionBody {
    DecisionBody {
        ruleset: ruleset.hash(),
        model_version: model_version(ruleset, alias),
        layout: ruleset.layout_hash,
        ..DecisionBody::default()
    }
}

fn of_placement(ruleset: &Ruleset, placement: PlacementIx, bytes: &mut Vec<u8>) -> OfPlacement {
    let placement = &ruleset.placements[placement];
    let id = || placement.id.clone();
    let interruption_cost = placement.interruption_cost;
    let result = PlacementResult { placement: id(), interruption_cost, ..PlacementResult::default() };
    let chosen = ChosenBody { placement: id(), channel: placement.channel.clone(), ..ChosenBody::default() };
    let token = OutcomeToken { placement: id(), ruleset: ruleset.hash(), ..OutcomeToken::default() };
    OfPlacement { result: add(bytes, &result), chosen: add(bytes, &chosen), token: add(bytes, &token) }
}

fn of_action(ruleset: &Ruleset, action: ActionIx, bytes: &mut Vec<u8>) -> OfAction {
    give_way();
    let action = &ruleset.actions[action];
    let action_id = || action.id.clone();
    let chosen = ChosenBody { action_id: action_id(), group: action.group.clone(), ..ChosenBody::default() };
    let token = OutcomeToken { action_id: action_id(), ..OutcomeToken::default() };
    OfAction { chosen: add(bytes, &chosen), token: add(bytes, &token) }
}

/// One for each placement; placements of one treatment share it.
fn shown(ruleset: &Ruleset, action: ActionIx, bytes: &mut Vec<u8>) -> Vec<Piece> {
    give_way();
    let definition = &ruleset.actions[action];
    let treatments: Vec<Piece> = definition
        .treatments
        .iter()
        .map(|treatment| {
            let shown = ShownAction {
                action_id: definition.id.clone(),
                content: treatment.content.clone(),
                significant_effect: definition.significant_effect,
                kind: definition.kind.name().into(),
                ..ShownAction::default()
            };
            add(bytes, &shown)
        })
        .collect();
    let of_placement = |placement| ruleset.treatment(action, placement).map(|at| treatments[at].clone());
    (0..ruleset.placements.len()).map(|placement| of_placement(placement).unwrap_or_default()).collect()
}
