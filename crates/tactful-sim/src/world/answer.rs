//! How customers answer what is shown to them, and what comes of it.

use rand::Rng;
use rand_pcg::Pcg32;
use tactful_core::catalog::Kind;
use tactful_proto::v1::{self, EventType, OutcomeType};

use super::World;
use crate::errand::Channel;
use crate::events::{Details, number, text};
use crate::matters;
use crate::persona::Latent;
use crate::topic::MatterKind;
use crate::truth::{ActionTruth, Effect};
use crate::visit::Visit;

/// What a customer does after a decision.
#[derive(Clone, Debug, PartialEq)]
pub enum Reaction {
    /// An exposure or answer to be recorded.
    Outcome(v1::OutcomeReport),
    /// Something that comes of it, to be ingested.
    Event(v1::Event),
}

/// What a customer does with one shown action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    NotPresented,
    Unseen,
    Accepts,
    Rejects,
    Defers,
    Clicks,
    Ignores,
}

/// One action shown to one customer.
#[derive(Clone, Copy)]
struct Scene<'a> {
    index: usize,
    visit: &'a Visit,
    shown: &'a v1::ShownAction,
    action: ActionTruth,
    now_ms: i64,
}

impl World {
    /// The customer sees the answer to a decision and reacts, at a time in milliseconds since 1970.
    /// It depends on the seed and on what this customer has done and answered before, not on what
    /// others do. An unknown customer and a decision of mode TEST give no reaction.
    pub fn respond(&mut self, subject_id: &str, response: &v1::DecideResponse, now_ms: i64) -> Vec<Reaction> {
        let Some(&index) = self.by_subject.get(subject_id) else { return Vec::new() };
        let Some(visit) = self.customers[index].visit.clone() else { return Vec::new() };
        let mut rng = self.customers[index].next_answer();
        let mut reactions = Vec::new();
        for shown in response.placements.iter().flat_map(|placement| &placement.actions) {
            if !shown.outcome_token.is_empty() {
                let action = self.truth.of(&shown.action_id);
                reactions.extend(self.answer(Scene { index, visit: &visit, shown, action, now_ms }, &mut rng));
            }
        }
        reactions
    }

    fn answer(&mut self, scene: Scene<'_>, rng: &mut Pcg32) -> Vec<Reaction> {
        let answer = self.draw_answer(scene, rng);
        let mut reactions = Vec::new();
        for outcome in outcomes(answer, scene.visit.channel, scene.action.kind, rng) {
            reactions.push(self.report(scene, outcome));
        }
        let customer = &mut self.customers[scene.index];
        if matches!(answer, Answer::Accepts | Answer::Rejects)
            && let Some(visit) = &mut customer.visit
        {
            visit.answered.push(scene.shown.action_id.clone());
        }
        if answer == Answer::Rejects {
            customer.refuse(scene.now_ms);
        }
        if answer == Answer::Accepts {
            let events = self.accept(scene, rng);
            let outcome = success(scene, !events.is_empty());
            reactions.extend(events.into_iter().map(Reaction::Event));
            reactions.extend(outcome.map(|outcome| self.report(scene, outcome)));
        }
        reactions
    }

    fn draw_answer(&self, scene: Scene<'_>, rng: &mut Pcg32) -> Answer {
        let customer = &self.customers[scene.index];
        let (seen, otherwise) = match scene.visit.channel {
            Channel::Agent | Channel::Shop => (0.85, Answer::NotPresented),
            Channel::Email => (0.75, Answer::Unseen),
            _ => (0.98, Answer::Unseen),
        };
        if !rng.gen_bool(seen) {
            return otherwise;
        }
        if rng.gen_bool(self.truth.acceptance(customer, &scene.shown.action_id, scene.now_ms)) {
            return Answer::Accepts;
        }
        let curt = (0.16 - 0.06 * customer.persona.of(Latent::Patience)).clamp(0.03, 0.4);
        match rng.gen_range(0.0..1.0) {
            draw if draw < curt => Answer::Rejects,
            draw if draw < curt + 0.05 => Answer::Defers,
            draw if draw < curt + 0.13 => Answer::Clicks,
            _ => Answer::Ignores,
        }
    }

    fn report(&mut self, scene: Scene<'_>, outcome: Outcome) -> Reaction {
        let customer = &mut self.customers[scene.index];
        Reaction::Outcome(self.ids.outcome(customer, &scene.shown.outcome_token, outcome, scene.now_ms))
    }

