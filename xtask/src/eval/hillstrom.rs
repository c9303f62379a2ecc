//! Hillstrom's e-mail campaign: 64,000 customers, three randomised arms, visits.
//!
//! The whole loop over the API: attributes, the training half's contacts and visits, a model trained
//! from that record by `tactful model train`, a decision for every customer of the held-out half, its
//! value by inverse propensity. Nothing of the held-out half's answers reaches the server.

pub(super) mod data;
mod policy;

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tactful_proto::v1::{
    DecideRequest, DecideResponse, Explain, Mode, PlacementRequest, decision_service_client::DecisionServiceClient,
};
use tonic::transport::Channel;

use self::{
    data::{Arm, Customer, PLACEMENT, is_held_out},
    policy::{Decided, Result as HillstromResult},
};
use super::{ingest::ingest, progress, run_command, runtime};
use crate::{
    server::{self, Server},
    workspace::Workspace,
};

const CATALOG: &str = include_str!("hillstrom/catalog.toml");
const RECIPE: &str = include_str!("hillstrom/recipe.toml");

/// Callers of Decide, each with a connection of its own and one request at a time.
const CALLERS: usize = 2;
const DECIDE_MAX: Duration = Duration::from_secs(5);

/// Runs the evaluation on this file.
pub(super) fn run(workspace: &Workspace, file: &Path, seed: Option<u64>) -> Result<HillstromResult> {
    let customers = data::read(file)?;
    let binary = server::build(workspace)?;
    let folder = tempfile::tempdir()?;
    let catalog = folder.path().join("catalog");
    fs::create_dir(&catalog)?;
    fs::write(catalog.join("hillstrom.toml"), CATALOG)?;
    let server = Server::start(&binary, &catalog, &folder.path().join("run"))?;
    let runtime = runtime()?;
    let held_out: Vec<usize> = (0..customers.len()).filter(|row| is_held_out(*row, seed)).collect();
    runtime.block_on(teach(&server, &customers, seed))?;
    train(&binary, &server, folder.path())?;
    let decided = runtime.block_on(decide_all(&server, &held_out))?;
    server.stop()?;
    Ok(policy::evaluate(&customers, &held_out, &decided))
}

/// Ingests attributes of all customers, then contacts and visits of the training half.
async fn teach(server: &Server, customers: &[Customer], seed: Option<u64>) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs() as i64;
    let identify: Vec<_> = customers.iter().enumerate().map(|(row, customer)| customer.identify(row, now)).collect();
    let bar = progress("customers", identify.len() as u64);
    let mut sent = ingest(server.connect().await?, identify.into_iter(), &bar).await?;
    // What a decision is recorded with is read when it is applied: attributes must be there first.
    server.settle(sent).await?;
    let training = customers.iter().enumerate().filter(|(row, _)| !is_held_out(*row, seed));
    let history: Vec<_> = training.flat_map(|(row, customer)| customer.contact(row, now)).collect();
    let bar = progress("contacts and visits to learn from", history.len() as u64);
    sent += ingest(server.connect().await?, history.into_iter(), &bar).await?;
    server.settle(sent).await?;
    Ok(())
}

/// Trains from the server's record and loads the model into it, as a data scientist would.
fn train(binary: &Path, server: &Server, folder: &Path) -> Result<()> {
    let (recipe, model) = (folder.join("recipe.toml"), folder.join("acceptance.model"));
    fs::write(&recipe, RECIPE)?;
    let url = server.url();
    eprintln!("training");
    run_command(
        Command::new(binary).args(["model", "train"]).arg(&recipe).args(["--server", &url, "--out"]).arg(&model),
    )?;
    run_command(Command::new(binary).args(["model", "push"]).arg(&model).args(["--as", "champion", "--server", &url]))
}

