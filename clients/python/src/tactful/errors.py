"""What can go wrong, by kind.

Every error of the server carries an upper-case reason and, where the input was at fault, the fields with what is wrong
with each. The classes here hold them as attributes, so that nobody has to take a message apart. Errors that are
noticed before anything is sent are of the same classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

# Where gRPC carries google.rpc.Status.
_DETAILS = "grpc-status-details-bin"


class Error(Exception):
    """Whatever Tactful or its client refuses.

    `reason` is an upper-case code that stays the same between versions, `fields` says by path what was wrong with the
    input, `code` is the name of the gRPC status or LOCAL if nothing was sent.
    """

    def __init__(
        self, message: str, *, reason: str = "", fields: Mapping[str, str] | None = None, code: str = "LOCAL"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.fields = dict(fields or {})
        self.code = code

    def __str__(self) -> str:
        shown = [f"\n  {path}: {text}" for path, text in self.fields.items() if f"{path} {text}" not in self.message]
        return self.message + "".join(shown)


class InvalidArgument(Error):
    """The input was wrong; `fields` names what."""


class NotFound(Error):
    """What was named is not there; `fields` says what was named."""


class ModelRefused(Error):
    """A model that was not taken: it could not be read, does not fit, or does not score as its library does."""


class ParityError(ModelRefused):
    """The model would not score as its library does. Nothing was uploaded."""


class ConversionError(ModelRefused):
    """The model cannot be said in a form that Tactful reads; `step` is the part that cannot."""

    def __init__(self, message: str, *, step: str = "") -> None:
        super().__init__(message, reason="NOT_REPRESENTABLE", fields={step: message} if step else None)
        self.step = step


class PreconditionFailed(Error):
    """The server is not in a state in which this can be done."""


class Conflict(Error):
    """Somebody else changed the same at the same time; look again and repeat."""


class Overloaded(Error):
    """A bound of the server is reached; try again shortly."""


class Unavailable(Error):
    """No server answers there, or it cannot reach its log."""


class DeadlineExceeded(Error):
    """No answer came within the timeout."""


class ServerFault(Error):
    """A defect of the server, or damage of its data."""


@dataclass(frozen=True)
class RefusedItem:
    """One item of a batch that was refused; the others count."""

    index: int
    reason: str
    field: str
    message: str


class PartlyRefused(InvalidArgument):
    """Some items of a batch were refused, each in `errors`; `accepted` of them are durable."""

    def __init__(self, accepted: int, errors: Sequence[RefusedItem]) -> None:
        first = errors[0]
        more = "" if len(errors) == 1 else f" (and {len(errors) - 1} more)"
        fields = {f"[{error.index}].{error.field}": error.message for error in errors}
        super().__init__(
            f"{accepted} accepted, {len(errors)} refused: [{first.index}].{first.field} {first.message}{more}",
            reason=first.reason,
            fields=fields,
        )
        self.accepted = accepted
        self.errors = list(errors)


_BY_CODE: dict[str, type[Error]] = {
    "INVALID_ARGUMENT": InvalidArgument,
    "OUT_OF_RANGE": InvalidArgument,
    "NOT_FOUND": NotFound,
    "FAILED_PRECONDITION": PreconditionFailed,
    "ABORTED": Conflict,
    "RESOURCE_EXHAUSTED": Overloaded,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "INTERNAL": ServerFault,
    "DATA_LOSS": ServerFault,
    "UNKNOWN": ServerFault,
}


def invalid(field: str, text: str) -> InvalidArgument:
    """Input that is refused before it is sent."""
    return InvalidArgument(f"{field} {text}", reason="INVALID_ARGUMENT", fields={field: text})


def from_rpc(error: grpc.RpcError, address: str) -> Error:
    """The error that a call ended with, as one of ours."""
    call: Any = error
    code = call.code().name if callable(getattr(call, "code", None)) else "UNKNOWN"
    text = call.details() if callable(getattr(call, "details", None)) else str(error)
    reason, fields = _details(call)
    kind = _BY_CODE.get(code, Error)
    if reason.startswith("MODEL_"):
        kind = ModelRefused
    message = text or code
    if kind is Unavailable and not reason:
        message = f"no server answers at {address}: {message}; start one with: tactful serve, or: tactful demo"
    elif kind is DeadlineExceeded and not reason:
        message = f"no answer within the timeout: {message}"
    return kind(message, reason=reason, fields=fields, code=code)


def _details(call: Any) -> tuple[str, dict[str, str]]:
    """Reason and field violations, as far as the status carries them."""
    trailing = call.trailing_metadata() if callable(getattr(call, "trailing_metadata", None)) else None
    raw = next((value for key, value in trailing or () if key == _DETAILS), None)
    reason = ""
    fields: dict[str, str] = {}
    if raw is None:
        return reason, fields
    try:
        status = status_pb2.Status.FromString(raw)
        for detail in status.details:
            info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                reason = info.reason
            elif detail.Unpack(request):
                fields.update({found.field: found.description for found in request.field_violations})
    except DecodeError:
        # A proxy on the way may cut headers; the code and its text remain.
        pass
    return reason, fields
