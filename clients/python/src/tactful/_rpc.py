"""The connection: one channel, the services on it, and errors as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from . import errors
from ._proto import decision_service_pb2_grpc, event_service_pb2_grpc, model_service_pb2_grpc

Reply = TypeVar("Reply")

# A page of 256 rows of the record can be larger than gRPC's own 4 MiB.
_OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_metadata_size", 64 << 10),
    ("grpc.keepalive_time_ms", 30_000),
]


class Connection:
    """A channel to one server. Calls may come from several threads."""

    def __init__(self, address: str, timeout: float) -> None:
        if not isinstance(address, str) or not address.strip():
            raise errors.invalid("address", "is empty; give HOST:PORT, for example 127.0.0.1:7411")
        self.address = address.removeprefix("http://").rstrip("/")
        self.timeout = timeout
        self._channel = grpc.insecure_channel(self.address, options=_OPTIONS)
        self.decisions = decision_service_pb2_grpc.DecisionServiceStub(self._channel)
        self.events = event_service_pb2_grpc.EventServiceStub(self._channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def call(self, method: Callable[..., Reply], request: Any, timeout: float | None = None) -> Reply:
        """Calls and waits; what goes wrong becomes one of our errors."""
        try:
            return method(request, timeout=self.timeout if timeout is None else timeout)
        except grpc.RpcError as error:
            raise errors.from_rpc(error, self.address) from None

    def stream(self, method: Callable[..., Any], request: Any, timeout: float | None = None) -> Iterator[Any]:
        """Calls and hands out what comes, piece by piece."""
        try:
            yield from method(request, timeout=timeout)
        except grpc.RpcError as error:
            raise errors.from_rpc(error, self.address) from None

    def close(self) -> None:
        """Ends the connection; calls after it fail."""
        self._channel.close()
