//! The ruleset: features, actions, rules, policy and the models that decide, compiled together into one
//! immutable value with one hash. A request sees exactly one.

mod check;
mod compile;
mod per_action;
mod reach;
mod template;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{Catalog, Kind, Problem, Tier};
use crate::layout::{FieldIx, Layout};
use crate::rule::{MaskIndex, Program};
use crate::score::{Bank, Model, ScoreError};
use crate::state::Schema;

pub use per_action::{PerAction, WORD};
pub use template::Template;

/// Index of an action in a ruleset, whose actions stand in another order than the catalogue's.
pub type ActionIx = usize;
/// Index of a placement in a ruleset.
pub type PlacementIx = usize;

/// Id that stands for a deliberate silence; no action may bear it.
pub const NO_ACTION: &str = "none";

/// Everything that a decision depends on besides the customer, the request, the time and the seed.
#[derive(Clone, Debug)]
pub struct Ruleset {
    compiled: Arc<Compiled>,
    models: Models,
    hash: u64,
}

/// The models of a ruleset, compiled.
#[derive(Clone, Debug, Default)]
pub struct Models {
    /// Scores for all customers who are not the challenger's.
    pub champion: Option<Arc<Bank>>,
    /// Scores for a share of the customers.
    pub challenger: Option<Challenger>,
}

/// A model that scores for a share of the customers: a canary.
#[derive(Clone, Debug)]
pub struct Challenger {
    /// The model.
    pub bank: Arc<Bank>,
    /// Share of the customers, 0 to 1.
    pub share: f64,
}

/// What a model is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alias {
    /// It decides.
    #[default]
    Champion,
    /// It decides for a share of the customers.
    Challenger,
    /// It scores what was decided, and decides nothing.
    Shadow,
}

/// The part of a ruleset that comes from the catalogue alone.
#[derive(Debug)]
pub struct Compiled {
    /// The definitions as written.
    pub catalog: Catalog,
    /// What the fold depends on.
    pub schema: Arc<Schema>,
    /// Fields of a decision.
    pub layout: Layout,
    /// Hash of the layout.
    pub layout_hash: u64,
    /// Actions, those whose priority can get highest first.
    pub actions: Vec<Action>,
    /// Placements in the order of the catalogue.
    pub placements: Vec<Placement>,
    /// Rules; an action names its own by index.
    pub rules: Vec<Rule>,
    /// The rules of all actions as interval masks.
    pub masks: MaskIndex,
    /// Context weights.
    pub weights: Vec<Weight>,
    /// For each purpose, the actions that need it.
    pub purpose_masks: Vec<Vec<u64>>,
    /// Actions with a validity: index, first millisecond, first millisecond beyond.
    pub validity: Vec<(ActionIx, i64, i64)>,
    /// Actions that name the model which must score them.
    pub model_named: Vec<ActionIx>,
    /// What a priority is made of, for each action.
    pub factors: Vec<Factors>,
    /// For each action what no P x V x L exceeds; not negative, never rising.
    pub reaches: PerAction,
    action_index: BTreeMap<String, ActionIx>,
    placement_index: BTreeMap<String, PlacementIx>,
    catalog_hash: u64,
}

/// Static factors of an action.
#[derive(Clone, Copy, Debug)]
pub struct Factors {
    /// V: value less cost.
    pub value: f32,
    /// L: lever.
    pub lever: f32,
    /// Start acceptance.
    pub prior: f32,
}

impl Factors {
    /// P x V x C x L, multiplied in this order.
    #[inline(always)]
    #[must_use]
    pub fn priority(&self, acceptance: f32, context: f32) -> f32 {
        acceptance * self.value * context * self.lever
    }
}

/// An action as decisions read it.
#[derive(Debug)]
pub struct Action {
    /// Unique id.
    pub id: String,
    /// Place in the catalogue, from 0: of equal actions the first one written wins.
    pub position: usize,
    /// Group: models back off to it.
    pub group: String,
    /// What it is for the customer.
    pub kind: Kind,
    /// For people.
    pub title: String,
    /// Model that must score it.
    pub model: Option<String>,
    /// A recommendation for a human, never automatic.
    pub significant_effect: bool,
    /// Its rules in the order of the tiers.
    pub rules: Vec<usize>,
    /// Purpose that it needs.
    pub purpose: usize,
    /// Reasons in plain words.
    pub reasons: Vec<Reason>,
    /// Content for each channel and, if not empty, only these placements.
    pub treatments: Vec<Treatment>,
}

/// A reason in plain words.
#[derive(Debug)]
pub struct Reason {
    /// The text with its fields.
    pub text: Template,
    /// Condition; none for always.
    pub when: Option<Program>,
}

/// The content of an action in one channel.
#[derive(Debug)]
pub struct Treatment {
    /// Channel.
    pub channel: String,
    /// Placements; empty for all of the channel.
    pub placements: Vec<PlacementIx>,
    /// Key to text.
    pub content: BTreeMap<String, String>,
}

/// A placement as decisions read it.
#[derive(Debug)]
pub struct Placement {
    /// Unique id.
    pub id: String,
    /// Channel.
    pub channel: String,
    /// Actions shown unless the request says otherwise.
    pub count: usize,
    /// What an action must beat.
    pub interruption_cost: f32,
    /// Shown when nothing passes the rules.
    pub fallback: BTreeMap<String, String>,
    /// Actions with a treatment here, one bit each.
    pub actions: Vec<u64>,
}

