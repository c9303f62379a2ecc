//! What is known of one customer: features with state and derivation, open matters, facts, purposes, timeline.

use std::fmt::Write;

use serde_json::{Value, json};
use tactful_proto::v1::{
    ConsentReading, ConsentState, FactReading, FactState, FeatureReading, FeatureState, GetContextResponse,
    Interaction, Matter,
};

use super::{table::Table, value};
use crate::output::Render;

impl Render for GetContextResponse {
    fn json(&self) -> Value {
        json!({
            "subject_id": self.subject_id,
            "known": self.known,
            "subject_ids": self.subject_ids,
            "subject_ids_truncated": self.subject_ids_truncated,
            "features": self.features.iter().map(feature_json).collect::<Vec<_>>(),
            "open_matters": self.open_matters.iter().map(matter_json).collect::<Vec<_>>(),
            "confirmed_matters": self.confirmed_matters.iter().map(matter_json).collect::<Vec<_>>(),
            "facts": self.facts.iter().map(fact_json).collect::<Vec<_>>(),
            "consents": self.consents.iter().map(consent_json).collect::<Vec<_>>(),
            "timeline": self.timeline.iter().map(interaction_json).collect::<Vec<_>>(),
            "feature_watermark": value::time(self.feature_watermark.as_ref()),
            "server_time": value::time(self.server_time.as_ref()),
        })
    }

    fn text(&self) -> String {
        let mut out = format!("{}   as of {}\n", self.subject_id, value::time_text(self.server_time.as_ref()));
        if !self.known {
            out += "  nothing was ever heard of this customer\n";
        }
        for (title, rows) in [
            ("one customer with", linked_text(self)),
            ("open matters", matters_table(self, &self.open_matters).render("  ")),
            ("confirmed matters", matters_table(self, &self.confirmed_matters).render("  ")),
            ("features", features_table(self).render("  ")),
            ("nothing known for", missing_text(self)),
            ("told by the customer", facts_table(self).render("  ")),
            ("purposes", consents_table(self).render("  ")),
            ("timeline, newest first", timeline_table(self).render("  ")),
        ] {
            if !rows.is_empty() {
                let _ = write!(out, "\n{title}\n{rows}");
            }
        }
        out
    }
}

/// The other ids of the customer.
fn linked_text(response: &GetContextResponse) -> String {
    let others = response.subject_ids.iter().filter(|id| **id != response.subject_id);
    let more = response.subject_ids_truncated.then_some("and more than are read");
    value::wrapped(others.map(String::as_str).chain(more), "  ")
}

fn matters_table(response: &GetContextResponse, matters: &[Matter]) -> Table {
    let now = response.server_time.as_ref();
    let mut table = Table::new(&["matter", "type", "state", "opened", "last heard", "sessions", "reopened", "channel"]);
    for matter in matters {
        table.row([
            matter.matter_id.clone(),
            matter.r#type.clone(),
            value::word(matter.state().as_str_name(), "MATTER_STATE_").replace('_', " "),
            value::ago(matter.opened_time.as_ref(), now),
            value::ago(matter.updated_time.as_ref(), now),
            matter.sessions.to_string(),
            if matter.reopenings == 0 { String::new() } else { format!("{} x", matter.reopenings) },
            matter.channel.clone(),
        ]);
    }
    table
}

fn features_table(response: &GetContextResponse) -> Table {
    let now = response.server_time.as_ref();
    let mut table = Table::new(&["feature", "value", "state", "evidence", "purpose", "comes from"]);
    for feature in response.features.iter().filter(|feature| feature.state() != FeatureState::Missing) {
        let state = match feature.state() {
            FeatureState::Present => String::new(),
            other => value::word(other.as_str_name(), "FEATURE_STATE_"),
        };
        table.row([
            feature.name.clone(),
            value::text(feature.value.as_ref()),
            state,
            value::ago(feature.evidence_time.as_ref(), now),
            feature.purpose.clone(),
            feature.derivation.clone(),
        ]);
    }
    table
}

/// Features without a value, which need no line each.
fn missing_text(response: &GetContextResponse) -> String {
    let missing = response.features.iter().filter(|feature| feature.state() == FeatureState::Missing);
    value::wrapped(missing.map(|feature| feature.name.as_str()), "  ")
}

