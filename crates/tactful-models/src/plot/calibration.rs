//! Predicted against observed shares, bin by bin, with what chance would leave between them.

use plotters::prelude::*;

use super::{Drawn, FONT, INK, Labels, MAIN, Page, SMALL, SOFT, axes, key, legend, percent};
use crate::metrics::{Bin, Quality};

pub(super) fn draw(page: &Page<'_>, test: &Quality) -> Drawn {
    let whiskers: Vec<(f64, f64)> = test.bins.iter().map(wilson).collect();
    let highest =
        test.bins.iter().zip(&whiskers).map(|(bin, whisker)| bin.predicted.max(whisker.1)).fold(0.01, f64::max);
    let top = (highest * 1.06).min(1.0);
    let labels = Labels { x: 8, x_text: percent, y_text: percent };
    let mut chart = axes(
        page,
        (top, top),
        ("predicted acceptance: mean of each bin, with its rows", "observed acceptance"),
        labels,
    )?;
    chart
        .draw_series(DashedLineSeries::new([(0.0, 0.0), (top, top)], 6, 5, SOFT.stroke_width(2)))?
        .label("as predicted")
        .legend(key(SOFT));
    chart.draw_series(test.bins.iter().zip(&whiskers).map(|(bin, (low, high))| {
        PathElement::new(vec![(bin.predicted, *low), (bin.predicted, *high)], MAIN.stroke_width(2))
    }))?;
    chart
        .draw_series(LineSeries::new(test.bins.iter().map(point), MAIN.mix(0.5).stroke_width(1)))?
        .label("observed, with its 95 % interval")
        .legend(key(MAIN));
    chart.draw_series(test.bins.iter().map(|bin| Circle::new(point(bin), 5, MAIN.filled())))?;
    let labelled = counts(&test.bins, &whiskers, top);
    chart.draw_series(labelled.into_iter().map(|(at, rows, below)| {
        let style = (FONT, SMALL).into_font().color(&INK);
        EmptyElement::at(at) + Text::new(rows.to_string(), (-14, if below { 4 } else { -16 }), style)
    }))?;
    legend(&mut chart, SeriesLabelPosition::UpperLeft)
}

/// The number of rows at the ends of the whiskers, above and below in turn: (place, rows, below). One
/// that would cover its neighbour is left out.
fn counts(bins: &[Bin], whiskers: &[(f64, f64)], right: f64) -> Vec<((f64, f64), u64, bool)> {
    const APART: f64 = 0.07;
    let mut last = [f64::NEG_INFINITY; 2];
    let mut kept = Vec::new();
    for (at, (bin, (low, high))) in bins.iter().zip(whiskers).enumerate() {
        let below = at % 2 == 1;
        let last = &mut last[usize::from(below)];
        if bin.predicted - *last >= APART * right {
            *last = bin.predicted;
            kept.push(((bin.predicted, if below { *low } else { *high }), bin.rows, below));
        }
    }
    kept
}

fn point(bin: &Bin) -> (f64, f64) {
    (bin.predicted, bin.observed)
}

/// 95 % interval of a share (Wilson 1927).
fn wilson(bin: &Bin) -> (f64, f64) {
    const Z: f64 = 1.96;
    let (rows, share) = (bin.rows.max(1) as f64, bin.observed);
    let middle = (share + Z * Z / (2.0 * rows)) / (1.0 + Z * Z / rows);
    let half = Z / (1.0 + Z * Z / rows) * (share * (1.0 - share) / rows + Z * Z / (4.0 * rows * rows)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_do_not_cover_each_other() {
        let bin = |predicted| Bin { rows: 9, predicted, observed: 0.5 };
        let bins = [0.1, 0.11, 0.12, 0.13, 0.5].map(bin);
        let places: Vec<(f64, bool)> =
            counts(&bins, &[(0.4, 0.6); 5], 1.0).into_iter().map(|(at, _, below)| (at.0, below)).collect();
        assert_eq!(places, [(0.1, false), (0.11, true), (0.5, false)]);
    }

    #[test]
    fn wilson_is_what_the_books_say() {
        // 15 of 50: 0.191 to 0.438.
        let (low, high) = wilson(&Bin { rows: 50, predicted: 0.3, observed: 0.3 });
        assert!((low - 0.191).abs() < 1e-3 && (high - 0.438).abs() < 1e-3, "{low} to {high}");
        let (low, high) = wilson(&Bin { rows: 10, predicted: 0.0, observed: 0.0 });
        assert!(low == 0.0 && high > 0.2);
    }
}
