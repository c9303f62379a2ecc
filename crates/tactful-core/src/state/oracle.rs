//! Slow and obvious: every feature and matter recomputed from the whole list of entries.
//!
//! It reads the catalogue's definitions, never what was compiled from them, and keeps no state
//! between questions. For tests alone.

use crate::catalog::{Aggregate, Catalog, FeatureDef, MatterDef, OutcomeName, Unit};

use super::{
    Chosen, ConsentGiven, DecisionMade, Entry, Event, EventKind, FactTold, LinkKind, LinkStated, MatterState, Names,
    OutcomeSeen, Row, Schema, Value, apply,
};

/// An entry that owns its texts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    pub(super) what: What,
    pub(super) time_ms: i64,
    pub(super) received_ms: i64,
    pub(super) channel: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// Properties sorted by key.
    Event {
        kind: EventKind,
        name: String,
        matter_id: String,
        properties: Vec<(String, Property)>,
    },
    Decision {
        action: String,
    },
    Outcome {
        kind: OutcomeName,
        action: String,
        value: f64,
    },
    Link {
        other: String,
        kind: LinkKind,
    },
    Consent {
        purpose: String,
        allowed: bool,
    },
    /// No value takes it back.
    Fact {
        key: String,
        value: Option<Property>,
        /// After its time.
        expires_s: Option<i64>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Property {
    Number(f64),
    Text(String),
    Flag(bool),
}

impl Property {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number).filter(|number| number.is_finite()),
            Self::Flag(flag) => Some(if *flag { 1.0 } else { 0.0 }),
            Self::Text(_) => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Given {
    pub(super) fn time_s(&self) -> i64 {
        self.time_ms.div_euclid(1_000)
    }

    pub(super) fn apply(&self, schema: &Schema, names: &mut Names, row: &mut Row) -> super::Applied {
        let (time_ms, channel) = (self.time_ms, self.channel.as_str());
        match &self.what {
            What::Event { kind, name, matter_id, properties } => {
                let properties: Vec<_> =
                    properties.iter().map(|(key, value)| (key.as_str(), borrowed(value))).collect();
                let event = Event { kind: *kind, name, time_ms, channel, matter_id, properties: &properties };
                apply(schema, names, row, &Entry::Event(event), self.received_ms)
            }
            What::Decision { action } => {
                let decision = DecisionMade { time_ms, matter_id: "", chosen: &[Chosen { action, channel }] };
                apply(schema, names, row, &Entry::Decision(decision), self.received_ms)
            }
            What::Outcome { kind, action, value } => {
                let outcome = OutcomeSeen { kind: *kind, action, value: *value, time_ms, channel };
                apply(schema, names, row, &Entry::Outcome(outcome), self.received_ms)
            }
            What::Link { other, kind } => {
                let link = LinkStated { other_id: other, time_ms, kind: *kind };
                apply(schema, names, row, &Entry::Link(link), self.received_ms)
            }
            What::Fact { key, value, expires_s } => {
                let value = value.as_ref().map(borrowed);
                let expires_ms = expires_s.map(|seconds| time_ms + seconds * 1_000);
                let told = FactTold { key, value, purpose: "", expires_ms, time_ms, channel, source: "form" };
                apply(schema, names, row, &Entry::Fact(told), self.received_ms)
            }
            What::Consent { purpose, allowed } => {
                let consent = ConsentGiven { purpose, allowed: *allowed, source: channel, text_version: "v1", time_ms };
                apply(schema, names, row, &Entry::Consent(consent), self.received_ms)
            }
        }
    }
}

fn borrowed(value: &Property) -> Value<'_> {
    match value {
        Property::Number(number) => Value::Number(*number),
        Property::Text(text) => Value::Text(text),
        Property::Flag(flag) => Value::Flag(*flag),
    }
}

