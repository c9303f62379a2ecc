//! Consents on their way in: checked against the purposes of the catalogue, appended, and acknowledged once this
//! node's decisions hold to them.

use tactful_core::decide::FieldError;
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{ConsentBody, Record};
use tactful_proto::v1;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::error::Error;
use crate::intake::{Accepted, Intake, Refusal, listed, meant, refusal, short, subject};
use crate::record::{Domain, message_hash};

impl Engine {
    /// Takes in what a customer says of one purpose. Answers its position once it is durable and this node's next
    /// decision holds to it; of a node that lies behind its log, `until` is awaited and not more.
    ///
    /// # Errors
    /// If a field is wrong, or the log refuses.
    pub async fn set_consent(&self, consent: v1::Consent, until: Instant) -> Result<String, Error> {
        let item = v1::IngestItem { item: Some(v1::ingest_item::Item::Consent(consent)) };
        let Accepted { errors, position, .. } = self.ingest(vec![item]).await?;
        if let Some(error) = errors.into_iter().next() {
            let not_found = error.reason == PURPOSE_UNKNOWN;
            return Err(Error::Invalid(vec![FieldError { field: error.field, message: error.message, not_found }]));
        }
        let _behind = self.reach(&position, until).await?;
        Ok(position)
    }
}

const PURPOSE_UNKNOWN: &str = "PURPOSE_UNKNOWN";

impl Intake<'_> {
    /// The record of a consent.
    pub(crate) fn consent(&self, consent: v1::Consent) -> Result<Record, Refusal> {
        subject("subject_id", &consent.subject_id)?;
        short("message_id", &consent.message_id)?;
        short("source", &consent.source)?;
        short("text_version", &consent.text_version)?;
        self.purpose_of_choice(&consent.purpose)?;
        let event_ms = self.time("event_time", consent.event_time.as_ref())?;
        Ok(Record {
            message_hash: message_hash(Domain::Consent, &consent.message_id),
            subject_id: consent.subject_id,
            received_ms: self.now_ms,
            body: Some(Body::Consent(ConsentBody {
                purpose: consent.purpose,
                allowed: consent.allowed,
                source: consent.source,
                text_version: consent.text_version,
                event_ms,
            })),
        })
    }

    /// A purpose of the catalogue that a customer may allow or deny.
    fn purpose_of_choice(&self, purpose: &str) -> Result<(), Refusal> {
        let (service, others) = self.ruleset.schema.purposes().split_first().expect("service is always there");
        let others = others.iter().map(String::as_str);
        let choice = listed(others.clone());
        let choice =
            if choice.is_empty() { "the catalogue declares no other".into() } else { format!("give {choice}") };
        if purpose == service {
            return Err(refusal("PURPOSE_FIXED", "purpose", &format!("is service, which is always allowed: {choice}")));
        }
        self.known_purpose(purpose, others, &choice)
    }

    /// A purpose among these.
    pub(crate) fn known_purpose<'p>(
        &self,
        purpose: &str,
        mut known: impl Iterator<Item = &'p str> + Clone,
        choice: &str,
    ) -> Result<(), Refusal> {
        let all = known.clone();
        if known.any(|known| known == purpose) {
            return Ok(());
        }
        let hint = meant(purpose, all, choice);
        Err(refusal(PURPOSE_UNKNOWN, "purpose", &format!("is no purpose of the catalogue: {hint}")))
    }
}
