//! Receipts of erasures, what is left of a subject id, and records as their subject may read them.

use serde_json::{Value, json};
use tactful_proto::v1::{Erasure, HeldRecord, VerifyErasedResponse};

use super::table::Table;
use super::value;
use crate::output::Render;

/// A receipt.
#[derive(Debug)]
pub(crate) struct Receipt(pub(crate) Erasure);

impl Render for Receipt {
    fn json(&self) -> Value {
        let stores = self.0.stores.iter();
        let store = |it: &tactful_proto::v1::ErasedFrom| json!({ "store": it.store, "removed": it.removed, "detail": it.detail });
        json!({
            "erasure_id": self.0.erasure_id,
            "erased_time": value::time(self.0.erased_time.as_ref()),
            "unreadable_time": value::time(self.0.unreadable_time.as_ref()),
            "gone_time": value::time(self.0.gone_time.as_ref()),
            "stores": stores.map(store).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let Erasure { erasure_id, unreadable_time, gone_time, stores, .. } = &self.0;
        let since = |time: Option<&prost_types::Timestamp>| match time {
            None => "not yet".into(),
            some => format!("since {}", value::time_text(some)),
        };
        let mut table = Table::new(&["store", "removed", "what"]);
        for store in stores {
            let removed = if store.removed == 0 { String::new() } else { store.removed.to_string() };
            table.row([store.store.clone(), removed, store.detail.clone()]);
        }
        let mut out = format!("erasure {erasure_id}\n  unreadable  {}\n", since(unreadable_time.as_ref()));
        out += &format!("  gone        {}\n\n{}", since(gone_time.as_ref()), table.render("  "));
        if gone_time.is_none() {
            out += &format!("\nsee how far it is with: tactful privacy receipt {erasure_id}\n");
        }
        out
    }
}

/// What is left.
#[derive(Debug)]
pub(crate) struct Left(pub(crate) VerifyErasedResponse);

impl Render for Left {
    fn json(&self) -> Value {
        let remnants = self.0.remnants.iter();
        let remnant = |it: &tactful_proto::v1::Remnant| json!({ "store": it.store, "count": it.count });
        json!({ "remnants": remnants.map(remnant).collect::<Vec<_>>(), "stores": self.0.stores })
    }

    fn text(&self) -> String {
        let looked = format!("looked through: {}\n", self.0.stores.join("; "));
        if self.0.remnants.is_empty() {
            return format!("nothing is left\n{looked}");
        }
        let mut table = Table::new(&["store", "holds"]);
        for remnant in &self.0.remnants {
            table.row([remnant.store.clone(), remnant.count.to_string()]);
        }
        format!("{}{looked}", table.render(""))
    }
}

/// A record of the log.
pub(crate) fn held_json(record: &HeldRecord) -> Value {
    let properties = record.properties.iter().map(|(key, held)| (key.clone(), value::json(held)));
    json!({
        "partition": record.partition,
        "offset": record.offset,
        "kind": record.kind,
        "name": record.name,
        "time": value::time(record.time.as_ref()),
        "channel": record.channel,
        "source": record.source,
        "matter_id": record.matter_id,
        "properties": properties.collect::<serde_json::Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use tactful_proto::v1::{ErasedFrom, Remnant};

    use super::*;

    #[test]
    fn a_receipt_says_what_is_done_and_what_is_not() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let stores = vec![ErasedFrom { store: "backups".into(), removed: 0, detail: "OPEN: yours".into() }];
        let going_on = Erasure { erasure_id: "e-1".into(), unreadable_time: at(60), stores, ..Erasure::default() };
        let text = Receipt(going_on.clone()).text();
        assert!(
            text.contains("unreadable  since 1970-01-01 00:01:00Z") && text.contains("gone        not yet"),
            "{text}"
        );
        assert!(text.contains("tactful privacy receipt e-1") && text.contains("OPEN: yours"), "{text}");
        let done = Receipt(Erasure { gone_time: at(120), ..going_on });
        assert!(!done.text().contains("not yet") && done.json()["gone_time"] == "1970-01-01T00:02:00Z");
    }

    #[test]
    fn what_is_left_is_counted_by_store() {
        let clean = VerifyErasedResponse { remnants: vec![], stores: vec!["archive".into()] };
        assert_eq!(Left(clean).text(), "nothing is left\nlooked through: archive\n");
        let remnants = vec![Remnant { store: "archive".into(), count: 3 }];
        let left = Left(VerifyErasedResponse { remnants, stores: vec!["archive".into()] });
        assert!(left.text().contains("archive      3"), "{}", left.text());
        assert_eq!(left.json()["remnants"][0]["count"], 3);
    }
}
