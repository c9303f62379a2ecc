//! How soon a new action finds its audience: the server learns online from simulated customers whose truth is
//! known, and a poisoned stream of answers must stop it.
//!
//! What the action can achieve is what it has in the same company with the same customers if it was there all along: the
//! server explores and learns for as many decisions as below, a champion is trained in one go from the whole record,
//! and then measured. In the other company, which is like it, the action comes into the catalogue half-way, with no more
//! than its start acceptance. It has reached 80 % once, of all acceptances that it could have, it gets four fifths of the
//! share that it can achieve, and is accepted four fifths as often where it is shown: to its audience, and not to everybody.
//! At last every answer is reported as accepted, until the guard-rails stop the learner.

mod catalog;
mod drive;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tactful_proto::v1::{ListRequest, MoveCause, model_service_client::ModelServiceClient};
use tokio::{
    runtime::Runtime,
    time::{Instant, sleep},
};

use self::drive::{Audience, Driver, Reach};
use super::{Verdict, progress, run_command, runtime};
use crate::{
    server::{self, Server},
    workspace::Workspace,
};

const TRAIN: &str = include_str!("learner/train.toml");
const ONLINE: &str = include_str!("learner/online.toml");

/// Decisions before a champion is trained, those within which a new action must find its audience, and those over which
/// it is measured what it can achieve.
const BEFORE: u64 = 20_000;
const WITHIN: u64 = 20_000;
const MEASURED: u64 = 6_000;
/// Latest decisions over which an action's reach is measured, and how often it is.
const WINDOW: u64 = 3_000;
const STEP: u64 = 250;
/// Share of what it can achieve that it must reach.
const BAR: f64 = 0.8;
/// Fewest times that an action must be shown where it was there from the start: of less nothing can be said.
const SHOWN_MIN: usize = 100;
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
    /// Share of what it can achieve that it had at the end.
    reached: f64,
    /// Share of its acceptances that it can achieve.
    achievable_volume: f64,
    /// How many times as often it can be accepted where it is shown as it would be everywhere.
    achievable_lift: f64,
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
        format!("{} {reached}; a poisoned stream was {poison}", self.scenario)
    }
}

/// Runs the evaluation for one new action.
pub(super) fn run(workspace: &Workspace, scenario: &str, seed: u64) -> Result<Found> {
    let folder = tempfile::tempdir()?;
    let company = Company::new(workspace, folder.path(), scenario, seed)?;
    let achievable = company.achievable()?;
    let server = company.serve("new", &company.before)?;
    let runtime = runtime()?;
    let mut driver = runtime.block_on(Driver::new(&server, seed))?;
    company.decide_and_train(&runtime, &server, &mut driver, "decisions without the new action")?;
    let after = company.after.to_str().context("the temporary folder has a name")?;
    run_command(Command::new(&company.binary).args(["catalog", "apply", after, "--server", &server.url()]))?;
    let (decisions_to_80, reached) = runtime.block_on(find_audience(&mut driver, scenario, achievable))?;
    let poison_stopped = runtime.block_on(poison(&server, &mut driver))?;
    server.stop()?;
    Ok(Found {
        decisions_to_80,
        poison_stopped,
        scenario: scenario.into(),
        reached: super::rounded(reached),
        achievable_volume: super::rounded(achievable.volume),
        achievable_lift: super::rounded(achievable.lift),
    })
}

/// What both runs have in common.
struct Company {
    binary: PathBuf,
    folder: PathBuf,
    scenario: String,
    seed: u64,
    /// Catalogues without the action and with it.
    before: PathBuf,
    after: PathBuf,
    /// Recipes of champions and of the learner.
    train: PathBuf,
    online: String,
}

