//! The schema: features, facts, matters and purposes of a catalogue, compiled once and immutable.
//!
//! It knows which features and matters an event drives, where slots lie, and which fields come
//! after the features. It reads nothing else of the catalogue: rules, actions and placements are
//! not its business. Its fold part has a [`Definition`], from which it can be compiled again.

mod definition;

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::EventKind;
use super::check::{At, refuse_list};
use super::digest::Canonical;
use super::entry::OUTCOMES;
use super::fact::FactField;
use super::feature::{self, Feature, From, Source};
use super::matter::{MatterType, event_lists};
use super::matters::TransitionKind;
use super::names::TextMap;
use super::view::CONTACT_FIELDS;
use crate::catalog::{Catalog, ContextType, Duration, MatterDef, OutcomeName, Problem, PurposeDefault, SERVICE};
use crate::hash;
use crate::layout::{Field, FieldKind};
use crate::limits::{FACTS_MAX, FEATURES_MAX, FIELDS_MAX, PURPOSES_MAX, SLOTS_MAX, TEXT_BYTES_MAX, VOCABULARY_MAX};

pub use definition::Definition;

/// Changes whenever the same schema would fold or store differently.
const FOLD_VERSION: u64 = 2;

/// What the fold and the views of customers depend on.
#[derive(Clone, Debug)]
pub struct Schema {
    features: Vec<Feature>,
    matter_types: Vec<MatterType>,
    facts: Vec<FactField>,
    purposes: Vec<String>,
    default_purposes: u64,
    slot_count: usize,
    sources: Sources,
    hash: u64,
}

/// What an event of some name drives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Driven {
    /// Indices of features.
    pub(crate) features: Vec<u16>,
    /// Indices of matter types, with what happens to them.
    pub(crate) matters: Vec<(u16, TransitionKind)>,
}

/// Features and matters by where they come from; names are folded.
#[derive(Clone, Debug, Default)]
struct Sources {
    tracks: TextMap<Driven>,
    pages: TextMap<Driven>,
    screens: TextMap<Driven>,
    any_page: Driven,
    any_screen: Driven,
    /// (key, feature).
    traits: Vec<(String, u16)>,
    outcomes: [Vec<u16>; OUTCOMES.len()],
}

