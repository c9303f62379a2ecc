//! Asks a server for the context of every customer, with a bounded number of questions in flight, and counts those
//! whose answer is not what was expected.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use tactful_proto::v1::{GetContextRequest, GetContextResponse, customer_service_client::CustomerServiceClient};
use tonic::transport::Channel;

use super::progress;

const READS_IN_FLIGHT: usize = 32;
const READ_MAX: Duration = Duration::from_secs(10);
/// So many mismatches are shown in words.
const SHOWN_MAX: usize = 5;

/// How many of these customers differ from what is expected of them; `differs` says in what.
pub(super) async fn mismatches<E>(
    channel: Channel,
    expected: &BTreeMap<String, E>,
    mut differs: impl FnMut(&E, &GetContextResponse) -> Option<String>,
) -> Result<usize> {
    let bar = progress("customers compared", expected.len() as u64);
    let reads = expected.iter().map(|(customer, expected)| {
        let answer = read(channel.clone(), customer.clone());
        async move { answer.await.map(|answer| (customer, expected, answer)) }
    });
    let mut answers = stream::iter(reads).buffer_unordered(READS_IN_FLIGHT);
    let mut wrong = 0;
    while let Some((customer, expected, answer)) = answers.try_next().await? {
        if let Some(what) = differs(expected, &answer) {
            wrong += 1;
            if wrong <= SHOWN_MAX {
                eprintln!("{customer}: {what}");
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(wrong)
}

async fn read(channel: Channel, subject_id: String) -> Result<GetContextResponse> {
    let mut client = CustomerServiceClient::new(channel);
    let answer = tokio::time::timeout(READ_MAX, client.get_context(GetContextRequest { subject_id })).await;
    let answer = answer.with_context(|| format!("GetContext took more than {} s", READ_MAX.as_secs()))?;
    Ok(answer.context("GetContext")?.into_inner())
}
