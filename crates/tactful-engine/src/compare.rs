//! Two versions of models on the record of decisions: each decides again on the fields that were recorded, without
//! exploration, so that what differs between them is theirs.

use std::sync::Arc;

use prost::Message;
use tactful_core::decide::{PlacementDecision, Request, RequestText, greedy};
use tactful_core::ruleset::{Models, NO_ACTION, Ruleset};
use tactful_core::score::{Bank, Source};
use tactful_log::Log;
use tactful_models::{Comparer, Comparison, RewardRule, TwoChoices};
use tactful_proto::storage::{ChosenBody, LayoutUsed, OutcomeBody};
use tactful_proto::v1;

use crate::background;
use crate::clock::now_ms;
use crate::engine::Engine;
use crate::error::Error;
use crate::export::{Joined, Visitor, visit};
use crate::record::bytes_to_floats;
use crate::registry::Reference;
use crate::slot::fit;

/// Decisions that are looked at; of more, those whose id's hash falls into an ever smaller share.
const DECISIONS_MAX: usize = 20_000;

/// Which models, on which decisions.
#[derive(Clone, Debug)]
pub struct CompareCommand {
    /// The first.
    pub first: Reference,
    /// The second.
    pub second: Reference,
    /// Decisions made from here on, milliseconds since 1970.
    pub start_ms: i64,
    /// Decisions made before, milliseconds since 1970.
    pub end_ms: i64,
    /// What counts as success, and for how long.
    pub reward: RewardRule,
}

/// Two models compared.
#[derive(Clone, Debug)]
pub struct Compared {
    /// What was found.
    pub comparison: Comparison,
    /// Decisions that were left out: made elsewhere, or under another field layout.
    pub left_out: u64,
    /// One decision in so many was looked at.
    pub one_in: u64,
}

impl Engine {
    /// Compares two versions on recorded decisions.
    ///
    /// # Errors
    /// If a version is not there or does not fit the catalogue, or the record cannot be read.
    pub async fn compare_models(&self, command: CompareCommand) -> Result<Compared, Error> {
        let ruleset = Ruleset::clone(&self.slot.load());
        let first = self.bank(&ruleset, &command.first).await?;
        let second = self.bank(&ruleset, &command.second).await?;
        let with =
            |bank: &Arc<Bank>| ruleset.with_models(Models { champion: Some(Arc::clone(bank)), challenger: None });
        let mut sample = Sample {
            rulesets: (with(&first), with(&second)),
            layout: ruleset.layout_hash,
            kept: Vec::new(),
            share_bits: 0,
            left_out: 0,
        };
        let log: &dyn Log = self.log.as_ref();
        let range = (command.start_ms, command.end_ms);
        visit(log, self.archive_directory().map(Into::into), range, &mut sample).await?;
        background::compute(move || sample.compare(&command.reward, now_ms())).await
    }

    async fn bank(&self, ruleset: &Ruleset, reference: &Reference) -> Result<Arc<Bank>, Error> {
        let sha256 = self.control.borrow().registry.version(reference).map(|version| version.sha256);
        let sha256 = sha256.ok_or_else(|| Error::missing("version", "there is no such version"))?;
        if let Some(bank) = self.slot.kept(&sha256, ruleset) {
            return Ok(bank);
        }
        let (artifact, fitting) = (self.artifact(&sha256).await?, ruleset.clone());
        Ok(background::compute_soon(move || fit(&fitting, &artifact)).await??.0)
    }
}

/// Decisions that are looked at.
struct Sample {
    /// The catalogue with the first model, and with the second.
    rulesets: (Ruleset, Ruleset),
    layout: u64,
    kept: Vec<(u64, Joined)>,
    /// Only hashes that end in so many zeros are kept.
    share_bits: u32,
    left_out: u64,
}

impl Visitor for Sample {
    async fn take(&mut self, joined: Joined, _layouts: &[LayoutUsed]) -> bool {
        if joined.decision.external || joined.decision.layout != self.layout {
            self.left_out += 1;
            return true;
        }
        let hash = tactful_core::hash::content(joined.decision.decision_id.as_bytes());
        if hash.trailing_zeros() >= self.share_bits {
            self.kept.push((hash, joined));
        }
        if self.kept.len() > DECISIONS_MAX {
            self.share_bits += 1;
            let bits = self.share_bits;
            self.kept.retain(|(hash, _)| hash.trailing_zeros() >= bits);
        }
        true
    }

