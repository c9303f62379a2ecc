//! Properties of customer state as a whole, against the oracle: any order, any repetition, any split
//! over rows, any now.

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::oracle::{self, Given, Property, What};
use super::slot::Rule;
use super::*;
use crate::catalog::OutcomeName;
use crate::hash;

/// 2001-09-09, in Unix seconds.
pub(super) const START_S: i64 = 1_000_000_000;
pub(super) const SPAN_S: i64 = 900;
const TRACKS: [&str; 9] = [
    "Order Completed",
    " order completed ",
    "Offer Read",
    "Fault Reported",
    "Part Ordered",
    "Question Asked",
    "Handed Off",
    "Fault Fixed",
    "Call Started",
];

fn schema() -> Schema {
    Schema::compile(&oracle::catalog()).unwrap()
}

fn property() -> impl Strategy<Value = Property> {
    prop_oneof![
        4 => (-2_000i32..9_000).prop_map(|cents| Property::Number(f64::from(cents) / 100.0)),
        1 => Just(Property::Number(5.0)),
        1 => Just(Property::Number(f64::NAN)),
        3 => any::<bool>().prop_map(Property::Flag),
        4 => prop::sample::select(vec!["gold", "gold", "basic", "platinum"]).prop_map(|text| Property::Text(text.into())),
    ]
}

fn event() -> impl Strategy<Value = What> {
    use EventKind::{Alias, Group, Identify, Page, Screen, Track};
    let kind = prop_oneof![8 => Just(Track), 2 => Just(Identify), 1 => Just(Group), 1 => Just(Page), 1 => Just(Screen), 1 => Just(Alias)];
    let names = (prop::sample::select(TRACKS.to_vec()), prop::sample::select(vec!["Home", "HOME", "Cart"]));
    let keys = ["age", "express", "plan", "revenue", "vip"];
    let values = prop::collection::vec(prop::option::weighted(0.8, property()), keys.len());
    let matter_id = prop::sample::select(vec!["", "", "fault", "f-1", "f-2"]);
    (kind, names, matter_id, values).prop_map(move |(kind, (track, page), matter_id, values)| {
        let name = if kind == Track { track } else { page };
        let properties = keys.iter().zip(values).filter_map(|(key, value)| Some(((*key).into(), value?))).collect();
        What::Event { kind, name: name.into(), matter_id: matter_id.into(), properties }
    })
}

fn what() -> impl Strategy<Value = What> {
    let action = || prop::sample::select(vec!["help", "offer", "none"]).prop_map(String::from);
    let kind = prop::sample::select(vec![OutcomeName::Accepted, OutcomeName::Rejected, OutcomeName::Converted]);
    let link = prop::sample::select(vec![LinkKind::Implied, LinkKind::Explicit, LinkKind::Unlinked]);
    prop_oneof![
        10 => event(),
        1 => action().prop_map(|action| What::Decision { action }),
        1 => (prop::sample::select(vec!["anon:a", "customer:2"]), link).prop_map(|(other, kind)| What::Link { other: other.into(), kind }),
        2 => (prop::sample::select(vec!["language", "rooms", "undeclared"]), prop::option::weighted(0.8, property()), prop::option::of(1i64..1_500))
            .prop_map(|(key, value, expires_s)| What::Fact { key: key.into(), value, expires_s }),
        1 => (prop::sample::select(vec!["marketing", "insight", "former"]), any::<bool>())
            .prop_map(|(purpose, allowed)| What::Consent { purpose: purpose.into(), allowed }),
        2 => (kind, action(), 0u32..9_000).prop_map(|(kind, action, cents)| What::Outcome { kind, action, value: f64::from(cents) / 100.0 }),
    ]
}

/// Many entries share a second, so that ties are met.
fn given() -> impl Strategy<Value = Given> {
    let channel = prop::sample::select(vec!["web", "app", "agent", ""]);
    (what(), 0..SPAN_S / 10, 0i64..1_000, 0i64..60_000, channel).prop_map(|(what, tens, ms, delay_ms, channel)| {
        let time_ms = (START_S + tens * 10) * 1_000 + ms;
        Given { what, time_ms, received_ms: time_ms + delay_ms, channel: channel.into() }
    })
}

