//! `tactful context`: what is known of one customer, and why.

use std::process::ExitCode;

use anyhow::Result;
use tactful_proto::v1::{GetContextRequest, customer_service_client::CustomerServiceClient};

use super::{connect, done, status};
use crate::cli::{ContextArgs, Global};

/// Asks and shows.
pub(crate) async fn run(global: &Global, args: &ContextArgs) -> Result<ExitCode> {
    let mut client = CustomerServiceClient::new(connect(global).await?);
    let request = GetContextRequest { subject_id: args.subject.clone() };
    let answer = client.get_context(request).await.map_err(|status| status::refused(&status))?;
    done(global, answer.get_ref())
}
