//! Reads Rust just well enough to count: where code is, and how long each function.
//!
//! It is no parser. Comments, strings and character literals are blanked out, then words and braces
//! are matched; macros that invent their own syntax are taken as they look.

/// A function with its first line and its length in lines, signature and closing brace included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// From 1.
    pub(super) line: usize,
    pub(super) lines: usize,
}

/// The source with everything that is no code replaced by blanks; lines keep their places.
pub(super) fn mask(source: &str) -> String {
    let characters: Vec<char> = source.chars().collect();
    let mut masked = String::with_capacity(source.len());
    let mut at = 0;
    while at < characters.len() {
        let end = match blank_end(&characters, at) {
            Some(end) => {
                let blanked = characters[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' });
                masked.extend(blanked);
                end
            }
            None => {
                masked.push(characters[at]);
                at + 1
            }
        };
        at = end;
    }
    masked
}

/// All functions with a body, in the order of their starts; nested ones count for both.
pub(super) fn functions(source: &str) -> Vec<Function> {
    let tokens = tokens(&mask(source));
    let mut found = Vec::new();
    for (index, (line, token)) in tokens.iter().enumerate() {
        let Some((_, name)) = tokens.get(index + 1) else { break };
        // `fn(` is the type of a pointer, not a function.
        if token != "fn" || !name.starts_with(is_word) {
            continue;
        }
        if let Some(last) = body_end(&tokens[index + 2..]) {
            found.push(Function { name: name.clone(), line: *line, lines: last - line + 1 });
        }
    }
    found
}

/// Words and single signs with their lines.
fn tokens(masked: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for (number, text) in masked.lines().enumerate() {
        let mut word = String::new();
        for character in text.chars().chain(std::iter::once(' ')) {
            if is_word(character) {
                word.push(character);
                continue;
            }
            if !word.is_empty() {
                found.push((number + 1, std::mem::take(&mut word)));
            }
            if !character.is_whitespace() {
                found.push((number + 1, character.to_string()));
            }
        }
    }
    found
}

/// Line of the brace that closes the body; nothing for a declaration without one.
fn body_end(tokens: &[(usize, String)]) -> Option<usize> {
    // The body opens outside all parentheses and brackets of the signature.
    let (mut nested, mut braces) = (0usize, 0usize);
    for (line, token) in tokens {
        match token.as_str() {
            "(" | "[" if braces == 0 => nested += 1,
            ")" | "]" if braces == 0 => nested = nested.saturating_sub(1),
            ";" if braces == 0 && nested == 0 => return None,
            "{" if nested == 0 => braces += 1,
            "}" if nested == 0 && braces > 0 => {
                braces -= 1;
                if braces == 0 {
                    return Some(*line);
                }
            }
            _ => {}
        }
    }
    None
}

/// End of the comment or literal that starts here, if one does.
fn blank_end(text: &[char], at: usize) -> Option<usize> {
    match text[at] {
        '/' if text.get(at + 1) == Some(&'/') => Some(find(text, at, '\n')),
        '/' if text.get(at + 1) == Some(&'*') => Some(block_comment_end(text, at)),
        '"' => Some(string_end(text, at)),
        '\'' => character_end(text, at),
        'r' | 'b' | 'c' if at == 0 || !is_word(text[at - 1]) => raw_string_end(text, at),
        _ => None,
    }
}

fn block_comment_end(text: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0usize, start);
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string_end(text: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// A quote opens a character literal, or else a lifetime.
fn character_end(text: &[char], start: usize) -> Option<usize> {
    match (text.get(start + 1)?, text.get(start + 2)) {
        ('\\', _) => Some((find(text, start + 3, '\'') + 1).min(text.len())),
        (_, Some('\'')) => Some(start + 3),
        _ => None,
    }
}

/// `r"..."`, `br#"..."#` and the like; anything else that starts so is a word.
fn raw_string_end(text: &[char], start: usize) -> Option<usize> {
    let prefix = text[start..].iter().take(2).take_while(|c| matches!(c, 'r' | 'b' | 'c')).count();
    if text[start + prefix - 1] != 'r' {
        return None;
    }
    let hashes = text[start + prefix..].iter().take_while(|c| **c == '#').count();
    let open = start + prefix + hashes;
    if text.get(open) != Some(&'"') {
        return None;
    }
    let closes =
        |at: usize| text[at] == '"' && text[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    let end = (open + 1..text.len()).find(|at| closes(*at)).map_or(text.len(), |at| at + 1 + hashes);
    Some(end)
}

fn find(text: &[char], from: usize, wanted: char) -> usize {
    (from..text.len()).find(|at| text[*at] == wanted).unwrap_or(text.len())
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(source: &str) -> Vec<(String, usize, usize)> {
        functions(source).into_iter().map(|f| (f.name, f.line, f.lines)).collect()
    }

    fn one(name: &str, line: usize, lines: usize) -> Vec<(String, usize, usize)> {
        vec![(name.into(), line, lines)]
    }

    #[test]
    fn braces_in_text_and_comments_do_not_count() {
        let source =
            "fn a() {\n  let s = \"}\\\"}\"; // }\n  let c = '}'; /* } /* } */ } */\n  let r = r#\"}\"}\"#;\n}\n";
        assert_eq!(lengths(source), one("a", 1, 5));
    }

    #[test]
    fn lifetimes_are_no_characters() {
        assert_eq!(lengths("fn a<'a>(x: &'a str) -> &'a str {\n  let q = '\\'';\n  x\n}"), one("a", 1, 4));
        assert_eq!(lengths("fn b() { let x = ['a', '\\u{7d}', '{']; }"), one("b", 1, 1));
    }

    #[test]
    fn byte_and_c_strings_are_strings() {
        assert_eq!(lengths("fn a() {\n let b = (b\"}\", br##\"}\"#}\"##, b'}', c\"}\", cr\"}\");\n}"), one("a", 1, 3));
        assert_eq!(lengths("fn a() {\n let r#type = bar; let abr = 1;\n}"), one("a", 1, 3));
    }

    #[test]
    fn declarations_pointers_and_arrays_in_signatures() {
        let source = "trait T {\n  fn no_body(&self, x: [u8; 4]);\n  fn body(f: fn(u8) -> u8, x: [u8; 2]) -> [u8; 2] {\n    x\n  }\n}";
        assert_eq!(lengths(source), one("body", 3, 3));
    }

    #[test]
    fn nested_functions_count_for_both() {
        let source = "fn outer() {\n  fn inner() {\n  }\n  if x { y() }\n}";
        assert_eq!(lengths(source), vec![("outer".into(), 1, 5), ("inner".into(), 2, 2)]);
    }

    #[test]
    fn masking_keeps_lines_and_drops_text() {
        let masked = mask("a \"x\ny\" b // c\nd");
        assert_eq!(masked.lines().count(), 3);
        assert!(!masked.contains('x') && !masked.contains('c') && masked.contains('b') && masked.contains('d'));
        // Unfinished input ends instead of running over.
        for unfinished in ["\"abc", "/* abc", "r#\"abc", "'", "'\\", "b", "fn"] {
            let _ = functions(unfinished);
        }
    }
}
