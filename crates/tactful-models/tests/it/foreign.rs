//! Files of other libraries with the libraries' own answers (tests/fixtures/make.py): reproduced, or refused
//! with the reason.

use std::fs;
use std::path::PathBuf;

use tactful_core::layout::FieldKind;
use tactful_core::score::{Column, ModelKind, Scope};
use tactful_models::{
    ForeignRow, Format, IMPORT_BYTES_MAX, IMPORT_TOLERANCE, ImportOptions, Imported, artifact, import,
};

/// The columns of all fixtures.
pub(crate) const SPECS: [&str; 6] =
    ["customer.age", "customer.spend", "customer.loyal:bool", "plan=small", "plan=large", "tenure"];
/// Files that are read, with their trees; 0 for linear ones.
const READ: [(&str, usize); 20] = [
    ("lightgbm_nan.txt", 8),
    ("lightgbm_none.txt", 8),
    ("lightgbm_entropy.txt", 8),
    ("lightgbm_rf.txt", 8),
    ("lightgbm_v3.txt", 8),
    ("xgboost_hist.json", 8),
    ("xgboost_pruned.json", 16),
    ("xgboost_v2.json", 8),
    ("onnx_scaled.onnx", 0),
    ("onnx_imputed.onnx", 0),
    ("onnx_plain.onnx", 0),
    ("onnx_forest.onnx", 8),
    ("onnx_forest_ml3.onnx", 8),
    ("onnx_boosted.onnx", 8),
    ("onnx_lightgbm.onnx", 8),
    ("onnx_xgboost.onnx", 8),
    ("onnx_modes.onnx", 8),
    ("onnx_mean.onnx", 8),
    ("onnx_softmax.onnx", 0),
    ("onnx_row.onnx", 0),
];

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", name].iter().collect()
}

pub(crate) fn file(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap()
}

/// The library's own answers beside a file.
pub(crate) fn answers(name: &str) -> Vec<ForeignRow> {
    let csv = fs::read_to_string(path(name).with_extension("csv")).unwrap();
    let number = |cell: &str| if cell.is_empty() { f64::NAN } else { cell.parse().unwrap() };
    let row = |line: &str| {
        let mut values: Vec<f64> = line.split(',').map(number).collect();
        let probability = values.pop().unwrap();
        ForeignRow { values: values.into_iter().map(|value| value as f32).collect(), probability }
    };
    csv.lines().skip(1).map(row).collect()
}

pub(crate) fn options() -> ImportOptions {
    let columns = SPECS.map(str::to_owned).to_vec();
    ImportOptions { name: "acceptance".into(), columns, ..ImportOptions::default() }
}

