//! The world: customers that get in touch, and what happens to them meanwhile.

mod answer;
mod contact;

use std::collections::HashMap;

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;
use tactful_proto::v1;

pub use answer::Reaction;

use crate::customer::Customer;
use crate::events::{Details, Ids};
use crate::matters::{self, Agenda, Planned, Turn};
use crate::truth::Truth;
use crate::visit::Visit;

/// Most decisions of one call to [`World::advance`]; what is owed beyond is dropped.
const DECISIONS_MAX: f64 = 100_000.0;
/// Most visits at one time.
const VISITING_MAX: usize = 256;
/// Chance that a decision belongs to a new visit while there is room for one.
const NEW_VISIT: f64 = 0.4;
/// How much more often the busiest customers come: 1 is all alike.
const ACTIVITY_SKEW: f64 = 1.4;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// An event to be ingested.
    Event(v1::Event),
    /// A decision that a channel asks for.
    Decide(v1::DecideRequest),
}

/// Simulated customers of the company in `catalog/`.
pub struct World {
    customers: Vec<Customer>,
    by_subject: HashMap<String, usize>,
    truth: Truth,
    ids: Ids,
    agenda: Agenda,
    rng: Pcg32,
    /// Customers with a visit that is not over.
    visiting: Vec<usize>,
    now_ms: i64,
    owed: f64,
}

impl World {
    /// A world of `customers` (at least 1) at a time, milliseconds since 1970. Subject ids run from
    /// `customer:000001`.
    #[must_use]
    pub fn new(seed: u64, customers: usize, start_ms: i64) -> Self {
        let customers: Vec<Customer> = (1..=customers.max(1)).map(|number| Customer::draw(seed, number)).collect();
        let by_subject = customers.iter().enumerate().map(|(index, c)| (c.subject_id.clone(), index)).collect();
        Self {
            customers,
            by_subject,
            truth: Truth::new(seed),
            ids: Ids::new(seed, start_ms),
            agenda: Agenda::default(),
            rng: Pcg32::seed_from_u64(seed),
            visiting: Vec::new(),
            now_ms: start_ms,
            owed: 0.0,
        }
    }

    /// Traits of every customer as one identify event each, at the present time of the world.
    pub fn introductions(&mut self) -> Vec<v1::Event> {
        let (ids, now_ms) = (&self.ids, self.now_ms);
        self.customers.iter_mut().map(|customer| ids.identify(customer, now_ms)).collect()
    }

    /// Advances to a time, milliseconds since 1970, and returns what happened and what is asked, in
    /// the order of time. `rate`: decisions per second, all customers together. A time that is not
    /// ahead changes nothing; at most 100,000 decisions are asked for in one call.
    pub fn advance(&mut self, now_ms: i64, rate: f64) -> Vec<Step> {
        let span_ms = now_ms - self.now_ms;
        if span_ms <= 0 {
            return Vec::new();
        }
        let wanted = if rate.is_finite() { rate.max(0.0) * span_ms as f64 / 1_000.0 } else { 0.0 };
        self.owed = (self.owed + wanted).min(DECISIONS_MAX);
        let decisions = self.owed.floor() as i64;
        self.owed -= decisions as f64;
        let start_ms = self.now_ms;
        let mut steps = Vec::new();
        for decision in 1..=decisions {
            let at_ms = start_ms + span_ms * decision / (decisions + 1);
            self.happen(at_ms, &mut steps);
            self.contact(at_ms, &mut steps);
        }
        self.happen(now_ms, &mut steps);
        steps
    }

    /// The truth: the probability that this customer accepts this action now, above 0 and below 1.
    /// An unknown customer counts as an average one.
    #[must_use]
    pub fn acceptance(&self, subject_id: &str, action_id: &str) -> f64 {
        match self.by_subject.get(subject_id) {
            Some(index) => self.truth.acceptance(&self.customers[*index], action_id, self.now_ms),
            None => self.truth.average(action_id),
        }
    }

    /// Whether an action fits a customer at all right now: what good rules let pass.
    #[must_use]
    pub fn fits(&self, subject_id: &str, action_id: &str) -> bool {
        let needs = self.truth.of(action_id).needs;
        self.by_subject
            .get(subject_id)
            .is_some_and(|index| needs.iter().all(|need| need.holds(&self.customers[*index])))
    }

    /// What was planned and is due by a time.
    fn happen(&mut self, at_ms: i64, steps: &mut Vec<Step>) {
        while let Some((due_ms, planned)) = self.agenda.due(at_ms) {
            // An answer may have planned something while the world had moved on already.
            self.now_ms = self.now_ms.max(due_ms);
            steps.extend(self.turn(&planned).map(Step::Event));
        }
        self.now_ms = self.now_ms.max(at_ms);
    }

    fn turn(&mut self, planned: &Planned) -> Option<v1::Event> {
        let customer = &mut self.customers[planned.customer];
        if !matters::turn(customer, planned) {
            return None;
        }
        if planned.turn == Turn::Solved
            && let Some(matter) = customer.matter(planned.kind).cloned()
        {
            self.agenda.plan_relapse(planned.customer, &matter, self.now_ms, &mut customer.rng);
        }
        let source = if planned.turn == Turn::Relapse { "contact_centre" } else { "workflow" };
        let details = Details { source, matter_id: planned.matter_id.clone(), ..Details::default() };
        Some(self.ids.event(customer, v1::EventType::Track, planned.name, self.now_ms, details))
    }

    /// One decision: of a customer who is here, or of one who just comes.
    fn contact(&mut self, at_ms: i64, steps: &mut Vec<Step>) {
        let index = self.pick();
        let customer = &mut self.customers[index];
        let arrives = customer.visit.as_ref().is_none_or(Visit::is_over);
        if arrives {
            let mut rng = customer.rng.clone();
            customer.visit = Some(Visit::draw(customer, &mut rng));
            customer.rng = rng;
            self.visiting.push(index);
        }
        steps.extend(self.happenings(index, arrives, at_ms).into_iter().map(Step::Event));
        steps.extend(self.request(index, at_ms).map(Step::Decide));
        if self.customers[index].visit.as_ref().is_none_or(Visit::is_over) {
            self.visiting.retain(|visitor| *visitor != index);
        }
    }

    fn pick(&mut self) -> usize {
        let room = VISITING_MAX.min(self.customers.len().div_ceil(2));
        let newcomer = self.visiting.is_empty() || (self.visiting.len() < room && self.rng.gen_bool(NEW_VISIT));
        if newcomer {
            let place = self.rng.gen_range(0.0_f64..1.0).powf(ACTIVITY_SKEW);
            return ((place * self.customers.len() as f64) as usize).min(self.customers.len() - 1);
        }
        self.visiting[self.rng.gen_range(0..self.visiting.len())]
    }

    fn request(&mut self, index: usize, at_ms: i64) -> Option<v1::DecideRequest> {
        let customer = &mut self.customers[index];
        let request_id = self.ids.next(customer);
        let visit = customer.visit.as_mut()?;
        let mut request = v1::DecideRequest {
            subject_id: customer.subject_id.clone(),
            placements: visit.placements(),
            context: visit.context(at_ms),
            excluded_actions: visit.answered.clone(),
            request_id,
            ..v1::DecideRequest::default()
        };
        visit.step += 1;
        let about = visit.matter_kind().and_then(|kind| customer.matter(kind)).filter(|matter| matter.open);
        request.matter_id = about.map(|matter| matter.id.clone()).unwrap_or_default();
        Some(request)
    }
}
