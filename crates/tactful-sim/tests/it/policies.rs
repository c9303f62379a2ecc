//! What policies bring in the simulated world, by direct calculation with the pure core: the truth
//! of every shown action is known, so nothing needs to be estimated.
//!
//! Mean true acceptance, and acceptance times value, of what is shown (seed 1, 600 customers, 60
//! decisions a second for 60 seconds; seed 2 within 0.02):
//!
//! | policy | acceptance | euros |
//! |---|---|---|
//! | random among what the rules let pass | 0.17 | 1.7 |
//! | engine with the catalogue's start acceptance | 0.21 | 2.5 |
//! | engine that knows the truth | 0.41 | 4.2 |
//! | highest true acceptance, whatever it is worth | 0.44 | 4.0 |
//!
//! In the 60 seconds after, the engine with a plain logistic learner that saw the first 60 reaches
//! 0.27, while a random tenth of the customers stays at 0.16. `--nocapture` prints all of them.

use tactful_core::decide::{Decision, Request, Stage};
use tactful_proto::v1::{DecideRequest, OutcomeType};
use tactful_sim::{Reaction, Step, World};

use super::company::{Company, engine_choice};
use super::learner::{Example, Learner};

const START_MS: i64 = 1_790_000_000_000;
const CUSTOMERS: usize = 600;
const RATE: f64 = 60.0;

/// How actions are chosen among those that the rules let pass.
#[derive(Clone, Copy)]
enum Policy<'a> {
    /// Uniform draws without replacement: the holdout.
    Random,
    /// The engine with the catalogue's start acceptance.
    Priors,
    /// The engine with what a learner has learnt.
    Learnt(&'a Learner),
    /// The engine if it knew the truth.
    Best,
    /// The highest true acceptance, whatever it is worth.
    Ceiling,
}

/// What a policy brought.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    shown: f64,
    acceptance: f64,
    value: f64,
    exposed: f64,
    accepted: f64,
}

impl Tally {
    /// Mean true acceptance of what was shown.
    fn acceptance(&self) -> f64 {
        self.acceptance / self.shown
    }

    /// Mean true acceptance times value of what was shown, in euros.
    fn value(&self) -> f64 {
        self.value / self.shown
    }
}

/// A world and the company that serves it.
struct Run {
    world: World,
    company: Company,
    second: i64,
    draws: Draws,
    examples: Vec<Example>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed, CUSTOMERS, START_MS);
        let mut company = Company::new();
        world.introductions().iter().for_each(|event| company.event(event));
        Self { world, company, second: 0, draws: Draws(seed), examples: Vec::new() }
    }

    /// Serves a tenth of the customers at random and the others by a policy; what each brought.
    fn play(&mut self, policy: Policy<'_>, seconds: i64) -> (Tally, Tally) {
        let (mut treated, mut held_out) = (Tally::default(), Tally::default());
        for _ in 0..seconds {
            self.second += 1;
            let now_ms = START_MS + 1_000 * self.second;
            for step in self.world.advance(now_ms, RATE) {
                match step {
                    Step::Event(event) => self.company.event(&event),
                    Step::Decide(asked) if asked.subject_id.ends_with('7') => {
                        self.serve(Policy::Random, &asked, now_ms, &mut held_out);
                    }
                    Step::Decide(asked) => self.serve(policy, &asked, now_ms, &mut treated),
                }
            }
        }
        (treated, held_out)
    }

    fn serve(&mut self, policy: Policy<'_>, asked: &DecideRequest, now_ms: i64, tally: &mut Tally) {
        let (request, decision) = self.company.decide(asked, now_ms);
        let shown = self.choose(policy, &request, &decision);
        for action in shown.iter().flatten() {
            let ruleset = &self.company.ruleset;
            let def = &ruleset.catalog.action[ruleset.actions[*action].position];
            let truth = self.world.acceptance(&asked.subject_id, &def.id);
            tally.shown += 1.0;
            tally.acceptance += truth;
            tally.value += truth * f64::from(def.value - def.cost);
        }
        let response = self.company.show(asked, &shown, now_ms);
        let reactions = self.world.respond(&asked.subject_id, &response, now_ms);
        reactions.iter().for_each(|reaction| self.company.reaction(reaction));
        for action in shown.into_iter().flatten() {
            let got = |kind| has(&reactions, &self.company.ruleset.actions[action].id, kind);
            if got(OutcomeType::Exposed) {
                let accepted = got(OutcomeType::Accepted);
                tally.exposed += 1.0;
                tally.accepted += f64::from(u8::from(accepted));
                self.examples.push(Example { fields: decision.fields.clone(), action, accepted });
            }
        }
    }

    fn choose(&mut self, policy: Policy<'_>, request: &Request, decision: &Decision) -> Vec<Vec<usize>> {
        let Self { world, company, draws, .. } = self;
        let ruleset = &company.ruleset;
        let truth = |action: usize| world.acceptance(&request.subject_id, &ruleset.actions[action].id);
        let passed = decision
            .traces
            .iter()
            .filter(|trace| matches!(trace.stage, Stage::Arbitration | Stage::Interruption | Stage::Shown));
        // What an action is worth besides its acceptance probability: V x C x L.
        let worth = |trace: &tactful_core::decide::Trace| {
            f64::from(trace.scored.value * trace.scored.context * trace.scored.lever)
        };
        let mut ranked: Vec<(f64, usize)> = match policy {
            Policy::Priors => return engine_choice(decision),
            Policy::Random => passed.map(|trace| (1.0 + draws.next(), trace.action)).collect(),
            Policy::Ceiling => passed.map(|trace| (1.0 + truth(trace.action), trace.action)).collect(),
            Policy::Best => passed.map(|trace| (truth(trace.action) * worth(trace), trace.action)).collect(),
            Policy::Learnt(learner) => passed
                .map(|trace| (learner.acceptance(ruleset, trace.action, &decision.fields) * worth(trace), trace.action))
                .collect(),
        };
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let minded = matches!(policy, Policy::Best | Policy::Learnt(_));
        fill(company, request, ranked, minded)
    }
}