/// A feature's value as of now, and the decayed sum of absolute values that bounds its error.
pub(super) fn feature(def: &FeatureDef, entries: &[Given], now_s: i64) -> (f64, f64) {
    let seen: Vec<(i64, f64)> = entries.iter().filter_map(|entry| Some((entry.time_s(), value(def, entry)?))).collect();
    let single = |value: f64| f64::from(value as f32);
    let latest = seen.iter().map(|(time, _)| *time).max();
    if let (Some(max_age), Some(evidence)) = (def.max_age, evidence(def, &seen))
        && now_s - evidence > i64::from(max_age.seconds())
    {
        return (f64::NAN, 0.0);
    }
    let exact = match def.aggregate {
        Aggregate::Count => seen.len() as f64,
        Aggregate::Sum => {
            let scale = 10f64.powi(i32::from(def.scale));
            seen.iter().map(|(_, value)| (value * scale).round()).sum::<f64>() / scale
        }
        Aggregate::DecayedCount | Aggregate::DecayedSum => {
            let half_life = f64::from(def.half_life.unwrap().seconds());
            let now = latest.map_or(now_s, |latest| latest.max(now_s));
            let weight = |time: i64| libm::pow(0.5, (now - time) as f64 / half_life);
            let sum = seen.iter().map(|(time, value)| value * weight(*time)).sum();
            return (sum, seen.iter().map(|(time, value)| value.abs() * weight(*time)).sum());
        }
        Aggregate::Min => seen.iter().map(|(_, value)| single(*value)).fold(f64::NAN, f64::min),
        Aggregate::Max => seen.iter().map(|(_, value)| single(*value)).fold(f64::NAN, f64::max),
        Aggregate::Flag if def.value.is_none() && def.trait_name.is_none() => f64::from(u8::from(!seen.is_empty())),
        Aggregate::Last | Aggregate::Flag => single(greatest_at(&seen, latest)),
        Aggregate::First => single(greatest_at(&seen, seen.iter().map(|(time, _)| *time).min())),
        Aggregate::SinceLast => latest.map_or(f64::NAN, |latest| {
            let unit = match def.unit {
                Unit::Seconds => 1.0,
                Unit::Minutes => 60.0,
                Unit::Hours => 3_600.0,
                Unit::Days => 86_400.0,
            };
            (now_s - latest).max(0) as f64 / unit
        }),
        Aggregate::WindowedCount => {
            let width = i64::from(def.window.unwrap().seconds() / def.buckets.unwrap());
            let buckets = i64::from(def.buckets.unwrap());
            let newest = latest.map_or(0, |latest| latest / width);
            let within = |bucket: i64, end: i64| bucket > end - buckets;
            let counted = |time: i64| time / width <= now_s / width && within(time / width, newest.max(now_s / width));
            seen.iter().filter(|(time, _)| counted(*time)).count() as f64
        }
    };
    (exact, 0.0)
}

/// Time of the evidence: of the value that stands, or of the latest event.
fn evidence(def: &FeatureDef, seen: &[(i64, f64)]) -> Option<i64> {
    let stands = |keep: fn(f64, f64) -> f64| {
        let value = seen.iter().map(|(_, value)| *value).reduce(keep)?;
        seen.iter().filter(|(_, held)| *held == value).map(|(time, _)| *time).max()
    };
    match def.aggregate {
        Aggregate::Count | Aggregate::Sum => None,
        Aggregate::Min => stands(f64::min),
        Aggregate::Max => stands(f64::max),
        Aggregate::First => seen.iter().map(|(time, _)| *time).min(),
        _ => seen.iter().map(|(time, _)| *time).max(),
    }
}

fn greatest_at(seen: &[(i64, f64)], time: Option<i64>) -> f64 {
    seen.iter().filter(|(held, _)| Some(*held) == time).map(|(_, value)| *value).fold(f64::NAN, f64::max)
}

/// The value that an entry brings to a feature; `None` if it brings none.
fn value(def: &FeatureDef, entry: &Given) -> Option<f64> {
    if let Some(lateness) = def.lateness
        && entry.received_ms - entry.time_ms > i64::from(lateness.seconds()) * 1_000
    {
        return None;
    }
    let counts = matches!(
        def.aggregate,
        Aggregate::Count | Aggregate::DecayedCount | Aggregate::SinceLast | Aggregate::WindowedCount
    ) || (def.aggregate == Aggregate::Flag && def.value.is_none() && def.trait_name.is_none());
    match &entry.what {
        What::Decision { .. } | What::Link { .. } | What::Consent { .. } | What::Fact { .. } => None,
        What::Outcome { kind, action, value } => {
            let wanted = def.outcome == Some(*kind) && def.action.as_ref().is_none_or(|wanted| wanted == action);
            wanted.then_some(if counts { 1.0 } else { *value })
        }
        What::Event { kind, name, properties, .. } => {
            let property = |key: &str| properties.iter().find(|(held, _)| held == key).map(|(_, value)| value);
            let same = |wanted: &Option<String>| {
                wanted.as_ref().is_some_and(|it| it == "*" || it.trim().to_lowercase() == name.trim().to_lowercase())
            };
            let happened = match kind {
                EventKind::Track => same(&def.event),
                EventKind::Page => same(&def.page),
                EventKind::Screen => same(&def.screen),
                EventKind::Identify | EventKind::Group => {
                    def.trait_name.as_ref().is_some_and(|key| property(key).is_some())
                }
                EventKind::Alias => false,
            };
            let passes = def.filter.iter().all(|(key, text)| property(key).is_some_and(|value| value.text() == *text));
            if !happened || !passes {
                return None;
            }
            if counts {
                return Some(1.0);
            }
            taken(def, property(def.trait_name.as_ref().or(def.value.as_ref())?)?)
        }
    }
}

