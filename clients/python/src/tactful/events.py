"""Events and outcomes on their way to the server.

Events are dicts in the Segment shape (`{"type": "track", "userId": ..., "event": ...}`), dicts with the names of the
API, or made by `Event.track(...)` and its siblings. A key that is not known is refused: a misspelt one would be lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ._proto import decision_service_pb2, event_service_pb2, types_pb2
from .decisions import Action
from .errors import RefusedItem, invalid
from .values import Time, fields, timestamp

_TYPES: dict[str, Any] = {
    name.removeprefix("EVENT_TYPE_").lower(): number
    for name, number in types_pb2.EventType.items()
    if name != "EVENT_TYPE_UNSPECIFIED"
}
_OUTCOMES: dict[str, Any] = {
    name.removeprefix("OUTCOME_TYPE_").lower(): number
    for name, number in types_pb2.OutcomeType.items()
    if name != "OUTCOME_TYPE_UNSPECIFIED"
}
# Segment's names, and what we call the same.
_SEGMENT = {
    "userId": "subject_id",
    "messageId": "message_id",
    "timestamp": "time",
    "event_time": "time",
    "event": "name",
    "traits": "properties",
    "anonymousId": "anonymous_id",
    "previousId": "previous_id",
}


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    type: str
    subject_id: str
    name: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    time: Time | None = None
    channel: str = ""
    source: str = ""
    message_id: str = ""
    """Id of this event: sent again with the same one it counts once."""
    matter_id: str = ""
    anonymous_id: str = ""
    previous_id: str = ""

    @classmethod
    def identify(cls, subject_id: str, traits: Mapping[str, Any] | None = None, **more: Any) -> Event:
        """What became known of a customer."""
        return cls("identify", subject_id, properties=traits or {}, **more)

    @classmethod
    def track(cls, subject_id: str, name: str, properties: Mapping[str, Any] | None = None, **more: Any) -> Event:
        """A customer did something that has a name."""
        return cls("track", subject_id, name, properties or {}, **more)

    @classmethod
    def page(cls, subject_id: str, name: str = "", properties: Mapping[str, Any] | None = None, **more: Any) -> Event:
        """A web page was seen."""
        return cls("page", subject_id, name, properties or {}, **more)

    @classmethod
    def screen(cls, subject_id: str, name: str = "", properties: Mapping[str, Any] | None = None, **more: Any) -> Event:
        """A screen of an app was seen."""
        return cls("screen", subject_id, name, properties or {}, **more)

    @classmethod
    def alias(cls, subject_id: str, previous_id: str, **more: Any) -> Event:
        """Two ids are one customer."""
        return cls("alias", subject_id, previous_id=previous_id, **more)


@dataclass(frozen=True)
class Outcome:
    """What became of an action that was shown, or of a decision made elsewhere."""

    shown: Action | None
    outcome: str
    """exposed, accepted, rejected, deferred, clicked, converted, resolved or not_presented."""
    value: float = 0.0
    time: Time | None = None
    reason_code: str = ""
    message_id: str = ""
    external_decision_id: str = ""
    subject_id: str = ""


@dataclass(frozen=True)
class Receipt:
    """What became of a batch. Give it to `decide(after=...)` for a decision that is to know of it."""

    accepted: int
    errors: list[RefusedItem]
    position: str = field(repr=False)


def event(at: int, given: Event | Mapping[str, Any]) -> event_service_pb2.IngestItem:
    """An event on the wire."""
    place = f"events[{at}]"
    made = given if isinstance(given, Event) else _event(place, given)
    if made.type not in _TYPES:
        raise invalid(f"{place}.type", f"is {made.type!r}; write one of {', '.join(_TYPES)}")
    if not made.subject_id:
        raise invalid(f"{place}.subject_id", "is missing; give the id of a customer, for example customer:42")
    return event_service_pb2.IngestItem(
        event=event_service_pb2.Event(
            message_id=made.message_id,
            subject_id=made.subject_id,
            type=_TYPES[made.type],
            name=made.name,
            event_time=timestamp(f"{place}.time", made.time),
            channel=made.channel,
            source=made.source,
            properties=fields(f"{place}.properties", flattened(made.properties)),
            matter_id=made.matter_id,
            previous_id=made.previous_id,
            anonymous_id=made.anonymous_id,
        )
    )


def _event(place: str, given: Mapping[str, Any]) -> Event:
    if not isinstance(given, Mapping):
        raise invalid(place, f"is a {type(given).__name__}; give a dict or an Event")
    renamed: dict[str, Any] = {}
    for key, item in given.items():
        name = _SEGMENT.get(key, key)
        if name not in Event.__dataclass_fields__:
            known = ", ".join(sorted({*Event.__dataclass_fields__, *_SEGMENT}))
            raise invalid(f"{place}.{key}", f"is not known; known are {known}")
        if name in renamed:
            raise invalid(f"{place}.{key}", "comes twice under two names")
        renamed[name] = item
    if renamed.get("anonymous_id") and not renamed.get("subject_id"):
        # A visitor of whom no more is known, as the Segment specification has it.
        visitor = str(renamed.pop("anonymous_id"))
        renamed["subject_id"] = visitor if ":" in visitor else f"anon:{visitor}"
    for name in ("type", "subject_id"):
        if not isinstance(renamed.get(name), str):
            raise invalid(f"{place}.{name}", "is missing" if name not in renamed else "is no text")
    return Event(**renamed)


def flattened(given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots; of a list its length counts, as `NAME.count`."""
    flat: dict[str, Any] = {}
    for key, item in given.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            flat.update(flattened(item, f"{name}."))
        elif isinstance(item, (list, tuple)):
            flat[f"{name}.count"] = len(item)
        else:
            flat[name] = item
    return flat


