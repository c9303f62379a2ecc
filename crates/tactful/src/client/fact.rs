//! `tactful fact`: records what a customer told, or takes it back. The server knows which facts are declared.

use std::process::ExitCode;

use anyhow::{Result, bail};
use tactful_proto::v1::{
    Fact, IngestItem, IngestRequest, Value, event_service_client::EventServiceClient, ingest_item::Item,
};

use super::{connect, done, status};
use crate::{
    cli::{FactArgs, Global},
    render::recorded::Recorded,
    segment::protobuf_time,
};

/// Sends and shows the acknowledgement; what was refused is told, the rest counts.
pub(crate) async fn run(global: &Global, args: &FactArgs) -> Result<ExitCode> {
    let mut client = EventServiceClient::new(connect(global).await?);
    let facts = facts(args);
    let keys: Vec<String> = facts.iter().map(|fact| fact.key.clone()).collect();
    let items = facts.into_iter().map(|fact| IngestItem { item: Some(Item::Fact(fact)) }).collect();
    let answer = client.ingest(IngestRequest { items }).await.map_err(|status| status::refused(&status))?.into_inner();
    if !answer.errors.is_empty() {
        let told = answer.errors.iter().map(|error| {
            let key = keys.get(error.index as usize).map_or("", String::as_str);
            format!("\n  {key}: {} {} ({})", error.field, error.message, error.reason)
        });
        bail!("{} of {} facts were refused{}", answer.errors.len(), keys.len(), told.collect::<String>());
    }
    done(global, &Recorded { what: keys.join(", "), position: answer.position })
}

fn facts(args: &FactArgs) -> Vec<Fact> {
    let fact = |key: &str, value: Option<Value>| Fact {
        message_id: String::new(),
        subject_id: args.subject.clone(),
        key: key.into(),
        value,
        purpose: args.purpose.clone(),
        expire_time: args.expires.map(protobuf_time),
        event_time: args.time.map(protobuf_time),
        channel: args.channel.clone(),
        source: args.source.clone(),
        matter_id: args.matter.clone(),
    };
    let told = args.told.iter().map(|told| fact(&told.key, Some(told.value.clone())));
    told.chain(args.retracted.iter().map(|key| fact(key, None))).collect()
}
