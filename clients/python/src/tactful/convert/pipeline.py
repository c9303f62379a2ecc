"""Estimators and pipelines of scikit-learn, through skl2onnx.

The preprocessing is traced back to fields (see `columns`); what is left is an estimator over columns that are numbers,
words or marks, with a fill and a scaling each. That is written as ONNX: Imputer, Scaler, model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from .. import tables
from ..errors import ConversionError, InvalidArgument, invalid
from . import boosting
from .columns import Column, Columns, refused, trace
from .ready import Ready, picked, probabilities, specs_for

_LINEAR = ("LogisticRegression", "LogisticRegressionCV", "SGDClassifier")
_TREES = ("RandomForestClassifier", "ExtraTreesClassifier", "DecisionTreeClassifier", "GradientBoostingClassifier")
# Newer operator sets write trees in a form that the server does not read.
_OPSET = {"": 18, "ai.onnx.ml": 3}


def ready(model: Any, name: str, features: Sequence[str] | None, golden: Any, golden_rows: int) -> Ready:
    """Converts, and lets the model itself predict the golden rows in single precision."""
    if golden is None:
        raise invalid("golden", "is missing: give rows as the model takes them, for example X_valid")
    if isinstance(golden, tuple):
        raise invalid("golden", "is a pair; give the rows alone, the model itself predicts them")
    width = tables.shape("golden", golden)[1]
    if width != getattr(model, "n_features_in_", width):
        raise invalid("golden", f"has {width} columns, the model takes {model.n_features_in_}")
    given = specs_for(features, golden, None, width)
    steps, estimator = _taken_apart(model)
    path, last = estimator
    columns = _inputs(given)
    for step_path, step in steps:
        columns = trace(step_path, step, columns)
    _two_classes(path, last)
    sample = tables.rounded(tables.take(golden, picked(golden, golden_rows)))
    if boosting.is_booster(last):
        format, data = _boosted(path, last, columns)
    elif type(last).__name__ in _LINEAR:
        format, data = "onnx", _linear(path, last, columns)
    elif type(last).__name__ in _TREES:
        format, data = "onnx", _trees(path, last, columns)
    else:
        raise refused(
            path, f"{type(last).__name__} is not read; taken are {', '.join((*_LINEAR, *_TREES))}, LightGBM and XGBoost"
        )
    rows = numpy.column_stack([column.values(sample) for column in columns])
    specs = [column.spec for column in columns]
    return Ready(name, format, data, specs, rows, _predicted(model, sample))


def _taken_apart(model: Any) -> tuple[list[tuple[str, Any]], tuple[str, Any]]:
    """What comes before the estimator, and the estimator, each with its path."""
    if type(model).__name__ != "Pipeline":
        return [], (type(model).__name__, model)
    *steps, (name, last) = model.steps
    if type(last).__name__ == "Pipeline":
        inner, found = _taken_apart(last)
        return [*steps, *((f"{name}.{path}", step) for path, step in inner)], (f"{name}.{found[0]}", found[1])
    return list(steps), (name, last)


def _inputs(specs: Sequence[str]) -> Columns:
    """The columns as they go in, by their specs."""
    made: Columns = []
    for at, spec in enumerate(specs):
        name, mark, rest = spec.partition("=")
        if mark:
            made.append(Column(at, name, "word", rest))
        elif spec.endswith("?"):
            made.append(Column(at, spec[:-1], "missing"))
        else:
            name, _, kind = spec.partition(":")
            if kind not in ("", "number", "bool"):
                raise invalid(f"features[{at}]", f"is {spec}; a kind is number or bool")
            made.append(Column(at, name, is_bool=kind == "bool"))
    return [_Given(**vars(column)) if column.kind != "value" else column for column in made]


class _Given(Column):
    """A column of 0 and 1 that was made before the pipeline: it holds the answer, not the field."""

    def values(self, golden: Any) -> NDArray[numpy.float32]:
        return tables.numbers(f"golden[{self.spec}]", tables.column(golden, self.source))


def _two_classes(path: str, estimator: Any) -> None:
    if not hasattr(estimator, "predict_proba"):
        raise refused(path, f"{type(estimator).__name__} gives no probability")
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        raise refused(path, f"{type(estimator).__name__} is not fitted")
    if len(classes) != 2:
        raise refused(path, f"it knows {len(classes)} classes: only models of two are read, the second of which is success")


def _predicted(model: Any, sample: Any) -> NDArray[numpy.float64]:
    """The model's own probabilities."""
    try:
        return probabilities("model", model.predict_proba(sample))
    except ValueError as error:
        raise InvalidArgument(
            f"golden: the model itself refuses these rows ({str(error).splitlines()[0]}); if it takes no missing values, "
            "leave such rows out or put an imputer before it",
            reason="GOLDEN_REFUSED",
            fields={"golden": "the model itself refuses these rows"},
        ) from None


