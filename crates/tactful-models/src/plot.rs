//! The plots of a report as SVG pages: calibration, ROC, lift and scores. They show what the report
//! holds and compute nothing of their own but the whiskers of the calibration.

mod calibration;
mod lift;
mod roc;
mod scores;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::error::Error;
use crate::report::Report;

const SIZE: (u32, u32) = (760, 560);
const FONT: &str = "sans-serif";
/// Size of the numbers within a plot.
const SMALL: u32 = 15;
const INK: RGBColor = RGBColor(45, 50, 58);
const SOFT: RGBColor = RGBColor(110, 118, 130);
const GRID: RGBColor = RGBColor(228, 231, 236);
/// What the model does; positive rows.
const MAIN: RGBColor = RGBColor(23, 94, 166);
/// What it is compared with; negative rows.
const OTHER: RGBColor = RGBColor(196, 98, 16);

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    /// calibration, roc, lift or scores: part of its file's name.
    pub name: &'static str,
    /// What it shows, in words.
    pub title: &'static str,
    /// The page.
    pub svg: String,
}

type Page<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Draws what the report's test part allows: nothing without one, no ROC where one answer is absent.
///
/// # Errors
/// `Error::Report` if the report holds what cannot be drawn, which only one from outside does.
pub fn plots(report: &Report) -> Result<Vec<Plot>, Error> {
    report.check()?;
    let (Some(test), Some(curves)) = (&report.test, &report.curves) else { return Ok(Vec::new()) };
    let mut plots = Vec::new();
    let mut add = |name, title, draw: &dyn Fn(&Page<'_>) -> Drawn| {
        let svg = page(report, title, draw).map_err(|error| Error::Report(format!("cannot draw {name}: {error}")))?;
        plots.push(Plot { name, title, svg });
        Ok::<(), Error>(())
    };
    if !test.bins.is_empty() {
        add("calibration", "Calibration: what was predicted and what came", &|page| calibration::draw(page, test))?;
    }
    if !curves.roc.is_empty() {
        add("roc", "ROC: positives found against negatives taken for them", &|page| {
            roc::draw(page, test, &curves.roc)
        })?;
    }
    if !curves.lift.is_empty() {
        add("lift", "Lift: acceptance by tenths of the ranking", &|page| lift::draw(page, &curves.lift))?;
    }
    if !curves.scores.is_empty() {
        add("scores", "Scores: predicted acceptance by what came", &|page| scores::draw(page, &curves.scores))?;
    }
    Ok(plots)
}

/// A page with its title, and below it which model and how many rows.
fn page(report: &Report, title: &str, draw: &dyn Fn(&Page<'_>) -> Drawn) -> Drawn<String> {
    let mut svg = String::new();
    {
        let page = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        page.fill(&WHITE)?;
        let page = page.margin(12, 4, 8, 12);
        let below = page.titled(title, (FONT, 25).into_font().color(&INK))?;
        let about = format!(
            "{} {}, {}; {} test rows, {} positive",
            report.model, report.version, report.kind, report.test_rows, report.test_positives
        );
        let below = below.titled(&about, (FONT, 17).into_font().color(&SOFT))?;
        draw(&below)?;
        page.present()?;
    }
    Ok(svg)
}

/// Axes from 0 to their ends, with what they mean.
fn axes<'a>(page: &Page<'a>, (right, top): (f64, f64), (x, y): (&str, &str), labels: Labels) -> Drawn<Chart<'a>> {
    let mut chart = ChartBuilder::on(page)
        .margin(8)
        .margin_right(24)
        .x_label_area_size(52)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..right, 0.0..top)?;
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_labels(labels.x)
        .y_labels(8)
        .x_label_formatter(&labels.x_text)
        .y_label_formatter(&labels.y_text)
        .axis_desc_style((FONT, 18).into_font().color(&INK))
        .label_style((FONT, 16).into_font().color(&INK))
        .axis_style(SOFT)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()?;
    Ok(chart)
}

/// How the axes are labelled.
struct Labels {
    x: usize,
    x_text: fn(&f64) -> String,
    y_text: fn(&f64) -> String,
}

/// The names of the series, where they are out of the way.
fn legend(chart: &mut Chart<'_>, position: SeriesLabelPosition) -> Drawn {
    chart
        .configure_series_labels()
        .position(position)
        .margin(12)
        .legend_area_size(28)
        .background_style(WHITE.mix(0.9))
        .border_style(GRID)
        .label_font((FONT, 17).into_font().color(&INK))
        .draw()?;
    Ok(())
}

/// A short line before a series' name.
fn key(color: RGBColor) -> impl Fn((i32, i32)) -> PathElement<(i32, i32)> {
    move |(x, y)| PathElement::new(vec![(x, y), (x + 22, y)], color.stroke_width(3))
}

fn percent(share: &f64) -> String {
    let digits = usize::from((share * 100.0 - (share * 100.0).round()).abs() > 1e-6);
    format!("{:.digits$} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_shows_a_digit_only_where_it_is_needed() {
        assert_eq!([0.0, 0.1, 0.125, 1.0].map(|share| percent(&share)), ["0 %", "10 %", "12.5 %", "100 %"]);
    }
}