/// A rule with what explanations need.
#[derive(Debug)]
pub struct Rule {
    /// Id: that of the catalogue, or `<action>.<tier>[<n>]`.
    pub id: String,
    /// Hash of its definition.
    pub version: u64,
    /// Tier.
    pub tier: Tier,
    /// The expression as written.
    pub source: String,
    /// Why, in plain words; may be empty.
    pub message: String,
    /// Compiled expression.
    pub program: Program,
    /// True if the expression must not hold.
    pub block: bool,
    /// Whether an unknown expression drops the action.
    pub unknown_drops: bool,
}

/// A context weight.
#[derive(Debug)]
pub struct Weight {
    /// Id.
    pub id: String,
    /// Why, in plain words; may be empty.
    pub message: String,
    /// Condition.
    pub program: Program,
    /// Factor for each action, 1 where it does not apply.
    pub factors: PerAction,
    /// The largest of the factors, at least 1.
    pub most: f32,
}

impl Ruleset {
    /// Compiles a whole catalogue, without a model: all or nothing.
    ///
    /// # Errors
    /// Every problem found, each with its place.
    pub fn compile(catalog: &Catalog) -> Result<Self, Vec<Problem>> {
        let compiled = compile::compile(catalog)?;
        let hash = compiled.catalog_hash;
        Ok(Self { compiled: Arc::new(compiled), models: Models::default(), hash })
    }

    /// A model compiled for this catalogue.
    ///
    /// # Errors
    /// If the model is unsound or does not fit the catalogue's fields.
    pub fn bank_for(&self, model: &Model) -> Result<Arc<Bank>, ScoreError> {
        let actions: Vec<(&str, &str)> =
            self.compiled.actions.iter().map(|action| (action.id.as_str(), action.group.as_str())).collect();
        Bank::compile(model, &self.compiled.layout, &actions).map(Arc::new)
    }

    /// The same catalogue with other models, compiled for it by [`Ruleset::bank_for`].
    #[must_use]
    pub fn with_models(&self, models: Models) -> Self {
        let mut hash = self.compiled.catalog_hash;
        if let Some(champion) = &models.champion {
            hash = crate::hash::keyed(hash, champion.version().as_bytes());
        }
        if let Some(Challenger { bank, share }) = &models.challenger {
            let named = [bank.version().as_bytes(), &share.to_bits().to_le_bytes()].concat();
            hash = crate::hash::keyed(hash, &named);
        }
        Self { compiled: Arc::clone(&self.compiled), models, hash }
    }

    /// The same catalogue with one model, which decides for everybody.
    ///
    /// # Errors
    /// If the model is unsound or does not fit the catalogue's fields.
    pub fn with_model(&self, model: &Model) -> Result<Self, ScoreError> {
        Ok(self.with_models(Models { champion: Some(self.bank_for(model)?), challenger: None }))
    }

    /// The models that decide.
    #[must_use]
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// Which model decides for a customer, by a hash of the customer's ids: the same one as long as the challenger
    /// stays, and a share that grows takes nobody away from it.
    #[inline]
    #[must_use]
    pub fn alias_for(&self, customer: u64) -> Alias {
        match &self.models.challenger {
            Some(challenger) if challenger.takes(customer) => Alias::Challenger,
            _ => Alias::Champion,
        }
    }

    /// Content hash of catalogue and model.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Content hash of the catalogue alone.
    #[must_use]
    pub fn catalog_hash(&self) -> u64 {
        self.compiled.catalog_hash
    }

    /// The champion, if there is one.
    #[must_use]
    pub fn bank(&self) -> Option<&Bank> {
        self.models.champion.as_deref()
    }

    /// The model behind an alias, if there is one; a ruleset knows no shadow.
    #[must_use]
    pub fn bank_of(&self, alias: Alias) -> Option<&Bank> {
        match alias {
            Alias::Champion => self.bank(),
            Alias::Challenger => self.models.challenger.as_ref().map(|challenger| &*challenger.bank),
            Alias::Shadow => None,
        }
    }

    /// Index of an action by id.
    #[must_use]
    pub fn action(&self, id: &str) -> Option<ActionIx> {
        self.compiled.action_index.get(id).copied()
    }

    /// Index of a placement by id.
    #[must_use]
    pub fn placement(&self, id: &str) -> Option<PlacementIx> {
        self.compiled.placement_index.get(id).copied()
    }

    /// Words of a bit set over all actions.
    #[must_use]
    pub fn words(&self) -> usize {
        self.compiled.actions.len().div_ceil(64)
    }
}

impl Challenger {
    /// Whether a customer is its own: a hash under its version, so that another challenger tries other customers.
    fn takes(&self, customer: u64) -> bool {
        let hash = crate::hash::keyed(customer, self.bank.version().as_bytes());
        (hash as f64) < self.share * 2f64.powi(64)
    }
}

impl Alias {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Champion, Self::Challenger, Self::Shadow];

    /// Its name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Challenger => "challenger",
            Self::Shadow => "shadow",
        }
    }
}

impl std::ops::Deref for Ruleset {
    type Target = Compiled;

    fn deref(&self) -> &Compiled {
        &self.compiled
    }
}

impl Compiled {
    /// Which of an action's treatments serves a placement, if one does.
    #[must_use]
    pub fn treatment(&self, action: ActionIx, placement: PlacementIx) -> Option<usize> {
        let channel = &self.placements[placement].channel;
        self.actions[action].treatments.iter().position(|treatment| treatment.serves(channel, placement))
    }

    /// The value of a field in words, or nothing if it is missing.
    #[must_use]
    pub fn display(&self, field: FieldIx, value: f32) -> Option<String> {
        template::display(&self.layout.fields()[field].kind, value)
    }
}

impl Treatment {
    fn serves(&self, channel: &str, placement: PlacementIx) -> bool {
        self.channel == channel && (self.placements.is_empty() || self.placements.contains(&placement))
    }
}
