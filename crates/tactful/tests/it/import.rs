//! `tactful model import`: files of other libraries, and what is wrong with them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    assert_told, done, failed, json,
    process::Call,
    server::{Home, Server},
    tactful,
};

const COLUMNS: &str = "\
# in the order of training
customer.age
customer.spend
customer.loyal:bool
plan=small
plan=large
tenure  # in years
";

/// A file that the real library wrote, with its predictions beside it.
fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "tactful-models", "tests", "fixtures", name].iter().collect()
}

/// The golden rows of a fixture, under the specs as header.
fn golden(home: &Home, name: &str) -> String {
    let rows = fs::read_to_string(fixture(name).with_extension("csv")).unwrap();
    let (_, rows) = rows.split_once('\n').unwrap();
    let header = "customer.age,customer.spend,customer.loyal:bool,plan=small,plan=large,tenure,probability";
    home.file("golden.csv", format!("{header}\n{rows}"))
}

fn import<'a>(file: &'a Path, rest: &[&'a str]) -> Vec<&'a str> {
    [&["model", "import", file.to_str().unwrap(), "--name", "acceptance"], rest].concat()
}

#[test]
fn files_of_all_three_libraries_are_imported_and_shown() {
    let home = Home::new();
    let columns = home.file("columns.txt", COLUMNS);
    for (name, format) in
        [("lightgbm_nan.txt", "lightgbm"), ("xgboost_hist.json", "xgboost"), ("onnx_forest.onnx", "onnx")]
    {
        let (file, golden, out) = (fixture(name), golden(&home, name), home.at("out.model"));
        let rest = ["--columns", &columns, "--golden", &golden, "--out", &out, "--action", "upgrade"];
        let told = done(&tactful(&import(&file, &rest)));
        assert_told(&told, &["acceptance ", format, "8 trees with ", "5 inputs in 6 columns, for action upgrade"]);
        assert_told(
            &told,
            &["40 golden rows reproduced, at most ", &format!("push it with: tactful model push {out}")],
        );
        let shown = done(&tactful(&["model", "show", &out]));
        assert_told(&shown, &["sound", &format!("imported from {format} "), "customer.loyal", "upgrade"]);
        let about = json(&tactful(&["model", "show", &out, "--json"]));
        assert_eq!(about["lineage"]["source_format"], json!(format));
        let again = json(&tactful(&[&import(&file, &rest)[..], &["--json", "--format", format]].concat()));
        assert_eq!((&again["version"], &again["proved"]), (&about["version"], &json!(true)));
        assert!(again["max_abs_diff"].as_f64().unwrap() <= 1e-6, "{again}");
    }
}

#[test]
fn the_header_of_the_golden_rows_names_the_columns_and_the_name_the_file() {
    let home = Home::new();
    let (file, golden) = (fixture("onnx_scaled.onnx"), golden(&home, "onnx_scaled.onnx"));
    let call = Call::new(&import(&file, &["--golden", &golden, "--group", "offers"])).dir(home.path()).output();
    assert_told(&done(&call), &["a logistic regression", "for group offers", "written to acceptance.model"]);
    assert!(Path::new(&home.at("acceptance.model")).exists());
}

#[test]
fn without_golden_rows_the_user_is_told_that_nothing_was_proved() {
    let home = Home::new();
    let (file, columns, out) = (fixture("xgboost_hist.json"), home.file("columns.txt", COLUMNS), home.at("out.model"));
    let rest = ["--columns", &columns, "--out", &out];
    assert_told(&done(&tactful(&import(&file, &rest))), &["PARITY IS NOT PROVED"]);
    let about = json(&tactful(&[&import(&file, &rest)[..], &["--json"]].concat()));
    assert_eq!(
        (&about["proved"], &about["golden_rows"], &about["max_abs_diff"]),
        (&json!(false), &json!(64), &json!(null))
    );
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_written() {
    let home = Home::new();
    let (columns, out) = (home.file("columns.txt", COLUMNS), home.at("out.model"));
    let golden = golden(&home, "lightgbm_nan.txt");
    let swapped = home.file("swapped.txt", COLUMNS.replace("tenure", "spare").replace("customer.spend", "tenure"));
    let pickle = PathBuf::from(home.file("model.pkl", b"\x80\x04\x95 a pickle"));
    for (file, rest, code, words) in [
        (fixture("lightgbm_nan.txt"), vec![], 1, vec!["does not name its 6 columns", "customer.plan=large"]),
        (fixture("lightgbm_rf.txt"), vec!["--golden", &golden], 1, vec!["golden rows are off", "order of training"]),
        (
            fixture("lightgbm_nan.txt"),
            vec!["--golden", &golden, "--columns", &swapped],
            2,
            vec!["golden.csv", "`spare`"],
        ),
        (fixture("refused_dart.json"), vec!["--columns", &columns], 1, vec!["was not imported", "booster dart"]),
        (fixture("onnx_plain.onnx"), vec!["--columns", &columns, "--format", "xgboost"], 1, vec!["xgboost: "]),
        (pickle, vec!["--columns", &columns], 1, vec!["never opened"]),
        (PathBuf::from("no-such.txt"), vec![], 2, vec!["cannot read no-such.txt"]),
        (fixture("lightgbm_nan.txt"), vec!["--columns", "none.txt"], 2, vec!["cannot read none.txt"]),
        (fixture("lightgbm_nan.txt"), vec!["--action", "a", "--group", "b"], 2, vec!["cannot be used with"]),
    ] {
        let output = tactful(&[&import(&file, &rest)[..], &["--out", &out]].concat());
        assert_told(&failed(code, &output), &words);
        assert!(!Path::new(&out).exists(), "{}", file.display());
    }
    let named =
        ["model", "import", fixture("lightgbm_nan.txt").to_str().unwrap(), "--name", "No Name"].map(str::to_owned);
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    assert_told(&failed(1, &tactful(&named)), &["No Name"]);
}

/// What the library predicts is what a decision is made with.
#[test]
fn an_imported_model_decides_on_a_server() {
    let home = Home::new();
    let server = Server::start(&home);
    let fields = [
        "customer.age",
        "customer.monthly_spend",
        "customer.has_fibre:bool",
        "customer.segment=starter",
        "customer.segment=family",
        "customer.tenure_months",
    ];
    let (columns, out) = (home.file("columns.txt", fields.join("\n")), home.at("out.model"));
    done(&tactful(&import(&fixture("lightgbm_nan.txt"), &["--columns", &columns, "--out", &out])));
    done(&server.run(&["model", "push", &out, "--as", "champion"]));
    let rows = fs::read_to_string(fixture("lightgbm_nan.txt").with_extension("csv")).unwrap();
    let mut decided = 0;
    for row in rows.lines().skip(1).filter(|row| !row.contains(",,") && !row.starts_with(',')).take(5) {
        let cells: Vec<&str> = row.split(',').collect();
        let segment = match (cells[3], cells[4]) {
            ("1.0", _) => "starter",
            (_, "1.0") => "family",
            _ => "premium",
        };
        let fibre = cells[2] == "1.0";
        let set = [
            format!("age={}", cells[0]),
            format!("monthly_spend={}", cells[1]),
            format!("has_fibre={fibre}"),
            format!("segment={segment}"),
            format!("tenure_months={}", cells[5]),
        ];
        let mut args = vec!["decide", "nobody", "-p", "web_home", "--candidate", "app_intro", "--test", "--json"];
        args.extend(["--explain", "full"]);
        set.iter().for_each(|set| args.extend(["--set", set]));
        let decision = json(&server.run(&args));
        let app =
            decision["candidates"].as_array().unwrap().iter().find(|found| found["action_id"] == "app_intro").unwrap();
        let p = app["factors"]["acceptance_probability"].as_f64().unwrap();
        let predicted: f64 = cells[6].parse().unwrap();
        assert!((p - predicted).abs() <= 1e-6, "{p} here, {predicted} by the library: {row}");
        decided += 1;
    }
    assert_eq!(decided, 5);
}