impl Schema {
    /// Compiles the features, facts, matters and purposes of a catalogue.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn compile(catalog: &Catalog) -> Result<Self, Vec<Problem>> {
        let actions: Vec<_> = catalog.action.iter().map(|action| action.id.as_str()).collect();
        Self::build(catalog, &actions)
    }

    /// Compiles what a log says of its fold. What is only read has its defaults.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn of(definition: &Definition) -> Result<Self, Vec<Problem>> {
        let catalog =
            Catalog { feature: definition.feature.clone(), matter: definition.matter.clone(), ..Catalog::default() };
        let actions: Vec<_> = definition.feature.iter().filter_map(|feature| feature.action.as_deref()).collect();
        Self::build(&catalog, &actions)
    }

    fn build(catalog: &Catalog, actions: &[&str]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let (purposes, default_purposes) = compile_purposes(catalog, &mut problems);
        let mut features = compile_features(catalog, &purposes, actions, &mut problems);
        let matter_types = compile_matters(catalog, &mut problems);
        let facts = compile_facts(catalog, &purposes, &mut problems);
        let slot_count = place(&mut features);
        if slot_count > SLOTS_MAX {
            let message = format!("the features take {slot_count} slots, at most {SLOTS_MAX} are allowed");
            refuse_list(&mut problems, "feature", message);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let sources = Sources::new(&features, &catalog.matter);
        let hash = fold_hash(&features, &catalog.matter);
        Ok(Self { features, matter_types, facts, purposes, default_purposes, slot_count, sources, hash })
    }

    /// Content hash of everything that the fold depends on: what is only read (purposes, units,
    /// ages, windows of confirmation, declared facts) is not in it.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Slots of a row.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.slot_count
    }

    /// The features in order.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The fields that a view fills: `customer.<name>` of each feature, then the derived fields.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let features = self.features.iter().map(|feature| (format!("customer.{}", feature.name), feature.kind.clone()));
        let number = |name: String| (name, FieldKind::Number);
        let matters = self.matter_types.iter().flat_map(|matter| {
            ["open", "days_open", "reopenings"].map(|field| number(format!("matter.{}.{field}", matter.name)))
        });
        let contacts = CONTACT_FIELDS.iter().map(|field| number(format!("contact.{field}")));
        let facts = self.facts.iter().map(|fact| (format!("fact.{}", fact.key), fact.kind.clone()));
        let derived = std::iter::once(number("matter.open".into())).chain(matters).chain(contacts).chain(facts);
        features.chain(derived).map(|(name, kind)| Field { name, kind }).collect()
    }

    /// Length of [`Schema::fields`], without building them.
    #[must_use]
    pub fn field_count(&self) -> usize {
        self.features.len() + self.derived_count()
    }

    /// Fields after the features.
    #[must_use]
    pub fn derived_count(&self) -> usize {
        derived_count(self.matter_types.len(), self.facts.len())
    }

    /// The declared facts, which are the last of the fields.
    #[must_use]
    pub fn facts(&self) -> &[FactField] {
        &self.facts
    }

    /// The purposes; index 0 is `service`.
    #[must_use]
    pub fn purposes(&self) -> &[String] {
        &self.purposes
    }

    /// Purpose of a field's data; none for what is neither feature nor fact.
    #[must_use]
    pub fn field_purpose(&self, field: usize) -> Option<usize> {
        if let Some(feature) = self.features.get(field) {
            return Some(feature.purpose);
        }
        let first_fact = self.field_count() - self.facts.len();
        self.facts.get(field.checked_sub(first_fact)?).map(|fact| fact.purpose)
    }

    /// Bit set of the purposes allowed until the customer says something; bit 0 is always set.
    #[must_use]
    pub fn default_purposes(&self) -> u64 {
        self.default_purposes
    }

    /// Index of a purpose.
    #[must_use]
    pub fn purpose(&self, name: &str) -> Option<usize> {
        self.purposes.iter().position(|purpose| purpose == name)
    }

    pub(crate) fn matter_types(&self) -> &[MatterType] {
        &self.matter_types
    }

    /// What an event of this kind and name drives, by its name and by any name. Allocates only to
    /// fold a name that is not lower-case ASCII already.
    pub(crate) fn driven(&self, kind: EventKind, name: &str) -> [Option<&Driven>; 2] {
        let sources = &self.sources;
        match kind {
            EventKind::Track => [sources.tracks.get(&*folded(name)), None],
            EventKind::Page => [sources.pages.get(&*folded(name)), Some(&sources.any_page)],
            EventKind::Screen => [sources.screens.get(&*folded(name)), Some(&sources.any_screen)],
            EventKind::Identify | EventKind::Group | EventKind::Alias => [None, None],
        }
    }

    /// Trait keys with the features derived from them.
    pub(crate) fn traits(&self) -> &[(String, u16)] {
        &self.sources.traits
    }

    /// Features derived from an outcome, of any action.
    pub(crate) fn outcome_features(&self, outcome: OutcomeName) -> &[u16] {
        &self.sources.outcomes[outcome as usize]
    }
}

/// A name as names are compared: trimmed and case-folded. Borrowed if it is so already.
pub(crate) fn folded(name: &str) -> Cow<'_, str> {
    let name = name.trim();
    if name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.to_lowercase())
    }
}

impl Sources {
    fn new(features: &[Feature], matters: &[MatterDef]) -> Self {
        let mut sources = Self::default();
        for (feature, index) in features.iter().zip(0u16..) {
            let driven = match &feature.source {
                Source::Track(name) => sources.tracks.entry(name.as_str().into()).or_default(),
                Source::Page(Some(name)) => sources.pages.entry(name.as_str().into()).or_default(),
                Source::Screen(Some(name)) => sources.screens.entry(name.as_str().into()).or_default(),
                Source::Page(None) => &mut sources.any_page,
                Source::Screen(None) => &mut sources.any_screen,
                Source::Trait(key) => {
                    sources.traits.push((key.clone(), index));
                    continue;
                }
                Source::Outcome(outcome, _) => {
                    sources.outcomes[*outcome as usize].push(index);
                    continue;
                }
            };
            driven.features.push(index);
        }
        for (matter, index) in matters.iter().zip(0u16..) {
            for (_, names, kind) in event_lists(matter) {
                for name in names {
                    sources.tracks.entry(folded(name).into()).or_default().matters.push((index, kind));
                }
            }
        }
        sources
    }
}

