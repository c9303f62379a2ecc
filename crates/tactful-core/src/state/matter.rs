//! What a matter's transitions mean: its state as of now.
//!
//! A matter begins with its first transition that is not a mere contact. A resolution, declared by
//! an event or by a silence longer than `resolve_after_silence`, stands until anything but another
//! resolution follows, however late: that reopens it. After `confirm_after` it is confirmed, and a
//! reopening after that begins a new spell, whose age counts from there. Only tracked events drive
//! matters. This file refuses to keep anything: all is read from [`super::matters`].

use super::matters::{Matter, Matters, Transition, TransitionKind};
use super::names::Table;
use super::{Names, Row, Schema, view};
use crate::catalog::MatterDef;

/// State of a matter as of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatterState {
    /// Being worked on.
    Open,
    /// The company has to do something.
    WaitingOnCompany,
    /// The customer has to do something.
    WaitingOnCustomer,
    /// Handed to another channel or team.
    HandedOff,
    /// Declared resolved, or silent for long enough; not yet confirmed.
    Resolved,
    /// Open again after a resolution.
    Reopened,
    /// Resolved, and quiet for the whole window since.
    Confirmed,
}

impl MatterState {
    /// Whether somebody still has something to do.
    #[must_use]
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Confirmed)
    }
}

/// A matter as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatterReading {
    /// Id; the type's name if its events named none.
    pub id: String,
    /// Type.
    pub kind: String,
    /// State.
    pub state: MatterState,
    /// When the present spell began, in Unix seconds.
    pub opened_s: u32,
    /// Latest transition, in Unix seconds.
    pub updated_s: u32,
    /// How often it was reopened after a resolution.
    pub reopenings: u32,
    /// Channel of the latest transition; may be empty.
    pub channel: String,
    /// Sessions since it began: runs of its events without a silence longer than `session_gap`.
    pub sessions: u32,
}

/// The matters of a row as of now, the most recently updated first.
#[must_use]
pub fn matters(schema: &Schema, row: &Row, names: &Names, now_ms: i64) -> Vec<MatterReading> {
    row.matters().map_or_else(Vec::new, |held| readings(schema, held, &names.channels, now_ms))
}

/// The matters of several rows of one customer, which may be of several partitions.
#[derive(Clone, Debug, Default)]
pub struct JoinedMatters {
    matters: Matters,
    channels: Table,
}

impl JoinedMatters {
    /// No matters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds those of one row; `names` are those that it was folded with.
    pub fn add(&mut self, row: &Row, names: &Names) {
        let Some(held) = row.matters() else { return };
        // Every channel has an id before two of them are compared.
        for step in held.list().iter().flat_map(|matter| &matter.transitions) {
            self.channels.intern(names.channels.text(step.channel));
        }
        let channels = &self.channels;
        let own = |channel| channels.id(names.channels.text(channel));
        self.matters.merge_with(held, own, |a, b| channels.text(a) > channels.text(b));
    }

    /// All of them as of now, the most recently updated first: what [`matters`] reads from one row that got
    /// everything.
    #[must_use]
    pub fn readings(&self, schema: &Schema, now_ms: i64) -> Vec<MatterReading> {
        readings(schema, &self.matters, &self.channels, now_ms)
    }
}

fn readings(schema: &Schema, held: &Matters, channels: &Table, now_ms: i64) -> Vec<MatterReading> {
    let now_s = now_ms.div_euclid(1_000);
    let mut readings: Vec<_> = lives(schema, held, now_s)
        .map(|(matter, life)| MatterReading {
            id: id_of(schema, matter).into(),
            kind: schema.matter_types()[usize::from(matter.kind)].name.clone(),
            state: life.state,
            opened_s: life.opened_s,
            updated_s: life.updated_s,
            reopenings: life.reopenings,
            channel: channels.text(life.channel).into(),
            sessions: schema.matter_types()[usize::from(matter.kind)].sessions(&matter.transitions, now_s),
        })
        .collect();
    readings.sort_by(|a, b| (b.updated_s, &a.kind, &a.id).cmp(&(a.updated_s, &b.kind, &b.id)));
    readings
}

