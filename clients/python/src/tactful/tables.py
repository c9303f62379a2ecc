"""Tables of other libraries: pandas and polars frames and numpy arrays, column by column, without needing any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from .errors import InvalidArgument, invalid

FEATURE = "feature."
"""What the columns of features begin with in the tables of `client.logs`."""


def names(table: Any) -> list[str] | None:
    """Names of a frame's columns; none for an array."""
    columns = getattr(table, "columns", None)
    return None if columns is None else [str(name) for name in columns]


def spec_of(name: str) -> str:
    """A column's name as the spec of a field."""
    return name.removeprefix(FEATURE)


def shape(field: str, table: Any) -> tuple[int, int]:
    """Rows and columns."""
    found = getattr(table, "shape", None)
    if found is None or len(found) != 2:
        raise invalid(field, f"is {_called(table)}; give a frame or an array of rows and columns")
    return int(found[0]), int(found[1])


def column(table: Any, at: int) -> NDArray[Any]:
    """One column as it is: floats, or objects with None or NaN for missing."""
    if hasattr(table, "iloc"):
        found = table.iloc[:, at]
        if str(found.dtype) in ("boolean", "Int64", "Float64"):
            return numpy.asarray(found.to_numpy(dtype=object, na_value=None))
        return numpy.asarray(found.to_numpy())
    if hasattr(table, "to_series"):
        return numpy.asarray(table.to_series(at).to_list(), dtype=object)
    if hasattr(table, "toarray"):
        table = table.toarray()
    return numpy.asarray(table)[:, at]


def is_bool(values: NDArray[Any]) -> bool:
    """Whether a column holds truth values."""
    if values.dtype == bool:
        return True
    if values.dtype != object:
        return False
    known = [value for value in values if not is_missing(value)]
    return bool(known) and all(isinstance(value, (bool, numpy.bool_)) for value in known)


def is_missing(value: Any) -> bool:
    """None, NaN, and what pandas calls NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, numpy.floating)) and bool(numpy.isnan(value))


def numbers(field: str, values: NDArray[Any]) -> NDArray[numpy.float32]:
    """A column in single precision, as the server holds fields; missing is NaN."""
    if values.dtype == object:
        plain = [numpy.nan if is_missing(value) else value for value in values]
        if any(isinstance(value, str) for value in plain):
            raise invalid(field, "holds texts; encode them as columns of 0 and 1, one for each word")
        values = numpy.array(plain, dtype=numpy.float64)
    if values.dtype.kind not in "fiub":
        raise invalid(field, f"holds {values.dtype}; give numbers, or encode words as columns of 0 and 1")
    return values.astype(numpy.float32)


def take(table: Any, rows: Sequence[int]) -> Any:
    """Some rows of a table, as a table of the same kind."""
    if hasattr(table, "iloc"):
        return table.iloc[list(rows)]
    if hasattr(table, "tocsr"):
        return table.tocsr()[list(rows)]
    if hasattr(table, "to_series"):
        return table[list(rows)]
    return numpy.asarray(table)[list(rows)]


def rounded(table: Any) -> Any:
    """The same table with numbers in single precision: what the server will give the model."""
    if hasattr(table, "iloc"):
        made = table.copy()
        for at, name in enumerate(list(made.columns)):
            if getattr(made.dtypes.iloc[at], "kind", "O") == "f":
                made[name] = made[name].astype("float32").astype("float64")
        return made
    if hasattr(table, "to_series"):
        made = table
        for at, (name, kind) in enumerate(zip(table.columns, table.dtypes, strict=True)):
            if kind.is_float():
                single = table.to_series(at).to_numpy().astype(numpy.float32).astype(numpy.float64)
                made = made.with_columns(type(table)({name: single}).to_series(0).fill_nan(None))
        return made
    values = numpy.asarray(table.toarray() if hasattr(table, "toarray") else table)
    return values.astype(numpy.float32).astype(numpy.float64) if values.dtype.kind in "fiub" else values


def encode(table: Any, features: Sequence[str] | None = None) -> tuple[NDArray[numpy.float32], list[str]]:
    """The features of a frame as numbers, and the spec of each column: for LightGBM and XGBoost.

    Takes the columns named `feature.*` (or `features`, with or without that prefix). Numbers stay as they are, truth
    values become 0 and 1 (`name:bool`), each word of a category becomes a column (`name=word`); missing numbers and
    truth values stay NaN, of which these libraries make something themselves.

        X, specs = tactful.encode(frame)
        model = lightgbm.LGBMClassifier().fit(X, frame["accepted"])
        client.models.push(model, name="acceptance", features=specs, golden=X[-2000:])

    The words are those of this very table: encode once, then split into rows to train on and rows to test with.
    """
    there = names(table)
    if there is None:
        raise invalid("table", f"is {_called(table)}; give a pandas or polars frame")
    wanted = [name for name in there if name.startswith(FEATURE)] if features is None else list(features)
    made: list[NDArray[numpy.float32]] = []
    specs: list[str] = []
    for name in wanted:
        found = next((known for known in (name, f"{FEATURE}{name}") if known in there), None)
        if found is None:
            raise invalid("features", f"names {name}, which is no column of the table")
        values = column(table, there.index(found))
        spec = spec_of(found)
        if any(isinstance(value, str) for value in values if values.dtype.kind in "OUT"):
            for word in sorted({str(value) for value in values if not is_missing(value)}):
                made.append(numpy.array([value == word for value in values], dtype=numpy.float32))
                specs.append(f"{spec}={word}")
        else:
            made.append(numbers(found, values))
            specs.append(f"{spec}:bool" if is_bool(values) else spec)
    if not made:
        raise InvalidArgument(
            f"table has no column that begins with {FEATURE}; name the columns in features",
            reason="NO_FEATURES",
            fields={"table": f"has no column that begins with {FEATURE}"},
        )
    return numpy.column_stack(made), specs


def _called(table: Any) -> str:
    return f"a {type(table).__name__}"
