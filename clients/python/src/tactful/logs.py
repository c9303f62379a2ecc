"""The record of decisions as tables: one row for each slot of each decision, with what came of it.

Columns of features are called `feature.<name>`, for example `feature.customer.age` and `feature.context.topic`; take the
prefix away and they are the specs that a model is pushed with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy

from . import obp
from ._proto import decision_service_pb2, types_pb2
from ._rpc import Connection
from .errors import InvalidArgument, invalid
from .tables import FEATURE
from .values import Scalar, Time, moment, plain, timestamp

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

POSITIVE = ("accepted", "converted", "resolved")
"""Outcomes that count as success unless others are named."""

# An export reads the whole record.
_TIMEOUT = 600.0

_TEXTS = ("decision_id", "subject_id", "placement", "channel", "action_id", "group", "selection")
_VERSIONS = ("ruleset_version", "model_version", "shadow_model_version", "shadow_action_id")


class Logs:
    """The record of decisions; reached as `client.logs`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, start: Time | None = None, end: Time | None = None) -> Iterator[dict[str, Any]]:
        """Row by row, as dicts, without any library: for records that do not fit into memory."""
        request = decision_service_pb2.ExportDecisionsRequest(
            start_time=timestamp("start", start), end_time=timestamp("end", end)
        )
        export = self._connection.decisions.ExportDecisions
        for page in self._connection.stream(export, request, _TIMEOUT):
            yield from (_row(row) for row in page.rows)

    def to_polars(
        self,
        start: Time | None = None,
        end: Time | None = None,
        *,
        positive: Sequence[str] = POSITIVE,
        window: timedelta | None = None,
    ) -> pl.DataFrame:
        """The record as a polars frame. Needs `pip install tactful[polars]`.

        `accepted` is true if an outcome of `positive` came (within `window`, if one is given), `exposed` if the action
        was shown or answered; `answer` is the last outcome that is not an exposure.
        """
        polars = _library("polars")
        columns = self._columns(start, end, positive, window)
        types = {
            "decision_time": polars.Datetime("us", "UTC"),
            "answer_time": polars.Datetime("us", "UTC"),
            "slot": polars.Int32,
            "external": polars.Boolean,
            "accepted": polars.Boolean,
            "exposed": polars.Boolean,
            **{name: polars.String for name in (*_TEXTS, *_VERSIONS, "answer")},
            **{name: polars.Float64 for name in _NUMBERS},
        }
        kinds = {"number": polars.Float64, "text": polars.String, "flag": polars.Boolean}
        for name, values in columns.items():
            if name.startswith(FEATURE):
                types[name] = kinds[_kind(name, values)]
        made: pl.DataFrame = polars.DataFrame(columns, schema={name: types[name] for name in columns})
        return made

    def to_pandas(
        self,
        start: Time | None = None,
        end: Time | None = None,
        *,
        positive: Sequence[str] = POSITIVE,
        window: timedelta | None = None,
    ) -> pd.DataFrame:
        """The record as a pandas frame with the columns of `to_polars`. Needs `pip install tactful[pandas]`.

        Numbers are float64 with NaN for missing, truth values are boolean with NA, texts are objects with None.
        """
        pandas = _library("pandas")
        columns = self._columns(start, end, positive, window)
        made = {}
        for name, values in columns.items():
            if name.endswith("_time"):
                made[name] = pandas.to_datetime(pandas.Series(values, dtype=object), utc=True)
            elif name in _NUMBERS or (name.startswith(FEATURE) and _kind(name, values) == "number"):
                made[name] = pandas.Series([numpy.nan if value is None else value for value in values], dtype="float64")
            elif name.startswith(FEATURE) and _kind(name, values) == "flag":
                made[name] = pandas.Series(values, dtype="boolean")
            elif name in ("slot", "external", "accepted", "exposed"):
                made[name] = pandas.Series(values, dtype="int32" if name == "slot" else "bool")
            else:
                made[name] = pandas.Series(values, dtype=object)
        frame: pd.DataFrame = pandas.DataFrame(made)
        return frame

    def to_obp(
        self,
        start: Time | None = None,
        end: Time | None = None,
        *,
        positive: Sequence[str] = POSITIVE,
        window: timedelta | None = None,
        settled_only: bool = True,
        reward: Callable[[Mapping[str, Any]], float] | None = None,
        features: Sequence[str] | None = None,
        placement: str | None = None,
    ) -> dict[str, Any]:
        """The record as the bandit feedback of the Open Bandit Pipeline.

        See `tactful.obp.feedback` for what is in it and for the rule of the reward: 1 if an outcome of `positive` came
        (within `window`, if one is given), else 0, unless `reward` says otherwise of a row. With a `window` and
        `settled_only`, decisions whose window is still open are left out: they have no answer yet.
        """
        rows = self.rows(start, end)
        return obp.feedback(
            rows,
            reward=reward or (lambda row: float(_succeeded(row, positive, window))),
            settled_before=datetime.now(timezone.utc) - window if window and settled_only else None,
            features=features,
            placement=placement,
        )

    def _columns(
        self, start: Time | None, end: Time | None, positive: Sequence[str], window: timedelta | None
    ) -> dict[str, list[Any]]:
        """All rows, column by column; a feature that a row has not is None there."""
        _known(positive)
        fixed: dict[str, list[Any]] = {name: [] for name in _FIXED}
        features: dict[str, list[Scalar]] = {}
        for at, row in enumerate(self.rows(start, end)):
            said = {**row, **_answers(row, positive, window)}
            for name, values in fixed.items():
                values.append(said[name])
            for name, value in row["features"].items():
                column = features.setdefault(f"{FEATURE}{name}", [])
                column.extend([None] * (at - len(column)))
                column.append(value)
        count = len(fixed["decision_id"])
        for column in features.values():
            column.extend([None] * (count - len(column)))
        return fixed | {name: features[name] for name in sorted(features)}


