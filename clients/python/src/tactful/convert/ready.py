"""A model that is ready to be proved and uploaded, and the choice of its golden rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy
from numpy.typing import NDArray

from .. import tables
from ..errors import invalid

ARTIFACT = "artifact"
"""The format of Tactful's own files."""

GOLDEN_MIN, GOLDEN_MAX = 10, 4_096
"""Rows that the server takes."""


@dataclass(frozen=True)
class Ready:
    """What is uploaded."""

    name: str
    format: str
    """artifact, lightgbm, xgboost or onnx."""
    data: bytes
    columns: list[str] = field(default_factory=list)
    rows: NDArray[numpy.float32] | None = None
    """Golden rows as the file's columns; NaN for missing."""
    probabilities: NDArray[numpy.float64] | None = None
    """What the library itself predicts for them."""
    notes: list[str] = field(default_factory=list)


def picked(golden: Any, most: int) -> list[int]:
    """Which rows are kept: spread evenly, up to half of them with missing values if there are such."""
    count, width = tables.shape("golden", golden)
    if count < GOLDEN_MIN:
        raise invalid("golden", f"has {count} rows; give {GOLDEN_MIN} or more")
    if count <= most:
        return list(range(count))
    gaps = numpy.zeros(count, dtype=bool)
    for at in range(width):
        gaps |= numpy.array([tables.is_missing(value) for value in tables.column(golden, at)])
    partly, whole = numpy.flatnonzero(gaps), numpy.flatnonzero(~gaps)
    of_partly = min(len(partly), max(most // 2, most - len(whole)))
    return sorted([*_spread(partly, of_partly), *_spread(whole, most - of_partly)])


def _spread(rows: NDArray[Any], most: int) -> list[int]:
    if len(rows) == 0 or most <= 0:
        return []
    places = numpy.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)
    return [int(rows[place]) for place in places]


def specs_for(features: Sequence[str] | None, golden: Any, fallback: Sequence[str] | None, width: int) -> list[str]:
    """One spec for each column that the model reads."""
    found = list(features) if features is not None else None
    if found is None:
        there = tables.names(golden) if golden is not None else None
        there = there or (list(fallback) if fallback else None)
        if there is None:
            raise invalid(
                "features",
                "is missing, and neither golden nor the model names the columns: give one spec for each, for example "
                "['customer.age', 'customer.loyal:bool', 'customer.plan=large']",
            )
        found = [tables.spec_of(name) for name in there]
        if golden is not None and tables.shape("golden", golden)[1] == len(found):
            found = [
                f"{spec}:bool" if _plain(spec) and tables.is_bool(tables.column(golden, at)) else spec
                for at, spec in enumerate(found)
            ]
    if len(found) != width:
        raise invalid("features", f"has {len(found)} specs, but the model reads {width} columns; give one for each")
    return found


def _plain(spec: str) -> bool:
    return not any(mark in spec for mark in ("=", ":", "?"))


def matrix(golden: Any, specs: Sequence[str]) -> NDArray[numpy.float32]:
    """A table as the numbers of the file's columns."""
    width = tables.shape("golden", golden)[1]
    if width != len(specs):
        raise invalid("golden", f"has {width} columns, but the model reads {len(specs)}")
    return numpy.column_stack(
        [tables.numbers(f"golden[{spec}]", tables.column(golden, at)) for at, spec in enumerate(specs)]
    )


def probabilities(field_name: str, given: Any) -> NDArray[numpy.float64]:
    """What a library predicted, as the chances of a success."""
    found = numpy.asarray(given, dtype=numpy.float64)
    if found.ndim == 2 and found.shape[1] == 2:
        found = found[:, 1]
    if found.ndim != 1:
        raise invalid(field_name, f"has the shape {found.shape}; give one probability for each row")
    if not bool(((found >= 0) & (found <= 1)).all()):
        raise invalid(field_name, "has values beyond 0 and 1: these are no probabilities")
    return found
