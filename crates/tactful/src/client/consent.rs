//! `tactful consent`: records what a customer allows or denies. The server knows the purposes.

use std::process::ExitCode;

use anyhow::Result;
use tactful_proto::v1::{SetConsentRequest, customer_service_client::CustomerServiceClient};

use super::{connect, done, status};
use crate::{
    cli::{ConsentArgs, ConsentWord, Global},
    render::recorded::Recorded,
    segment::protobuf_time,
};

/// Sends and shows the acknowledgement.
pub(crate) async fn run(global: &Global, args: &ConsentArgs) -> Result<ExitCode> {
    let mut client = CustomerServiceClient::new(connect(global).await?);
    let answer = client.set_consent(request(args)).await.map_err(|status| status::refused(&status))?;
    let word = if args.word == ConsentWord::Allow { "allowed" } else { "denied" };
    done(global, &Recorded { what: format!("{} is {word}", args.purpose), position: answer.into_inner().position })
}

fn request(args: &ConsentArgs) -> SetConsentRequest {
    SetConsentRequest {
        message_id: args.message_id.clone(),
        subject_id: args.subject.clone(),
        purpose: args.purpose.clone(),
        allowed: args.word == ConsentWord::Allow,
        source: args.source.clone(),
        text_version: args.text_version.clone(),
        event_time: args.time.map(protobuf_time),
    }
}
