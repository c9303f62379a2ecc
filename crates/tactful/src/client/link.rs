//! `tactful link | unlink`: says that two subject ids are one customer, or not any more.

use std::process::ExitCode;

use anyhow::Result;
use tactful_proto::v1::{LinkRequest, UnlinkRequest, customer_service_client::CustomerServiceClient};

use super::{connect, done, status};
use crate::{
    cli::{Global, LinkArgs},
    render::link::Stated,
    segment::protobuf_time,
};

/// Links two ids.
pub(crate) async fn link(global: &Global, args: &LinkArgs) -> Result<ExitCode> {
    let mut client = CustomerServiceClient::new(connect(global).await?);
    let request = LinkRequest {
        message_id: args.message_id.clone(),
        subject_id: args.subject.clone(),
        other_subject_id: args.other.clone(),
        event_time: args.time.map(protobuf_time),
        source: args.source.clone(),
    };
    let answer = client.link(request).await.map_err(|status| status::refused(&status))?.into_inner();
    done(global, &stated(args, true, answer.position))
}

/// Unlinks two ids.
pub(crate) async fn unlink(global: &Global, args: &LinkArgs) -> Result<ExitCode> {
    let mut client = CustomerServiceClient::new(connect(global).await?);
    let request = UnlinkRequest {
        message_id: args.message_id.clone(),
        subject_id: args.subject.clone(),
        other_subject_id: args.other.clone(),
        event_time: args.time.map(protobuf_time),
        source: args.source.clone(),
    };
    let answer = client.unlink(request).await.map_err(|status| status::refused(&status))?.into_inner();
    done(global, &stated(args, false, answer.position))
}

fn stated(args: &LinkArgs, linked: bool, position: String) -> Stated {
    Stated { subject: args.subject.clone(), other: args.other.clone(), linked, position }
}
