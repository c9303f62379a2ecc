"""From what a data scientist has to what a server reads: bytes, column specs, and golden rows with the library's answers.

The readers of the server take LightGBM text, XGBoost JSON and ONNX. Boosters are written in their own formats, which lose
nothing; scikit-learn goes through ONNX. What these cannot say exactly is refused with the name of the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ConversionError, invalid
from . import boosting, files, pipeline
from .ready import ARTIFACT, GOLDEN_MAX, GOLDEN_MIN, Ready

__all__ = ["ARTIFACT", "Ready", "ready"]


def ready(model: Any, name: str | None, features: Sequence[str] | None, golden: Any, golden_rows: int) -> Ready:
    """Converts a model of any kind that is taken."""
    if not GOLDEN_MIN <= golden_rows <= GOLDEN_MAX:
        raise invalid("golden_rows", f"is {golden_rows}; give {GOLDEN_MIN} to {GOLDEN_MAX}")
    if isinstance(features, str):
        raise invalid("features", "is one text; give a list with one spec for each column")
    if isinstance(model, (str, Path)):
        return files.ready(Path(model), name, features, golden, golden_rows)
    if not name:
        raise invalid("name", "is missing; give the model a name, for example acceptance")
    specs = None if features is None else [str(spec) for spec in features]
    if boosting.is_booster(model):
        return boosting.ready(model, name, specs, golden, golden_rows)
    if any(base.__module__.startswith("sklearn.") for base in type(model).__mro__):
        return pipeline.ready(model, name, specs, golden, golden_rows)
    raise ConversionError(
        f"a {type(model).__module__}.{type(model).__name__} is not read: give an estimator of scikit-learn, a model of "
        "LightGBM or XGBoost, or the path of a .model, .txt, .json or .onnx file",
        step=type(model).__name__,
    )
