//! How soon a new action finds its audience: the server learns online from simulated customers whose truth is
//! known, and a poisoned stream of answers must stop it.
//!
//! First the company decides without the action, and a champion is trained from that. Then the action comes into
//! the catalogue with no more than its start acceptance, while the server explores and learns. A decision in which the
//! action would be shown if its true acceptance were known (against the others as the server scores them) is its
//! opportunity; what it reaches is the share of the acceptance of its latest opportunities that it was shown for.
//! At last every answer is reported as accepted, until the guard-rails stop the learner.

mod catalog;
mod drive;

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tactful_proto::v1::{ListRequest, MoveCause, model_service_client::ModelServiceClient};
use tokio::time::{Instant, sleep};

use self::drive::{Driver, Opportunities};
use super::{Verdict, progress, run_command, runtime};
use crate::{
    server::{self, Server},
    workspace::Workspace,
};

const TRAIN: &str = include_str!("learner/train.toml");
const ONLINE: &str = include_str!("learner/online.toml");

/// Decisions from which the champion is trained, and those within which the action must find its audience.
const BEFORE: u64 = 20_000;
pub(super) const WITHIN: u64 = 20_000;
/// Poisoned decisions at most, and how long the guard-rails may take after them.
const POISONED_MAX: u64 = 10_000;
const STOP_MAX: Duration = Duration::from_secs(20);
/// How long it is watched that nothing more is published.
const QUIET: Duration = Duration::from_secs(3);

/// What was found.
#[derive(Serialize)]
pub(super) struct Found {
    /// Decisions until the new action reached 80 % of its achievable acceptance; none if it never did.
    decisions_to_80: Option<u64>,
    /// Whether the poisoned stream was stopped, and nothing was published after.
    poison_stopped: bool,
    /// The new action.
    scenario: String,
    /// What it reached in the end.
    reached: f64,
    /// Its opportunities among all decisions.
    opportunities: u64,
}

impl Verdict for Found {
    fn failure(&self) -> Option<String> {
        match self.decisions_to_80 {
            None => Some(format!("{} reached {:.3} of its achievable acceptance", self.scenario, self.reached)),
            Some(_) if !self.poison_stopped => Some("the poisoned stream was not stopped".into()),
            Some(_) => None,
        }
    }

    fn text(&self) -> String {
        let reached = self.decisions_to_80.map_or_else(
            || format!("did not reach 80 % of its achievable acceptance in {WITHIN} decisions ({:.3})", self.reached),
            |decisions| format!("reached 80 % of its achievable acceptance after {decisions} decisions"),
        );
        let poison = if self.poison_stopped { "stopped" } else { "NOT stopped" };
        format!("{} {reached}, {} opportunities; a poisoned stream was {poison}", self.scenario, self.opportunities)
    }
}

/// Runs the evaluation for one new action.
pub(super) fn run(workspace: &Workspace, scenario: &str, seed: u64) -> Result<Found> {
    let folder = tempfile::tempdir()?;
    let shipped = workspace.root.join("catalog");
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    catalog::write(&shipped, &after, None)?;
    catalog::write(&shipped, &before, Some(scenario))?;
    let counts = catalog::placement_counts(&after)?;
    let (train, online) = (folder.path().join("train.toml"), folder.path().join("online.toml"));
    fs::write(&train, TRAIN)?;
    fs::write(&online, ONLINE)?;
    let binary = server::build(workspace)?;
    let learner = online.to_str().context("the temporary folder has a name")?;
    let server = Server::start_with(&binary, &before, &folder.path().join("run"), &["--learner", learner], &[])?;
    let runtime = runtime()?;
    let mut driver = runtime.block_on(Driver::new(&server, seed, counts))?;
    let bar = progress("decisions without the new action", BEFORE);
    runtime.block_on(driver.decide(BEFORE, None, &bar))?;
    champion(&binary, &server, &train, folder.path())?;
    run_command(Command::new(&binary).args(["catalog", "apply"]).arg(&after).args(["--server", &server.url()]))?;
    let bar = progress("decisions with it", WITHIN);
    let mut opportunities = Opportunities::of(scenario);
    runtime.block_on(driver.decide(WITHIN, Some(&mut opportunities), &bar))?;
    let poison_stopped = runtime.block_on(poison(&server, &mut driver))?;
    server.stop()?;
    ensure!(
        opportunities.count() >= 300,
        "{scenario} would be shown {} times only: choose another",
        opportunities.count()
    );
    Ok(Found {
        decisions_to_80: opportunities.decisions_to_80(),
        poison_stopped,
        scenario: scenario.into(),
        reached: super::rounded(opportunities.reached()),
        opportunities: opportunities.count(),
    })
}

/// Trains from the record and makes the model the champion, as a data scientist would.
fn champion(binary: &Path, server: &Server, recipe: &Path, folder: &Path) -> Result<()> {
    eprintln!("training the champion");
    let (model, url) = (folder.join("acceptance.model"), server.url());
    run_command(
        Command::new(binary).args(["model", "train"]).arg(recipe).args(["--server", &url, "--out"]).arg(&model),
    )?;
    run_command(Command::new(binary).args(["model", "push"]).arg(&model).args(["--as", "champion", "--server", &url]))
}

/// Reports every answer as accepted until a guard-rail stops the learner; then nothing more may be published.
async fn poison(server: &Server, driver: &mut Driver) -> Result<bool> {
    driver.poison();
    let bar = progress("poisoned decisions", POISONED_MAX);
    let mut stopped = None;
    let (began, mut sent) = (Instant::now(), 0);
    while stopped.is_none() && (sent < POISONED_MAX || began.elapsed() < STOP_MAX) {
        if sent < POISONED_MAX {
            driver.decide(POISONED_MAX / 20, None, &bar).await?;
            sent += POISONED_MAX / 20;
        } else {
            sleep(Duration::from_millis(200)).await;
        }
        stopped = last_move(server).await?.filter(|(cause, _)| *cause == MoveCause::GuardRail);
    }
    bar.finish_and_clear();
    let Some((_, note)) = &stopped else { return Ok(false) };
    eprintln!("{note}");
    driver.decide(POISONED_MAX / 20, None, &bar).await?;
    sleep(QUIET).await;
    Ok(last_move(server).await? == stopped)
}

/// Who moved an alias last, and why.
async fn last_move(server: &Server) -> Result<Option<(MoveCause, String)>> {
    let mut client = ModelServiceClient::new(server.connect().await?);
    let list = client.list(ListRequest::default()).await.context("List")?.into_inner();
    Ok(list.moves.first().map(|moved| (moved.cause(), moved.note.clone())))
}
