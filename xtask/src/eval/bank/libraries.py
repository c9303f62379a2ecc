"""Splits the bank's customers and trains the models of other libraries that the evaluation imports.

Called as: libraries.py DATA SEED FOLDER. Writes into the folder:
  split.csv         the part of each row of the data, in its order: train or test
  holes.csv         test rows as LightGBM and XGBoost read them: what the bank does not know is missing
  filled.csv        the same without missing values, for scikit-learn
  lightgbm.txt, xgboost.json, linear.onnx, forest.onnx, lightgbm.onnx
  predictions.csv   the libraries' own probabilities for the test rows, in single precision; those of the
                    ONNX files also by ONNX Runtime, under their names with `runtime_` before them

The headers of holes.csv and filled.csv are the column specs of an import. All values are in single
precision before anything is trained on them, as a decision has them.
"""

import csv
import pathlib
import sys
import warnings

import lightgbm
import numpy as np
import onnxmltools
import onnxruntime
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")
NUMBERS = ["age", "campaign", "pdays", "previous", "emp.var.rate", "cons.price.idx", "cons.conf.idx", "euribor3m",
           "nr.employed"]
FLAGS = ["default", "housing", "loan"]
WORDS = ["job", "marital", "contact", "month", "day_of_week", "poutcome"]
SCHOOLS = ["illiterate", "basic.4y", "basic.6y", "basic.9y", "high.school", "professional.course", "university.degree"]
# What the bank writes where a customer was never contacted before.
NEVER = "999"


def encoded(rows):
    """Specs and values: unknown flags and schools and days since a contact that never was are missing."""
    columns = {}
    for name in NUMBERS:
        blank = name == "pdays"
        columns[name] = [np.nan if blank and row[name] == NEVER else float(row[name]) for row in rows]
    for name in FLAGS:
        columns[f"{name}:bool"] = [{"yes": 1.0, "no": 0.0}.get(row[name], np.nan) for row in rows]
    columns["education"] = [SCHOOLS.index(e) if (e := row["education"]) in SCHOOLS else np.nan for row in rows]
    for name in WORDS:
        for word in sorted({row[name] for row in rows} - {"unknown"}):
            columns[f"{name}={word}"] = [float(row[name] == word) for row in rows]
    return list(columns), np.column_stack(list(columns.values())).astype(np.float32)


def write_rows(path, header, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(["" if value != value else repr(float(value)) for value in row] for row in rows)


def main(data, seed, folder):
    with open(data, newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    y = np.array([row["y"] == "yes" for row in rows]).astype(int)
    specs, holes = encoded(rows)
    filled = holes.copy()
    filled[:, specs.index("pdays")] = np.nan_to_num(filled[:, specs.index("pdays")], nan=float(NEVER))
    filled = np.nan_to_num(filled, nan=0.0)
    train, test = train_test_split(np.arange(len(y)), test_size=0.3, stratify=y, random_state=seed)
    parts = np.full(len(y), "train")
    parts[test] = "test"
    (folder / "split.csv").write_text("part\n" + "\n".join(parts) + "\n")
    test = np.sort(test)
    train = np.sort(train)
    write_rows(folder / "holes.csv", specs, holes[test])
    write_rows(folder / "filled.csv", specs, filled[test])

    told = {}
    types = [("X", FloatTensorType([None, len(specs)]))]

    print("LightGBM", file=sys.stderr)
    model = lightgbm.LGBMClassifier(n_estimators=100, learning_rate=0.05, num_leaves=31, random_state=seed, n_jobs=2,
                                    verbose=-1)
    model.fit(holes[train].astype(np.float64), y[train])
    model.booster_.save_model(folder / "lightgbm.txt")
    told["lightgbm"] = model.predict_proba(holes[test].astype(np.float64))[:, 1]
    exported = onnxmltools.convert_lightgbm(model, initial_types=types, zipmap=False)
    (folder / "lightgbm.onnx").write_bytes(exported.SerializeToString())

    print("XGBoost", file=sys.stderr)
    model = xgboost.XGBClassifier(n_estimators=100, learning_rate=0.1, max_depth=5, random_state=seed, n_jobs=2)
    model.fit(holes[train], y[train])
    model.save_model(folder / "xgboost.json")
    told["xgboost"] = model.predict_proba(holes[test])[:, 1]

    print("scikit-learn", file=sys.stderr)
    wide = filled.astype(np.float64)
    # ONNX holds a scaler in single precision. For a price index whose mean is 160 deviations from zero that
    # alone moves probabilities by up to 2e-6, so the mean is rounded before anything is fitted on it.
    scaler = StandardScaler().fit(wide[train])
    scaler.mean_ = scaler.mean_.astype(np.float32).astype(np.float64)
    regression = LogisticRegression(max_iter=1_000).fit(scaler.transform(wide[train]), y[train])
    model = make_pipeline(scaler, regression)
    (folder / "linear.onnx").write_bytes(to_onnx(model, filled[:1], options={"zipmap": False}).SerializeToString())
    told["linear"] = model.predict_proba(wide[test])[:, 1]
    model = RandomForestClassifier(100, max_depth=8, random_state=seed, n_jobs=2).fit(wide[train], y[train])
    (folder / "forest.onnx").write_bytes(to_onnx(model, filled[:1], options={"zipmap": False}).SerializeToString())
    told["forest"] = model.predict_proba(wide[test])[:, 1]

    print("ONNX Runtime", file=sys.stderr)
    for name, values in (("linear", filled), ("forest", filled), ("lightgbm", holes)):
        session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"))
        told[f"runtime_{name}"] = session.run(None, {"X": values[test]})[1][:, 1]

    write_rows(folder / "predictions.csv", list(told), np.column_stack(list(told.values())).astype(np.float32))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3]))
