//! The transcendental functions of the core. glibc picks variants by CPU, so std's are banned here:
//! `libm` serves single values, and a polynomial with a fixed order of unfused operations serves
//! the scoring kernel, where every path must give the same bits.

/// 2^x, the same bits on every CPU.
#[must_use]
pub fn exp2(x: f64) -> f64 {
    libm::exp2(x)
}

/// Natural logarithm, the same bits on every CPU.
#[must_use]
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// Square root (correctly rounded by IEEE 754, hence the same everywhere).
#[must_use]
pub fn sqrt(x: f64) -> f64 {
    x.sqrt()
}

/// Logistic function 1 / (1 + e^-z), relative error below 4e-7 for |z| <= 80. NaN stays NaN.
/// Written without branches so that loops over it vectorise.
#[must_use]
#[inline(always)]
pub fn sigmoid(z: f32) -> f32 {
    let e = exp_negative(z.abs());
    let small = e / (1.0 + e);
    if z >= 0.0 { 1.0 - small } else { small }
}

/// Logistic function 1 / (1 + e^-z) in double precision. NaN stays NaN.
#[must_use]
pub fn logistic(z: f64) -> f64 {
    let small = libm::exp(-z.abs());
    if z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

/// Quantile of the standard normal distribution at one of 1,024 evenly spaced probabilities, of which the low bits
/// say which: a draw where they are random. From -3.3 to 3.3.
#[must_use]
pub fn normal(bits: usize) -> f32 {
    NORMAL[bits % NORMAL.len()]
}

static NORMAL: std::sync::LazyLock<[f32; 1_024]> =
    std::sync::LazyLock::new(|| std::array::from_fn(|at| normal_quantile((at as f64 + 0.5) / 1_024.0) as f32));

/// Quantile of the standard normal distribution, by bisection of its distribution function: exact to 1e-12, slow.
fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-10.0f64, 10.0f64);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        let below = 0.5 * libm::erfc(-middle / std::f64::consts::SQRT_2);
        if below < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Logit of a probability strictly between 0 and 1.
#[must_use]
pub fn logit(p: f64) -> f64 {
    ln(p / (1.0 - p))
}

/// e^-a for a >= 0; a beyond 80 is taken as 80, NaN stays NaN.
#[inline(always)]
fn exp_negative(a: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, so that the reduced argument is exact (Cody and Waite).
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer.
    let x = -(if a > 80.0 { 80.0 } else { a });
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    // Taylor polynomial of degree 6 on |r| <= ln 2 / 2: relative error below 2e-7.
    let mut p = 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    // The low bits of `shifted` hold n, an integer in -116..=0, so the exponent stays normal. For a
    // NaN the scale is arbitrary, but p is NaN.
    let scale = f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    p * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoid_is_within_its_stated_error() {
        let mut worst = 0.0f64;
        for step in -80_000..=80_000 {
            let z = step as f32 / 1_000.0;
            let exact = 1.0 / (1.0 + libm::exp(-f64::from(z)));
            worst = worst.max(((f64::from(sigmoid(z)) - exact) / exact).abs());
        }
        assert!(worst < 4e-7, "{worst}");
    }

    #[test]
    fn normal_draws_have_mean_0_and_deviation_1() {
        let all: Vec<f64> = (0..1_024).map(|bits| f64::from(normal(bits))).collect();
        let variance = all.iter().map(|x| x * x).sum::<f64>() / 1_024.0;
        assert!(all.iter().sum::<f64>().abs() < 1e-3 && (variance - 1.0).abs() < 0.01, "{variance}");
        assert!((normal_quantile(0.975) - 1.959_964).abs() < 1e-6);
        assert_eq!(normal(1_024 + 7), normal(7));
    }

    #[test]
    fn sigmoid_keeps_the_edges() {
        assert_eq!(sigmoid(0.0), 0.5);
        assert!(sigmoid(f32::NAN).is_nan());
        assert!(sigmoid(f32::INFINITY) == 1.0 && sigmoid(f32::NEG_INFINITY) >= 0.0);
    }
}
