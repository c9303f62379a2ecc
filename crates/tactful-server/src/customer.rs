//! CustomerService.

use std::sync::Arc;

use tactful_engine::Engine;
use tactful_proto::v1;
use tactful_proto::v1::customer_service_server::CustomerService;
use tonic::{Request, Response, Status};

use crate::admission::Deadline;
use crate::convert::context_response;
use crate::status;

/// Reads customers.
pub(crate) struct Customers {
    pub(crate) engine: Arc<Engine>,
}

#[tonic::async_trait]
impl CustomerService for Customers {
    async fn get_context(
        &self,
        request: Request<v1::GetContextRequest>,
    ) -> Result<Response<v1::GetContextResponse>, Status> {
        Deadline::check(&request)?;
        let subject_id = request.into_inner().subject_id;
        let context = self.engine.context(&subject_id).map_err(|error| status::from_engine(&error))?;
        Ok(Response::new(context_response(subject_id, context)))
    }
}
