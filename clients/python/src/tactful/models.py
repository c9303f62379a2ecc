"""The registry of models: push, look, compare, and put into use or out of it.

`push` takes what a data scientist has: an estimator, a booster or a file. It converts it, lets the library itself
predict the golden rows, checks that Tactful scores the same, and only then uploads. The server checks all of it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any

from . import convert, parity
from ._proto import model_service_pb2 as pb
from ._rpc import Connection
from .errors import ModelRefused, invalid
from .values import Time, duration, moment, share, timestamp

_ALIASES = {
    "champion": pb.MODEL_ALIAS_CHAMPION,
    "challenger": pb.MODEL_ALIAS_CHALLENGER,
    "shadow": pb.MODEL_ALIAS_SHADOW,
}
_ALIAS_NAMES = {number: name for name, number in _ALIASES.items()}
_CAUSES = {
    pb.MOVE_CAUSE_CALLER: "caller",
    pb.MOVE_CAUSE_GUARD_RAIL: "guard_rail",
    pb.MOVE_CAUSE_LEARNER: "learner",
}
# Bytes of one message of a push, and how long pushing and comparing may take.
_CHUNK = 1 << 16
_LONG = 120.0
# A message of the server's may have 4 MiB; the header holds the golden rows.
_GOLDEN_BYTES_MAX = 3 << 20


@dataclass(frozen=True)
class Version:
    """A registered version; wherever a version is asked for, it can be given itself."""

    name: str
    number: int
    """From 1; 0 after a dry run."""
    id: str
    """What replies and records call it: 16 hex digits."""

    def __str__(self) -> str:
        return f"{self.name}@{self.number}"


@dataclass(frozen=True)
class Check:
    """How the server's checks went."""

    golden_rows: int
    requests: int
    """Recorded requests that it scored."""
    median_us: float
    """Microseconds to score all actions of the catalogue."""
    p99_us: float


@dataclass(frozen=True)
class Pushed:
    """What became of a model that was pushed."""

    version: Version
    known: bool
    """True if these bytes were registered before."""
    check: Check
    columns: list[str]
    """What the model's columns are, one spec each; empty for an artifact."""
    proved: str
    """Where the golden rows were reproduced before the upload: binary, server, or none for an artifact or no rows."""
    max_abs_diff: float | None
    """Greatest difference to the library over the golden rows; none if the binary did not measure it."""
    notes: list[str]
    """What is worth knowing, the most important first."""

    @property
    def name(self) -> str:
        return self.version.name

    @property
    def number(self) -> int:
        return self.version.number


@dataclass(frozen=True)
class VersionSummary:
    """A version as a list shows it."""

    version: Version
    push_time: datetime
    bytes: int
    note: str
    aliases: list[str]
    """champion, challenger, shadow; usually none."""
    share: float
    """Of the customers for whom it decides, 0 to 1."""


@dataclass(frozen=True)
class Move:
    """A move of an alias."""

    time: datetime
    alias: str
    to: Version | None
    share: float
    cause: str
    """caller, guard_rail or learner."""
    rollback: bool
    note: str


