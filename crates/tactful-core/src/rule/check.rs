//! From the syntax tree to the typed form: looks names up in the layout, checks types, folds constants.
//! It refuses everything that is not comparisons and logic over fields: functions, macros, maps, indexing.

use cel::common::ast::{CallExpr, Expr as Syntax, IdedExpr, LiteralValue, operators};

use super::ExprError;
use super::expr::{Arithmetic, Comparison, Constant, Node, Operand};
use super::operand::Number;
use super::program::STACK_MAX;
use super::syntax::Parsed;
use crate::layout::{Field, FieldIx, FieldKind, Layout, nearest};

/// Checks a parsed expression, which must be a condition.
///
/// # Errors
/// The first thing that is wrong, from the left.
pub(super) fn check(parsed: &Parsed, layout: &Layout) -> Result<Node, ExprError> {
    let checker = Checker { parsed, layout };
    let root = checker.condition(&parsed.tree)?;
    let need = root.stack_need();
    if need > STACK_MAX {
        let message = format!("the expression is nested {need} deep, more than {STACK_MAX}");
        return Err(ExprError::new(0, message, "split it into several rules, or remove brackets"));
    }
    Ok(root)
}

struct Checker<'a> {
    parsed: &'a Parsed<'a>,
    layout: &'a Layout,
}

/// What a part of an expression is.
enum Value<'a> {
    Truth(Node),
    Number(Number),
    Category(FieldIx, &'a [String]),
    Word(&'a str),
}

/// A side of a comparison and where it stands.
struct Side<'a> {
    value: Value<'a>,
    offset: usize,
}

impl<'a> Checker<'a> {
    fn condition(&self, node: &'a IdedExpr) -> Result<Node, ExprError> {
        let side = self.side(node)?;
        match side.value {
            Value::Truth(truth) => Ok(truth),
            other => {
                let hint = match &other {
                    Value::Number(Number::Variable(Operand::Field(field))) => {
                        let name = &self.field(*field).name;
                        format!("compare it, for example {name} > 0, or ask has({name})")
                    }
                    Value::Category(field, words) => {
                        let name = &self.field(*field).name;
                        format!("compare it, for example {name} == \"{}\"", words.first().map_or("", String::as_str))
                    }
                    _ => "compare it with something".into(),
                };
                let message = format!("{} is no condition", self.describe(&other));
                Err(ExprError::new(side.offset, message, hint))
            }
        }
    }

    fn side(&self, node: &'a IdedExpr) -> Result<Side<'a>, ExprError> {
        let offset = self.parsed.offset(node);
        let value = match &node.expr {
            Syntax::Literal(literal) => self.literal(literal, offset)?,
            Syntax::Ident(_) | Syntax::Select(_) => self.name(node, offset)?,
            Syntax::Call(call) => self.call(node, call)?,
            Syntax::List(_) => return Err(ExprError::new(offset, "a list stands only after in", "")),
            Syntax::Comprehension(_) => {
                let message = "macros that loop (all, exists, exists_one, map, filter) are not part of rules";
                return Err(ExprError::new(offset, message, "write the comparisons out"));
            }
            Syntax::Map(_) | Syntax::Struct(_) => {
                return Err(ExprError::new(offset, "maps and messages are not part of rules", ""));
            }
            Syntax::Unspecified => return Err(ExprError::new(offset, "not an expression", "")),
        };
        Ok(Side { value, offset })
    }

    fn literal(&self, literal: &'a LiteralValue, offset: usize) -> Result<Value<'a>, ExprError> {
        match literal {
            LiteralValue::Boolean(truth) => Ok(Value::Truth(Node::Constant(*truth.inner()))),
            LiteralValue::Int(integer) => Ok(Value::Number(Number::Integer(*integer.inner()))),
            LiteralValue::UInt(integer) => {
                let wide = *integer.inner();
                let number = i64::try_from(wide).map_or(Number::Decimal(wide as f64), Number::Integer);
                Ok(Value::Number(number))
            }
            LiteralValue::Double(decimal) => Ok(Value::Number(Number::Decimal(*decimal.inner()))),
            LiteralValue::String(word) => Ok(Value::Word(word.inner())),
            LiteralValue::Bytes(_) => Err(ExprError::new(offset, "bytes are not part of rules", "")),
            LiteralValue::Null => {
                Err(ExprError::new(offset, "null is not part of rules", "ask has(customer.x) whether a field is there"))
            }
        }
    }

    /// A dotted name, or `has` of one.
    fn name(&self, node: &'a IdedExpr, offset: usize) -> Result<Value<'a>, ExprError> {
        let asks = matches!(&node.expr, Syntax::Select(select) if select.test);
        let Some(name) = dotted(node) else {
            let message = "a selection from something that is no name";
            return Err(ExprError::new(offset, message, "fields are named as customer.age"));
        };
        let index = self.layout.index(&name).ok_or_else(|| self.unknown_field(&name, offset))?;
        Ok(match (&self.field(index).kind, asks) {
            (_, true) => Value::Truth(Node::Has(index)),
            (FieldKind::Number, _) => Value::Number(Number::Variable(Operand::Field(index))),
            (FieldKind::Bool, _) => Value::Truth(Node::Flag(index)),
            (FieldKind::Category(words), _) => Value::Category(index, words),
        })
    }

    fn call(&self, node: &'a IdedExpr, call: &'a CallExpr) -> Result<Value<'a>, ExprError> {
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, None, [inner]) => self.condition(inner).map(Node::not).map(Value::Truth),
            (operators::LOGICAL_AND, None, [left, right]) => {
                Ok(Value::Truth(Node::and(self.condition(left)?, self.condition(right)?)))
            }
            (operators::LOGICAL_OR, None, [left, right]) => {
                Ok(Value::Truth(Node::or(self.condition(left)?, self.condition(right)?)))
            }
            (operators::NEGATE, None, [inner]) => {
                let (number, offset) = self.number(inner, "-")?;
                number.negated(offset).map(Value::Number)
            }
            (operators::IN, None, [left, right]) => self.membership(left, right).map(Value::Truth),
            (name, None, [left, right]) => {
                if let Some(comparison) = comparison(name) {
                    self.comparison(comparison, left, right).map(Value::Truth)
                } else if let Some((operation, sign)) = arithmetic(name) {
                    let left = self.number(left, sign)?;
                    Number::combine(operation, left, self.number(right, sign)?).map(Value::Number)
                } else {
                    Err(self.refused_call(node, call))
                }
            }
            _ => Err(self.refused_call(node, call)),
        }
    }

