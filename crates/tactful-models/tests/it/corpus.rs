//! A corpus of bad artifacts, each with a name: signed as if they were good, so that only what they say
//! can refuse them; and files that are no artifacts at all.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use tactful_models::{Recipe, artifact::read};
use tactful_proto::artifact as proto;

use crate::damaged::{resigned, signed, sound};
use crate::synthetic::{TRUTH, customers, trained};

/// Name, what the refusal must say, and how a sound model is spoiled.
type Case = (&'static str, &'static str, fn(&mut proto::Model));
/// Fewest cases of the corpus.
const CASES_MIN: usize = 60;

/// A small sound artifact of trees, with an isotonic calibration.
pub(crate) fn forest() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let recipe = "name = \"acceptance\"\nkind = \"forest\"\ncalibration = \"isotonic\"\ngolden_rows = 10\n\
                      [trees]\ncount = 3\ndepth = 3\n";
        trained(&Recipe::parse(recipe).unwrap(), customers(900, "card", TRUTH, 1)).unwrap().artifact
    })
}

#[test]
fn every_bad_artifact_is_refused_for_what_is_bad_in_it() {
    let mut names = BTreeSet::new();
    assert!(read(sound()).is_ok() && read(forest()).is_ok());
    let of_weights = [frame(), columns(), heads(), proofs()].concat();
    let of_trees = [trees(), calibrations()].concat();
    for (base, cases) in [(sound(), of_weights), (forest(), of_trees)] {
        for (name, word, change) in cases {
            let refused = read(&resigned(base, change)).expect_err(name).to_string();
            assert!(refused.contains(word), "{name}: {refused}");
            assert!(names.insert(name), "{name} comes twice");
        }
    }
    for (name, word, bytes) in files() {
        let refused = read(&bytes).expect_err(name).to_string();
        assert!(refused.contains(word), "{name}: {refused}");
        assert!(names.insert(name), "{name} comes twice");
    }
    assert!(names.len() >= CASES_MIN, "{} cases", names.len());
}

/// Names, kinds and counts.
fn frame() -> Vec<Case> {
    vec![
        ("a name that climbs up", "is no name", |model| model.name = "../up".into()),
        ("no name", "is no name", |model| model.name.clear()),
        ("no kind", "kind", |model| model.kind = 0),
        ("a kind of the future", "kind", |model| model.kind = 77),
        ("more inputs than fields", "more than 1024 inputs", |model| {
            model.inputs.resize(1_025, proto::Input::default())
        }),
        ("too many columns", "more than 4096 columns", |model| model.columns.resize(4_097, proto::Column::default())),
        ("too many heads", "more than 32769 heads", |model| model.heads.resize(32_770, proto::Head::default())),
        ("too many golden rows", "more than 36865 golden rows", |model| {
            model.golden_rows.resize(36_866, proto::GoldenRow::default())
        }),
        ("too many metrics", "more than 64 metrics", |model| model.metrics.resize(65, proto::Metric::default())),
        ("too many words", "more than 1024 words", |model| category(model).vocabulary.resize(1_025, String::new())),
        ("a word too long", "has a word of 257 bytes", |model| category(model).vocabulary[0] = "x".repeat(257)),
        ("a word twice", "has a word twice", |model| category(model).vocabulary[0] = "shop".into()),
        ("a category of no words", "has 0 words", |model| category(model).vocabulary.clear()),
        ("a number with words", "and has a vocabulary", |model| category(model).kind = "number".into()),
        ("an input of no kind", "neither a number", |model| category(model).kind = "text".into()),
        ("an input twice", "comes twice", |model| model.inputs[1].name = model.inputs[0].name.clone()),
        ("a name too long", "not 1 to 128", |model| model.inputs[0].name = "x".repeat(129)),
        ("a name with a line break", "control character", |model| model.inputs[0].name = "a\nb".into()),
    ]
}

