//! The campaign's rows, their split, and how they become events, external decisions and outcomes.
//!
//! `history_segment` is left out: it is a function of `history`. Conversion and spend are not used.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, ensure};
use prost_types::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tactful_proto::v1::{
    Event, EventType, ExternalDecision, IngestItem, OutcomeReport, OutcomeType, Value, ingest_item::Item, value::Kind,
};

/// The one placement of the catalogue.
pub(in crate::eval) const PLACEMENT: &str = "campaign";
/// Chance of each arm in the experiment.
pub(in crate::eval) const ARM_PROBABILITY: f64 = 1.0 / 3.0;

const DAY_S: i64 = 86_400;
/// The experiment lies so far back that every attribution window is closed.
const CONTACT_AGO_S: i64 = 30 * DAY_S;
const IDENTIFY_AGO_S: i64 = 60 * DAY_S;

/// What a customer was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::eval) enum Arm {
    #[serde(rename = "Mens E-Mail")]
    Mens,
    #[serde(rename = "Womens E-Mail")]
    Womens,
    #[serde(rename = "No E-Mail")]
    Silence,
}

impl Arm {
    pub(in crate::eval) const ALL: [Self; 3] = [Self::Mens, Self::Womens, Self::Silence];

    /// Id of the action, `none` for silence.
    pub(in crate::eval) fn action(self) -> &'static str {
        match self {
            Self::Mens => "mens_email",
            Self::Womens => "womens_email",
            Self::Silence => "none",
        }
    }

    /// The arm of an action's id.
    pub(in crate::eval) fn of_action(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arm| arm.action() == id)
    }
}

/// One row of the data; its number is the customer's subject id.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::eval) struct Customer {
    recency: f64,
    history: f64,
    mens: f64,
    womens: f64,
    zip_code: String,
    newbie: f64,
    channel: String,
    #[serde(rename = "segment")]
    pub(in crate::eval) arm: Arm,
    visit: u8,
}

/// Reads all rows in order.
pub(in crate::eval) fn read(file: &Path) -> Result<Vec<Customer>> {
    let mut reader = csv::Reader::from_path(file).with_context(|| format!("cannot read {}", file.display()))?;
    let customers: Vec<Customer> = reader.deserialize().collect::<Result<_, _>>().context("hillstrom.csv")?;
    ensure!(!customers.is_empty(), "{} has no rows", file.display());
    Ok(customers)
}

/// Whether a row is of the half that is decided for, not learnt from.
pub(in crate::eval) fn is_held_out(row: usize, seed: Option<u64>) -> bool {
    let seed = seed.map_or_else(String::new, |seed| seed.to_string());
    let digest = Sha256::digest(format!("hillstrom{seed}-{row}"));
    // The parity of the first eight hex digits is that of the fourth byte.
    digest[3] % 2 == 1
}

impl Customer {
    /// 1 if the customer visited, else 0.
    pub(in crate::eval) fn visited(&self) -> f64 {
        f64::from(self.visit)
    }