/// Fills the placements in order; whoever minds interruptions stays silent below their cost.
fn fill(company: &Company, request: &Request, mut ranked: Vec<(f64, usize)>, minded: bool) -> Vec<Vec<usize>> {
    let mut shown = Vec::new();
    for (placement, count) in &request.placements {
        let cost = if minded { f64::from(company.ruleset.placements[*placement].interruption_cost) } else { 0.0 };
        let fits = |(priority, action): &&(f64, usize)| {
            *priority > cost && company.ruleset.treatment(*action, *placement).is_some()
        };
        let actions: Vec<usize> = ranked.iter().filter(fits).take(*count).map(|(_, action)| *action).collect();
        ranked.retain(|(_, action)| !actions.contains(action));
        shown.push(actions);
    }
    shown
}

fn has(reactions: &[Reaction], token: &str, kind: OutcomeType) -> bool {
    reactions.iter().any(|reaction| {
        matches!(reaction, Reaction::Outcome(outcome) if outcome.outcome_token == token && outcome.r#type() == kind)
    })
}

/// Uniform draws, 0 to 1, by a linear congruence.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[test]
fn policies_are_ranked_as_the_truth_says() {
    for seed in [1, 2] {
        let [random, priors, best, ceiling] = [Policy::Random, Policy::Priors, Policy::Best, Policy::Ceiling]
            .map(|policy| Run::new(seed).play(policy, 60).0);
        for (name, tally) in [("random", random), ("priors", priors), ("best", best), ("ceiling", ceiling)] {
            println!("seed {seed} {name}: acceptance {:.3}, value {:.2}", tally.acceptance(), tally.value());
            let seen = tally.accepted / tally.exposed;
            assert!((seen / tally.acceptance() - 1.0).abs() < 0.1, "{name}: {seen} answers yes");
        }
        assert!((0.1..0.25).contains(&random.acceptance()), "{random:?}");
        assert!(priors.acceptance() > random.acceptance(), "{priors:?}");
        assert!(best.acceptance() > 1.6 * priors.acceptance(), "{best:?}");
        assert!(best.value() > 1.4 * priors.value() && priors.value() > 1.2 * random.value(), "{best:?}");
        assert!(ceiling.acceptance() > best.acceptance() && ceiling.value() < best.value(), "{ceiling:?}");
    }
}

#[test]
fn what_can_be_observed_is_enough_to_beat_the_start_acceptance() {
    let mut run = Run::new(1);
    let (priors, _) = run.play(Policy::Priors, 60);
    let learner = Learner::train(&run.company.ruleset, &run.examples);
    let (learnt, held_out) = run.play(Policy::Learnt(&learner), 60);
    println!(
        "priors {:.3}, learnt {:.3}, random {:.3}",
        priors.acceptance(),
        learnt.acceptance(),
        held_out.acceptance()
    );
    assert!(learnt.acceptance() > 1.25 * priors.acceptance(), "{learnt:?} after {priors:?}");
    assert!(learnt.acceptance() > 1.4 * held_out.acceptance(), "{learnt:?} against {held_out:?}");
}
