# Made by generate.py from proto/tactful/v1; do not edit.
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Explain(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPLAIN_UNSPECIFIED: _ClassVar[Explain]
    EXPLAIN_NONE: _ClassVar[Explain]
    EXPLAIN_REASONS: _ClassVar[Explain]
    EXPLAIN_FULL: _ClassVar[Explain]

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_LIVE: _ClassVar[Mode]
    MODE_TEST: _ClassVar[Mode]

class Basis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BASIS_UNSPECIFIED: _ClassVar[Basis]
    BASIS_PERSONAL: _ClassVar[Basis]
    BASIS_NON_PERSONAL: _ClassVar[Basis]

class PlacementReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLACEMENT_REASON_UNSPECIFIED: _ClassVar[PlacementReason]
    PLACEMENT_REASON_DECIDED: _ClassVar[PlacementReason]
    PLACEMENT_REASON_NO_ACTION: _ClassVar[PlacementReason]
    PLACEMENT_REASON_FALLBACK: _ClassVar[PlacementReason]

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_CANDIDATE: _ClassVar[Stage]
    STAGE_PURPOSE: _ClassVar[Stage]
    STAGE_VALIDITY: _ClassVar[Stage]
    STAGE_ELIGIBILITY: _ClassVar[Stage]
    STAGE_APPLICABILITY: _ClassVar[Stage]
    STAGE_SUITABILITY: _ClassVar[Stage]
    STAGE_SCORE: _ClassVar[Stage]
    STAGE_ARBITRATION: _ClassVar[Stage]
    STAGE_INTERRUPTION: _ClassVar[Stage]
    STAGE_SHOWN: _ClassVar[Stage]
EXPLAIN_UNSPECIFIED: Explain
EXPLAIN_NONE: Explain
EXPLAIN_REASONS: Explain
EXPLAIN_FULL: Explain
MODE_UNSPECIFIED: Mode
MODE_LIVE: Mode
MODE_TEST: Mode
BASIS_UNSPECIFIED: Basis
BASIS_PERSONAL: Basis
BASIS_NON_PERSONAL: Basis
PLACEMENT_REASON_UNSPECIFIED: PlacementReason
PLACEMENT_REASON_DECIDED: PlacementReason
PLACEMENT_REASON_NO_ACTION: PlacementReason
PLACEMENT_REASON_FALLBACK: PlacementReason
STAGE_UNSPECIFIED: Stage
STAGE_CANDIDATE: Stage
STAGE_PURPOSE: Stage
STAGE_VALIDITY: Stage
STAGE_ELIGIBILITY: Stage
STAGE_APPLICABILITY: Stage
STAGE_SUITABILITY: Stage
STAGE_SCORE: Stage
STAGE_ARBITRATION: Stage
STAGE_INTERRUPTION: Stage
STAGE_SHOWN: Stage

class PlacementRequest(_message.Message):
    __slots__ = ("placement", "count")
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    placement: str
    count: int
    def __init__(self, placement: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class DecideRequest(_message.Message):
    __slots__ = ("subject_id", "placements", "context", "candidate_actions", "excluded_actions", "profile_overrides", "explain", "mode", "request_id", "matter_id", "min_position", "non_personal")
    class ContextEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _types_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ...) -> None: ...
    class ProfileOverridesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _types_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ...) -> None: ...
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_ACTIONS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_ACTIONS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MATTER_ID_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    NON_PERSONAL_FIELD_NUMBER: _ClassVar[int]
    subject_id: str
    placements: _containers.RepeatedCompositeFieldContainer[PlacementRequest]
    context: _containers.MessageMap[str, _types_pb2.Value]
    candidate_actions: _containers.RepeatedScalarFieldContainer[str]
    excluded_actions: _containers.RepeatedScalarFieldContainer[str]
    profile_overrides: _containers.MessageMap[str, _types_pb2.Value]
    explain: Explain
    mode: Mode
    request_id: str
    matter_id: str
    min_position: str
    non_personal: bool
    def __init__(self, subject_id: _Optional[str] = ..., placements: _Optional[_Iterable[_Union[PlacementRequest, _Mapping]]] = ..., context: _Optional[_Mapping[str, _types_pb2.Value]] = ..., candidate_actions: _Optional[_Iterable[str]] = ..., excluded_actions: _Optional[_Iterable[str]] = ..., profile_overrides: _Optional[_Mapping[str, _types_pb2.Value]] = ..., explain: _Optional[_Union[Explain, str]] = ..., mode: _Optional[_Union[Mode, str]] = ..., request_id: _Optional[str] = ..., matter_id: _Optional[str] = ..., min_position: _Optional[str] = ..., non_personal: bool = ...) -> None: ...

