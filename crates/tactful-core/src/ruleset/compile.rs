//! From definitions to a compiled ruleset, collecting every problem on the way.

use std::sync::Arc;

use super::check::{Report, unique_ids};
use super::per_action::PerAction;
use super::reach::{indices, reach, reordered};
use super::template::Template;
use super::{Action, ActionIx, Compiled, Factors, NO_ACTION, Placement, Reason, Rule, Treatment, Weight};
use crate::catalog::{
    ActionDef, Catalog, ContextDef, ContextType, ExplorationDef, Polarity, Problem, Selector, Tier, WhenUnknown,
};
use crate::layout::{Field, FieldKind, Layout};
use crate::limits;
use crate::rule::{Expr, MaskIndex, Program, RuleSpec};
use crate::state::Schema;

pub(super) fn compile(catalog: &Catalog) -> Result<Compiled, Vec<Problem>> {
    let schema = Schema::compile(catalog)?;
    let mut report = Report::default();
    let layout = layout(catalog, &schema, &mut report);
    check_lists(catalog, &mut report);
    let placement_index = unique_ids(&mut report, "placement", "id", catalog.placement.iter().map(|p| p.id.as_str()));
    let mut action_index = unique_ids(&mut report, "action", "id", catalog.action.iter().map(|a| a.id.as_str()));
    let factors: Vec<Factors> = catalog.action.iter().map(factors).collect();
    let indices = indices(&factors);
    action_index.values_mut().for_each(|action| *action = indices[*action]);
    let mut rules = Rules {
        layout: &layout,
        indices: &indices,
        compiled: Vec::new(),
        specs: Vec::new(),
        of_action: vec![Vec::new(); catalog.action.len()],
    };
    rules.shared(catalog, &mut report);
    rules.own(catalog, &mut report);
    let weights = weights(catalog, &layout, &indices, &mut report);
    let mut builder = Builder { catalog, schema: &schema, layout: &layout, report: &mut report };
    let actions =
        catalog.action.iter().enumerate().map(|(at, def)| builder.action(at, def, &placement_index)).collect();
    let mut actions: Vec<Action> = reordered(actions, &indices);
    let validity = builder.validity(&indices);
    let placements = builder.placements(&actions);
    if !report.problems.is_empty() {
        return Err(report.problems);
    }
    for (action, mut own) in actions.iter_mut().zip(rules.of_action) {
        own.sort_by_key(|rule: &usize| rules.compiled[*rule].tier);
        action.rules = own;
    }
    let factors = reordered(factors, &indices);
    let reaches: Vec<f32> = factors.iter().map(reach).collect();
    Ok(Compiled {
        masks: MaskIndex::build(actions.len(), &rules.specs),
        rules: rules.compiled,
        purpose_masks: purpose_masks(&schema, &actions),
        model_named: indices.iter().copied().filter(|action| actions[*action].model.is_some()).collect(),
        reaches: PerAction::new(&reaches, 0.0),
        factors,
        catalog: catalog.clone(),
        schema: Arc::new(schema),
        layout_hash: layout.hash(),
        layout,
        actions,
        placements,
        weights,
        validity,
        action_index,
        placement_index,
        // The derived debug form lists every field in order: a stable text of the definitions.
        catalog_hash: crate::hash::content(format!("{catalog:?}").as_bytes()),
    })
}

fn layout(catalog: &Catalog, schema: &Schema, report: &mut Report) -> Layout {
    unique_ids(report, "context", "name", catalog.context.iter().map(|c| c.name.as_str()));
    let mut fields = schema.fields();
    for (index, def) in catalog.context.iter().enumerate() {
        report.at("context", index);
        fields.push(Field { name: format!("context.{}", def.name), kind: context_kind(def, report) });
    }
    let count = fields.len();
    report.require(count <= limits::FIELDS_MAX, "", || {
        (format!("{count} fields, at most {} are allowed", limits::FIELDS_MAX), "")
    });
    Layout::new(fields)
}

