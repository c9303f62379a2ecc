//! The scoring kernel: weights of 16 actions interleaved, so that each SIMD lane is one action and
//! each action's sum runs over the columns in one fixed order. Multiply and add stay unfused, so
//! every dispatch path gives the same bits as the scalar one.
//!
//! The one module in which `unsafe` is allowed: calling the AVX2 and AVX-512 builds of the same
//! safe function after the CPU was asked.
#![allow(unsafe_code, reason = "runtime dispatch to target-feature builds of a safe function")]

use std::sync::atomic::{AtomicU8, Ordering};

use crate::math::sigmoid;

/// Actions in a block.
pub const LANES: usize = 16;

/// Weights of many actions over the same columns, in blocks of 16 actions.
#[derive(Debug)]
pub struct Weights {
    columns: usize,
    /// For each block the biases, then a row of 16 weights for each column.
    blocks: Vec<[f32; LANES]>,
}

impl Weights {
    /// All zero.
    #[must_use]
    pub fn new(actions: usize, columns: usize) -> Self {
        Self { columns, blocks: vec![[0.0; LANES]; actions.div_ceil(LANES) * (columns + 1)] }
    }

    /// Sets the lane of one action.
    ///
    /// # Panics
    /// If the action is beyond the bank or the number of weights is not that of the columns.
    pub fn set(&mut self, action: usize, bias: f32, weights: &[f32]) {
        assert_eq!(weights.len(), self.columns);
        let start = (action / LANES) * (self.columns + 1);
        self.blocks[start][action % LANES] = bias;
        for (row, weight) in self.blocks[start + 1..].iter_mut().zip(weights) {
            row[action % LANES] = *weight;
        }
    }

    /// Bias of one action.
    #[must_use]
    pub fn bias(&self, action: usize) -> f32 {
        self.blocks[(action / LANES) * (self.columns + 1)][action % LANES]
    }

    /// Weights of one action in column order.
    pub fn of(&self, action: usize) -> impl Iterator<Item = f32> + '_ {
        let start = (action / LANES) * (self.columns + 1) + 1;
        self.blocks[start..start + self.columns].iter().map(move |row| row[action % LANES])
    }

    /// Probabilities of one block: logistic of bias plus weighted columns. One pass over its
    /// weights, no allocation.
    ///
    /// # Panics
    /// If the block is beyond the bank or `encoded` is shorter than the columns.
    #[inline]
    pub fn probabilities(&self, block: usize, encoded: &[f32], out: &mut [f32; LANES]) {
        let start = block * (self.columns + 1);
        let rows = &self.blocks[start..start + self.columns + 1];
        let encoded = &encoded[..self.columns];
        match level() {
            // SAFETY: `level` answers AVX512 only after the CPU reported avx512f.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { score_avx512(rows, encoded, out) },
            // SAFETY: `level` answers AVX2 only after the CPU reported avx2.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { score_avx2(rows, encoded, out) },
            _ => score(rows, encoded, out),
        }
    }
}

/// The safe path: what the others are compiled from and tested against.
#[inline(always)]
fn score(rows: &[[f32; LANES]], encoded: &[f32], out: &mut [f32; LANES]) {
    let mut sums = rows[0];
    for (row, value) in rows[1..].iter().zip(encoded) {
        for lane in 0..LANES {
            sums[lane] += row[lane] * value;
        }
    }
    *out = sums.map(sigmoid);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn score_avx2(rows: &[[f32; LANES]], encoded: &[f32], out: &mut [f32; LANES]) {
    score(rows, encoded, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn score_avx512(rows: &[[f32; LANES]], encoded: &[f32], out: &mut [f32; LANES]) {
    score(rows, encoded, out);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Level {
    Unknown,
    Portable,
    Avx2,
    Avx512,
}

/// What the CPU offers, asked once. Which path runs never changes a result.
#[inline]
fn level() -> Level {
    static LEVEL: AtomicU8 = AtomicU8::new(Level::Unknown as u8);
    match LEVEL.load(Ordering::Relaxed) {
        1 => Level::Portable,
        2 => Level::Avx2,
        3 => Level::Avx512,
        _ => {
            let detected = detect();
            LEVEL.store(detected as u8, Ordering::Relaxed);
            detected
        }
    }
}

#[cold]
fn detect() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return Level::Avx512;
        }
        if is_x86_feature_detected!("avx2") {
            return Level::Avx2;
        }
    }
    Level::Portable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(actions: usize, columns: usize) -> (Weights, Vec<f32>) {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        let mut weights = Weights::new(actions, columns);
        for action in 0..actions {
            let row: Vec<f32> = (0..columns).map(|_| next()).collect();
            weights.set(action, next(), &row);
        }
        (weights, (0..columns).map(|_| next()).collect())
    }

    #[test]
    fn every_path_gives_the_bits_of_the_scalar_score() {
        for (actions, columns) in [(1, 1), (16, 64), (33, 7), (1_000, 64), (5, 0)] {
            let (weights, encoded) = filled(actions, columns);
            for action in 0..actions {
                let logit = weights.of(action).zip(&encoded).fold(weights.bias(action), |sum, (w, x)| sum + w * x);
                let scalar = sigmoid(logit);
                let block = action / LANES;
                let rows = &weights.blocks[block * (columns + 1)..(block + 1) * (columns + 1)];
                let mut out = [0.0; LANES];
                weights.probabilities(block, &encoded, &mut out);
                assert_eq!(out[action % LANES].to_bits(), scalar.to_bits());
                score(rows, &encoded, &mut out);
                assert_eq!(out[action % LANES].to_bits(), scalar.to_bits());
                #[cfg(target_arch = "x86_64")]
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the CPU was asked in the line above.
                    unsafe { score_avx2(rows, &encoded, &mut out) };
                    assert_eq!(out[action % LANES].to_bits(), scalar.to_bits());
                }
            }
        }
    }
}
