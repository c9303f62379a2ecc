"""Estimators and boosters on their way to the server, and what the registry does with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy
import pandas
import pytest
import xgboost
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, PolynomialFeatures, StandardScaler

import tactful
from tests import data


def preprocessing(scale: bool = True) -> ColumnTransformer:
    """Imputed (and scaled) numbers, words as columns, and the rest as it is."""
    steps = [SimpleImputer(add_indicator=True), *([StandardScaler()] if scale else [])]
    words = OneHotEncoder(handle_unknown="ignore")
    numbers = make_pipeline(*steps)
    return ColumnTransformer(
        [("numbers", numbers, data.NUMBERS), ("words", words, ["customer.segment"])], remainder="passthrough"
    )


def served(client: tactful.Client, row: pandas.Series, model: str) -> float:
    """The acceptance probability that the server gives a customer who is as the row says."""
    client.models.promote("python", model)
    known = {name.removeprefix("customer."): value for name, value in row.items() if not pandas.isna(value)}
    known = {name: value.item() if hasattr(value, "item") else value for name, value in known.items()}
    top = client.decide("customer:nobody", overrides=known, test=True).top
    assert top is not None and top.score_source == "global"
    return top.acceptance_probability


def test_a_logistic_pipeline_scores_on_the_server_as_in_scikit_learn(client: tactful.Client) -> None:
    table, accepted = data.frame(gaps=True)
    model = make_pipeline(preprocessing(), LogisticRegression(max_iter=1000)).fit(table, accepted)
    pushed = client.models.push(model, name="python", golden=table)
    assert pushed.proved == "binary" and pushed.max_abs_diff is not None and pushed.max_abs_diff <= 1e-6
    assert {"customer.age", "customer.age?", "customer.segment=premium", "customer.has_mobile:bool"} <= set(pushed.columns)
    assert pushed.check.golden_rows >= 256
    for at in (0, 3):
        expected = model.predict_proba(table.iloc[[at]])[0, 1]
        assert served(client, table.iloc[at], pushed.version.id) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(MinMaxScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=1)),
        RandomForestClassifier(20, max_depth=6, random_state=1),
        make_pipeline(SimpleImputer(strategy="median"), GradientBoostingClassifier(n_estimators=20, random_state=1)),
    ],
)
def test_estimators_over_an_array_of_numbers(client: tactful.Client, model: Any) -> None:
    rows, accepted = data.numbers()
    pushed = client.models.push(
        model.fit(rows, accepted), name="python_array", features=data.NUMBERS, golden=rows, dry_run=True
    )
    assert pushed.columns == data.NUMBERS and pushed.number == 0
    assert pushed.max_abs_diff is not None and pushed.max_abs_diff <= 1e-6


def test_far_means_do_not_spoil_a_linear_model(client: tactful.Client) -> None:
    rows, accepted = data.numbers()
    rows = rows + numpy.array([3_000.0, 0.0, 0.0])
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, accepted)
    pushed = client.models.push(model, name="python_far", features=data.NUMBERS, golden=rows, dry_run=True)
    assert pushed.max_abs_diff is not None and pushed.max_abs_diff <= 1e-6


def test_a_random_forest_behind_encoders(client: tactful.Client) -> None:
    table, accepted = data.frame(gaps=True)
    model = make_pipeline(preprocessing(scale=False), RandomForestClassifier(30, max_depth=8, random_state=1))
    pushed = client.models.push(model.fit(table, accepted), name="python_forest", golden=table)
    assert client.models.get(pushed).kind == "forest"
    assert pushed.max_abs_diff is not None and pushed.max_abs_diff <= 1e-6


def test_missing_values_of_a_scikit_learn_forest_are_refused(client: tactful.Client, bare: tactful.Client) -> None:
    rows, accepted = data.numbers(gaps=True)
    forest = RandomForestClassifier(20, max_depth=6, random_state=1).fit(rows, accepted)
    for pushing in (client, bare):
        with pytest.raises(tactful.ParityError) as refused:
            pushing.models.push(forest, name="python_gaps", features=data.NUMBERS, golden=rows)
        assert "missing values" in str(refused.value) and "golden" in refused.value.fields
    with pytest.raises(tactful.NotFound):
        client.models.get("python_gaps")


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_boosters_keep_where_missing_values_go(client: tactful.Client, library: str) -> None:
    rows, accepted = data.numbers(gaps=True)
    if library == "lightgbm":
        model: Any = lightgbm.LGBMClassifier(n_estimators=30, num_leaves=15, verbose=-1).fit(rows, accepted)
    else:
        model = xgboost.XGBClassifier(n_estimators=30, max_depth=4).fit(rows, accepted)
    for found in (model, model.booster_ if library == "lightgbm" else model.get_booster()):
        pushed = client.models.push(found, name=f"python_{library}", features=data.NUMBERS, golden=rows)
        assert pushed.max_abs_diff is not None and pushed.max_abs_diff <= 1e-6
        assert not any("missing number" in note for note in pushed.notes), pushed.notes
    assert pushed.known, "the classifier and its booster are the same bytes"


def test_early_stopping_of_xgboost_is_kept(client: tactful.Client) -> None:
    rows, accepted = data.numbers()
    model = xgboost.XGBClassifier(n_estimators=400, learning_rate=0.5, early_stopping_rounds=3)
    model.fit(rows[:400], accepted[:400], eval_set=[(rows[400:], accepted[400:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    pushed = client.models.push(model, name="python_early", features=data.NUMBERS, golden=rows, dry_run=True)
    assert pushed.max_abs_diff is not None and pushed.max_abs_diff <= 1e-6


def test_boosters_behind_encoders_and_from_encoded_logs(client: tactful.Client) -> None:
    table, accepted = data.frame(gaps=True)
    words = ColumnTransformer([("words", OneHotEncoder(), ["customer.segment"])], remainder="passthrough")
    model = make_pipeline(words, lightgbm.LGBMClassifier(n_estimators=10, verbose=-1)).fit(table, accepted)
    pushed = client.models.push(model, name="python_encoded", golden=table, dry_run=True)
    assert "customer.segment=senior" in pushed.columns
    rows, specs = tactful.encode(table, list(table.columns))
    booster = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(rows, accepted)
    assert client.models.push(booster, name="python_encoded", features=specs, golden=rows, dry_run=True).columns == specs


def test_without_the_command_the_server_checks_first(bare: tactful.Client) -> None:
    rows, accepted = data.numbers(gaps=True)
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(rows, accepted)
    assert bare.models.push(model, name="python_bare", features=data.NUMBERS, golden=rows).proved == "server"


def test_a_parity_failure_is_caught_before_the_upload(binary: str, tmp_path: Path) -> None:
    rows, accepted = data.numbers()
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(rows, accepted)
    file = tmp_path / "model.txt"
    model.booster_.save_model(file)
    wrong = model.predict_proba(rows)[:, 1] * 0.999
    # Nothing listens there: the refusal comes from this machine.
    with tactful.Client("127.0.0.1:1", binary=binary) as client, pytest.raises(tactful.ParityError) as refused:
        client.models.push(file, name="python_wrong", features=data.NUMBERS, golden=(rows, wrong))
    assert refused.value.reason == "PARITY" and "off by more" in str(refused.value)


def test_files_of_all_formats(client: tactful.Client, binary: str, tmp_path: Path) -> None:
    rows, accepted = data.numbers()
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=3).fit(rows, accepted)
    file = tmp_path / "model.json"
    model.save_model(file)
    # Values in single precision, as the server holds them.
    rows = rows.astype(numpy.float32)
    golden = (rows, model.predict_proba(rows))
    pushed = client.models.push(file, name="python_file", features=data.NUMBERS, golden=golden, dry_run=True)
    assert pushed.proved == "binary"
    unproved = client.models.push(file, name="python_file", features=data.NUMBERS, dry_run=True)
    assert unproved.proved == "none" and "NOT PROVED" in unproved.notes[0]
    with pytest.raises(tactful.InvalidArgument) as absent:
        client.models.push(tmp_path / "absent.onnx", name="python_file")
    assert "cannot be read" in str(absent.value)
    (tmp_path / "broken.model").write_bytes(b"nothing")
    with pytest.raises(tactful.ModelRefused) as broken:
        client.models.push(tmp_path / "broken.model")
    assert broken.value.code == "FAILED_PRECONDITION" and broken.value.reason == "MODEL_REFUSED"


class Squared(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A step of one's own."""

    def fit(self, rows: Any, accepted: Any = None) -> Squared:
        return self

    def transform(self, rows: Any) -> Any:
        return numpy.asarray(rows) ** 2


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        ((PolynomialFeatures(), LogisticRegression()), "polynomialfeatures"),
        ((Squared(), LogisticRegression()), "squared"),
        ((StandardScaler(), RandomForestClassifier(5)), "randomforestclassifier"),
        ((StandardScaler(), SimpleImputer(), LogisticRegression()), "simpleimputer"),
        ((StandardScaler(), SGDClassifier()), "sgdclassifier"),
    ],
)
def test_a_step_that_cannot_be_said_is_named(client: tactful.Client, steps: Any, named: str) -> None:
    rows, accepted = data.numbers()
    rows = rows / 100
    with pytest.raises(tactful.ConversionError) as refused:
        client.models.push(make_pipeline(*steps).fit(rows, accepted), name="a", features=data.NUMBERS, golden=rows)
    assert refused.value.step == named and named in str(refused.value)