@dataclass(frozen=True)
class Registry:
    """All models and the latest moves. Iterating gives the versions, the latest of each name first."""

    versions: list[VersionSummary]
    moves: list[Move]
    champion_before: Version | None
    """What a rollback would bring back."""
    versions_left_out: int

    def alias(self, name: str) -> VersionSummary | None:
        """What stands behind champion, challenger or shadow."""
        _known_alias(name)
        return next((version for version in self.versions if name in version.aliases), None)

    @property
    def champion(self) -> VersionSummary | None:
        return self.alias("champion")

    def __iter__(self) -> Iterator[VersionSummary]:
        return iter(self.versions)

    def __len__(self) -> int:
        return len(self.versions)

    def __str__(self) -> str:
        return "\n".join(
            f"{found.version!s:<24} {found.version.id}  {found.push_time:%Y-%m-%d %H:%M}  {found.bytes:>9} B  "
            f"{', '.join(found.aliases):<10} {f'{found.share:.0%}' if found.share else '':>4}  {found.note}".rstrip()
            for found in self.versions
        )

    def _repr_html_(self) -> str:
        names = ("version", "id", "pushed", "bytes", "is", "share", "note")
        header = "".join(f"<th>{name}</th>" for name in names)
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td>{escape(cell)}</td>"
                for cell in (
                    str(found.version),
                    found.version.id,
                    f"{found.push_time:%Y-%m-%d %H:%M}",
                    f"{found.bytes:,}",
                    ", ".join(found.aliases),
                    f"{found.share:.0%}" if found.share else "",
                    found.note,
                )
            )
            + "</tr>"
            for found in self.versions
        )
        return f"<table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"


@dataclass(frozen=True)
class Details:
    """What a version holds."""

    summary: VersionSummary
    kind: str
    """linear or forest."""
    inputs: dict[str, str]
    """Fields that it reads, each with its kind: number, bool or category."""
    heads: list[tuple[str, str, int, int]]
    """Scope (action, group or global), id, training rows, positive ones."""
    metrics: dict[str, float]
    train_rows: int
    test_rows: int


@dataclass(frozen=True)
class Quality:
    """How good predicted probabilities are on what was answered."""

    answers: int
    positives: int
    auc: float | None
    log_loss: float
    log_loss_baseline: float
    """The same for predicting the share of positive answers always."""
    brier: float
    calibration_error: float
    mean_predicted: float


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PolicyValue:
    """What a policy would be worth: successes per decision. None where nothing can be said."""

    recorded: Interval | None
    ips: Interval | None
    snips: Interval | None
    difference: Interval | None
    effective_rows: float
    warnings: list[str]


@dataclass(frozen=True)
class Comparison:
    """Two versions on the same recorded decisions."""

    first: Version
    second: Version
    decisions: int
    one_in: int
    left_out: int
    agreement: float
    """Share of the decisions in which both would show the same first."""
    mean_difference: float
    first_quality: Quality | None
    second_quality: Quality | None
    first_value: PolicyValue | None
    second_value: PolicyValue | None

    def __str__(self) -> str:
        lines = [
            f"{self.first} against {self.second} on {self.decisions} decisions (one in {self.one_in}): "
            f"the same first in {self.agreement:.1%}, probabilities {self.mean_difference:.4f} apart"
        ]
        for version, quality, value in (
            (self.first, self.first_quality, self.first_value),
            (self.second, self.second_quality, self.second_value),
        ):
            words = ["no answers yet"]
            if quality is not None:
                auc = "none" if quality.auc is None else f"{quality.auc:.3f}"
                words = [f"AUC {auc}, log loss {quality.log_loss:.4f} on {quality.answers} answers"]
            if value is not None and value.snips is not None:
                words.append(f"SNIPS {value.snips.value:.4f} [{value.snips.low:.4f}, {value.snips.high:.4f}]")
            lines.append(f"  {version}: {'; '.join(words)}")
        return "\n".join(lines)


Named = str | Version | Pushed
"""The name of a model, `NAME@VERSION`, or what `push` and `promote` returned."""

Which = str | int | Version | Pushed
"""A number, champion, challenger or shadow, an id, or what `push` and `promote` returned."""


