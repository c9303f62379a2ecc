//! What a report from outside must keep to before it is shown or drawn: its layout is known, its
//! shares are shares and its lists are no longer than training writes them.

use super::{FORMAT, Report};
use crate::error::Error;
use crate::metrics::{Bin, Curves, Quality};

/// Most entries of one curve.
const POINTS_MAX: usize = 1_000;
/// Greatest lift: the share of positives is never below one in so many rows.
const LIFT_MAX: f64 = 1e9;

impl Report {
    /// Checks a report that was read.
    ///
    /// # Errors
    /// `Error::Report` naming the part at fault.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |what: String| Err(Error::Report(what));
        if self.format != FORMAT {
            return fail(format!("format {}, this code reads format {FORMAT}", self.format));
        }
        if let Err(reason) = crate::recipe::check_name(&self.model) {
            return fail(format!("model: {reason}"));
        }
        if self.version.len() > 64 || !self.version.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return fail("version is no version of a model".into());
        }
        if self.kind.len() > 32 || !self.kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            return fail("kind is no kind of model".into());
        }
        self.test
            .as_ref()
            .map_or(Ok(()), quality)
            .and_then(|()| self.curves.as_ref().map_or(Ok(()), curves))
            .or_else(fail)
    }
}

fn quality(test: &Quality) -> Result<(), String> {
    length("test.bins", test.bins.len())?;
    let sound = |bin: &Bin| share(bin.predicted) && share(bin.observed);
    all("test.bins", test.bins.iter().all(sound))?;
    all("test.auc", test.auc.is_none_or(share))
}

fn curves(curves: &Curves) -> Result<(), String> {
    let Curves { roc, lift, scores } = curves;
    for (name, count) in [("roc", roc.len()), ("lift", lift.len()), ("scores", scores.len())] {
        length(&format!("curves.{name}"), count)?;
    }
    let rates = roc.iter().all(|point| share(point.false_positive_rate) && share(point.true_positive_rate));
    all("curves.roc", rates)?;
    let lifts = lift.iter().all(|tenth| within(tenth.lift, LIFT_MAX) && within(tenth.cumulative_lift, LIFT_MAX));
    all("curves.lift", lifts)?;
    let bars = scores.iter().all(|bar| share(bar.from) && bar.from < bar.to && bar.to <= 1.0 + 1e-9);
    let countable = scores.iter().all(|bar| bar.positives < 1 << 40 && bar.negatives < 1 << 40);
    all("curves.scores", bars && countable)
}

fn length(what: &str, count: usize) -> Result<(), String> {
    if count <= POINTS_MAX { Ok(()) } else { Err(format!("{what}: {count} entries, at most {POINTS_MAX} are allowed")) }
}

fn all(what: &str, sound: bool) -> Result<(), String> {
    if sound { Ok(()) } else { Err(format!("{what}: a number is out of its range")) }
}

fn share(value: f64) -> bool {
    within(value, 1.0)
}

/// From 0, with what rounding may add at the upper end.
fn within(value: f64, most: f64) -> bool {
    (-1e-9..=most + 1e-9).contains(&value)
}