/// A compiled matter type.
#[derive(Clone, Debug)]
pub(crate) struct MatterType {
    pub(crate) name: String,
    pub(crate) confirm_after_s: u32,
    pub(crate) silence_s: Option<u32>,
    pub(crate) session_gap_s: u32,
}

/// A matter's life as of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) state: MatterState,
    pub(crate) opened_s: u32,
    pub(crate) updated_s: u32,
    pub(crate) reopenings: u32,
    pub(crate) channel: u16,
}

/// The matters that have begun, with their lives as of now.
pub(crate) fn lives<'a>(
    schema: &'a Schema,
    matters: &'a Matters,
    now_s: i64,
) -> impl Iterator<Item = (&'a Matter, Life)> {
    matters.list().iter().filter_map(move |matter| {
        let kind = &schema.matter_types()[usize::from(matter.kind)];
        Some((matter, kind.life(&matter.transitions, now_s)?))
    })
}

pub(crate) fn id_of<'a>(schema: &'a Schema, matter: &'a Matter) -> &'a str {
    if matter.id.is_empty() { &schema.matter_types()[usize::from(matter.kind)].name } else { &matter.id }
}

/// The lists of a definition with what their events do.
pub(crate) fn event_lists(def: &MatterDef) -> [(&'static str, &[String], TransitionKind); 6] {
    [
        ("opens_on", &def.opens_on, TransitionKind::Open),
        ("waits_on_company", &def.waits_on_company, TransitionKind::WaitForCompany),
        ("waits_on_customer", &def.waits_on_customer, TransitionKind::WaitForCustomer),
        ("hands_off_on", &def.hands_off_on, TransitionKind::HandOff),
        ("contacts_on", &def.contacts_on, TransitionKind::Contact),
        ("resolves_on", &def.resolves_on, TransitionKind::Resolve),
    ]
}

/// A life while its transitions are told.
struct Telling {
    life: Life,
    /// Since when it counts as resolved.
    resolved_s: Option<i64>,
    /// Whether this spell followed a resolution.
    reopened: bool,
}

impl MatterType {
    pub(crate) fn new(def: &MatterDef) -> Self {
        Self {
            name: def.kind.clone(),
            confirm_after_s: def.confirm_after.seconds(),
            silence_s: def.resolve_after_silence.map(crate::catalog::Duration::seconds),
            session_gap_s: def.session_gap.seconds(),
        }
    }

    /// The life that sorted transitions tell; `None` if nothing but contacts happened yet.
    pub(crate) fn life(&self, transitions: &[Transition], now_s: i64) -> Option<Life> {
        let mut telling: Option<Telling> = None;
        for step in transitions.iter().filter(|step| view::visible(step.time_s, now_s)) {
            match &mut telling {
                None if step.kind == TransitionKind::Contact => {}
                None => telling = Some(Telling::begin(*step)),
                Some(telling) => {
                    self.listen(telling, i64::from(step.time_s));
                    self.tell(telling, *step);
                }
            }
        }
        let mut telling = telling?;
        self.listen(&mut telling, now_s);
        if let Some(resolved_s) = telling.resolved_s {
            let confirmed = now_s >= resolved_s + i64::from(self.confirm_after_s);
            telling.life.state = if confirmed { MatterState::Confirmed } else { MatterState::Resolved };
        }
        Some(telling.life)
    }

    /// Sessions of what sorted transitions tell, from the one that begins the matter. Not part of a life: no
    /// decision asks for it. Events that share a transition (equal kind and second) are in one session anyway;
    /// what left a full matter is in none, so that a matter beyond the bound counts its latest sessions only.
    fn sessions(&self, transitions: &[Transition], now_s: i64) -> u32 {
        let seen = transitions.iter().filter(|step| view::visible(step.time_s, now_s));
        let mut steps = seen.skip_while(|step| step.kind == TransitionKind::Contact);
        let Some(first) = steps.next() else { return 0 };
        let (mut sessions, mut last_s) = (1, first.time_s);
        for step in steps {
            sessions += u32::from(step.time_s - last_s > self.session_gap_s);
            last_s = step.time_s;
        }
        sessions
    }

    /// Takes a silence until `until_s` for a resolution if it is longer than declared.
    fn listen(&self, telling: &mut Telling, until_s: i64) {
        let updated_s = i64::from(telling.life.updated_s);
        if let (None, Some(silence_s)) = (telling.resolved_s, self.silence_s.map(i64::from))
            && until_s - updated_s > silence_s
        {
            telling.resolved_s = Some(updated_s + silence_s);
        }
    }

    fn tell(&self, telling: &mut Telling, step: Transition) {
        telling.life.updated_s = step.time_s;
        telling.life.channel = step.channel;
        let time_s = i64::from(step.time_s);
        if step.kind == TransitionKind::Resolve {
            telling.resolved_s.get_or_insert(time_s);
            return;
        }
        if let Some(resolved_s) = telling.resolved_s.take() {
            telling.life.reopenings += 1;
            telling.life.state = MatterState::Reopened;
            telling.reopened = true;
            if time_s >= resolved_s + i64::from(self.confirm_after_s) {
                telling.life.opened_s = step.time_s;
            }
        }
        telling.life.state = telling.state_after(step.kind);
    }
}

impl Telling {
    fn begin(step: Transition) -> Self {
        let life = Life {
            state: MatterState::Open,
            opened_s: step.time_s,
            updated_s: step.time_s,
            reopenings: 0,
            channel: step.channel,
        };
        let resolved_s = (step.kind == TransitionKind::Resolve).then_some(i64::from(step.time_s));
        let mut telling = Self { life, resolved_s, reopened: false };
        telling.life.state = telling.state_after(step.kind);
        telling
    }

    fn state_after(&self, kind: TransitionKind) -> MatterState {
        match kind {
            TransitionKind::Open if self.reopened => MatterState::Reopened,
            TransitionKind::Open => MatterState::Open,
            TransitionKind::WaitForCompany => MatterState::WaitingOnCompany,
            TransitionKind::WaitForCustomer => MatterState::WaitingOnCustomer,
            TransitionKind::HandOff => MatterState::HandedOff,
            TransitionKind::Contact | TransitionKind::Resolve => self.life.state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TransitionKind::{Contact, HandOff, Open, Resolve, WaitForCompany, WaitForCustomer};
    use super::*;

    const START: u32 = 1_000_000_000;

    /// State, opened, reopenings.
    type Told = Option<(MatterState, u32, u32)>;
    /// Name, steps, sessions.
    type SessionCase<'a> = (&'a str, &'a [(u32, TransitionKind)], u32);
    type Case<'a> = (&'a str, &'a [(u32, TransitionKind)], u32, Told);

    fn told(steps: &[(u32, TransitionKind)], now: u32) -> Told {
        told_by(
            MatterType { name: "fault".into(), confirm_after_s: 100, silence_s: None, session_gap_s: 50 },
            steps,
            now,
        )
    }

    fn told_by(kind: MatterType, steps: &[(u32, TransitionKind)], now: u32) -> Told {
        let steps: Vec<_> =
            steps.iter().map(|(time, kind)| Transition { time_s: START + time, kind: *kind, channel: 0 }).collect();
        let life = kind.life(&steps, i64::from(START + now))?;
        Some((life.state, life.opened_s - START, life.reopenings))
    }

    #[test]
    fn a_life_in_its_states() {
        use MatterState as S;
        let cases: [Case<'_>; 12] = [
            ("nothing but a contact", &[(1, Contact)], 9, None),
            ("opened", &[(1, Contact), (2, Open)], 9, Some((S::Open, 2, 0))),
            (
                "a contact changes nothing while open",
                &[(2, WaitForCompany), (3, Contact)],
                9,
                Some((S::WaitingOnCompany, 2, 0)),
            ),
            ("work goes on", &[(2, WaitForCustomer), (3, Open)], 9, Some((S::Open, 2, 0))),
            ("handed off", &[(2, Open), (3, HandOff)], 9, Some((S::HandedOff, 2, 0))),
            ("declared resolved", &[(2, Open), (3, Resolve)], 102, Some((S::Resolved, 2, 0))),
            ("confirmed after the window", &[(2, Open), (3, Resolve), (50, Resolve)], 103, Some((S::Confirmed, 2, 0))),
            ("reopened by a contact", &[(2, Open), (3, Resolve), (50, Contact)], 999, Some((S::Reopened, 2, 1))),
            (
                "reopened into waiting",
                &[(2, Open), (3, Resolve), (5, WaitForCustomer)],
                9,
                Some((S::WaitingOnCustomer, 2, 1)),
            ),
            (
                "reopened stays so named",
                &[(2, Open), (3, Resolve), (5, HandOff), (6, Open)],
                9,
                Some((S::Reopened, 2, 1)),
            ),
            (
                "a new spell after confirmation",
                &[(2, Open), (3, Resolve), (500, Open)],
                501,
                Some((S::Reopened, 500, 1)),
            ),
            ("resolved before anything else", &[(3, Resolve)], 9, Some((S::Resolved, 3, 0))),
        ];
        for (name, steps, now, expected) in cases {
            assert_eq!(told(steps, now), expected, "{name}");
        }
    }

    #[test]
    fn a_silence_resolves_and_the_next_event_reopens() {
        let kind =
            || MatterType { name: "browse".into(), confirm_after_s: 100, silence_s: Some(30), session_gap_s: 50 };
        let steps = [(0, Open), (30, Open)];
        assert_eq!(told_by(kind(), &steps, 60), Some((MatterState::Open, 0, 0)));
        assert_eq!(told_by(kind(), &steps, 61), Some((MatterState::Resolved, 0, 0)));
        assert_eq!(told_by(kind(), &steps, 160), Some((MatterState::Confirmed, 0, 0)));
        assert_eq!(told_by(kind(), &[(0, Open), (31, Contact)], 40), Some((MatterState::Reopened, 0, 1)));
        assert_eq!(told_by(kind(), &[(0, Open), (130, Open)], 140), Some((MatterState::Reopened, 130, 1)));
    }

    #[test]
    fn a_silence_longer_than_the_gap_ends_a_session() {
        let kind = MatterType { name: "fault".into(), confirm_after_s: 100, silence_s: None, session_gap_s: 50 };
        let cases: [SessionCase<'_>; 5] = [
            ("nothing but a contact", &[(1, Contact)], 0),
            ("one event", &[(1, Contact), (60, Open)], 1),
            ("silences of just the gap", &[(1, Open), (51, Contact), (101, Resolve)], 1),
            ("a longer one", &[(1, Open), (52, Contact), (52, Resolve), (103, Open)], 3),
            ("what lies ahead", &[(1, Open), (5_000, Open)], 1),
        ];
        for (name, steps, expected) in cases {
            let steps: Vec<_> =
                steps.iter().map(|(time, kind)| Transition { time_s: START + time, kind: *kind, channel: 0 }).collect();
            assert_eq!(kind.sessions(&steps, i64::from(START + 999)), expected, "{name}");
        }
    }

    #[test]
    fn what_lies_ahead_has_not_happened_yet() {
        assert_eq!(told(&[(0, Open), (5_000, Resolve)], 10), Some((MatterState::Open, 0, 0)));
        assert_eq!(told(&[(5_000, Open)], 10), None);
    }
}
