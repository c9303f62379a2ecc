//! From text to the syntax tree of the `cel` crate, which parses and nothing else: no type is checked and no
//! name looked up here. What could exhaust the stack is refused before it is parsed.
//!
//! The parser itself bounds nesting by brackets (96). Chains of left-associative operators (`1 + 1 + ...`,
//! `a.b.c...`) nest the tree as well, without a bound of its own, so they are counted here.

use cel::common::ast::{Expr as Syntax, IdedExpr, SourceInfo};

use super::ExprError;
use crate::limits::EXPRESSION_BYTES_MAX;

/// Comparisons, arithmetic operators, selections and brackets of one expression. Each may deepen the tree by
/// one level, which costs the parser up to about 1 KiB of stack: it stays within half of a thread's 2 MiB.
const OPERATORS_MAX: usize = 512;

/// A parsed expression with the places of its nodes.
pub(super) struct Parsed<'a> {
    /// The tree.
    pub(super) tree: IdedExpr,
    source: &'a str,
    info: SourceInfo,
}

/// Parses an expression.
///
/// # Errors
/// Too long, too deep, or not an expression.
pub(super) fn parse(source: &str) -> Result<Parsed<'_>, ExprError> {
    refuse_length(source)?;
    refuse_depth(source)?;
    let parser = cel::parser::Parser::new();
    match parser.parse_with_source_info(source) {
        Ok((tree, info)) => Ok(Parsed { tree, source, info }),
        Err(errors) => Err(syntax_error(source, &errors)),
    }
}

impl Parsed<'_> {
    /// Byte offset of the first character of a node, the brackets around it aside.
    pub(super) fn offset(&self, node: &IdedExpr) -> usize {
        match &node.expr {
            Syntax::Select(select) => self.offset(&select.operand),
            Syntax::Comprehension(looping) => self.offset(&looping.iter_range),
            Syntax::Call(call) => match (&call.target, call.args.first()) {
                (Some(target), _) => self.offset(target),
                // Operators are called `_+_`, `_?_:_`, `@in`; prefix operators `-_` and `!_`.
                (None, Some(left)) if call.func_name.starts_with(['_', '@']) => self.offset(left),
                (None, _) if call.func_name.ends_with('_') => self.token(node),
                (None, _) => self.name_before(self.token(node), &call.func_name),
            },
            _ => self.token(node),
        }
    }

    /// Byte offset of the token that a node is named for: an operator, a dot, an opening bracket.
    pub(super) fn token(&self, node: &IdedExpr) -> usize {
        self.info.offset_for(node.id).map_or(0, |(start, _)| self.source.floor_char_boundary(start as usize))
    }

    /// Byte offset of a function's name, whose bracket opens at `bracket`.
    fn name_before(&self, bracket: usize, name: &str) -> usize {
        self.source[..bracket].rfind(name).unwrap_or(bracket)
    }
}

fn refuse_length(source: &str) -> Result<(), ExprError> {
    if source.len() <= EXPRESSION_BYTES_MAX {
        return Ok(());
    }
    let message = format!("the expression is {} bytes long, more than {EXPRESSION_BYTES_MAX}", source.len());
    Err(ExprError::new(0, message, "split it into several rules"))
}

/// Counts generously: operators within strings and comments count too, so that no trick of quoting hides one.
fn refuse_depth(source: &str) -> Result<(), ExprError> {
    let bytes = source.as_bytes();
    let mut count = 0;
    for (offset, byte) in bytes.iter().enumerate() {
        let after = bytes.get(offset + 1).copied().unwrap_or(b' ');
        let before = offset.checked_sub(1).map_or(b' ', |before| bytes[before]);
        let deepens = match byte {
            b'<' | b'>' | b'*' | b'/' | b'%' | b'+' | b'-' | b'[' | b'(' | b'{' => true,
            b'=' => !matches!(before, b'<' | b'>' | b'!' | b'='),
            b'!' => after == b'=',
            b'.' => !after.is_ascii_digit(),
            b'n' => before == b'i' && !after.is_ascii_alphanumeric() && after != b'_',
            _ => false,
        };
        count += usize::from(deepens);
        if count > OPERATORS_MAX {
            let message = format!("the expression has more than {OPERATORS_MAX} operators, selections and brackets");
            return Err(ExprError::new(offset, message, "split it into several rules"));
        }
    }
    Ok(())
}

