//! The ROC curve with the diagonal of chance.

use plotters::prelude::*;

use super::{Drawn, Labels, MAIN, Page, SOFT, axes, key, legend, percent};
use crate::metrics::{Quality, RocPoint};

pub(super) fn draw(page: &Page<'_>, test: &Quality, points: &[RocPoint]) -> Drawn {
    let labels = Labels { x: 11, x_text: percent, y_text: percent };
    let titles = ("negative rows at or above the threshold", "positive rows at or above the threshold");
    let mut chart = axes(page, (1.0, 1.0), titles, labels)?;
    chart
        .draw_series(DashedLineSeries::new([(0.0, 0.0), (1.0, 1.0)], 6, 5, SOFT.stroke_width(2)))?
        .label("chance")
        .legend(key(SOFT));
    let curve = points.iter().map(|point| (point.false_positive_rate, point.true_positive_rate));
    let name = test.auc.map_or_else(|| "the model".to_owned(), |auc| format!("the model, area {auc:.3}"));
    chart
        .draw_series(LineSeries::new([(0.0, 0.0)].into_iter().chain(curve), MAIN.stroke_width(3)))?
        .label(name)
        .legend(key(MAIN));
    legend(&mut chart, SeriesLabelPosition::LowerRight)
}
