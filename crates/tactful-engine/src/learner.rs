//! Learning online: one node at a time, under a fenced lease, follows the record of decisions, learns each of
//! them once when its reward window has closed, and publishes versions through the same checks as everybody.
//!
//! What it has learnt and how far it has come are one value of the log, set only if it is what this learner wrote
//! last. So after a crash, here or on another node, learning goes on where that value stands: what was learnt since
//! is forgotten and learnt again.

mod guard;
mod rows;
mod state;

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use tactful_core::ruleset::Alias;
use tactful_core::score::Model;
use tactful_log::Lease;
use tactful_models::{Learner, OnlineRow, Recipe};
use tactful_proto::storage::MoveCause;
use tokio::sync::watch;
use tokio::time::Instant;

use self::guard::Guard;
use self::rows::{Rows, Waited};
use self::state::Saved;
use crate::engine::Engine;
use crate::error::Error;
use crate::models::MoveCommand;
use crate::registry::Reference;

/// Pause between two looks at the log.
const LOOK: Duration = Duration::from_millis(100);
/// How long the lease outlives its holder.
const LEASE_TTL: Duration = Duration::from_secs(5);
/// Pause after the log failed, or while another node learns.
const REST: Duration = Duration::from_secs(1);

/// The task that learns.
struct Learning {
    engine: Arc<Engine>,
    recipe: Recipe,
    holder: String,
    /// What it has, while it has the lease.
    role: Option<Role>,
    /// What it said last of why it cannot learn.
    told: String,
}

/// What a learner has at hand.
struct Role {
    lease: Lease,
    saved: Saved,
    learner: Learner,
    rows: Rows,
    guard: Guard,
    /// Versions that it published: when, milliseconds since 1970, and which.
    published: Vec<(i64, Reference)>,
    publish_due: Instant,
    unsaved: u64,
}

impl Engine {
    /// Learns by a recipe from now on, whenever no other node does. To be called once.
    pub fn start_learner(self: &Arc<Self>, recipe: Recipe) {
        let holder = format!("{:016x}", self.node);
        let learning = Learning { engine: Arc::clone(self), recipe, holder, role: None, told: String::new() };
        self.follow(|closing| learning.run(closing));
    }
}

impl Learning {
    /// Learns until the engine closes; then once more keeps what it has.
    async fn run(mut self, mut closing: watch::Receiver<bool>) {
        let mut pause = LOOK;
        while tokio::time::timeout(pause, closing.wait_for(|closing| *closing)).await.is_err() {
            pause = match self.turn().await {
                Ok(()) => LOOK,
                Err(error) => {
                    // What is not kept is learnt again.
                    self.role = None;
                    self.tell(error.to_string());
                    REST
                }
            };
            gauge!("tactful_learner_active").set(f64::from(u8::from(self.role.is_some())));
        }
        if let Some(mut role) = self.role.take() {
            let _kept = role.save(&self.engine).await.is_ok();
            let _released = self.engine.log.release_lease(&role.lease).await.is_ok();
        }
    }

    /// Says a hindrance once.
    fn tell(&mut self, why: String) {
        if self.told != why {
            tracing::warn!(model = self.recipe.name, why, "cannot learn online");
            self.told = why;
        }
    }

    async fn turn(&mut self) -> Result<(), Error> {
        if self.role.is_none() {
            let Some(role) = self.take_role().await? else { return Ok(()) };
            tracing::info!(model = self.recipe.name, "this node learns online");
            self.told.clear();
            self.role = Some(role);
        }
        let Some(role) = &mut self.role else { return Ok(()) };
        if !self.engine.log.renew_lease(&mut role.lease, LEASE_TTL).await? {
            return Err(Error::Busy);
        }
        if role.is_stopped(&self.engine) {
            return Ok(());
        }
        if !role.follows_champion(&self.engine) {
            // Somebody else put another model into use: learning begins anew from that one.
            self.role = None;
            return Ok(());
        }
        role.learn(&self.engine, &self.recipe).await?;
        if Instant::now() >= role.publish_due && !role.is_stopped(&self.engine) {
            role.publish_due = Instant::now() + pause(&self.recipe);
            role.publish(&self.engine, &self.recipe).await?;
        }
        Ok(())
    }

    /// What a learner needs, unless another node learns or there is nothing to learn from.
    async fn take_role(&self) -> Result<Option<Role>, Error> {
        let engine = &self.engine;
        let Some((reference, sha256)) = champion(engine, &self.recipe.name) else {
            return Err(Error::Model(format!("no version of {} is the champion", self.recipe.name)));
        };
        let name = format!("learner/{}", self.recipe.name);
        let Some(lease) = engine.log.acquire_lease(&name, &self.holder, LEASE_TTL).await? else { return Ok(None) };
        let saved = Saved::load(engine, &name, sha256, lease.token, by_hand(engine)).await?;
        let (_, loaded) = engine.model(&reference).await?;
        let base = loaded.model;
        // What it had learnt when it stopped is not trusted.
        let states = if saved.is_stopped() { Vec::new() } else { saved.heads() };
        let learner = Learner::new(&self.recipe, &base, states).map_err(|error| Error::Model(error.to_string()))?;
        let rows = Rows::new(engine, &self.recipe, base.inputs.clone(), saved.offsets());
        Ok(Some(Role {
            lease,
            rows,
            learner,
            guard: Guard::new(base, self.recipe.online),
            published: vec![(i64::MIN, reference)],
            publish_due: Instant::now() + pause(&self.recipe),
            unsaved: 0,
            saved,
        }))
    }
}