def test_wrong_features_and_golden_rows_are_named(client: tactful.Client) -> None:
    rows, accepted = data.numbers()
    model = LogisticRegression(max_iter=1000).fit(rows, accepted)
    for features, golden, field in (
        (None, rows, "features"),
        (data.NUMBERS[:2], rows, "features"),
        (data.NUMBERS, rows[:5], "golden"),
        (data.NUMBERS, rows[:, :2], "golden"),
        (data.NUMBERS, None, "golden"),
        ("customer.age", rows, "features"),
    ):
        with pytest.raises(tactful.InvalidArgument) as refused:
            client.models.push(model, name="a", features=features, golden=golden)
        assert field in refused.value.fields, refused.value
    with pytest.raises(tactful.ModelRefused) as unfit:
        client.models.push(model, name="a", features=["customer.agee", *data.NUMBERS[1:]], golden=rows)
    assert "customer.agee" in str(unfit.value)
    three = LogisticRegression().fit(rows, numpy.arange(len(rows)) % 3)
    with pytest.raises(tactful.ConversionError) as classes:
        client.models.push(three, name="a", features=data.NUMBERS, golden=rows)
    assert "3 classes" in str(classes.value)


def test_the_life_of_a_version(client: tactful.Client, record: None) -> None:
    rows, accepted = data.numbers()
    first, second = (
        client.models.push(
            LogisticRegression(C=c, max_iter=1000).fit(rows, accepted),
            name="life",
            features=data.NUMBERS,
            golden=rows,
            note=f"C={c}",
        )
        for c in (1.0, 0.001)
    )
    assert (first.number, second.number) == (1, 2)
    assert client.models.promote("life", 1) == first.version
    assert client.decide("customer:1").model_version == first.version.id
    client.models.shadow(second, note="watch it")
    assert client.models.list("life").alias("shadow").version == second.version  # type: ignore[union-attr]
    compared = client.models.compare("life", window=1)
    assert (compared.first, compared.second) == (first.version, second.version)
    assert compared.decisions > 0 and 0 <= compared.agreement <= 1 and "life@1" in str(compared)
    client.models.clear("shadow")
    client.models.canary("life", 2, share=0.25)
    assert client.models.traffic(0.5).number == 2
    challenger = client.models.list().alias("challenger")
    assert challenger is not None and challenger.share == pytest.approx(0.5)
    assert client.models.validate("life@challenger").golden_rows >= 256
    client.models.promote("life@challenger", note="better")
    listed = client.models.list("life")
    assert listed.champion is not None and listed.champion.version == second.version
    assert listed.champion_before == first.version and "champion" in listed._repr_html_()
    assert client.models.rollback("worse after all") == first.version
    moves = client.models.list().moves
    assert moves[0].rollback and moves[0].note == "worse after all" and moves[0].cause == "caller"
    assert client.models.get("life", 2).inputs == dict.fromkeys(data.NUMBERS, "number")
    with pytest.raises(tactful.NotFound) as missing:
        client.models.promote("life", 9)
    assert missing.value.fields
    with pytest.raises(tactful.InvalidArgument) as alias:
        client.models.push("a.model", as_="winner")
    assert "champion" in str(alias.value)
