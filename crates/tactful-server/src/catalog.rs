//! CatalogService.

use std::path::PathBuf;
use std::sync::Arc;

use tactful_engine::catalog::{self, Change};
use tactful_engine::{Engine, Error};
use tactful_proto::v1;
use tactful_proto::v1::catalog_service_server::CatalogService;
use tonic::{Request, Response, Status};

use crate::admission::Deadline;
use crate::convert::timestamp;
use crate::status;

/// Changes that one answer lists.
const CHANGES_MAX: usize = 10_000;

/// Puts catalogues into use.
pub(crate) struct Catalogs {
    pub(crate) engine: Arc<Engine>,
}

#[tonic::async_trait]
impl CatalogService for Catalogs {
    async fn apply(&self, request: Request<v1::ApplyRequest>) -> Result<Response<v1::ApplyResponse>, Status> {
        Deadline::check(&request)?;
        let v1::ApplyRequest { files, note, dry_run } = request.into_inner();
        if files.is_empty() {
            return Err(status::field("files", "is empty: give the TOML files of the catalogue's folder"));
        }
        let files = files.into_iter().map(|file| (PathBuf::from(file.name), file.text)).collect();
        // A task of its own: once begun it ends as a whole, even if the caller gives up on it.
        let engine = Arc::clone(&self.engine);
        let applying = self.engine.runtime().spawn(async move { engine.apply_catalog(files, &note, dry_run).await });
        let applied = applying.await.unwrap_or(Err(Error::Closed)).map_err(|error| status::from_engine(&error))?;
        Ok(Response::new(v1::ApplyResponse {
            catalog_version: version(applied.catalog),
            schema_changed: applied.schema_changed,
            changes_left_out: applied.changes.len().saturating_sub(CHANGES_MAX) as i32,
            changes: applied.changes.into_iter().take(CHANGES_MAX).map(change).collect(),
            ruleset_version: version(applied.ruleset),
            applied: applied.applied,
        }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        Deadline::check(&request)?;
        let used = self.engine.catalog();
        let file =
            |(name, text): &(PathBuf, String)| v1::CatalogFile { name: catalog::slashed(name), text: text.clone() };
        Ok(Response::new(v1::GetResponse {
            files: used.files.list().iter().map(file).collect(),
            catalog_version: version(used.catalog),
            ruleset_version: version(used.ruleset),
            schema_version: version(used.schema),
            note: used.note,
            apply_time: Some(timestamp(used.applied_ms)),
        }))
    }
}

fn version(hash: u64) -> String {
    format!("{hash:016x}")
}

fn change(change: catalog::CatalogChange) -> v1::CatalogChange {
    let kind = match change.change {
        Change::Added => v1::ChangeType::Added,
        Change::Removed => v1::ChangeType::Removed,
        Change::Changed => v1::ChangeType::Changed,
    };
    v1::CatalogChange {
        kind: change.kind.into(),
        id: change.id,
        r#type: kind.into(),
        starts_empty: change.starts_empty,
    }
}
