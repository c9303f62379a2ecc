//! CDNOW's purchases: features of every customer against an independent recount, and equal digests.
//!
//! One server gets the purchases in order, another one shuffled with every tenth sent twice; both must
//! hold the same state. The server's fold is not used here: the recount is a second, slow, obvious one.

mod compare;
mod data;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Result;
use serde::Serialize;

use self::{
    compare::{Recount, mismatch},
    data::Purchase,
};
use super::{Verdict, contexts::mismatches, ingest::ingest, order, progress, runtime};
use crate::{
    server::{self, Digests, Server},
    workspace::Workspace,
};

const CATALOG: &str = include_str!("cdnow/catalog.toml");
const SEED: u64 = 1;

/// The line that the evaluation prints.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CdnowResult {
    events: usize,
    customers: usize,
    mismatches: usize,
    digests_equal: bool,
}

/// Runs the evaluation on this file.
pub(super) fn run(workspace: &Workspace, file: &Path, seed: Option<u64>) -> Result<CdnowResult> {
    let purchases = data::read(file)?;
    let binary = server::build(workspace)?;
    let recount = compare::recount(&purchases);
    let count = purchases.len();
    let orders = [order::as_they_stand(count), order::shuffled_with_repeats(count, seed.unwrap_or(SEED))];
    let folder = tempfile::tempdir()?;
    let catalog = folder.path().join("catalog");
    fs::create_dir(&catalog)?;
    fs::write(catalog.join("cdnow.toml"), CATALOG)?;
    let mut digests: Vec<Digests> = Vec::new();
    let mut mismatches = 0;
    let runtime = runtime()?;
    for (name, order) in ["in order", "shuffled, some twice"].into_iter().zip(orders) {
        let server = Server::start(&binary, &catalog, &folder.path().join(digests.len().to_string()))?;
        let (state, wrong) = runtime.block_on(one_server(&server, name, &purchases, &order, &recount))?;
        server.stop()?;
        digests.push(state);
        mismatches += wrong;
    }
    let digests_equal = digests[0].content == digests[1].content;
    Ok(CdnowResult { events: purchases.len(), customers: recount.len(), mismatches, digests_equal })
}

/// Feeds one server, waits until all is applied, compares every customer.
async fn one_server(
    server: &Server,
    name: &str,
    purchases: &[Purchase],
    order: &[usize],
    recount: &BTreeMap<String, Recount>,
) -> Result<(Digests, usize)> {
    let items: Vec<_> = order.iter().map(|row| purchases[*row].event(*row)).collect();
    let bar = progress(&format!("purchases, {name}"), items.len() as u64);
    ingest(server.connect().await?, items.into_iter(), &bar).await?;
    // Repeats may or may not count as records; what takes effect once must be there.
    let digests = server.settle(purchases.len() as u64).await?;
    Ok((digests, mismatches(server.connect().await?, recount, mismatch).await?))
}

impl Verdict for CdnowResult {
    fn failure(&self) -> Option<String> {
        let Self { mismatches, digests_equal, .. } = *self;
        (mismatches > 0 || !digests_equal).then(|| {
            format!("{mismatches} mismatches, content digests {}", if digests_equal { "equal" } else { "differ" })
        })
    }

    fn text(&self) -> String {
        let Self { events, customers, mismatches, digests_equal } = self;
        let digests = if *digests_equal { "equal" } else { "different" };
        format!("cdnow: {events} events, {customers} customers, {mismatches} mismatches, content digests {digests}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_declares_what_is_compared() {
        let catalog: tactful_core::catalog::Catalog = toml::from_str(CATALOG).unwrap();
        let names: Vec<&str> = catalog.feature.iter().map(|feature| feature.name.as_str()).collect();
        assert_eq!(names, [compare::COUNT, compare::SUM, compare::LAST, compare::SINCE_LAST]);
        assert!(catalog.feature.iter().all(|feature| feature.event.as_deref() == Some(data::EVENT)));
        assert_eq!(catalog.feature[1].scale, 2);
    }

    #[test]
    fn only_full_agreement_passes() {
        let result = CdnowResult { events: 3, customers: 2, mismatches: 0, digests_equal: true };
        assert_eq!(result.failure(), None);
        let line = serde_json::to_string(&result).unwrap();
        assert_eq!(line, r#"{"events":3,"customers":2,"mismatches":0,"digests_equal":true}"#);
        assert!(CdnowResult { mismatches: 1, ..result.clone() }.failure().is_some());
        assert!(CdnowResult { digests_equal: false, ..result }.failure().is_some());
    }
}