    fn number(&self, node: &'a IdedExpr, sign: &str) -> Result<(Number, usize), ExprError> {
        let side = self.side(node)?;
        match side.value {
            Value::Number(number) => Ok((number, side.offset)),
            other => {
                let message = format!("{sign} works on numbers, and {} is none", self.describe(&other));
                Err(ExprError::new(side.offset, message, ""))
            }
        }
    }

    fn comparison(&self, comparison: Comparison, left: &'a IdedExpr, right: &'a IdedExpr) -> Result<Node, ExprError> {
        let (left, right) = (self.side(left)?, self.side(right)?);
        match (left.value, right.value) {
            (Value::Number(left_number), Value::Number(right_number)) => {
                Ok(compare(comparison, left_number.operand(left.offset)?, right_number.operand(right.offset)?))
            }
            (Value::Category(field, words), Value::Word(word)) => {
                self.ordered_only_numbers(comparison, field, left.offset)?;
                self.word(field, words, word, right.offset).map(|index| equal_to(comparison, field, index))
            }
            (Value::Word(word), Value::Category(field, words)) => {
                self.ordered_only_numbers(comparison, field, right.offset)?;
                self.word(field, words, word, left.offset).map(|index| equal_to(comparison, field, index))
            }
            (Value::Category(one, words), Value::Category(other, other_words)) => {
                self.ordered_only_numbers(comparison, one, left.offset)?;
                self.same_words((one, words), (other, other_words), right.offset)?;
                Ok(compare(comparison, Operand::Field(one), Operand::Field(other)))
            }
            (Value::Truth(left_truth), Value::Truth(right_truth)) => {
                self.truths(comparison, left_truth, right_truth, left.offset)
            }
            (left_value, right_value) => {
                let (one, other) = (self.describe(&left_value), self.describe(&right_value));
                let message = format!("{one} {} {other} compares different types", comparison.sign());
                Err(ExprError::new(right.offset, message, self.mismatch_hint(&left_value, &right_value)))
            }
        }
    }

    /// `==` and `!=` between bool fields and bool literals.
    fn truths(&self, comparison: Comparison, left: Node, right: Node, offset: usize) -> Result<Node, ExprError> {
        let equal = match comparison {
            Comparison::Equal => true,
            Comparison::NotEqual => false,
            other => {
                let message = format!("{} does not order truth values", other.sign());
                return Err(ExprError::new(offset, message, "compare them with == or !="));
            }
        };
        match (left, right) {
            (Node::Constant(truth), node) | (node, Node::Constant(truth)) => {
                Ok(if truth == equal { node } else { Node::not(node) })
            }
            (Node::Flag(left), Node::Flag(right)) => {
                Ok(compare(comparison, Operand::Field(left), Operand::Field(right)))
            }
            _ => {
                let message = format!("{} between two conditions", comparison.sign());
                Err(ExprError::new(offset, message, "join conditions with &&, || and !"))
            }
        }
    }

