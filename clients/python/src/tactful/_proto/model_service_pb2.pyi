# Made by generate.py from proto/tactful/v1; do not edit.
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelAlias(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_ALIAS_UNSPECIFIED: _ClassVar[ModelAlias]
    MODEL_ALIAS_CHAMPION: _ClassVar[ModelAlias]
    MODEL_ALIAS_CHALLENGER: _ClassVar[ModelAlias]
    MODEL_ALIAS_SHADOW: _ClassVar[ModelAlias]

class MoveCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MOVE_CAUSE_UNSPECIFIED: _ClassVar[MoveCause]
    MOVE_CAUSE_CALLER: _ClassVar[MoveCause]
    MOVE_CAUSE_GUARD_RAIL: _ClassVar[MoveCause]
    MOVE_CAUSE_LEARNER: _ClassVar[MoveCause]
MODEL_ALIAS_UNSPECIFIED: ModelAlias
MODEL_ALIAS_CHAMPION: ModelAlias
MODEL_ALIAS_CHALLENGER: ModelAlias
MODEL_ALIAS_SHADOW: ModelAlias
MOVE_CAUSE_UNSPECIFIED: MoveCause
MOVE_CAUSE_CALLER: MoveCause
MOVE_CAUSE_GUARD_RAIL: MoveCause
MOVE_CAUSE_LEARNER: MoveCause

class PushRequest(_message.Message):
    __slots__ = ("header", "chunk")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: PushHeader
    chunk: bytes
    def __init__(self, header: _Optional[_Union[PushHeader, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class PushHeader(_message.Message):
    __slots__ = ("sha256", "note", "dry_run", "foreign")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    FOREIGN_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    note: str
    dry_run: bool
    foreign: ForeignModel
    def __init__(self, sha256: _Optional[bytes] = ..., note: _Optional[str] = ..., dry_run: bool = ..., foreign: _Optional[_Union[ForeignModel, _Mapping]] = ...) -> None: ...

class ForeignModel(_message.Message):
    __slots__ = ("name", "format", "columns", "action_id", "group", "golden_rows")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ACTION_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_ROWS_FIELD_NUMBER: _ClassVar[int]
    name: str
    format: str
    columns: _containers.RepeatedScalarFieldContainer[str]
    action_id: str
    group: str
    golden_rows: _containers.RepeatedCompositeFieldContainer[ForeignRow]
    def __init__(self, name: _Optional[str] = ..., format: _Optional[str] = ..., columns: _Optional[_Iterable[str]] = ..., action_id: _Optional[str] = ..., group: _Optional[str] = ..., golden_rows: _Optional[_Iterable[_Union[ForeignRow, _Mapping]]] = ...) -> None: ...

class ForeignRow(_message.Message):
    __slots__ = ("values", "probability")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    probability: float
    def __init__(self, values: _Optional[_Iterable[float]] = ..., probability: _Optional[float] = ...) -> None: ...

class PushResponse(_message.Message):
    __slots__ = ("version", "known", "check")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    version: ModelVersion
    known: bool
    check: ModelCheck
    def __init__(self, version: _Optional[_Union[ModelVersion, _Mapping]] = ..., known: bool = ..., check: _Optional[_Union[ModelCheck, _Mapping]] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("name", "number", "id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    number: int
    id: str
    def __init__(self, name: _Optional[str] = ..., number: _Optional[int] = ..., id: _Optional[str] = ...) -> None: ...

class ModelCheck(_message.Message):
    __slots__ = ("golden_rows", "requests", "median_us", "p99_us")
    GOLDEN_ROWS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_US_FIELD_NUMBER: _ClassVar[int]
    P99_US_FIELD_NUMBER: _ClassVar[int]
    golden_rows: int
    requests: int
    median_us: float
    p99_us: float
    def __init__(self, golden_rows: _Optional[int] = ..., requests: _Optional[int] = ..., median_us: _Optional[float] = ..., p99_us: _Optional[float] = ...) -> None: ...

class ValidateRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ValidateResponse(_message.Message):
    __slots__ = ("version", "check")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    version: ModelVersion
    check: ModelCheck
    def __init__(self, version: _Optional[_Union[ModelVersion, _Mapping]] = ..., check: _Optional[_Union[ModelCheck, _Mapping]] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("models", "moves", "champion_before")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    CHAMPION_BEFORE_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelSummary]
    moves: _containers.RepeatedCompositeFieldContainer[AliasMove]
    champion_before: ModelVersion
    def __init__(self, models: _Optional[_Iterable[_Union[ModelSummary, _Mapping]]] = ..., moves: _Optional[_Iterable[_Union[AliasMove, _Mapping]]] = ..., champion_before: _Optional[_Union[ModelVersion, _Mapping]] = ...) -> None: ...

class ModelSummary(_message.Message):
    __slots__ = ("name", "versions", "versions_left_out")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    name: str
    versions: _containers.RepeatedCompositeFieldContainer[VersionSummary]
    versions_left_out: int
    def __init__(self, name: _Optional[str] = ..., versions: _Optional[_Iterable[_Union[VersionSummary, _Mapping]]] = ..., versions_left_out: _Optional[int] = ...) -> None: ...

class VersionSummary(_message.Message):
    __slots__ = ("version", "push_time", "bytes", "note", "aliases", "share")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PUSH_TIME_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    version: ModelVersion
    push_time: _timestamp_pb2.Timestamp
    bytes: int
    note: str
    aliases: _containers.RepeatedScalarFieldContainer[ModelAlias]
    share: float
    def __init__(self, version: _Optional[_Union[ModelVersion, _Mapping]] = ..., push_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., bytes: _Optional[int] = ..., note: _Optional[str] = ..., aliases: _Optional[_Iterable[_Union[ModelAlias, str]]] = ..., share: _Optional[float] = ...) -> None: ...

class AliasMove(_message.Message):
    __slots__ = ("move_time", "alias", "to", "share", "cause", "rollback", "note")
    MOVE_TIME_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    move_time: _timestamp_pb2.Timestamp
    alias: ModelAlias
    to: ModelVersion
    share: float
    cause: MoveCause
    rollback: bool
    note: str
    def __init__(self, move_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., alias: _Optional[_Union[ModelAlias, str]] = ..., to: _Optional[_Union[ModelVersion, _Mapping]] = ..., share: _Optional[float] = ..., cause: _Optional[_Union[MoveCause, str]] = ..., rollback: bool = ..., note: _Optional[str] = ...) -> None: ...

class ModelServiceGetRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ModelServiceGetResponse(_message.Message):
    __slots__ = ("summary", "kind", "inputs", "heads", "metrics", "lineage")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    HEADS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    summary: VersionSummary
    kind: str
    inputs: _containers.RepeatedCompositeFieldContainer[ModelInput]
    heads: _containers.RepeatedCompositeFieldContainer[ModelHead]
    metrics: _containers.ScalarMap[str, float]
    lineage: ModelLineage
    def __init__(self, summary: _Optional[_Union[VersionSummary, _Mapping]] = ..., kind: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[ModelInput, _Mapping]]] = ..., heads: _Optional[_Iterable[_Union[ModelHead, _Mapping]]] = ..., metrics: _Optional[_Mapping[str, float]] = ..., lineage: _Optional[_Union[ModelLineage, _Mapping]] = ...) -> None: ...

class ModelInput(_message.Message):
    __slots__ = ("name", "kind")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class ModelHead(_message.Message):
    __slots__ = ("scope", "id", "rows", "positives")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    POSITIVES_FIELD_NUMBER: _ClassVar[int]
    scope: str
    id: str
    rows: int
    positives: int
    def __init__(self, scope: _Optional[str] = ..., id: _Optional[str] = ..., rows: _Optional[int] = ..., positives: _Optional[int] = ...) -> None: ...

class ModelLineage(_message.Message):
    __slots__ = ("recipe_sha256", "first_decision_time", "last_decision_time", "train_rows", "test_rows", "code_version")
    RECIPE_SHA256_FIELD_NUMBER: _ClassVar[int]
    FIRST_DECISION_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_DECISION_TIME_FIELD_NUMBER: _ClassVar[int]
    TRAIN_ROWS_FIELD_NUMBER: _ClassVar[int]
    TEST_ROWS_FIELD_NUMBER: _ClassVar[int]
    CODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    recipe_sha256: str
    first_decision_time: _timestamp_pb2.Timestamp
    last_decision_time: _timestamp_pb2.Timestamp
    train_rows: int
    test_rows: int
    code_version: str
    def __init__(self, recipe_sha256: _Optional[str] = ..., first_decision_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., last_decision_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., train_rows: _Optional[int] = ..., test_rows: _Optional[int] = ..., code_version: _Optional[str] = ...) -> None: ...

class SetAliasRequest(_message.Message):
    __slots__ = ("alias", "name", "version", "share", "note")
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    alias: ModelAlias
    name: str
    version: str
    share: float
    note: str
    def __init__(self, alias: _Optional[_Union[ModelAlias, str]] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., share: _Optional[float] = ..., note: _Optional[str] = ...) -> None: ...

class SetAliasResponse(_message.Message):
    __slots__ = ("version", "ruleset_version")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RULESET_VERSION_FIELD_NUMBER: _ClassVar[int]
    version: ModelVersion
    ruleset_version: str
    def __init__(self, version: _Optional[_Union[ModelVersion, _Mapping]] = ..., ruleset_version: _Optional[str] = ...) -> None: ...

class SetTrafficRequest(_message.Message):
    __slots__ = ("share", "note")
    SHARE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    share: float
    note: str
    def __init__(self, share: _Optional[float] = ..., note: _Optional[str] = ...) -> None: ...

class SetTrafficResponse(_message.Message):
    __slots__ = ("version", "ruleset_version")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RULESET_VERSION_FIELD_NUMBER: _ClassVar[int]
    version: ModelVersion
    ruleset_version: str
    def __init__(self, version: _Optional[_Union[ModelVersion, _Mapping]] = ..., ruleset_version: _Optional[str] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("note",)
    NOTE_FIELD_NUMBER: _ClassVar[int]
    note: str
    def __init__(self, note: _Optional[str] = ...) -> None: ...

class RollbackResponse(_message.Message):
    __slots__ = ("version", "ruleset_version")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RULESET_VERSION_FIELD_NUMBER: _ClassVar[int]
    version: ModelVersion
    ruleset_version: str
    def __init__(self, version: _Optional[_Union[ModelVersion, _Mapping]] = ..., ruleset_version: _Optional[str] = ...) -> None: ...

class CompareRequest(_message.Message):
    __slots__ = ("name", "first", "second", "start_time", "end_time", "window")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    name: str
    first: str
    second: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    window: _duration_pb2.Duration
    def __init__(self, name: _Optional[str] = ..., first: _Optional[str] = ..., second: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., window: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CompareResponse(_message.Message):
    __slots__ = ("first", "second", "decisions", "one_in", "left_out", "agreement", "mean_difference", "first_quality", "second_quality", "first_value", "second_value")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    ONE_IN_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    MEAN_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    FIRST_QUALITY_FIELD_NUMBER: _ClassVar[int]
    SECOND_QUALITY_FIELD_NUMBER: _ClassVar[int]
    FIRST_VALUE_FIELD_NUMBER: _ClassVar[int]
    SECOND_VALUE_FIELD_NUMBER: _ClassVar[int]
    first: ModelVersion
    second: ModelVersion
    decisions: int
    one_in: int
    left_out: int
    agreement: float
    mean_difference: float
    first_quality: ModelQuality
    second_quality: ModelQuality
    first_value: ModelValue
    second_value: ModelValue
    def __init__(self, first: _Optional[_Union[ModelVersion, _Mapping]] = ..., second: _Optional[_Union[ModelVersion, _Mapping]] = ..., decisions: _Optional[int] = ..., one_in: _Optional[int] = ..., left_out: _Optional[int] = ..., agreement: _Optional[float] = ..., mean_difference: _Optional[float] = ..., first_quality: _Optional[_Union[ModelQuality, _Mapping]] = ..., second_quality: _Optional[_Union[ModelQuality, _Mapping]] = ..., first_value: _Optional[_Union[ModelValue, _Mapping]] = ..., second_value: _Optional[_Union[ModelValue, _Mapping]] = ...) -> None: ...

class ModelQuality(_message.Message):
    __slots__ = ("answers", "positives", "auc", "log_loss", "log_loss_baseline", "brier", "calibration_error", "mean_predicted")
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    POSITIVES_FIELD_NUMBER: _ClassVar[int]
    AUC_FIELD_NUMBER: _ClassVar[int]
    LOG_LOSS_FIELD_NUMBER: _ClassVar[int]
    LOG_LOSS_BASELINE_FIELD_NUMBER: _ClassVar[int]
    BRIER_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    MEAN_PREDICTED_FIELD_NUMBER: _ClassVar[int]
    answers: int
    positives: int
    auc: float
    log_loss: float
    log_loss_baseline: float
    brier: float
    calibration_error: float
    mean_predicted: float
    def __init__(self, answers: _Optional[int] = ..., positives: _Optional[int] = ..., auc: _Optional[float] = ..., log_loss: _Optional[float] = ..., log_loss_baseline: _Optional[float] = ..., brier: _Optional[float] = ..., calibration_error: _Optional[float] = ..., mean_predicted: _Optional[float] = ...) -> None: ...

class ModelValue(_message.Message):
    __slots__ = ("recorded", "ips", "snips", "difference", "effective_rows", "warnings")
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    IPS_FIELD_NUMBER: _ClassVar[int]
    SNIPS_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_ROWS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    recorded: ValueInterval
    ips: ValueInterval
    snips: ValueInterval
    difference: ValueInterval
    effective_rows: float
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, recorded: _Optional[_Union[ValueInterval, _Mapping]] = ..., ips: _Optional[_Union[ValueInterval, _Mapping]] = ..., snips: _Optional[_Union[ValueInterval, _Mapping]] = ..., difference: _Optional[_Union[ValueInterval, _Mapping]] = ..., effective_rows: _Optional[float] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class ValueInterval(_message.Message):
    __slots__ = ("value", "low", "high")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    value: float
    low: float
    high: float
    def __init__(self, value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...
