# Made by generate.py from proto/tactful/v1; do not edit.
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import decision_service_pb2 as _decision_service_pb2
from . import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FactState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FACT_STATE_UNSPECIFIED: _ClassVar[FactState]
    FACT_STATE_PRESENT: _ClassVar[FactState]
    FACT_STATE_EXPIRED: _ClassVar[FactState]
    FACT_STATE_DENIED: _ClassVar[FactState]

class ConsentState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONSENT_STATE_UNSPECIFIED: _ClassVar[ConsentState]
    CONSENT_STATE_DEFAULT: _ClassVar[ConsentState]
    CONSENT_STATE_RECORDED: _ClassVar[ConsentState]
    CONSENT_STATE_FORGOTTEN: _ClassVar[ConsentState]

class FeatureState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEATURE_STATE_UNSPECIFIED: _ClassVar[FeatureState]
    FEATURE_STATE_PRESENT: _ClassVar[FeatureState]
    FEATURE_STATE_MISSING: _ClassVar[FeatureState]
    FEATURE_STATE_STALE: _ClassVar[FeatureState]
    FEATURE_STATE_DENIED: _ClassVar[FeatureState]

class MatterState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MATTER_STATE_UNSPECIFIED: _ClassVar[MatterState]
    MATTER_STATE_OPEN: _ClassVar[MatterState]
    MATTER_STATE_WAITING_ON_COMPANY: _ClassVar[MatterState]
    MATTER_STATE_WAITING_ON_CUSTOMER: _ClassVar[MatterState]
    MATTER_STATE_HANDED_OFF: _ClassVar[MatterState]
    MATTER_STATE_RESOLVED: _ClassVar[MatterState]
    MATTER_STATE_REOPENED: _ClassVar[MatterState]
    MATTER_STATE_CONFIRMED: _ClassVar[MatterState]
FACT_STATE_UNSPECIFIED: FactState
FACT_STATE_PRESENT: FactState
FACT_STATE_EXPIRED: FactState
FACT_STATE_DENIED: FactState
CONSENT_STATE_UNSPECIFIED: ConsentState
CONSENT_STATE_DEFAULT: ConsentState
CONSENT_STATE_RECORDED: ConsentState
CONSENT_STATE_FORGOTTEN: ConsentState
FEATURE_STATE_UNSPECIFIED: FeatureState
FEATURE_STATE_PRESENT: FeatureState
FEATURE_STATE_MISSING: FeatureState
FEATURE_STATE_STALE: FeatureState
FEATURE_STATE_DENIED: FeatureState
MATTER_STATE_UNSPECIFIED: MatterState
MATTER_STATE_OPEN: MatterState
MATTER_STATE_WAITING_ON_COMPANY: MatterState
MATTER_STATE_WAITING_ON_CUSTOMER: MatterState
MATTER_STATE_HANDED_OFF: MatterState
MATTER_STATE_RESOLVED: MatterState
MATTER_STATE_REOPENED: MatterState
MATTER_STATE_CONFIRMED: MatterState

class LinkRequest(_message.Message):
    __slots__ = ("message_id", "subject_id", "other_subject_id", "event_time", "source")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    OTHER_SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    subject_id: str
    other_subject_id: str
    event_time: _timestamp_pb2.Timestamp
    source: str
    def __init__(self, message_id: _Optional[str] = ..., subject_id: _Optional[str] = ..., other_subject_id: _Optional[str] = ..., event_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[str] = ...) -> None: ...

