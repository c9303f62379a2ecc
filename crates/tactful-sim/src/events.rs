//! Builds the events and reports that the world hands out, each with an id of its own.

use tactful_proto::v1::{self, value};

use crate::customer::Customer;

/// What an event is about beside its name.
#[derive(Default)]
pub(crate) struct Details {
    pub(crate) channel: &'static str,
    pub(crate) source: &'static str,
    pub(crate) matter_id: String,
    pub(crate) properties: Vec<(&'static str, v1::Value)>,
}

/// Prefix of the ids of one world: worlds of another seed or start never share an id.
pub(crate) struct Ids {
    prefix: String,
}

impl Ids {
    /// Ids of a world.
    pub(crate) fn new(seed: u64, start_ms: i64) -> Self {
        Self { prefix: format!("sim-{seed:x}-{start_ms:x}") }
    }

    /// The next id of a customer.
    pub(crate) fn next(&self, customer: &mut Customer) -> String {
        let number = customer.next_message();
        let subject = customer.subject_id.trim_start_matches("customer:");
        format!("{}-{subject}-{number}", self.prefix)
    }

    /// An event of a customer.
    pub(crate) fn event(
        &self,
        customer: &mut Customer,
        kind: v1::EventType,
        name: &str,
        at_ms: i64,
        details: Details,
    ) -> v1::Event {
        v1::Event {
            message_id: self.next(customer),
            subject_id: customer.subject_id.clone(),
            r#type: kind.into(),
            name: name.into(),
            event_time: Some(timestamp(at_ms)),
            channel: details.channel.into(),
            source: details.source.into(),
            properties: details.properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            matter_id: details.matter_id,
            previous_id: String::new(),
            anonymous_id: String::new(),
        }
    }

    /// Everything that the customer register knows of a customer.
    pub(crate) fn identify(&self, customer: &mut Customer, at_ms: i64) -> v1::Event {
        let mut properties = vec![
            ("age", number(customer.age)),
            ("tenure_months", number(customer.tenure_months)),
            ("segment", text(customer.segment)),
        ];
        properties.extend(contract(customer));
        self.event(customer, v1::EventType::Identify, "", at_ms, Details { properties, ..register() })
    }

    /// What the customer register says after a contract has changed.
    pub(crate) fn contract_changed(&self, customer: &mut Customer, at_ms: i64) -> v1::Event {
        let properties = contract(customer);
        self.event(customer, v1::EventType::Identify, "", at_ms, Details { properties, ..register() })
    }

    /// An answer to a shown action.
    pub(crate) fn outcome(
        &self,
        customer: &mut Customer,
        token: &str,
        (kind, value, reason): (v1::OutcomeType, f64, &str),
        at_ms: i64,
    ) -> v1::OutcomeReport {
        v1::OutcomeReport {
            subject_id: customer.subject_id.clone(),
            outcome_token: token.into(),
            external_decision_id: String::new(),
            r#type: kind.into(),
            value,
            occur_time: Some(timestamp(at_ms)),
            reason_code: reason.into(),
            message_id: self.next(customer),
        }
    }
}

fn register() -> Details {
    Details { source: "customer_register", ..Details::default() }
}

fn contract(customer: &Customer) -> Vec<(&'static str, v1::Value)> {
    let mut traits: Vec<_> = crate::topic::Product::ALL
        .into_iter()
        .map(|product| (product.trait_name(), flag(customer.has(product))))
        .collect();
    traits.push(("monthly_spend", number(customer.monthly_spend)));
    traits.push(("contract_months_left", number(customer.contract_months_left)));
    traits
}

/// A time of the API; milliseconds since 1970.
pub(crate) fn timestamp(at_ms: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at_ms.div_euclid(1_000), nanos: (at_ms.rem_euclid(1_000) * 1_000_000) as i32 }
}

/// A number.
pub(crate) fn number(value: f64) -> v1::Value {
    v1::Value { kind: Some(value::Kind::Number(value)) }
}

/// A text.
pub(crate) fn text(value: &str) -> v1::Value {
    v1::Value { kind: Some(value::Kind::Text(value.into())) }
}

/// A truth value.
pub(crate) fn flag(value: bool) -> v1::Value {
    v1::Value { kind: Some(value::Kind::Flag(value)) }
}
