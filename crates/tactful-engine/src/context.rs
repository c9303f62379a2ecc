//! What is known of one customer and why: every feature with its state and origin, the timeline,
//! the matters with where they stand, what the customer allows and what the customer told.

use tactful_core::layout::FieldKind;
use tactful_core::limits::INTERACTIONS_MAX;
use tactful_core::state::{
    ConsentReading, ConsentState, CustomerView, FactReading, Interaction, InteractionKind, JoinedFacts, JoinedMatters,
    Linked, MatterReading, MatterState, Reading, ReadingState, Row, Schema, consents, interactions,
};

use crate::clock::now_ms;
use crate::engine::Engine;
use crate::error::Error;

/// Everything known of a customer as of now.
#[derive(Debug)]
pub struct CustomerContext {
    /// False if nothing was ever heard of this customer.
    pub known: bool,
    /// Every feature of the catalogue, in its order.
    pub features: Vec<FeatureLine>,
    /// The subject ids that are read as this customer, sorted.
    pub subject_ids: Vec<String>,
    /// Whether there are more of them than are read.
    pub subject_ids_truncated: bool,
    /// Latest interactions, newest first.
    pub timeline: Vec<TimelineEntry>,
    /// Matters not yet confirmed as resolved, newest first.
    pub open_matters: Vec<MatterReading>,
    /// Matters confirmed as resolved, newest first.
    pub confirmed_matters: Vec<MatterReading>,
    /// Every purpose of the catalogue, in its order.
    pub consents: Vec<ConsentLine>,
    /// What the customer told, by key.
    pub facts: Vec<FactReading>,
    /// Latest event time folded into the partition, milliseconds since 1970; 0 if none.
    pub watermark_ms: i64,
    /// `now` of every feature, milliseconds since 1970.
    pub now_ms: i64,
}

/// One interaction, names resolved.
#[derive(Debug)]
pub struct TimelineEntry {
    /// When, in seconds since 1970.
    pub time_s: u32,
    /// Event, decision or outcome.
    pub kind: InteractionKind,
    /// Name of the event, or type of the outcome.
    pub name: String,
    /// Channel; may be empty.
    pub channel: String,
    /// Matter; may be empty.
    pub matter_id: String,
    /// Action of a decision or outcome; empty for events.
    pub action: String,
}

/// One purpose and whether the customer allows it.
#[derive(Debug)]
pub struct ConsentLine {
    /// The purpose.
    pub purpose: String,
    /// Whether its data and actions are used.
    pub allowed: bool,
    /// Who decides.
    pub state: ConsentState,
    /// Where it was said; empty unless recorded.
    pub source: String,
    /// Version of the text that the customer saw; empty unless recorded.
    pub text_version: String,
    /// When it was said, milliseconds since 1970, if it was.
    pub time_ms: Option<i64>,
}

/// One feature as of now.
#[derive(Debug)]
pub struct FeatureLine {
    /// Name.
    pub name: String,
    /// Kind and, for a category, its vocabulary.
    pub kind: FieldKind,
    /// Value, counts and sums exact; NaN unless present.
    pub value: f64,
    /// Whether it could be read.
    pub state: ReadingState,
    /// Event time of the latest evidence in seconds since 1970, where the aggregate keeps one.
    pub evidence_s: Option<u32>,
    /// How it comes about, in words.
    pub derivation: String,
    /// Purpose of its data.
    pub purpose: String,
}

impl Engine {
    /// What is known of a customer. An unknown one has `known` false.
    ///
    /// # Errors
    /// If the subject id is empty or too long.
    pub fn context(&self, subject_id: &str) -> Result<CustomerContext, Error> {
        if subject_id.is_empty() || subject_id.len() > tactful_core::limits::ID_BYTES_MAX {
            return Err(Error::field("subject_id", "must have 1 to 128 bytes"));
        }
        let ruleset = self.slot.load();
        let schema = &ruleset.schema;
        let now_ms = now_ms();
        let alone = || Linked { ids: vec![subject_id.into()], truncated: false };
        let linked = self.store.links.customer(subject_id).unwrap_or_else(alone);
        let told = self.told(schema, &linked);
        let rows: Vec<&Row> = told.rows.iter().collect();
        let view = CustomerView::read(schema, &rows, now_ms);
        let (confirmed_matters, open_matters) =
            told.matters.readings(schema, now_ms).into_iter().partition(|it| it.state == MatterState::Confirmed);
        Ok(CustomerContext {
            known: view.known,
            features: feature_lines(schema, &view, now_ms),
            subject_ids: linked.ids.iter().map(|id| id.to_string()).collect(),
            subject_ids_truncated: linked.truncated,
            timeline: told.timeline,
            open_matters,
            confirmed_matters,
            consents: consent_lines(schema, &rows),
            facts: told.facts.readings(schema, view.purposes, now_ms),
            watermark_ms: self.store.of(subject_id).watermark_ms(),
            now_ms,
        })
    }

    /// What the rows of one customer hold, read one after the other, each with the names of its partition.
    fn told(&self, schema: &Schema, linked: &Linked) -> Told {
        let mut told = Told::default();
        for id in &linked.ids {
            let partition = self.store.of(id);
            partition.read_names(|names| {
                let rows = partition.generation();
                let Some(row) = rows.get(schema, id) else { return };
                told.timeline.extend(interactions(schema, &row, names).into_iter().map(TimelineEntry::from));
                told.matters.add(&row, names);
                told.facts.add(&row, names);
                told.rows.push(row.into_owned());
            });
        }
        // Stable: those of one row keep their order within a second.
        told.timeline.sort_by_key(|entry| std::cmp::Reverse(entry.time_s));
        told.timeline.truncate(INTERACTIONS_MAX);
        told
    }
}

/// The rows of a customer, and what is in them for people.
#[derive(Default)]
struct Told {
    rows: Vec<Row>,
    timeline: Vec<TimelineEntry>,
    matters: JoinedMatters,
    facts: JoinedFacts,
}

impl From<Interaction<'_>> for TimelineEntry {
    fn from(interaction: Interaction<'_>) -> Self {
        Self {
            time_s: interaction.time_s,
            kind: interaction.kind,
            name: interaction.name.into(),
            channel: interaction.channel.into(),
            matter_id: interaction.matter_id.into(),
            action: interaction.action.into(),
        }
    }
}

fn consent_lines(schema: &Schema, rows: &[&Row]) -> Vec<ConsentLine> {
    let line = |reading: ConsentReading<'_>| ConsentLine {
        purpose: reading.purpose.into(),
        allowed: reading.allowed,
        state: reading.state,
        source: reading.source.into(),
        text_version: reading.text_version.into(),
        time_ms: reading.time_ms,
    };
    consents(schema, rows).into_iter().map(line).collect()
}

fn feature_lines(schema: &Schema, view: &CustomerView, now_ms: i64) -> Vec<FeatureLine> {
    let line = |(index, reading): (usize, Reading)| {
        let feature = &schema.features()[index];
        let exact = view.total(schema, index).filter(|_| reading.state == ReadingState::Present);
        FeatureLine {
            name: feature.name.clone(),
            kind: feature.kind.clone(),
            value: exact.unwrap_or_else(|| decimal(reading.value)),
            state: reading.state,
            evidence_s: reading.evidence_s,
            derivation: feature.derivation.clone(),
            purpose: schema.purposes()[feature.purpose].clone(),
        }
    };
    view.readings(schema, now_ms).into_iter().enumerate().map(line).collect()
}

/// The number that people mean by an f32: its shortest decimal form, so that 0.1 stays 0.1.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}