fn proved(name: &str) -> Imported {
    let told = import(&file(name), &ImportOptions { golden: answers(name), ..options() });
    told.unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn refused(bytes: &[u8], options: &ImportOptions) -> String {
    import(bytes, options).map(|imported| imported.model.name).unwrap_err().to_string()
}

#[test]
fn every_file_gives_what_its_library_predicts() {
    for (name, trees) in READ {
        let imported = proved(name);
        let difference = imported.max_abs_diff.unwrap();
        assert!(difference <= IMPORT_TOLERANCE, "{name}: {difference}");
        assert_eq!(imported.trees, trees, "{name}");
        assert_eq!(imported.model.kind() == ModelKind::Forest, trees > 0, "{name}");
        assert_eq!(name.split('_').next(), Some(imported.format.name()), "{name}");
        assert!(imported.nodes >= 3 * trees && !imported.source_version.is_empty(), "{name}: {imported:?}");
        let loaded = artifact::read(&imported.artifact).unwrap();
        assert_eq!((&loaded.model, loaded.golden_rows.len()), (&imported.model, imported.golden_rows), "{name}");
        assert_eq!(loaded.lineage.source_format, imported.format.name());
        assert_eq!(loaded.lineage.source_version, imported.source_version);
    }
}

#[test]
fn rows_with_missing_values_are_among_the_answers_where_the_library_takes_them() {
    for name in ["lightgbm_nan.txt", "lightgbm_none.txt", "lightgbm_rf.txt", "xgboost_hist.json", "onnx_imputed.onnx"] {
        let rows = answers(name);
        let holes = rows.iter().filter(|row| row.values.iter().any(|value| value.is_nan())).count();
        assert!(holes > 10 && holes < rows.len(), "{name}: {holes} of {}", rows.len());
    }
    assert!(proved("onnx_forest.onnx").notes.iter().any(|note| note.contains("missing number")));
}

#[test]
fn columns_become_inputs_with_kinds_and_words() {
    let model = proved("lightgbm_nan.txt").model;
    let names: Vec<&str> = model.inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(names, ["customer.age", "customer.spend", "customer.loyal", "plan", "tenure"]);
    assert_eq!(model.inputs[2].kind, FieldKind::Bool);
    assert_eq!(model.inputs[3].kind, FieldKind::Category(vec!["small".into(), "large".into()]));
    assert_eq!(model.columns[0], Column::Value { input: 0 });
    assert_eq!(model.columns[4], Column::Category { input: 3, category: 1 });
    let filled = proved("onnx_imputed.onnx").model.columns[0];
    assert!(matches!(filled, Column::Scaled { fill, .. } if fill > 40.0 && fill < 60.0), "{filled:?}");
}

#[test]
fn a_head_is_for_all_or_for_one_action_or_group() {
    let golden = answers("lightgbm_nan.txt");
    for (scope, id) in [(Scope::Action, "upgrade"), (Scope::Group, "offers"), (Scope::Global, "")] {
        let options =
            ImportOptions { scope, id: id.into(), golden: golden.clone(), rows: 9, positives: 3, ..options() };
        let head = &import(&file("lightgbm_nan.txt"), &options).unwrap().model.heads[0];
        assert_eq!((head.scope, head.id.as_str(), head.rows, head.positives), (scope, id, 9, 3));
    }
    for (scope, id, rows) in [(Scope::Action, "", 1), (Scope::Global, "x", 1), (Scope::Global, "", 0)] {
        let wrong = ImportOptions { scope, id: id.into(), rows, positives: 1, ..options() };
        assert!(import(&file("lightgbm_nan.txt"), &wrong).is_err());
    }
}

#[test]
fn without_answers_the_result_says_that_nothing_was_proved() {
    for (name, _) in READ {
        let imported = import(&file(name), &options()).unwrap();
        assert_eq!((imported.golden_rows, imported.max_abs_diff), (64, None), "{name}");
        assert!(imported.notes[0].contains("NOT PROVED"), "{:?}", imported.notes);
        let loaded = artifact::read(&imported.artifact).unwrap();
        let answers: std::collections::BTreeSet<u64> =
            loaded.golden_rows.iter().map(|row| row.probability.to_bits()).collect();
        assert!(answers.len() > 10, "{name}: the made rows tell {} answers apart", answers.len());
        assert_eq!(import(&file(name), &options()).unwrap().artifact, imported.artifact, "{name}");
    }
}

#[test]
fn wrong_answers_are_refused() {
    let name = "lightgbm_nan.txt";
    let golden = |change: &dyn Fn(&mut Vec<ForeignRow>)| {
        let mut rows = answers(name);
        change(&mut rows);
        refused(&file(name), &ImportOptions { golden: rows, ..options() })
    };
    let told = golden(&|rows| rows[7].probability += 2e-6);
    assert!(told.contains("1 of 40 golden rows") && told.contains("furthest is row 8"), "{told}");
    assert!(golden(&|rows| rows.truncate(9)).contains("9 golden rows, not 10 to 4096"));
    assert!(golden(&|rows| rows[3].probability = 1.5).contains("golden row 4 has 1.5"));
    let both = golden(&|rows| rows[3].values[3..5].fill(1.0));
    assert!(both.contains("golden row 4 contradicts itself: plan=large"), "{both}");
    assert!(golden(&|rows| rows[3].values.truncate(2)).contains("has 2 values"));
    let many = golden(&|rows| *rows = rows.iter().cycle().take(4_097).cloned().collect());
    assert!(many.contains("4097 golden rows"), "{many}");
    let lost = ImportOptions { golden: answers("refused_directions.onnx"), ..options() };
    let told = refused(&file("refused_directions.onnx"), &lost);
    assert!(told.contains("only rows with missing values are off"), "{told}");
}

#[test]
fn what_cannot_be_scored_exactly_is_refused_with_the_reason() {
    for (name, word) in [
        ("refused_dart.json", "booster dart"),
        ("refused_linear.txt", "linear_tree"),
        ("refused_zero.txt", "zero_as_missing"),
        ("refused_category.txt", "splits by categories"),
        ("refused_multiclass.txt", "3 classes"),
        ("refused_multiclass.onnx", "3 classes"),
    ] {
        let told = refused(&file(name), &ImportOptions { columns: Vec::new(), ..options() });
        assert!(told.contains(word), "{name}: {told}");
    }
}

#[test]
fn columns_are_given_or_named_by_the_file() {
    let name = "lightgbm_nan.txt";
    let unnamed = ImportOptions { columns: Vec::new(), ..options() };
    let told = refused(&file(name), &unnamed);
    assert!(told.contains("does not name its 6 columns") && told.contains("customer.plan=large"), "{told}");
    let short = ImportOptions { columns: options().columns[..5].to_vec(), ..options() };
    let told = refused(&file(name), &short);
    assert!(told.contains("5 column specs, but the file reads 6 columns"), "{told}");
    let twice = ImportOptions { columns: vec!["age".into(); 6], ..options() };
    assert!(refused(&file(name), &twice).contains("column 2 (age): the column comes twice"));
    let text = String::from_utf8(file(name)).unwrap();
    let named =
        text.replace("Column_0 Column_1 Column_2 Column_3 Column_4 Column_5", "age spend loyal plan=s plan=l tenure");
    let imported = import(named.as_bytes(), &unnamed).unwrap();
    assert_eq!(imported.model.inputs.len(), 5);
    let json = String::from_utf8(file("xgboost_hist.json")).unwrap();
    let named = json.replace("\"feature_names\":[]", "\"feature_names\":[\"a\",\"b\",\"c\",\"d=x\",\"d=y\",\"e\"]");
    assert_eq!(import(named.as_bytes(), &unnamed).unwrap().model.inputs.len(), 5);
}

#[test]
fn files_that_are_none_of_these_say_what_to_do() {
    let told = refused(b"\x80\x04\x95pickle", &options());
    assert!(told.contains("never opened"), "{told}");
    assert!(refused(b"{L\0\0\0\0\0\0\0\x07learner", &options()).contains("model.json"));
    assert!(refused(&vec![b'x'; IMPORT_BYTES_MAX + 1], &options()).contains("at most 67108864"));
    assert!(
        refused(&file("lightgbm_nan.txt"), &ImportOptions { name: "No Name".into(), ..options() }).contains("name")
    );
    for format in [Format::LightGbm, Format::XgBoost, Format::Onnx] {
        let told = refused(b"\x08nothing", &ImportOptions { format: Some(format), ..options() });
        assert!(told.starts_with(format.name()), "{told}");
    }
}

#[test]
fn edited_files_are_refused_by_name() {
    let text = String::from_utf8(file("lightgbm_nan.txt")).unwrap();
    let json = String::from_utf8(file("xgboost_hist.json")).unwrap();
    for (whole, from, to, word) in [
        (&text, "version=v4", "version=v2", "only v3 and v4"),
        (&text, "objective=binary", "objective=regression", "objective regression"),
        (&text, "objective=binary sigmoid:1\n", "", "no objective"),
        (&text, "num_class=1", "num_class=3", "3 classes"),
        (&text, "sigmoid:1", "sigmoid:-1", "sigmoid is -1"),
        (&text, "max_feature_idx=5", "max_feature_idx=99999", "column 99999"),
        (&text, "end of trees", "the end", "where tree 8 should begin"),
        (&text, "Tree=3", "Tree=4", "where tree 3 should begin"),
        (&text, "is_linear=0", "is_cubic=0", "`is_cubic` is not known"),
        (&text, "num_leaves=6", "num_leaves=7", "numbers, not 7"),
        (&text, "left_child=1", "left_child=0", "reached twice"),
        (&text, "left_child=1", "left_child=77", "child 77 does not exist"),
        (&text, "leaf_value=", "leaf_value=nan ", "numbers, not 6"),
        (&text, "tree_sizes=", "tree_sizes=1 ", "tree_sizes"),
        (&json, "\"binary:logistic\"", "\"reg:squarederror\"", "reg:squarederror"),
        (&json, "\"num_class\":\"0\"", "\"num_class\":\"3\"", "3 classes"),
        (&json, "\"num_feature\":\"6\",\"num_target\"", "\"num_feature\":\"2\",\"num_target\"", "reads column"),
        (&json, "\"num_target\":\"1\"", "\"num_target\":\"2\"", "2 targets"),
        (&json, "\"name\":\"gbtree\"", "\"name\":\"gblinear\"", "booster gblinear"),
        (&json, "\"left_children\":[1,", "\"left_children\":[0,", "reached twice"),
        (&json, "\"left_children\":[1,", "\"left_children\":[99,", "no node 99"),
        (&json, "\"left_children\":[1,", "\"left_children\":[-1,", "one child"),
        (&json, "\"split_type\":[0,", "\"split_type\":[1,", "by categories"),
        (&json, "\"size_leaf_vector\":\"1\"", "\"size_leaf_vector\":\"3\"", "several values"),
        (&json, "\"num_trees\":\"8\"", "\"num_trees\":\"9\"", "num_trees says 9"),
        (&json, "\"version\":[3,", "\"version\":[1,", "version 1."),
        (&json, "\"attributes\":{", "\"attributes\":{\"best_iteration\":\"3\",", "early stopping kept round 3"),
        (&json, "\"base_score\":\"[", "\"base_score\":\"[7,", "base_score"),
    ] {
        assert!(whole.contains(from), "{from} is not in the file");
        let told = refused(whole.replacen(from, to, 1).as_bytes(), &options());
        assert!(told.contains(word), "{to}: {told}");
    }
    let kept = json.replacen("\"attributes\":{", "\"attributes\":{\"best_iteration\":\"7\",", 1);
    assert!(import(kept.as_bytes(), &options()).is_ok());
}
