# Made by generate.py from proto/tactful/v1; do not edit.
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import decision_service_pb2 as _decision_service_pb2
from . import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Event(_message.Message):
    __slots__ = ("message_id", "subject_id", "type", "name", "event_time", "channel", "source", "properties", "matter_id", "previous_id", "anonymous_id")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _types_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ...) -> None: ...
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    MATTER_ID_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_ID_FIELD_NUMBER: _ClassVar[int]
    ANONYMOUS_ID_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    subject_id: str
    type: _types_pb2.EventType
    name: str
    event_time: _timestamp_pb2.Timestamp
    channel: str
    source: str
    properties: _containers.MessageMap[str, _types_pb2.Value]
    matter_id: str
    previous_id: str
    anonymous_id: str
    def __init__(self, message_id: _Optional[str] = ..., subject_id: _Optional[str] = ..., type: _Optional[_Union[_types_pb2.EventType, str]] = ..., name: _Optional[str] = ..., event_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., channel: _Optional[str] = ..., source: _Optional[str] = ..., properties: _Optional[_Mapping[str, _types_pb2.Value]] = ..., matter_id: _Optional[str] = ..., previous_id: _Optional[str] = ..., anonymous_id: _Optional[str] = ...) -> None: ...

class ExternalDecision(_message.Message):
    __slots__ = ("external_decision_id", "subject_id", "action_id", "placement", "decision_time", "selection_probability", "context")
    class ContextEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _types_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ...) -> None: ...
    EXTERNAL_DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_ID_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    DECISION_TIME_FIELD_NUMBER: _ClassVar[int]
    SELECTION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    external_decision_id: str
    subject_id: str
    action_id: str
    placement: str
    decision_time: _timestamp_pb2.Timestamp
    selection_probability: float
    context: _containers.MessageMap[str, _types_pb2.Value]
    def __init__(self, external_decision_id: _Optional[str] = ..., subject_id: _Optional[str] = ..., action_id: _Optional[str] = ..., placement: _Optional[str] = ..., decision_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., selection_probability: _Optional[float] = ..., context: _Optional[_Mapping[str, _types_pb2.Value]] = ...) -> None: ...

class Fact(_message.Message):
    __slots__ = ("message_id", "subject_id", "key", "value", "purpose", "expire_time", "event_time", "channel", "source", "matter_id")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MATTER_ID_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    subject_id: str
    key: str
    value: _types_pb2.Value
    purpose: str
    expire_time: _timestamp_pb2.Timestamp
    event_time: _timestamp_pb2.Timestamp
    channel: str
    source: str
    matter_id: str
    def __init__(self, message_id: _Optional[str] = ..., subject_id: _Optional[str] = ..., key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ..., purpose: _Optional[str] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., event_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., channel: _Optional[str] = ..., source: _Optional[str] = ..., matter_id: _Optional[str] = ...) -> None: ...

class IngestItem(_message.Message):
    __slots__ = ("event", "external_decision", "outcome", "fact", "consent")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_DECISION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    FACT_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    event: Event
    external_decision: ExternalDecision
    outcome: _decision_service_pb2.OutcomeReport
    fact: Fact
    consent: _types_pb2.Consent
    def __init__(self, event: _Optional[_Union[Event, _Mapping]] = ..., external_decision: _Optional[_Union[ExternalDecision, _Mapping]] = ..., outcome: _Optional[_Union[_decision_service_pb2.OutcomeReport, _Mapping]] = ..., fact: _Optional[_Union[Fact, _Mapping]] = ..., consent: _Optional[_Union[_types_pb2.Consent, _Mapping]] = ...) -> None: ...

class IngestRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[IngestItem]
    def __init__(self, items: _Optional[_Iterable[_Union[IngestItem, _Mapping]]] = ...) -> None: ...

class IngestResponse(_message.Message):
    __slots__ = ("accepted", "errors", "position")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    errors: _containers.RepeatedCompositeFieldContainer[_decision_service_pb2.ItemError]
    position: str
    def __init__(self, accepted: _Optional[int] = ..., errors: _Optional[_Iterable[_Union[_decision_service_pb2.ItemError, _Mapping]]] = ..., position: _Optional[str] = ...) -> None: ...

class IngestStreamRequest(_message.Message):
    __slots__ = ("sequence", "items")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    items: _containers.RepeatedCompositeFieldContainer[IngestItem]
    def __init__(self, sequence: _Optional[int] = ..., items: _Optional[_Iterable[_Union[IngestItem, _Mapping]]] = ...) -> None: ...

class IngestStreamResponse(_message.Message):
    __slots__ = ("sequence", "accepted", "errors", "position")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    accepted: int
    errors: _containers.RepeatedCompositeFieldContainer[_decision_service_pb2.ItemError]
    position: str
    def __init__(self, sequence: _Optional[int] = ..., accepted: _Optional[int] = ..., errors: _Optional[_Iterable[_Union[_decision_service_pb2.ItemError, _Mapping]]] = ..., position: _Optional[str] = ...) -> None: ...
