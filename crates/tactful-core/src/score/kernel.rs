//! The scoring kernel: a weighted sum runs in 16 partial sums, one for each SIMD lane, which are then
//! added in one fixed tree. Multiply and add stay unfused, so every instruction set gives the bits of
//! the portable code. Weights lie in a row for each action, so that only candidates are ever read.
//!
//! The one module in which `unsafe` is allowed: calling the AVX2 and AVX-512 code after the CPU was
//! asked, and loading rows into registers there. Written out, because what the compiler makes of the
//! portable code differs by an order of magnitude with its mood.
#![allow(unsafe_code, reason = "runtime dispatch to SIMD code")]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m128, __m256, _MM_HINT_T0, _mm_cvtss_f32, _mm_movehl_ps, _mm_prefetch, _mm256_add_ps, _mm256_castpd_ps,
    _mm256_castps_pd, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_load_ps, _mm256_movehdup_ps, _mm256_mul_ps,
    _mm256_permute2f128_ps, _mm256_setzero_ps, _mm256_unpackhi_pd, _mm256_unpacklo_pd, _mm512_add_ps, _mm512_castps_pd,
    _mm512_castps512_ps256, _mm512_extractf64x4_pd, _mm512_load_ps, _mm512_mul_ps, _mm512_setzero_ps,
};
use std::sync::atomic::{AtomicU8, Ordering};

use crate::math::sigmoid;

/// Partial sums of a weighted sum, and actions that are scored together.
pub const LANES: usize = 16;

/// 16 values, aligned so that none is split between two cache lines.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(align(64))]
pub struct Row(pub [f32; LANES]);

/// Puts values into rows: the first 16, the next 16, and so on, filled up with zeros.
#[must_use]
pub fn rows(values: impl ExactSizeIterator<Item = f32>) -> Vec<Row> {
    let mut rows = vec![Row::default(); values.len().div_ceil(LANES)];
    rows.iter_mut().flat_map(|row| &mut row.0).zip(values).for_each(|(place, value)| *place = value);
    rows
}

/// Weights of many actions over the same columns.
#[derive(Debug)]
pub struct Weights {
    columns: usize,
    biases: Vec<f32>,
    largest: f32,
    /// For each action its weights in rows.
    rows: Vec<Row>,
}

impl Weights {
    /// All zero.
    #[must_use]
    pub fn new(actions: usize, columns: usize) -> Self {
        let rows = vec![Row::default(); actions * columns.div_ceil(LANES)];
        Self { columns, biases: vec![0.0; actions], largest: 0.0, rows }
    }

    /// Sets the weights of one action.
    ///
    /// # Panics
    /// If the action is beyond the bank or the number of weights is not that of the columns.
    pub fn set(&mut self, action: usize, bias: f32, weights: impl ExactSizeIterator<Item = f32>) {
        assert_eq!(weights.len(), self.columns);
        self.biases[action] = bias;
        let rows = rows(weights);
        let sizes = rows.iter().flat_map(|row| row.0).map(f32::abs);
        self.largest = sizes.fold(self.largest.max(bias.abs()), f32::max);
        self.rows[action * rows.len()..][..rows.len()].copy_from_slice(&rows);
    }

    /// Bias of one action.
    #[must_use]
    pub fn bias(&self, action: usize) -> f32 {
        self.biases[action]
    }

    /// Size of the largest weight or bias.
    #[must_use]
    pub fn largest(&self) -> f32 {
        self.largest
    }

    /// Weights of one action in column order.
    pub fn of(&self, action: usize) -> impl Iterator<Item = f32> + '_ {
        self.row(action).iter().flat_map(|row| row.0).take(self.columns)
    }

    /// Asks for the weights of an action that will be scored soon: for the first of them, the CPU then
    /// fetches the others by itself.
    #[inline(always)]
    pub fn prefetch(&self, action: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            let first = self.rows.as_ptr().wrapping_add(action * self.columns.div_ceil(LANES));
            // SAFETY: a hint, which reads nothing, wherever it points; SSE is part of x86-64.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(first.cast()) }
        }
    }

    /// Writes the probability of each action: logistic of bias plus weighted columns, four actions in each
    /// of `out`. One pass over their weights, no allocation.
    ///
    /// # Panics
    /// If an action is beyond the bank, or `out` has not a place for each four actions.
    pub fn probabilities(&self, actions: &[usize], encoded: &[Row], out: &mut [[f32; 4]]) {
        assert_eq!(out.len(), actions.len().div_ceil(4), "a place for each action");
        match level() {
            // SAFETY: `level` answers AVX512 only after the CPU reported avx512f.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { probabilities_avx512(self, actions, encoded, out) },
            // SAFETY: `level` answers AVX2 only after the CPU reported avx2.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { probabilities_avx2(self, actions, encoded, out) },
            _ => probabilities(self, actions, out, |rows| rows.map(|row| dot(row, encoded))),
        }
    }

    #[inline(always)]
    fn row(&self, action: usize) -> &[Row] {
        let length = self.columns.div_ceil(LANES);
        &self.rows[action * length..][..length]
    }
}