/// The champion, if it is a version of this name.
fn champion(engine: &Engine, name: &str) -> Option<(Reference, [u8; 32])> {
    let control = engine.control.borrow();
    let champion = control.registry.in_use(Alias::Champion).filter(|champion| champion.reference.name == name)?;
    Some((champion.reference.clone(), champion.sha256))
}

/// Whether an operator moved an alias last.
fn by_hand(engine: &Engine) -> bool {
    let control = engine.control.borrow();
    control.registry.moves().last().is_none_or(|moved| moved.cause == MoveCause::Caller)
}

impl Role {
    fn follows_champion(&self, engine: &Engine) -> bool {
        let champion = engine.control.borrow().registry.in_use(Alias::Champion).map(|champion| champion.sha256);
        champion == Some(self.saved.champion())
    }

    /// Whether it has stopped, and no operator has moved the champion since.
    fn is_stopped(&self, engine: &Engine) -> bool {
        self.saved.is_stopped() && !by_hand(engine)
    }

    /// Learns every decision whose window has closed.
    async fn learn(&mut self, engine: &Engine, recipe: &Recipe) -> Result<(), Error> {
        self.rows.read(engine).await?;
        for Waited { decided_ms, inputs, slots } in self.rows.take_closed(recipe) {
            for slot in slots {
                let row = OnlineRow {
                    action: &slot.action,
                    group: &slot.group,
                    acceptance: slot.acceptance,
                    inputs: &inputs,
                    positive: slot.positive,
                    time_ms: decided_ms,
                };
                // Looked at as it comes: of a flood, what came first would look like what was usual.
                if self.guard.see(&row)
                    && let Some(reason) = self.guard.surprise()
                {
                    return self.stop(engine, reason).await;
                }
                self.learner.learn(row).map_err(|error| Error::Model(error.to_string()))?;
                self.unsaved += 1;
                counter!("tactful_learner_rows_total").increment(1);
            }
        }
        Ok(())
    }

    /// Publishes what is new as the champion, and keeps what it has learnt.
    async fn publish(&mut self, engine: &Engine, recipe: &Recipe) -> Result<(), Error> {
        if self.unsaved == 0 {
            return Ok(());
        }
        self.save(engine).await?;
        let artifact = self.learner.artifact().map_err(|error| Error::Model(error.to_string()))?;
        let model = read(&artifact)?;
        if let Some(reason) = self.guard.drift(&model) {
            return self.stop(engine, reason).await;
        }
        let note = format!("learnt from {} decisions", self.learner.learnt());
        let pushed = engine.push_model(artifact.into(), &note).await?;
        let command = MoveCommand {
            alias: Alias::Champion,
            to: Some(pushed.reference.clone()),
            share: 1.0,
            cause: MoveCause::Learner,
            note,
            follows: Some(self.saved.champion()),
        };
        engine.move_alias(&command).await?;
        let sha256 = engine.control.borrow().registry.version(&pushed.reference).map(|version| version.sha256);
        self.saved.publish(engine, sha256.ok_or(Error::Closed)?).await?;
        self.guard.follow(model);
        self.published.push((crate::clock::now_ms(), pushed.reference));
        counter!("tactful_learner_published_total").increment(1);
        tracing::info!(model = recipe.name, rows = self.learner.learnt(), "published what was learnt");
        Ok(())
    }

    /// Stops learning, goes back to what was published before the surprise began, and says why.
    async fn stop(&mut self, engine: &Engine, reason: String) -> Result<(), Error> {
        let since = self.guard.since_ms();
        let trusted = self.published.iter().rev().find(|(at, _)| *at < since).map(|(_, reference)| reference.clone());
        let to = trusted.or_else(|| self.published.first().map(|(_, reference)| reference.clone()));
        tracing::warn!(reason, "stopped learning online");
        counter!("tactful_learner_stopped_total").increment(1);
        let note = format!("learning stopped: {reason}");
        let (alias, cause) = (Alias::Champion, MoveCause::GuardRail);
        let follows = Some(self.saved.champion());
        engine.move_alias(&MoveCommand { alias, to, share: 1.0, cause, note, follows }).await?;
        self.saved.stop(engine, &reason).await
    }

    async fn save(&mut self, engine: &Engine) -> Result<(), Error> {
        self.saved.save(engine, &self.learner, self.rows.offsets(), self.unsaved).await?;
        self.unsaved = 0;
        Ok(())
    }
}

fn read(artifact: &[u8]) -> Result<Model, Error> {
    let loaded = tactful_models::artifact::read(artifact).map_err(|error| Error::Model(error.to_string()))?;
    Ok(loaded.model)
}

/// Pause between two versions.
fn pause(recipe: &Recipe) -> Duration {
    Duration::from_secs(recipe.online.publish_every.seconds().into())
}
