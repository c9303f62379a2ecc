//! A row: the slots of one subject id, and beside them what is not a number: timeline, contacts, matters,
//! consents, facts.
//!
//! The side is allocated when the first entry comes, so that an empty one costs 8 bytes. It refuses
//! to hold the subject id: whoever keeps the rows knows it.

use super::consent::Consents;
use super::fact::Facts;
use super::links::Links;
use super::matters::Matters;
use super::{Names, NamesUsed, Schema, Slot};
use crate::limits::{CONTACTS_MAX, INTERACTIONS_MAX};

/// The state of one subject id.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub(crate) slots: Box<[Slot]>,
    pub(crate) side: Option<Box<Side>>,
}

/// What is beside the slots.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Side {
    /// Latest interactions, oldest first.
    pub(crate) interactions: Vec<Packed>,
    /// Latest contacts, oldest first.
    pub(crate) contacts: Vec<Contact>,
    pub(crate) matters: Matters,
    /// Statements about this id and others; none for most.
    pub(crate) links: Option<Box<Links>>,
    /// Boxed, since most customers never say anything.
    pub(crate) consents: Option<Box<Consents>>,
    pub(crate) facts: Facts,
}

/// An interaction in 14 bytes; names are ids of the partition's [`super::Names`]. Packed: fifty of them then fit into
/// the allocator's size below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C, packed(2))]
pub(crate) struct Packed {
    pub(crate) time_s: u32,
    /// Hash of the matter's id; 0 for none.
    pub(crate) matter: u32,
    /// Name of an event, or action of a decision or outcome.
    pub(crate) what: u16,
    pub(crate) channel: u16,
    pub(crate) kind: PackedKind,
}

/// Kind of an interaction or contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PackedKind {
    Event(super::EventKind),
    Decision,
    /// Index into [`super::entry::OUTCOMES`].
    Outcome(u8),
}

/// Something said to the customer, or the answer, in 10 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C, packed(2))]
pub(crate) struct Contact {
    pub(crate) time_s: u32,
    pub(crate) action: u16,
    pub(crate) channel: u16,
    pub(crate) kind: PackedKind,
}

const _: () = assert!(size_of::<Packed>() == 14);
const _: () = assert!(size_of::<Contact>() == 10);
const _: () = assert!(size_of::<Side>() <= 128);
const _: () = assert!(size_of::<Option<Box<Side>>>() == 8);

impl Row {
    /// A row of which nothing is known yet.
    #[must_use]
    pub fn new(schema: &Schema) -> Self {
        Self { slots: vec![0; schema.slot_count()].into_boxed_slice(), side: None }
    }

    /// The slots in the schema's order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(crate) fn side_mut(&mut self) -> &mut Side {
        self.side.get_or_insert_default()
    }

    pub(crate) fn matters(&self) -> Option<&Matters> {
        self.side.as_deref().map(|side| &side.matters)
    }

    /// The statements about this id and others, if there are any.
    #[must_use]
    pub fn links(&self) -> Option<&Links> {
        self.side.as_deref().and_then(|side| side.links.as_deref())
    }

    /// Whether nothing is known, as in a new row.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        let nothing_beside = self.side.as_deref().is_none_or(|side| *side == Side::default());
        nothing_beside && self.slots.iter().all(|slot| *slot == 0)
    }

    /// Adds the names that it uses.
    pub fn note_names(&self, used: &mut NamesUsed) {
        let Some(side) = self.side.as_deref() else { return };
        for interaction in &side.interactions {
            let whats = match interaction.kind {
                PackedKind::Event(_) => &mut used.events,
                PackedKind::Decision | PackedKind::Outcome(_) => &mut used.actions,
            };
            whats.insert(interaction.what);
            used.channels.insert(interaction.channel);
        }
        for contact in &side.contacts {
            used.actions.insert(contact.action);
            used.channels.insert(contact.channel);
        }
        let steps = side.matters.list().iter().flat_map(|matter| &matter.transitions);
        used.channels.extend(steps.map(|step| step.channel));
        for fact in side.facts.list() {
            let (channel, source) = fact.names();
            used.channels.insert(channel);
            used.sources.insert(source);
        }
    }

    /// Forgets what was said up to a time, in Unix milliseconds, about a subject id that was erased.
    pub fn forget_link(&mut self, other: &str, until_ms: i64) {
        let Some(side) = self.side.as_deref_mut() else { return };
        side.links = side.links.take().and_then(|mut links| {
            links.forget(other, until_ms);
            // As if there had never been any: a replay of after the erasure hears of none.
            (!links.is_empty() || links.floor().is_some()).then_some(links)
        });
    }

    /// What was said about purposes; none if nothing ever was.
    pub(crate) fn consents(&self) -> Option<&Consents> {
        self.side.as_deref()?.consents.as_deref()
    }

    /// What was told; none if there is no side at all.
    pub(crate) fn facts(&self) -> Option<&Facts> {
        self.side.as_deref().map(|side| &side.facts)
    }

    pub(crate) fn contacts(&self) -> &[Contact] {
        self.side.as_deref().map_or(&[], |side| &side.contacts)
    }
}

