//! Raw cells in, rows to train from out; what is wrong is named with row and column.

use super::*;

fn recipe(columns: &str) -> Recipe {
    Recipe::parse(&format!("name = \"a\"\nkind = \"logistic\"\n[columns]\ntarget = \"y\"\n{columns}")).unwrap()
}

/// Pushes lines of raw cells, parted by commas; the first is the header.
fn read(recipe: &Recipe, lines: &[&str]) -> Result<Dataset, Error> {
    let mut dataset = Dataset::new(recipe);
    let header: Vec<&str> = lines[0].split(',').collect();
    let mut rows = PlainRows::new(recipe, &header, &mut dataset)?;
    for line in &lines[1..] {
        let cells: Vec<Cell<'_>> = line.split(',').map(Cell::Raw).collect();
        rows.push(&cells, &mut dataset)?;
    }
    rows.finish()?;
    Ok(dataset)
}

#[test]
fn columns_become_answers_actions_times_and_inputs() {
    let columns = "action = \"offer\"\ntime = \"at\"\nchannel = \"via\"\nleave_out = [\"id\"]\nmissing = [\"\", \"NA\"]\nprefix = \"customer.\"";
    let lines = [
        "id,offer,at,via,age,plan,y",
        "1,card,2026-05-01,web,44,plus,yes",
        "2,loan,2026-05-02,app,NA,,no",
        "3,loan,,app,50,plus,no",
        "4,,2026-05-02,app,50,plus,no",
        "5,loan,2026-05-02,app,50,plus,NA",
    ];
    let dataset = read(&recipe(columns), &lines).unwrap();
    assert_eq!((dataset.rows.len(), dataset.rows_read(), dataset.by_rows), (2, 5, false));
    assert_eq!((dataset.left_out.incomplete, dataset.left_out.no_answer), (2, 1));
    assert_eq!(
        (dataset.actions.names.as_slice(), dataset.channels.names.as_slice()),
        (&["card".to_owned(), "loan".into()][..], &["web".to_owned(), "app".into()][..])
    );
    assert_eq!(dataset.fields.keys().collect::<Vec<_>>(), ["customer.age", "customer.plan", "customer.via"]);
    assert!(dataset.fields["customer.age"].value(0) == 44.0 && dataset.fields["customer.age"].value(1).is_nan());
    let label = |row: usize| dataset.label(dataset.rows[row].answer, 0, 0).map(|label| label.positive);
    assert_eq!((label(0), label(1)), (Some(true), Some(false)), "the answer counts whatever the time is");
}

#[test]
fn without_a_time_the_order_of_rows_counts() {
    let lines = ["x,y", "1,1", "2,0", "3,1"];
    let dataset = read(&recipe("action_id = \"offer\""), &lines).unwrap();
    assert!(dataset.by_rows);
    assert_eq!(dataset.rows.iter().map(|row| (row.time_ms, row.tie)).collect::<Vec<_>>(), [(0, 1), (0, 2), (0, 3)]);
}

#[test]
fn wrong_cells_are_named_with_row_and_column_but_not_their_value() {
    let all = "action = \"a\"\ntime = \"t\"\nselection_probability = \"p\"";
    for (line, row, column, part) in [
        ("x,soon,0.5,1,1", 2, "t", "RFC 3339"),
        ("x,2026-05-01,5,1,1", 2, "p", "at most 1"),
        ("x,2026-05-01,0.5,secret,1", 2, "n", "a word, but row 1 has a number"),
        ("x,2026-05-01,0.5,true,1", 2, "n", "a truth value"),
        ("x,2026-05-01,0.5,inf,1", 2, "n", "not finite"),
    ] {
        let refused = read(&recipe(all), &["a,t,p,n,y", "x,2026-05-01,0.5,1,1", line]).unwrap_err();
        assert!(
            matches!(&refused, Error::Cell { row: at, column: of, reason } if *at == row && of == column && reason.contains(part)),
            "{refused}"
        );
        assert!(!refused.to_string().contains("secret"));
    }
    let text = read(
        &recipe(&format!("{all}\ntext = [\"n\"]")),
        &["a,t,p,n,y", "x,2026-05-01,0.5,1,1", "x,2026-05-01,0.5,b,1"],
    );
    assert_eq!(text.unwrap().fields["n"].words.len(), 2);
}

#[test]
fn wrong_columns_are_named_with_what_was_meant() {
    let refused = |columns: &str, header: &str| read(&recipe(columns), &[header]).unwrap_err().to_string();
    let told = refused("action = \"offr\"", "offer,y");
    assert!(told.contains("action = \"offr\"") && told.contains("did you mean offer?"), "{told}");
    assert!(refused("action_id = \"a\"", "x,z").contains("target = \"y\""));
    assert!(refused("action_id = \"a\"\nleave_out = [\"idd\"]", "id,y").contains("did you mean id?"));
    assert!(refused("action_id = \"a\"", "x,x,y").contains("two columns"));
    assert!(refused("action_id = \"a\"", "x,,y").contains("column 2 has no name"));
    assert!(refused("action_id = \"a\"", "x\u{1B}[31m,y").contains("column 1 has a control character"));
    assert!(refused("action_id = \"a\"", &format!("{},y", "x".repeat(200))).contains("200 bytes"));
    let many = (0..=COLUMNS_MAX).map(|column| column.to_string()).collect::<Vec<_>>().join(",");
    assert!(refused("action_id = \"a\"", &many).contains("columns of the table"));
    let plain = Recipe::parse("name = \"a\"\nkind = \"logistic\"").unwrap();
    assert!(read(&plain, &["x,y"]).unwrap_err().to_string().contains("[columns]"));
    let never = read(&recipe("action_id = \"a\"\npositive = [\"Y\"]"), &["x,y", "1,y"]).unwrap_err();
    assert!(never.to_string().contains("none of the answers"), "{never}");
}

#[test]
fn only_listed_features_are_read() {
    let text = "name = \"a\"\nkind = \"logistic\"\nfeatures = [\"x\"]\n[columns]\ntarget = \"y\"\naction_id = \"a\"";
    let recipe = Recipe::parse(text).unwrap();
    let mut dataset = Dataset::new(&recipe);
    let mut rows = PlainRows::new(&recipe, &["x", "z", "y"], &mut dataset).unwrap();
    assert_eq!([0, 1, 2].map(|column| rows.reads(column)), [true, false, true]);
    rows.push(&[Cell::Raw("1"), Cell::Time(0), Cell::Flag(true)], &mut dataset).unwrap();
    assert_eq!(dataset.fields.keys().collect::<Vec<_>>(), ["x"]);
}

#[test]
fn a_listed_feature_that_no_column_makes_is_named() {
    let text = "name = \"a\"\nkind = \"logistic\"\nfeatures = [\"agee\"]\n[columns]\ntarget = \"y\"\naction_id = \"a\"";
    let refused = read(&Recipe::parse(text).unwrap(), &["age,y"]).unwrap_err().to_string();
    assert!(refused.contains("agee: did you mean age?"), "{refused}");
}
