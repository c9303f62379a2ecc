//! The scoring kernel: weights of 16 actions interleaved, so that each SIMD lane is one action and
//! each action's sum runs over the columns in one fixed order. Multiply and add stay unfused, so
//! every dispatch path gives the same bits as the scalar one.
//!
//! The one module in which `unsafe` is allowed: calling the AVX2 and AVX-512 builds of the same
//! safe code after the CPU was asked.
#![allow(unsafe_code, reason = "runtime dispatch to target-feature builds of safe code")]
#![allow(clippy::needless_range_loop, reason = "loops over lanes are what the compiler makes SIMD of")]

use std::sync::atomic::{AtomicU8, Ordering};

use crate::math::sigmoid;

/// Actions in a block.
pub const LANES: usize = 16;
/// Blocks scored together: an addition waits for the one before in its own block alone, so the
/// others fill the time.
pub const GROUP: usize = 4;

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

    /// Blocks of actions.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks.len() / (self.columns + 1)
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

    /// Writes the probabilities of some blocks: logistic of bias plus weighted columns. One pass over
    /// their weights, no allocation. Call it within a [`Kernel`].
    ///
    /// # Panics
    /// If a block is beyond the bank or `encoded` is shorter than the columns.
    #[inline(always)]
    pub fn probabilities<const N: usize>(&self, blocks: &[usize; N], encoded: &[f32], out: &mut [[f32; LANES]; N]) {
        let columns = self.columns;
        let encoded = &encoded[..columns];
        // Loops rather than array methods, which are compiled apart and without the wide instructions.
        let mut rows = [&self.blocks[..0]; N];
        let mut sums = [[0.0; LANES]; N];
        for at in 0..N {
            let start = blocks[at] * (columns + 1);
            sums[at] = self.blocks[start];
            rows[at] = &self.blocks[start + 1..][..columns];
        }
        for column in 0..columns {
            for at in 0..N {
                for lane in 0..LANES {
                    sums[at][lane] += rows[at][column][lane] * encoded[column];
                }
            }
        }
        for at in 0..N {
            for lane in 0..LANES {
                out[at][lane] = sigmoid(sums[at][lane]);
            }
        }
    }
}

/// Work that is compiled for each instruction set. What `run` calls must be `#[inline(always)]` to
/// gain by it.
pub trait Kernel {
    /// What it gives.
    type Output;

    /// Does the work; `#[inline(always)]` in every implementation.
    fn run(self) -> Self::Output;
}

/// Runs a kernel with the widest instructions that this CPU has. Which ones never changes a result.
#[inline]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    match level() {
        // SAFETY: `level` answers AVX512 only after the CPU reported avx512f.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { run_avx512(kernel) },
        // SAFETY: `level` answers AVX2 only after the CPU reported avx2.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { run_avx2(kernel) },
        _ => kernel.run(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
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

    /// Scores all actions in groups of `N` blocks.
    struct ScoreAll<'a, const N: usize>(&'a Weights, &'a [f32]);

    impl<const N: usize> Kernel for ScoreAll<'_, N> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn run(self) -> Vec<f32> {
            let Self(weights, encoded) = self;
            let blocks = weights.blocks();
            let mut scores = Vec::new();
            for first in (0..blocks).step_by(N) {
                let mut out = [[0.0; LANES]; N];
                let group = std::array::from_fn(|at| (first + at).min(blocks - 1));
                weights.probabilities::<N>(&group, encoded, &mut out);
                scores.extend_from_slice(out.as_flattened());
            }
            scores
        }
    }

    fn bits(scores: &[f32]) -> Vec<u32> {
        scores.iter().map(|score| score.to_bits()).collect()
    }

    #[test]
    fn every_path_gives_the_bits_of_the_scalar_score() {
        for (actions, columns) in [(1, 1), (16, 64), (33, 7), (1_000, 64), (5, 0)] {
            let (weights, encoded) = filled(actions, columns);
            let logit = |action| weights.of(action).zip(&encoded).fold(weights.bias(action), |sum, (w, x)| sum + w * x);
            let scalar: Vec<u32> = (0..actions).map(|action| sigmoid(logit(action)).to_bits()).collect();
            let same = |scores: Vec<f32>| assert_eq!(bits(&scores[..actions]), scalar);
            same(ScoreAll::<1>(&weights, &encoded).run());
            same(ScoreAll::<GROUP>(&weights, &encoded).run());
            same(dispatch(ScoreAll::<1>(&weights, &encoded)));
            same(dispatch(ScoreAll::<GROUP>(&weights, &encoded)));
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the CPU was asked in the line above.
                same(unsafe { run_avx2(ScoreAll::<GROUP>(&weights, &encoded)) });
            }
        }
    }
}
