//! Predicted against observed shares, bin by bin, with what chance would leave between them.

use plotters::prelude::*;

use super::{Drawn, FONT, INK, Labels, MAIN, Page, SOFT, axes, key, legend, percent};
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
    let count = |bin: &Bin| {
        let style = (FONT, 12).into_font().color(&INK);
        EmptyElement::at(point(bin)) + Text::new(bin.rows.to_string(), (8, 5), style)
    };
    chart.draw_series(test.bins.iter().map(count))?;
    legend(&mut chart, SeriesLabelPosition::UpperLeft)
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
    fn wilson_is_what_the_books_say() {
        // 15 of 50: 0.191 to 0.438.
        let (low, high) = wilson(&Bin { rows: 50, predicted: 0.3, observed: 0.3 });
        assert!((low - 0.191).abs() < 1e-3 && (high - 0.438).abs() < 1e-3, "{low} to {high}");
        let (low, high) = wilson(&Bin { rows: 10, predicted: 0.0, observed: 0.0 });
        assert!(low == 0.0 && high > 0.2);
    }
}
