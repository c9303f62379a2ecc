//! A customer as of now: the rows of all linked subject ids combined, and the fields derived from
//! matters, contacts and facts.
//!
//! Rows are combined with the same merges that fold events, so several rows read as one row that
//! got everything would. It refuses to remember: a view is read, used and recorded.

use super::consent;
use super::entry::OUTCOMES;
use super::fact;
use super::matter::{self, MatterState};
use super::matters::Matters;
use super::row::{Contact, PackedKind};
use super::{Feature, Row, Schema, Slot};
use crate::catalog::OutcomeName;
use crate::hash;
use crate::limits::EVENT_AHEAD_MAX_S;

/// Fields derived from contacts, in order: actions decided within a day and a week, accepted and
/// rejected within 30 days, hours since an action was last decided.
pub(crate) const CONTACT_FIELDS: [&str; 5] =
    ["shown_24h", "shown_7d", "accepted_30d", "rejected_30d", "hours_since_shown"];

const DAY_S: i64 = 86_400;

/// What is known of a customer, as a decision reads and records it.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomerView {
    /// Whether there is any row.
    pub known: bool,
    /// Hash of the customer's first subject id: the same whichever of linked ids asks. 0 until [`CustomerView::of`].
    pub customer: u64,
    /// The combined slots in the schema's order.
    pub slots: Vec<Slot>,
    /// The derived fields, as of the time of reading; NaN for none.
    pub derived: Vec<f32>,
    /// Bit set of the allowed purposes.
    pub purposes: u64,
    /// Bit set of the purposes on which a word of the customer's decides, not the default.
    pub recorded: u64,
}

/// Why a feature has the value it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadingState {
    /// There is a value.
    Present,
    /// Nothing is known.
    Missing,
    /// What is known is older than `max_age`.
    Stale,
    /// The customer does not allow the purpose of its data.
    Denied,
}

/// A feature as of now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The value; NaN unless present.
    pub value: f32,
    /// Why.
    pub state: ReadingState,
    /// Time of the evidence in Unix seconds, for aggregates that keep one; never of denied data.
    pub evidence_s: Option<u32>,
}

impl CustomerView {
    /// A customer of whom nothing is known: counts and sums are 0, all else is missing.
    #[must_use]
    pub fn unknown(schema: &Schema) -> Self {
        Self::read(schema, &[], 0)
    }

    /// The rows of one customer (of linked subject ids) as of now, in Unix milliseconds. Two
    /// allocations for one row.
    #[must_use]
    pub fn read(schema: &Schema, rows: &[&Row], now_ms: i64) -> Self {
        let mut slots = rows.first().map_or_else(|| vec![0; schema.slot_count()], |row| row.slots.to_vec());
        for row in rows.iter().skip(1) {
            for feature in schema.features() {
                feature.rule.combine(feature.slots_mut(&mut slots), feature.slots(&row.slots));
            }
        }
        let (purposes, recorded) = consent::allowed(schema, rows);
        let derived = derive(schema, rows, purposes, now_ms.div_euclid(1_000));
        Self { known: !rows.is_empty(), customer: 0, slots, derived, purposes, recorded }
    }

    /// The same view as that of the customer whose first subject id this is.
    #[must_use]
    pub fn of(self, subject_id: &str) -> Self {
        Self { customer: hash::content(subject_id.as_bytes()), ..self }
    }

    /// Whether the data of a field may be used: its purpose is allowed, or it has none.
    #[must_use]
    pub fn allows(&self, schema: &Schema, field: usize) -> bool {
        schema.field_purpose(field).is_none_or(|purpose| self.purposes >> purpose & 1 == 1)
    }

    /// Whether anything that may be used is known of the customer: a feature or a fact of an allowed purpose, a
    /// matter, a contact. Ends at the first that is.
    #[must_use]
    pub fn holds_data(&self, schema: &Schema) -> bool {
        let told = |feature: &&Feature| feature.slots(&self.slots).iter().any(|slot| *slot != 0);
        let mut features = schema.features().iter();
        let known = features.any(|feature| self.purposes >> feature.purpose & 1 == 1 && told(&feature));
        let (counted, facts) = self.derived.split_at(self.derived.len() - schema.facts().len());
        let counts = || counted.iter().any(|value| *value != 0.0 && !value.is_nan());
        self.known && (known || counts() || facts.iter().any(|value| !value.is_nan()))
    }

    /// Writes the features as of now and then the derived fields into the first
    /// [`Schema::field_count`] places of `out`; NaN for what is missing, stale or denied. No allocation.
    pub fn write_fields(&self, schema: &Schema, now_ms: i64, out: &mut [f32]) {
        let now_s = now_ms.div_euclid(1_000);
        let (features, rest) = out.split_at_mut(schema.features().len());
        for (feature, out) in schema.features().iter().zip(features) {
            *out = self.reading(feature, now_s).value;
        }
        rest[..self.derived.len()].copy_from_slice(&self.derived);
    }

    /// Every feature as of now, in the schema's order.
    #[must_use]
    pub fn readings(&self, schema: &Schema, now_ms: i64) -> Vec<Reading> {
        let now_s = now_ms.div_euclid(1_000);
        schema.features().iter().map(|feature| self.reading(feature, now_s)).collect()
    }

