"""The records of a study: what is stored, as frozen values that know their plain-dict form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from tunekit.errors import InvalidArgument
from tunekit.optuna_words import NO, YES, Answer, member_name
from tunekit.spaces import Params, Scalar, Space
from tunekit.trial_values import TrialSource, TrialValues

Metrics: TypeAlias = Mapping[str, float]

AUDIT = 0.05
"""Share of the condemned trials that run on to their end, where none is chosen."""


UNNAMED = "value"
"""The metric of a study whose objective nobody has named."""


class TrialState(StrEnum):
    """Where a trial stands; the finished ones say why it ended."""

    WAITING = "waiting"  # enqueued, or given back: the next free worker takes it
    RUNNING = "running"  # a worker holds its lease
    PREEMPTED = "preempted"  # gave its place to another study, goes on in the next free one
    PAUSED = "paused"  # stands at a checkpoint until it is promoted
    COMPLETE = "complete"  # ran to its end, with a finite result
    STOPPED = "stopped"  # ended early by a stopper
    DIVERGED = "diverged"  # its result is NaN or infinite
    FAILED = "failed"  # its objective raised, crashed, timed out or ran out of memory
    LOST = "lost"  # its workers vanished more often than it may be retried
    CANCELLED = "cancelled"  # ended by a person

    # The same under Optuna's names.
    PRUNED = "stopped"
    FAIL = "failed"

    def __eq__(self, other: object) -> bool:
        """Return whether it is the same state; a member of Optuna's equals all that it holds."""
        name = None if type(other) is TrialState else member_name(other, "TrialState")
        return str.__eq__(self, other) if name is None else OPTUNA_STATES[self] == name

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return str.__hash__(self)

    @property
    def is_finished(self) -> Answer:
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


_GOES_ON = (TrialState.WAITING, TrialState.RUNNING, TrialState.PREEMPTED)
_OPEN = (*_GOES_ON, TrialState.PAUSED)


class StudyState(StrEnum):
    """What the workers of a study are asked to do."""

    ACTIVE = "active"
    PAUSED = "paused"  # start no new trials and wait
    STOPPED = "stopped"  # start no new trials, finish the running ones, leave
    CANCELLED = "cancelled"  # end the running trials at once, leave