fn taken(def: &FeatureDef, value: &Property) -> Option<f64> {
    if !def.vocabulary.is_empty() {
        return def.vocabulary.iter().position(|word| *word == value.text()).map(|index| index as f64);
    }
    let number = value.number()?;
    Some(if def.aggregate == Aggregate::Flag { f64::from(u8::from(number != 0.0)) } else { number })
}

/// A matter as of now, told second by second: (state, opened, reopenings, sessions).
pub(super) fn matter(def: &MatterDef, id: &str, entries: &[Given], now_s: i64) -> Option<(MatterState, i64, u32, u32)> {
    let driven: Vec<(i64, &str)> = entries
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Event { kind: EventKind::Track, name, matter_id, .. } => {
                let own = if matter_id.is_empty() { &def.kind } else { matter_id };
                (own == id).then_some((entry.time_s(), name.trim()))
            }
            _ => None,
        })
        .collect();
    let mut told = Told::default();
    for second in driven.iter().map(|(time, _)| *time).min()?..=now_s {
        told.pass(def, second);
        let at = |names: &[String]| {
            driven
                .iter()
                .any(|(time, name)| *time == second && names.iter().any(|held| held.eq_ignore_ascii_case(name)))
        };
        let working = if told.reopenings > 0 { MatterState::Reopened } else { MatterState::Open };
        for (names, state) in [
            (&def.opens_on, Some(working)),
            (&def.waits_on_company, Some(MatterState::WaitingOnCompany)),
            (&def.waits_on_customer, Some(MatterState::WaitingOnCustomer)),
            (&def.hands_off_on, Some(MatterState::HandedOff)),
            (&def.contacts_on, None),
        ] {
            if at(names) {
                told.work(def, state, second);
            }
        }
        if at(&def.resolves_on) {
            told.resolve(def, second);
        }
    }
    told.state.map(|state| (state, told.opened, told.reopenings, told.sessions))
}

#[derive(Default)]
struct Told {
    state: Option<MatterState>,
    opened: i64,
    touched: i64,
    resolved: i64,
    reopenings: u32,
    sessions: u32,
}

impl Told {
    /// What passing time alone does before anything happens in this second.
    fn pass(&mut self, def: &MatterDef, second: i64) {
        let Some(state) = self.state else { return };
        if let Some(silence) = def.resolve_after_silence.map(|silence| i64::from(silence.seconds()))
            && state.is_open()
            && second - self.touched > silence
        {
            self.state = Some(MatterState::Resolved);
            self.resolved = self.touched + silence;
        }
        if self.state == Some(MatterState::Resolved) && second >= self.resolved + i64::from(def.confirm_after.seconds())
        {
            self.state = Some(MatterState::Confirmed);
        }
    }

    /// Work, or a mere contact (no state of its own).
    fn work(&mut self, def: &MatterDef, state: Option<MatterState>, second: i64) {
        match (self.state, state) {
            (None, None) => return,
            (None, Some(state)) => {
                self.opened = second;
                self.state = Some(state);
            }
            (Some(held), state) if held.is_open() => self.state = state.or(Some(held)),
            (Some(held), state) => {
                self.reopenings += 1;
                if held == MatterState::Confirmed {
                    self.opened = second;
                }
                self.state = state.filter(|state| *state != MatterState::Open).or(Some(MatterState::Reopened));
            }
        }
        self.touch(def, second);
    }

    fn resolve(&mut self, def: &MatterDef, second: i64) {
        self.touch(def, second);
        if self.state.is_none() {
            self.opened = second;
        }
        if self.state.is_none_or(MatterState::is_open) {
            self.state = Some(MatterState::Resolved);
            self.resolved = second;
        }
    }

    fn touch(&mut self, def: &MatterDef, second: i64) {
        if self.sessions == 0 || second - self.touched > i64::from(def.session_gap.seconds()) {
            self.sessions += 1;
        }
        self.touched = second;
    }
}

/// The test catalogue: every aggregate, every source, every kind of matter.
pub(super) fn catalog() -> Catalog {
    toml::from_str(include_str!("oracle/catalog.toml")).unwrap()
}
