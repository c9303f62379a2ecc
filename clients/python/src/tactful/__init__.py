"""Python client of Tactful, the real-time next-best-action engine.

import tactful

with tactful.Client("127.0.0.1:7411") as client:
    decision = client.decide("customer:42", placement="web_home", context={"intent": "buy"})
    client.outcomes([(decision.top, "accepted")])
    client.models.push(pipeline, name="acceptance", golden=X_valid, as_="shadow")
    frame = client.logs.to_polars()
"""

from .client import Client
from .decisions import Action, Candidate, Contribution, Decision, Placement
from .errors import (
    Conflict,
    ConversionError,
    DeadlineExceeded,
    Error,
    InvalidArgument,
    ModelRefused,
    NotFound,
    Overloaded,
    ParityError,
    PartlyRefused,
    PreconditionFailed,
    RefusedItem,
    ServerFault,
    Unavailable,
)
from .events import Event, Outcome, Receipt
from .models import Comparison, Details, Move, Pushed, Registry, Version, VersionSummary
from .tables import encode

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Candidate",
    "Client",
    "Comparison",
    "Conflict",
    "Contribution",
    "ConversionError",
    "DeadlineExceeded",
    "Decision",
    "Details",
    "Error",
    "Event",
    "InvalidArgument",
    "ModelRefused",
    "Move",
    "NotFound",
    "Outcome",
    "Overloaded",
    "ParityError",
    "PartlyRefused",
    "Placement",
    "PreconditionFailed",
    "Pushed",
    "Receipt",
    "RefusedItem",
    "Registry",
    "ServerFault",
    "Unavailable",
    "Version",
    "VersionSummary",
    "encode",
]
