//! `tactful model push | list | promote | shadow | canary | compare | rollback`, and `show` of a registered version: the life
//! of models on a running server. What may serve is the server's word.

use std::process::ExitCode;

use anyhow::{Result, bail};
use sha2::{Digest, Sha256};
use tactful_proto::v1::model_service_client::ModelServiceClient;
use tactful_proto::v1::push_request::Part;
use tactful_proto::v1::{
    CompareRequest, ListRequest, ModelAlias, ModelServiceGetRequest, PushHeader, PushRequest, PushResponse,
    RollbackRequest, SetAliasRequest, SetAliasResponse, SetTrafficRequest,
};
use tonic::Status;
use tonic::transport::Channel;

use super::{connect, done, model::read, status};
use crate::{
    cli::{CanaryArgs, CompareArgs, Global, ListArgs, PromoteArgs, PushArgs, RollbackArgs, ShadowArgs, VersionName},
    output::Usage,
    render::compare::ComparedModels,
    render::registry::{Listed, Moved, PushedModel, RegisteredModel},
    segment::protobuf_time,
};

/// Bytes of one piece of a model: small, since the server's threads that take it also decide.
const CHUNK_BYTES: usize = 1 << 16;

/// Registers a model, and puts it into use if asked to.
pub(crate) async fn push(global: &Global, args: &PushArgs) -> Result<ExitCode> {
    let bytes = read(&args.file)?;
    let mut client = ModelServiceClient::new(connect(global).await?);
    let answer = send(&mut client, bytes, &args.note, args.dry_run).await.map_err(|status| {
        let what = format!("{} was not taken, what decides stays", args.file.display());
        status::refused(&status).context(what)
    })?;
    let moved = match (args.alias, &answer.version) {
        (Some(alias), Some(version)) => {
            let to = VersionName { name: version.name.clone(), version: version.number.to_string() };
            Some(set_alias(&mut client, alias.into(), Some(&to), args.share, &args.note).await?)
        }
        _ => None,
    };
    done(global, &PushedModel { answer: &answer, dry_run: args.dry_run, alias: args.alias, moved: moved.as_ref() })
}

/// Shows models, their versions, and which of them are in use.
pub(crate) async fn list(global: &Global, args: &ListArgs) -> Result<ExitCode> {
    let mut client = ModelServiceClient::new(connect(global).await?);
    let answer =
        client.list(ListRequest { name: args.name.clone() }).await.map_err(|status| status::refused(&status))?;
    done(global, &Listed(answer.get_ref()))
}

/// Shows what a registered version holds.
pub(crate) async fn show(global: &Global, version: &VersionName) -> Result<ExitCode> {
    let mut client = ModelServiceClient::new(connect(global).await?);
    let VersionName { name, version } = version.clone();
    let answer = client.get(ModelServiceGetRequest { name, version }).await;
    done(global, &RegisteredModel(answer.map_err(|status| status::refused(&status))?.get_ref()))
}

/// Makes a version the champion.
pub(crate) async fn promote(global: &Global, args: &PromoteArgs) -> Result<ExitCode> {
    move_alias(global, ModelAlias::Champion, Some(&args.version), 0.0, &args.note).await
}

/// Gives the champion a shadow, or takes it away.
pub(crate) async fn shadow(global: &Global, args: &ShadowArgs) -> Result<ExitCode> {
    move_alias(global, ModelAlias::Shadow, args.version.as_ref(), 0.0, &args.note).await
}

/// Gives the champion a challenger, takes it away, or changes its share.
pub(crate) async fn canary(global: &Global, args: &CanaryArgs) -> Result<ExitCode> {
    if let (None, Some(share)) = (&args.version, args.share) {
        let mut client = ModelServiceClient::new(connect(global).await?);
        let request = SetTrafficRequest { share, note: args.note.clone() };
        let answer = client.set_traffic(request).await.map_err(|status| status::refused(&status))?.into_inner();
        let (version, ruleset) = (answer.version.as_ref(), &answer.ruleset_version);
        return done(global, &Moved { alias: ModelAlias::Challenger, version, ruleset, share: Some(share) });
    }
    move_alias(global, ModelAlias::Challenger, args.version.as_ref(), args.share.unwrap_or_default(), &args.note).await
}