impl Packed {
    /// Name of the event, or the action.
    pub(crate) fn what(self, names: &Names) -> &str {
        match self.kind {
            PackedKind::Event(_) => names.events.text(self.what),
            PackedKind::Decision | PackedKind::Outcome(_) => names.actions.text(self.what),
        }
    }
}

impl Side {
    pub(crate) fn note_interaction(&mut self, interaction: Packed) {
        keep_latest(&mut self.interactions, interaction, INTERACTIONS_MAX);
    }

    pub(crate) fn links_mut(&mut self) -> &mut Links {
        self.links.get_or_insert_default()
    }

    pub(crate) fn note_contact(&mut self, contact: Contact) {
        keep_latest(&mut self.contacts, contact, CONTACTS_MAX);
    }
}

/// Keeps the greatest `max` items in order. Grows by eight at a time: doubling would waste more than
/// the items of most customers.
fn keep_latest<T: Ord>(items: &mut Vec<T>, item: T, max: usize) {
    let place = items.partition_point(|held| *held <= item);
    if items.len() < max {
        if items.len() == items.capacity() {
            items.reserve_exact((max - items.len()).min(8));
        }
        items.insert(place, item);
    } else if place > 0 {
        items[..place].rotate_left(1);
        items[place - 1] = item;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::state::fact::{Fact, Saying};

    #[test]
    fn an_empty_row_of_64_slots_stays_within_a_quarter_beyond_its_slots() {
        let slots = 64 * size_of::<Slot>();
        assert!((size_of::<Row>() + slots) * 4 <= slots * 5, "{} bytes", size_of::<Row>());
    }

    #[test]
    fn a_row_that_knew_nothing_but_a_link_to_somebody_erased_is_blank() {
        let mut row = Row { slots: vec![0; 2].into(), side: None };
        row.side_mut().links.get_or_insert_default().insert("customer:1", 5, crate::state::links::LinkKind::Explicit);
        row.forget_link("customer:1", 4);
        assert!(!row.is_blank(), "it was said after the erasure");
        row.forget_link("customer:1", 5);
        assert!(row.is_blank() && row.links().is_none());
        row.slots[1] = 1;
        assert!(!row.is_blank());
    }

    #[test]
    fn full_timelines_and_five_facts_stay_within_their_budget() {
        let mut side = Side::default();
        let kind = PackedKind::Decision;
        for time_s in 0..50 {
            side.note_interaction(Packed { time_s, matter: 0, what: 0, channel: 0, kind });
        }
        for time_s in 0..20 {
            side.note_contact(Contact { time_s, action: 0, channel: 0, kind });
        }
        let mut bytes = size_of::<Side>()
            + side.interactions.capacity() * size_of::<Packed>()
            + side.contacts.capacity() * size_of::<Contact>();
        for key in ["language", "contact_time", "household", "moves_in_may", "has_a_dog"] {
            let value = Some(crate::state::Value::Text("evening"));
            let saying = Saying { key, purpose: "", value, expires_s: None, time_ms: 1, channel: 0, source: 0 };
            side.facts.insert(Fact::new(&saying).unwrap(), |_, _| true);
            bytes += size_of::<Fact>() + key.len() + "evening".len();
        }
        assert!(bytes <= 1_500, "{bytes} bytes");
    }

    proptest! {
        #[test]
        fn the_latest_are_kept_in_any_order(items in prop::collection::vec(0u32..40, 0..60)) {
            let mut kept = Vec::new();
            items.iter().for_each(|item| keep_latest(&mut kept, *item, 16));
            let mut expected = items.clone();
            expected.sort_unstable();
            prop_assert_eq!(&kept, &expected[expected.len().saturating_sub(16)..]);
        }
    }
}
