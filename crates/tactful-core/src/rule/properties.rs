//! Property tests of the rule engine: random typed expressions over a small layout, random vectors with
//! missing, infinite and exactly hit values, each answer against a slower independent one.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{Arithmetic, Expr, MaskIndex, Node, Operand, Program, RuleSpec, Truth, passes};
use crate::layout::{Field, FieldKind, Layout};

const NUMBERS: [&str; 4] = ["customer.age", "customer.spend", "contact.shown_24h", "fact.rooms"];
const BOOLS: [&str; 3] = ["customer.vip", "matter.fault.open", "fact.moves"];
const CATEGORIES: [&str; 3] = ["customer.tier", "context.tier", "fact.tier"];
const WORDS: [&str; 3] = ["bronze", "silver", "gold"];
/// Literals: few, so that values hit them, and sums and products of them are exact in f32.
const LITERALS: [&str; 9] = ["-2.0", "-1.0", "-0.5", "0.0", "0.5", "1.0", "2.0", "3.0", "18.0"];
const ACTIONS: usize = 70;
/// What mutations put into a source.
const PIECES: [&str; 40] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\\",
    ".",
    ",",
    "?",
    ":",
    "!",
    "-",
    "--1",
    "&&",
    "||",
    "==",
    "=",
    "<",
    ">=",
    "in",
    "has(",
    "null",
    "1u",
    "0x1f",
    "1e400",
    "9223372036854775808",
    "r'",
    "b\"x\"",
    "'''",
    "//",
    "\u{e9}",
    "\u{1F600}",
    "`a`",
    "@",
    "$",
    ".map(x, x)",
    ".all(x, x > 1)",
];

fn layout() -> Layout {
    let of = |name: &&str, kind: FieldKind| Field { name: (*name).into(), kind };
    let words = || FieldKind::Category(WORDS.map(String::from).to_vec());
    let fields = NUMBERS.iter().map(|name| of(name, FieldKind::Number));
    let fields = fields.chain(BOOLS.iter().map(|name| of(name, FieldKind::Bool)));
    Layout::new(fields.chain(CATEGORIES.iter().map(|name| of(name, words()))).collect())
}

/// The source of a number; `exact` leaves out division by fields.
fn number(exact: bool) -> BoxedStrategy<String> {
    let literal = prop::sample::select(&LITERALS[..]).prop_map(String::from);
    let field = prop::sample::select(&NUMBERS[..]).prop_map(String::from);
    let leaf = prop_oneof![2 => literal, 3 => field].boxed();
    let signs = if exact { &["+", "-", "*"][..] } else { &["+", "-", "*", "/"][..] };
    leaf.prop_recursive(2, 4, 2, move |inner| {
        prop_oneof![
            4 => inner.clone(),
            2 => (inner.clone(), prop::sample::select(signs), inner.clone())
                .prop_map(|(left, sign, right)| format!("({left} {sign} {right})")),
            1 => inner.clone().prop_map(|inner| format!("-({inner})")),
            1 => inner.prop_map(|inner| format!("({inner} / 2.0)")),
        ]
    })
    .boxed()
}

/// The source of a condition without logic.
fn atom(exact: bool) -> BoxedStrategy<String> {
    let sign = prop::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]);
    let equality = prop::sample::select(&["==", "!="][..]);
    let field = prop::sample::select(&NUMBERS[..]);
    let literal = prop::sample::select(&LITERALS[..]);
    let flag = prop::sample::select(&BOOLS[..]);
    let category = prop::sample::select(&CATEGORIES[..]);
    let word = prop::sample::select(&WORDS[..]);
    let literals = prop::collection::vec(literal.clone(), 1..4);
    let words = prop::collection::vec(word.clone(), 1..4);
    let some_field = prop::sample::select([&NUMBERS[..], &BOOLS[..], &CATEGORIES[..]].concat());
    prop_oneof![
        6 => (field.clone(), sign.clone(), literal.clone()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
        2 => (literal, sign.clone(), field.clone()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
        2 => (number(exact), sign, number(exact)).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
        2 => (number(exact), literals).prop_map(|(a, list)| format!("{a} in [{}]", list.join(", "))),
        2 => (category.clone(), equality.clone(), word.clone()).prop_map(|(a, sign, b)| format!("{a} {sign} '{b}'")),
        1 => (word, equality.clone()).prop_map(|(a, sign)| format!("\"{a}\" {sign} customer.tier")),
        1 => equality.clone().prop_map(|sign| format!("customer.tier {sign} context.tier")),
        2 => (category, words).prop_map(|(a, list)| format!("{a} in ['{}']", list.join("', '"))),
        2 => flag.clone().prop_map(String::from),
        1 => (flag, equality.clone(), any::<bool>()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
        1 => equality.prop_map(|sign| format!("customer.vip {sign} matter.fault.open")),
        2 => some_field.prop_map(|a| format!("has({a})")),
        1 => any::<bool>().prop_map(|truth| truth.to_string()),
    ]
    .boxed()
}

/// The source of a condition.
fn condition(exact: bool) -> BoxedStrategy<String> {
    atom(exact)
        .prop_recursive(4, 16, 3, |inner| {
            prop_oneof![
                1 => inner.clone().prop_map(|inner| format!("!({inner})")),
                3 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" && "))),
                3 => prop::collection::vec(inner, 2..4).prop_map(|parts| format!("({})", parts.join(" || "))),
            ]
        })
        .boxed()
}

