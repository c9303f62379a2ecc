//! Where the predictions of positive and of negative rows lie: each answer's rows are 100 %, so that
//! rare positives can be seen.

use plotters::prelude::*;

use super::{Drawn, Labels, MAIN, OTHER, Page, axes, legend, percent};
use crate::metrics::ScoreBar;

pub(super) fn draw(page: &Page<'_>, bars: &[ScoreBar]) -> Drawn {
    let total = |of: fn(&ScoreBar) -> u64| bars.iter().map(of).sum::<u64>();
    let (positives, negatives) = (total(|bar| bar.positives), total(|bar| bar.negatives));
    let share = |rows: u64, all: u64| rows as f64 / all.max(1) as f64;
    let highest = bars
        .iter()
        .map(|bar| share(bar.positives, positives).max(share(bar.negatives, negatives)))
        .fold(0.01, f64::max);
    let right = bars.last().map_or(1.0, |bar| bar.to);
    let labels = Labels { x: 11, x_text: percent, y_text: percent };
    let titles = ("predicted acceptance", "share of the rows with this answer");
    let mut chart = axes(page, (right, (highest * 1.12).min(1.0)), titles, labels)?;
    for (color, name, all, of) in [
        (OTHER, "negative rows", negatives, (|bar| bar.negatives) as fn(&ScoreBar) -> u64),
        (MAIN, "positive rows", positives, |bar| bar.positives),
    ] {
        chart
            .draw_series(
                bars.iter().map(|bar| {
                    Rectangle::new([(bar.from, 0.0), (bar.to, share(of(bar), all))], color.mix(0.32).filled())
                }),
            )?
            .label(format!("{name} ({all})"))
            .legend(move |(x, y)| Rectangle::new([(x, y - 6), (x + 22, y + 6)], color.mix(0.6).filled()));
        chart.draw_series(LineSeries::new(outline(bars, |bar| share(of(bar), all)), color.stroke_width(2)))?;
    }
    legend(&mut chart, SeriesLabelPosition::UpperRight)
}

/// The upper edge of all bars.
fn outline(bars: &[ScoreBar], height: impl Fn(&ScoreBar) -> f64) -> Vec<(f64, f64)> {
    bars.iter().flat_map(|bar| [(bar.from, height(bar)), (bar.to, height(bar))]).collect()
}