def _boosted(path: str, model: Any, columns: Columns) -> tuple[str, bytes]:
    for column in columns:
        if column.is_scaled or column.fill is not None:
            raise refused(path, f"{column.spec} is filled or scaled before the trees, which need neither: leave that out")
    written = boosting.write(model)
    return written.format, written.data


def _linear(path: str, model: Any, columns: Columns) -> bytes:
    """Weights over scaled columns.

    The file holds scalers in single precision. What their rounding takes from a column is given to the weights and the
    intercept, which are computed in double precision: what is left is far below the tolerance.
    """
    if not columns or model.coef_.shape != (1, len(columns)):
        raise refused(path, f"it has weights of shape {model.coef_.shape} for {len(columns)} columns")
    if type(model).__name__ == "SGDClassifier" and model.loss != "log_loss":
        raise refused(path, f"its loss is {model.loss}: train with loss='log_loss'")
    offsets = numpy.array([column.offset for column in columns])
    scales = numpy.array([column.scale for column in columns])
    single_offsets = offsets.astype(numpy.float32).astype(numpy.float64)
    single_scales = scales.astype(numpy.float32).astype(numpy.float64)
    weights = model.coef_[0].astype(numpy.float64) * (scales / single_scales)
    moved = float(numpy.sum(model.coef_[0] * scales * (single_offsets - offsets)))
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    ends = numpy.vstack([numpy.zeros(len(columns)), numpy.ones(len(columns))])
    last = LogisticRegression().fit(ends, [0, 1])
    last.coef_, last.intercept_ = weights[None, :], numpy.array([float(model.intercept_[0]) + moved])
    parts: list[Any] = _fills(columns, ends)
    if any(column.is_scaled for column in columns):
        scaler = StandardScaler().fit(ends)
        scaler.mean_, scaler.scale_ = single_offsets, 1.0 / single_scales
        scaler.var_ = scaler.scale_**2
        parts.append(scaler)
    return _onnx(path, [*parts, last], len(columns))


def _trees(path: str, model: Any, columns: Columns) -> bytes:
    for column in columns:
        if column.is_scaled:
            raise refused(path, f"{column.spec} is scaled before the trees, which need no scaling: leave the scaler out")
    ends = numpy.vstack([numpy.zeros(len(columns)), numpy.ones(len(columns))])
    return _onnx(path, [*_fills(columns, ends), model], len(columns))


def _fills(columns: Columns, ends: NDArray[Any]) -> list[Any]:
    """An imputer, if missing values are filled. Where a column has none of its own, its offset takes their place."""
    if all(column.fill is None for column in columns):
        return []
    from sklearn.impute import SimpleImputer

    imputer = SimpleImputer().fit(ends)
    imputer.statistics_ = numpy.array(
        [0.0 if column.kind != "value" else column.offset if column.fill is None else column.fill for column in columns]
    )
    return [imputer]


def _onnx(path: str, parts: list[Any], width: int) -> bytes:
    try:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError:
        raise InvalidArgument("skl2onnx is not installed: pip install 'tactful[sklearn]'", reason="NOT_INSTALLED") from None
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(*parts) if len(parts) > 1 else parts[0]
    inputs = [("columns", FloatTensorType([None, width]))]
    try:
        made = to_onnx(model, initial_types=inputs, target_opset=_OPSET, options={id(parts[-1]): {"zipmap": False}})
        return bytes(made.SerializeToString())
    except Exception as error:
        # skl2onnx lets through whatever its parts raise.
        raise ConversionError(
            f"step {path}: skl2onnx cannot write {type(parts[-1]).__name__} ({type(error).__name__}: {error})",
            step=path,
        ) from error
