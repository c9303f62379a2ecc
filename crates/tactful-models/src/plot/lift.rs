//! Acceptance by tenths of the ranking over the average of all.

use plotters::prelude::*;

use super::{Drawn, FONT, INK, Labels, MAIN, OTHER, Page, SMALL, SOFT, axes, key, legend};
use crate::metrics::Tenth;

/// Part of a tenth that its bar leaves free at either side.
const GAP: f64 = 0.14;

pub(super) fn draw(page: &Page<'_>, tenths: &[Tenth]) -> Drawn {
    let highest = tenths.iter().map(|tenth| tenth.lift.max(tenth.cumulative_lift)).fold(1.0, f64::max);
    let right = tenths.len() as f64 + 0.5;
    let labels = Labels { x: tenths.len() + 1, x_text: whole, y_text: times };
    let titles = ("tenth of the test rows, the highest predictions first", "acceptance over the average of all");
    let mut chart = axes(page, (right, highest * 1.15), titles, labels)?;
    let places = || tenths.iter().enumerate().map(|(at, tenth)| (at as f64 + 1.0, tenth));
    chart
        .draw_series(places().map(|(at, tenth)| {
            Rectangle::new([(at - 0.5 + GAP, 0.0), (at + 0.5 - GAP, tenth.lift)], MAIN.mix(0.8).filled())
        }))?
        .label("this tenth")
        .legend(|(x, y)| Rectangle::new([(x, y - 6), (x + 22, y + 6)], MAIN.mix(0.8).filled()));
    chart
        .draw_series(LineSeries::new(places().map(|(at, tenth)| (at, tenth.cumulative_lift)), OTHER.stroke_width(3)))?
        .label("this and those before it")
        .legend(key(OTHER));
    chart.draw_series(places().map(|(at, tenth)| Circle::new((at, tenth.cumulative_lift), 4, OTHER.filled())))?;
    chart
        .draw_series(DashedLineSeries::new([(0.0, 1.0), (right, 1.0)], 6, 5, SOFT.stroke_width(2)))?
        .label("average of all")
        .legend(key(SOFT));
    // At the foot of the bars, where no line crosses them.
    chart.draw_series(places().map(|(at, tenth)| {
        let color = if tenth.lift > highest * 0.12 { WHITE } else { INK };
        let style = (FONT, SMALL).into_font().color(&color);
        EmptyElement::at((at, 0.0)) + Text::new(format!("{:.2}", tenth.lift), (-13, -20), style)
    }))?;
    legend(&mut chart, SeriesLabelPosition::UpperRight)
}

fn whole(at: &f64) -> String {
    let near = at.round();
    if (at - near).abs() < 1e-6 && near > 0.0 { format!("{near:.0}") } else { String::new() }
}

fn times(lift: &f64) -> String {
    format!("{lift:.1} x")
}