fn derived_count(matter_types: usize, facts: usize) -> usize {
    1 + 3 * matter_types + CONTACT_FIELDS.len() + facts
}

fn compile_purposes(catalog: &Catalog, problems: &mut Vec<Problem>) -> (Vec<String>, u64) {
    let (mut purposes, mut allowed) = (vec![SERVICE.to_owned()], 1u64);
    let mut taken = BTreeSet::new();
    for (index, def) in catalog.purpose.iter().enumerate() {
        let mut at = At { problems, list: "purpose", index };
        at.text("name", &def.name);
        at.unique("name", &def.name, &mut taken);
        if def.name == SERVICE {
            if def.default == PurposeDefault::Denied {
                at.refuse("default", "the purpose service is always allowed".into(), "set it to \"allowed\"");
            }
            continue;
        }
        if def.default == PurposeDefault::Allowed && purposes.len() < PURPOSES_MAX {
            allowed |= 1 << purposes.len();
        }
        purposes.push(def.name.clone());
    }
    if purposes.len() > PURPOSES_MAX {
        let message =
            format!("{} purposes beside service, at most {} are allowed", purposes.len() - 1, PURPOSES_MAX - 1);
        refuse_list(problems, "purpose", message);
    }
    (purposes, allowed)
}

fn compile_features(
    catalog: &Catalog,
    purposes: &[String],
    actions: &[&str],
    problems: &mut Vec<Problem>,
) -> Vec<Feature> {
    let count = catalog.feature.len();
    if count > FEATURES_MAX {
        refuse_list(problems, "feature", format!("{count} features, at most {FEATURES_MAX} are allowed"));
        return Vec::new();
    }
    let mut taken = BTreeSet::new();
    let mut features = Vec::new();
    for (index, def) in catalog.feature.iter().enumerate() {
        let mut at = At { problems, list: "feature", index };
        at.unique("name", &def.name, &mut taken);
        features.extend(feature::compile(def, purposes, actions, &mut at));
    }
    features
}

fn compile_matters(catalog: &Catalog, problems: &mut Vec<Problem>) -> Vec<MatterType> {
    let derived = derived_count(catalog.matter.len(), catalog.fact.len());
    if catalog.feature.len() + derived > FIELDS_MAX {
        let message = format!(
            "{derived} fields of matters, contacts and facts beside the features: more than {FIELDS_MAX} fields"
        );
        refuse_list(problems, "matter", message);
    }
    let mut taken = BTreeSet::new();
    for (index, def) in catalog.matter.iter().enumerate() {
        let mut at = At { problems, list: "matter", index };
        at.identifier("type", &def.kind);
        at.unique("type", &def.kind, &mut taken);
        if def.kind == "open" {
            at.refuse("type", "\"open\" is the field of all open matters".into(), "take another name");
        }
        if def.opens_on.is_empty() {
            at.refuse("opens_on", format!("nothing opens a \"{}\"", def.kind), "name at least one event");
        }
        check_event_lists(def, &mut at);
    }
    catalog.matter.iter().map(MatterType::new).collect()
}

