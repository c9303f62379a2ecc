//! Slots and their merges: how one event becomes slots (`lift`), how two states of the same feature
//! become one (`combine`), and how slots read as of now.
//!
//! `combine` is commutative and associative, bit for bit for the exact rules and within rounding for
//! the decayed ones. A slot of all zeros is "no evidence" everywhere. This file refuses to know where
//! a value came from.

use super::window::Window;
use crate::math::exp2;

/// Eight bytes of a feature: the time in Unix seconds above and the bits of an f32 below, or an i64.
pub type Slot = u64;

/// Fixed-point units beyond which one value is refused: up to here every integer is exact in f64.
const UNITS_MAX: f64 = 9_007_199_254_740_992.0;
/// Below this many units a tie is told from its neighbours in spite of the error of the product.
const TIES_TOLD_BELOW: f64 = 1_099_511_627_776.0;

/// How events become one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// An i64.
    Count,
    /// An i64 in units of 10^-scale. Saturates; one value is at most 2^53 units, so that takes a
    /// thousand values at the limit.
    Sum { scale: u8 },
    /// Sum of values, each halved every half-life; the value is as of the latest event's time.
    Decayed { half_life_s: u32 },
    /// Smallest value, of equal ones the latest.
    Min,
    /// Greatest value, of equal ones the latest.
    Max,
    /// Value of the latest event.
    Last,
    /// Value of the earliest event.
    First,
    /// Time of the latest event, read as an age in this unit.
    Since { unit_s: u32 },
    /// Whether there was an event.
    Happened,
    /// Events in a sliding window.
    Window(Window),
}

pub(crate) fn timed(value: f32, time_s: u32) -> Slot {
    u64::from(time_s) << 32 | u64::from(value.to_bits())
}

pub(crate) fn value_of(slot: Slot) -> f32 {
    f32::from_bits(slot as u32)
}

pub(crate) fn time_of(slot: Slot) -> u32 {
    (slot >> 32) as u32
}

impl Rule {
    /// Slots that it takes.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Window(window) => window.width(),
            _ => 1,
        }
    }

    /// Whether every order of the same events gives the same bits.
    pub(crate) fn exact(self) -> bool {
        !matches!(self, Self::Decayed { .. })
    }

    /// What the stored slots depend on, in words: the unit of an age is only read.
    pub(crate) fn stored(self) -> String {
        match self {
            Self::Since { .. } => "Since".into(),
            stored => format!("{stored:?}"),
        }
    }

    /// `slots = combine(slots, lift(event))`. False if the value cannot be held: not finite, or out
    /// of range. No allocation.
    pub(crate) fn absorb(self, slots: &mut [Slot], time_s: u32, value: f64) -> bool {
        if let Self::Window(window) = self {
            // Combining with a lifted event touches one bucket alone; this is that, in place.
            window.record(slots, time_s);
            return true;
        }
        let Some(lifted) = self.lift(time_s, value) else { return false };
        self.combine(slots, &[lifted]);
        true
    }

    /// The state after one event, of rules with one slot.
    fn lift(self, time_s: u32, value: f64) -> Option<Slot> {
        // Adding zero turns -0 into 0: equal values have equal bits.
        let single = value as f32 + 0.0;
        match self {
            Self::Count => Some(1),
            Self::Sum { scale } => fixed(value, scale).map(|units| units as u64),
            Self::Since { .. } => Some(timed(0.0, time_s)),
            Self::Happened => Some(timed(1.0, time_s)),
            _ => single.is_finite().then(|| timed(single, time_s)),
        }
    }

    /// Merges `from` into `into`; both hold this rule's slots.
    pub(crate) fn combine(self, into: &mut [Slot], from: &[Slot]) {
        let (a, b) = (into[0], from[0]);
        into[0] = match self {
            Self::Count | Self::Sum { .. } => (a as i64).saturating_add(b as i64) as u64,
            Self::Decayed { half_life_s } => add_decayed(a, b, half_life_s),
            Self::Min => merge(a, b, |a, b| value_of(b).total_cmp(&value_of(a)).then(time_of(a).cmp(&time_of(b)))),
            Self::Max => merge(a, b, |a, b| value_of(a).total_cmp(&value_of(b)).then(time_of(a).cmp(&time_of(b)))),
            Self::First => merge(a, b, |a, b| time_of(b).cmp(&time_of(a)).then(value_of(a).total_cmp(&value_of(b)))),
            Self::Last | Self::Since { .. } | Self::Happened => {
                merge(a, b, |a, b| time_of(a).cmp(&time_of(b)).then(value_of(a).total_cmp(&value_of(b))))
            }
            Self::Window(window) => return window.combine(into, from),
        }
    }

    /// Value as of now; NaN without evidence, except where nothing means zero.
    pub(crate) fn read(self, slots: &[Slot], now_s: i64) -> f32 {
        let slot = slots[0];
        match self {
            Self::Count | Self::Sum { .. } => self.total(slots).map_or(f32::NAN, |total| total as f32),
            Self::Decayed { half_life_s } => {
                let age_s = (now_s - i64::from(time_of(slot))).max(0);
                (f64::from(value_of(slot)) * decay(age_s, half_life_s)) as f32
            }
            Self::Happened => value_of(slot),
            Self::Window(window) => window.read(slots, now_s),
            _ if time_of(slot) == 0 => f32::NAN,
            Self::Since { unit_s } => ((now_s - i64::from(time_of(slot))).max(0) as f64 / f64::from(unit_s)) as f32,
            Self::Min | Self::Max | Self::Last | Self::First => value_of(slot),
        }
    }

    /// A count or sum in full.
    pub(crate) fn total(self, slots: &[Slot]) -> Option<f64> {
        match self {
            Self::Count => Some(slots[0] as i64 as f64),
            Self::Sum { scale } => Some(slots[0] as i64 as f64 / power_of_ten(scale)),
            _ => None,
        }
    }

    /// Time of the evidence, of rules that keep one.
    pub(crate) fn evidence(self, slots: &[Slot]) -> Option<u32> {
        match self {
            Self::Count | Self::Sum { .. } => None,
            _ => Some(time_of(slots[0])).filter(|time| *time > 0),
        }
    }
}