/// Columns.
fn columns() -> Vec<Case> {
    vec![
        ("a column of no input", "names input 99", |model| model.columns[0].input = 99),
        ("a column of no word", "names category 99", |model| {
            model.columns[0].encoding = Some(proto::column::Encoding::Category(99));
        }),
        ("a fill that is no number", "fill that is not finite", |model| {
            let number = model.columns.iter_mut().find(|column| is_number(column)).unwrap();
            *range(number) = proto::Number { fill: f32::NAN, low: 0.0, high: 1.0 };
        }),
        ("a range upside down", "outside its range", |model| {
            let number = model.columns.iter_mut().find(|column| is_number(column)).unwrap();
            *range(number) = proto::Number { fill: 0.5, low: 1.0, high: 0.0 };
        }),
        ("a range without an end", "outside its range", |model| {
            let number = model.columns.iter_mut().find(|column| is_number(column)).unwrap();
            range(number).high = f32::NAN;
        }),
        ("a scaling that is no number", "scaling that is not finite", |model| {
            let number = model.columns.iter_mut().find(|column| is_number(column)).unwrap();
            let scaled = proto::Scaled { fill: 0.0, offset: 0.0, scale: f32::NAN };
            number.encoding = Some(proto::column::Encoding::Scaled(scaled));
        }),
        ("a column of nothing", "has no encoding", |model| model.columns[0].encoding = None),
    ]
}

/// Heads of weights.
fn heads() -> Vec<Case> {
    vec![
        ("no heads at all", "no heads", |model| model.heads.clear()),
        ("a weight that is no number", "weight is not finite", |model| model.heads[0].weights[1] = f32::NAN),
        ("an endless intercept", "weight is not finite", |model| model.heads[0].bias = f32::INFINITY),
        ("a weight too many", "weights for", |model| model.heads[0].weights.push(0.0)),
        ("a weight too few", "weights for", |model| model.heads[0].weights.truncate(1)),
        ("a head of no scope", "no scope", |model| model.heads[0].scope = 0),
        ("a head twice", "repeats the scope", |model| model.heads.push(model.heads[0].clone())),
        ("more successes than rows", "more positive rows", |model| model.heads[0].positives = u64::MAX),
        ("a shared head with an id", "shared one and has an id", |model| {
            model.heads.last_mut().unwrap().id = "x".into()
        }),
    ]
}

/// Golden rows, lineage and metrics.
fn proofs() -> Vec<Case> {
    vec![
        ("no golden rows", "0 golden rows", |model| model.golden_rows.clear()),
        ("a head that nothing proves", "head 1 has no golden row", |model| {
            model.golden_rows = repeated(model, |row| row.head != 1)
        }),
        ("a golden row of no head", "names head 99", |model| model.golden_rows[0].head = 99),
        ("an endless golden input", "infinite", |model| model.golden_rows[0].inputs[0] = f32::INFINITY),
        ("a golden answer that is off", "the model gives", |model| model.golden_rows[0].probability += 1e-4),
        ("a golden answer that is no number", "the model gives", |model| model.golden_rows[0].probability = f64::NAN),
        ("an intercept that moved", "the model gives", |model| model.heads[0].bias += 0.01),
        ("no lineage", "no lineage", |model| model.lineage = None),
        ("no recipe", "not 32", |model| model.lineage.as_mut().unwrap().recipe_sha256.clear()),
        ("a training that ends before it begins", "ends before", |model| {
            model.lineage.as_mut().unwrap().last_decision_ms = i64::MIN
        }),
        ("a metric that is no number", "is not finite", |model| model.metrics[0].value = f64::NAN),
        ("a metric twice", "repeats the name", |model| model.metrics[1].name = model.metrics[0].name.clone()),
    ]
}

