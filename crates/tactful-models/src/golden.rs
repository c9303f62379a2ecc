//! Golden rows: inputs with what linfa itself predicts for them. Here they are drawn and the
//! compiled form is proved on them; a model that is off anywhere is not written.

use tactful_core::hash;
use tactful_core::score::{Model, Scope};

use crate::artifact::GoldenRow;
use crate::error::Error;
use crate::fit::Fitted;
use crate::recipe::GOLDEN_ROWS_MIN;
use crate::table::Table;

/// How far the compiled form may be from the training library.
pub(crate) const TOLERANCE: f64 = 1e-5;

/// Draws golden rows from the rows of every head in turn: every third with one missing input, every
/// sixth with nothing known.
pub(crate) fn draw(table: &Table, heads: &[Fitted], frame: &Model, count: usize, seed: u64) -> Vec<GoldenRow> {
    let count = count.max(heads.len()).max(GOLDEN_ROWS_MIN);
    let number = |draw: usize, part: u64| hash::keyed(seed.wrapping_add(part), &(draw as u64).to_le_bytes()) as usize;
    (0..count)
        .map(|draw| {
            let head = draw % heads.len();
            let rows = &heads[head].rows;
            let mut inputs = Vec::new();
            table.read(rows[number(draw, 0) % rows.len()] as usize, &mut inputs);
            // By round and head, so that every head meets every kind of row.
            match (draw / heads.len() + head) % 6 {
                5 => inputs.fill(f32::NAN),
                1 | 3 if !inputs.is_empty() => {
                    let blank = number(draw, 1) % inputs.len();
                    inputs[blank] = f32::NAN;
                }
                _ => {}
            }
            let probability = heads[head].predict(&frame.encode(&inputs));
            GoldenRow { inputs, head, probability }
        })
        .collect()
}

/// Proves the compiled form on the golden rows.
///
/// # Errors
/// `Error::Mismatch` naming the head, and the input most likely at fault.
pub(crate) fn prove(model: &Model, golden: &[GoldenRow], heads: &[Fitted]) -> Result<(), Error> {
    for row in golden {
        let scored = f64::from(model.probability(row.head, &row.inputs));
        if !reproduces(scored, row.probability) {
            let head = &model.heads[row.head];
            let suspect = heads[row.head]
                .heaviest_column()
                .map(|column| model.inputs[model.columns[column].input()].name.clone());
            let head = match head.scope {
                Scope::Action => format!("head of action {}", head.id),
                Scope::Group => format!("head of group {}", head.id),
                Scope::Global => "shared head".to_owned(),
            };
            return Err(Error::Mismatch { head, scored, predicted: row.probability, suspect });
        }
    }
    Ok(())
}

/// Whether a score is what was predicted; never with a NaN.
pub(crate) fn reproduces(scored: f64, predicted: f64) -> bool {
    (scored - predicted).abs() <= TOLERANCE
}
