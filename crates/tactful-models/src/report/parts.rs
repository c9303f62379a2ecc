//! The parts of a report that go by input, by action and by channel.

use std::collections::BTreeMap;

use tactful_core::score::{Model, ModelInput};

use super::{ActionReport, ChannelReport, InputDrift, InputReport, importance, scope_name};
use crate::metrics::Quality;
use crate::score::{self, Heads, Scored};
use crate::table::{LabelledRow, Table};

/// Training rows at the rate of all that are added to those of a part before its rate is taken for
/// what one would say without a model: a part with few rows has no rate of its own.
const RATE_ROWS: f64 = 10.0;
/// Most channels that are told apart, those with the most rows.
const CHANNELS_MAX: usize = 64;

pub(super) fn inputs(
    heads: &Heads<'_>,
    model: &Model,
    table: &Table,
    scored: &[Scored],
    seed: u64,
) -> Vec<InputReport> {
    let importance = importance::of(table, heads, scored, seed);
    let columns = |at| model.columns.iter().filter(|column| column.input() == at).count();
    let report = |(at, input): (usize, &ModelInput)| InputReport {
        name: input.name.clone(),
        kind: input.kind.name().to_owned(),
        columns: columns(at),
        importance: importance.get(at).copied(),
        drift: InputDrift::of(table, at),
    };
    model.inputs.iter().enumerate().map(report).collect()
}

/// Counts of one part of the rows.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    rows: u64,
    positives: u64,
    test_rows: u64,
    group: u32,
}

/// Counts by any key of a row, and all training rows.
fn counts(table: &Table, key: impl Fn(&LabelledRow) -> u32) -> (BTreeMap<u32, Counts>, Counts) {
    let (mut by_key, mut all) = (BTreeMap::<u32, Counts>::new(), Counts::default());
    for (at, row) in table.rows.iter().enumerate() {
        let part = by_key.entry(key(row)).or_default();
        // The latest group counts: rows are in order of time.
        part.group = row.group;
        for counts in [part, &mut all] {
            if at < table.train {
                counts.rows += 1;
                counts.positives += u64::from(row.positive);
            } else {
                counts.test_rows += 1;
            }
        }
    }
    (by_key, all)
}

/// Quality by any key of a row, against the rate of its own training rows.
fn qualities(
    table: &Table,
    scored: &[Scored],
    counts: &(BTreeMap<u32, Counts>, Counts),
    key: impl Fn(&LabelledRow) -> u32,
) -> BTreeMap<u32, Quality> {
    let mut by_key: BTreeMap<u32, Vec<Scored>> = BTreeMap::new();
    for scored in scored {
        by_key.entry(key(&table.rows[scored.row])).or_default().push(*scored);
    }
    let (parts, all) = counts;
    let rate = all.positives as f64 / (all.rows as f64).max(1.0);
    let quality = |(key, scored): (u32, Vec<Scored>)| {
        let part = parts.get(&key).copied().unwrap_or_default();
        let baseline = (part.positives as f64 + rate * RATE_ROWS) / (part.rows as f64 + RATE_ROWS);
        Some((key, Quality::of(&score::pairs(&scored), baseline)?))
    };
    by_key.into_iter().filter_map(quality).collect()
}

/// Actions of either part by id.
pub(super) fn actions(heads: &Heads<'_>, table: &Table, scored: &[Scored]) -> Vec<ActionReport> {
    let key = |row: &LabelledRow| row.action;
    let counts = counts(table, key);
    let mut qualities = qualities(table, scored, &counts, key);
    let report = |(action, part): (&u32, &Counts)| {
        let (id, group) = (&table.actions[*action as usize], &table.groups[part.group as usize]);
        ActionReport {
            action: id.clone(),
            group: group.clone(),
            rows: part.rows,
            positives: part.positives,
            acceptance: (part.rows > 0).then(|| part.positives as f64 / part.rows as f64),
            test_rows: part.test_rows,
            head: heads.find(id, group).map_or("prior", |head| scope_name(heads.scope(head))).to_owned(),
            test: qualities.remove(action),
        }
    };
    let mut actions: Vec<ActionReport> = counts.0.iter().map(report).collect();
    actions.sort_by(|left, right| left.action.cmp(&right.action));
    actions
}

/// Channels, most test rows first.
pub(super) fn channels(table: &Table, scored: &[Scored]) -> Vec<ChannelReport> {
    let key = |row: &LabelledRow| row.channel;
    let counts = counts(table, key);
    let mut qualities = qualities(table, scored, &counts, key);
    let report = |(channel, part): (&u32, &Counts)| ChannelReport {
        channel: table.channels[*channel as usize].clone(),
        rows: part.rows,
        positives: part.positives,
        test_rows: part.test_rows,
        test: qualities.remove(channel),
    };
    let mut channels: Vec<ChannelReport> = counts.0.iter().map(report).collect();
    channels.sort_by(|left, right| {
        let order = |of: &ChannelReport| std::cmp::Reverse((of.test_rows, of.rows));
        order(left).cmp(&order(right)).then_with(|| left.channel.cmp(&right.channel))
    });
    channels.truncate(CHANNELS_MAX);
    channels
}
