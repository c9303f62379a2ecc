//! The Decide call: requests built once, sent in a scattered but repeatable order.

use std::{future::Future, path::Path, sync::Arc};

use anyhow::{Context, Result, ensure};
use tactful_proto::v1::{
    DecideRequest, Explain, Mode, PlacementRequest, decision_service_client::DecisionServiceClient,
};
use tonic::{Code, transport::Channel};

use crate::Call;

/// Whom to decide for.
#[derive(Clone, Debug)]
pub enum Subjects {
    /// `<prefix>0` to `<prefix><count - 1>`.
    Numbered {
        /// What every id starts with.
        prefix: String,
        /// How many.
        count: u64,
    },
    /// One id a line; blank lines are left out.
    File(std::path::PathBuf),
}

impl Subjects {
    /// The subject ids.
    ///
    /// # Errors
    /// An unreadable file, or no id at all.
    pub fn ids(&self) -> Result<Vec<String>> {
        let ids: Vec<String> = match self {
            Self::Numbered { prefix, count } => (0..*count).map(|number| format!("{prefix}{number}")).collect(),
            Self::File(path) => lines(path)?,
        };
        ensure!(!ids.is_empty(), "no subject ids");
        Ok(ids)
    }
}

fn lines(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// A request for each subject, without explanations, for these placements with `count` actions each
/// (0 takes the catalogue's number).
#[must_use]
pub fn decide_requests(subjects: &[String], placements: &[String], count: i32, mode: Mode) -> Vec<DecideRequest> {
    let placements: Vec<PlacementRequest> =
        placements.iter().map(|id| PlacementRequest { placement: id.clone(), count }).collect();
    let request = |subject: &String| DecideRequest {
        subject_id: subject.clone(),
        placements: placements.clone(),
        explain: Explain::None.into(),
        mode: mode.into(),
        ..DecideRequest::default()
    };
    subjects.iter().map(request).collect()
}

/// `DecisionService.Decide` on one connection.
#[derive(Clone)]
pub struct DecideCall {
    client: DecisionServiceClient<Channel>,
    requests: Arc<[DecideRequest]>,
}

impl DecideCall {
    /// Takes its requests from this list, which must not be empty.
    #[must_use]
    pub fn new(channel: Channel, requests: Arc<[DecideRequest]>) -> Self {
        assert!(!requests.is_empty(), "no requests");
        Self { client: DecisionServiceClient::new(channel), requests }
    }
}

impl Call for DecideCall {
    fn call(&mut self, index: u64) -> impl Future<Output = Result<(), Code>> + 'static {
        let request = self.requests[(scatter(index) % self.requests.len() as u64) as usize].clone();
        let mut client = self.client.clone();
        async move { client.decide(request).await.map(drop).map_err(|status| status.code()) }
    }
}

/// Spreads neighbours apart (the finaliser of SplitMix64), so that customers do not come in order.
fn scatter(index: u64) -> u64 {
    let mut mixed = index.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_name_every_subject_and_placement() {
        let ids = Subjects::Numbered { prefix: "customer:".into(), count: 3 }.ids().unwrap();
        let requests = decide_requests(&ids, &["hero".into(), "foot".into()], 2, Mode::Test);
        assert_eq!(requests.len(), 3);
        assert_eq!(requests[2].subject_id, "customer:2");
        assert_eq!(requests[2].placements.len(), 2);
        assert_eq!((requests[2].placements[1].placement.as_str(), requests[2].placements[1].count), ("foot", 2));
        assert_eq!(requests[2].mode, i32::from(Mode::Test));
    }

    #[test]
    fn no_subject_is_an_error() {
        assert!(Subjects::Numbered { prefix: String::new(), count: 0 }.ids().is_err());
        assert!(Subjects::File("does-not-exist".into()).ids().is_err());
    }

    #[test]
    fn the_order_reaches_every_request() {
        let reached: std::collections::BTreeSet<u64> = (0..1_000).map(|index| scatter(index) % 100).collect();
        assert_eq!(reached.len(), 100);
    }
}
