"""From nothing to a promoted model, against a running server that has a record of decisions.

    cargo run --release -- demo --seconds 60 --data-dir .tactful/demo
    cargo run --release -- serve --data-dir .tactful/demo --catalog .tactful/demo/catalog &
    pip install './clients/python[sklearn,lightgbm,pandas]'
    python clients/python/examples/zero_to_promoted.py

The first line fills a record with simulated customers, the second serves it. It works beside a running demo as well:
give the address that the demo prints, and let it run for a minute first.

What it does: takes the record as a table, trains a logistic pipeline and LightGBM on who accepted, pushes both with
golden rows, lets the second score in the shadow, compares them, gives it a tenth of the customers, promotes it, and
goes back.
"""

from __future__ import annotations

import argparse
import sys

import lightgbm
import pandas
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import tactful

NAME = "python_acceptance"
ROWS_MIN = 2_000
# A field that is hardly ever known teaches nothing.
KNOWN_MIN = 0.02
# The shadow scores live decisions, so some are made here in case nobody else asks.
DECISIONS = 200
START = """no record to learn from at {address}: {why}

Fill one with simulated customers and serve it:
  cargo run --release -- demo --seconds 60 --data-dir .tactful/demo
  cargo run --release -- serve --data-dir .tactful/demo --catalog .tactful/demo/catalog"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1:7411", help="the server [default: %(default)s]")
    options = parser.parse_args()
    with tactful.Client(options.address, timeout=30) as client:
        try:
            client.models.list()
        except tactful.Unavailable as error:
            print(START.format(address=options.address, why=error.message), file=sys.stderr)
            return 2
        frame = client.logs.to_pandas().sort_values("decision_time", ignore_index=True)
        # What nobody saw taught nobody anything; deliberate silence has no acceptance.
        frame = frame[frame["exposed"] & (frame["action_id"] != "none")]
        if len(frame) < ROWS_MIN or frame["accepted"].sum() < 100:
            why = f"{len(frame)} rows, {frame['accepted'].sum()} accepted"
            print(START.format(address=options.address, why=why), file=sys.stderr)
            return 2
        print(f"{len(frame)} shown actions, {frame['accepted'].mean():.1%} accepted")
        run(client, frame)
    return 0


def run(client: tactful.Client, frame: pandas.DataFrame) -> None:
    cut = int(len(frame) * 0.8)
    accepted = frame["accepted"].astype(int)

    table, specs = prepared(frame)
    pipeline = logistic(table, specs).fit(table[:cut], accepted[:cut])
    measured("logistic", accepted[cut:], pipeline.predict_proba(table[cut:])[:, 1])
    first = client.models.push(
        pipeline, name=NAME, features=specs, golden=table[cut:], note="logistic regression", as_="champion"
    )
    told(first)

    rows, columns = tactful.encode(frame, [spec.split(":")[0] for spec in specs])
    booster = lightgbm.LGBMClassifier(n_estimators=100, num_leaves=15, learning_rate=0.05, verbose=-1)
    booster.fit(rows[:cut], accepted[:cut])
    measured("LightGBM", accepted[cut:], booster.predict_proba(rows[cut:])[:, 1])
    second = client.models.push(booster, name=NAME, features=columns, golden=rows[cut:], note="LightGBM", as_="shadow")
    told(second)

    customers = frame["subject_id"].unique()[:DECISIONS]
    for customer in customers:
        client.decide(customer, placement="web_home")
    print(f"{len(customers)} decisions with {second.version} in the shadow")
    print(client.models.compare(NAME, first, second, window=5))

    client.models.canary(second, share=0.1, note="looks good in the shadow")
    models = [client.decide(customer, placement="web_home").model_version for customer in customers]
    print(f"canary: {models.count(second.version.id)} of {len(models)} customers were {second.version}'s")

    client.models.promote(second, note="better in the canary")
    print(f"\n{client.models.list(NAME)}\n")
    print(f"back to {client.models.rollback('only an example')}")
    decision = client.decide(customers[0], placement="web_home")
    print(f"{customers[0]} is shown {', '.join(action.action_id for action in decision) or 'nothing'}")


def prepared(frame: pandas.DataFrame) -> tuple[pandas.DataFrame, list[str]]:
    """The features that are known often enough, and what they are."""
    names = [name for name in frame.columns if name.startswith("feature.") and frame[name].notna().mean() > KNOWN_MIN]
    names = [name for name in names if frame[name].nunique() > 1]
    table = frame[names].rename(columns=lambda name: name.removeprefix("feature."))
    flags = [name for name in table.columns if str(table[name].dtype) == "boolean"]
    table[flags] = table[flags].astype("float64")
    return table, [f"{name}:bool" if name in flags else name for name in table.columns]


def logistic(table: pandas.DataFrame, specs: list[str]) -> Pipeline:
    """Filled and scaled numbers, words as columns."""
    words = [name for name in table.columns if table[name].dtype == object]
    flags = [spec.removesuffix(":bool") for spec in specs if spec.endswith(":bool")]
    numbers = [name for name in table.columns if name not in words and name not in flags]
    encoders = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), numbers),
            ("flags", SimpleImputer(strategy="constant", fill_value=0.0), flags),
            ("words", OneHotEncoder(handle_unknown="ignore"), words),
        ]
    )
    return make_pipeline(encoders, LogisticRegression(C=0.1, max_iter=2_000))


def measured(what: str, accepted: pandas.Series, predicted: object) -> None:
    auc, loss = roc_auc_score(accepted, predicted), log_loss(accepted, predicted)
    print(f"{what}: AUC {auc:.3f}, log loss {loss:.4f} on the latest {len(accepted)} rows")


def told(pushed: tactful.Pushed) -> None:
    """What became of a push."""
    apart = "" if pushed.max_abs_diff is None else f", at most {pushed.max_abs_diff:.1e} from the library"
    print(
        f"{pushed.version}: {pushed.check.golden_rows} golden rows reproduced (checked by the {pushed.proved}{apart}), "
        f"all actions of a request scored in {pushed.check.median_us:.0f} us"
    )


if __name__ == "__main__":
    sys.exit(main())