/// Decides for every held-out customer; the answers are in the order of `held_out`.
async fn decide_all(server: &Server, held_out: &[usize]) -> Result<Decided> {
    let bar = progress("decisions for the held-out half", held_out.len() as u64);
    let share = held_out.len().div_ceil(CALLERS).max(1);
    let mut callers = Vec::new();
    for rows in held_out.chunks(share) {
        let (channel, rows, bar) = (server.connect().await?, rows.to_vec(), bar.clone());
        callers.push(tokio::spawn(async move {
            let mut decided = Decided::new()?;
            for row in rows {
                decide(&channel, row, &mut decided).await?;
                bar.inc(1);
            }
            anyhow::Ok(decided)
        }));
    }
    let mut all = Decided::new()?;
    for caller in callers {
        all.append(caller.await.context("a caller panicked")??)?;
    }
    bar.finish_and_clear();
    Ok(all)
}

async fn decide(channel: &Channel, row: usize, decided: &mut Decided) -> Result<()> {
    let request = DecideRequest {
        subject_id: row.to_string(),
        placements: vec![PlacementRequest { placement: PLACEMENT.into(), count: 1 }],
        explain: Explain::None.into(),
        mode: Mode::Live.into(),
        ..DecideRequest::default()
    };
    let mut client = DecisionServiceClient::new(channel.clone());
    let started = tokio::time::Instant::now();
    let answer = tokio::time::timeout(DECIDE_MAX, client.decide(request)).await;
    decided.latency_us.saturating_record(started.elapsed().as_micros() as u64);
    let arm = match answer {
        Ok(Ok(response)) => Some(shown(&response.into_inner())?),
        Ok(Err(_)) | Err(_) => None,
    };
    decided.arms.push(arm);
    Ok(())
}

/// The arm that a decision amounts to: nothing shown is no e-mail.
fn shown(response: &DecideResponse) -> Result<Arm> {
    let placement = response.placements.first().context("the decision has no placement")?;
    match placement.actions.first() {
        None => Ok(Arm::Silence),
        Some(action) => Arm::of_action(&action.action_id)
            .with_context(|| format!("the decision shows {}, which is no arm", action.action_id)),
    }
}

impl Decided {
    fn new() -> Result<Self> {
        Ok(Self { arms: Vec::new(), latency_us: Histogram::new(3)? })
    }

    fn append(&mut self, other: Self) -> Result<()> {
        self.arms.extend(other.arms);
        self.latency_us.add(&other.latency_us)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tactful_proto::v1::{PlacementResult, ShownAction};

    #[test]
    fn the_catalogue_offers_both_emails_at_equal_worth() {
        let catalog: tactful_core::catalog::Catalog = toml::from_str(CATALOG).unwrap();
        assert_eq!(catalog.action.len(), 2);
        for action in &catalog.action {
            assert!(Arm::of_action(&action.id).is_some_and(|arm| arm != Arm::Silence), "{}", action.id);
            assert_eq!((action.value, action.cost, action.lever), (1.0, 0.0, 1.0));
            assert!(action.eligibility.is_empty() && action.applicability.is_empty() && action.suitability.is_empty());
        }
        assert!(catalog.holdout.is_none() && catalog.rule.is_empty() && catalog.weight.is_empty());
        assert_eq!((catalog.placement.len(), catalog.placement[0].interruption_cost), (1, 0.0));
        assert_eq!(catalog.placement[0].id, PLACEMENT);
        let names: Vec<&str> = catalog.feature.iter().map(|feature| feature.name.as_str()).collect();
        assert_eq!(names, ["recency", "history", "mens", "womens", "zip_code", "newbie", "channel"]);
    }

    #[test]
    fn the_recipe_is_toml_with_the_keys_of_recipes() {
        let recipe: toml::Table = RECIPE.parse().unwrap();
        assert_eq!(recipe["kind"].as_str(), Some("logistic"));
        assert_eq!(recipe["reward"]["positive"][0].as_str(), Some("accepted"));
    }

    #[test]
    fn nothing_shown_is_no_email() {
        let response = |actions: Vec<ShownAction>| DecideResponse {
            placements: vec![PlacementResult { actions, ..PlacementResult::default() }],
            ..DecideResponse::default()
        };
        let action = |id: &str| ShownAction { action_id: id.into(), ..ShownAction::default() };
        assert_eq!(shown(&response(vec![])).unwrap(), Arm::Silence);
        assert_eq!(shown(&response(vec![action("mens_email")])).unwrap(), Arm::Mens);
        assert!(shown(&response(vec![action("fax")])).is_err());
        assert!(shown(&DecideResponse::default()).is_err());
    }
}
