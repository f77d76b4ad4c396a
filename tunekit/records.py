"""Defines the stored records of studies and trials as frozen values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from tunekit.checks import is_whole, shown
from tunekit.errors import InvalidArgument
from tunekit.optuna_names.trial_values import TrialSource, TrialValues
from tunekit.optuna_names.words import NO, YES, CallableBool, member_name
from tunekit.shown import without_secrets
from tunekit.spaces import Params, Scalar, Space

Metrics: TypeAlias = Mapping[str, float]

AUDIT = 0.05
"""Default share of the condemned trials that run on for the audit."""


FIRST_NAME = "first_name"
"""Attribute of a renamed study: its first name, by which its checkpoints and recipe are known."""

UNNAMED = "value"
"""Metric name of an unnamed objective."""


class TrialState(StrEnum):
    """The state of a trial; final states say how it ended."""

    WAITING = "waiting"  # enqueued or released: the next free worker takes it
    RUNNING = "running"  # a worker holds its lease
    PREEMPTED = "preempted"  # yielded its slot to another study, resumes in the next free one
    PAUSED = "paused"  # rests at a checkpoint until it is promoted
    COMPLETE = "complete"  # ran to its end, with a finite result
    STOPPED = "stopped"  # ended early by a stopper
    DIVERGED = "diverged"  # its result is NaN or infinite
    FAILED = "failed"  # its objective raised, crashed, timed out or ran out of memory
    LOST = "lost"  # its workers vanished more often than max_retries allows
    CANCELLED = "cancelled"  # ended by a person

    # Optuna's names of the same states
    PRUNED = "stopped"
    FAIL = "failed"

    def __eq__(self, other: object) -> bool:
        """Return whether it is the same state; a member of Optuna's equals all that it holds."""
        if self is other:
            return True
        kind = type(other)
        name = None if kind is str or kind is TrialState else member_name(other, "TrialState")
        return str.__eq__(self, other) if name is None else OPTUNA_STATES[self] == name

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    @property
    def is_finished(self) -> CallableBool:
        """Return whether the trial has ended for good; Optuna's `is_finished()` works as well."""
        return NO if self in _OPEN else YES


OPTUNA_STATES: Mapping[TrialState, str] = {
    TrialState.WAITING: "WAITING",
    TrialState.RUNNING: "RUNNING",
    TrialState.PREEMPTED: "RUNNING",
    TrialState.PAUSED: "RUNNING",
    TrialState.COMPLETE: "COMPLETE",
    TrialState.STOPPED: "PRUNED",
    TrialState.DIVERGED: "FAIL",
    TrialState.FAILED: "FAIL",
    TrialState.LOST: "FAIL",
    TrialState.CANCELLED: "FAIL",
}
"""The name of the state of Optuna's that comes nearest."""


_GOES_ON = frozenset({TrialState.WAITING, TrialState.RUNNING, TrialState.PREEMPTED})
_OPEN = _GOES_ON | {TrialState.PAUSED}


class StudyState(StrEnum):
    """The state that a study's workers are asked to take."""

    ACTIVE = "active"
    PAUSED = "paused"  # start no new trials and wait
    STOPPED = "stopped"  # start no new trials, finish the running ones, leave
    CANCELLED = "cancelled"  # end the running trials at once, leave


Direction: TypeAlias = Literal["minimize", "maximize"]


@dataclass(frozen=True, slots=True)
class ObjectiveSpec:
    """A metric and the direction in which it gets better."""

    metric: str
    direction: Direction = "minimize"

    def __post_init__(self) -> None:
        if word := member_name(self.direction, "StudyDirection"):
            object.__setattr__(self, "direction", word.lower())
        if self.direction not in ("minimize", "maximize"):
            raise InvalidArgument(
                f'objective "{self.metric}": direction {shown(self.direction)}, expected '
                '"minimize" '
                'or "maximize".'
            )

    def loss(self, value: float) -> float:
        """Return the value, signed so that less is better."""
        return value if self.direction == "minimize" else -value


