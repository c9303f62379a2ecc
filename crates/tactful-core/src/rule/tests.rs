//! Expressions from their source to their truth: what is refused and where, Kleene's tables, folding.

use super::{Expr, ExprError, Program, Truth};
use crate::layout::{Field, FieldKind, Layout};
use crate::limits::EXPRESSION_BYTES_MAX;

fn layout() -> Layout {
    let words = |words: &[&str]| FieldKind::Category(words.iter().map(|word| (*word).into()).collect());
    let fields = [
        ("customer.age", FieldKind::Number),
        ("customer.tenure_days", FieldKind::Number),
        ("customer.vip", FieldKind::Bool),
        ("matter.fault.open", FieldKind::Bool),
        ("customer.tier", words(&["bronze", "silver", "gold"])),
        ("context.intent", words(&["buy", "help"])),
        ("contact.shown_24h", FieldKind::Number),
    ];
    Layout::new(fields.into_iter().map(|(name, kind)| Field { name: name.into(), kind }).collect())
}

fn parse(source: &str) -> Result<Expr, ExprError> {
    Expr::parse(source, &layout())
}

fn truth(source: &str, fields: &[f32]) -> Truth {
    Program::compile(&parse(source).unwrap_or_else(|error| panic!("{source}: {error:?}"))).eval(fields)
}

/// Source, where `^` marks the offset (and is taken out), a part of the message, a part of the hint.
const REFUSED: &[(&str, &str, &str)] = &[
    ("^", "not an expression", "write a condition"),
    ("customer.age >^", "not an expression", ""),
    ("customer.age ^= 3", "not an expression", "compare with =="),
    ("customer.vip ^and true", "not an expression", "&&"),
    ("customer.age > 1 && ^customer.agee > 3", "unknown field customer.agee", "did you mean customer.age?"),
    ("^tenure_days > 3", "unknown field tenure_days", "did you mean customer.tenure_days?"),
    ("^customer > 3", "unknown field customer", ""),
    ("!(^matter.fault)", "unknown field matter.fault", ""),
    ("has(^customer.agge)", "unknown field customer.agge", "did you mean customer.age?"),
    ("has(^age)", "invalid argument to has()", "has takes a field"),
    ("^customer.age", "the number customer.age is no condition", "customer.age > 0"),
    ("customer.vip && ^customer.tier", "the category customer.tier is no condition", "customer.tier == \"bronze\""),
    ("^1 + 2", "the number 3 is no condition", ""),
    ("customer.tier == ^\"golt\"", "\"golt\" is no word of customer.tier", "did you mean \"gold\"?"),
    ("^\"xxxxxx\" != customer.tier", "no word of customer.tier", "\"bronze\", \"silver\", \"gold\""),
    ("customer.tier in [\"gold\", ^\"sliver\"]", "no word of customer.tier", "silver"),
    ("^customer.tier < \"gold\"", "< does not order the category", "==, != or in"),
    ("customer.tier == ^context.intent", "different vocabularies", ""),
    ("customer.tier == ^2", "compares different types", "with a word"),
    ("customer.age == ^\"18\"", "compares different types", "categories only"),
    ("customer.age == ^true", "compares different types", ""),
    ("\"a\" == ^\"a\"", "compares different types", "categories only"),
    ("^customer.vip < true", "< does not order truth values", "== or !="),
    ("(^customer.age > 1) == customer.vip", "== between two conditions", "&&"),
    ("customer.age + ^customer.vip > 1", "+ works on numbers, and the bool customer.vip is none", ""),
    ("-^customer.tier == 1", "- works on numbers", ""),
    ("customer.age in ^customer.tier", "in needs a literal list", "customer.age in [18, 19]"),
    ("customer.age in ^[]", "the list is empty", ""),
    ("customer.age in [1, ^\"x\"]", "in a list of numbers", ""),
    ("customer.age in [1, ^customer.tenure_days]", "literals only", "||"),
    ("^customer.vip in [true]", "neither", ""),
    ("^[1] == [1]", "a list stands only after in", ""),
    ("customer.age > ^16777217", "the integer 16777217 is not exact", "16777216.0"),
    ("customer.age > ^1e39", "does not fit a number", ""),
    ("customer.age > ^9223372036854775807", "is not exact", ""),
    ("customer.age > ^9223372036854775807 + 1", "overflows", ""),
    ("customer.age > ^1 / 2", "leaves a rest", "1.0 / 2.0"),
    ("customer.age / ^0 > 1", "division by 0", ""),
    ("customer.age ^% 2 == 0", "% is not part of rules", ""),
    ("^customer.vip ? true : false", "conditional", "(c && a) || (!c && b)"),
    ("^customer[\"age\"] > 3", "indexing", "customer.age"),
    ("^size(customer.tier) > 3", "unknown function size", ""),
    ("^customer.tier.startsWith(\"g\")", "unknown function startsWith", ""),
    ("^[1, 2].exists(x, x > 1)", "macros that loop", ""),
    ("customer.age != ^null", "null", "has(customer.x)"),
    ("customer.age == ^{1: 2}", "maps", ""),
    ("customer.age > ^b\"x\"", "bytes", ""),
];