class Models:
    """Push, compare and promote models; reached as `client.models`."""

    def __init__(self, connection: Connection, binary: str | None = None) -> None:
        self._connection = connection
        self._binary = binary

    def push(
        self,
        model: Any,
        *,
        name: str | None = None,
        features: Sequence[str] | None = None,
        golden: Any = None,
        note: str = "",
        as_: str | None = None,
        share: float | None = None,
        action: str = "",
        group: str = "",
        golden_rows: int = 256,
        dry_run: bool = False,
        timeout: float = _LONG,
    ) -> Pushed:
        """Converts a model, proves it on golden rows, and registers it as the next version of its name.

        `model`: an estimator or pipeline of scikit-learn, a Booster or classifier of LightGBM or XGBoost, or the path
        of a Tactful artifact (.model), LightGBM text (.txt), XGBoost JSON (.json) or ONNX file (.onnx).

        `features`: one spec for each column that the model reads: `customer.age` (a number), `customer.loyal:bool`,
        `customer.plan=large` (1 if the category is that word), `customer.income?` (1 if missing). For a pipeline they
        name the columns that go into it, and its encoders make the rest. None takes the names of `golden`'s columns.

        `golden`: 10 or more rows as the model takes them, best from validation, some with missing values; up to
        `golden_rows` of them are kept. The library predicts them, and a probability that differs by more than 1e-6
        refuses the model before anything is uploaded. A file other than an artifact needs (rows, probabilities).

        `as_` puts it into use at once as champion, challenger (for `share` of the customers) or shadow. `action` or
        `group` has it score that alone. `dry_run` only checks.
        """
        if as_ is not None:
            _known_alias(as_)
            if dry_run:
                raise invalid("as_", "goes without dry_run: what is only checked is put to no use")
        if share is not None and as_ != "challenger":
            raise invalid("share", "is the challenger's alone: give as_='challenger' with it")
        if action and group:
            raise invalid("action", "goes without group: a head scores one or the other")
        ready = convert.ready(model, name, features, golden, golden_rows)
        header = pb.PushHeader(sha256=hashlib.sha256(ready.data).digest(), note=note, dry_run=dry_run)
        proved, difference, notes = "none", None, list(ready.notes)
        if ready.format != convert.ARTIFACT:
            header.foreign.CopyFrom(_foreign(ready, action, group))
            if ready.rows is not None:
                proved, difference, more = self._prove(ready, header, timeout)
                notes = [*more, *notes]
        reply = self._upload(header, ready.data, timeout)
        pushed = Pushed(
            version=_version(reply.version),
            known=reply.known,
            check=_check(reply.check),
            columns=list(ready.columns),
            proved=proved,
            max_abs_diff=difference,
            notes=notes,
        )
        if as_ is not None:
            self._alias(as_, pushed.version, None, 0.0 if share is None else share, note)
        return pushed

    def _prove(
        self, ready: convert.Ready, header: pb.PushHeader, timeout: float
    ) -> tuple[str, float | None, Sequence[str]]:
        """Lets the reader that servers use score the golden rows: here by the binary, else by a dry run."""
        binary = parity.find(self._binary)
        if binary is not None:
            report = parity.check(binary, ready, header.foreign.action_id, header.foreign.group)
            return "binary", report.max_abs_diff, report.notes
        trial = pb.PushHeader()
        trial.CopyFrom(header)
        trial.dry_run = True
        try:
            self._upload(trial, ready.data, timeout)
        except ModelRefused as error:
            raise parity.refusal(error) from None
        return "server", None, ()

    def _upload(self, header: pb.PushHeader, data: bytes, timeout: float) -> pb.PushResponse:
        def parts() -> Iterator[pb.PushRequest]:
            yield pb.PushRequest(header=header)
            for begin in range(0, len(data), _CHUNK):
                yield pb.PushRequest(chunk=data[begin : begin + _CHUNK])

        reply: pb.PushResponse = self._connection.call(self._connection.models.Push, parts(), timeout)
        return reply

    def validate(self, name: Named, version: Which = "") -> Check:
        """Checks a registered version against the catalogue in use as it stands now."""
        name, wanted = _named(name, version)
        reply = self._connection.call(
            self._connection.models.Validate, pb.ValidateRequest(name=name, version=wanted), _LONG
        )
        return _check(reply.check)

    def list(self, name: str = "") -> Registry:
        """Models, their versions, and which of them are in use."""
        reply = self._connection.call(self._connection.models.List, pb.ListRequest(name=name))
        return Registry(
            versions=[_summary(found) for model in reply.models for found in model.versions],
            moves=[_move(move) for move in reply.moves],
            champion_before=_version(reply.champion_before) if reply.HasField("champion_before") else None,
            versions_left_out=sum(model.versions_left_out for model in reply.models),
        )

    def get(self, name: Named, version: Which = "") -> Details:
        """What a version holds: a number, an alias, an id, or the latest."""
        name, wanted = _named(name, version)
        request = pb.ModelServiceGetRequest(name=name, version=wanted)
        reply = self._connection.call(self._connection.models.Get, request)
        return Details(
            summary=_summary(reply.summary),
            kind=reply.kind,
            inputs={found.name: found.kind for found in reply.inputs},
            heads=[(head.scope, head.id, head.rows, head.positives) for head in reply.heads],
            metrics=dict(reply.metrics),
            train_rows=reply.lineage.train_rows,
            test_rows=reply.lineage.test_rows,
        )

    def compare(
        self,
        name: str,
        first: Which | None = None,
        second: Which | None = None,
        *,
        start: Time | None = None,
        end: Time | None = None,
        window: timedelta | float | None = None,
        timeout: float = _LONG,
    ) -> Comparison:
        """Lets two versions decide again on recorded decisions.

        None is the champion for `first`, and the challenger, the shadow or else the latest for `second`. `window` is
        how long after a decision a success counts (seven days unless given): decisions whose window is open have no
        answer yet.
        """
        request = pb.CompareRequest(
            name=name,
            first=_word(first),
            second=_word(second),
            start_time=timestamp("start", start),
            end_time=timestamp("end", end),
            window=duration("window", window),
        )
        reply = self._connection.call(self._connection.models.Compare, request, timeout)
        return _comparison(reply)

    def promote(self, name: Named, version: Which = "", *, note: str = "") -> Version:
        """The version decides from now on, on every node."""
        return self._alias_of("champion", name, version, 0.0, note)

    def canary(self, name: Named, version: Which = "", *, share: float = 0.1, note: str = "") -> Version:
        """The version decides for a share of the customers; a customer stays with it."""
        return self._alias_of("challenger", name, version, _share(share), note)

    def traffic(self, share: float, *, note: str = "") -> Version:
        """Another share for the challenger of now; a share that grows takes nobody away from it."""
        request = pb.SetTrafficRequest(share=_share(share, zero=True), note=note)
        return _version(self._connection.call(self._connection.models.SetTraffic, request, _LONG).version)

    def shadow(self, name: Named, version: Which = "", *, note: str = "") -> Version:
        """The version scores what is decided, and decides nothing."""
        return self._alias_of("shadow", name, version, 0.0, note)

    def clear(self, alias: str, *, note: str = "") -> None:
        """Leaves champion, challenger or shadow without a version."""
        _known_alias(alias)
        request = pb.SetAliasRequest(alias=_ALIASES[alias], note=note)
        self._connection.call(self._connection.models.SetAlias, request, _LONG)

    def rollback(self, note: str = "") -> Version:
        """Makes the champion of before the champion again."""
        reply = self._connection.call(self._connection.models.Rollback, pb.RollbackRequest(note=note), _LONG)
        return _version(reply.version)

    def _alias_of(self, alias: str, name: Named, version: Which, share: float, note: str) -> Version:
        name, wanted = _named(name, version)
        return self._alias(alias, name, wanted, share, note)

    def _alias(self, alias: str, name: Named, version: Which | None, share: float, note: str) -> Version:
        name, wanted = _named(name, "" if version is None else version)
        request = pb.SetAliasRequest(alias=_ALIASES[alias], name=name, version=wanted, share=share, note=note)
        return _version(self._connection.call(self._connection.models.SetAlias, request, _LONG).version)