class DecideResponse(_message.Message):
    __slots__ = ("decision_id", "placements", "ruleset_version", "model_version", "feature_watermark", "degraded", "degraded_reasons", "server_time", "cold_start", "selection", "skipped", "candidates", "basis")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    RULESET_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    FEATURE_WATERMARK_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_REASONS_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    COLD_START_FIELD_NUMBER: _ClassVar[int]
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    placements: _containers.RepeatedCompositeFieldContainer[PlacementResult]
    ruleset_version: str
    model_version: str
    feature_watermark: _timestamp_pb2.Timestamp
    degraded: bool
    degraded_reasons: _containers.RepeatedScalarFieldContainer[str]
    server_time: _timestamp_pb2.Timestamp
    cold_start: bool
    selection: _types_pb2.Selection
    skipped: _containers.RepeatedCompositeFieldContainer[SkippedAction]
    candidates: _containers.RepeatedCompositeFieldContainer[CandidateTrace]
    basis: Basis
    def __init__(self, decision_id: _Optional[str] = ..., placements: _Optional[_Iterable[_Union[PlacementResult, _Mapping]]] = ..., ruleset_version: _Optional[str] = ..., model_version: _Optional[str] = ..., feature_watermark: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., degraded: bool = ..., degraded_reasons: _Optional[_Iterable[str]] = ..., server_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., cold_start: bool = ..., selection: _Optional[_Union[_types_pb2.Selection, str]] = ..., skipped: _Optional[_Iterable[_Union[SkippedAction, _Mapping]]] = ..., candidates: _Optional[_Iterable[_Union[CandidateTrace, _Mapping]]] = ..., basis: _Optional[_Union[Basis, str]] = ...) -> None: ...

class PlacementResult(_message.Message):
    __slots__ = ("placement", "actions", "reason", "fallback_content", "interruption_cost")
    class FallbackContentEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_CONTENT_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTION_COST_FIELD_NUMBER: _ClassVar[int]
    placement: str
    actions: _containers.RepeatedCompositeFieldContainer[ShownAction]
    reason: PlacementReason
    fallback_content: _containers.ScalarMap[str, str]
    interruption_cost: float
    def __init__(self, placement: _Optional[str] = ..., actions: _Optional[_Iterable[_Union[ShownAction, _Mapping]]] = ..., reason: _Optional[_Union[PlacementReason, str]] = ..., fallback_content: _Optional[_Mapping[str, str]] = ..., interruption_cost: _Optional[float] = ...) -> None: ...

class ShownAction(_message.Message):
    __slots__ = ("action_id", "content", "slot", "priority", "factors", "score_source", "selection_probability", "reasons", "outcome_token", "significant_effect", "kind")
    class ContentEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ACTION_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    FACTORS_FIELD_NUMBER: _ClassVar[int]
    SCORE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    SELECTION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SIGNIFICANT_EFFECT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    action_id: str
    content: _containers.ScalarMap[str, str]
    slot: int
    priority: float
    factors: _types_pb2.Factors
    score_source: _types_pb2.ScoreSource
    selection_probability: float
    reasons: _containers.RepeatedScalarFieldContainer[str]
    outcome_token: str
    significant_effect: bool
    kind: str
    def __init__(self, action_id: _Optional[str] = ..., content: _Optional[_Mapping[str, str]] = ..., slot: _Optional[int] = ..., priority: _Optional[float] = ..., factors: _Optional[_Union[_types_pb2.Factors, _Mapping]] = ..., score_source: _Optional[_Union[_types_pb2.ScoreSource, str]] = ..., selection_probability: _Optional[float] = ..., reasons: _Optional[_Iterable[str]] = ..., outcome_token: _Optional[str] = ..., significant_effect: bool = ..., kind: _Optional[str] = ...) -> None: ...

class SkippedAction(_message.Message):
    __slots__ = ("action_id", "reason")
    ACTION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    action_id: str
    reason: str
    def __init__(self, action_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CandidateTrace(_message.Message):
    __slots__ = ("action_id", "stage", "rule_id", "rule_version", "detail", "priority", "factors", "score_source", "contributions", "intercept")
    ACTION_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    RULE_VERSION_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    FACTORS_FIELD_NUMBER: _ClassVar[int]
    SCORE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    INTERCEPT_FIELD_NUMBER: _ClassVar[int]
    action_id: str
    stage: Stage
    rule_id: str
    rule_version: str
    detail: str
    priority: float
    factors: _types_pb2.Factors
    score_source: _types_pb2.ScoreSource
    contributions: _containers.RepeatedCompositeFieldContainer[Contribution]
    intercept: float
    def __init__(self, action_id: _Optional[str] = ..., stage: _Optional[_Union[Stage, str]] = ..., rule_id: _Optional[str] = ..., rule_version: _Optional[str] = ..., detail: _Optional[str] = ..., priority: _Optional[float] = ..., factors: _Optional[_Union[_types_pb2.Factors, _Mapping]] = ..., score_source: _Optional[_Union[_types_pb2.ScoreSource, str]] = ..., contributions: _Optional[_Iterable[_Union[Contribution, _Mapping]]] = ..., intercept: _Optional[float] = ...) -> None: ...

class Contribution(_message.Message):
    __slots__ = ("feature", "logit", "value")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    LOGIT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    feature: str
    logit: float
    value: _types_pb2.Value
    def __init__(self, feature: _Optional[str] = ..., logit: _Optional[float] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ...) -> None: ...

class BatchDecideRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[DecideRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[DecideRequest, _Mapping]]] = ...) -> None: ...

class BatchDecideResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BatchDecideResult]
    def __init__(self, results: _Optional[_Iterable[_Union[BatchDecideResult, _Mapping]]] = ...) -> None: ...

class BatchDecideResult(_message.Message):
    __slots__ = ("response", "error")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    response: DecideResponse
    error: ItemError
    def __init__(self, response: _Optional[_Union[DecideResponse, _Mapping]] = ..., error: _Optional[_Union[ItemError, _Mapping]] = ...) -> None: ...

class ItemError(_message.Message):
    __slots__ = ("index", "reason", "field", "message")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    index: int
    reason: str
    field: str
    message: str
    def __init__(self, index: _Optional[int] = ..., reason: _Optional[str] = ..., field: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class OutcomeReport(_message.Message):
    __slots__ = ("subject_id", "outcome_token", "external_decision_id", "type", "value", "occur_time", "reason_code", "message_id")
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    OCCUR_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    subject_id: str
    outcome_token: str
    external_decision_id: str
    type: _types_pb2.OutcomeType
    value: float
    occur_time: _timestamp_pb2.Timestamp
    reason_code: str
    message_id: str
    def __init__(self, subject_id: _Optional[str] = ..., outcome_token: _Optional[str] = ..., external_decision_id: _Optional[str] = ..., type: _Optional[_Union[_types_pb2.OutcomeType, str]] = ..., value: _Optional[float] = ..., occur_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., reason_code: _Optional[str] = ..., message_id: _Optional[str] = ...) -> None: ...

class RecordOutcomesRequest(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[OutcomeReport]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[OutcomeReport, _Mapping]]] = ...) -> None: ...

class RecordOutcomesResponse(_message.Message):
    __slots__ = ("accepted", "errors", "position")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    errors: _containers.RepeatedCompositeFieldContainer[ItemError]
    position: str
    def __init__(self, accepted: _Optional[int] = ..., errors: _Optional[_Iterable[_Union[ItemError, _Mapping]]] = ..., position: _Optional[str] = ...) -> None: ...

class ExportDecisionsRequest(_message.Message):
    __slots__ = ("start_time", "end_time")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExportDecisionsResponse(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[DecisionRow]
    def __init__(self, rows: _Optional[_Iterable[_Union[DecisionRow, _Mapping]]] = ...) -> None: ...

class DecisionRow(_message.Message):
    __slots__ = ("decision_id", "decision_time", "subject_id", "placement", "channel", "slot", "action_id", "selection_probability", "acceptance_probability", "priority", "features", "selection", "ruleset_version", "model_version", "external", "outcomes", "group", "shadow_model_version", "shadow_acceptance_probability", "shadow_action_id")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _types_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ...) -> None: ...
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_TIME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    ACTION_ID_FIELD_NUMBER: _ClassVar[int]
    SELECTION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    ACCEPTANCE_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    RULESET_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    SHADOW_MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SHADOW_ACCEPTANCE_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    SHADOW_ACTION_ID_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    decision_time: _timestamp_pb2.Timestamp
    subject_id: str
    placement: str
    channel: str
    slot: int
    action_id: str
    selection_probability: float
    acceptance_probability: float
    priority: float
    features: _containers.MessageMap[str, _types_pb2.Value]
    selection: _types_pb2.Selection
    ruleset_version: str
    model_version: str
    external: bool
    outcomes: _containers.RepeatedCompositeFieldContainer[_types_pb2.Outcome]
    group: str
    shadow_model_version: str
    shadow_acceptance_probability: float
    shadow_action_id: str
    def __init__(self, decision_id: _Optional[str] = ..., decision_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., subject_id: _Optional[str] = ..., placement: _Optional[str] = ..., channel: _Optional[str] = ..., slot: _Optional[int] = ..., action_id: _Optional[str] = ..., selection_probability: _Optional[float] = ..., acceptance_probability: _Optional[float] = ..., priority: _Optional[float] = ..., features: _Optional[_Mapping[str, _types_pb2.Value]] = ..., selection: _Optional[_Union[_types_pb2.Selection, str]] = ..., ruleset_version: _Optional[str] = ..., model_version: _Optional[str] = ..., external: bool = ..., outcomes: _Optional[_Iterable[_Union[_types_pb2.Outcome, _Mapping]]] = ..., group: _Optional[str] = ..., shadow_model_version: _Optional[str] = ..., shadow_acceptance_probability: _Optional[float] = ..., shadow_action_id: _Optional[str] = ...) -> None: ...
