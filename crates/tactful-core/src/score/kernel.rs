//! The scoring kernel: a weighted sum runs in 16 partial sums, one for each SIMD lane, which are then
//! added in one fixed tree. Multiply and add stay unfused, so every instruction set gives the bits of
//! the scalar code. Weights lie in a row for each action, so that only candidates are ever read.
//!
//! The one module in which `unsafe` is allowed: calling the AVX2 and AVX-512 builds of the same
//! safe code after the CPU was asked.
#![allow(unsafe_code, reason = "runtime dispatch to target-feature builds of safe code")]

use std::sync::atomic::{AtomicU8, Ordering};

use crate::math::sigmoid;

/// Partial sums of a weighted sum, and actions whose logistic is taken together.
pub const LANES: usize = 16;

/// Values in lanes: the first 16, the next 16, and so on, filled up with zeros.
pub type Lanes = Vec<[f32; LANES]>;

/// Puts values into lanes.
#[must_use]
pub fn lanes(values: &[f32]) -> Lanes {
    let (full, rest) = values.as_chunks();
    let mut lanes = Vec::with_capacity(values.len().div_ceil(LANES));
    lanes.extend_from_slice(full);
    if !rest.is_empty() {
        let mut last = [0.0; LANES];
        last[..rest.len()].copy_from_slice(rest);
        lanes.push(last);
    }
    lanes
}

/// Sum of the products: lane by lane, then the lanes in halves. The zeros that fill the last lanes up
/// change no bit.
#[inline(always)]
#[must_use]
pub fn dot(weights: &[[f32; LANES]], values: &[[f32; LANES]]) -> f32 {
    let mut sums = [0.0; LANES];
    for (weights, values) in weights.iter().zip(values) {
        for lane in 0..LANES {
            sums[lane] += weights[lane] * values[lane];
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// Weights of many actions over the same columns.
#[derive(Debug)]
pub struct Weights {
    columns: usize,
    biases: Vec<f32>,
    /// For each action its weights in lanes.
    rows: Lanes,
}

impl Weights {
    /// All zero.
    #[must_use]
    pub fn new(actions: usize, columns: usize) -> Self {
        let rows = vec![[0.0; LANES]; actions * columns.div_ceil(LANES)];
        Self { columns, biases: vec![0.0; actions], rows }
    }

    /// Sets the weights of one action.
    ///
    /// # Panics
    /// If the action is beyond the bank or the number of weights is not that of the columns.
    pub fn set(&mut self, action: usize, bias: f32, weights: &[f32]) {
        assert_eq!(weights.len(), self.columns);
        self.biases[action] = bias;
        let row = lanes(weights);
        self.rows[action * row.len()..][..row.len()].copy_from_slice(&row);
    }

    /// Bias of one action.
    #[must_use]
    pub fn bias(&self, action: usize) -> f32 {
        self.biases[action]
    }

    /// Weights of one action in column order.
    pub fn of(&self, action: usize) -> impl Iterator<Item = f32> + '_ {
        self.row(action).as_flattened().iter().copied().take(self.columns)
    }

    /// Writes the probabilities of up to 16 actions: logistic of bias plus weighted columns. One pass
    /// over their weights, no allocation. Call it within a [`Kernel`].
    ///
    /// # Panics
    /// If an action is beyond the bank, or there are more than 16.
    #[inline(always)]
    pub fn probabilities(&self, actions: &[usize], encoded: &[[f32; LANES]], out: &mut [f32; LANES]) {
        for (out, action) in out[..actions.len()].iter_mut().zip(actions) {
            *out = self.biases[*action] + dot(self.row(*action), encoded);
        }
        for out in out {
            *out = sigmoid(*out);
        }
    }

    #[inline(always)]
    fn row(&self, action: usize) -> &[[f32; LANES]] {
        let length = self.columns.div_ceil(LANES);
        &self.rows[action * length..][..length]
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

    /// Scores all actions.
    struct ScoreAll<'a>(&'a Weights, &'a [[f32; LANES]]);

    impl Kernel for ScoreAll<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn run(self) -> Vec<f32> {
            let Self(weights, encoded) = self;
            let actions: Vec<usize> = (0..weights.biases.len()).collect();
            let mut scores = Vec::new();
            for actions in actions.chunks(LANES) {
                let mut out = [0.0; LANES];
                weights.probabilities(actions, encoded, &mut out);
                scores.extend_from_slice(&out[..actions.len()]);
            }
            scores
        }
    }

    /// The order of operations in words: column c goes to partial sum c mod 16.
    fn scalar(weights: &Weights, action: usize, encoded: &[f32]) -> f32 {
        let mut sums = [0.0f32; LANES];
        for (column, (weight, value)) in weights.of(action).zip(encoded).enumerate() {
            sums[column % LANES] += weight * value;
        }
        for half in [8, 4, 2, 1] {
            (0..half).for_each(|lane| sums[lane] += sums[lane + half]);
        }
        sigmoid(weights.bias(action) + sums[0])
    }

    #[test]
    fn every_path_gives_the_bits_of_the_scalar_score() {
        for (actions, columns) in [(1, 1), (16, 64), (33, 7), (1_000, 64), (40, 130), (5, 0)] {
            let (weights, encoded) = filled(actions, columns);
            let expected: Vec<u32> = (0..actions).map(|action| scalar(&weights, action, &encoded).to_bits()).collect();
            let same = |scores: Vec<f32>| {
                let bits: Vec<u32> = scores.iter().map(|score| score.to_bits()).collect();
                assert_eq!(bits, expected, "{actions} actions, {columns} columns");
            };
            let encoded = lanes(&encoded);
            same(ScoreAll(&weights, &encoded).run());
            same(dispatch(ScoreAll(&weights, &encoded)));
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the CPU was asked in the line above.
                same(unsafe { run_avx2(ScoreAll(&weights, &encoded)) });
            }
        }
    }
}
