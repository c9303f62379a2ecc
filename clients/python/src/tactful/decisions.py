"""A decision as a notebook wants it: what to show first, the rest, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any

from ._proto import decision_service_pb2, types_pb2
from .values import Scalar, moment, plain


@dataclass(frozen=True)
class Action:
    """One action to show. Give the object itself to `client.outcomes` when it was answered."""

    action_id: str
    placement: str
    slot: int
    kind: str
    content: dict[str, str]
    priority: float
    acceptance_probability: float
    value: float
    context_weight: float
    lever: float
    score_source: str
    """Which head gave the acceptance probability: action, group, global or prior."""
    selection_probability: float
    """Chance with which the policy chose this action for this slot."""
    reasons: list[str]
    outcome_token: str = field(repr=False)
    subject_id: str
    significant_effect: bool
    """True: only to be recommended to a human, never carried out by itself."""

    @property
    def title(self) -> str:
        """The shortest words of its content."""
        return next((self.content[key] for key in ("title", "subject", "say", "body") if key in self.content), "")


@dataclass(frozen=True)
class Contribution:
    """What one input added to a logit."""

    feature: str
    logit: float
    value: Scalar


@dataclass(frozen=True)
class Candidate:
    """Where a candidate left the decision, and why."""

    action_id: str
    stage: str
    detail: str
    rule_id: str
    priority: float
    acceptance_probability: float
    intercept: float
    contributions: list[Contribution]


@dataclass(frozen=True)
class Placement:
    """What to show in one placement; no actions means: say nothing, or show the fallback."""

    placement: str
    actions: list[Action]
    reason: str
    """decided, no_action or fallback."""
    fallback: dict[str, str]
    interruption_cost: float


@dataclass(frozen=True)
class Decision:
    """The answer for one customer."""

    subject_id: str
    decision_id: str
    """Empty for a what-if."""
    placements: list[Placement]
    model_version: str
    """16 hex digits of the acceptance model; empty if none is in use."""
    ruleset_version: str
    server_time: datetime
    cold_start: bool
    degraded_reasons: list[str]
    """Upper-case codes of what was missing that should have been there; usually none."""
    candidates: list[Candidate]
    """Why the others lost; by `explain`."""
    skipped: dict[str, str]
    """Actions that could not be scored, with the reason."""

    @property
    def actions(self) -> list[Action]:
        """All actions of all placements, in order."""
        return [action for placement in self.placements for action in placement.actions]

    @property
    def top(self) -> Action | None:
        """The first action of the first placement; none if saying nothing is best."""
        return next(iter(self.placements[0].actions), None) if self.placements else None

    @property
    def degraded(self) -> bool:
        """True if something was missing that should have been there."""
        return bool(self.degraded_reasons)

    def __iter__(self) -> Iterator[Action]:
        return iter(self.actions)

    def __len__(self) -> int:
        return len(self.actions)

    def _repr_html_(self) -> str:
        head = f"{escape(self.subject_id)} &middot; decision <code>{escape(self.decision_id or 'what-if')}</code>"
        names = ("placement", "#", "action", "says", "P", "V", "C", "L", "priority", "chosen with", "why")
        header = "".join(f"<th>{name}</th>" for name in names)
        rows = "".join(_html_row(action) for action in self.actions)
        silent = "".join(
            f"<tr><td>{escape(place.placement)}</td><td colspan={len(names) - 1}><i>{escape(place.reason)}</i></td></tr>"
            for place in self.placements
            if not place.actions
        )
        model = escape(self.model_version or "none")
        return (
            f"<div>{head}<br>model <code>{model}</code>, ruleset <code>{escape(self.ruleset_version)}</code></div>"
            f"<table><thead><tr>{header}</tr></thead><tbody>{rows}{silent}</tbody></table>"
        )


def _html_row(action: Action) -> str:
    cells = (
        action.placement,
        str(action.slot),
        action.action_id,
        action.title,
        f"{action.acceptance_probability:.3f}",
        f"{action.value:.2f}",
        f"{action.context_weight:.2f}",
        f"{action.lever:.2f}",
        f"{action.priority:.3f}",
        f"{action.selection_probability:.3f}",
        "; ".join(action.reasons),
    )
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def decision(subject_id: str, reply: decision_service_pb2.DecideResponse) -> Decision:
    """The answer as a decision."""
    return Decision(
        subject_id=subject_id,
        decision_id=reply.decision_id,
        placements=[_placement(subject_id, result) for result in reply.placements],
        model_version=reply.model_version,
        ruleset_version=reply.ruleset_version,
        server_time=moment(reply.server_time),
        cold_start=reply.cold_start,
        degraded_reasons=list(reply.degraded_reasons),
        candidates=[_candidate(trace) for trace in reply.candidates],
        skipped={skipped.action_id: skipped.reason for skipped in reply.skipped},
    )


def _placement(subject_id: str, result: decision_service_pb2.PlacementResult) -> Placement:
    return Placement(
        placement=result.placement,
        actions=[_action(subject_id, result.placement, shown) for shown in result.actions],
        reason=_word(decision_service_pb2.PlacementReason, result.reason, "PLACEMENT_REASON_"),
        fallback=dict(result.fallback_content),
        interruption_cost=result.interruption_cost,
    )


def _action(subject_id: str, placement: str, shown: decision_service_pb2.ShownAction) -> Action:
    return Action(
        action_id=shown.action_id,
        placement=placement,
        slot=shown.slot,
        kind=shown.kind,
        content=dict(shown.content),
        priority=shown.priority,
        acceptance_probability=shown.factors.acceptance_probability,
        value=shown.factors.value,
        context_weight=shown.factors.context_weight,
        lever=shown.factors.lever,
        score_source=_word(types_pb2.ScoreSource, shown.score_source, "SCORE_SOURCE_"),
        selection_probability=shown.selection_probability,
        reasons=list(shown.reasons),
        outcome_token=shown.outcome_token,
        subject_id=subject_id,
        significant_effect=shown.significant_effect,
    )


def _candidate(trace: decision_service_pb2.CandidateTrace) -> Candidate:
    return Candidate(
        action_id=trace.action_id,
        stage=_word(decision_service_pb2.Stage, trace.stage, "STAGE_"),
        detail=trace.detail,
        rule_id=trace.rule_id,
        priority=trace.priority,
        acceptance_probability=trace.factors.acceptance_probability,
        intercept=trace.intercept,
        contributions=[Contribution(part.feature, part.logit, plain(part.value)) for part in trace.contributions],
    )


def _word(enum: Any, number: int, prefix: str) -> str:
    """The name of an enum's value, as people write it; a newer server's value is its number."""
    try:
        return str(enum.Name(number)).removeprefix(prefix).lower()
    except ValueError:
        return str(number)