    fn membership(&self, left: &'a IdedExpr, right: &'a IdedExpr) -> Result<Node, ExprError> {
        let side = self.side(left)?;
        let Syntax::List(list) = &right.expr else {
            let hint = "write, for example, customer.age in [18, 19]";
            return Err(ExprError::new(self.parsed.offset(right), "in needs a literal list", hint));
        };
        if list.elements.is_empty() {
            return Err(ExprError::new(self.parsed.offset(right), "the list is empty, so nothing is in it", ""));
        }
        let operand = match side.value {
            Value::Number(number) => number.operand(side.offset)?,
            Value::Category(field, _) => Operand::Field(field),
            other => {
                let message = format!("in works on numbers and categories, and {} is neither", self.describe(&other));
                return Err(ExprError::new(side.offset, message, ""));
            }
        };
        let category = words_of(self.layout, &operand);
        let mut values = Vec::with_capacity(list.elements.len());
        for element in &list.elements {
            values.push(self.element(element, category)?);
        }
        values.sort_unstable();
        values.dedup();
        Ok(one_of(operand, values))
    }

    /// A literal of the list after `in`: a word if a category is looked for, else a number.
    fn element(&self, node: &'a IdedExpr, category: Option<(FieldIx, &[String])>) -> Result<Constant, ExprError> {
        let element = self.side(node)?;
        match (element.value, category) {
            (Value::Number(number), None) => number.constant(element.offset),
            (Value::Word(word), Some((field, words))) => self.word(field, words, word, element.offset),
            (other, category) => {
                let wanted = if category.is_some() { "words of the category" } else { "numbers" };
                let message = format!("{} in a list of {wanted}", self.describe(&other));
                Err(ExprError::new(element.offset, message, ""))
            }
        }
    }

    /// The constant of a category's word.
    fn word(&self, field: FieldIx, words: &[String], word: &str, offset: usize) -> Result<Constant, ExprError> {
        if let Some(index) = words.iter().position(|known| known == word) {
            return Ok(Constant::word(index));
        }
        let hint = match nearest(word, words.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("its words are {}", some_of(words)),
        };
        let message = format!("\"{word}\" is no word of {}", self.field(field).name);
        Err(ExprError::new(offset, message, hint))
    }

    fn ordered_only_numbers(&self, comparison: Comparison, field: FieldIx, offset: usize) -> Result<(), ExprError> {
        if matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
            return Ok(());
        }
        let message = format!("{} does not order the category {}", comparison.sign(), self.field(field).name);
        Err(ExprError::new(offset, message, "compare it with ==, != or in"))
    }

    fn same_words(
        &self,
        (one, words): (FieldIx, &[String]),
        (other, other_words): (FieldIx, &[String]),
        offset: usize,
    ) -> Result<(), ExprError> {
        if words == other_words {
            return Ok(());
        }
        let (one, other) = (&self.field(one).name, &self.field(other).name);
        let message = format!("the categories {one} and {other} have different vocabularies");
        Err(ExprError::new(offset, message, "compare each with a word"))
    }

    fn unknown_field(&self, name: &str, offset: usize) -> ExprError {
        let ending = format!(".{name}");
        let full = self.layout.fields().iter().map(|field| field.name.as_str()).find(|full| full.ends_with(&ending));
        let hint = match (full.or_else(|| self.layout.nearest(name)), name.strip_prefix("fact.")) {
            (Some(near), _) => format!("did you mean {near}?"),
            (None, Some(key)) => {
                format!(
                    "rules read declared facts only: add [[fact]] with key = \"{key}\" and its kind to the catalogue"
                )
            }
            (None, None) => {
                "fields are features (customer.x), context (context.x), facts (fact.x), matter.x and contact.x".into()
            }
        };
        ExprError::new(offset, format!("unknown field {name}"), hint)
    }

    fn refused_call(&self, node: &'a IdedExpr, call: &CallExpr) -> ExprError {
        let offset = self.parsed.offset(node);
        match call.func_name.as_str() {
            operators::CONDITIONAL => {
                let hint = "write (c && a) || (!c && b)";
                ExprError::new(offset, "the conditional c ? a : b is not part of rules", hint)
            }
            operators::INDEX => ExprError::new(offset, "indexing is not part of rules", "write customer.age"),
            operators::MODULO => ExprError::new(self.parsed.token(node), "the operator % is not part of rules", ""),
            name => {
                let hint = "rules know has(field), comparisons, in, + - * / and && || !";
                ExprError::new(offset, format!("unknown function {name}"), hint)
            }
        }
    }

    fn field(&self, index: FieldIx) -> &'a Field {
        &self.layout.fields()[index]
    }

    /// A value in words.
    fn describe(&self, value: &Value) -> String {
        match value {
            Value::Truth(Node::Constant(truth)) => format!("{truth}"),
            Value::Truth(Node::Flag(field)) => format!("the bool {}", self.field(*field).name),
            Value::Truth(_) => "a condition".into(),
            Value::Number(Number::Integer(integer)) => format!("the number {integer}"),
            Value::Number(Number::Decimal(decimal)) => format!("the number {decimal:?}"),
            Value::Number(Number::Variable(Operand::Field(field))) => format!("the number {}", self.field(*field).name),
            Value::Number(Number::Variable(_)) => "a number".into(),
            Value::Category(field, _) => format!("the category {}", self.field(*field).name),
            Value::Word(word) => format!("the text \"{word}\""),
        }
    }

    fn mismatch_hint(&self, left: &Value, right: &Value) -> String {
        match (left, right) {
            (Value::Word(_), _) | (_, Value::Word(_)) => "texts are compared with categories only".into(),
            (Value::Category(..), _) | (_, Value::Category(..)) => "compare a category with a word in quotes".into(),
            _ => "compare a bool with true or false, a number with a number".into(),
        }
    }
}

