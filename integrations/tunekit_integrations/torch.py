"""Trials of several processes: PyTorch's `torch.distributed` inside of an objective.

`return run_distributed(trial, train, world_size=2)` calls `train(rank_trial)` in two processes,
which are one process group: on this machine, or on the places that `RayExecutor(processes=2)`
keeps for a trial. Rank 0 speaks for the trial, and all ranks learn what becomes of it.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined] # documented

from tunekit.checks import check_whole, is_whole
from tunekit.errors import InvalidArgument, RankFailed, TrialPaused, TrialStopped
from tunekit.executors.base import Ended, Task
from tunekit.executors.devices import Seat, thread_limits
from tunekit.executors.process.executor import ProcessExecutor, shipped
from tunekit.executors.ranks import RankExecutor
from tunekit.executors.results import checked_metrics
from tunekit.executors.trial import Trial
from tunekit.records import Decision, ObjectiveSpec, Outcome, Report, TrialState
from tunekit.spaces import Params

HOST = "127.0.0.1"
POLL_S = 60.0
SETTLE_S = 2.0
_NO_RESULT = ObjectiveSpec("rank")


class RankTrial:
    """A trial as one of its processes gets it.

    Attributes:
        rank: of this process, from 0.
        world_size: how many processes there are.
        local_rank: which of `devices` is its own, as in `f"cuda:{rank_trial.local_rank}"`: its
            rank where all share those of the trial, 0 where each has a place with its own.
        devices: the accelerators that it sees.
        number, study_name, params, seed, block, resumed_from: of the trial, the same in all
            ranks.
    """

    def __init__(self, facts: _Facts, rank: int, process: Trial) -> None:
        self.rank = rank
        self.local_rank = int(os.environ["LOCAL_RANK"])
        self.world_size = facts.world_size
        self.number = facts.number
        self.study_name = process.study_name
        self.params = process.params
        self.seed = facts.seed
        self.block = facts.block
        self.devices = process.devices
        self.resumed_from = facts.resumed_from
        self._objectives = facts.objectives
        self._folder = facts.checkpoint_dir
        self._process = process
        self._decision = Decision()
        # Of its own: what is said here must not meet the collectives of the training.
        self._control = dist.new_group(backend="gloo")

    def __repr__(self) -> str:
        return f"RankTrial({self.study_name!r}, number={self.number}, rank={self.rank})"

    @property
    def checkpoint_dir(self) -> Path:
        """Return the folder of the trial, which all ranks share; see `Trial.checkpoint_dir`.

        Where a rank writes what others read from the checkpoint that they go on from, they all
        have to have read it: `torch.distributed.barrier()`.

        Raises:
            InvalidArgument: the study was opened without a place of checkpoints, or the folder
                is on the node of rank 0, where this rank is on another one.
        """
        if self._folder is None:
            raise InvalidArgument(
                f"trial {self.number}: the study has no place for checkpoints; open it with "
                'tk.study(..., checkpoints="folder").'
            )
        if self.rank > 0 and not self._folder.is_dir():
            raise InvalidArgument(
                f"trial {self.number}: its folder {self._folder} is not on the node of rank "
                f"{self.rank}, only on that of rank 0; take a folder for the study's checkpoints "
                "that all nodes share, or read and write in rank 0 alone."
            )
        return self._folder

    def report(
        self, metrics: object, step: int, *, checkpoint: bool = False, raise_on_stop: bool = True
    ) -> Decision:
        """Report rank 0's metrics at a step and learn, in all ranks, whether the trial goes on.

        All ranks call it with the same step and `checkpoint`, and wait here for each other. What
        any rank has written into `checkpoint_dir` before is in the checkpoint. The decision is
        about the trial, so that all ranks leave at the same step.

        Args:
            metrics: as in `Trial.report`; those of other ranks than 0 are not looked at.
            step: 0 or more.
            checkpoint: keep `checkpoint_dir` as the state after this step.
            raise_on_stop: with `False` the decision is only returned.

        Returns:
            The decision, the same in all ranks.

        Raises:
            TrialStopped: the stopper ends the trial.
            TrialPaused: the stopper lets it stand until it is promoted; a `TrialStopped` too.
            InvalidArgument: a bad step, or the ranks do not agree on step and `checkpoint`.
            InvalidResult: the metrics are no numbers.
        """
        if not is_whole(step) or step < 0:
            raise InvalidArgument(f"report at step {step!r}: expected a whole number from 0.")
        own: dict[str, float] = {}
        if self.rank == 0:
            own = dict(checked_metrics(metrics, self._objectives, is_partial=True))
        self._agree(step, checkpoint)
        said: list[Any] = [None]
        if self.rank == 0:
            said = [self._process.forward(Report(step, own, checkpoint=checkpoint))]
        dist.broadcast_object_list(said, src=0, group=self._control)
        self._decision = said[0]
        if raise_on_stop and self.should_prune():
            is_pause = self._decision.action == "pause"
            raise (TrialPaused if is_pause else TrialStopped)(self._decision.reason)
        return self._decision

    def should_prune(self) -> bool:
        """Return whether the last decision was to stop or to pause."""
        return self._decision.action != "continue"

    def _agree(self, step: int, checkpoint: bool) -> None:
        own = torch.tensor([step, int(checkpoint)])
        everybody = [torch.empty_like(own) for _ in range(self.world_size)]
        dist.all_gather(everybody, own, group=self._control)
        if any(not torch.equal(other, own) for other in everybody):
            told = "; ".join(
                f"rank {rank}: step {int(s)}, checkpoint={bool(c)}"
                for rank, (s, c) in enumerate(everybody)
            )
            raise InvalidArgument(
                f"the ranks do not report the same ({told}); call report in all of them, with "
                "the same step and checkpoint."
            )


def run_distributed(
    trial: Trial,
    fn: Callable[[RankTrial], Any],
    *,
    world_size: int = 2,
    backend: str = "gloo",
) -> dict[str, float]:
    """Call a function in several processes that train together, and return what rank 0 returns.

    To be called in an objective, with any executor; the trial has to hold the resources of all
    ranks, such as `resources={"cpu": 2}` or `{"gpu": 2}`. The processes are started for this
    call, on this machine; in each, the default process group of `torch.distributed` is there
    when `fn` is called. They share the trial's devices (take `f"cuda:{rank_trial.local_rank}"`)
    and its threads: `OMP_NUM_THREADS`, or else the cores of the machine, by `world_size`.

    With `RayExecutor(processes=world_size)` each rank has a place of its own, with its own
    devices and cores, which may be on another node. If that is lost, the trial runs again. As
    always with `torch.distributed`, the ranks trust whoever reaches them there: keep the nodes'
    network closed to others.

    A rank that raises or dies ends all the others and the trial with them. All ranks die with
    this process.

    Args:
        trial: what the objective got.
        fn: is called with a `RankTrial`; what it takes with it is pickled. Where the program
            declares its own space, ask with `trial.suggest_*` before.
        world_size: how many processes, from 1.
        backend: of the default process group: "gloo", or "nccl" with a device for each rank.

    Returns:
        The metrics that rank 0 has returned, by name.

    Raises:
        InvalidArgument: such a backend is not there, `fn` cannot be pickled, or the trial has
            places for another number of processes.
        TrialStopped: the stopper has ended the trial, or a rank has raised it.
        RankFailed: a rank has died, or what it raised cannot be brought over. Anything else
            that a rank raises is raised here, with the traceback of the rank as its cause.
        RankLost: the place of a rank is gone; let it through.
    """
    check_whole(world_size, "world_size", low=1)
    if not dist.is_backend_available(backend):
        raise InvalidArgument(
            f"backend={backend!r} is not in this build of PyTorch; take "
            '"gloo", or install one that has it.'
        )
    if trial.ranks is not None and trial.ranks.world_size != world_size:
        raise InvalidArgument(
            f"world_size={world_size}, but the executor keeps {trial.ranks.world_size} places for "
            f"a trial; give it processes={world_size}, or take world_size="
            f"{trial.ranks.world_size} here."
        )
    program = shipped(fn, name="the function", otherwise="take them from its argument")
    facts = _Facts.of(trial, world_size)
    store = _serve_store(HOST if trial.ranks is None else trial.ranks.host)
    executor = _executor(trial, world_size, store)

    def on_report(_: int, report: Report) -> Decision:
        return trial.report(
            report.metrics, report.step, checkpoint=report.checkpoint, raise_on_stop=False
        )

    try:
        executor.open(_Program(program, facts, backend), on_report)
        for rank in range(world_size):
            objectives = trial.objectives if rank == 0 else (_NO_RESULT,)
            task = Task(trial.study_name, rank, trial.epoch, Params(trial.params), objectives)
            executor.start(task)
        return _result(executor, trial, world_size)
    finally:
        executor.close()
        del store  # it serves until here


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the ranks know of their trial beside its params."""

    number: int
    seed: int
    block: int
    world_size: int
    objectives: tuple[ObjectiveSpec, ...]
    checkpoint_dir: Path | None
    resumed_from: int | None

    @classmethod
    def of(cls, trial: Trial, world_size: int) -> _Facts:
        return cls(
            trial.number,
            trial.seed,
            trial.block,
            world_size,
            trial.objectives,
            trial.checkpoint_dir if trial.has_checkpoints else None,
            trial.resumed_from,
        )