pub(super) fn entries() -> impl Strategy<Value = Vec<Given>> {
    prop::collection::vec(given(), 0..40)
}

pub(super) fn fed<'a>(schema: &Schema, entries: impl IntoIterator<Item = &'a Given>) -> (Names, Row) {
    let (mut names, mut row) = (Names::new(), Row::new(schema));
    for entry in entries {
        entry.apply(schema, &mut names, &mut row);
    }
    (names, row)
}

/// The entries shuffled, some of them twice, as a log with retries would bring them.
fn disturbed(entries: &[Given], seed: u64) -> Vec<(usize, &Given)> {
    let key = |round: usize, index: usize| hash::keyed(seed, &[index as u8, round as u8]);
    let mut sent: Vec<_> = entries.iter().enumerate().map(|(index, entry)| (key(0, index), index, entry)).collect();
    sent.extend(entries.iter().enumerate().step_by(3).map(|(index, entry)| (key(1, index), index, entry)));
    sent.sort_by_key(|(key, index, _)| (*key, *index));
    sent.into_iter().map(|(_, index, entry)| (index, entry)).collect()
}

fn exact_slots(schema: &Schema, slots: &[Slot]) -> Vec<Slot> {
    let exact = schema.features().iter().filter(|feature| feature.rule.exact());
    exact.flat_map(|feature| feature.slots(slots).to_vec()).collect()
}