/// Trees that are none.
fn trees() -> Vec<Case> {
    vec![
        ("a leaf that is no number", "is not finite", |model| tree(model).values[0] = f64::NAN),
        ("an endless leaf", "is not finite", |model| tree(model).values[1] = f64::INFINITY),
        ("leaves whose sum is endless", "not always a finite number", |model| {
            first(model).trees.iter_mut().for_each(|tree| tree.values.fill(f64::MAX));
        }),
        ("a threshold that is no number", "threshold that is not finite", |model| tree(model).thresholds[0] = f32::NAN),
        ("an endless threshold", "threshold that is not finite", |model| tree(model).thresholds[0] = f32::INFINITY),
        ("a split of no column", "reads column 9999", |model| tree(model).columns[0] = 9_999),
        ("a split of a column beyond all", "reads column 4294967295", |model| tree(model).columns[0] = u32::MAX),
        ("a way back up", "not behind itself", |model| *inner(model) = 1),
        ("a way in a circle", "not behind itself", |model| {
            let at = position(model);
            tree(model).left[at] = at as u32;
        }),
        ("a way out of the tree", "not behind itself", |model| tree(model).left[0] = 10_000),
        ("a way beyond all nodes", "not behind itself", |model| tree(model).left[0] = u32::MAX),
        ("children that overlap", "parents", |model| *inner(model) += 1),
        ("two parents of one child", "parents", |model| {
            let last = tree(model).left.iter().rposition(|left| *left != 0).unwrap();
            let left = tree(model).left[last];
            *inner(model) = left;
        }),
        ("nodes out of reach", "parents", |model| add_leaves(tree(model), 2)),
        ("a tree of no nodes", "no nodes", |model| *tree(model) = proto::Tree::default()),
        ("columns cut off", "same number of nodes", |model| cut(&mut tree(model).columns)),
        ("thresholds cut off", "same number of nodes", |model| cut(&mut tree(model).thresholds)),
        ("ways cut off", "same number of nodes", |model| cut(&mut tree(model).left)),
        ("missing directions cut off", "same number of nodes", |model| tree(model).missing_left.clear()),
        ("a leaf without a value", "same number of nodes", |model| cut(&mut tree(model).values)),
        ("a value without a leaf", "same number of nodes", |model| tree(model).values.push(0.5)),
        ("no trees", "0 trees", |model| first(model).trees.clear()),
        ("too many trees", "more than 10000 trees", |model| first(model).trees.resize(10_001, proto::Tree::default())),
        ("too many nodes", "at most 4194304 are allowed", |model| add_leaves(tree(model), 1 << 22)),
        ("an endless scale", "not always a finite number", |model| first(model).scale = f64::INFINITY),
        ("a base that is no number", "not always a finite number", |model| first(model).base = f64::NAN),
        ("no link", "no known link", |model| first(model).link = 0),
        ("a link of the future", "no known link", |model| first(model).link = 9),
        ("trees in a model of weights", "has trees in a linear model", |model| model.kind = 1),
        ("a head without its trees", "has no trees", |model| model.heads[0].forest = None),
        ("a head of trees and weights", "has trees and weights", |model| model.heads[0].weights.push(1.0)),
        ("a leaf that moved", "the model gives", |model| tree(model).values.iter_mut().for_each(|leaf| *leaf += 0.1)),
    ]
}

/// Curves that are none.
fn calibrations() -> Vec<Case> {
    vec![
        ("a curve that falls", "does not rise", |model| curve(model).observed.reverse()),
        ("a curve that goes back", "does not rise", |model| curve(model).scored.reverse()),
        ("a knot outside", "outside 0 to 1", |model| curve(model).observed[0] = -0.5),
        ("a knot that is no number", "outside 0 to 1", |model| curve(model).scored[0] = f64::NAN),
        ("half a knot", "cut in half", |model| cut(&mut curve(model).observed)),
        ("no knots", "of 0 knots", |model| *curve(model) = proto::Isotonic::default()),
        ("too many knots", "of 1025 knots", |model| {
            let rising: Vec<f64> = (0..1_025).map(|knot| f64::from(knot) / 2_000.0).collect();
            *curve(model) = proto::Isotonic { scored: rising.clone(), observed: rising };
        }),
        ("a calibration of no curve", "no known curve", |model| {
            model.heads[0].calibration = Some(proto::Calibration { curve: None });
        }),
        ("a logistic curve that falls", "or falls", |model| platt(model, -1.0, 0.0)),
        ("a logistic curve without an end", "not finite", |model| platt(model, f64::INFINITY, 0.0)),
    ]
}