fn facts_table(response: &GetContextResponse) -> Table {
    let now = response.server_time.as_ref();
    let mut table = Table::new(&["fact", "value", "state", "told", "channel", "source", "until", "purpose", "rules"]);
    for fact in &response.facts {
        let state = match fact.state() {
            FactState::Present => String::new(),
            other => value::word(other.as_str_name(), "FACT_STATE_"),
        };
        table.row([
            fact.key.clone(),
            value::text(fact.value.as_ref()),
            state,
            value::ago(fact.told_time.as_ref(), now),
            fact.channel.clone(),
            fact.source.clone(),
            fact.expire_time.as_ref().map_or_else(String::new, |time| value::time_text(Some(time))),
            fact.purpose.clone(),
            if fact.declared { String::new() } else { "undeclared".into() },
        ]);
    }
    table
}

fn consents_table(response: &GetContextResponse) -> Table {
    let now = response.server_time.as_ref();
    let mut table = Table::new(&["purpose", "allowed", "by", "said", "source", "text"]);
    for consent in &response.consents {
        table.row([
            consent.purpose.clone(),
            if consent.allowed { "yes" } else { "no" }.into(),
            match consent.state() {
                ConsentState::Recorded => "the customer",
                ConsentState::Forgotten => "forgotten, hence denied",
                ConsentState::Default | ConsentState::Unspecified => "default",
            }
            .into(),
            value::ago(consent.event_time.as_ref(), now),
            consent.source.clone(),
            consent.text_version.clone(),
        ]);
    }
    table
}

fn timeline_table(response: &GetContextResponse) -> Table {
    let mut table = Table::new(&["time", "kind", "what", "action", "channel", "matter"]);
    for interaction in &response.timeline {
        let (name, same) = (&interaction.name, interaction.action_id == interaction.name);
        table.row([
            value::time_text(interaction.time.as_ref()),
            interaction.kind.clone(),
            // That a decision was a decision is said already.
            if *name == interaction.kind { String::new() } else { name.clone() },
            if same { String::new() } else { interaction.action_id.clone() },
            interaction.channel.clone(),
            interaction.matter_id.clone(),
        ]);
    }
    table
}

fn feature_json(feature: &FeatureReading) -> Value {
    json!({
        "name": feature.name,
        "value": feature.value.as_ref().map_or(Value::Null, value::json),
        "state": value::name(feature.state().as_str_name(), "FEATURE_STATE_"),
        "evidence_time": value::time(feature.evidence_time.as_ref()),
        "derivation": feature.derivation,
        "purpose": feature.purpose,
    })
}

fn matter_json(matter: &Matter) -> Value {
    json!({
        "matter_id": matter.matter_id,
        "type": matter.r#type,
        "state": value::name(matter.state().as_str_name(), "MATTER_STATE_"),
        "opened_time": value::time(matter.opened_time.as_ref()),
        "updated_time": value::time(matter.updated_time.as_ref()),
        "sessions": matter.sessions,
        "reopenings": matter.reopenings,
        "channel": matter.channel,
    })
}

fn fact_json(fact: &FactReading) -> Value {
    json!({
        "key": fact.key,
        "value": fact.value.as_ref().map_or(Value::Null, value::json),
        "state": value::name(fact.state().as_str_name(), "FACT_STATE_"),
        "channel": fact.channel,
        "source": fact.source,
        "purpose": fact.purpose,
        "told_time": value::time(fact.told_time.as_ref()),
        "expire_time": value::time(fact.expire_time.as_ref()),
        "declared": fact.declared,
    })
}

fn consent_json(consent: &ConsentReading) -> Value {
    json!({
        "purpose": consent.purpose,
        "allowed": consent.allowed,
        "state": value::name(consent.state().as_str_name(), "CONSENT_STATE_"),
        "source": consent.source,
        "text_version": consent.text_version,
        "event_time": value::time(consent.event_time.as_ref()),
    })
}