fn close(actual: f32, expected: f64, scale: f64) -> bool {
    let actual = f64::from(actual);
    (actual.is_nan() && expected.is_nan()) || (actual - expected).abs() <= 1e-5 * scale + 1e-6 * expected.abs() + 1e-30
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn features_agree_with_the_oracle_as_of_any_now(entries in entries(), ahead in -300i64..2_000) {
        let (schema, now_s) = (schema(), START_S + SPAN_S + ahead);
        let (_, row) = fed(&schema, &entries);
        let mut view = CustomerView::read(&schema, &[&row], now_s * 1_000 + 999);
        view.purposes = u64::MAX;
        let mut fields = vec![0.0; schema.field_count()];
        view.write_fields(&schema, now_s * 1_000 + 999, &mut fields);
        for (index, def) in oracle::catalog().feature.iter().enumerate() {
            let (expected, scale) = oracle::feature(def, &entries, now_s);
            prop_assert!(close(fields[index], expected, scale), "{}: {} is not {}", def.name, fields[index], expected);
        }
    }

    #[test]
    fn packed_slots_hold_every_slot(slots in prop::collection::vec(prop_oneof![Just(0), any::<u64>()], 0..40)) {
        let view = CustomerView { slots, ..CustomerView::unknown(&schema()) };
        let packed = view.packed_slots();
        let (bits, words) = packed.split_at(view.slots.len().div_ceil(8));
        let mut words = words.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        let is_set = |at: usize| bits[at / 8] >> (at % 8) & 1 == 1;
        let unpacked: Vec<u64> = (0..view.slots.len()).map(|at| if is_set(at) { words.next().unwrap() } else { 0 }).collect();
        prop_assert_eq!(&unpacked, &view.slots);
        prop_assert_eq!(packed.len(), bits.len() + 8 * unpacked.iter().filter(|slot| **slot != 0).count());
    }

    #[test]
    fn matters_agree_with_the_oracle(entries in entries(), ahead in 0i64..300) {
        let (schema, now_s) = (schema(), START_S + SPAN_S + ahead);
        let (names, row) = fed(&schema, &entries);
        let readings = matters(&schema, &row, &names, now_s * 1_000);
        for def in &oracle::catalog().matter {
            for id in ["fault", "browsing", "f-1", "f-2"] {
                let expected = oracle::matter(def, id, &entries, now_s);
                let reading = readings.iter().find(|reading| reading.kind == def.kind && reading.id == id);
                let actual = reading.map(|it| (it.state, i64::from(it.opened_s), it.reopenings, it.sessions));
                prop_assert_eq!(actual, expected, "{} {}", &def.kind, id);
            }
        }
    }

    #[test]
    fn any_order_with_duplicates_dropped_gives_the_same_content(entries in entries(), seed in any::<u64>()) {
        let schema = schema();
        let (names, row) = fed(&schema, &entries);
        let mut dedup = Dedup::new(1_000, 1_000);
        let sent = disturbed(&entries, seed);
        let (names_again, again) =
            fed(&schema, sent.iter().filter(|(index, _)| dedup.insert(*index as u64, 0)).map(|(_, entry)| *entry));
        prop_assert_eq!(exact_slots(&schema, &row.slots), exact_slots(&schema, &again.slots));
        prop_assert_eq!(digest(&schema, &names, "c", &row).content, digest(&schema, &names_again, "c", &again).content);
        let now_ms = (START_S + SPAN_S) * 1_000;
        prop_assert_eq!(matters(&schema, &row, &names, now_ms), matters(&schema, &again, &names_again, now_ms));
        let views = [&row, &again].map(|row| CustomerView::read(&schema, &[row], now_ms));
        prop_assert_eq!(format!("{:?}", views[0].derived), format!("{:?}", views[1].derived));
        for (index, def) in oracle::catalog().feature.iter().enumerate() {
            let scale = oracle::feature(def, &entries, now_ms / 1_000).1;
            let [one, other] = [0, 1].map(|at| views[at].readings(&schema, now_ms)[index].value);
            prop_assert!(close(one, f64::from(other), scale), "{}: {} is not {}", def.name, one, other);
        }
    }

    #[test]
    fn the_same_order_gives_the_same_bytes(entries in entries()) {
        let schema = schema();
        let ((names, row), (names_again, again)) = (fed(&schema, &entries), fed(&schema, &entries));
        prop_assert_eq!(&row, &again);
        prop_assert_eq!(digest(&schema, &names, "c", &row), digest(&schema, &names_again, "c", &again));
        prop_assert_ne!(digest(&schema, &names, "c", &row), digest(&schema, &names, "d", &row));
    }

    #[test]
    fn several_rows_read_as_one_that_got_everything(entries in entries(), split in 0usize..40, ahead in -300i64..2_000) {
        let (schema, now_ms) = (schema(), (START_S + SPAN_S + ahead) * 1_000);
        let (left, right) = entries.split_at(split.min(entries.len()));
        let [(names, whole), (left_names, left), (right_names, right)] =
            [&entries[..], left, right].map(|entries| fed(&schema, entries));
        let mut joined = JoinedMatters::new();
        // Names of two partitions give the same channel two ids.
        joined.add(&right, &right_names);
        joined.add(&left, &left_names);
        prop_assert_eq!(joined.readings(&schema, now_ms), matters(&schema, &whole, &names, now_ms));
        let whole = CustomerView::read(&schema, &[&whole], now_ms);
        for rows in [[&left, &right], [&right, &left]] {
            let joined = CustomerView::read(&schema, &rows, now_ms);
            prop_assert_eq!(exact_slots(&schema, &joined.slots), exact_slots(&schema, &whole.slots));
            prop_assert_eq!(format!("{:?}", joined.derived), format!("{:?}", whole.derived));
        }
    }

    #[test]
    fn combining_is_commutative_and_associative(a in entries(), b in entries(), c in entries()) {
        let schema = schema();
        let [a, b, c] = [a, b, c].map(|entries| fed(&schema, &entries).1.slots);
        for feature in schema.features().iter().filter(|feature| feature.rule.exact()) {
            let [a, b, c] = [&a, &b, &c].map(|slots| feature.slots(slots).to_vec());
            let combine = |a: &[Slot], b: &[Slot]| {
                let mut into = a.to_vec();
                feature.rule.combine(&mut into, b);
                into
            };
            prop_assert_eq!(combine(&a, &b), combine(&b, &a), "{}", &feature.name);
            prop_assert_eq!(combine(&combine(&a, &b), &c), combine(&a, &combine(&b, &c)), "{}", &feature.name);
            prop_assert_eq!(combine(&a, &vec![0; a.len()]), a, "{}: nothing changes nothing", &feature.name);
        }
    }

    // The fold touches one bucket where the definition combines whole states.
    #[test]
    fn recording_is_combining_with_a_lifted_event(
        times in prop::collection::vec(1_000_000u32..1_000_200, 1..50), bucket_s in 1u32..20, buckets in 1u32..13,
    ) {
        let rule = Rule::Window(window::Window { bucket_s, buckets });
        let (mut recorded, mut combined) = (vec![0; rule.width()], vec![0; rule.width()]);
        for time in times {
            let mut lifted = vec![0; rule.width()];
            rule.absorb(&mut lifted, time, 1.0);
            rule.combine(&mut combined, &lifted);
            rule.absorb(&mut recorded, time, 1.0);
            prop_assert_eq!(&recorded, &combined);
        }
    }

    // Thousands of events with values of both signs: the bound is on the decayed sum of absolute values.
    #[test]
    fn decayed_sums_stay_within_their_bound_in_any_order(
        events in prop::collection::vec((1_000_000u32..1_050_000, -1_000.0f64..1_000.0), 1..3_000), seed in any::<u64>(),
    ) {
        let rule = Rule::Decayed { half_life_s: 20_000 };
        let mut shuffled = events.clone();
        shuffled.sort_by_key(|(time, value)| hash::keyed(seed, format!("{time} {value}").as_bytes()));
        let weight = |time: u32| libm::pow(0.5, f64::from(1_050_000 - time) / 20_000.0);
        let exact: f64 = events.iter().map(|(time, value)| value * weight(*time)).sum();
        let scale: f64 = events.iter().map(|(time, value)| value.abs() * weight(*time)).sum();
        for order in [events, shuffled] {
            let mut slots = [0];
            order.iter().for_each(|(time, value)| assert!(rule.absorb(&mut slots, *time, *value)));
            let actual = f64::from(rule.read(&slots, 1_050_000));
            prop_assert!((actual - exact).abs() <= 1e-5 * scale, "{actual} is not {exact} within 1e-5 of {scale}");
        }
    }
}

