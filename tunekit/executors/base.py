"""The executor contract: where trials run. The orchestrator is its only user.

An executor runs tasks and answers with messages. It knows nothing of storages and samplers.
A task always ends in exactly one `Ended`, whatever its objective does: raising, exiting,
crashing, hanging beyond its time and growing beyond its memory cost this one trial only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from tunekit.records import Branch, Decision, ObjectiveSpec, Outcome, Report, TrialState
from tunekit.spaces import Params

ReportHandler: TypeAlias = Callable[[int, Report], Decision]
"""Stores the report of a trial, given its number, and returns whether the trial continues."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The checkpoint that a trial starts from: its step, and its name in the study's store."""

    step: int
    name: str


@dataclass(frozen=True, slots=True)
class Guest:
    """The identity of a task in its own study, when several studies share an executor.

    Attributes:
        number: of the trial; that of the task is given by the pool, and unique there.
        objective: what it runs, in place of what the executor was opened with; pickled, where
            it runs in another process.
    """

    number: int
    objective: Callable[..., Any] | bytes


@dataclass(frozen=True, slots=True)
class Ranks:
    """The places of a distributed trial's processes, if each has its own.

    Attributes:
        host: the address of the node of the first, as the others reach it; its process is the
            one that runs the trial, or is below it.
        followers: where each of the others is asked for: address and port.
        token: what to say there first.
    """

    host: str
    followers: tuple[tuple[str, int], ...]
    token: bytes = field(repr=False)

    @property
    def world_size(self) -> int:
        """Return the number of processes with a place."""
        return 1 + len(self.followers)


@dataclass(frozen=True, slots=True)
class Task:
    """One trial to run.

    Attributes:
        number: the key of the task; the number of the trial, if it is no guest.
        params: the point; for a program that discovers its space, a guess of it.
        is_open: the program may ask for parameters that `params` does not have.
        seed: of the study; with the number it keys whatever the trial draws itself.
        block: the fold, seed or instance to measure on; see `Trial.block`.
        place: the folder or URI of the study's checkpoints; empty where it has none.
        origin: the checkpoint that it starts from, `None` to start from scratch.
        kept: the names of its checkpoints from earlier leases.
        guest: set where the executor is shared by several studies.
        branch: the checkpoint of another trial that it branches from.
        is_promoted: whether it continues after a pause or pre-emption.
        ranks: set where the executor keeps a place for each process of a distributed trial.
        enqueued: of a program that discovers its space, the names that the user gave values for.
        answers: likewise, the names that the sampler gave values for, such as those of a grid.
        awaits_decisions: whether every report waits for its decision. Without, an executor may
            hand reports over late and several at once, in their order, and a decision to end the
            trial reaches it at a later report. One that always waits conforms, too.
    """

    study: str
    number: int
    epoch: int
    params: Params
    objectives: tuple[ObjectiveSpec, ...]
    seed: int = 0
    is_open: bool = False
    block: int = 0
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""
    origin: Origin | None = None
    kept: tuple[str, ...] = ()
    guest: Guest | None = None
    ranks: Ranks | None = None
    branch: Branch | None = None
    is_promoted: bool = False
    enqueued: frozenset[str] = frozenset()
    answers: frozenset[str] = frozenset()
    awaits_decisions: bool = True

    @property
    def trial_number(self) -> int:
        """Return the number of the trial in its study."""
        return self.number if self.guest is None else self.guest.number

    def waits_after(self, report: Report) -> bool:
        """Return whether the trial waits for the decision on a report.

        One with a checkpoint always waits: once it returns, the checkpoint is recorded.
        """
        return self.awaits_decisions or report.checkpoint


@dataclass(frozen=True, slots=True)
class Ended:
    """A task is over.

    An outcome WAITING says that the trial lost its worker, by no fault of its own, and is to run
    again.

    Attributes:
        exception: exception of its objective, if it could be transferred.
        has_died: it was no deed of its objective that Python saw: its process died. It may run
            again from a checkpoint that it has saved.
        was_killed: somebody else killed its process, a person or a system that is out of memory.
            It may run again from its start.
    """

    number: int
    epoch: int
    outcome: Outcome
    exception: BaseException | None = None
    has_died: bool = False
    was_killed: bool = False

    @property
    def has_result(self) -> bool:
        """Return whether its objective ended on its own."""
        is_open = self.outcome.state in (TrialState.WAITING, TrialState.PREEMPTED)
        return not is_open and not self.has_died


@dataclass(frozen=True, slots=True)
class Limits:
    """The resources that one trial may use.

    Attributes:
        resources: units of each resource a trial holds, such as `{"gpu": 0.5}`.
        timeout_s: seconds after which a trial is killed and FAILED.
        memory_mib: resident memory above which it is killed and FAILED.
    """

    resources: Mapping[str, float] = field(default_factory=dict)
    timeout_s: float | None = None
    memory_mib: float | None = None


class Executor(Protocol):
    """Runs tasks, up to `slots` at a time.

    Attributes:
        runs_in_caller: `start` runs the objective to its end on the calling thread.
    """

    runs_in_caller: bool

    @property
    def slots(self) -> int:
        """Return the number of tasks that may run concurrently; `poll` may change it."""
        ...

    def open(self, objective: Callable[..., Any], on_report: ReportHandler) -> None:
        """Prepare to run tasks of one objective.

        `on_report` is called on the thread that calls `start` or `poll`.

        Raises:
            InvalidArgument: the objective cannot be shipped, or no slot can ever be filled.
            ExecutorFailed: there is nothing to run it on.
        """
        ...

    def start(self, task: Task) -> None:
        """Start a task; the caller never starts more than `slots` at a time."""
        ...

    def poll(self, timeout_s: float) -> list[Ended]:
        """Serve reports until a task ends or the time is over; return the ended ones.

        Raises:
            ExecutorFailed: nothing is left to run them on, and nothing is to come.
        """
        ...

    def stop(self, number: int, outcome: Outcome) -> None:
        """End a running task now, with this outcome (its process may be killed)."""
        ...

    def close(self) -> None:
        """End all running tasks and free all resources."""
        ...