def outcome(at: int, given: Outcome | tuple[Action, str] | Mapping[str, Any]) -> decision_service_pb2.OutcomeReport:
    """An outcome on the wire."""
    place = f"outcomes[{at}]"
    subject, token, made = _outcome(place, given)
    if made.outcome not in _OUTCOMES:
        raise invalid(f"{place}.outcome", f"is {made.outcome!r}; write one of {', '.join(_OUTCOMES)}")
    if bool(token) == bool(made.external_decision_id):
        raise invalid(
            f"{place}.outcome_token",
            "is missing: give an action as decide returned it (a what-if has no token), or external_decision_id",
        )
    return decision_service_pb2.OutcomeReport(
        subject_id=subject,
        outcome_token=token,
        external_decision_id=made.external_decision_id,
        type=_OUTCOMES[made.outcome],
        value=float(made.value),
        occur_time=timestamp(f"{place}.time", made.time),
        reason_code=made.reason_code,
        message_id=made.message_id,
    )


def _outcome(place: str, given: Outcome | tuple[Action, str] | Mapping[str, Any]) -> tuple[str, str, Outcome]:
    """Subject id, token and the rest."""
    if isinstance(given, tuple) and len(given) == 2:
        given = Outcome(*given)
    if isinstance(given, Mapping):
        more = dict(given)
        token = str(more.pop("outcome_token", ""))
        unknown = [key for key in more if key not in Outcome.__dataclass_fields__]
        if unknown:
            known = ", ".join([*Outcome.__dataclass_fields__, "outcome_token"])
            raise invalid(f"{place}.{unknown[0]}", f"is not known; known are {known}")
        if "outcome" not in more:
            raise invalid(f"{place}.outcome", f"is missing; write one of {', '.join(_OUTCOMES)}")
        made = Outcome(**{"shown": None, **more})
        shown = made.shown
        return (made.subject_id or (shown.subject_id if shown else ""), token or _token(shown), made)
    if not isinstance(given, Outcome):
        raise invalid(place, f"is a {type(given).__name__}; give (action, 'accepted'), an Outcome or a dict")
    if given.shown is not None and not isinstance(given.shown, Action):
        raise invalid(f"{place}.shown", f"is a {type(given.shown).__name__}; give an action as decide returned it")
    return (given.subject_id or (given.shown.subject_id if given.shown else ""), _token(given.shown), given)


def _token(shown: Action | None) -> str:
    return shown.outcome_token if shown is not None else ""