/// A vector of fields: often at a literal, or next to one, missing, or infinite.
fn vector() -> impl Strategy<Value = Vec<f32>> {
    let near = prop::sample::select(&LITERALS[..]).prop_map(|literal| literal.parse::<f32>().unwrap());
    let number = prop_oneof![
        4 => near.clone(),
        2 => near.clone().prop_map(f32::next_up),
        2 => near.prop_map(f32::next_down),
        2 => Just(f32::NAN),
        1 => prop::sample::select(&[f32::INFINITY, f32::NEG_INFINITY, -0.0, f32::MAX][..]),
        1 => any::<f32>(),
    ];
    let flag = prop::sample::select(&[0.0, 1.0, f32::NAN][..]);
    let word = prop::sample::select(&[0.0, 1.0, 2.0, f32::NAN][..]);
    (
        prop::collection::vec(number, NUMBERS.len()),
        prop::collection::vec(flag, BOOLS.len()),
        prop::collection::vec(word, CATEGORIES.len()),
    )
        .prop_map(|(numbers, flags, words)| [numbers, flags, words].concat())
}

/// A vector without missing values whose arithmetic is exact in f32 and f64 alike.
fn exact_vector() -> impl Strategy<Value = Vec<f32>> {
    let number = prop::sample::select(&LITERALS[..]).prop_map(|literal| literal.parse::<f32>().unwrap());
    let flag = prop::sample::select(&[0.0, 1.0][..]);
    let word = prop::sample::select(&[0.0, 1.0, 2.0][..]);
    (
        prop::collection::vec(number, NUMBERS.len()),
        prop::collection::vec(flag, BOOLS.len()),
        prop::collection::vec(word, CATEGORIES.len()),
    )
        .prop_map(|(numbers, flags, words)| [numbers, flags, words].concat())
}

fn rules() -> impl Strategy<Value = Vec<RuleSpec>> {
    let actions = prop_oneof![
        prop::collection::vec(0..ACTIONS, 0..4),
        Just((0..ACTIONS).collect::<Vec<_>>()),
        Just(vec![0, 63, 64, 69]),
    ];
    let expr = condition(false).prop_filter_map("divides by 0", |source| parse(&source));
    let rule = (expr, any::<bool>(), any::<bool>(), actions)
        .prop_map(|(expr, block, unknown_drops, actions)| RuleSpec { expr, block, unknown_drops, actions });
    prop::collection::vec(rule, 0..12)
}

/// Kleene's logic by the book: `None` is unknown.
fn naive(node: &Node, fields: &[f32]) -> Option<bool> {
    let number = |operand: &Operand| Some(naive_number(operand, fields)).filter(|number| !number.is_nan());
    match node {
        Node::Constant(truth) => Some(*truth),
        Node::Flag(field) => number(&Operand::Field(*field)).map(|value| value != 0.0),
        Node::Has(field) => Some(!fields[*field].is_nan()),
        Node::Compare { comparison, left, right } => Some(comparison.holds(number(left)?, number(right)?)),
        Node::OneOf { operand, values } => {
            let number = number(operand)?;
            Some(values.iter().any(|value| value.value() == number))
        }
        Node::Not(inner) => naive(inner, fields).map(|truth| !truth),
        Node::And(parts) => {
            let truths: Vec<_> = parts.iter().map(|part| naive(part, fields)).collect();
            if truths.contains(&Some(false)) { Some(false) } else { (!truths.contains(&None)).then_some(true) }
        }
        Node::Or(parts) => {
            let truths: Vec<_> = parts.iter().map(|part| naive(part, fields)).collect();
            if truths.contains(&Some(true)) { Some(true) } else { (!truths.contains(&None)).then_some(false) }
        }
    }
}

fn naive_number(operand: &Operand, fields: &[f32]) -> f32 {
    match operand {
        Operand::Constant(constant) => constant.value(),
        Operand::Field(field) => fields[*field],
        Operand::Negate(inner) => -naive_number(inner, fields),
        Operand::Binary { operation, left, right } => {
            let (left, right) = (naive_number(left, fields), naive_number(right, fields));
            match operation {
                Arithmetic::Add => left + right,
                Arithmetic::Subtract => left - right,
                Arithmetic::Multiply => left * right,
                Arithmetic::Divide => left / right,
            }
        }
    }
}

