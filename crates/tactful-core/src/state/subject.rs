//! Kinds of subject ids, told by their prefix: transient ones of a visitor or a device, and those of
//! customers. It refuses to know what an id stands for beyond that.

use std::borrow::Cow;

/// Before the id of an anonymous visitor.
const ANONYMOUS: &str = "anon:";
/// Before the id of a device.
const DEVICE: &str = "device:";

/// Whether an id is that of an anonymous visitor or a device, by its prefix `anon:` or `device:`;
/// every other id is a customer's.
#[must_use]
pub fn is_transient(subject_id: &str) -> bool {
    subject_id.starts_with(ANONYMOUS) || subject_id.starts_with(DEVICE)
}

/// The subject id of an anonymous visitor: the id as it came if it has the prefix of a transient one,
/// else with `anon:` before it.
#[must_use]
pub fn anonymous_subject(id: &str) -> Cow<'_, str> {
    if is_transient(id) { Cow::Borrowed(id) } else { Cow::Owned(format!("{ANONYMOUS}{id}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_visitors_and_devices_are_told_by_their_prefix() {
        assert!(is_transient("anon:af31") && is_transient("device:9"));
        for id in ["customer:42", "42", "anonymous:1", "devices", "Anon:1", ""] {
            assert!(!is_transient(id), "{id}");
        }
        assert_eq!(anonymous_subject("af31"), "anon:af31");
        assert_eq!(anonymous_subject("anon:af31"), "anon:af31");
        assert_eq!(anonymous_subject("device:9"), "device:9");
    }
}