// Agreement proves nothing about what is never generated.
#[test]
fn generated_entries_reach_every_state_of_a_matter_and_every_feature() {
    let (schema, catalog, now_s) = (schema(), oracle::catalog(), START_S + SPAN_S);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut states = std::collections::BTreeSet::new();
    let mut silent: Vec<_> = catalog.feature.iter().collect();
    let (mut stale, mut reopened_twice) = (0, false);
    for _ in 0..256 {
        let entries = entries().new_tree(&mut runner).unwrap().current();
        let ids = ["fault", "browsing", "f-1", "f-2"];
        let told = catalog.matter.iter().flat_map(|def| ids.map(|id| oracle::matter(def, id, &entries, now_s)));
        for (state, _, reopenings, _) in told.flatten() {
            states.insert(state);
            reopened_twice |= reopenings >= 2;
        }
        silent.retain(|def| matches!(oracle::feature(def, &entries, now_s).0, value if value == 0.0 || value.is_nan()));
        let (_, row) = fed(&schema, &entries);
        let readings = CustomerView::read(&schema, &[&row], now_s * 1_000).readings(&schema, now_s * 1_000);
        stale += readings.iter().filter(|reading| reading.state == ReadingState::Stale).count();
    }
    assert_eq!(states.len(), 7, "{states:?}");
    assert!(reopened_twice && stale > 0);
    assert!(silent.is_empty(), "{silent:?}");
}

fn track(name: &str, at_s: i64, channel: &str, matter_id: &str) -> Given {
    let what =
        What::Event { kind: EventKind::Track, name: name.into(), matter_id: matter_id.into(), properties: vec![] };
    Given { what, time_ms: (START_S + at_s) * 1_000, received_ms: 0, channel: channel.into() }
}

fn field(schema: &Schema, view: &CustomerView, at_s: i64, name: &str) -> f32 {
    let mut out = vec![0.0; schema.field_count()];
    view.write_fields(schema, (START_S + at_s) * 1_000, &mut out);
    out[schema.fields().iter().position(|field| field.name == name).unwrap()]
}

