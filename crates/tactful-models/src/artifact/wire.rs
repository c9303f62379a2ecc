//! Measuring encoded messages before they are decoded. A two-byte element on the wire becomes a
//! struct of up to a hundred bytes in memory, so every repeated field is counted against its bound
//! first. Nothing is allocated and nothing is interpreted here.

use super::{BOUNDS, FOREST_FIELD, TREES_BOUND, TREES_IN_ALL_MAX, WORDS_BOUND};

/// Refuses an envelope whose single fields repeat.
pub(super) fn measure_envelope(bytes: &[u8]) -> Result<(), String> {
    let mut counts = [0usize; 3];
    each_field(bytes, |field, _| match field {
        1..=3 => {
            counts[field as usize - 1] += 1;
            Ok(())
        }
        other => Err(format!("the envelope has an unknown field {other}")),
    })?;
    if counts.iter().any(|count| *count > 1) { Err("the envelope repeats a field".into()) } else { Ok(()) }
}

/// Refuses a model with more of anything than is allowed.
pub(super) fn measure_model(bytes: &[u8]) -> Result<(), String> {
    let mut counts = [0usize; BOUNDS.len()];
    let mut trees = 0;
    each_field(bytes, |field, payload| {
        let Some(at) = BOUNDS.iter().position(|(number, _, _)| *number == field) else { return Ok(()) };
        count(&mut counts[at], BOUNDS[at])?;
        match field {
            3 => count_field(payload.unwrap_or_default(), WORDS_BOUND).map(|_| ()),
            5 => each_field(payload.unwrap_or_default(), |field, forest| match field {
                FOREST_FIELD => {
                    trees += count_field(forest.unwrap_or_default(), TREES_BOUND)?;
                    if trees > TREES_IN_ALL_MAX {
                        return Err(format!("more than {TREES_IN_ALL_MAX} trees of all heads"));
                    }
                    Ok(())
                }
                _ => Ok(()),
            }),
            _ => Ok(()),
        }
    })
}

/// Counts one field of a message against its bound.
fn count_field(message: &[u8], bound: (u32, &str, usize)) -> Result<usize, String> {
    let mut counter = 0;
    each_field(message, |field, _| if field == bound.0 { count(&mut counter, bound) } else { Ok(()) })?;
    Ok(counter)
}

fn count(counter: &mut usize, (_, what, max): (u32, &str, usize)) -> Result<(), String> {
    *counter += 1;
    if *counter > max { Err(format!("more than {max} {what}")) } else { Ok(()) }
}

/// Visits the fields of one message: number, and the payload if it is length-delimited.
pub(crate) fn each_field<'a>(
    mut rest: &'a [u8],
    mut visit: impl FnMut(u32, Option<&'a [u8]>) -> Result<(), String>,
) -> Result<(), String> {
    let broken = || "broken or truncated encoding".to_owned();
    while !rest.is_empty() {
        let key = varint(&mut rest).ok_or_else(broken)?;
        let field = u32::try_from(key >> 3).map_err(|_| broken())?;
        let payload = match key & 7 {
            0 => varint(&mut rest).map(|_| None),
            1 => take(&mut rest, 8).map(|_| None),
            2 => varint(&mut rest)
                .and_then(|length| usize::try_from(length).ok())
                .and_then(|length| take(&mut rest, length))
                .map(Some),
            5 => take(&mut rest, 4).map(|_| None),
            _ => None,
        };
        visit(field, payload.ok_or_else(broken)?)?;
    }
    Ok(())
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// A base-128 varint of at most ten bytes.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = take(rest, 1)?[0];
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_bounded_without_decoding() {
        let columns = [0x22, 0x00].repeat(4_097);
        assert_eq!(measure_model(&columns), Err("more than 4096 columns".into()));
        assert_eq!(measure_model(&columns[2..]), Ok(()));
        let mut input = vec![0x1A, 0x82, 0x10];
        input.extend([0x1A, 0x00].repeat(1_025));
        assert_eq!(measure_model(&input), Err("more than 1024 words of an input".into()));
        // Heads of ten thousand empty trees each: two bytes a tree here, a hundred in memory.
        let head = [&[0x3A, 0xA0, 0x9C, 0x01][..], &[0x0A, 0x00].repeat(10_000)].concat();
        let head = [&[0x2A, 0xA4, 0x9C, 0x01][..], &head].concat();
        assert_eq!(measure_model(&head.repeat(104)), Ok(()));
        assert_eq!(measure_model(&head.repeat(105)), Err("more than 1048576 trees of all heads".into()));
    }

    #[test]
    fn broken_encodings_are_refused() {
        for bytes in [&[0x80][..], &[0x0A, 0x05, 0x00], &[0x0B], &[0x09, 0x00], &[0xFF; 11], &[0x0A, 0xFF, 0xFF, 0xFF]]
        {
            assert!(measure_model(bytes).is_err(), "{bytes:?}");
        }
        assert!(measure_envelope(&[0x08, 0x01, 0x08, 0x01]).is_err());
        assert!(measure_envelope(&[0x20, 0x01]).is_err());
    }
}
