"""Rows to train on, in fields of the demo catalogue."""

from __future__ import annotations

from typing import Any

import numpy
import pandas

SEGMENTS = ("starter", "family", "premium", "senior")
NUMBERS = ["customer.age", "customer.tenure_months", "customer.monthly_spend"]
FIELDS = [*NUMBERS, "customer.segment", "customer.has_mobile"]


def frame(rows: int = 800, *, gaps: bool = False, seed: int = 1) -> tuple[pandas.DataFrame, Any]:
    """A frame with numbers, words and truth values, and an answer that depends on them."""
    random = numpy.random.default_rng(seed)
    age = random.uniform(18, 90, rows).round(1)
    tenure = random.exponential(40, rows)
    spend = random.normal(50, 15, rows)
    segment = random.choice(SEGMENTS, rows)
    mobile = random.random(rows) < 0.5
    logit = (age - 50) / 20 - tenure / 60 + (segment == "premium") + 0.5 * mobile - 0.3
    accepted = (random.random(rows) < 1 / (1 + numpy.exp(-logit))).astype(int)
    columns = {"age": age, "tenure_months": tenure, "monthly_spend": spend, "segment": segment, "has_mobile": mobile}
    table = pandas.DataFrame({f"customer.{name}": values for name, values in columns.items()})
    if gaps:
        table.loc[::5, "customer.age"] = numpy.nan
        table.loc[::7, "customer.tenure_months"] = numpy.nan
    return table, accepted


def numbers(rows: int = 800, *, gaps: bool = False, seed: int = 1) -> tuple[Any, Any]:
    """The numbers alone, as an array."""
    table, accepted = frame(rows, gaps=gaps, seed=seed)
    return table[NUMBERS].to_numpy(), accepted