fn compile_facts(catalog: &Catalog, purposes: &[String], problems: &mut Vec<Problem>) -> Vec<FactField> {
    if catalog.fact.len() > FACTS_MAX {
        let count = catalog.fact.len();
        refuse_list(problems, "fact", format!("{count} facts, at most {FACTS_MAX} are kept of a customer"));
    }
    let mut taken = BTreeSet::new();
    let mut facts = Vec::new();
    for (index, def) in catalog.fact.iter().enumerate() {
        let mut at = At { problems, list: "fact", index };
        at.identifier("key", &def.key);
        at.unique("key", &def.key, &mut taken);
        if (def.kind == ContextType::Category) == def.vocabulary.is_empty() {
            let hint = "a category has a vocabulary, nothing else has one";
            at.refuse("vocabulary", format!("the fact \"{}\" and its vocabulary do not fit", def.key), hint);
        }
        check_words(&def.vocabulary, &mut at);
        let purpose = at.known_purpose(&def.purpose, purposes).unwrap_or_default();
        let kind = match def.kind {
            ContextType::Number => FieldKind::Number,
            ContextType::Bool => FieldKind::Bool,
            ContextType::Category => FieldKind::Category(def.vocabulary.clone()),
        };
        let expires_after_s = def.expires_after.map(Duration::seconds);
        facts.push(FactField { key: def.key.clone(), kind, purpose, expires_after_s });
    }
    facts
}

/// Words that a customer can choose from, each once.
fn check_words(words: &[String], at: &mut At<'_>) {
    if words.len() > VOCABULARY_MAX {
        let message = format!("{} words, at most {VOCABULARY_MAX} are allowed", words.len());
        at.refuse("vocabulary", message, "");
    }
    let mut taken = BTreeSet::new();
    for (element, word) in words.iter().enumerate() {
        if word.is_empty() || word.len() > TEXT_BYTES_MAX {
            let message = format!("a word has 1 to {TEXT_BYTES_MAX} bytes");
            at.refuse_element("vocabulary", element, message, "");
        } else if !taken.insert(word) {
            at.refuse_element("vocabulary", element, format!("\"{word}\" is listed twice"), "remove one");
        }
    }
}

/// One event does one thing to a matter.
fn check_event_lists(def: &MatterDef, at: &mut At<'_>) {
    let mut taken = BTreeSet::new();
    for (key, names, _) in event_lists(def) {
        for (element, name) in names.iter().enumerate() {
            if name.trim().is_empty() {
                at.refuse_element(key, element, "an event name is empty".into(), "");
            } else if !taken.insert(folded(name)) {
                let hint = "an event does one thing to a matter; keep it in one list";
                at.refuse_element(key, element, format!("\"{name}\" is listed twice"), hint);
            }
        }
    }
}

/// Gives each feature its slots and says what they depend on; returns how many slots there are.
fn place(features: &mut [Feature]) -> usize {
    features.iter_mut().fold(0, |offset, feature| {
        feature.offset = offset;
        feature.stored_form = stored_form(feature);
        offset + feature.rule.width()
    })
}

fn fold_hash(features: &[Feature], matters: &[MatterDef]) -> u64 {
    let mut bytes = Canonical::default();
    bytes.number(FOLD_VERSION);
    features.iter().for_each(|feature| write_feature(feature, &mut bytes));
    for matter in matters {
        bytes.text("matter");
        bytes.text(&matter.kind);
        for (key, names, _) in event_lists(matter) {
            bytes.text(key);
            let folded: BTreeSet<_> = names.iter().map(|name| folded(name)).collect();
            folded.iter().for_each(|name| bytes.text(name));
        }
    }
    hash::content(bytes.as_bytes())
}

/// What the slots of a feature depend on, its name included.
fn stored_form(feature: &Feature) -> u64 {
    let mut bytes = Canonical::default();
    write_feature(feature, &mut bytes);
    hash::content(bytes.as_bytes())
}

fn write_feature(feature: &Feature, bytes: &mut Canonical) {
    bytes.text("feature");
    bytes.text(&feature.name);
    bytes.text(&feature.rule.stored());
    bytes.text(&format!("{:?}", feature.source));
    match &feature.input.from {
        From::Nothing => bytes.text("nothing"),
        From::Own => bytes.text("own"),
        From::Property(property) => bytes.text(&format!("property {property}")),
    }
    bytes.text(feature.kind.name());
    if let FieldKind::Category(words) = &feature.kind {
        words.iter().for_each(|word| bytes.text(word));
    }
    for condition in &feature.filter {
        bytes.text(&condition.key);
        bytes.text(&condition.text);
    }
    bytes.number(feature.lateness_ms.unwrap_or(-1) as u64);
}

#[cfg(test)]
mod tests;