@dataclass(frozen=True, slots=True)
class MetricConstraint:
    """A bound on a metric, such as `latency_ms <= 8`; trials that violate it are infeasible."""

    metric: str
    op: Literal["<=", ">="]
    bound: float

    @classmethod
    def parse(cls, text: str) -> MetricConstraint:
        """Parse a constraint from a text, for example `"latency_ms <= 8"`.

        Raises:
            InvalidArgument: the text is malformed.
        """
        for op in ("<=", ">="):
            metric, found, bound = text.partition(op)
            if any(sign in metric for sign in ("<", ">", "==")):  # chained bounds
                continue
            try:
                if found and metric.strip() and math.isfinite(float(bound)):
                    return cls(metric.strip(), op, float(bound))
            except ValueError:
                break
        raise InvalidArgument(f'constraint {shown(text)}: expected a form like "latency_ms <= 8".')

    def __str__(self) -> str:
        return f"{self.metric} {self.op} {self.bound:g}"

    def slack(self, metrics: Metrics) -> float:
        """Return the signed distance to the bound, above 0 if it is violated; NaN if unknown."""
        value = metrics.get(self.metric, math.nan)
        return value - self.bound if self.op == "<=" else self.bound - value

    def violation(self, metrics: Metrics) -> float:
        """Return the amount of violation: 0 if it holds, `inf` if the metric is missing."""
        slack = self.slack(metrics)
        return math.inf if math.isnan(slack) else max(0.0, slack)


@dataclass(frozen=True, slots=True)
class Branch:
    """The checkpoint of another trial that a trial starts from: its number and step."""

    number: int
    step: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint of a trial, referenced independently of its storage location.

    Attributes:
        step: step after which it was saved.
        epoch: epoch of the lease under which it was saved, so that a worker that lost its lease
            cannot overwrite what the next one saves.
        value: first objective at that step, if reported; decides which checkpoints to keep.
    """

    step: int
    epoch: int
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed point, with its sampler and reason.

    Attributes:
        params: every active parameter; a guess while the space is being discovered.
        sampler: short name of the sampler, or `"user"` for an enqueued point.
        reason: one sentence for a person.
        evidence: plain JSON that the sampler reads back from the finished trial.
        branch: checkpoint that the trial starts from, `None` to start from scratch.
        answers: name -> value for the calls of a define-by-run program, including names that
            the space discovered so far does not contain.
    """

    params: Params
    sampler: str
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    branch: Branch | None = None
    answers: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """Named metrics at one step of a running trial.

    Attributes:
        metrics: name -> value; empty if only a checkpoint was saved.
        checkpoint: whether a checkpoint of this step is complete; stored with the trial.
    """

    step: int
    metrics: Metrics
    checkpoint: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A stopper's decision on a trial, with a reason and its evidence (plain JSON).

    Attributes:
        action: the decision; a paused trial rests at its checkpoint until it is promoted.
    """

    action: Literal["continue", "pause", "stop"] = "continue"
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


CONTINUE = Decision()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended, or why it was paused.

    Attributes:
        state: a final state, or PAUSED.
        metrics: the result (of a paused trial, the last report); empty without a result.
        reason: one sentence; `error` holds the traceback of a failure. URLs in them lose their
            passwords.
        params: the params actually used, if the program chose some itself.
        domains: path -> domain (as returned by `domain_to_dict`) of parameters that a
            define-by-run program has newly introduced.
        user_attrs: attributes set with `trial.set_user_attr`.
        evidence: basis of a stopper's decision.
    """

    state: TrialState
    metrics: Metrics = field(default_factory=dict)
    reason: str = ""
    error: str = ""
    params: Mapping[str, Scalar] | None = None
    domains: Mapping[str, Any] = field(default_factory=dict)
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, text in (("reason", self.reason), ("error", self.error)):
            if "://" in text:
                object.__setattr__(self, name, without_secrets(text))