fn context_kind(def: &ContextDef, report: &mut Report) -> FieldKind {
    let category = def.kind == ContextType::Category;
    report.require(category != def.vocabulary.is_empty(), "vocabulary", || {
        (
            format!("context field {:?} and its vocabulary do not fit", def.name),
            "a category has a vocabulary, nothing else has one",
        )
    });
    let words = def.vocabulary.len();
    report.require(words <= limits::VOCABULARY_MAX, "vocabulary", || {
        (format!("{words} words, at most {} are allowed", limits::VOCABULARY_MAX), "")
    });
    match def.kind {
        ContextType::Number => FieldKind::Number,
        ContextType::Bool => FieldKind::Bool,
        ContextType::Category => FieldKind::Category(def.vocabulary.clone()),
    }
}

fn check_lists(catalog: &Catalog, report: &mut Report) {
    unique_ids(report, "channel", "id", catalog.channel.iter().map(|c| c.id.as_str()));
    unique_ids(report, "rule", "id", catalog.rule.iter().map(|r| r.id.as_str()));
    unique_ids(report, "weight", "id", catalog.weight.iter().map(|w| w.id.as_str()));
    let actions = catalog.action.len();
    report.require(actions <= limits::ACTIONS_MAX, "", || {
        (format!("{actions} actions, at most {} are allowed", limits::ACTIONS_MAX), "")
    });
    if let Some(holdout) = &catalog.holdout
        && !(0.0..=1.0).contains(&holdout.share)
    {
        report.at("holdout", 0).add("share", format!("{} is not between 0 and 1", holdout.share), "10 % is 0.1".into());
    }
    if let Some(exploration) = &catalog.exploration {
        check_exploration(exploration, report.at("exploration", 0));
    }
}

fn check_exploration(exploration: &ExplorationDef, report: &mut Report) {
    let ExplorationDef { floor, width, draws, candidates } = *exploration;
    report
        .require((0.0..=1.0).contains(&floor), "floor", || (format!("{floor} is not between 0 and 1"), "2 % is 0.02"));
    report.require(width > 0.0 && width <= 2.0, "width", || {
        (format!("{width} is not above 0 and at most 2"), "0.5 is a good number")
    });
    report.require((1..=limits::DRAWS_MAX).contains(&draws), "draws", || {
        (format!("{draws} is not between 1 and {}", limits::DRAWS_MAX), "32 is a good number")
    });
    report.require((1..=limits::COUNT_MAX).contains(&candidates), "candidates", || {
        (format!("{candidates} is not between 1 and {}", limits::COUNT_MAX), "8 is a good number")
    });
}

/// Rules on their way from text to masks.
struct Rules<'a> {
    layout: &'a Layout,
    /// For each action of the catalogue its index.
    indices: &'a [ActionIx],
    compiled: Vec<Rule>,
    specs: Vec<RuleSpec>,
    of_action: Vec<Vec<usize>>,
}

