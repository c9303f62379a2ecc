//! The life of matters: what opens them, what the company does about them and when, whether it holds.

use std::collections::BTreeMap;

use rand::Rng;
use rand_pcg::Pcg32;

use crate::customer::{Customer, Matter};
use crate::topic::MatterKind;

/// Chance that a solved fault comes back.
const RELAPSE: f64 = 0.12;

/// What an event does to a matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It goes on.
    Progress,
    /// It is solved.
    Solved,
    /// It comes back.
    Relapse,
}

/// Something that will happen to a matter unless it is solved before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) customer: usize,
    pub(crate) kind: MatterKind,
    pub(crate) matter_id: String,
    pub(crate) name: &'static str,
    pub(crate) turn: Turn,
}

/// What will happen, in the order of time. At most four entries for each matter of a customer.
#[derive(Default)]
pub(crate) struct Agenda {
    queue: BTreeMap<(i64, u64), Planned>,
    sequence: u64,
}

impl Agenda {
    /// Plans something.
    pub(crate) fn plan(&mut self, due_ms: i64, planned: Planned) {
        self.sequence += 1;
        self.queue.insert((due_ms, self.sequence), planned);
    }

    /// Takes the next thing that is due by a time.
    pub(crate) fn due(&mut self, now_ms: i64) -> Option<(i64, Planned)> {
        let entry = self.queue.first_entry()?;
        let (due_ms, _) = *entry.key();
        (due_ms <= now_ms).then(|| (due_ms, entry.remove()))
    }

    /// Plans what the company does about a matter that was just opened.
    pub(crate) fn plan_course(&mut self, customer: usize, matter: &Matter, now_ms: i64, rng: &mut Pcg32) {
        let mut due_ms = now_ms;
        for (name, turn, (least, most)) in course(matter.kind) {
            due_ms += rng.gen_range(*least..=*most);
            self.plan(due_ms, planned(customer, matter, name, *turn));
        }
    }

    /// Plans the return of a solved fault, now and then.
    pub(crate) fn plan_relapse(&mut self, customer: usize, matter: &Matter, now_ms: i64, rng: &mut Pcg32) {
        if matter.kind == MatterKind::Fault && rng.gen_bool(RELAPSE) {
            let due_ms = now_ms + rng.gen_range(4_000..=20_000);
            self.plan(due_ms, planned(customer, matter, "Fault Reported Again", Turn::Relapse));
            let due_ms = due_ms + rng.gen_range(10_000..=30_000);
            self.plan(due_ms, planned(customer, matter, "Fault Repaired", Turn::Solved));
        }
    }
}

/// Applies a turn to the customer's matter; false if it no longer makes sense.
pub(crate) fn turn(customer: &mut Customer, planned: &Planned) -> bool {
    let Some(matter) = customer.matters.iter_mut().find(|matter| matter.id == planned.matter_id) else { return false };
    let fits = matter.open != (planned.turn == Turn::Relapse);
    if fits {
        matter.open = planned.turn != Turn::Solved;
    }
    fits
}

/// Opens a matter; it takes the place of the last one of its kind.
pub(crate) fn open(customer: &mut Customer, kind: MatterKind, id: String) -> Matter {
    customer.matters.retain(|matter| matter.kind != kind);
    let matter = Matter { kind, id, open: true };
    customer.matters.push(matter.clone());
    matter
}

/// Event that opens a matter of a kind.
pub(crate) fn opening(kind: MatterKind) -> &'static str {
    match kind {
        MatterKind::Fault => "Fault Reported",
        MatterKind::Complaint => "Complaint Filed",
        MatterKind::Order => "Order Placed",
        MatterKind::Billing => "Bill Questioned",
        MatterKind::Move => "Move Announced",
    }
}

/// Event by which the customer asks how it goes.
pub(crate) fn chasing(kind: MatterKind) -> &'static str {
    match kind {
        MatterKind::Fault => "Fault Chased",
        MatterKind::Complaint => "Complaint Chased",
        MatterKind::Order => "Order Chased",
        MatterKind::Billing => "Bill Questioned Again",
        MatterKind::Move => "Move Chased",
    }
}

/// Event that declares a matter solved; a move ends by silence.
pub(crate) fn solving(kind: MatterKind) -> Option<&'static str> {
    course(kind).iter().find(|(_, turn, _)| *turn == Turn::Solved).map(|(name, _, _)| *name)
}

/// What the company does about a matter: event, what it does, least and most delay in milliseconds.
fn course(kind: MatterKind) -> &'static [(&'static str, Turn, (i64, i64))] {
    match kind {
        MatterKind::Fault => &[
            ("Fault Diagnosed", Turn::Progress, (1_000, 4_000)),
            ("Technician Requested", Turn::Progress, (2_000, 6_000)),
            ("Fault Repaired", Turn::Solved, (10_000, 40_000)),
        ],
        MatterKind::Complaint => &[
            ("Complaint Under Review", Turn::Progress, (2_000, 6_000)),
            ("Apology Sent", Turn::Progress, (8_000, 20_000)),
            ("Complaint Settled", Turn::Solved, (8_000, 40_000)),
        ],
        MatterKind::Order => &[
            ("Order Packed", Turn::Progress, (2_000, 6_000)),
            ("Order Handed To Carrier", Turn::Progress, (3_000, 8_000)),
            ("Order Delivered", Turn::Solved, (10_000, 40_000)),
        ],
        MatterKind::Billing => {
            &[("Bill Under Review", Turn::Progress, (1_000, 5_000)), ("Bill Explained", Turn::Solved, (10_000, 30_000))]
        }
        MatterKind::Move => &[("Line Move Scheduled", Turn::Progress, (4_000, 12_000))],
    }
}

fn planned(customer: usize, matter: &Matter, name: &'static str, turn: Turn) -> Planned {
    Planned { customer, kind: matter.kind, matter_id: matter.id.clone(), name, turn }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_matter_runs_its_course_and_is_solved_once() {
        let mut customer = Customer::draw(1, 1);
        let mut agenda = Agenda::default();
        let matter = open(&mut customer, MatterKind::Fault, "fault-1".into());
        agenda.plan_course(0, &matter, 1_000, &mut Pcg32::seed_from_u64(2));
        assert!(customer.is_open(MatterKind::Fault) && agenda.due(1_500).is_none());
        let mut last_ms = 0;
        while let Some((due_ms, planned)) = agenda.due(i64::MAX) {
            assert!(due_ms > last_ms && turn(&mut customer, &planned));
            last_ms = due_ms;
        }
        assert!(!customer.is_open(MatterKind::Fault));
        let again = planned(0, &matter, "Fault Repaired", Turn::Solved);
        assert!(!turn(&mut customer, &again), "what is solved is not solved again");
    }

    #[test]
    fn only_a_solved_matter_comes_back() {
        let mut customer = Customer::draw(1, 1);
        let matter = open(&mut customer, MatterKind::Fault, "fault-1".into());
        let relapse = planned(0, &matter, "Fault Reported Again", Turn::Relapse);
        assert!(!turn(&mut customer, &relapse));
        assert!(turn(&mut customer, &planned(0, &matter, "Fault Repaired", Turn::Solved)));
        assert!(turn(&mut customer, &relapse) && customer.is_open(MatterKind::Fault));
    }
}
