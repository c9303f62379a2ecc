//! What a file is, by its first bytes; and for files that people try, what to do instead.

use super::Format;

/// The format of a file.
///
/// # Errors
/// Says what the file seems to be, and how to save it so that it can be read.
pub(super) fn format(bytes: &[u8]) -> Result<Format, String> {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    match text {
        [] => Err("the file is empty".into()),
        [0x80, 2..=5, ..] => Err(
            "this is a pickle, which runs code when it is read and is never opened: save the model in the library's own \
             format (LightGBM text, XGBoost .json) or as .onnx"
                .into(),
        ),
        [0x1F, 0x8B, ..] | [b'P', b'K', 3 | 5, ..] | [0x28, 0xB5, 0x2F, 0xFD, ..] => {
            Err("this is a compressed file: unpack it first".into())
        }
        [0x08, 0x01, 0x12, ..] => Err("this is an artifact of Tactful already: load it as it is".into()),
        [b'{', b'L' | b'l' | b'I' | b'i' | b'U', ..] => Err(ubj()),
        [b'{', ..] if starts_like_a_dump(text) => {
            Err("this is LightGBM's dump as JSON: write the text form with booster.save_model(\"model.txt\")".into())
        }
        [b'{', ..] => Ok(Format::XgBoost),
        [b'[', ..] => Err("this is a dump for people: write the model with booster.save_model(\"model.json\")".into()),
        [b't', b'r', b'e', b'e', b'\n' | b'\r', ..] => Ok(Format::LightGbm),
        [0x08, 2..=20, ..] => Ok(Format::Onnx),
        _ => Err("this is neither LightGBM text nor XGBoost JSON nor ONNX; if it is one of them, name the format".into()),
    }
}

/// How to come from XGBoost's binary JSON, its default, to the one that is read.
pub(super) fn ubj() -> String {
    "this is XGBoost's binary UBJ: save it as JSON with booster.save_model(\"model.json\")".into()
}

fn starts_like_a_dump(text: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&text[..text.len().min(200)]).replace(char::is_whitespace, "");
    start.starts_with("{\"name\":\"tree\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        assert_eq!(format(b"tree\nversion=v4\n"), Ok(Format::LightGbm));
        assert_eq!(format(b"tree\r\nversion=v4\r\n"), Ok(Format::LightGbm));
        assert_eq!(format(b" {\"learner\":{}}"), Ok(Format::XgBoost));
        assert_eq!(format(b"\x08\x0A\x12\x08skl2onnx"), Ok(Format::Onnx));
    }

    #[test]
    fn other_files_are_told_what_to_do() {
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"\x80\x04\x95", "pickle"),
            (b"\x1F\x8B\x08", "unpack"),
            (b"PK\x03\x04", "unpack"),
            (b"\x08\x01\x12\x04", "already"),
            (b"{L\0\0\0\0", "model.json"),
            (b"{\"name\": \"tree\", \"version\": \"v4\"}", "model.txt"),
            (b"[{\"nodeid\": 0}]", "model.json"),
            (b"hello", "neither"),
        ] {
            let refused = format(bytes).unwrap_err();
            assert!(refused.contains(word), "{refused}");
        }
    }
}
