//! `tactful privacy export | erase | receipt | verify`: what a customer may ask for.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tactful_proto::v1::customer_service_client::CustomerServiceClient;
use tactful_proto::v1::export_response::Piece;
use tactful_proto::v1::{EraseRequest, Erasure, ExportRequest, GetErasureRequest, VerifyErasedRequest};
use tonic::transport::Channel;

use super::progress::Progress;
use super::{connect, done, status};
use crate::cli::{EraseArgs, Global, PrivacyExportArgs, ReceiptArgs, VerifyArgs};
use crate::output::{self, Render};
use crate::render::privacy::{Left, Receipt, held_json};
use crate::render::row;

/// Pause between two looks at an erasure.
const LOOK: Duration = Duration::from_millis(500);

/// Writes everything that is held on a subject id as one JSON object.
pub(crate) async fn export(global: &Global, args: &PrivacyExportArgs) -> Result<ExitCode> {
    let mut client = CustomerServiceClient::new(connect(global).await?);
    let request = ExportRequest { subject_id: args.subject.clone() };
    let mut pieces = client.export(request).await.map_err(|status| status::refused(&status))?.into_inner();
    let (mut context, mut decisions, mut records) = (Value::Null, Vec::new(), Vec::new());
    while let Some(part) = pieces.message().await.map_err(|status| status::refused(&status))? {
        match part.piece {
            Some(Piece::Context(known)) => context = known.json(),
            Some(Piece::Decision(decision)) => decisions.push(row::json(&decision)),
            Some(Piece::Record(record)) => records.push(held_json(&record)),
            None => {}
        }
    }
    let whole = json!({ "subject_id": args.subject, "context": context, "decisions": decisions, "records": records });
    let text = format!("{whole:#}\n");
    match &args.output {
        None => output::print(&text)?,
        Some(path) => {
            let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()));
            file?.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Erases a subject id; waits until it is gone from every store if asked.
pub(crate) async fn erase(global: &Global, args: &EraseArgs) -> Result<ExitCode> {
    if !args.yes {
        bail!(output::Usage("an erasure cannot be undone: say --yes to erase".into()));
    }
    let mut client = CustomerServiceClient::new(connect(global).await?);
    let request = EraseRequest { subject_id: args.subject.clone() };
    let answer = client.erase(request).await.map_err(|status| status::refused(&status))?.into_inner();
    let mut erasure = answer.erasure.context("the server answered without a receipt")?;
    if args.wait {
        erasure = wait(global, &mut client, erasure).await?;
    }
    done(global, &Receipt(erasure))
}

async fn wait(global: &Global, client: &mut CustomerServiceClient<Channel>, mut erasure: Erasure) -> Result<Erasure> {
    let progress = Progress::count(global.quiet);
    progress.say("waiting until every store is rid of it");
    while erasure.gone_time.is_none() {
        tokio::time::sleep(LOOK).await;
        erasure = get(client, &erasure.erasure_id).await?;
    }
    Ok(erasure)
}

async fn get(client: &mut CustomerServiceClient<Channel>, erasure_id: &str) -> Result<Erasure> {
    let request = GetErasureRequest { erasure_id: erasure_id.into() };
    let answer = client.get_erasure(request).await.map_err(|status| status::refused(&status))?.into_inner();
    answer.erasure.context("the server answered without a receipt")
}

/// Shows how far an erasure is.
pub(crate) async fn receipt(global: &Global, args: &ReceiptArgs) -> Result<ExitCode> {
    let mut client = CustomerServiceClient::new(connect(global).await?);
    let erasure = get(&mut client, &args.erasure).await?;
    done(global, &Receipt(erasure))
}

/// Looks through every store; fails if anything is left.
pub(crate) async fn verify(global: &Global, args: &VerifyArgs) -> Result<ExitCode> {
    let mut client = CustomerServiceClient::new(connect(global).await?);
    let request = VerifyErasedRequest { subject_id: args.subject.clone() };
    let left = client.verify_erased(request).await.map_err(|status| status::refused(&status))?.into_inner();
    let code = if left.remnants.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    done(global, &Left(left)).map(|_shown| code)
}