@dataclass(frozen=True, slots=True)
class TrialRecord(TrialValues):
    """One stored trial.

    Attributes:
        number: counts from 0 in the order of creation; keys the trial's random stream.
        seq: event number of its last change, the cursor of incremental readers.
        epoch: number of times a worker has taken it; the fencing token of its lease.
        params: `None` between the assignment of a number and the proposal.
        end_reason: why it ended or was paused; for a promoted or pre-empted trial that has not
            ended, why it continues.
        seen: cursor up to which the sampler knew the study when it proposed.
        batch: numbers proposed in the same call.
        created, started, finished: seconds since 1970 on the storage's clock.
        checkpoints: kept checkpoints, in the order saved; it resumes from the last one.
        branch: checkpoint of another trial that it started from.
        source: study that it was read from, for `value` and related attributes.
    """

    number: int
    state: TrialState
    seq: int = 0
    epoch: int = 0
    params: Params | None = None
    sampler: str = ""
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0
    batch: tuple[int, ...] = ()
    metrics: Metrics = field(default_factory=dict)
    end_reason: str = ""
    error: str = ""
    stop_evidence: Mapping[str, Any] = field(default_factory=dict)
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    domains: Mapping[str, Any] = field(default_factory=dict)
    worker: str = ""
    space_version: int = 1
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    lease_until: float | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    branch: Branch | None = None
    source: TrialSource | None = field(default=None, compare=False, repr=False)

    @property
    def is_promoted(self) -> bool:
        """Return whether it continues after a pause or pre-emption and has not ended."""
        return self.state in _GOES_ON and bool(self.end_reason)

    @property
    def duration_s(self) -> float | None:
        """Return the seconds from start to end, if it has both."""
        if self.started is None or self.finished is None:
            return None
        return self.finished - self.started


@dataclass(frozen=True, slots=True)
class StudySpec:
    """The settings of a study; all except the space are normally fixed for its life.

    Attributes:
        name: unique in its storage.
        objectives: one or more.
        constraints: bounds on metrics.
        space: search space; `None` if a define-by-run program discovers it.
        seed: keys every random stream of the study.
        sampler: short name; `sampler_options` are its keyword arguments.
        max_retries: number of further runs of a trial after its worker vanished, before it is
            LOST; also number of resumes from the same checkpoint after its process died, before
            it is FAILED.
        stopper: short name, empty for none; `stopper_options` are its keyword arguments.
        audit: share of the condemned trials that keep running for the audit.
        attrs: plain JSON set by the user or the command line (how to run the study again).
    """

    name: str
    objectives: tuple[ObjectiveSpec, ...]
    constraints: tuple[MetricConstraint, ...] = ()
    space: Space | None = None
    seed: int = 0
    sampler: str = "auto"
    sampler_options: Mapping[str, Any] = field(default_factory=dict)
    max_retries: int = 2
    stopper: str = ""
    stopper_options: Mapping[str, Any] = field(default_factory=dict)
    audit: float = AUDIT
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first_name(self) -> str:
        """Return the name with which it was created."""
        found = self.attrs.get(FIRST_NAME)
        return found if isinstance(found, str) and found else self.name

    @property
    def max_trials(self) -> int | None:
        """Return the number of trials that the study is to have, `None` if nobody has said.

        It is the attribute `max_trials`, or what `tunekit run` was told.
        """
        run = self.attrs.get("run")
        settings = run.get("settings") if isinstance(run, Mapping) else None
        told = settings.get("trials") if isinstance(settings, Mapping) else None
        for most in (self.attrs.get("max_trials"), told):
            if is_whole(most) and most >= 0:
                return most
        return None


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A stored study: its spec and current state."""

    id: int
    spec: StudySpec
    state: StudyState
    seq: int
    n_trials: int
    space_version: int
    created: float


def block_of(evidence: Mapping[str, Any]) -> int:
    """Return the block of a proposal, 0 if its evidence names none."""
    return int(evidence.get("block", 0))