@dataclass(frozen=True, slots=True)
class _Program:
    """The objective of the rank's process: joins the others, then calls the function."""

    shipped: bytes
    facts: _Facts
    backend: str

    def __call__(self, process: Trial) -> Any:
        rank = process.number
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(host, port, is_master=False)
        dist.init_process_group(
            self.backend, store=store, rank=rank, world_size=self.facts.world_size
        )
        fn = pickle.loads(self.shipped)  # noqa: S301 - from the trial's process, our parent
        try:
            result = fn(RankTrial(self.facts, rank, process))
        except TrialStopped:
            dist.destroy_process_group()
            raise
        # After any other error the group stays until this process is killed: the others would
        # only fail for its end, before it is known what was the first cause.
        dist.destroy_process_group()
        return result if rank == 0 else 0.0


def _serve_store(host: str) -> TCPStore:
    """Serve the store by which the ranks find each other, until it is deleted.

    Args:
        host: the address to bind to; no machine that does not reach it reaches the store.
    """
    listener = socket.create_server((host, 0))  # bound here: nobody takes the port first
    port = listener.getsockname()[1]
    return TCPStore(
        host, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach()
    )


def _executor(trial: Trial, world_size: int, store: TCPStore) -> ProcessExecutor | RankExecutor:
    ranks = range(world_size)
    if trial.ranks is not None:
        envs = [_names(rank, world_size, store) for rank in ranks]
        return RankExecutor(trial.ranks, trial.devices, envs)
    seats = [Seat(trial.devices, _shared(rank, world_size, store)) for rank in ranks]
    return ProcessExecutor(seats=seats)