impl Rules<'_> {
    fn shared(&mut self, catalog: &Catalog, report: &mut Report) {
        for (index, def) in catalog.rule.iter().enumerate() {
            report.at("rule", index);
            let actions = select(catalog, &def.applies_to, self.indices, report);
            match Polarity::from_keys(def.require.clone(), def.block.clone(), def.when_unknown) {
                Ok(polarity) => {
                    let key = if def.block.is_some() { "block" } else { "require" };
                    self.add(report, key, def.id.clone(), (def.tier, &polarity, &def.message), actions);
                }
                Err(reason) => report.add("", reason.into(), String::new()),
            }
        }
    }

    fn own(&mut self, catalog: &Catalog, report: &mut Report) {
        for (at, def) in catalog.action.iter().enumerate() {
            let tiers = [
                (Tier::Eligibility, "eligibility", &def.eligibility),
                (Tier::Applicability, "applicability", &def.applicability),
                (Tier::Suitability, "suitability", &def.suitability),
            ];
            for (tier, key, rules) in tiers {
                for (position, rule) in rules.iter().enumerate() {
                    report.at("action", at).within(key, position);
                    let id = format!("{}.{key}[{position}]", def.id);
                    let actions = vec![self.indices[at]];
                    self.add(report, "", id, (tier, &rule.polarity, &rule.message), actions);
                }
            }
        }
    }

    fn add(
        &mut self,
        report: &mut Report,
        key: &'static str,
        id: String,
        (tier, polarity, message): (Tier, &Polarity, &str),
        actions: Vec<ActionIx>,
    ) {
        let (source, block, unknown_drops) = match polarity {
            Polarity::Require(source) => (source, false, true),
            Polarity::Block(source, unknown) => (source, true, *unknown == WhenUnknown::Block),
        };
        let expr = match Expr::parse(source, self.layout) {
            Ok(expr) => expr,
            Err(error) => return report.add_offset(key, Some(error.offset), error.message, error.hint),
        };
        let index = self.compiled.len();
        actions.iter().for_each(|action| self.of_action[*action].push(index));
        self.compiled.push(Rule {
            version: crate::hash::content(format!("{tier:?} {polarity:?}").as_bytes()),
            id,
            tier,
            source: source.clone(),
            message: message.into(),
            program: Program::compile(&expr),
            block,
            unknown_drops,
        });
        self.specs.push(RuleSpec { expr, block, unknown_drops, actions });
    }
}

/// Indices of the selected actions; a selector that names something unknown, or selects nothing, is a problem.
fn select(catalog: &Catalog, selector: &Selector, indices: &[ActionIx], report: &mut Report) -> Vec<ActionIx> {
    let all = &catalog.action;
    selector.actions.iter().for_each(|id| report.known("applies_to", "action", id, all.iter().map(|a| a.id.as_str())));
    selector.groups.iter().for_each(|id| report.known("applies_to", "group", id, all.iter().map(|a| a.group.as_str())));
    selector.issues.iter().for_each(|id| report.known("applies_to", "issue", id, all.iter().map(|a| a.issue.as_str())));
    selector.topics.iter().for_each(|id| report.known("applies_to", "topic", id, all.iter().map(|a| a.topic.as_str())));
    let named = |list: &[String], name: &str| list.is_empty() || list.iter().any(|entry| entry == name);
    let chosen = |action: &ActionDef| {
        named(&selector.actions, &action.id)
            && named(&selector.groups, &action.group)
            && named(&selector.issues, &action.issue)
            && named(&selector.topics, &action.topic)
            && (selector.kinds.is_empty() || selector.kinds.contains(&action.kind))
    };
    let chosen = all.iter().zip(indices).filter(|(action, _)| chosen(action));
    let selected: Vec<ActionIx> = chosen.map(|(_, index)| *index).collect();
    report.require(!selected.is_empty(), "applies_to", || {
        ("selects no action".into(), "an action must match every list that is given")
    });
    selected
}

fn weights(catalog: &Catalog, layout: &Layout, indices: &[ActionIx], report: &mut Report) -> Vec<Weight> {
    let mut weights = Vec::new();
    for (index, def) in catalog.weight.iter().enumerate() {
        report.at("weight", index);
        let sound = def.factor.is_finite() && def.factor > 0.0;
        report.require(sound, "factor", || (format!("{} is not above 0", def.factor), "2.0 doubles the priority"));
        let mut factors = vec![1.0; catalog.action.len()];
        for action in select(catalog, &def.applies_to, indices, report) {
            factors[action] = def.factor;
        }
        match Expr::parse(&def.when, layout) {
            Ok(expr) => weights.push(Weight {
                id: def.id.clone(),
                message: def.message.clone(),
                program: Program::compile(&expr),
                factors: PerAction::new(&factors, 1.0),
                most: def.factor.max(1.0),
            }),
            Err(error) => report.add_offset("when", Some(error.offset), error.message, error.hint),
        }
    }
    weights
}

