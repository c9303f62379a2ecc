# Made by generate.py from proto/tactful/v1; do not edit.
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChangeType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_TYPE_UNSPECIFIED: _ClassVar[ChangeType]
    CHANGE_TYPE_ADDED: _ClassVar[ChangeType]
    CHANGE_TYPE_REMOVED: _ClassVar[ChangeType]
    CHANGE_TYPE_CHANGED: _ClassVar[ChangeType]
CHANGE_TYPE_UNSPECIFIED: ChangeType
CHANGE_TYPE_ADDED: ChangeType
CHANGE_TYPE_REMOVED: ChangeType
CHANGE_TYPE_CHANGED: ChangeType

class ApplyRequest(_message.Message):
    __slots__ = ("files", "note", "dry_run")
    FILES_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[CatalogFile]
    note: str
    dry_run: bool
    def __init__(self, files: _Optional[_Iterable[_Union[CatalogFile, _Mapping]]] = ..., note: _Optional[str] = ..., dry_run: bool = ...) -> None: ...

class CatalogFile(_message.Message):
    __slots__ = ("name", "text")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    name: str
    text: str
    def __init__(self, name: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class ApplyResponse(_message.Message):
    __slots__ = ("catalog_version", "schema_changed", "changes", "changes_left_out", "ruleset_version", "applied")
    CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_CHANGED_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    CHANGES_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    RULESET_VERSION_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    catalog_version: str
    schema_changed: bool
    changes: _containers.RepeatedCompositeFieldContainer[CatalogChange]
    changes_left_out: int
    ruleset_version: str
    applied: bool
    def __init__(self, catalog_version: _Optional[str] = ..., schema_changed: bool = ..., changes: _Optional[_Iterable[_Union[CatalogChange, _Mapping]]] = ..., changes_left_out: _Optional[int] = ..., ruleset_version: _Optional[str] = ..., applied: bool = ...) -> None: ...

class CatalogChange(_message.Message):
    __slots__ = ("kind", "id", "type", "starts_empty")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STARTS_EMPTY_FIELD_NUMBER: _ClassVar[int]
    kind: str
    id: str
    type: ChangeType
    starts_empty: bool
    def __init__(self, kind: _Optional[str] = ..., id: _Optional[str] = ..., type: _Optional[_Union[ChangeType, str]] = ..., starts_empty: bool = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("files", "catalog_version", "ruleset_version", "schema_version", "note", "apply_time")
    FILES_FIELD_NUMBER: _ClassVar[int]
    CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
    RULESET_VERSION_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    APPLY_TIME_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[CatalogFile]
    catalog_version: str
    ruleset_version: str
    schema_version: str
    note: str
    apply_time: _timestamp_pb2.Timestamp
    def __init__(self, files: _Optional[_Iterable[_Union[CatalogFile, _Mapping]]] = ..., catalog_version: _Optional[str] = ..., ruleset_version: _Optional[str] = ..., schema_version: _Optional[str] = ..., note: _Optional[str] = ..., apply_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
