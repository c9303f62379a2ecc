# Made by generate.py from proto/tactful/v1; do not edit.
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_TYPE_UNSPECIFIED: _ClassVar[EventType]
    EVENT_TYPE_IDENTIFY: _ClassVar[EventType]
    EVENT_TYPE_TRACK: _ClassVar[EventType]
    EVENT_TYPE_PAGE: _ClassVar[EventType]
    EVENT_TYPE_SCREEN: _ClassVar[EventType]
    EVENT_TYPE_GROUP: _ClassVar[EventType]
    EVENT_TYPE_ALIAS: _ClassVar[EventType]

class OutcomeType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_TYPE_UNSPECIFIED: _ClassVar[OutcomeType]
    OUTCOME_TYPE_EXPOSED: _ClassVar[OutcomeType]
    OUTCOME_TYPE_ACCEPTED: _ClassVar[OutcomeType]
    OUTCOME_TYPE_REJECTED: _ClassVar[OutcomeType]
    OUTCOME_TYPE_DEFERRED: _ClassVar[OutcomeType]
    OUTCOME_TYPE_CLICKED: _ClassVar[OutcomeType]
    OUTCOME_TYPE_CONVERTED: _ClassVar[OutcomeType]
    OUTCOME_TYPE_RESOLVED: _ClassVar[OutcomeType]
    OUTCOME_TYPE_NOT_PRESENTED: _ClassVar[OutcomeType]

class ScoreSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCORE_SOURCE_UNSPECIFIED: _ClassVar[ScoreSource]
    SCORE_SOURCE_ACTION: _ClassVar[ScoreSource]
    SCORE_SOURCE_GROUP: _ClassVar[ScoreSource]
    SCORE_SOURCE_GLOBAL: _ClassVar[ScoreSource]
    SCORE_SOURCE_PRIOR: _ClassVar[ScoreSource]

class Selection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SELECTION_UNSPECIFIED: _ClassVar[Selection]
    SELECTION_BEST: _ClassVar[Selection]
    SELECTION_HOLDOUT: _ClassVar[Selection]
    SELECTION_THOMPSON: _ClassVar[Selection]
EVENT_TYPE_UNSPECIFIED: EventType
EVENT_TYPE_IDENTIFY: EventType
EVENT_TYPE_TRACK: EventType
EVENT_TYPE_PAGE: EventType
EVENT_TYPE_SCREEN: EventType
EVENT_TYPE_GROUP: EventType
EVENT_TYPE_ALIAS: EventType
OUTCOME_TYPE_UNSPECIFIED: OutcomeType
OUTCOME_TYPE_EXPOSED: OutcomeType
OUTCOME_TYPE_ACCEPTED: OutcomeType
OUTCOME_TYPE_REJECTED: OutcomeType
OUTCOME_TYPE_DEFERRED: OutcomeType
OUTCOME_TYPE_CLICKED: OutcomeType
OUTCOME_TYPE_CONVERTED: OutcomeType
OUTCOME_TYPE_RESOLVED: OutcomeType
OUTCOME_TYPE_NOT_PRESENTED: OutcomeType
SCORE_SOURCE_UNSPECIFIED: ScoreSource
SCORE_SOURCE_ACTION: ScoreSource
SCORE_SOURCE_GROUP: ScoreSource
SCORE_SOURCE_GLOBAL: ScoreSource
SCORE_SOURCE_PRIOR: ScoreSource
SELECTION_UNSPECIFIED: Selection
SELECTION_BEST: Selection
SELECTION_HOLDOUT: Selection
SELECTION_THOMPSON: Selection

class Value(_message.Message):
    __slots__ = ("number", "text", "flag")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    number: float
    text: str
    flag: bool
    def __init__(self, number: _Optional[float] = ..., text: _Optional[str] = ..., flag: bool = ...) -> None: ...

class Factors(_message.Message):
    __slots__ = ("acceptance_probability", "value", "context_weight", "lever")
    ACCEPTANCE_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    LEVER_FIELD_NUMBER: _ClassVar[int]
    acceptance_probability: float
    value: float
    context_weight: float
    lever: float
    def __init__(self, acceptance_probability: _Optional[float] = ..., value: _Optional[float] = ..., context_weight: _Optional[float] = ..., lever: _Optional[float] = ...) -> None: ...

class Consent(_message.Message):
    __slots__ = ("message_id", "subject_id", "purpose", "allowed", "source", "text_version", "event_time")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_VERSION_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    subject_id: str
    purpose: str
    allowed: bool
    source: str
    text_version: str
    event_time: _timestamp_pb2.Timestamp
    def __init__(self, message_id: _Optional[str] = ..., subject_id: _Optional[str] = ..., purpose: _Optional[str] = ..., allowed: bool = ..., source: _Optional[str] = ..., text_version: _Optional[str] = ..., event_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("type", "value", "occur_time", "reason_code")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    OCCUR_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    type: OutcomeType
    value: float
    occur_time: _timestamp_pb2.Timestamp
    reason_code: str
    def __init__(self, type: _Optional[_Union[OutcomeType, str]] = ..., value: _Optional[float] = ..., occur_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., reason_code: _Optional[str] = ...) -> None: ...