class _RankTraceback(Exception):
    """Carries the text of a traceback from another process."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _names(rank: int, world_size: int, store: TCPStore) -> Mapping[str, str]:
    """Return the variables that torchrun sets, for a rank that has its place alone."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": "0",
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": store.host,
        "MASTER_PORT": str(store.port),
    }


def _shared(rank: int, world_size: int, store: TCPStore) -> Mapping[str, str]:
    """Return the variables of a rank that shares its place with the others."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    cores = int(told) if told.isdigit() else os.cpu_count() or 1
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    return {
        **_names(rank, world_size, store),
        **thread_limits(max(1, cores // world_size)),
        "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(world_size),
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", loopback),
    }


def _result(
    executor: ProcessExecutor | RankExecutor, trial: Trial, world_size: int
) -> dict[str, float]:
    outcomes: dict[int, Outcome] = {}
    while len(outcomes) < world_size:
        # A death first: it is the cause of what the others raise, also where both came at once.
        for ended in sorted(executor.poll(POLL_S), key=lambda e: not _was_killed(e)):
            outcomes[ended.number] = ended.outcome
            if ended.outcome.state == TrialState.FAILED:
                _fail(_first_cause(executor, ended), world_size)
            if _has_stopped(ended.outcome) and not trial.should_prune():
                _stop(ended.outcome)  # by itself: the others know nothing of it
    if _has_stopped(outcomes[0]):
        _stop(outcomes[0])
    return dict(outcomes[0].metrics)


def _has_stopped(outcome: Outcome) -> bool:
    return outcome.state in (TrialState.STOPPED, TrialState.PAUSED)


def _stop(outcome: Outcome) -> None:
    raise (TrialPaused if outcome.state == TrialState.PAUSED else TrialStopped)(outcome.reason)


def _first_cause(executor: ProcessExecutor | RankExecutor, ended: Ended) -> Ended:
    """Return the rank that died or was killed, where this one has failed for the loss of it.

    The kernel tells both at once: to its peers by closed connections, and to us.
    """
    until = time.monotonic() + SETTLE_S
    if not isinstance(ended.exception, RuntimeError):
        return ended
    while (left := until - time.monotonic()) > 0:
        for other in executor.poll(left):
            if _was_killed(other):
                return other
    return ended


def _was_killed(ended: Ended) -> bool:
    """Return whether a rank raised nothing: it died, or was too large for its place."""
    return ended.outcome.state == TrialState.FAILED and ended.exception is None


def _fail(ended: Ended, world_size: int) -> None:
    outcome, who = ended.outcome, f"rank {ended.number} of {world_size}"
    text = _RankTraceback(f"{who}: {outcome.reason}\n{outcome.error}".strip())
    if ended.exception is not None:
        raise ended.exception from text
    raise RankFailed(f"{who}: {outcome.reason}") from text