/// Makes the champion of before the champion again.
pub(crate) async fn rollback(global: &Global, args: &RollbackArgs) -> Result<ExitCode> {
    let mut client = ModelServiceClient::new(connect(global).await?);
    let answer = client.rollback(RollbackRequest { note: args.note.clone() }).await;
    let answer = answer.map_err(|status| status::refused(&status))?.into_inner();
    let (version, ruleset) = (answer.version.as_ref(), &answer.ruleset_version);
    done(global, &Moved { alias: ModelAlias::Champion, version, ruleset, share: None })
}

/// Compares two versions on recorded decisions.
pub(crate) async fn compare(global: &Global, args: &CompareArgs) -> Result<ExitCode> {
    let second = args.second.as_ref();
    if let Some(second) = second.filter(|second| second.name != args.first.name) {
        let (first, second) = (&args.first.name, &second.name);
        bail!(Usage(format!("{first} and {second} are two models: compare versions of one")));
    }
    let request = CompareRequest {
        name: args.first.name.clone(),
        first: args.first.version.clone(),
        second: second.map(|second| second.version.clone()).unwrap_or_default(),
        start_time: args.since.map(protobuf_time),
        end_time: args.until.map(protobuf_time),
        window: Some(prost_types::Duration { seconds: args.window.into(), nanos: 0 }),
    };
    let mut client = ModelServiceClient::new(connect(global).await?);
    let answer = client.compare(request).await.map_err(|status| status::refused(&status))?;
    done(global, &ComparedModels(answer.get_ref()))
}

async fn move_alias(
    global: &Global,
    alias: ModelAlias,
    to: Option<&VersionName>,
    share: f64,
    note: &str,
) -> Result<ExitCode> {
    let mut client = ModelServiceClient::new(connect(global).await?);
    let answer = set_alias(&mut client, alias, to, share, note).await?;
    let share = (alias == ModelAlias::Challenger && share > 0.0).then_some(share);
    done(global, &Moved { alias, version: answer.version.as_ref(), ruleset: &answer.ruleset_version, share })
}

async fn set_alias(
    client: &mut ModelServiceClient<Channel>,
    alias: ModelAlias,
    to: Option<&VersionName>,
    share: f64,
    note: &str,
) -> Result<SetAliasResponse> {
    let (name, version) = to.map_or_else(Default::default, |to| (to.name.clone(), to.version.clone()));
    let share = if alias == ModelAlias::Challenger { share } else { 0.0 };
    let request = SetAliasRequest { alias: alias.into(), name, version, share, note: note.into() };
    Ok(client.set_alias(request).await.map_err(|status| status::refused(&status))?.into_inner())
}

/// Sends a model in pieces.
pub(crate) async fn send(
    client: &mut ModelServiceClient<Channel>,
    bytes: Vec<u8>,
    note: &str,
    dry_run: bool,
) -> Result<PushResponse, Status> {
    let sha256 = Sha256::digest(&bytes).to_vec();
    let header = Part::Header(PushHeader { sha256, note: note.into(), dry_run, foreign: None });
    let chunks: Vec<Part> = bytes.chunks(CHUNK_BYTES).map(|chunk| Part::Chunk(chunk.to_vec())).collect();
    let parts = std::iter::once(header).chain(chunks).map(|part| PushRequest { part: Some(part) });
    Ok(client.push(futures_util::stream::iter(parts)).await?.into_inner())
}

/// Registers a model and makes it the champion.
pub(crate) async fn push_champion(channel: Channel, bytes: Vec<u8>) -> Result<PushResponse> {
    let mut client = ModelServiceClient::new(channel);
    let pushed = send(&mut client, bytes, "", false).await.map_err(|status| status::refused(&status))?;
    if let Some(version) = &pushed.version {
        let to = VersionName { name: version.name.clone(), version: version.number.to_string() };
        set_alias(&mut client, ModelAlias::Champion, Some(&to), 0.0, "").await?;
    }
    Ok(pushed)
}
