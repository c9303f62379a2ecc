//! ModelService.

mod comparison;
mod convert;
mod upload;

use std::future::Future;
use std::sync::Arc;

use tactful_core::ruleset::Alias;
use tactful_engine::{Engine, Error, MoveCommand, Moved};
use tactful_proto::storage::MoveCause;
use tactful_proto::v1;
use tactful_proto::v1::model_service_server::ModelService;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

use crate::admission::Deadline;
use crate::status;

/// Models that are pushed at the same time: each may take [`tactful_engine::ARTIFACT_BYTES_MAX`] bytes.
const PUSHES_MAX: usize = 2;
/// Comparisons at the same time: each reads the record and keeps thousands of decisions.
const COMPARISONS_MAX: usize = 1;
/// Share of the customers of a challenger for whom none is said.
const SHARE_DEFAULT: f64 = 0.1;

/// Registers models and puts them into use.
pub(crate) struct Models {
    engine: Arc<Engine>,
    pushes: Arc<Semaphore>,
    comparisons: Arc<Semaphore>,
}

impl Models {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let (pushes, comparisons) = (Semaphore::new(PUSHES_MAX), Semaphore::new(COMPARISONS_MAX));
        Self { engine, pushes: Arc::new(pushes), comparisons: Arc::new(comparisons) }
    }

    /// Runs work in a task of its own: once begun it ends as a whole, even if the caller gives up on it.
    async fn whole<T: Send + 'static, F>(&self, work: impl FnOnce(Arc<Engine>) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let working = self.engine.runtime().spawn(work(Arc::clone(&self.engine)));
        working.await.unwrap_or(Err(Error::Closed)).map_err(|error| status::from_engine(&error))
    }
}

#[tonic::async_trait]
impl ModelService for Models {
    async fn push(&self, request: Request<Streaming<v1::PushRequest>>) -> Result<Response<v1::PushResponse>, Status> {
        Deadline::check(&request)?;
        let place = Arc::clone(&self.pushes).try_acquire_owned();
        let _place = place.map_err(|_| status::overloaded("models are pushed at this moment"))?;
        let upload::Upload { mut header, bytes } = upload::receive(request.into_inner()).await?;
        let foreign = header.foreign.take().map(convert::import_options).transpose()?;
        let pushed = self
            .whole(move |engine| async move {
                let artifact = match foreign {
                    None => bytes,
                    Some(options) => engine.import_model(bytes, options).await?,
                };
                if header.dry_run {
                    engine.validate_model(artifact).await
                } else {
                    engine.push_model(artifact, &header.note).await
                }
            })
            .await?;
        Ok(Response::new(v1::PushResponse {
            version: Some(convert::version(&pushed.reference, &pushed.loaded.model.version)),
            known: pushed.known,
            check: Some(convert::check(&pushed)),
        }))
    }

    async fn validate(&self, request: Request<v1::ValidateRequest>) -> Result<Response<v1::ValidateResponse>, Status> {
        Deadline::check(&request)?;
        let v1::ValidateRequest { name, version } = request.into_inner();
        let pushed = self.whole(move |engine| async move { engine.validate_version(&name, &version).await }).await?;
        Ok(Response::new(v1::ValidateResponse {
            version: Some(convert::version(&pushed.reference, &pushed.loaded.model.version)),
            check: Some(convert::check(&pushed)),
        }))
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Result<Response<v1::ListResponse>, Status> {
        Deadline::check(&request)?;
        let name = request.into_inner().name;
        let list = self.engine.models();
        if !name.is_empty() && !list.versions.contains_key(&name) {
            self.engine.find_version(&name, "").map_err(|error| status::from_engine(&error))?;
        }
        Ok(Response::new(convert::list(&list, &name)))
    }

    async fn get(
        &self,
        request: Request<v1::ModelServiceGetRequest>,
    ) -> Result<Response<v1::ModelServiceGetResponse>, Status> {
        Deadline::check(&request)?;
        let v1::ModelServiceGetRequest { name, version } = request.into_inner();
        let list = self.engine.models();
        let (version, loaded) =
            self.whole(move |engine| async move { engine.model(&engine.find_version(&name, &version)?).await }).await?;
        Ok(Response::new(convert::details(&list, &version, &loaded)))
    }

    async fn set_alias(&self, request: Request<v1::SetAliasRequest>) -> Result<Response<v1::SetAliasResponse>, Status> {
        Deadline::check(&request)?;
        let request = request.into_inner();
        let alias = convert::alias(request.alias())?;
        let v1::SetAliasRequest { name, version, share, note, .. } = request;
        let share = match alias {
            Alias::Challenger if share != 0.0 => share,
            Alias::Challenger => SHARE_DEFAULT,
            _ if share == 0.0 => 1.0,
            _ => return Err(status::field("share", "is the challenger's alone: leave it out for another alias")),
        };
        let moved = self
            .whole(move |engine| async move {
                let to = if name.is_empty() { None } else { Some(engine.find_version(&name, &version)?) };
                engine
                    .move_alias(&MoveCommand { alias, to, share, cause: MoveCause::Caller, note, follows: None })
                    .await
            })
            .await?;
        let (version, ruleset_version) = answer(&moved);
        Ok(Response::new(v1::SetAliasResponse { version, ruleset_version }))
    }

    async fn set_traffic(
        &self,
        request: Request<v1::SetTrafficRequest>,
    ) -> Result<Response<v1::SetTrafficResponse>, Status> {
        Deadline::check(&request)?;
        let v1::SetTrafficRequest { share, note } = request.into_inner();
        let moved = self.whole(move |engine| async move { engine.set_traffic(share, &note).await }).await?;
        let (version, ruleset_version) = answer(&moved);
        Ok(Response::new(v1::SetTrafficResponse { version, ruleset_version }))
    }

    async fn compare(&self, request: Request<v1::CompareRequest>) -> Result<Response<v1::CompareResponse>, Status> {
        Deadline::check(&request)?;
        let place = Arc::clone(&self.comparisons).try_acquire_owned();
        let _place = place.map_err(|_| status::overloaded("models are compared at this moment"))?;
        let request = request.into_inner();
        let command = comparison::command(&self.engine, &request)?;
        let (first, second) = (command.first.clone(), command.second.clone());
        let compared = self.whole(move |engine| async move { engine.compare_models(command).await }).await?;
        let list = self.engine.models();
        let (first, second) = (convert::named(&list, &first), convert::named(&list, &second));
        Ok(Response::new(convert::comparison(first, second, &compared)))
    }

    async fn rollback(&self, request: Request<v1::RollbackRequest>) -> Result<Response<v1::RollbackResponse>, Status> {
        Deadline::check(&request)?;
        let note = request.into_inner().note;
        let moved = self.whole(move |engine| async move { engine.roll_back(&note).await }).await?;
        let (version, ruleset_version) = answer(&moved);
        Ok(Response::new(v1::RollbackResponse { version, ruleset_version }))
    }
}

fn answer(moved: &Moved) -> (Option<v1::ModelVersion>, String) {
    let version = moved.to.as_ref().map(|to| convert::version(to, &moved.id));
    (version, format!("{:016x}", moved.ruleset))
}