#[test]
fn what_is_wrong_is_named_with_its_place_and_a_hint() {
    let mut wrong = Vec::new();
    for (marked, message, hint) in REFUSED {
        let offset = marked.find('^').unwrap();
        let source = marked.replacen('^', "", 1);
        match parse(&source) {
            Ok(expr) => wrong.push(format!("{source} was accepted as {expr:?}")),
            Err(error) => {
                let named = error.message.contains(message) && error.hint.contains(hint);
                if !named || error.offset != offset || error.message.ends_with('.') {
                    wrong.push(format!("{marked}: {error:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    let long = format!("customer.age > 1{}", " ".repeat(EXPRESSION_BYTES_MAX));
    assert!(parse(&long).unwrap_err().message.contains("bytes long"));
    let nested = |levels: usize| {
        (0..levels).fold("customer.vip".to_owned(), |inner, level| {
            format!("(customer.vip {} {inner})", if level % 2 == 0 { "&&" } else { "||" })
        })
    };
    assert!(parse(&nested(32)).unwrap_err().message.contains("nested 33 deep"));
    assert_eq!(truth(&nested(31), &[0.0, 0.0, f32::NAN]), Truth::Unknown, "the deepest that is allowed");
    let sum =
        |levels: usize| (0..levels).fold("customer.age".to_owned(), |inner, _| format!("(customer.age + {inner})"));
    assert!(parse(&format!("1.0 * {} > 0", sum(40))).unwrap_err().message.contains("nested"));
    assert_eq!(truth(&format!("{} == 31", sum(30)), &[1.0]), Truth::True);
    let brackets = format!("{}customer.vip{}", "(".repeat(200), ")".repeat(200));
    let error = parse(&brackets).unwrap_err();
    assert!(error.message.contains("nested too deeply"), "{error:?}");
    assert!((90..=100).contains(&error.offset), "{error:?}");
}

#[test]
fn kleene_tables() {
    let value = |truth: char| match truth {
        'T' => 1.0,
        'F' => 0.0,
        _ => f32::NAN,
    };
    let expected = |truth: char| match truth {
        'T' => Truth::True,
        'F' => Truth::False,
        _ => Truth::Unknown,
    };
    // left, right, and, or
    for row in ["TTTT", "TFFT", "TUUT", "FTFT", "FFFF", "FUFU", "UTUT", "UFFU", "UUUU"] {
        let [left, right, and, or] = row.chars().collect::<Vec<_>>()[..] else { panic!("four") };
        let fields = [0.0, 0.0, value(left), value(right)];
        assert_eq!(truth("customer.vip && matter.fault.open", &fields), expected(and), "{row}");
        assert_eq!(truth("customer.vip || matter.fault.open", &fields), expected(or), "{row}");
        assert_eq!(expected(left).and(expected(right)), expected(and), "{row}");
        assert_eq!(expected(left).or(expected(right)), expected(or), "{row}");
    }
    for (before, after) in [('T', 'F'), ('F', 'T'), ('U', 'U')] {
        assert_eq!(truth("!customer.vip", &[0.0, 0.0, value(before)]), expected(after));
    }
}

#[test]
fn missing_is_unknown_except_to_has() {
    let missing = [f32::NAN; 7];
    for source in [
        "customer.age == 1",
        "customer.age != 1",
        "customer.age < customer.tenure_days",
        "customer.age + 1 > 0",
        "-customer.age in [1, 2]",
        "customer.tier in ['gold', 'silver']",
        "customer.vip == false",
        "customer.vip != matter.fault.open",
    ] {
        assert_eq!(truth(source, &missing), Truth::Unknown, "{source}");
    }
    assert_eq!(truth("customer.tenure_days > customer.age", &[1.0, f32::NAN]), Truth::Unknown);
    assert_eq!(truth("has(customer.age)", &missing), Truth::False);
    assert_eq!(truth("has(matter.fault.open)", &[0.0; 7]), Truth::True);
    assert_eq!(truth("has(customer.age) && customer.age > 1", &missing), Truth::False);
    assert_eq!(truth("customer.age / customer.tenure_days > 0", &[0.0, 0.0]), Truth::Unknown, "0 / 0");
}

#[test]
fn values_compare_as_written() {
    let fields = [20.0, 0.1, 1.0, 0.0, 2.0, 1.0, 3.0];
    for (source, expected) in [
        ("18 <= customer.age", true),
        ("18 > customer.age", false),
        ("customer.tenure_days == 0.1", true),
        ("customer.age == 5 * 4 && customer.age < 60 * 60 * 24", true),
        ("customer.age - contact.shown_24h * 2 == 14.0", true),
        ("customer.age / 8 == 2.5", true),
        ("customer.tier == 'gold' && \"silver\" != customer.tier", true),
        ("customer.tier in ['bronze', 'silver']", false),
        ("customer.age in [1, 20, 20]", true),
        ("customer.vip == true && matter.fault.open != true", true),
        ("customer.vip == matter.fault.open", false),
        ("context.intent == 'help' // a comment", true),
    ] {
        assert_eq!(truth(source, &fields), Truth::from(expected), "{source}");
    }
}

#[test]
fn constants_are_folded_and_what_they_hide_is_not_read() {
    for (source, expected) in [
        ("1 < 2", true),
        ("!true", false),
        ("2 in [1, 2]", true),
        ("1 + 2 * 3 == 7.0", true),
        ("6 / 3 == 2", true),
        ("0.1 + 0.2 == 0.3", true),
        ("false && customer.age > 1", false),
        ("customer.age > 1 || 1 != 2", true),
        ("true != false", true),
    ] {
        let expr = parse(source).unwrap();
        assert!(expr.fields().is_empty(), "{source}: {expr:?}");
        assert_eq!(Program::compile(&expr).eval(&[]), Truth::from(expected), "{source}");
    }
    let expr = parse("customer.vip && (true && customer.age > 1) && !false").unwrap();
    assert_eq!(expr.fields().into_iter().collect::<Vec<_>>(), [0, 2]);
    assert_eq!(expr, parse("customer.vip && 1 < customer.age").unwrap(), "equal however it is written");
}