/// A vector as the nested maps that the `cel` interpreter reads.
fn interpreter_context(fields: &[f32]) -> cel::Context<'static, 'static> {
    let text = |value: f32| cel::Value::from(WORDS[value as usize]);
    let float = |value: f32| cel::Value::Float(f64::from(value));
    let map = |entries: Vec<(&str, cel::Value)>| {
        cel::Value::from(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<HashMap<_, _>>())
    };
    let mut context = cel::Context::default();
    let customer = vec![
        ("age", float(fields[0])),
        ("spend", float(fields[1])),
        ("vip", cel::Value::Bool(fields[4] != 0.0)),
        ("tier", text(fields[7])),
    ];
    context.add_variable_from_value("customer", map(customer));
    context.add_variable_from_value("contact", map(vec![("shown_24h", float(fields[2]))]));
    let fault = map(vec![("open", cel::Value::Bool(fields[5] != 0.0))]);
    context.add_variable_from_value("matter", map(vec![("fault", fault)]));
    context.add_variable_from_value("context", map(vec![("tier", text(fields[8]))]));
    let moves = cel::Value::Bool(fields[6] != 0.0);
    context.add_variable_from_value(
        "fact",
        map(vec![("rooms", float(fields[3])), ("moves", moves), ("tier", text(fields[9]))]),
    );
    context
}

/// Parses, unless the random expression divides by a constant 0, which is refused.
fn parse(source: &str) -> Option<Expr> {
    match Expr::parse(source, &layout()) {
        Ok(expr) => Some(expr),
        Err(error) if error.message == "division by 0" => None,
        Err(error) => panic!("{source}: {error} at {}", error.offset),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_program_agrees_with_a_naive_interpreter(
        source in condition(false),
        vectors in prop::collection::vec(vector(), 8),
    ) {
        let Some(expr) = parse(&source) else { return Ok(()) };
        let program = Program::compile(&expr);
        for fields in vectors {
            let expected = naive(expr.root(), &fields).map_or(Truth::Unknown, Truth::from);
            prop_assert_eq!(program.eval(&fields), expected, "{} at {:?}", source, fields);
        }
    }

    #[test]
    fn the_program_agrees_with_the_cel_interpreter_where_nothing_is_missing(
        source in condition(true),
        vectors in prop::collection::vec(exact_vector(), 4),
    ) {
        let program = Program::compile(&Expr::parse(&source, &layout()).unwrap());
        let reference = cel::Program::compile(&source).unwrap();
        for fields in vectors {
            let expected = match reference.execute(&interpreter_context(&fields)) {
                Ok(cel::Value::Bool(truth)) => Truth::from(truth),
                other => panic!("{source} at {fields:?}: {other:?}"),
            };
            prop_assert_eq!(program.eval(&fields), expected, "{} at {:?}", source, fields);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_masks_agree_with_the_single_rules(
        rules in rules(),
        vectors in prop::collection::vec(vector(), 12),
        before in any::<[u64; 2]>(),
    ) {
        let index = MaskIndex::build(ACTIONS, &rules);
        let programs: Vec<Program> = rules.iter().map(|rule| Program::compile(&rule.expr)).collect();
        for fields in vectors {
            let mut out = before;
            index.eligible(&fields, &mut out);
            for action in 0..128 {
                let (word, bit) = (action / 64, action % 64);
                let stays = action < ACTIONS && before[word] >> bit & 1 == 1 && rules.iter().zip(&programs).all(|(rule, program)| {
                    !rule.actions.contains(&action) || passes(program, rule.block, rule.unknown_drops, &fields)
                });
                prop_assert_eq!(out[word] >> bit & 1 == 1, stays, "action {} at {:?}", action, fields);
            }
        }
    }

    #[test]
    fn mutated_expressions_never_panic_and_errors_point_into_the_source(
        source in condition(false),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<prop::sample::Index>()), 1..6),
    ) {
        let text = mutated(&source, &edits);
        match Expr::parse(&text, &layout()) {
            Ok(expr) => {
                let _ = Program::compile(&expr).eval(&[0.0; 10]);
            }
            Err(error) => {
                prop_assert!(error.offset <= text.len() && text.is_char_boundary(error.offset), "{}: {:?}", text, error);
                prop_assert!(!error.message.is_empty());
            }
        }
    }

    #[test]
    fn noise_never_panics(text in "[\\PC\n\t]{0,200}") {
        if let Err(error) = Expr::parse(&text, &layout()) {
            prop_assert!(error.offset <= text.len() && text.is_char_boundary(error.offset), "{}: {:?}", text, error);
        }
    }
}

/// A source with pieces put in, taken out, doubled or exchanged.
fn mutated(source: &str, edits: &[(prop::sample::Index, u8, prop::sample::Index)]) -> String {
    let mut chars: Vec<char> = source.chars().collect();
    for (place, kind, piece) in edits {
        let at = place.index(chars.len() + 1);
        match kind {
            0 => {
                let piece = PIECES[piece.index(PIECES.len())];
                chars.splice(at..at, piece.chars());
            }
            1 => {
                chars.truncate(at);
            }
            2 => {
                let end = (at + 1 + piece.index(8)).min(chars.len());
                chars.drain(at.min(end)..end);
            }
            _ => {
                let other = piece.index(chars.len() + 1);
                let (from, to) = (at.min(other), at.max(other));
                let copy: Vec<char> = chars[from..to].to_vec();
                chars.splice(at..at, copy);
            }
        }
    }
    chars.into_iter().collect()
}
