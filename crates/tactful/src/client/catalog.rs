//! `tactful catalog apply | diff`: a catalogue from a folder into the running server, or what that would change.
//! It is checked here first, as `catalog check` does, so that what is wrong is told with the same words.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use tactful_engine::catalog::{Files, slashed};
use tactful_proto::v1::{ApplyRequest, ApplyResponse, CatalogFile, catalog_service_client::CatalogServiceClient};

use super::{connect, done, status};
use crate::{
    catalog,
    cli::{CatalogApplyArgs, CatalogDiffArgs, Global},
    output,
    render::catalog::{Applied, Compared},
};

/// Puts a catalogue into use.
pub(crate) async fn apply(global: &Global, args: &CatalogApplyArgs) -> Result<ExitCode> {
    let files = match catalog::load(&args.dir) {
        Ok(written) => written.files,
        Err(wrong) => return refuse(global, &wrong),
    };
    let request = request(&files, &args.note, args.dry_run);
    let answer = ask(global, &args.dir, request).await?;
    done(global, &Applied { answer: &answer, dry_run: args.dry_run })
}

/// Shows what would change.
pub(crate) async fn diff(global: &Global, args: &CatalogDiffArgs) -> Result<ExitCode> {
    match catalog::load(&args.dir) {
        Ok(written) => {
            let answer = ask(global, &args.dir, request(&written.files, "", true)).await?;
            done(global, &Compared(&answer))
        }
        Err(wrong) => refuse(global, &wrong),
    }
}

fn refuse(global: &Global, wrong: &catalog::Wrong) -> Result<ExitCode> {
    output::show(global.json, wrong)?;
    Ok(ExitCode::FAILURE)
}

fn request(files: &Files, note: &str, dry_run: bool) -> ApplyRequest {
    let files = files.list().iter().map(|(name, text)| CatalogFile { name: slashed(name), text: text.clone() });
    ApplyRequest { files: files.collect(), note: note.into(), dry_run }
}

async fn ask(global: &Global, folder: &Path, request: ApplyRequest) -> Result<ApplyResponse> {
    let dry_run = request.dry_run;
    let mut client = CatalogServiceClient::new(connect(global).await?);
    let refused = |status| {
        let told = if dry_run { "would be refused" } else { "was not applied, what decides stays" };
        status::refused(&status).context(format!("the catalogue in {} {told}", folder.display()))
    };
    Ok(client.apply(request).await.map_err(refused).context("see also `tactful catalog check`")?.into_inner())
}