Direction: TypeAlias = Literal["minimize", "maximize"]


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric and the direction in which it gets better."""

    metric: str
    direction: Direction = "minimize"

    def __post_init__(self) -> None:
        if self.direction not in ("minimize", "maximize"):
            raise InvalidArgument(
                f'objective "{self.metric}": direction {self.direction!r}, expected "minimize" '
                'or "maximize".'
            )

    def loss(self, value: float) -> float:
        """Return the value with its sign such that less is better."""
        return value if self.direction == "minimize" else -value


@dataclass(frozen=True, slots=True)
class MetricConstraint:
    """A bound on a measured metric, such as `latency_ms <= 8`; a trial above it is infeasible."""

    metric: str
    op: Literal["<=", ">="]
    bound: float

    @classmethod
    def parse(cls, text: str) -> MetricConstraint:
        """Return the constraint that a text such as `"latency_ms <= 8"` says.

        Raises:
            InvalidArgument: the text has another form.
        """
        for op in ("<=", ">="):
            metric, found, bound = text.partition(op)
            if any(sign in metric for sign in ("<", ">", "==")):  # a chain of two bounds
                continue
            try:
                if found and metric.strip() and math.isfinite(float(bound)):
                    return cls(metric.strip(), op, float(bound))
            except ValueError:
                break
        raise InvalidArgument(f'constraint {text!r}: expected a form like "latency_ms <= 8".')

    def __str__(self) -> str:
        return f"{self.metric} {self.op} {self.bound:g}"

    def violation(self, metrics: Metrics) -> float:
        """Return by how much it is violated, 0 if it holds, `inf` if the metric is missing."""
        value = metrics.get(self.metric, math.nan)
        if math.isnan(value):
            return math.inf
        return max(0.0, value - self.bound if self.op == "<=" else self.bound - value)


@dataclass(frozen=True, slots=True)
class Branch:
    """The checkpoint of another trial that a trial begins from: its number and the step."""

    number: int
    step: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint of a trial: a relative reference, wherever the files are.

    Attributes:
        step: what it is the state after.
        epoch: of the lease under which it was saved, so that a worker which lost its lease
            cannot overwrite what the next one saves.
        value: the first objective at that step, if it was reported; retention goes by it.
    """

    step: int
    epoch: int
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A point together with who proposed it and why.

    Attributes:
        params: every active parameter; in a study whose space is being discovered, a guess.
        sampler: the short name of the sampler, or `"user"` for an enqueued point.
        reason: one sentence for a person.
        evidence: plain JSON that the sampler wants back with the finished trial.
        branch: the checkpoint that the trial begins from, if it does not begin anew.
    """

    params: Params
    sampler: str
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    branch: Branch | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Named metrics at one step of a running trial.

    Attributes:
        metrics: empty where only a checkpoint was saved.
        checkpoint: a checkpoint of this step is complete; stored with the trial, not here.
    """

    step: int
    metrics: Metrics
    checkpoint: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a trial, in one sentence, with the numbers behind it (plain JSON).

    Attributes:
        action: a paused trial stands at its checkpoint until its stopper promotes it.
    """

    action: Literal["continue", "pause", "stop"] = "continue"
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


CONTINUE = Decision()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended, or why it pauses.

    Attributes:
        state: a finished state, or PAUSED.
        metrics: the result (of a paused trial, the last report); empty where there is none.
        reason: one sentence; the traceback of a failure is in `error`.
        params: the params that were really used, when the program chose some itself.
        domains: path -> domain (as `domain_to_dict` gives it) of parameters that a
            define-by-run program asked for and the study did not know yet.
        user_attrs: what the objective noted with `trial.set_user_attr`.
        evidence: what a stopper based its decision on.
    """

    state: TrialState
    metrics: Metrics = field(default_factory=dict)
    reason: str = ""
    error: str = ""
    params: Mapping[str, Scalar] | None = None
    domains: Mapping[str, Any] = field(default_factory=dict)
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrialRecord(TrialValues):
    """One trial as it is stored.

    Attributes:
        number: counts from 0 in the order of asking; it keys the trial's random stream.
        seq: the study's event number of its last change: the cursor of incremental readers.
        epoch: how often a worker has taken it; the fencing token of its lease.
        params: `None` between the taking of a number and the proposal.
        end_reason: why it ended or pauses; of a promoted or pre-empted trial
            that has not ended, why it goes on.
        seen: the cursor up to which the sampler knew the study when it proposed.
        batch: the numbers that were proposed in the same call.
        created, started, finished: seconds since 1970 on the clock of the storage.
        checkpoints: those that are kept, in the order of saving; it goes on from the last one.
        branch: the checkpoint of another trial that it began from.
        source: the study that it was read from; `value` and the like need it.
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
        """Return whether it was paused or pre-empted, goes on, and has not ended."""
        return self.state in _GOES_ON and bool(self.end_reason)

    @property
    def duration_s(self) -> float | None:
        """Return the seconds from start to end, if it has both."""
        if self.started is None or self.finished is None:
            return None
        return self.finished - self.started


@dataclass(frozen=True, slots=True)
class StudySpec:
    """What a study is made with; all but the space is fixed for its life.

    Attributes:
        name: unique in its storage.
        objectives: one or more.
        constraints: bounds on measured metrics.
        space: `None` where a define-by-run program discovers it.
        seed: keys every random stream of the study.
        sampler: short name; `sampler_options` are its keyword arguments.
        max_retries: how often a trial whose worker vanished is run again before it is LOST; also,
            how often one whose process died goes on from the same checkpoint before it is FAILED.
        stopper: short name, empty for none; `stopper_options` are its keyword arguments.
        audit: share of the condemned trials that run on.
        attrs: plain JSON of the user or the command line (how to run the study again).
    """

    name: str
    objectives: tuple[Objective, ...]
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


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A stored study: its spec and where it stands."""

    id: int
    spec: StudySpec
    state: StudyState
    seq: int
    n_trials: int
    space_version: int
    created: float


def block_of(evidence: Mapping[str, Any]) -> int:
    """Return the block that a proposal is for, 0 if it names none."""
    return int(evidence.get("block", 0))
