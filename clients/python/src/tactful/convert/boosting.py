"""LightGBM and XGBoost, each in the format that it writes itself: no detour that could lose where missing values go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from .. import tables
from ..errors import ConversionError, invalid
from .ready import Ready, matrix, picked, probabilities, specs_for


def is_booster(model: Any) -> bool:
    """Whether it is a model of one of the two."""
    return _library(model) is not None


def ready(model: Any, name: str, features: Sequence[str] | None, golden: Any, golden_rows: int) -> Ready:
    """Writes the model, and lets the library predict the golden rows in single precision."""
    written = write(model)
    if golden is not None and isinstance(golden, tuple):
        raise invalid("golden", "is a pair; give the rows alone, the library itself predicts them")
    named = (
        None if all(name.startswith(("Column_", "f")) and name[-1].isdigit() for name in written.names) else written.names
    )
    specs = specs_for(features, golden, named, written.width)
    if golden is None:
        note = "PARITY IS NOT PROVED: push with golden=X_valid, rows as the model takes them"
        return Ready(name, written.format, written.data, specs, notes=[note])
    rows = matrix(tables.take(golden, picked(golden, golden_rows)), specs)
    return Ready(name, written.format, written.data, specs, rows, written.predict(rows))


class Written:
    """A model as bytes, and how its library predicts."""

    def __init__(self, format: str, data: bytes, width: int, names: list[str], booster: Any) -> None:
        self.format, self.data, self.width, self.names = format, data, width, names
        self._booster = booster

    def predict(self, rows: NDArray[numpy.float32]) -> NDArray[numpy.float64]:
        """The library's own probabilities."""
        if self.format == "lightgbm":
            answers = self._booster.predict(rows.astype(numpy.float64))
        else:
            import xgboost

            answers = self._booster.predict(xgboost.DMatrix(rows), validate_features=False)
        return probabilities("model", answers)


def write(model: Any) -> Written:
    """The bytes of a model."""
    return _lightgbm(model) if _library(model) == "lightgbm" else _xgboost(model)


def _library(model: Any) -> str | None:
    found = {base.__module__.split(".")[0] for base in type(model).__mro__}
    return next((library for library in ("lightgbm", "xgboost") if library in found), None)


def _lightgbm(model: Any) -> Written:
    booster = model
    if hasattr(model, "booster_"):
        _two_classes(model)
        booster = model.booster_
    elif type(model).__name__ != "Booster":
        raise ConversionError(
            f"{type(model).__name__} is not fitted, or gives no probability: push a fitted LGBMClassifier or a Booster",
            step=type(model).__name__,
        )
    text = booster.model_to_string()
    return Written("lightgbm", text.encode(), booster.num_feature(), list(booster.feature_name()), booster)


def _xgboost(model: Any) -> Written:
    booster = model
    if hasattr(model, "get_booster"):
        _two_classes(model)
        if not (isinstance(model.missing, float) and math.isnan(model.missing)):
            raise ConversionError(
                f"it was trained with missing={model.missing!r}: train with NaN for missing values", step="missing"
            )
        booster = model.get_booster()
        # The classifier predicts with the best of its rounds, the file would hold all.
        best = booster.attributes().get("best_iteration")
        if best is not None and int(best) + 1 < booster.num_boosted_rounds():
            booster = booster[: int(best) + 1]
    elif type(model).__name__ != "Booster":
        raise ConversionError(
            f"{type(model).__name__} gives no probability: push a fitted XGBClassifier or a Booster",
            step=type(model).__name__,
        )
    data = bytes(booster.save_raw("json"))
    return Written("xgboost", data, int(booster.num_features()), list(booster.feature_names or []), booster)


def _two_classes(model: Any) -> None:
    """A classifier of two classes, fitted."""
    if not hasattr(model, "predict_proba"):
        raise ConversionError(f"{type(model).__name__} gives no probability: push a classifier", step=type(model).__name__)
    classes = len(model.classes_)
    if classes != 2:
        raise ConversionError(
            f"{type(model).__name__} knows {classes} classes: only models of two are read, the second of which is success",
            step=type(model).__name__,
        )
