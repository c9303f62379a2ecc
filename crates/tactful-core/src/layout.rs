//! The fields of a decision in order: features (`customer.x`), fields derived from matters and
//! contacts (`matter.x`, `contact.x`), facts (`fact.x`) and context (`context.x`). Rules, models and records name
//! fields; everything compiled holds indices into one vector of f32, in which NaN is missing.

use crate::state::TextMap;

/// What values a field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Any number.
    Number,
    /// 0 or 1.
    Bool,
    /// An index into this vocabulary.
    Category(Vec<String>),
}

impl FieldKind {
    /// Name of the kind in catalogues, artifacts and messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Bool => "bool",
            Self::Category(_) => "category",
        }
    }
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Dotted name, for example `customer.age`.
    pub name: String,
    /// What values it takes.
    pub kind: FieldKind,
}

/// Index of a field in a layout.
pub type FieldIx = usize;

/// The fields of a decision in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    fields: Vec<Field>,
    by_name: TextMap<FieldIx>,
}

impl Layout {
    /// A layout of these fields; a name that comes twice keeps its first place.
    #[must_use]
    pub fn new(fields: Vec<Field>) -> Self {
        let mut by_name = TextMap::default();
        for (index, field) in fields.iter().enumerate() {
            by_name.entry(field.name.as_str().into()).or_insert(index);
        }
        Self { fields, by_name }
    }

    /// The fields in order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Index of a field by its dotted name.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<FieldIx> {
        self.by_name.get(name).copied()
    }

    /// The known name nearest to a mistyped one, if any is near.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.fields.iter().map(|field| field.name.as_str()))
    }

    /// Content hash of names, kinds and vocabularies in order.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut bytes = Vec::new();
        for field in &self.fields {
            push_text(&mut bytes, &field.name);
            push_text(&mut bytes, field.kind.name());
            if let FieldKind::Category(words) = &field.kind {
                words.iter().for_each(|word| push_text(&mut bytes, word));
            }
            bytes.push(0xFF);
        }
        crate::hash::content(&bytes)
    }
}

/// The candidate nearest to `name` by edit distance, if it is near enough to be what was meant.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = (name.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= near)
        .min()
        .map(|(_, candidate)| candidate)
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// Edits between two texts in characters: insert, delete, replace, or swap two neighbours.
fn edit_distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    // The rows of the texts' first i - 2, i - 1 and i characters.
    let (mut before, mut above): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=right.len()).collect());
    for i in 1..=left.len() {
        let mut row = vec![i; right.len() + 1];
        for j in 1..=right.len() {
            let replaced = above[j - 1] + usize::from(left[i - 1] != right[j - 1]);
            row[j] = replaced.min(row[j - 1] + 1).min(above[j] + 1);
            let swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if swapped {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(name: &str) -> Field {
        Field { name: name.into(), kind: FieldKind::Number }
    }

    #[test]
    fn nearest_finds_the_typo_and_not_a_stranger() {
        let layout = Layout::new(vec![number("customer.age"), number("customer.tenure")]);
        assert_eq!(layout.nearest("customer.agee"), Some("customer.age"));
        assert_eq!(layout.nearest("something_else_entirely"), None);
    }

    #[test]
    fn a_distance_counts_edits_and_a_swap_is_one() {
        let cases = [("web", "web", 0), ("wbe", "web", 1), ("we", "web", 1), ("webb", "web", 1), ("wob", "web", 1)];
        for (left, right, edits) in cases.into_iter().chain([("", "web", 3), ("kitten", "sitting", 3)]) {
            assert_eq!((edit_distance(left, right), edit_distance(right, left)), (edits, edits), "{left} {right}");
        }
        assert_eq!(nearest("wbe", ["web", "app"].into_iter()), Some("web"));
    }

    #[test]
    fn hash_depends_on_order_and_kind() {
        let one = Layout::new(vec![number("a"), number("b")]);
        let other = Layout::new(vec![number("b"), number("a")]);
        assert_ne!(one.hash(), other.hash());
        let flag = Layout::new(vec![Field { name: "a".into(), kind: FieldKind::Bool }, number("b")]);
        assert_ne!(one.hash(), flag.hash());
    }
}