impl Company {
    fn new(workspace: &Workspace, folder: &Path, scenario: &str, seed: u64) -> Result<Self> {
        let shipped = workspace.root.join("catalog");
        let (before, after) = (folder.join("before"), folder.join("after"));
        catalog::write(&shipped, &after, None)?;
        catalog::write(&shipped, &before, Some(scenario))?;
        let (train, online) = (folder.join("train.toml"), folder.join("online.toml"));
        fs::write(&train, TRAIN)?;
        fs::write(&online, ONLINE)?;
        let online = online.to_str().context("the temporary folder has a name")?.to_owned();
        let (binary, scenario, folder) = (server::build(workspace)?, scenario.to_owned(), folder.to_owned());
        Ok(Self { binary, folder, scenario, seed, before, after, train, online })
    }

    fn serve(&self, name: &str, catalog: &Path) -> Result<Server> {
        Server::start_with(&self.binary, catalog, &self.folder.join(name), &["--learner", &self.online], &[])
    }

    /// What the action has where it was there all along.
    fn achievable(&self) -> Result<Reach> {
        let server = self.serve("known", &self.after)?;
        let runtime = runtime()?;
        let mut driver = runtime.block_on(Driver::new(&server, self.seed))?;
        self.decide_and_train(&runtime, &server, &mut driver, "decisions with the action")?;
        self.decide_and_train(&runtime, &server, &mut driver, "more of them, learning")?;
        let bar = progress("what it can achieve", MEASURED);
        let mut audience = Audience::of(&self.scenario, MEASURED);
        runtime.block_on(driver.decide(MEASURED, Some(&mut audience), &bar))?;
        bar.finish_and_clear();
        server.stop()?;
        let (scenario, shown) = (&self.scenario, audience.shown());
        ensure!(
            shown >= SHOWN_MIN,
            "{scenario} is shown {shown} times only, {SHOWN_MIN} are needed to say anything: name another with --scenario"
        );
        audience.reach().context("it was shown over a whole window")
    }

    /// Decides for a while, trains from the record and makes the model the champion, as a data scientist would.
    fn decide_and_train(&self, runtime: &Runtime, server: &Server, driver: &mut Driver, what: &str) -> Result<()> {
        let bar = progress(what, BEFORE);
        runtime.block_on(driver.decide(BEFORE, None, &bar))?;
        bar.finish_and_clear();
        eprintln!("training the champion");
        let (model, url) = (self.folder.join("acceptance.model"), server.url());
        let binary = || Command::new(&self.binary);
        let train = ["--artifact-only", "--server", &url, "--out"];
        run_command(binary().args(["model", "train"]).arg(&self.train).args(train).arg(&model))?;
        run_command(binary().args(["model", "push"]).arg(&model).args(["--as", "champion", "--server", &url]))
    }
}

/// Decisions until a new action has reached the bar, and what it has reached in the end.
async fn find_audience(driver: &mut Driver, scenario: &str, achievable: Reach) -> Result<(Option<u64>, f64)> {
    let bar = progress("decisions with it", WITHIN);
    let mut audience = Audience::of(scenario, WINDOW);
    let (mut decisions_to_80, mut reached) = (None, 0.0);
    for decisions in (STEP..=WITHIN).step_by(STEP as usize) {
        driver.decide(STEP, Some(&mut audience), &bar).await?;
        reached = audience.reach().map_or(0.0, |reach| reach.share_of(achievable));
        if reached >= BAR && decisions_to_80.is_none() {
            decisions_to_80 = Some(decisions);
        }
    }
    bar.finish_and_clear();
    Ok((decisions_to_80, reached))
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
    let Some((_, note)) = &stopped else { return Ok(false) };
    eprintln!("{note}");
    driver.decide(POISONED_MAX / 20, None, &bar).await?;
    bar.finish_and_clear();
    sleep(QUIET).await;
    Ok(last_move(server).await? == stopped)
}

/// Who moved an alias last, and why.
async fn last_move(server: &Server) -> Result<Option<(MoveCause, String)>> {
    let mut client = ModelServiceClient::new(server.connect().await?);
    let list = client.list(ListRequest::default()).await.context("List")?.into_inner();
    Ok(list.moves.first().map(|moved| (moved.cause(), moved.note.clone())))
}