/// Sum of the products: column c goes to partial sum c mod 16, then the partial sums are added in
/// halves. The zeros that fill the last lanes up change no bit.
#[must_use]
pub fn dot(weights: &[Row], values: &[Row]) -> f32 {
    let mut sums = [0.0; LANES];
    for (weights, values) in weights.iter().zip(values) {
        for (sum, (weight, value)) in sums.iter_mut().zip(weights.0.iter().zip(&values.0)) {
            *sum += weight * value;
        }
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    sums[0]
}

/// Four actions at a time: enough independent sums to keep the adders busy, and what is left of each
/// sum at the end shares registers with the other three.
#[inline(always)]
fn probabilities(weights: &Weights, actions: &[usize], out: &mut [[f32; 4]], dots: impl Fn([&[Row]; 4]) -> [f32; 4]) {
    let (fours, rest) = actions.as_chunks();
    let last: [usize; 4] = std::array::from_fn(|at| rest.get(at).copied().unwrap_or_default());
    for (number, out) in out.iter_mut().enumerate() {
        let four = fours.get(number).unwrap_or(&last);
        let sums = dots(four.map(|action| weights.row(action)));
        *out = std::array::from_fn(|at| weights.biases[four[at]] + sums[at]);
    }
    for out in out.as_flattened_mut() {
        *out = sigmoid(*out);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn probabilities_avx512(weights: &Weights, actions: &[usize], encoded: &[Row], out: &mut [[f32; 4]]) {
    probabilities(weights, actions, out, |rows| {
        let mut sums = [_mm512_setzero_ps(); 4];
        let rows = rows.map(|rows| rows[..encoded.len()].as_ptr());
        for (column, values) in encoded.iter().enumerate() {
            // SAFETY: 16 floats, aligned to 64 bytes.
            let values = unsafe { _mm512_load_ps(values.0.as_ptr()) };
            for (sum, row) in sums.iter_mut().zip(rows) {
                // SAFETY: as above; each action has as many rows as the columns fill.
                let weights = unsafe { _mm512_load_ps(row.add(column).cast()) };
                *sum = _mm512_add_ps(*sum, _mm512_mul_ps(weights, values));
            }
        }
        sums_of_8(sums.map(|sum| {
            let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(sum)));
            _mm256_add_ps(_mm512_castps512_ps256(sum), upper)
        }))
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn probabilities_avx2(weights: &Weights, actions: &[usize], encoded: &[Row], out: &mut [[f32; 4]]) {
    probabilities(weights, actions, out, |rows| {
        let mut sums = [[_mm256_setzero_ps(); 4]; 2];
        let rows = rows.map(|rows| rows[..encoded.len()].as_ptr());
        for (column, values) in encoded.iter().enumerate() {
            for (half, sums) in sums.iter_mut().enumerate() {
                // SAFETY: 8 of 16 floats, aligned to 32 bytes.
                let values = unsafe { _mm256_load_ps(values.0.as_ptr().add(8 * half)) };
                for (sum, row) in sums.iter_mut().zip(rows) {
                    // SAFETY: as above; each action has as many rows as the columns fill.
                    let weights = unsafe { _mm256_load_ps(row.add(column).cast::<f32>().add(8 * half)) };
                    *sum = _mm256_add_ps(*sum, _mm256_mul_ps(weights, values));
                }
            }
        }
        let [lower, upper] = sums;
        sums_of_8(std::array::from_fn(|at| _mm256_add_ps(lower[at], upper[at])))
    });
}

/// The last three steps of the tree for four sums: a step adds the upper half of what is left of each
/// sum to its lower half, and so that no register runs half empty, two sums move into one before it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sums_of_8([a, b, c, d]: [__m256; 4]) -> [f32; 4] {
    let four =
        |low, high| _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high));
    let (ab, cd) = (_mm256_castps_pd(four(a, b)), _mm256_castps_pd(four(c, d)));
    // Lanes now: a a c c | b b d d.
    let two = _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)), _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)));
    let one = _mm256_add_ps(two, _mm256_movehdup_ps(two));
    let (ac, bd): (__m128, __m128) = (_mm256_castps256_ps128(one), _mm256_extractf128_ps::<1>(one));
    [_mm_cvtss_f32(ac), _mm_cvtss_f32(bd), _mm_cvtss_f32(_mm_movehl_ps(ac, ac)), _mm_cvtss_f32(_mm_movehl_ps(bd, bd))]
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
            weights.set(action, next(), row.iter().copied());
        }
        (weights, (0..columns).map(|_| next()).collect())
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
            let values = rows(encoded.iter().copied());
            let all: Vec<usize> = (0..actions).rev().collect();
            let expected: Vec<u32> = all.iter().map(|action| scalar(&weights, *action, &encoded).to_bits()).collect();
            let same = |score: &dyn Fn(&mut [[f32; 4]])| {
                let mut out = vec![[0.0; 4]; actions.div_ceil(4)];
                score(&mut out);
                let bits: Vec<u32> = out.into_flattened().into_iter().take(actions).map(f32::to_bits).collect();
                assert_eq!(bits, expected, "{actions} actions, {columns} columns");
            };
            same(&|out| weights.probabilities(&all, &values, out));
            same(&|out| probabilities(&weights, &all, out, |rows| rows.map(|row| dot(row, &values))));
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the CPU was asked in the line above.
                same(&|out| unsafe { probabilities_avx2(&weights, &all, &values, out) });
            }
        }
    }
}
