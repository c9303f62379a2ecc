"""The record as bandit feedback of the Open Bandit Pipeline (github.com/st-tech/zr-obp), which this does not need.

One round is one slot of one decision in which an action was chosen by a policy whose probability is known. Deliberate
silence (`none`) is an action like others. Left out are rows without a selection probability, and those that were
reported as not presented: nobody could answer them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy

from .errors import InvalidArgument

Row = Mapping[str, Any]


def feedback(
    rows: Iterable[Row],
    *,
    reward: Callable[[Row], float],
    settled_before: datetime | None = None,
    features: Sequence[str] | None = None,
    placement: str | None = None,
) -> dict[str, Any]:
    """Bandit feedback: a dict with

    - `n_rounds`, `n_actions`
    - `context` (n_rounds, dim) float64: numbers as they are with 0 for missing, truth values as 0 and 1, each word of a
      category and each missing number as a column of its own; their names are `context_names`
    - `action` (n_rounds,) int: index into `action_names`, which is sorted
    - `position` (n_rounds,) int: the slot
    - `reward` (n_rounds,) float64: what `reward` says of a row
    - `pscore` (n_rounds,) float64: chance with which the action was chosen for this slot, given the earlier slots
    - `action_context` (n_actions, n_actions) float64: one-hot, since the catalogue's description of actions is not
      in the record
    - `expected_reward`: None, as nobody knows it
    - `decision_id` (n_rounds,) object: which decision a round belongs to
    """
    kept = [row for row in rows if _counts(row, settled_before, placement)]
    if not kept:
        raise InvalidArgument(
            "no decision with a known selection probability is in this time; widen start and end, or shorten the window",
            reason="NO_ROWS",
            fields={"start": "leaves no decision"},
        )
    names = sorted({row["action_id"] for row in kept})
    index = {name: at for at, name in enumerate(names)}
    context, context_names = encoded([row["features"] for row in kept], features)
    return {
        "n_rounds": len(kept),
        "n_actions": len(names),
        "context": context,
        "context_names": context_names,
        "action": numpy.array([index[row["action_id"]] for row in kept], dtype=numpy.int64),
        "action_names": names,
        "position": numpy.array([row["slot"] for row in kept], dtype=numpy.int64),
        "reward": numpy.array([reward(row) for row in kept], dtype=numpy.float64),
        "pscore": numpy.array([row["selection_probability"] for row in kept], dtype=numpy.float64),
        "action_context": numpy.eye(len(names)),
        "expected_reward": None,
        "decision_id": numpy.array([row["decision_id"] for row in kept], dtype=object),
    }


def encoded(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None
) -> tuple[numpy.ndarray[Any, Any], list[str]]:
    """Features as numbers: the matrix and the specs of its columns, as a model is pushed with."""
    wanted = sorted({name for row in rows for name in row}) if names is None else list(names)
    columns: list[numpy.ndarray[Any, Any]] = []
    specs: list[str] = []
    for name in wanted:
        values = [row.get(name) for row in rows]
        known = [value for value in values if value is not None]
        if names is not None and not known:
            raise InvalidArgument(
                f"features: {name} is in none of these decisions", reason="NOT_FOUND", fields={"features": name}
            )
        if any(isinstance(value, str) for value in known):
            for word in sorted({str(value) for value in known}):
                columns.append(numpy.array([value == word for value in values], dtype=numpy.float64))
                specs.append(f"{name}={word}")
            continue
        columns.append(numpy.array([0.0 if value is None else float(value) for value in values]))
        specs.append(f"{name}:bool" if any(isinstance(value, bool) for value in known) else name)
        if len(known) < len(values):
            columns.append(numpy.array([value is None for value in values], dtype=numpy.float64))
            specs.append(f"{name}?")
    matrix = numpy.column_stack(columns) if columns else numpy.zeros((len(rows), 0))
    return matrix, specs


def _counts(row: Row, settled_before: datetime | None, placement: str | None) -> bool:
    return (
        row["selection_probability"] > 0
        and (settled_before is None or row["decision_time"] <= settled_before)
        and (placement is None or row["placement"] == placement)
        and not any(outcome["outcome"] == "not_presented" for outcome in row["outcomes"])
    )