class LinkResponse(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: str
    def __init__(self, position: _Optional[str] = ...) -> None: ...

class UnlinkRequest(_message.Message):
    __slots__ = ("message_id", "subject_id", "other_subject_id", "event_time", "source")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    OTHER_SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    subject_id: str
    other_subject_id: str
    event_time: _timestamp_pb2.Timestamp
    source: str
    def __init__(self, message_id: _Optional[str] = ..., subject_id: _Optional[str] = ..., other_subject_id: _Optional[str] = ..., event_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[str] = ...) -> None: ...

class UnlinkResponse(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: str
    def __init__(self, position: _Optional[str] = ...) -> None: ...

class SetConsentRequest(_message.Message):
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

class SetConsentResponse(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: str
    def __init__(self, position: _Optional[str] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("subject_id",)
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    subject_id: str
    def __init__(self, subject_id: _Optional[str] = ...) -> None: ...

class ExportResponse(_message.Message):
    __slots__ = ("context", "decision", "record")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    context: GetContextResponse
    decision: _decision_service_pb2.DecisionRow
    record: HeldRecord
    def __init__(self, context: _Optional[_Union[GetContextResponse, _Mapping]] = ..., decision: _Optional[_Union[_decision_service_pb2.DecisionRow, _Mapping]] = ..., record: _Optional[_Union[HeldRecord, _Mapping]] = ...) -> None: ...

class HeldRecord(_message.Message):
    __slots__ = ("partition", "offset", "subject_id", "kind", "name", "time", "channel", "source", "matter_id", "properties")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _types_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ...) -> None: ...
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MATTER_ID_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    partition: int
    offset: int
    subject_id: str
    kind: str
    name: str
    time: _timestamp_pb2.Timestamp
    channel: str
    source: str
    matter_id: str
    properties: _containers.MessageMap[str, _types_pb2.Value]
    def __init__(self, partition: _Optional[int] = ..., offset: _Optional[int] = ..., subject_id: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., channel: _Optional[str] = ..., source: _Optional[str] = ..., matter_id: _Optional[str] = ..., properties: _Optional[_Mapping[str, _types_pb2.Value]] = ...) -> None: ...

class EraseRequest(_message.Message):
    __slots__ = ("subject_id",)
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    subject_id: str
    def __init__(self, subject_id: _Optional[str] = ...) -> None: ...

class EraseResponse(_message.Message):
    __slots__ = ("erasure",)
    ERASURE_FIELD_NUMBER: _ClassVar[int]
    erasure: Erasure
    def __init__(self, erasure: _Optional[_Union[Erasure, _Mapping]] = ...) -> None: ...

class GetErasureRequest(_message.Message):
    __slots__ = ("erasure_id",)
    ERASURE_ID_FIELD_NUMBER: _ClassVar[int]
    erasure_id: str
    def __init__(self, erasure_id: _Optional[str] = ...) -> None: ...

class GetErasureResponse(_message.Message):
    __slots__ = ("erasure",)
    ERASURE_FIELD_NUMBER: _ClassVar[int]
    erasure: Erasure
    def __init__(self, erasure: _Optional[_Union[Erasure, _Mapping]] = ...) -> None: ...

class Erasure(_message.Message):
    __slots__ = ("erasure_id", "erased_time", "unreadable_time", "gone_time", "stores")
    ERASURE_ID_FIELD_NUMBER: _ClassVar[int]
    ERASED_TIME_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_TIME_FIELD_NUMBER: _ClassVar[int]
    GONE_TIME_FIELD_NUMBER: _ClassVar[int]
    STORES_FIELD_NUMBER: _ClassVar[int]
    erasure_id: str
    erased_time: _timestamp_pb2.Timestamp
    unreadable_time: _timestamp_pb2.Timestamp
    gone_time: _timestamp_pb2.Timestamp
    stores: _containers.RepeatedCompositeFieldContainer[ErasedFrom]
    def __init__(self, erasure_id: _Optional[str] = ..., erased_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., unreadable_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., gone_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., stores: _Optional[_Iterable[_Union[ErasedFrom, _Mapping]]] = ...) -> None: ...

class ErasedFrom(_message.Message):
    __slots__ = ("store", "removed", "detail")
    STORE_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    store: str
    removed: int
    detail: str
    def __init__(self, store: _Optional[str] = ..., removed: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class VerifyErasedRequest(_message.Message):
    __slots__ = ("subject_id",)
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    subject_id: str
    def __init__(self, subject_id: _Optional[str] = ...) -> None: ...

class VerifyErasedResponse(_message.Message):
    __slots__ = ("remnants", "stores")
    REMNANTS_FIELD_NUMBER: _ClassVar[int]
    STORES_FIELD_NUMBER: _ClassVar[int]
    remnants: _containers.RepeatedCompositeFieldContainer[Remnant]
    stores: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, remnants: _Optional[_Iterable[_Union[Remnant, _Mapping]]] = ..., stores: _Optional[_Iterable[str]] = ...) -> None: ...

class Remnant(_message.Message):
    __slots__ = ("store", "count")
    STORE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    store: str
    count: int
    def __init__(self, store: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class GetContextRequest(_message.Message):
    __slots__ = ("subject_id",)
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    subject_id: str
    def __init__(self, subject_id: _Optional[str] = ...) -> None: ...

class GetContextResponse(_message.Message):
    __slots__ = ("subject_id", "known", "features", "timeline", "open_matters", "feature_watermark", "server_time", "confirmed_matters", "subject_ids", "subject_ids_truncated", "consents", "facts")
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    OPEN_MATTERS_FIELD_NUMBER: _ClassVar[int]
    FEATURE_WATERMARK_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_MATTERS_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_IDS_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_IDS_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    subject_id: str
    known: bool
    features: _containers.RepeatedCompositeFieldContainer[FeatureReading]
    timeline: _containers.RepeatedCompositeFieldContainer[Interaction]
    open_matters: _containers.RepeatedCompositeFieldContainer[Matter]
    feature_watermark: _timestamp_pb2.Timestamp
    server_time: _timestamp_pb2.Timestamp
    confirmed_matters: _containers.RepeatedCompositeFieldContainer[Matter]
    subject_ids: _containers.RepeatedScalarFieldContainer[str]
    subject_ids_truncated: bool
    consents: _containers.RepeatedCompositeFieldContainer[ConsentReading]
    facts: _containers.RepeatedCompositeFieldContainer[FactReading]
    def __init__(self, subject_id: _Optional[str] = ..., known: bool = ..., features: _Optional[_Iterable[_Union[FeatureReading, _Mapping]]] = ..., timeline: _Optional[_Iterable[_Union[Interaction, _Mapping]]] = ..., open_matters: _Optional[_Iterable[_Union[Matter, _Mapping]]] = ..., feature_watermark: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., server_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., confirmed_matters: _Optional[_Iterable[_Union[Matter, _Mapping]]] = ..., subject_ids: _Optional[_Iterable[str]] = ..., subject_ids_truncated: bool = ..., consents: _Optional[_Iterable[_Union[ConsentReading, _Mapping]]] = ..., facts: _Optional[_Iterable[_Union[FactReading, _Mapping]]] = ...) -> None: ...

class FactReading(_message.Message):
    __slots__ = ("key", "value", "state", "channel", "source", "purpose", "told_time", "expire_time", "declared")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    TOLD_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: _types_pb2.Value
    state: FactState
    channel: str
    source: str
    purpose: str
    told_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    declared: bool
    def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ..., state: _Optional[_Union[FactState, str]] = ..., channel: _Optional[str] = ..., source: _Optional[str] = ..., purpose: _Optional[str] = ..., told_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., declared: bool = ...) -> None: ...

class ConsentReading(_message.Message):
    __slots__ = ("purpose", "allowed", "state", "source", "text_version", "event_time")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_VERSION_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    purpose: str
    allowed: bool
    state: ConsentState
    source: str
    text_version: str
    event_time: _timestamp_pb2.Timestamp
    def __init__(self, purpose: _Optional[str] = ..., allowed: bool = ..., state: _Optional[_Union[ConsentState, str]] = ..., source: _Optional[str] = ..., text_version: _Optional[str] = ..., event_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class FeatureReading(_message.Message):
    __slots__ = ("name", "value", "state", "evidence_time", "derivation", "purpose")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_TIME_FIELD_NUMBER: _ClassVar[int]
    DERIVATION_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: _types_pb2.Value
    state: FeatureState
    evidence_time: _timestamp_pb2.Timestamp
    derivation: str
    purpose: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ..., state: _Optional[_Union[FeatureState, str]] = ..., evidence_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., derivation: _Optional[str] = ..., purpose: _Optional[str] = ...) -> None: ...

class Interaction(_message.Message):
    __slots__ = ("time", "kind", "name", "channel", "matter_id", "action_id")
    TIME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    MATTER_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_ID_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    kind: str
    name: str
    channel: str
    matter_id: str
    action_id: str
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., channel: _Optional[str] = ..., matter_id: _Optional[str] = ..., action_id: _Optional[str] = ...) -> None: ...

class Matter(_message.Message):
    __slots__ = ("matter_id", "type", "state", "opened_time", "updated_time", "reopenings", "channel", "sessions")
    MATTER_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    OPENED_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATED_TIME_FIELD_NUMBER: _ClassVar[int]
    REOPENINGS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    matter_id: str
    type: str
    state: MatterState
    opened_time: _timestamp_pb2.Timestamp
    updated_time: _timestamp_pb2.Timestamp
    reopenings: int
    channel: str
    sessions: int
    def __init__(self, matter_id: _Optional[str] = ..., type: _Optional[str] = ..., state: _Optional[_Union[MatterState, str]] = ..., opened_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., updated_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., reopenings: _Optional[int] = ..., channel: _Optional[str] = ..., sessions: _Optional[int] = ...) -> None: ...