/// The first error of the parser in this crate's form.
fn syntax_error(source: &str, errors: &cel::ParseErrors) -> ExprError {
    // Too deep is the cause of the errors before and after it.
    let too_deep = errors.errors.iter().find(|error| error.msg.contains("Recursion limit"));
    if let Some(error) = too_deep {
        let offset = byte_of_position(source, error.pos);
        return ExprError::new(offset, "the brackets are nested too deeply", "they nest at most 96 deep");
    }
    // Errors of the grammar come before those of the tree that was built in spite of them.
    let of_grammar = errors.errors.iter().find(|error| error.msg.starts_with("Syntax error: "));
    let Some(first) = of_grammar.or(errors.errors.first()) else {
        return ExprError::new(0, "not an expression", "");
    };
    let offset = byte_of_position(source, first.pos);
    let text = first.msg.strip_prefix("Syntax error: ").unwrap_or(&first.msg).replace("'<EOF>'", "the end");
    // What would have been expected is a list of every token there is: it helps nobody.
    let text = text.split(" expecting ").next().unwrap_or_default();
    let hint = match text {
        "invalid argument to has() macro" => "has takes a field: has(customer.age)",
        _ if source.trim().is_empty() => "write a condition, for example customer.age >= 18",
        _ if source.contains(" and ") || source.contains(" or ") || source.contains("not ") => "write &&, ||, !",
        _ if lone_equals(source) => "compare with ==",
        _ => "",
    };
    ExprError::new(offset, format!("not an expression: {text}"), hint)
}

/// Whether an `=` stands alone.
fn lone_equals(source: &str) -> bool {
    let bytes = source.as_bytes();
    let is = |offset: Option<usize>, among: &[u8]| {
        offset.and_then(|offset| bytes.get(offset)).is_some_and(|byte| among.contains(byte))
    };
    bytes
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'=' && !is(at.checked_sub(1), b"=<>!") && !is(at.checked_add(1), b"="))
}

/// Byte offset of the parser's line and column, both counted in characters from 1.
fn byte_of_position(source: &str, (line, column): (isize, isize)) -> usize {
    let lines_before = usize::try_from(line - 1).unwrap_or(0);
    let start: usize = source.split_inclusive('\n').take(lines_before).map(str::len).sum();
    start + byte_of_char(&source[start..], usize::try_from(column - 1).unwrap_or(0))
}

/// Byte offset of a character; the end if there are fewer.
fn byte_of_char(source: &str, index: usize) -> usize {
    source.char_indices().nth(index).map_or(source.len(), |(offset, _)| offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_chains_that_are_allowed_parse_on_a_small_stack() {
        let chain = |part: &str, between: &str| vec![part; OPERATORS_MAX / 2].join(between);
        for source in [
            chain("1", " + "),
            chain("a", "."),
            chain("a", " < "),
            chain("1", " in "),
            format!("{}1{}", "(".repeat(90), ")".repeat(90)),
            format!("{}1{}", "[".repeat(90), "]".repeat(90)),
            format!("{}1{}", "a(".repeat(90), ")".repeat(90)),
            vec!["a"; 800].join(" && "),
            format!("{}a", "!".repeat(4_000)),
        ] {
            std::thread::Builder::new()
                .stack_size(1 << 20)
                .spawn(move || assert!(parse(&source).is_ok(), "{source}"))
                .unwrap()
                .join()
                .unwrap();
        }
    }

    #[test]
    fn deeper_is_refused_however_it_is_quoted() {
        for source in [
            vec!["1"; 600].join("+"),
            vec!["a"; 600].join("."),
            vec!["1"; 600].join(" in "),
            vec!["1"; 300].join("+\"\\q&&\"+"),
        ] {
            let error = parse(&source).err().unwrap();
            assert!(error.message.contains("512"), "{error}");
        }
        for (open, close) in [("(", ")"), ("[", "]"), ("a(", ")"), ("{1:", "}"), ("true?", ":1"), ("-(", ")")] {
            let source = format!("{}1{}", open.repeat(400), close.repeat(400));
            assert!(parse(&source).is_err(), "{open}");
        }
    }

    #[test]
    fn offsets_count_bytes_not_characters() {
        let parsed = parse("'\u{e9}\u{1F600}' == b.c").unwrap();
        let Syntax::Call(call) = &parsed.tree.expr else { panic!("a call") };
        assert_eq!(parsed.offset(&call.args[1]), 12);
        assert_eq!(parsed.token(&parsed.tree), 9);
        let error = parse("'\u{e9}\u{1F600}' ==\n 'x' ?").err().unwrap();
        assert_eq!(error.offset, 18, "{error:?}");
    }
}