fn interaction_json(interaction: &Interaction) -> Value {
    json!({
        "time": value::time(interaction.time.as_ref()),
        "kind": interaction.kind,
        "name": interaction.name,
        "channel": interaction.channel,
        "matter_id": interaction.matter_id,
        "action_id": interaction.action_id,
    })
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use tactful_proto::v1::{self, MatterState, value::Kind};

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn matters() -> [Matter; 2] {
        let matter = Matter {
            matter_id: "fault:9".into(),
            r#type: "fault".into(),
            state: MatterState::WaitingOnCompany.into(),
            opened_time: at(500),
            updated_time: at(900),
            reopenings: 1,
            channel: "phone".into(),
            sessions: 3,
        };
        let settled = Matter {
            matter_id: "fault:2".into(),
            r#type: "fault".into(),
            state: MatterState::Confirmed.into(),
            sessions: 1,
            ..Matter::default()
        };
        [matter, settled]
    }

    fn consents() -> [ConsentReading; 2] {
        let service = ConsentReading {
            purpose: "service".into(),
            allowed: true,
            state: ConsentState::Default.into(),
            ..ConsentReading::default()
        };
        let marketing = ConsentReading {
            purpose: "marketing".into(),
            allowed: false,
            state: ConsentState::Recorded.into(),
            source: "form".into(),
            text_version: "v2".into(),
            event_time: at(1_000),
        };
        [service, marketing]
    }

    fn language() -> FactReading {
        FactReading {
            key: "language".into(),
            value: Some(v1::Value { kind: Some(Kind::Text("de".into())) }),
            state: FactState::Present.into(),
            channel: "bot".into(),
            source: "chat".into(),
            purpose: "service".into(),
            told_time: at(1_000),
            expire_time: at(2_000),
            declared: false,
        }
    }

    fn response() -> GetContextResponse {
        let age = FeatureReading {
            name: "customer.age".into(),
            value: Some(v1::Value { kind: Some(Kind::Number(44.0)) }),
            state: FeatureState::Present.into(),
            evidence_time: at(1_000),
            derivation: "last of trait age".into(),
            purpose: "service".into(),
        };
        let denied = FeatureReading {
            name: "customer.income".into(),
            state: FeatureState::Denied.into(),
            ..FeatureReading::default()
        };
        let event = Interaction {
            time: at(900),
            kind: "event".into(),
            name: "Fault Reported".into(),
            ..Interaction::default()
        };
        let missing = FeatureReading {
            name: "customer.tenure".into(),
            state: FeatureState::Missing.into(),
            ..FeatureReading::default()
        };
        let ([open, settled], [service, marketing]) = (matters(), consents());
        GetContextResponse {
            subject_id: "customer:42".into(),
            known: true,
            features: vec![age, denied, missing],
            timeline: vec![event],
            open_matters: vec![open],
            confirmed_matters: vec![settled],
            consents: vec![service, marketing],
            facts: vec![language()],
            feature_watermark: at(1_000),
            server_time: at(1_060),
            subject_ids: vec!["anon:af31".into(), "customer:42".into()],
            subject_ids_truncated: false,
        }
    }

    #[test]
    fn the_text_has_features_matters_and_timeline() {
        let text = response().text();
        for part in [
            "fault:9  fault  waiting on company",
            "last heard  sessions  reopened",
            "1 x",
            "confirmed matters\n",
            "fault:2  fault  confirmed",
            "customer.age     44             60 s ago",
            "customer.income  -      denied",
            "language  de     60 s ago  bot      chat    1970-01-01 00:33:20Z  service  undeclared",
            "marketing  no       the customer  60 s ago  form    v2",
            "service    yes      default",
            "nothing known for\n  customer.tenure\n",
            "1970-01-01 00:15:00Z  event  Fault Reported",
            "one customer with\n  anon:af31\n",
        ] {
            assert!(text.contains(part), "{part} not in\n{text}");
        }
        assert!(GetContextResponse::default().text().contains("nothing was ever heard"));
        let alone = GetContextResponse { subject_ids: vec!["customer:42".into()], ..response() };
        assert!(!alone.text().contains("one customer with"));
        assert!(GetContextResponse { subject_ids_truncated: true, ..alone }.text().contains("and more than are read"));
    }

    #[test]
    fn the_json_has_the_names_of_the_api() {
        let json = response().json();
        assert_eq!(json["features"][0]["value"], 44.0);
        assert_eq!(json["subject_ids"], json!(["anon:af31", "customer:42"]));
        assert_eq!(json["features"][1]["value"], Value::Null);
        assert_eq!(json["open_matters"][0]["state"], "waiting_on_company");
        assert_eq!(json["open_matters"][0]["sessions"], 3);
        assert_eq!(json["confirmed_matters"][0]["matter_id"], "fault:2");
        assert_eq!(
            (&json["consents"][1]["allowed"], &json["consents"][1]["state"]),
            (&json!(false), &json!("recorded"))
        );
        assert_eq!((&json["facts"][0]["value"], &json["facts"][0]["declared"]), (&json!("de"), &json!(false)));
        assert_eq!(json["timeline"][0]["time"], "1970-01-01T00:15:00Z");
    }
}