_NUMBERS = (
    "selection_probability",
    "acceptance_probability",
    "priority",
    "shadow_acceptance_probability",
    "value",
)
_FIXED = (
    "decision_id",
    "decision_time",
    "subject_id",
    "placement",
    "channel",
    "slot",
    "action_id",
    "group",
    "selection",
    "selection_probability",
    "acceptance_probability",
    "priority",
    "accepted",
    "exposed",
    "answer",
    "answer_time",
    "value",
    "external",
    *_VERSIONS,
    "shadow_acceptance_probability",
)


def _row(row: decision_service_pb2.DecisionRow) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in (*_TEXTS[:-1], *_VERSIONS)},
        "selection": types_pb2.Selection.Name(row.selection).removeprefix("SELECTION_").lower(),
        "decision_time": moment(row.decision_time),
        "slot": row.slot,
        "selection_probability": row.selection_probability,
        "acceptance_probability": row.acceptance_probability,
        "priority": row.priority,
        "shadow_acceptance_probability": row.shadow_acceptance_probability if row.shadow_model_version else None,
        "external": row.external,
        "features": {name: plain(value) for name, value in row.features.items()},
        "outcomes": [
            {
                "outcome": types_pb2.OutcomeType.Name(outcome.type).removeprefix("OUTCOME_TYPE_").lower(),
                "value": outcome.value,
                "time": moment(outcome.occur_time),
                "reason_code": outcome.reason_code,
            }
            for outcome in row.outcomes
        ],
    }


def _answers(row: Mapping[str, Any], positive: Sequence[str], window: timedelta | None) -> dict[str, Any]:
    """What the outcomes of a row come to."""
    outcomes = row["outcomes"]
    answers = [found for found in outcomes if found["outcome"] not in ("exposed", "not_presented")]
    last = answers[-1] if answers else None
    return {
        "accepted": _succeeded(row, positive, window),
        "exposed": any(found["outcome"] != "not_presented" for found in outcomes),
        "answer": last["outcome"] if last else None,
        "answer_time": last["time"] if last else None,
        "value": sum(found["value"] for found in outcomes),
    }


def _succeeded(row: Mapping[str, Any], positive: Sequence[str], window: timedelta | None) -> bool:
    limit = row["decision_time"] + window if window else None
    return any(found["outcome"] in positive and (limit is None or found["time"] <= limit) for found in row["outcomes"])


def _known(positive: Sequence[str]) -> None:
    known = [name.removeprefix("OUTCOME_TYPE_").lower() for name in types_pb2.OutcomeType.keys()]
    if isinstance(positive, str) or not positive or any(word not in known for word in positive):
        raise invalid("positive", f"is {positive!r}; give some of {', '.join(known[1:])}")


def _kind(name: str, values: list[Scalar]) -> str:
    """number, text or flag. A field whose kind changed with the catalogue has several; then it is no column."""
    kinds = {_kind_of(value) for value in values if value is not None}
    if len(kinds) > 1:
        raise InvalidArgument(
            f"{name} changed its kind within these decisions ({', '.join(sorted(kinds))}); take a later start",
            reason="MIXED_KINDS",
            fields={name: "changed its kind within these decisions"},
        )
    return next(iter(kinds), "number")


def _kind_of(value: Scalar) -> str:
    if isinstance(value, bool):
        return "flag"
    return "text" if isinstance(value, str) else "number"


def _library(name: str) -> Any:
    """A library that is only needed here."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise InvalidArgument(f"{name} is not installed: pip install 'tactful[{name}]'", reason="NOT_INSTALLED") from None