def _share(given: float, *, zero: bool = False) -> float:
    return share("share", given, zero=zero)


def _known_alias(name: str) -> None:
    if name not in _ALIASES:
        raise invalid("alias", f"is {name!r}; write one of {', '.join(_ALIASES)}")


def _word(version: Which | None) -> str:
    """A version as the API asks for it."""
    if version is None:
        return ""
    if isinstance(version, Pushed):
        version = version.version
    return version.id if isinstance(version, Version) else str(version)


def _named(name: Named, version: Which) -> tuple[str, str]:
    """Name and version, of `("acceptance", 3)`, `"acceptance@3"` or what `push` returned."""
    if isinstance(name, Pushed):
        name = name.version
    if isinstance(name, Version):
        return name.name, _word(name) if version == "" else _word(version)
    if not isinstance(name, str) or not name:
        raise invalid("name", "is missing; give the name of a model, for example acceptance")
    if "@" in name and version == "":
        name, _, version = name.partition("@")
    return name, _word(version)


def _foreign(ready: convert.Ready, action: str, group: str) -> pb.ForeignModel:
    foreign = pb.ForeignModel(name=ready.name, format=ready.format, columns=ready.columns, action_id=action, group=group)
    if ready.rows is not None and ready.probabilities is not None:
        fit = max(10, _GOLDEN_BYTES_MAX // (4 * ready.rows.shape[1] + 16))
        for values, probability in list(zip(ready.rows, ready.probabilities, strict=True))[:fit]:
            foreign.golden_rows.add(values=values.tolist(), probability=float(probability))
    return foreign


def _version(given: pb.ModelVersion) -> Version:
    return Version(given.name, given.number, given.id)


def _check(given: pb.ModelCheck) -> Check:
    return Check(given.golden_rows, given.requests, given.median_us, given.p99_us)


def _summary(given: pb.VersionSummary) -> VersionSummary:
    return VersionSummary(
        version=_version(given.version),
        push_time=moment(given.push_time),
        bytes=given.bytes,
        note=given.note,
        aliases=[_ALIAS_NAMES.get(alias, str(alias)) for alias in given.aliases],
        share=given.share,
    )


def _move(given: pb.AliasMove) -> Move:
    return Move(
        time=moment(given.move_time),
        alias=_ALIAS_NAMES.get(given.alias, str(given.alias)),
        to=_version(given.to) if given.HasField("to") else None,
        share=given.share,
        cause=_CAUSES.get(given.cause, str(given.cause)),
        rollback=given.rollback,
        note=given.note,
    )


def _comparison(reply: pb.CompareResponse) -> Comparison:
    def quality(field: str) -> Quality | None:
        if not reply.HasField(field):
            return None
        given: pb.ModelQuality = getattr(reply, field)
        return Quality(
            given.answers,
            given.positives,
            given.auc if given.HasField("auc") else None,
            given.log_loss,
            given.log_loss_baseline,
            given.brier,
            given.calibration_error,
            given.mean_predicted,
        )

    return Comparison(
        first=_version(reply.first),
        second=_version(reply.second),
        decisions=reply.decisions,
        one_in=reply.one_in,
        left_out=reply.left_out,
        agreement=reply.agreement,
        mean_difference=reply.mean_difference,
        first_quality=quality("first_quality"),
        second_quality=quality("second_quality"),
        first_value=_value(reply.first_value) if reply.HasField("first_value") else None,
        second_value=_value(reply.second_value) if reply.HasField("second_value") else None,
    )


def _value(given: pb.ModelValue) -> PolicyValue:
    def interval(field: str) -> Interval | None:
        if not given.HasField(field):
            return None
        found: pb.ValueInterval = getattr(given, field)
        return Interval(found.value, found.low, found.high)

    return PolicyValue(
        interval("recorded"),
        interval("ips"),
        interval("snips"),
        interval("difference"),
        given.effective_rows,
        list(given.warnings),
    )