/// `value` in units of 10^-scale, halves away from zero; `None` beyond [`UNITS_MAX`] or not finite.
fn fixed(value: f64, scale: u8) -> Option<i64> {
    let scaled = value.abs() * power_of_ten(scale);
    // 1.005 is stored a little below itself and the product may be rounded down as well: two units
    // in the last place bring a decimal tie back, and no other decimal of this size is that near.
    let told = if scaled < TIES_TOLD_BELOW { scaled * (1.0 + 2.0 * f64::EPSILON) } else { scaled };
    let units = told.round().copysign(value);
    (units.abs() <= UNITS_MAX).then_some(units as i64)
}

fn power_of_ten(scale: u8) -> f64 {
    [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6][usize::from(scale)]
}

/// The one that `compare` finds greater; a slot without evidence always loses.
fn merge(a: Slot, b: Slot, compare: impl Fn(Slot, Slot) -> std::cmp::Ordering) -> Slot {
    match (time_of(a), time_of(b)) {
        (_, 0) => a,
        (0, _) => b,
        _ if compare(a, b).is_lt() => b,
        _ => a,
    }
}

fn add_decayed(a: Slot, b: Slot, half_life_s: u32) -> Slot {
    match (time_of(a), time_of(b)) {
        (_, 0) => a,
        (0, _) => b,
        (time_a, time_b) => {
            let time = time_a.max(time_b);
            let at = |slot, own| f64::from(value_of(slot)) * decay(i64::from(time - own), half_life_s);
            let limit = f64::from(f32::MAX);
            timed((at(a, time_a) + at(b, time_b)).clamp(-limit, limit) as f32, time)
        }
    }
}

fn decay(age_s: i64, half_life_s: u32) -> f64 {
    if age_s == 0 { 1.0 } else { exp2(-(age_s as f64) / f64::from(half_life_s)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_point_rounds_decimal_halves_away_from_zero() {
        let cases = [
            (29.33, 2, 2_933),
            (1.005, 2, 101),
            (-1.005, 2, -101),
            (0.285, 2, 29),
            (2.5, 0, 3),
            (-2.5, 0, -3),
            (1.004_999, 2, 100),
            (0.0, 6, 0),
            (1e9, 6, 1_000_000_000_000_000),
        ];
        for (value, scale, units) in cases {
            assert_eq!(fixed(value, scale), Some(units), "{value} at scale {scale}");
        }
        for value in [f64::NAN, f64::INFINITY, 1e16] {
            assert_eq!(fixed(value, 2), None);
        }
    }

    #[test]
    fn equal_times_go_to_the_greater_value_and_equal_values_to_the_later_time() {
        let merged = |rule: Rule, events: [(u32, f64); 2]| {
            let mut slots = [0];
            events.iter().for_each(|(time, value)| assert!(rule.absorb(&mut slots, *time, *value)));
            (time_of(slots[0]), value_of(slots[0]))
        };
        assert_eq!(merged(Rule::Last, [(9, 2.0), (9, 1.0)]), (9, 2.0));
        assert_eq!(merged(Rule::First, [(9, 1.0), (9, 2.0)]), (9, 2.0));
        assert_eq!(merged(Rule::Min, [(9, 1.0), (5, 1.0)]), (9, 1.0));
        assert_eq!(merged(Rule::Max, [(5, 1.0), (9, 1.0)]), (9, 1.0));
    }

    #[test]
    fn what_cannot_be_held_is_refused_and_changes_nothing() {
        for rule in [Rule::Last, Rule::Min, Rule::Decayed { half_life_s: 60 }, Rule::Sum { scale: 2 }] {
            for value in [f64::NAN, f64::NEG_INFINITY, 1e300] {
                let mut slots = [0];
                assert!(!rule.absorb(&mut slots, 9, value), "{rule:?} {value}");
                assert_eq!(slots, [0]);
            }
        }
    }

    #[test]
    fn sums_and_decayed_sums_stop_at_their_limits() {
        let mut sum = [i64::MAX as u64];
        Rule::Sum { scale: 0 }.combine(&mut sum, &[5]);
        assert_eq!(sum[0] as i64, i64::MAX);
        let huge = timed(f32::MAX, 9);
        let mut decayed = [huge];
        Rule::Decayed { half_life_s: 60 }.combine(&mut decayed, &[huge]);
        assert_eq!(decayed, [huge]);
    }

    #[test]
    fn a_negative_zero_is_a_zero() {
        let (mut plus, mut minus) = ([0], [0]);
        Rule::Last.absorb(&mut plus, 9, 0.0);
        Rule::Last.absorb(&mut minus, 9, -0.0);
        assert_eq!(plus, minus);
    }
}