/// Builds actions and placements.
struct Builder<'a> {
    catalog: &'a Catalog,
    schema: &'a Schema,
    layout: &'a Layout,
    report: &'a mut Report,
}

impl Builder<'_> {
    fn action(
        &mut self,
        index: usize,
        def: &ActionDef,
        placements: &std::collections::BTreeMap<String, usize>,
    ) -> Action {
        self.report.at("action", index);
        self.check_numbers(def);
        self.report
            .require(def.id != NO_ACTION, "id", || ("\"none\" stands for no action".into(), "choose another id"));
        let purposes = self.schema.purposes();
        self.report.known("purpose", "purpose", &def.purpose, purposes.iter().map(String::as_str));
        self.report.require(!def.treatment.is_empty(), "treatment", || {
            (format!("action {:?} has no treatment", def.id), "give it content for at least one channel")
        });
        let treatments =
            (0..def.treatment.len()).map(|position| self.treatment(index, position, def, placements)).collect();
        Action {
            id: def.id.clone(),
            position: index,
            group: def.group.clone(),
            kind: def.kind,
            title: def.title.clone(),
            model: def.model.clone(),
            significant_effect: def.significant_effect,
            rules: Vec::new(),
            purpose: self.schema.purpose(&def.purpose).unwrap_or(0),
            reasons: self.reasons(index, def),
            treatments,
        }
    }

    fn check_numbers(&mut self, def: &ActionDef) {
        let report = &mut *self.report;
        report.require(def.value.is_finite(), "value", || (format!("{} is not finite", def.value), ""));
        report.require(def.cost.is_finite() && def.cost >= 0.0, "cost", || {
            (format!("{} is not 0 or more", def.cost), "")
        });
        report.require(def.lever.is_finite() && def.lever > 0.0, "lever", || {
            (format!("{} is not above 0", def.lever), "")
        });
        report.require((0.0..=1.0).contains(&def.start_acceptance), "start_acceptance", || {
            (format!("{} is not between 0 and 1", def.start_acceptance), "2 % is 0.02")
        });
        report.require((1..=5).contains(&def.intensity), "intensity", || {
            (format!("{} is not between 1 and 5", def.intensity), "1 is a line of text, 5 is a call")
        });
    }

    fn treatment(
        &mut self,
        action: usize,
        position: usize,
        def: &ActionDef,
        placements: &std::collections::BTreeMap<String, usize>,
    ) -> Treatment {
        let def = &def.treatment[position];
        self.report.at("action", action).within("treatment", position);
        self.report.known("channel", "channel", &def.channel, self.catalog.channel.iter().map(|c| c.id.as_str()));
        for id in &def.placements {
            self.report.known("placements", "placement", id, placements.keys().map(String::as_str));
            // A placement whose channel is a typo is told once, at the placement.
            let known = |id: &str| self.catalog.channel.iter().any(|channel| channel.id == id);
            let channel = placements.get(id).map(|at| &self.catalog.placement[*at].channel);
            let elsewhere = channel.is_some_and(|channel| *channel != def.channel && known(channel));
            self.report.require(!elsewhere, "placements", || {
                (
                    format!("placement {id:?} is not in channel {:?}", def.channel),
                    "a treatment serves placements of its channel",
                )
            });
        }
        let content = def.content.clone();
        self.report.require(!content.is_empty(), "content", || ("is empty".into(), "give at least a title"));
        let placements = def.placements.iter().filter_map(|id| placements.get(id).copied()).collect();
        Treatment { channel: def.channel.clone(), placements, content }
    }

    fn reasons(&mut self, action: usize, def: &ActionDef) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for (position, reason) in def.reasons.iter().enumerate() {
            self.report.at("action", action).within("reasons", position);
            let when = reason.when.as_deref().and_then(|when| self.condition(when));
            // A reason written as a bare text has no key `text`: its place is the text itself.
            match Template::parse(&reason.text, self.layout) {
                Ok(text) => reasons.push(Reason { text, when }),
                Err((offset, message, hint)) => self.report.add_offset("text", Some(offset), message, hint),
            }
        }
        reasons
    }

    fn condition(&mut self, when: &str) -> Option<Program> {
        match Expr::parse(when, self.layout) {
            Ok(expr) => Some(Program::compile(&expr)),
            Err(error) => {
                self.report.add_offset("when", Some(error.offset), error.message, error.hint);
                None
            }
        }
    }

    fn validity(&mut self, indices: &[ActionIx]) -> Vec<(ActionIx, i64, i64)> {
        let mut validity = Vec::new();
        for (at, def) in self.catalog.action.iter().enumerate() {
            self.report.at("action", at);
            let from = self.moment("valid_from", def.valid_from.as_deref()).unwrap_or(i64::MIN);
            let until = self.moment("valid_until", def.valid_until.as_deref()).unwrap_or(i64::MAX);
            self.report.require(from < until, "valid_until", || {
                (format!("action {:?} ends before it begins", def.id), "valid_from must lie before valid_until")
            });
            if (from, until) != (i64::MIN, i64::MAX) {
                validity.push((indices[at], from, until));
            }
        }
        validity
    }

    fn moment(&mut self, key: &'static str, text: Option<&str>) -> Option<i64> {
        let text = text?;
        match text.parse::<jiff::Timestamp>() {
            Ok(moment) => Some(moment.as_millisecond()),
            Err(_) => {
                self.report.add(key, format!("{text:?} is no time"), "write it as 2026-12-01T00:00:00Z".into());
                None
            }
        }
    }

    fn placements(&mut self, actions: &[Action]) -> Vec<Placement> {
        self.catalog.placement.iter().enumerate().map(|(index, _)| self.placement(index, actions)).collect()
    }

    fn placement(&mut self, index: usize, actions: &[Action]) -> Placement {
        let def = &self.catalog.placement[index];
        self.report.at("placement", index);
        self.report.known("channel", "channel", &def.channel, self.catalog.channel.iter().map(|c| c.id.as_str()));
        let count = def.count as usize;
        self.report.require((1..=limits::COUNT_MAX).contains(&count), "count", || {
            (format!("{count} is not between 1 and {}", limits::COUNT_MAX), "")
        });
        let cost = def.interruption_cost;
        self.report
            .require(cost.is_finite() && cost >= 0.0, "interruption_cost", || (format!("{cost} is not 0 or more"), ""));
        self.report.require(!def.fallback.is_empty(), "fallback", || {
            (format!("placement {:?} has an empty fallback", def.id), "say what to show when nothing passes the rules")
        });
        let mut mask = vec![0; actions.len().div_ceil(64)];
        for (position, action) in actions.iter().enumerate() {
            if action.treatments.iter().any(|treatment| treatment.serves(&def.channel, index)) {
                mask[position / 64] |= 1 << (position % 64);
            }
        }
        Placement {
            id: def.id.clone(),
            channel: def.channel.clone(),
            count,
            interruption_cost: cost,
            fallback: def.fallback.clone(),
            actions: mask,
        }
    }
}

fn purpose_masks(schema: &Schema, actions: &[Action]) -> Vec<Vec<u64>> {
    let mut masks = vec![vec![0; actions.len().div_ceil(64)]; schema.purposes().len()];
    for (index, action) in actions.iter().enumerate() {
        masks[action.purpose][index / 64] |= 1 << (index % 64);
    }
    masks
}

fn factors(action: &ActionDef) -> Factors {
    Factors { value: action.value - action.cost, lever: action.lever, prior: action.start_acceptance }
}
