"""The client: decides, takes in events and outcomes, and leads to models and to the record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Any

from . import decisions, events
from ._proto import decision_service_pb2, event_service_pb2
from ._rpc import Connection
from .errors import PartlyRefused, RefusedItem, invalid
from .logs import Logs
from .models import Models
from .values import count as counted
from .values import fields

_EXPLAIN = {
    "none": decision_service_pb2.EXPLAIN_NONE,
    "reasons": decision_service_pb2.EXPLAIN_REASONS,
    "full": decision_service_pb2.EXPLAIN_FULL,
}
# Most items of one call.
_BATCH = 1_000
_SHOWN_MAX = 20


class Client:
    """A connection to one server; several threads may use it.

        with tactful.Client("127.0.0.1:7411") as client:
            decision = client.decide("customer:42", placement="web_home")
            if decision.top:
                client.outcomes([(decision.top, "accepted")])

    `timeout` is in seconds and holds for each call; pushing, comparing and exporting have longer ones of their own.
    `binary` is the `tactful` command with which models are checked before they are pushed; without it $TACTFUL_BIN
    and then PATH are looked at, and else the server checks first.
    """

    def __init__(self, address: str = "127.0.0.1:7411", *, timeout: float = 5.0, binary: str | None = None) -> None:
        if not timeout > 0:
            raise invalid("timeout", f"is {timeout}; give seconds above zero")
        self._connection = Connection(address, timeout)
        self.models = Models(self._connection, binary)
        """Push, compare and promote models."""
        self.logs = Logs(self._connection)
        """The record of decisions as tables."""

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._connection.address

    def decide(
        self,
        subject_id: str,
        placement: str | Sequence[str] = "web_home",
        count: int | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        overrides: Mapping[str, Any] | None = None,
        candidates: Sequence[str] = (),
        exclude: Sequence[str] = (),
        explain: str = "reasons",
        test: bool = False,
        after: events.Receipt | None = None,
        matter_id: str = "",
        request_id: str = "",
        non_personal: bool = False,
        timeout: float | None = None,
    ) -> decisions.Decision:
        """Decides what to show a customer in one placement, or in several that share no action.

        `context` are context fields of the catalogue, `overrides` features read with these values instead of the
        stored ones. `test=True` is a what-if: nothing is recorded. `after` is the receipt of an ingest that the
        decision must know of. `explain` is none, reasons or full.
        """
        places = [placement] if isinstance(placement, str) else list(placement)
        if explain not in _EXPLAIN:
            raise invalid("explain", f"is {explain!r}; write one of {', '.join(_EXPLAIN)}")
        wanted = counted("count", count, _SHOWN_MAX)
        request = decision_service_pb2.DecideRequest(
            subject_id=subject_id,
            placements=[decision_service_pb2.PlacementRequest(placement=place, count=wanted) for place in places],
            context=fields("context", context),
            profile_overrides=fields("overrides", overrides),
            candidate_actions=list(candidates),
            excluded_actions=list(exclude),
            explain=_EXPLAIN[explain],
            mode=decision_service_pb2.MODE_TEST if test else decision_service_pb2.MODE_LIVE,
            min_position=after.position if after else "",
            matter_id=matter_id,
            request_id=request_id,
            non_personal=non_personal,
        )
        reply = self._connection.call(self._connection.decisions.Decide, request, timeout)
        return decisions.decision(subject_id, reply)

    def ingest(self, given: Iterable[events.Event | Mapping[str, Any]], *, on_error: str = "raise") -> events.Receipt:
        """Takes in events, a thousand in each call. What it acknowledges is durable.

        Items that the server refuses raise `PartlyRefused` at the end (the others count), or are listed in the
        receipt with `on_error="return"`.
        """
        if isinstance(given, (Mapping, events.Event)):
            given = [given]
        items = (events.event(at, item) for at, item in enumerate(given))

        def send(batch: list[Any]) -> Any:
            request = event_service_pb2.IngestRequest(items=batch)
            return self._connection.call(self._connection.events.Ingest, request)

        return _sent(items, send, on_error)

    def outcomes(
        self,
        given: Iterable[events.Outcome | tuple[decisions.Action, str] | Mapping[str, Any]],
        *,
        on_error: str = "raise",
    ) -> events.Receipt:
        """Records what became of shown actions: `[(decision.top, "exposed"), (decision.top, "accepted")]`.

        A dict needs `outcome` and either `outcome_token` with `subject_id`, or `external_decision_id`.
        """
        items = (events.outcome(at, item) for at, item in enumerate(given))

        def send(batch: list[Any]) -> Any:
            request = decision_service_pb2.RecordOutcomesRequest(outcomes=batch)
            return self._connection.call(self._connection.decisions.RecordOutcomes, request)

        return _sent(items, send, on_error)

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"tactful.Client({self.address!r})"


def _sent(items: Iterable[Any], send: Callable[[list[Any]], Any], on_error: str) -> events.Receipt:
    """Sends batch by batch and adds up what became of them."""
    if on_error not in ("raise", "return"):
        raise invalid("on_error", f"is {on_error!r}; write raise or return")
    accepted, position, refused, begin = 0, "", list[RefusedItem](), 0
    source = iter(items)
    while batch := list(islice(source, _BATCH)):
        reply = send(batch)
        accepted += reply.accepted
        position = reply.position or position
        refused += [RefusedItem(begin + error.index, error.reason, error.field, error.message) for error in reply.errors]
        begin += len(batch)
    if begin == 0:
        raise invalid("items", "are none; give at least one")
    if refused and on_error == "raise":
        raise PartlyRefused(accepted, refused)
    return events.Receipt(accepted, refused, position)
