"""The columns that reach a scikit-learn estimator, traced back through its preprocessing to fields of the catalogue.

Each step of a pipeline becomes a change of what is known of its columns: where they come from, what takes the place of a
missing value, how they are scaled. A step of which this cannot be said is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy
from numpy.typing import NDArray

from .. import tables
from ..errors import ConversionError


@dataclass(frozen=True)
class Column:
    """One column: where it comes from and what was done to it."""

    source: int
    """Column of what goes into the pipeline."""
    field: str
    kind: str = "value"
    """value (a number or truth value), word or missing."""
    word: str = ""
    is_bool: bool = False
    fill: float | None = None
    """What takes the place of a missing number."""
    word_fill: str | None = None
    """The word that a text imputer writes for missing."""
    offset: float = 0.0
    scale: float = 1.0
    """(value - offset) x scale is what comes next."""

    @property
    def spec(self) -> str:
        """How the server is told of it."""
        if self.kind == "word":
            return f"{self.field}={self.word}"
        if self.kind == "missing":
            return f"{self.field}?"
        return f"{self.field}:bool" if self.is_bool else self.field

    @property
    def is_scaled(self) -> bool:
        return self.offset != 0.0 or self.scale != 1.0

    def values(self, golden: Any) -> NDArray[numpy.float32]:
        """Its values before any filling and scaling."""
        given = tables.column(golden, self.source)
        if self.kind == "word":
            return numpy.array([value == self.word for value in given], dtype=numpy.float32)
        if self.kind == "missing":
            return numpy.array([tables.is_missing(value) for value in given], dtype=numpy.float32)
        return tables.numbers(f"golden[{self.field}]", given)


Columns = list[Column]


def trace(path: str, step: Any, columns: Columns) -> Columns:
    """The columns after a step."""
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return columns
    kind = type(step).__name__
    known = _STEPS.get(kind)
    if known is not None:
        return known(path, step, columns)
    if hasattr(step, "get_support"):
        return [column for column, kept in zip(columns, step.get_support(), strict=True) if kept]
    raise refused(path, f"{kind} cannot be said in numbers that the server computes; taken are {', '.join(_STEPS)}")


def refused(path: str, why: str) -> ConversionError:
    """A step that cannot be taken over."""
    return ConversionError(f"step {path}: {why}", step=path)


def _pipeline(path: str, step: Any, columns: Columns) -> Columns:
    for name, inner in step.steps:
        columns = trace(_inside(path, name), inner, columns)
    return columns


def _union(path: str, step: Any, columns: Columns) -> Columns:
    if step.transformer_weights:
        raise refused(path, "transformer_weights are not read")
    made: Columns = []
    for name, inner in step.transformer_list:
        if inner != "drop":
            made += trace(_inside(path, name), inner, columns)
    return made


def _column_transformer(path: str, step: Any, columns: Columns) -> Columns:
    if step.transformer_weights:
        raise refused(path, "transformer_weights are not read")
    names = list(getattr(step, "feature_names_in_", []))
    made: Columns = []
    for name, inner, wanted in step.transformers_:
        if isinstance(inner, str) and inner == "drop":
            continue
        chosen = [columns[at] for at in _indices(wanted, names, len(columns))]
        made += trace(_inside(path, name), inner, chosen)
    return made


def _indices(wanted: Any, names: Sequence[str], count: int) -> list[int]:
    """Which columns a ColumnTransformer means."""
    if isinstance(wanted, (str, int, numpy.integer)):
        wanted = [wanted]
    if isinstance(wanted, slice):
        edges = [names.index(edge) if isinstance(edge, str) else edge for edge in (wanted.start, wanted.stop)]
        # With names the end counts too, as in pandas.
        stop = edges[1] + 1 if isinstance(wanted.stop, str) else edges[1]
        return list(range(count))[slice(edges[0], stop, wanted.step)]
    found = list(wanted)
    if found and all(isinstance(item, (bool, numpy.bool_)) for item in found):
        return [at for at, kept in enumerate(found) if kept]
    return [names.index(item) if isinstance(item, str) else range(count)[int(item)] for item in found]


def _imputer(path: str, step: Any, columns: Columns) -> Columns:
    if not tables.is_missing(step.missing_values):
        raise refused(path, f"it replaces {step.missing_values!r}; missing values are NaN")
    made: Columns = []
    for column, fill in zip(columns, step.statistics_, strict=True):
        if column.kind != "value" or column.is_scaled or column.fill is not None:
            raise refused(path, f"it comes after {column.spec} was changed; impute first, then scale or encode")
        if isinstance(fill, str):
            if step.strategy != "constant":
                raise refused(
                    path, f"it gives {column.field} its most frequent word; use strategy='constant', or the encoder"
                )
            made.append(replace(column, word_fill=fill))
        elif tables.is_missing(fill):
            raise refused(path, f"{column.field} was always missing in training; leave it out")
        else:
            made.append(replace(column, fill=float(fill)))
    indicator = getattr(step, "indicator_", None)
    return made + (_marks(columns, indicator) if indicator is not None else [])


def _indicator(path: str, step: Any, columns: Columns) -> Columns:
    if not tables.is_missing(step.missing_values):
        raise refused(path, f"it marks {step.missing_values!r}; missing values are NaN")
    return _marks(columns, step)


def _marks(columns: Columns, indicator: Any) -> Columns:
    return [Column(columns[at].source, columns[at].field, "missing") for at in indicator.features_]


def _scaled(columns: Columns, offsets: Any, scales: Any) -> Columns:
    """(value - offset) x scale, after what was there before."""
    count = len(columns)
    offsets = numpy.zeros(count) if offsets is None else numpy.asarray(offsets, dtype=numpy.float64)
    scales = numpy.ones(count) if scales is None else numpy.asarray(scales, dtype=numpy.float64)
    return [
        replace(column, offset=column.offset + float(offset) / column.scale, scale=column.scale * float(scale))
        for column, offset, scale in zip(columns, offsets, scales, strict=True)
    ]


def _numbers_only(path: str, columns: Columns) -> None:
    for column in columns:
        if column.word_fill is not None:
            raise refused(path, f"{column.field} holds words; encode them first")


def _standard(path: str, step: Any, columns: Columns) -> Columns:
    _numbers_only(path, columns)
    return _scaled(columns, step.mean_, None if step.scale_ is None else 1.0 / step.scale_)


def _min_max(path: str, step: Any, columns: Columns) -> Columns:
    _numbers_only(path, columns)
    if step.clip:
        raise refused(path, "clip=True is not read: train without it")
    return _scaled(columns, -step.min_ / step.scale_, step.scale_)


def _max_abs(path: str, step: Any, columns: Columns) -> Columns:
    _numbers_only(path, columns)
    return _scaled(columns, None, 1.0 / step.scale_)


def _robust(path: str, step: Any, columns: Columns) -> Columns:
    _numbers_only(path, columns)
    return _scaled(columns, step.center_, None if step.scale_ is None else 1.0 / step.scale_)


def _one_hot(path: str, step: Any, columns: Columns) -> Columns:
    if any(found is not None for found in getattr(step, "infrequent_categories_", None) or []):
        raise refused(path, "it puts rare words together; train without min_frequency and max_categories")
    dropped = [None] * len(columns) if step.drop_idx_ is None else step.drop_idx_
    made: Columns = []
    for column, categories, drop in zip(columns, step.categories_, dropped, strict=True):
        if column.kind != "value" or column.is_scaled or column.fill is not None:
            raise refused(path, f"it encodes {column.spec}, which was changed before; encode words as they come")
        kept = [value for at, value in enumerate(categories) if at != drop]
        made += [_category(path, column, value) for value in kept]
    return made


def _category(path: str, column: Column, value: Any) -> Column:
    """The column of one category."""
    plain = Column(column.source, column.field)
    if isinstance(value, (bool, numpy.bool_)):
        if value:
            return replace(plain, is_bool=True)
        raise refused(
            path, f"it makes a column of {column.field} being false; use drop='if_binary', or let it pass through"
        )
    if tables.is_missing(value) or (column.word_fill is not None and value == column.word_fill):
        return replace(plain, kind="missing")
    if isinstance(value, str):
        return replace(plain, kind="word", word=value)
    raise refused(
        path, f"the categories of {column.field} are numbers such as {value!r}, and those of a catalogue are words"
    )


def _function(path: str, step: Any, columns: Columns) -> Columns:
    if step.func is None:
        return columns
    raise refused(path, "a function of one's own cannot be taken over; make its result a feature of the catalogue")


def _inside(path: str, name: str) -> str:
    return f"{path}.{name}" if path else str(name)


_STEPS: dict[str, Callable[[str, Any, Columns], Columns]] = {
    "Pipeline": _pipeline,
    "FeatureUnion": _union,
    "ColumnTransformer": _column_transformer,
    "SimpleImputer": _imputer,
    "MissingIndicator": _indicator,
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
    "OneHotEncoder": _one_hot,
    "FunctionTransformer": _function,
}
