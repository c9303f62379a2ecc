"""Values, times and spans of time between Python and the wire."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from numbers import Integral, Real
from typing import Any

import numpy
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ._proto import types_pb2
from .errors import invalid

Scalar = float | int | str | bool | None
"""What a field can hold: a number, a text, a truth value, or None for missing."""

Time = datetime | str
"""A time with its zone: a datetime, or RFC 3339 text such as 2026-05-01T10:00:00Z."""


def value(field: str, given: Any) -> types_pb2.Value | None:
    """A value on the wire; none if it is missing."""
    if given is None:
        return None
    if isinstance(given, (bool, numpy.bool_)):
        return types_pb2.Value(flag=bool(given))
    if isinstance(given, str):
        return types_pb2.Value(text=given)
    if isinstance(given, (Integral, Real)):
        number = float(given)
        if math.isfinite(number):
            return types_pb2.Value(number=number)
        raise invalid(field, f"is {number}, not a finite number; leave it out, or give None, if it is missing")
    raise invalid(field, f"is a {type(given).__name__}; give a number, a text, True or False, or None if it is missing")


def fields(name: str, given: Mapping[str, Any] | None) -> dict[str, types_pb2.Value]:
    """Fields on the wire, missing ones left out. `name` is what errors call the whole."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise invalid(name, f"is a {type(given).__name__}; give a dict of names and values")
    found = ((str(key), value(f"{name}[{key}]", item)) for key, item in given.items())
    return {key: item for key, item in found if item is not None}


def plain(given: types_pb2.Value) -> Scalar:
    """A value as Python has it."""
    kind = given.WhichOneof("kind")
    return None if kind is None else getattr(given, kind)


def timestamp(field: str, given: Time | None) -> Timestamp | None:
    """A time on the wire."""
    if given is None:
        return None
    moment = given
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
        except ValueError:
            raise invalid(field, f"is {given!r}; write a time such as 2026-05-01T10:00:00Z") from None
    if not isinstance(moment, datetime):
        raise invalid(field, f"is a {type(given).__name__}; give a datetime with a zone, or a text as in RFC 3339")
    if moment.tzinfo is None:
        raise invalid(field, f"is {moment.isoformat()} without a zone; add one, for example tzinfo=timezone.utc")
    made = Timestamp()
    made.FromDatetime(moment.astimezone(timezone.utc))
    return made


def moment(given: Timestamp) -> datetime:
    """A time as Python has it, in UTC."""
    return given.ToDatetime(tzinfo=timezone.utc)


def duration(field: str, given: timedelta | float | None) -> Duration | None:
    """A span of time on the wire; numbers are seconds."""
    if given is None:
        return None
    span = given if isinstance(given, timedelta) else timedelta(seconds=float(given))
    if span <= timedelta(0):
        raise invalid(field, f"is {span}; give a span above zero")
    made = Duration()
    made.FromTimedelta(span)
    return made


def share(field: str, given: float, *, zero: bool = False) -> float:
    """A share of the customers."""
    if not isinstance(given, (int, float)) or isinstance(given, bool) or not 0 <= given <= 1 or (given == 0 and not zero):
        ends = "0 to 1" if zero else "above 0 and up to 1"
        raise invalid(field, f"is {given!r}; give a part of one, {ends}, for example 0.1")
    return float(given)


def count(field: str, given: int | None, most: int) -> int:
    """How many; 0 for what the server takes by itself."""
    if given is None:
        return 0
    if isinstance(given, bool) or not isinstance(given, Integral) or not 1 <= int(given) <= most:
        raise invalid(field, f"is {given!r}; give 1 to {most}")
    return int(given)
