"""Models that are files already: artifacts of Tactful, LightGBM text, XGBoost JSON, ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from .. import tables
from ..errors import ConversionError, invalid
from .ready import ARTIFACT, GOLDEN_MIN, Ready, matrix, picked, probabilities

_FORMATS = {".model": ARTIFACT, ".txt": "lightgbm", ".json": "xgboost", ".onnx": "onnx"}
_BYTES_MAX = 64 << 20
_CODE = {".pkl", ".pickle", ".joblib"}


def ready(path: Path, name: str | None, features: Sequence[str] | None, golden: Any, golden_rows: int) -> Ready:
    """Reads a file. Golden rows come with the library's own answers, which a file cannot give."""
    ending = path.suffix.lower()
    if ending in _CODE:
        raise ConversionError(f"{path} is a pickle, which is code that runs when it is read: push the estimator itself")
    if ending not in _FORMATS:
        raise invalid("model", f"is {path}; files end in {', '.join(_FORMATS)}")
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise invalid("model", f"{path} has more than {_BYTES_MAX} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise invalid("model", f"{path} cannot be read: {error.strerror}") from None
    if _FORMATS[ending] == ARTIFACT:
        if features is not None or golden is not None:
            raise invalid("features", "and golden are in the artifact already; leave them out")
        return Ready(name or "", ARTIFACT, data)
    if not name:
        raise invalid("name", "is missing; give the model a name, for example acceptance")
    specs = [str(spec) for spec in features] if features is not None else []
    if golden is None:
        note = "PARITY IS NOT PROVED: push with golden=(rows, probabilities), the library's own answers"
        return Ready(name, _FORMATS[ending], data, specs, notes=[note])
    if not isinstance(golden, tuple) or len(golden) != 2:
        raise invalid("golden", "of a file is a pair: (rows, probabilities that the library itself predicts for them)")
    table, answers = golden
    wanted = specs or [tables.spec_of(spec) for spec in tables.names(table) or []]
    if not wanted:
        raise invalid("features", "is missing: give one spec for each column, or a frame with named columns as golden")
    told = probabilities("golden[1]", answers)
    rows = matrix(table, wanted)
    if len(told) != len(rows):
        raise invalid("golden", f"has {len(rows)} rows and {len(told)} probabilities")
    if len(rows) < GOLDEN_MIN:
        raise invalid("golden", f"has {len(rows)} rows; give {GOLDEN_MIN} or more")
    kept = numpy.array(picked(rows, golden_rows))
    return Ready(name, _FORMATS[ending], data, wanted, rows[kept], told[kept])
