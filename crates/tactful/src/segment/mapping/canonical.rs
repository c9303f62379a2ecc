//! Records with one spelling for each key, and their hash.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::super::{Refused, shorten};

/// Bytes of the hash that make a message id: enough that no two records of a company share one.
const HASH_BYTES: usize = 16;

/// The record with every alias replaced by its key, in inner objects as well.
///
/// # Errors
/// If an object has two spellings of one key.
pub(super) fn joined(
    object: &Map<String, Value>,
    aliases: &BTreeMap<String, String>,
    path: &str,
) -> Result<Map<String, Value>, Refused> {
    let mut joined = Map::new();
    for (key, value) in object {
        let to = aliases.get(key).unwrap_or(key);
        let place = if path.is_empty() { shorten(key) } else { format!("{path}.{}", shorten(key)) };
        if joined.insert(to.clone(), inner(value, aliases, &place)?).is_some() {
            return Err(Refused::field(place, format!("another spelling of {to} is there as well; send one of them")));
        }
    }
    Ok(joined)
}

fn inner(value: &Value, aliases: &BTreeMap<String, String>, path: &str) -> Result<Value, Refused> {
    match value {
        Value::Object(object) => joined(object, aliases, path).map(Value::Object),
        Value::Array(items) => {
            let items = items.iter().map(|item| inner(item, aliases, path)).collect::<Result<_, _>>()?;
            Ok(Value::Array(items))
        }
        other => Ok(other.clone()),
    }
}

/// Hash of a record as text: equal for equal keys and values, in whatever order they were written.
pub(super) fn hash(record: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_object(record, &mut text);
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("hash:{hex}")
}

fn write_object(object: &Map<String, Value>, out: &mut String) {
    // Sorted here, whatever order the map keeps.
    let sorted: BTreeMap<&String, &Value> = object.iter().collect();
    out.push('{');
    for (key, value) in sorted {
        // A text is written with its quotes and escapes, so that no two records are written alike.
        out.push_str(&Value::from(key.as_str()).to_string());
        out.push(':');
        write(value, out);
        out.push(',');
    }
    out.push('}');
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => write_object(object, out),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(item, out);
                out.push(',');
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
