//! CustomerService.

use std::sync::Arc;

use tactful_engine::{Engine, LinkCommand};
use tactful_proto::v1;
use tactful_proto::v1::customer_service_server::CustomerService;
use tonic::{Request, Response, Status};

use crate::admission::Deadline;
use crate::convert::context_response;
use crate::decision::wait_until;
use crate::status;

/// Reads and links customers.
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

    async fn link(&self, request: Request<v1::LinkRequest>) -> Result<Response<v1::LinkResponse>, Status> {
        Deadline::check(&request)?;
        let v1::LinkRequest { message_id, subject_id, other_subject_id: other_id, event_time, source } =
            request.into_inner();
        let position =
            self.state(LinkCommand { message_id, subject_id, other_id, event_time, source, linked: true }).await?;
        Ok(Response::new(v1::LinkResponse { position }))
    }

    async fn unlink(&self, request: Request<v1::UnlinkRequest>) -> Result<Response<v1::UnlinkResponse>, Status> {
        Deadline::check(&request)?;
        let v1::UnlinkRequest { message_id, subject_id, other_subject_id: other_id, event_time, source } =
            request.into_inner();
        let position =
            self.state(LinkCommand { message_id, subject_id, other_id, event_time, source, linked: false }).await?;
        Ok(Response::new(v1::UnlinkResponse { position }))
    }

    async fn set_consent(
        &self,
        request: Request<v1::SetConsentRequest>,
    ) -> Result<Response<v1::SetConsentResponse>, Status> {
        let deadline = Deadline::check(&request)?;
        let request = request.into_inner();
        let consent = v1::Consent {
            message_id: request.message_id,
            subject_id: request.subject_id,
            purpose: request.purpose,
            allowed: request.allowed,
            source: request.source,
            text_version: request.text_version,
            event_time: request.event_time,
        };
        let position = self.engine.set_consent(consent, wait_until(deadline)).await;
        let position = position.map_err(|error| status::from_engine(&error))?;
        Ok(Response::new(v1::SetConsentResponse { position }))
    }
}

impl Customers {
    /// Records a statement about two subject ids; answers its position.
    async fn state(&self, command: LinkCommand) -> Result<String, Status> {
        self.engine.link(&command).await.map_err(|error| status::from_engine(&error))
    }
}