/// The dotted name that a chain of selections spells; `None` if it starts at something else than a name.
fn dotted(node: &IdedExpr) -> Option<String> {
    let mut parts = Vec::new();
    let mut node = node;
    loop {
        match &node.expr {
            Syntax::Ident(name) => {
                parts.push(name.as_str());
                parts.reverse();
                return Some(parts.join("."));
            }
            // Only the outermost selection may be a test: has(a.b).c selects from a truth value.
            Syntax::Select(select) if parts.is_empty() || !select.test => {
                parts.push(&select.field);
                node = &select.operand;
            }
            _ => return None,
        }
    }
}

/// The category that an operand is, if it is one.
fn words_of<'a>(layout: &'a Layout, operand: &Operand) -> Option<(FieldIx, &'a [String])> {
    let Operand::Field(field) = operand else { return None };
    match &layout.fields()[*field].kind {
        FieldKind::Category(words) => Some((*field, words)),
        _ => None,
    }
}

/// A comparison of two operands: folded if both are constants, a lone constant put right.
fn compare(comparison: Comparison, left: Operand, right: Operand) -> Node {
    match (left, right) {
        (Operand::Constant(left), Operand::Constant(right)) => {
            Node::Constant(comparison.holds(left.value(), right.value()))
        }
        (left @ Operand::Constant(_), right) => {
            Node::Compare { comparison: comparison.flipped(), left: right, right: left }
        }
        (left, right) => Node::Compare { comparison, left, right },
    }
}

fn equal_to(comparison: Comparison, field: FieldIx, constant: Constant) -> Node {
    compare(comparison, Operand::Field(field), Operand::Constant(constant))
}

/// Membership: folded if the operand is a constant, an equality if there is one value.
fn one_of(operand: Operand, values: Vec<Constant>) -> Node {
    match (operand, values.as_slice()) {
        (Operand::Constant(constant), values) => {
            Node::Constant(values.iter().any(|value| value.value() == constant.value()))
        }
        (operand, [value]) => compare(Comparison::Equal, operand, Operand::Constant(*value)),
        (operand, _) => Node::OneOf { operand, values },
    }
}

fn comparison(function: &str) -> Option<Comparison> {
    Some(match function {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterEqual,
        _ => return None,
    })
}

fn arithmetic(function: &str) -> Option<(Arithmetic, &'static str)> {
    Some(match function {
        operators::ADD => (Arithmetic::Add, "+"),
        operators::SUBSTRACT => (Arithmetic::Subtract, "-"),
        operators::MULTIPLY => (Arithmetic::Multiply, "*"),
        operators::DIVIDE => (Arithmetic::Divide, "/"),
        _ => return None,
    })
}

/// The first words of a vocabulary.
fn some_of(words: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = words.iter().take(SHOWN).map(|word| format!("\"{word}\"")).collect();
    let more = if words.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}