    /// What accepting brings about.
    fn accept(&mut self, scene: Scene<'_>, rng: &mut Pcg32) -> Vec<v1::Event> {
        let Scene { index, visit, now_ms, .. } = scene;
        let customer = &mut self.customers[index];
        match scene.action.effect {
            Effect::None => Vec::new(),
            Effect::Takes(product, price) => {
                customer.take(product);
                customer.monthly_spend += price;
                vec![self.activated(scene, price), self.contract_changed(scene)]
            }
            Effect::Upgrades(euros) => {
                customer.monthly_spend = (customer.monthly_spend + euros).max(5.0);
                let sold = scene.action.kind == Kind::Sell;
                let activated = sold.then(|| self.activated(scene, euros));
                activated.into_iter().chain([self.contract_changed(scene)]).collect()
            }
            Effect::Orders(price) => {
                vec![self.activated(scene, price), self.open_matter(index, MatterKind::Order, now_ms, visit.channel)]
            }
            Effect::Extends => {
                customer.contract_months_left = 24.0;
                customer.unhappy = false;
                let extended = self.tracked(index, visit, "Contract Extended", now_ms, vec![("months", number(24.0))]);
                vec![extended, self.contract_changed(scene)]
            }
            Effect::Solves(kind, chance) => {
                if rng.gen_bool(chance) {
                    self.solve(scene, kind, rng).into_iter().collect()
                } else {
                    Vec::new()
                }
            }
            Effect::Answers => {
                let score = customer.score();
                vec![self.tracked(index, visit, "Survey Answered", now_ms, vec![("score", number(score))])]
            }
            Effect::OpensApp => {
                customer.uses_app = true;
                let (channel, source) = (Channel::App.name(), Channel::App.source());
                let details = Details { channel, source, ..Details::default() };
                vec![self.ids.event(customer, EventType::Screen, "Welcome", now_ms, details)]
            }
        }
    }

    fn activated(&mut self, scene: Scene<'_>, price: f64) -> v1::Event {
        let properties = vec![("product", text(scene.action.topic.name())), ("price", number(price))];
        self.tracked(scene.index, scene.visit, "Product Activated", scene.now_ms, properties)
    }

    fn contract_changed(&mut self, scene: Scene<'_>) -> v1::Event {
        self.ids.contract_changed(&mut self.customers[scene.index], scene.now_ms)
    }

    /// Solves an open matter before its time.
    fn solve(&mut self, scene: Scene<'_>, kind: MatterKind, rng: &mut Pcg32) -> Option<v1::Event> {
        let name = matters::solving(kind)?;
        let customer = &mut self.customers[scene.index];
        let matter = customer.matters.iter_mut().find(|matter| matter.kind == kind && matter.open)?;
        matter.open = false;
        let matter = matter.clone();
        self.agenda.plan_relapse(scene.index, &matter, scene.now_ms, rng);
        let mut event = self.tracked(scene.index, scene.visit, name, scene.now_ms, Vec::new());
        event.matter_id = matter.id;
        Some(event)
    }
}

/// Type, value in the catalogue's unit, and reason of a report.
type Outcome = (OutcomeType, f64, &'static str);

/// A solved matter and a product taken are reported as such, to the action that brought them.
fn success(scene: Scene<'_>, changed: bool) -> Option<Outcome> {
    // The margin of an acceptance is what the decision itself says it is.
    let value = scene.shown.factors.as_ref().map_or(0.0, |factors| f64::from(factors.value.max(0.0)));
    match (scene.action.effect, scene.action.kind) {
        (Effect::Solves(..), _) if changed => Some((OutcomeType::Resolved, 0.0, "")),
        (_, Kind::Sell | Kind::Retain) if changed => Some((OutcomeType::Converted, value, "")),
        _ => None,
    }
}

/// The reports that an answer leads to.
fn outcomes(answer: Answer, channel: Channel, kind: Kind, rng: &mut Pcg32) -> Vec<Outcome> {
    let shown = (OutcomeType::Exposed, 0.0, "");
    let clicked = (OutcomeType::Clicked, 0.0, "");
    match answer {
        Answer::Unseen => Vec::new(),
        Answer::NotPresented => vec![(OutcomeType::NotPresented, 0.0, "NO_TIME")],
        Answer::Ignores => vec![shown],
        Answer::Clicks if clicks(channel) => vec![shown, clicked],
        Answer::Clicks => vec![shown],
        Answer::Accepts if clicks(channel) => vec![shown, clicked, (OutcomeType::Accepted, 0.0, "")],
        Answer::Accepts => vec![shown, (OutcomeType::Accepted, 0.0, "")],
        Answer::Defers => vec![shown, (OutcomeType::Deferred, 0.0, "NOT_NOW")],
        Answer::Rejects => {
            let dear = kind == Kind::Sell && rng.gen_bool(0.5);
            vec![shown, (OutcomeType::Rejected, 0.0, if dear { "TOO_EXPENSIVE" } else { "NOT_INTERESTED" })]
        }
    }
}

/// Whether people click in a channel.
fn clicks(channel: Channel) -> bool {
    matches!(channel, Channel::Web | Channel::App | Channel::Email | Channel::Bot)
}