#[test]
fn an_unknown_customer_has_counts_of_zero_and_no_values() {
    let schema = schema();
    let view = CustomerView::unknown(&schema);
    assert!(!view.known);
    for name in [
        "customer.orders",
        "customer.revenue",
        "customer.orders_recent",
        "customer.ordered",
        "matter.open",
        "customer.orders_decayed",
        "matter.fault.reopenings",
        "contact.shown_24h",
        "contact.accepted_30d",
    ] {
        assert_eq!(field(&schema, &view, 0, name), 0.0, "{name}");
    }
    for name in [
        "customer.revenue_last",
        "customer.plan",
        "customer.minutes_since_order",
        "customer.express",
        "matter.fault.days_open",
        "contact.hours_since_shown",
        "customer.offers_read",
    ] {
        assert!(field(&schema, &view, 0, name).is_nan(), "{name}");
    }
}

#[test]
fn a_total_is_not_rounded_to_single_precision() {
    let schema = schema();
    let properties = vec![("revenue".to_owned(), Property::Number(16_777_217.01))];
    let what = What::Event { kind: EventKind::Track, name: TRACKS[0].into(), matter_id: String::new(), properties };
    let (_, row) = fed(&schema, &[Given { what, ..track("", 0, "web", "") }]);
    let mut view = CustomerView::read(&schema, &[&row], 0);
    assert_eq!([0, 1, 4].map(|index| view.total(&schema, index)), [Some(1.0), Some(16_777_217.01), None]);
    view.purposes = 0;
    assert_eq!(view.total(&schema, 0), None);
}

#[test]
fn a_reading_says_why_there_is_no_value() {
    let schema = schema();
    let order = |at_s| {
        let properties = vec![("plan".to_owned(), Property::Text("gold".into()))];
        let what = What::Event { kind: EventKind::Track, name: TRACKS[0].into(), matter_id: String::new(), properties };
        Given { what, ..track("", at_s, "web", "") }
    };
    let (_, row) = fed(&schema, &[order(0), track("Offer Read", 0, "web", "")]);
    let view = CustomerView::read(&schema, &[&row], START_S * 1_000);
    let state = |name: &str, at_s: i64| {
        let index = schema.features().iter().position(|feature| feature.name == name).unwrap();
        let reading = view.readings(&schema, (START_S + at_s) * 1_000)[index];
        assert_eq!(reading.value.is_nan(), reading.state != ReadingState::Present);
        (reading.state, reading.evidence_s.map(|time_s| i64::from(time_s) - START_S))
    };
    assert_eq!(state("plan", 240), (ReadingState::Present, Some(0)));
    assert_eq!(state("plan", 241), (ReadingState::Stale, Some(0)));
    assert_eq!(state("revenue_last", 0), (ReadingState::Missing, None));
    assert_eq!(state("orders", 0), (ReadingState::Present, None));
    assert_eq!(state("offers_read", 0), (ReadingState::Denied, None));
    assert_eq!(view.purposes, 0b101, "service and insight");
}

#[test]
fn contacts_and_matters_become_fields() {
    let schema = schema();
    let hour = 3_600;
    let said = |what, hours: i64| Given { what, ..track("", hours * hour, "web", "") };
    let decided = |action: &str, hours| said(What::Decision { action: action.into() }, hours);
    let answered = |kind, hours| said(What::Outcome { kind, action: "offer".into(), value: 0.0 }, hours);
    let entries = [
        decided("offer", 0),
        decided("help", 100),
        decided("offer", 110),
        decided("none", 111),
        answered(OutcomeName::Accepted, 1),
        answered(OutcomeName::Rejected, 110),
        answered(OutcomeName::Rejected, 111),
        track("Fault Reported", 24 * hour, "app", ""),
        track("Fault Reported", 48 * hour, "app", "f-2"),
    ];
    let (_, row) = fed(&schema, &entries);
    let at = |hours: i64, name| {
        let view = CustomerView::read(&schema, &[&row], (START_S + hours * hour) * 1_000);
        field(&schema, &view, hours * hour, name)
    };
    assert_eq!((at(112, "contact.shown_24h"), at(112, "contact.shown_7d")), (2.0, 3.0));
    assert_eq!((at(168, "contact.shown_7d"), at(112, "contact.hours_since_shown")), (2.0, 2.0));
    assert_eq!((at(112, "contact.accepted_30d"), at(112, "contact.rejected_30d")), (1.0, 2.0));
    assert_eq!((at(721, "contact.accepted_30d"), at(721, "contact.rejected_30d")), (0.0, 2.0));
    assert_eq!((at(72, "matter.open"), at(72, "matter.fault.open"), at(72, "matter.fault.days_open")), (2.0, 2.0, 2.0));
    // Asked about the past, what came later is not seen.
    assert_eq!((at(2, "contact.shown_24h"), at(2, "matter.open"), at(30, "matter.open")), (1.0, 0.0, 1.0));
}

