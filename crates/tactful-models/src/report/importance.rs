//! What each input is worth: how much worse the test part is predicted when its values are dealt to
//! other rows at random (permutation importance, Breiman 2001; Fisher, Rudin and Dominici 2019).
//! Inputs that say the same stand in for each other and look less important than they are.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};
use tactful_core::hash;

use crate::metrics::{auc, log_loss};
use crate::score::{Heads, Scored};
use crate::table::Table;

/// Most rows that are predicted again for each input.
const ROWS_MAX: usize = 5_000;
/// Fewest rows, however many inputs there are.
const ROWS_MIN: usize = 50;
/// Predictions for all inputs together, about.
const PREDICTIONS_MAX: usize = 1 << 19;
/// Encoded cells of all these predictions together, about: a second or two.
const CELLS_MAX: usize = 1 << 29;

/// What an input is worth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// Rise of the log loss without it, in nats; below 0 if the test part is better off without it.
    pub log_loss: f64,
    /// Fall of the AUC without it; none if only one answer occurs.
    pub auc: Option<f64>,
    /// Rows that it was measured on.
    pub rows: u64,
}

/// The importance of every input, by input; empty without scored rows.
pub(super) fn of(table: &Table, heads: &Heads<'_>, scored: &[Scored], seed: u64) -> Vec<Importance> {
    let (inputs, columns) = (table.inputs.len(), table.columns.len());
    let rows = spaced(scored, rows(inputs, columns));
    if rows.is_empty() {
        return Vec::new();
    }
    let base = Measured::of(rows.iter().map(|row| (row.probability, row.positive)).collect());
    let mut read = Vec::new();
    let of_input = |input: usize| {
        let mut dealt: Vec<f32> = rows.iter().map(|row| table.input(input)[row.row]).collect();
        let name = table.inputs[input].name.as_bytes();
        dealt.shuffle(&mut Pcg64::seed_from_u64(hash::keyed(seed, name)));
        let score = |(row, value): (&Scored, f32)| {
            table.read(row.row, &mut read);
            read[input] = value;
            (heads.probability(row.head, &read), row.positive)
        };
        let without = Measured::of(rows.iter().zip(dealt).map(score).collect());
        Importance {
            log_loss: without.log_loss - base.log_loss,
            auc: base.auc.zip(without.auc).map(|(base, without)| base - without),
            rows: rows.len() as u64,
        }
    };
    (0..inputs).map(of_input).collect()
}

struct Measured {
    log_loss: f64,
    auc: Option<f64>,
}

impl Measured {
    fn of(pairs: Vec<(f64, bool)>) -> Self {
        let loss = pairs.iter().map(|(p, positive)| log_loss(*p, *positive)).sum::<f64>();
        Self { log_loss: loss / pairs.len() as f64, auc: auc(&pairs) }
    }
}

/// Rows for which the time suffices.
fn rows(inputs: usize, columns: usize) -> usize {
    let inputs = inputs.max(1);
    let affordable = (PREDICTIONS_MAX / inputs).min(CELLS_MAX / (inputs * columns.max(1)));
    affordable.clamp(ROWS_MIN, ROWS_MAX)
}

/// At most so many of the rows, evenly spaced.
fn spaced(scored: &[Scored], max: usize) -> Vec<Scored> {
    let count = scored.len().min(max);
    (0..count).map(|at| scored[at * scored.len() / count]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_inputs_are_measured_on_fewer_rows() {
        assert_eq!(rows(10, 30), ROWS_MAX);
        assert_eq!(rows(1_000, 10), 524);
        assert_eq!(rows(1_024, 4_096), 128);
        assert!(rows(0, 0) == ROWS_MAX && rows(100_000, 100_000) == ROWS_MIN);
    }

    #[test]
    fn rows_are_spaced_over_the_whole_part() {
        let scored: Vec<Scored> =
            (0..10).map(|row| Scored { row, head: 0, probability: 0.5, positive: false }).collect();
        let rows: Vec<usize> = spaced(&scored, 4).iter().map(|row| row.row).collect();
        assert_eq!(rows, [0, 2, 5, 7]);
        assert_eq!(spaced(&scored, 100).len(), 10);
        assert!(spaced(&[], 100).is_empty());
    }
}