    /// What is known before the campaign.
    pub(in crate::eval) fn attributes(&self) -> BTreeMap<String, Value> {
        let number = |value: f64| Value { kind: Some(Kind::Number(value)) };
        let text = |value: &str| Value { kind: Some(Kind::Text(value.to_owned())) };
        let traits = [
            ("recency", number(self.recency)),
            ("history", number(self.history)),
            ("mens", number(self.mens)),
            ("womens", number(self.womens)),
            ("zip_code", text(&self.zip_code)),
            ("newbie", number(self.newbie)),
            ("channel", text(&self.channel)),
        ];
        traits.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// The attributes as an event.
    pub(in crate::eval) fn identify(&self, row: usize, now_s: i64) -> IngestItem {
        item(Item::Event(Event {
            message_id: format!("identify-{row}"),
            subject_id: row.to_string(),
            r#type: EventType::Identify.into(),
            event_time: at(now_s - IDENTIFY_AGO_S),
            source: "crm".into(),
            properties: self.attributes().into_iter().collect(),
            ..Event::default()
        }))
    }

    /// What was sent, and the visit if there was one.
    pub(in crate::eval) fn contact(&self, row: usize, now_s: i64) -> Vec<IngestItem> {
        let contact_s = now_s - CONTACT_AGO_S;
        let decision = ExternalDecision {
            external_decision_id: row.to_string(),
            subject_id: row.to_string(),
            action_id: self.arm.action().into(),
            placement: PLACEMENT.into(),
            decision_time: at(contact_s),
            selection_probability: ARM_PROBABILITY,
            context: BTreeMap::new(),
        };
        let visit = OutcomeReport {
            subject_id: row.to_string(),
            external_decision_id: row.to_string(),
            r#type: OutcomeType::Accepted.into(),
            occur_time: at(contact_s + DAY_S),
            message_id: format!("visit-{row}"),
            ..OutcomeReport::default()
        };
        let visit = (self.visit == 1).then(|| item(Item::Outcome(visit)));
        std::iter::once(item(Item::ExternalDecision(decision))).chain(visit).collect()
    }
}

fn item(item: Item) -> IngestItem {
    IngestItem { item: Some(item) }
}

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "recency,history_segment,history,mens,womens,zip_code,newbie,channel,segment,visit,conversion,spend\n\
        10,2) $100 - $200,142.44,1,0,Surburban,0,Phone,Womens E-Mail,0,0,0\n\
        6,3) $200 - $350,329.08,1,1,Rural,1,Web,No E-Mail,1,0,0\n";

    fn rows() -> Vec<Customer> {
        csv::Reader::from_reader(ROWS.as_bytes()).deserialize().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn rows_become_attributes_contacts_and_visits() {
        let customers = rows();
        assert_eq!((customers[0].arm, customers[1].arm), (Arm::Womens, Arm::Silence));
        let Some(Item::Event(event)) = customers[0].identify(7, 100 * DAY_S).item else { panic!("an event") };
        assert_eq!((event.subject_id.as_str(), event.properties.len()), ("7", 7));
        assert_eq!(event.properties["history"].kind, Some(Kind::Number(142.44)));
        assert_eq!(event.properties["zip_code"].kind, Some(Kind::Text("Surburban".into())));
        assert_eq!(event.event_time.unwrap().seconds, 40 * DAY_S);
        assert_eq!(customers[0].contact(7, 100 * DAY_S).len(), 1);
        let contact = customers[1].contact(8, 100 * DAY_S);
        let Some(Item::ExternalDecision(decision)) = &contact[0].item else { panic!("a decision") };
        assert_eq!((decision.action_id.as_str(), decision.external_decision_id.as_str()), ("none", "8"));
        let Some(Item::Outcome(outcome)) = &contact[1].item else { panic!("an outcome") };
        assert_eq!(outcome.external_decision_id, "8");
        assert!(outcome.occur_time.unwrap().seconds > decision.decision_time.unwrap().seconds);
    }

    /// The definition in full, by hexadecimal digits.
    fn by_definition(name: &str) -> bool {
        let hex: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
        u32::from_str_radix(&hex[..8], 16).unwrap() % 2 == 1
    }

    #[test]
    fn the_split_is_that_of_the_definition() {
        for row in 0..1_000 {
            assert_eq!(is_held_out(row, None), by_definition(&format!("hillstrom-{row}")));
            assert_eq!(is_held_out(row, Some(7)), by_definition(&format!("hillstrom7-{row}")));
        }
        let held_out = (0..64_000).filter(|row| is_held_out(*row, None)).count();
        assert_eq!(held_out, 31_970, "published with the baselines");
    }

    #[test]
    fn a_broken_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("h.csv");
        for text in ["", "recency\n1\n", &ROWS.replace("Womens E-Mail", "Fax")] {
            std::fs::write(&file, text).unwrap();
            assert!(read(&file).is_err(), "{text}");
        }
    }
}
