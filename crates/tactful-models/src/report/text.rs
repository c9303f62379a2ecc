//! The report as a table for people.

use std::collections::BTreeMap;
use std::fmt;

use super::{ActionReport, ChannelReport, Interval, Report};
use crate::metrics::Quality;

/// Inputs that are named with their importance or their drift; the card lists all.
const INPUTS_NAMED: usize = 8;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model {} {}", self.model, self.version)?;
        writeln!(f, "  kind         {:>9}  {}", self.kind, self.calibration_words())?;
        self.write_rows(f)?;
        self.write_inputs(f)?;
        self.write_quality(f)?;
        self.write_importance(f)?;
        self.write_drift(f)?;
        self.write_value(f)?;
        self.write_actions(f)?;
        self.write_channels(f)
    }
}

impl Report {
    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |positives: u64, rows: u64| percent(positives as f64 / (rows as f64).max(1.0));
        writeln!(f, "  rows read    {:>9}", self.rows_read)?;
        for (reason, count) in self.left_out.reasons() {
            writeln!(f, "    left out   {count:>9}  {reason}")?;
        }
        let (train, test) = (self.train_rows, self.test_rows);
        writeln!(f, "  trained on   {train:>9}  {} positive", rate(self.train_positives, train))?;
        writeln!(f, "  tested on    {test:>9}  {} positive, the latest", rate(self.test_positives, test))?;
        if self.ordered_by == "rows" {
            writeln!(f, "  no times: the order of the rows is taken for that of time")?;
        }
        if self.answered_early > 0 {
            writeln!(f, "  early        {:>9}  answered while their window was open", self.answered_early)?;
        }
        Ok(())
    }

    fn write_inputs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: usize = self.inputs.iter().map(|input| input.columns).sum();
        writeln!(f, "  inputs       {:>9}  {columns} columns", self.inputs.len())?;
        self.write_dropped(f)?;
        for failed in &self.failed_heads {
            writeln!(f, "    no head    {} {}: {}", failed.scope, failed.id, failed.reason)?;
        }
        Ok(())
    }

    /// Inputs that are not used, counted by reason; the model card lists all of them.
    fn write_dropped(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: usize = 3;
        let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for dropped in &self.dropped_inputs {
            by_reason.entry(&dropped.reason).or_default().push(&dropped.name);
        }
        for (reason, names) in by_reason {
            let named = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = if names.len() > NAMED { ", ..." } else { "" };
            writeln!(f, "    not used   {:>9}  {reason}: {named}{more}", names.len())?;
        }
        Ok(())
    }

    fn write_quality(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(test) = &self.test else { return writeln!(f, "  no test part: nothing is measured") };
        match test.auc {
            Some(auc) => writeln!(f, "  AUC             {auc:>6.4}  0.5 is chance")?,
            None => writeln!(f, "  AUC                  -  the test part has one answer only")?,
        }
        writeln!(f, "  log loss        {:>6.4}  {:.4} without a model", test.log_loss, test.log_loss_baseline)?;
        writeln!(f, "  Brier           {:>6.4}", test.brier)?;
        writeln!(f, "  calibration     {:>6.4}  mean distance of predicted and observed", test.calibration_error)?;
        if let Some(lift) = test.lift_at_10 {
            writeln!(f, "  lift at 10 %    {lift:>6.2}  times as many positives as among all")?;
        }
        Ok(())
    }

    fn write_importance(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measured: Vec<_> =
            self.inputs_by_importance().into_iter().filter(|input| input.importance.is_some()).collect();
        if measured.is_empty() {
            return Ok(());
        }
        let width =
            measured.iter().take(INPUTS_NAMED).map(|input| input.name.chars().count()).max().unwrap_or(0).max(5);
        writeln!(f, "\n  {:<width$}  {:>9}  {:>8}", "input", "log loss", "AUC")?;
        for input in measured.iter().take(INPUTS_NAMED) {
            let Some(worth) = input.importance else { continue };
            let auc = worth.auc.map_or_else(|| "-".to_owned(), |fall| format!("{:+.4}", -fall));
            writeln!(f, "  {:<width$}  {:>+9.5}  {auc:>8}", input.name, worth.log_loss)?;
        }
        let more = measured.len().saturating_sub(INPUTS_NAMED);
        let more = if more > 0 { format!("; {more} more in the card") } else { String::new() };
        writeln!(f, "  (when its values are dealt to other rows at random{more})")
    }

    fn write_drift(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(drift) = self.drift.filter(|drift| drift.drifted) {
            let (test, train) = (percent(drift.test_rate), percent(drift.train_rate));
            let errors = drift.standard_errors;
            writeln!(
                f,
                "\n  drift: {test} positive in the test part after {train} in training ({errors:+.1} standard errors)"
            )?;
        }
        let drifted = self.drifted_inputs();
        if drifted.is_empty() {
            return Ok(());
        }
        let named: Vec<String> = drifted
            .iter()
            .take(INPUTS_NAMED)
            .map(|(input, drift)| format!("{} {:.2}", input.name, drift.psi))
            .collect();
        let more = if drifted.len() > INPUTS_NAMED { ", ..." } else { "" };
        let (count, all) = (drifted.len(), self.inputs.len());
        writeln!(f, "  drift of inputs: {count} of {all} have moved (stability index): {}{more}", named.join(", "))
    }

    fn write_value(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(value) = &self.policy_value else { return Ok(()) };
        let line = |name: &str, interval: &Interval| {
            let Interval { value, low, high, .. } = interval;
            format!("  {name:<24}  {value:>8.4}  {low:>8.4} to {high:.4}")
        };
        writeln!(f, "\n  {:<24}  {:>8}  95 % interval", "acceptance per decision", "mean")?;
        writeln!(f, "{}", line("as recorded", &value.logged))?;
        for (name, interval) in [
            ("this model, IPS", value.ips),
            ("this model, SNIPS", value.snips),
            ("gain over it, IPS", value.difference),
        ] {
            if let Some(interval) = interval {
                writeln!(f, "{}", line(name, &interval))?;
            }
        }
        let (measured, rows) = (value.measured, value.effective_rows);
        writeln!(f, "  on {measured} decisions, {rows:.0} effective; the card says what this assumes")?;
        for warning in &value.warnings {
            writeln!(f, "  warning: {warning}")?;
        }
        Ok(())
    }

    fn write_actions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = width("action", self.actions.iter().map(|action| action.action.as_str()));
        writeln!(
            f,
            "\n  {:<width$}  {:>8}  {:>9}  {:>10}  {:<6}  {:>8}  {:>6}  {:>8}",
            "action", "rows", "positive", "acceptance", "head", "tested", "AUC", "log loss"
        )?;
        for ActionReport { action, rows, positives, acceptance, head, test_rows, test, .. } in &self.actions {
            let acceptance = acceptance.map_or_else(|| "-".to_owned(), percent);
            let (auc, loss) = brief(test.as_ref());
            writeln!(
                f,
                "  {action:<width$}  {rows:>8}  {positives:>9}  {acceptance:>10}  {head:<6}  {test_rows:>8}  {auc:>6}  {loss:>8}"
            )?;
        }
        Ok(())
    }

    /// Channels, if rows name any.
    fn write_channels(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.channels.iter().all(|channel| channel.channel.is_empty()) {
            return Ok(());
        }
        let width = width("channel", self.channels.iter().map(|channel| channel.shown()));
        writeln!(
            f,
            "\n  {:<width$}  {:>8}  {:>9}  {:>8}  {:>6}  {:>8}",
            "channel", "rows", "positive", "tested", "AUC", "log loss"
        )?;
        for channel in &self.channels {
            let (auc, loss) = brief(channel.test.as_ref());
            let ChannelReport { rows, positives, test_rows, .. } = channel;
            writeln!(
                f,
                "  {:<width$}  {rows:>8}  {positives:>9}  {test_rows:>8}  {auc:>6}  {loss:>8}",
                channel.shown()
            )?;
        }
        Ok(())
    }

    /// What follows the scorers of the heads, in words.
    pub(crate) fn calibration_words(&self) -> String {
        let heads: u64 = self.calibrations.values().sum();
        let counted: Vec<String> = self
            .calibrations
            .iter()
            .map(|(name, count)| match name.as_str() {
                "none" => format!("{count} as they are"),
                name => format!("{count} calibrated ({name})"),
            })
            .collect();
        let heads = if heads == 1 { "1 head".to_owned() } else { format!("{heads} heads") };
        format!("{heads}: {}", counted.join(", "))
    }
}

impl ChannelReport {
    /// Its name, also where it has none.
    pub(crate) fn shown(&self) -> &str {
        if self.channel.is_empty() { "(none)" } else { &self.channel }
    }
}

/// AUC and log loss of a part, a dash where there is none.
fn brief(quality: Option<&Quality>) -> (String, String) {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    (number(quality.and_then(|test| test.auc)), number(quality.map(|test| test.log_loss)))
}

fn width<'a>(title: &str, names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| name.chars().count()).chain([title.len()]).max().unwrap_or(0)
}

/// A share in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}