    async fn end_partition(&mut self) -> bool {
        true
    }
}

impl Sample {
    fn compare(self, reward: &RewardRule, now_ms: i64) -> Compared {
        let mut comparer = Comparer::default();
        for (_, joined) in &self.kept {
            self.look(joined, reward, now_ms, &mut comparer);
        }
        Compared { comparison: comparer.finish(), left_out: self.left_out, one_in: 1 << self.share_bits }
    }

    fn look(&self, joined: &Joined, reward: &RewardRule, now_ms: i64, comparer: &mut Comparer) {
        let decision = &joined.decision;
        let (Some(request), Some(recorded)) = (self.request(joined), decision.chosen.first()) else { return };
        let fields: Vec<f32> = bytes_to_floats(&decision.fields).collect();
        let again = |ruleset: &Ruleset| greedy(ruleset, &fields, decision.purposes, &request, decision.decided_ms);
        let (first, second) = (again(&self.rulesets.0), again(&self.rulesets.1));
        let (first, second) = (first_action(&self.rulesets.0, &first), first_action(&self.rulesets.1, &second));
        let is_closed = reward.window_end(decision.decided_ms) <= now_ms;
        let answer = |chosen: &ChosenBody| is_closed.then(|| label(joined, chosen, reward)).flatten();
        let selection = Some(recorded.selection_probability).filter(|selection| *selection > 0.0);
        comparer.decided(TwoChoices {
            agree: first == second,
            shows_recorded: (first == recorded.action_id, second == recorded.action_id),
            selection,
            reward: answer(recorded).map(|positive| f64::from(u8::from(positive))),
        });
        for chosen in decision.chosen.iter().filter(|chosen| chosen.action_id != NO_ACTION) {
            let acceptance = |ruleset: &Ruleset| acceptance(ruleset, &fields, &chosen.action_id);
            if let (Some(first), Some(second)) = (acceptance(&self.rulesets.0), acceptance(&self.rulesets.1)) {
                comparer.shown(first, second, answer(chosen));
            }
        }
    }

    /// The recorded request without its context, which the fields hold.
    fn request(&self, joined: &Joined) -> Option<Request> {
        let request = v1::DecideRequest::decode(joined.decision.request.as_slice()).ok()?;
        let placements = request.placements.iter();
        let text = RequestText {
            subject_id: &joined.subject_id,
            placements: placements.map(|asked| (asked.placement.as_str(), i64::from(asked.count))).collect(),
            candidates: request.candidate_actions.iter().map(String::as_str).collect(),
            excluded: request.excluded_actions.iter().map(String::as_str).collect(),
            ..RequestText::default()
        };
        Request::resolve(&self.rulesets.0, &text).ok()
    }
}

/// What is shown first in the first placement.
fn first_action<'a>(ruleset: &'a Ruleset, placements: &[PlacementDecision]) -> &'a str {
    let first = placements.first().and_then(|placement| placement.shown.first());
    first.map_or(NO_ACTION, |shown| ruleset.actions[shown.action].id.as_str())
}

/// What a ruleset's model says of an action; none if the catalogue does not know it.
fn acceptance(ruleset: &Ruleset, fields: &[f32], action_id: &str) -> Option<f64> {
    let (action, bank) = (ruleset.action(action_id)?, ruleset.bank()?);
    if bank.source(action) == Source::Prior {
        return Some(f64::from(ruleset.factors[action].prior));
    }
    let mut out = [[0.0; 4]];
    bank.probabilities(&[action], &bank.encode(fields), &mut out);
    Some(f64::from(out[0][0]))
}

/// What became of a shown action; silence is never answered.
fn label(joined: &Joined, chosen: &ChosenBody, reward: &RewardRule) -> Option<bool> {
    if chosen.action_id == NO_ACTION {
        return Some(false);
    }
    let own = |outcome: &&OutcomeBody| outcome.action_id == chosen.action_id && outcome.placement == chosen.placement;
    let outcomes: Vec<(v1::OutcomeType, i64)> =
        joined.outcomes.iter().filter(own).map(|outcome| (outcome.r#type(), outcome.occurred_ms)).collect();
    reward.at_close(joined.decision.decided_ms, &outcomes)
}