#[test]
fn the_timeline_is_newest_first_with_names_resolved() {
    let schema = schema();
    let entries = [
        track(" Fault Reported ", 10, "app", "f-1"),
        track("Call Started", 30, "agent", ""),
        track("Unheard Of", 20, "web", "nowhere"),
        Given { what: What::Decision { action: "help".into() }, ..track("", 40, "web", "") },
        Given {
            what: What::Outcome { kind: OutcomeName::NotPresented, action: "help".into(), value: 0.0 },
            ..track("", 50, "web", "")
        },
    ];
    let (names, row) = fed(&schema, &entries);
    let lines: Vec<_> = interactions(&schema, &row, &names)
        .iter()
        .map(|it| {
            format!(
                "{} {:?} {} {} {} {}",
                i64::from(it.time_s) - START_S,
                it.kind,
                it.name,
                it.channel,
                it.matter_id,
                it.action
            )
        })
        .collect();
    let expected = [
        "50 Outcome not_presented web  help",
        "40 Decision decision web  help",
        "30 Event Call Started agent fault ",
        "20 Event Unheard Of web  ",
        "10 Event Fault Reported app f-1 ",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_an_entry_could_not_do_is_counted() {
    let schema = schema();
    let (mut names, mut row) = (Names::new(), Row::new(&schema));
    let on_time = Given { received_ms: START_S * 1_000 + 30_000, ..track("Order Completed", 0, "web", "") };
    let late = Given { received_ms: START_S * 1_000 + 30_001, ..on_time.clone() };
    assert_eq!(on_time.apply(&schema, &mut names, &mut row).late, 0);
    let applied = late.apply(&schema, &mut names, &mut row);
    assert_eq!((applied.late, applied.out_of_range), (1, false));
    assert!(applied.unusable > 0, "there was no revenue");
    let before = row.clone();
    for time_ms in [i64::MIN, -1, 315_532_799_999, i64::MAX] {
        assert!(Given { time_ms, ..late.clone() }.apply(&schema, &mut names, &mut row).out_of_range);
    }
    assert_eq!(row, before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_row_and_its_names_read_back_to_the_bit(entries in entries(), flips in prop::collection::vec((any::<u16>(), 1u8..), 1..4)) {
        let schema = schema();
        let (names, row) = fed(&schema, &entries);
        let mut bytes = Vec::new();
        encode_row("customer:42", &row, &mut bytes);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(decode_row(&schema, &mut reader), Ok(("customer:42", row.clone())));
        prop_assert!(reader.is_empty());

        let (mut bytes_of_names, mut place) = (Vec::new(), Some(NamesPlace::default()));
        while let Some(from) = place {
            place = names.encode(from, 2, &mut bytes_of_names);
        }
        let names_read = Names::decode(&mut [Reader::new(&bytes_of_names)]).unwrap();
        prop_assert_eq!(digest(&schema, &names_read, "c", &row), digest(&schema, &names, "c", &row));

        // Whatever a disk makes of it: an answer, never a panic, and a cut is always seen.
        prop_assert!(decode_row(&schema, &mut Reader::new(&bytes[..bytes.len() - 1])).is_err());
        for (at, flip) in flips {
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= flip;
            let _any = decode_row(&schema, &mut Reader::new(&bytes));
        }
    }
}
