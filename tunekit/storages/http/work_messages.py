"""Defines the bodies of the requests of thin workers, whose sampler runs in the service.

A worker asks for trials, reports while they run, and tells their results. Answers carry all of
their fields, so that a shell script can read them without knowing defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tunekit.records import Report, StudyState, TrialState
from tunekit.spaces import Scalar
from tunekit.storages.base import Status

MAX_ASKED = 100
"""Most trials of one request."""

MAX_WAIT_S = 30.0
"""Longest wait for a free trial; a worker asks again after it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Asks for trials to run.

    Attributes:
        worker: name under which the worker holds them.
        key: unique to this request; repeating it returns the same trials.
        n: most trials, 1 to 100.
        lease_s: seconds until others may take a trial over if the worker is not heard of.
        wait_s: seconds to wait for a free trial, 0 to 30.
    """

    worker: str
    key: str
    n: int = 1
    lease_s: float = 60.0
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class AskedTrial:
    """A trial that the worker holds and has to run.

    Attributes:
        epoch: names the lease in all further requests, with the number.
        params: the point to evaluate.
        sampler: who proposed it.
        reason: why, in a sentence.
        start_step: step of the checkpoint that it starts from, `None` from the beginning.
    """

    number: int
    epoch: int
    params: Mapping[str, Scalar]
    sampler: str
    reason: str
    start_step: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The trials given out.

    Attributes:
        state: of the study.
        reason: why there are none; empty if there are some.
        is_over: whether none will come any more, so that the worker may end; otherwise one may be
            free later, such as one that another worker gives back.
    """

    trials: tuple[AskedTrial, ...]
    state: StudyState
    reason: str
    is_over: bool


@dataclass(frozen=True, slots=True)
class TellResult:
    """Ends a trial.

    Attributes:
        worker: name of the worker.
        epoch: of the lease.
        key: unique to this result; repeating it is harmless.
        metrics: result by name; NaN or infinite makes the trial DIVERGED.
        value: result of the only objective, instead of `metrics`.
        state: "complete", "failed", "stopped" or "paused" after such a decision, or another end.
        reason: one sentence; by default that of the last decision on a stopped trial.
        error: traceback of a failure.
        user_attrs: plain JSON to keep with the trial.
        evidence: that of the last decision, which the service otherwise remembers itself.
    """

    worker: str
    epoch: int
    key: str
    metrics: Mapping[str, float] | None = None
    value: float | None = None
    state: TrialState = TrialState.COMPLETE
    reason: str = ""
    error: str = ""
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """How a trial has ended."""

    status: Status
    state: TrialState


@dataclass(frozen=True, slots=True)
class ReportBatch:
    """Reports of a running trial; they extend its lease.

    Attributes:
        reports: in order of step.
        lease_s: seconds by which the lease is extended.
    """

    worker: str
    epoch: int
    reports: tuple[Report, ...]
    lease_s: float = 60.0


@dataclass(frozen=True, slots=True)
class DecisionMessage:
    """What a worker has to do after its reports: go on, or end the trial in that state.

    Attributes:
        action: "pause" ends it as "paused" at its last checkpoint, "stop" as "stopped".
        reason: a sentence.
        evidence: basis of the decision, plain JSON.
    """

    action: Literal["continue", "pause", "stop"]
    reason: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reported:
    """The decision on a trial after its reports."""

    status: Status
    decision: DecisionMessage


@dataclass(frozen=True, slots=True)
class Beat:
    """Extends the lease of a running trial by `lease_s` seconds."""

    worker: str
    epoch: int
    lease_s: float = 60.0


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Gives a trial back unfinished; it runs again, from its last checkpoint."""

    worker: str
    epoch: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """Whether a lease is still held."""

    status: Status