    /// A count or sum of the schema's feature at `index` without the rounding to f32; `None` for
    /// other aggregates and where the purpose is denied.
    #[must_use]
    pub fn total(&self, schema: &Schema, index: usize) -> Option<f64> {
        let feature = schema.features().get(index)?;
        let allowed = self.purposes >> feature.purpose & 1 == 1;
        if allowed { feature.rule.total(feature.slots(&self.slots)) } else { None }
    }

    /// The slots as a record holds them: a bit for each, lowest first, that tells whether it is other than
    /// 0, and then those that are, 8 bytes each, little endian. One allocation.
    #[must_use]
    pub fn packed_slots(&self) -> Vec<u8> {
        let mut end = self.slots.len().div_ceil(8);
        let mut packed = vec![0; end + self.slots.len() * size_of::<Slot>()];
        for (at, slot) in self.slots.iter().enumerate() {
            // Written in any case: the next one takes the place of a 0.
            packed[end..end + size_of::<Slot>()].copy_from_slice(&slot.to_le_bytes());
            let is_set = *slot != 0;
            packed[at / 8] |= u8::from(is_set) << (at % 8);
            end += usize::from(is_set) * size_of::<Slot>();
        }
        packed.truncate(end);
        packed
    }

    fn reading(&self, feature: &Feature, now_s: i64) -> Reading {
        if self.purposes >> feature.purpose & 1 == 0 {
            return Reading { value: f32::NAN, state: ReadingState::Denied, evidence_s: None };
        }
        let slots = feature.slots(&self.slots);
        let evidence_s = feature.rule.evidence(slots);
        let age_s = evidence_s.map(|time_s| now_s - i64::from(time_s));
        if let (Some(age_s), Some(max_age_s)) = (age_s, feature.max_age_s)
            && age_s > i64::from(max_age_s)
        {
            return Reading { value: f32::NAN, state: ReadingState::Stale, evidence_s };
        }
        let value = feature.rule.read(slots, now_s);
        let state = if value.is_nan() { ReadingState::Missing } else { ReadingState::Present };
        Reading { value, state, evidence_s }
    }
}

/// Whether something of this time has happened as of now: clocks may differ by what an event may lie
/// ahead; a question about the past does not see what came after.
pub(crate) fn visible(time_s: u32, now_s: i64) -> bool {
    i64::from(time_s) <= now_s + EVENT_AHEAD_MAX_S
}

fn derive(schema: &Schema, rows: &[&Row], purposes: u64, now_s: i64) -> Vec<f32> {
    let mut derived = Vec::with_capacity(schema.derived_count());
    derived.push(0.0);
    for _ in schema.matter_types() {
        derived.extend([0.0, f32::NAN, 0.0]);
    }
    match rows {
        [row] => row.matters().into_iter().for_each(|matters| derive_matters(schema, matters, now_s, &mut derived)),
        _ => {
            let mut merged = Matters::default();
            rows.iter().filter_map(|row| row.matters()).for_each(|matters| merged.merge(matters));
            derive_matters(schema, &merged, now_s, &mut derived);
        }
    }
    derived.extend(derive_contacts(rows.iter().flat_map(|row| row.contacts()), now_s));
    fact::derive(schema, rows, purposes, now_s, &mut derived);
    derived
}

fn derive_matters(schema: &Schema, matters: &Matters, now_s: i64, derived: &mut [f32]) {
    for (matter, life) in matter::lives(schema, matters, now_s) {
        let [open, days_open, reopenings] = [1, 2, 3].map(|field| usize::from(matter.kind) * 3 + field);
        if life.state.is_open() {
            derived[0] += 1.0;
            derived[open] += 1.0;
            let age_s = (now_s - i64::from(life.opened_s)).max(0);
            // NaN, "none yet", loses against any age.
            derived[days_open] = derived[days_open].max((age_s as f64 / DAY_S as f64) as f32);
        }
        if life.state != MatterState::Confirmed {
            derived[reopenings] += life.reopenings as f32;
        }
    }
}

fn derive_contacts<'a>(contacts: impl Iterator<Item = &'a Contact>, now_s: i64) -> [f32; CONTACT_FIELDS.len()] {
    let (mut shown_24h, mut shown_7d, mut accepted_30d, mut rejected_30d) = (0u32, 0u32, 0u32, 0u32);
    let mut last_shown_s = None;
    for contact in contacts.filter(|contact| visible(contact.time_s, now_s)) {
        let age_s = now_s - i64::from(contact.time_s);
        match contact.kind {
            PackedKind::Decision => {
                shown_24h += u32::from(age_s < DAY_S);
                shown_7d += u32::from(age_s < 7 * DAY_S);
                last_shown_s = last_shown_s.max(Some(contact.time_s));
            }
            PackedKind::Outcome(outcome) if age_s < 30 * DAY_S => match OUTCOMES[usize::from(outcome)] {
                OutcomeName::Accepted => accepted_30d += 1,
                OutcomeName::Rejected => rejected_30d += 1,
                _ => {}
            },
            PackedKind::Outcome(_) | PackedKind::Event(_) => {}
        }
    }
    let hours_since = |time_s: u32| ((now_s - i64::from(time_s)).max(0) as f64 / 3_600.0) as f32;
    let counts = [shown_24h, shown_7d, accepted_30d, rejected_30d].map(|count| count as f32);
    [counts[0], counts[1], counts[2], counts[3], last_shown_s.map_or(f32::NAN, hours_since)]
}
