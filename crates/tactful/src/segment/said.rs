//! What customers say of themselves: line types of our own. Their fields are those of the API in snake_case; a field
//! they do not have is refused as a typo.

use tactful_proto::v1::{Consent, Fact};

use super::{Refused, fields::Fields};

const CONSENT_FIELDS: [&str; 8] =
    ["type", "message_id", "subject_id", "purpose", "allowed", "source", "text_version", "event_time"];
const FACT_FIELDS: [&str; 11] = [
    "type",
    "message_id",
    "subject_id",
    "key",
    "value",
    "purpose",
    "expire_time",
    "event_time",
    "channel",
    "source",
    "matter_id",
];

pub(super) fn fact(fields: &Fields<'_>) -> Result<Fact, Refused> {
    fields.only(&FACT_FIELDS)?;
    let word = |name| Ok(fields.text(name)?.unwrap_or_default().to_owned());
    Ok(Fact {
        message_id: fields.id("message_id")?.unwrap_or_default(),
        subject_id: fields.required_id("subject_id", "the customer who told it")?,
        key: fields.required("key", "what it is about, for example contact_time")?.into(),
        value: fields.value_or_null("value", "what was told; null to take it back")?,
        purpose: word("purpose")?,
        expire_time: fields.time(&["expire_time"])?,
        event_time: fields.time(&["event_time"])?,
        channel: word("channel")?,
        source: word("source")?,
        matter_id: fields.id("matter_id")?.unwrap_or_default(),
    })
}

pub(super) fn consent(fields: &Fields<'_>) -> Result<Consent, Refused> {
    fields.only(&CONSENT_FIELDS)?;
    let allowed = fields.flag("allowed")?;
    Ok(Consent {
        message_id: fields.id("message_id")?.unwrap_or_default(),
        subject_id: fields.required_id("subject_id", "the customer who says so")?,
        purpose: fields.required("purpose", "a purpose of the catalogue, for example marketing")?.into(),
        allowed: allowed.ok_or_else(|| Refused::field("allowed", "missing; true to allow, false to deny"))?,
        source: fields.text("source")?.unwrap_or_default().into(),
        text_version: fields.text("text_version")?.unwrap_or_default().into(),
        event_time: fields.time(&["event_time"])?,
    })
}
