//! ModelService.

use std::sync::Arc;

use tactful_engine::{Engine, Error};
use tactful_proto::v1;
use tactful_proto::v1::model_service_server::ModelService;
use tonic::{Request, Response, Status};

use crate::admission::Deadline;
use crate::status;

/// Loads models.
pub(crate) struct Models {
    pub(crate) engine: Arc<Engine>,
}

#[tonic::async_trait]
impl ModelService for Models {
    async fn load(&self, request: Request<v1::LoadRequest>) -> Result<Response<v1::LoadResponse>, Status> {
        Deadline::check(&request)?;
        let artifact = request.into_inner().artifact;
        if artifact.is_empty() {
            return Err(status::field(
                "artifact",
                "is empty: give the bytes of the file that `tactful model train` wrote",
            ));
        }
        // A task of its own: once begun, a load ends as a whole, even if the caller gives up on it.
        let engine = Arc::clone(&self.engine);
        let loading = self.engine.runtime().spawn(async move { engine.load_model(artifact.into()).await });
        let loaded = loading.await.unwrap_or(Err(Error::Closed)).map_err(|error| status::from_engine(&error))?;
        Ok(Response::new(v1::LoadResponse {
            name: loaded.name,
            version: loaded.version,
            ruleset_version: format!("{:016x}", loaded.ruleset),
            action_heads: loaded.action_heads as i32,
        }))
    }
}
