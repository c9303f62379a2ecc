//! The bank's customers, which part each belongs to, and how they become decisions to learn from.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, ensure};
use prost_types::Timestamp;
use tactful_core::{layout::FieldKind, score::ModelInput};
use tactful_proto::v1::{DecisionRow, Outcome, OutcomeType, Value, value::Kind};

/// The column with the answer.
const ANSWER: &str = "y";
/// Known only once the call is over.
const LEAK: &str = "duration";
/// Time of the first decision, seconds since 1970.
const START_S: i64 = 1_200_000_000;

/// Rows of the data with their part.
pub(super) struct Bank {
    train: Vec<Customer>,
    test: Vec<Customer>,
}

/// One customer: what is known before the call, and whether the answer was yes.
pub(super) struct Customer {
    values: BTreeMap<String, Kind>,
    answer: bool,
}

impl Bank {
    /// Reads the data and the part of each row.
    pub(super) fn read(file: &Path, split: &Path) -> Result<Self> {
        let mut parts = csv::Reader::from_path(split).context("the split")?;
        let mut rows = csv::ReaderBuilder::new().delimiter(b';').from_path(file).context("the data")?;
        let header: Vec<String> = rows.headers()?.iter().map(str::to_owned).collect();
        ensure!(header.iter().any(|column| column == ANSWER), "{} has no column {ANSWER}", file.display());
        let mut bank = Self { train: Vec::new(), test: Vec::new() };
        let mut parts = parts.records();
        for row in rows.records() {
            let (row, part) = (row?, parts.next().context("the split ends before the data")??);
            let customer = Customer::of(&header, &row);
            match &part[0] {
                "train" => bank.train.push(customer),
                "test" => bank.test.push(customer),
                other => anyhow::bail!("`{other}` is no part"),
            }
        }
        ensure!(parts.next().is_none(), "the split goes on after the data");
        ensure!(!bank.train.is_empty() && !bank.test.is_empty(), "a part is empty");
        Ok(bank)
    }

    /// One decision for each customer of the training part, with what became of it.
    pub(super) fn decisions(&self) -> impl Iterator<Item = DecisionRow> + '_ {
        self.train.iter().enumerate().map(|(at, customer)| customer.decision(at))
    }

    /// Customers of the test part.
    pub(super) fn test(&self) -> &[Customer] {
        &self.test
    }

    /// Answers of the test part.
    pub(super) fn test_answers(&self) -> Vec<bool> {
        self.test.iter().map(|customer| customer.answer).collect()
    }
}

impl Customer {
    fn of(header: &[String], row: &csv::StringRecord) -> Self {
        let kind = |text: &str| text.parse().map_or_else(|_| Kind::Text(text.to_owned()), Kind::Number);
        let known = header.iter().zip(row).filter(|(name, _)| *name != ANSWER && *name != LEAK);
        let answer = header.iter().zip(row).any(|(name, text)| name == ANSWER && text == "yes");
        Self { values: known.map(|(name, text)| (name.clone(), kind(text))).collect(), answer }
    }

    /// Whether the customer said yes.
    pub(super) fn answer(&self) -> bool {
        self.answer
    }

    /// The inputs of a model, as a decision reads them.
    pub(super) fn inputs(&self, inputs: &[ModelInput]) -> Result<Vec<f32>> {
        let value = |input: &ModelInput| match (self.values.get(&input.name), &input.kind) {
            (Some(Kind::Number(number)), FieldKind::Number | FieldKind::Bool) => Ok(*number as f32),
            (Some(Kind::Text(text)), FieldKind::Category(words)) => {
                Ok(words.iter().position(|word| word == text).unwrap_or(words.len()) as f32)
            }
            _ => anyhow::bail!("the model reads {} in another kind than it was given", input.name),
        };
        inputs.iter().map(value).collect()
    }

    fn decision(&self, at: usize) -> DecisionRow {
        let time = |seconds| Some(Timestamp { seconds: START_S + at as i64 * 60 + seconds, nanos: 0 });
        let accepted = Outcome { r#type: OutcomeType::Accepted.into(), occur_time: time(30), ..Outcome::default() };
        let value = |kind: &Kind| Value { kind: Some(kind.clone()) };
        DecisionRow {
            decision_id: format!("call-{at}"),
            decision_time: time(0),
            subject_id: format!("customer:{at}"),
            action_id: "deposit".into(),
            selection_probability: 1.0,
            features: self.values.iter().map(|(name, kind)| (name.clone(), value(kind))).collect(),
            outcomes: if self.answer { vec![accepted] } else { Vec::new() },
            ..DecisionRow::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn bank(parts: &str) -> Result<Bank> {
        let folder = tempfile::tempdir().unwrap();
        let (file, split) = (folder.path().join("data.csv"), folder.path().join("split.csv"));
        let rows =
            "\"age\";\"job\";\"duration\";\"y\"\n56;\"maid\";261;\"no\"\n57;\"chef\";9;\"yes\"\n30;\"king\";1;\"no\"\n";
        fs::write(&file, rows).unwrap();
        fs::write(&split, format!("part\n{parts}")).unwrap();
        Bank::read(&file, &split)
    }

    #[test]
    fn rows_go_to_their_part_without_what_is_known_too_late() {
        let bank = bank("train\ntrain\ntest\n").unwrap();
        let decisions: Vec<DecisionRow> = bank.decisions().collect();
        assert_eq!(decisions.iter().map(|row| row.outcomes.len()).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(decisions[0].features.keys().map(String::as_str).collect::<Vec<_>>().len(), 2);
        assert!(!decisions[0].features.contains_key(LEAK));
        assert_eq!(bank.test_answers(), [false]);
        let input = |name: &str, kind| ModelInput { name: name.into(), kind };
        let words = FieldKind::Category(vec!["chef".into(), "maid".into()]);
        let inputs = bank.test()[0].inputs(&[input("job", words.clone()), input("age", FieldKind::Number)]).unwrap();
        assert_eq!(inputs, [2.0, 30.0]);
        assert!(bank.test()[0].inputs(&[input("age", words)]).is_err());
    }

    #[test]
    fn a_split_of_other_data_is_refused() {
        assert!(bank("train\ntest\n").is_err());
        assert!(bank("train\ntest\ntest\ntest\n").is_err());
        assert!(bank("train\ntrain\nboth\n").is_err());
        assert!(bank("train\ntrain\ntrain\n").is_err());
    }
}