/// Files that are no artifacts, or hold more than their size tells.
fn files() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let zeros = [&[0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 2, 3][..], &[0xED, 0xC1, 0x01, 0x01, 0, 0].repeat(100)].concat();
    // Two bytes of a head's field each, which become a hundred in memory.
    let tree = [0x0A, 0x00].repeat(10_000);
    let message = |key: u8, inner: &[u8]| {
        let mut out = vec![key];
        prost::encoding::encode_varint(inner.len() as u64, &mut out);
        out.extend_from_slice(inner);
        out
    };
    let heads = message(0x2A, &message(0x3A, &tree)).repeat(200);
    let long = [&[0x08, 0x01, 0x12][..], &[0xFF; 9], &[0x01]].concat();
    vec![
        ("an empty file", "format 0", Vec::new()),
        ("a compressed bomb", "broken or truncated", zeros),
        ("an archive", "unknown field 10", b"PK\x03\x04\x14\0\0\0\x08\0 acceptance.model".to_vec()),
        ("a pickle", "unknown field", b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8C\x08builtins".to_vec()),
        ("a model that claims to be endless", "broken or truncated", long),
        ("a million trees in two bytes each", "more than 1048576 trees", signed(heads)),
        ("a model of nothing", "no heads", signed(Vec::new())),
        ("columns in two bytes each", "more than 4096 columns", signed([0x22, 0x00].repeat(1 << 20))),
        ("an envelope in an envelope", "broken or truncated", signed(sound().to_vec())),
    ]
}

fn first(model: &mut proto::Model) -> &mut proto::Forest {
    model.heads[0].forest.as_mut().unwrap()
}

/// The first tree; its root splits.
fn tree(model: &mut proto::Model) -> &mut proto::Tree {
    &mut first(model).trees[0]
}

/// A split below the root of the first tree.
fn position(model: &mut proto::Model) -> usize {
    1 + tree(model).left[1..].iter().position(|left| *left != 0).expect("the tree is more than a stump")
}

/// Where that split leads.
fn inner(model: &mut proto::Model) -> &mut u32 {
    let at = position(model);
    &mut tree(model).left[at]
}

fn cut<T>(list: &mut Vec<T>) {
    list.pop();
}

fn add_leaves(tree: &mut proto::Tree, count: usize) {
    let nodes = tree.left.len() + count;
    tree.left.resize(nodes, 0);
    tree.columns.resize(nodes, 0);
    tree.thresholds.resize(nodes, 0.0);
    tree.missing_left.resize(nodes, false);
    tree.values.resize(tree.values.len() + count, 0.5);
}

fn curve(model: &mut proto::Model) -> &mut proto::Isotonic {
    let calibration = model.heads[0].calibration.as_mut().unwrap();
    let Some(proto::calibration::Curve::Isotonic(curve)) = &mut calibration.curve else { panic!("another curve") };
    curve
}

fn platt(model: &mut proto::Model, slope: f64, intercept: f64) {
    let curve = Some(proto::calibration::Curve::Platt(proto::Platt { slope, intercept }));
    model.heads[0].calibration = Some(proto::Calibration { curve });
}

fn category(model: &mut proto::Model) -> &mut proto::Input {
    model.inputs.iter_mut().find(|input| input.kind == "category").unwrap()
}

fn is_number(column: &proto::Column) -> bool {
    matches!(column.encoding, Some(proto::column::Encoding::Number(_)))
}

fn range(column: &mut proto::Column) -> &mut proto::Number {
    let Some(proto::column::Encoding::Number(number)) = &mut column.encoding else { panic!("no number") };
    number
}

/// Some of the golden rows, repeated until there are enough.
pub(crate) fn repeated(model: &proto::Model, keep: impl Fn(&proto::GoldenRow) -> bool) -> Vec<proto::GoldenRow> {
    let kept: Vec<_> = model.golden_rows.iter().filter(|row| keep(row)).cloned().collect();
    kept.iter().cycle().take(20).cloned().collect()
}
