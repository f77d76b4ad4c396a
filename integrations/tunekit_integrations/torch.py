"""Runs a trial in several processes with PyTorch's `torch.distributed`.

`return run_distributed(trial, train, world_size=2)` calls `train(rank_trial)` in two processes
that form one process group, on this machine or on the places that `RayExecutor(processes=2)`
reserves per trial. Rank 0 reports for the trial; all ranks receive each decision.
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
    """Represents the trial in one of its processes.

    Attributes:
        rank: rank of this process, from 0.
        world_size: number of processes.
        local_rank: index into `devices` of this rank's own device, as in
            `f"cuda:{rank_trial.local_rank}"`. Equals `rank` if all ranks share the trial's
            devices, 0 if each rank has its own place.
        devices: accelerators visible to this process.
        number, study_name, params, seed, block, resumed_from: as in `Trial`, equal in all
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
        # A separate group, so that these collectives do not mix with those of the training.
        self._control = dist.new_group(backend="gloo")

    def __repr__(self) -> str:
        return f"RankTrial({self.study_name!r}, number={self.number}, rank={self.rank})"

    @property
    def checkpoint_dir(self) -> Path:
        """Return the trial's folder, shared by all ranks; see `Trial.checkpoint_dir`.

        Before a rank overwrites a file of the checkpoint it resumes from, wait until all ranks
        have read it: call `torch.distributed.barrier()`.

        Raises:
            InvalidArgument: the study stores no checkpoints, or the folder exists only on rank
                0's node and this rank runs on another.
        """
        if self._folder is None:
            raise InvalidArgument(
                f"trial {self.number}: the study stores no checkpoints; open it with "
                'tk.study(..., checkpoints="folder").'
            )
        if self.rank > 0 and not self._folder.is_dir():
            raise InvalidArgument(
                f"trial {self.number}: the folder {self._folder} exists only on the node of rank "
                f"0, not on that of rank {self.rank}; store checkpoints in a folder shared by "
                "all nodes, or read and write them only in rank 0."
            )
        return self._folder

    def report(
        self, metrics: object, step: int, *, checkpoint: bool = False, raise_on_stop: bool = True
    ) -> Decision:
        """Report rank 0's metrics at a step and return the stopper's decision in all ranks.

        Call it in all ranks with the same step and `checkpoint`; it blocks until all have
        called. The checkpoint contains every file that any rank wrote to `checkpoint_dir`
        before the call. All ranks get the same decision, so they leave at the same step.

        Args:
            metrics: as in `Trial.report`; ignored in all ranks but 0.
            step: 0 or more.
            checkpoint: store `checkpoint_dir` as the state after this step.
            raise_on_stop: `False` returns a stop or pause instead of raising it.

        Returns:
            The decision, equal in all ranks.

        Raises:
            TrialStopped: the stopper ends the trial.
            TrialPaused: the stopper pauses the trial until promotion; a `TrialStopped`.
            InvalidArgument: an invalid step, or ranks that disagree on step or `checkpoint`.
            InvalidResult: a metric is not a number.
        """
        if not is_whole(step) or step < 0:
            raise InvalidArgument(f"report: step={step!r}, expected a whole number of 0 or more.")
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
        """Return whether the last decision was to stop or pause."""
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
                f"the ranks disagree in report ({told}); call report in all ranks with the same "
                "step and checkpoint."
            )


def run_distributed(
    trial: Trial,
    fn: Callable[[RankTrial], Any],
    *,
    world_size: int = 2,
    backend: str = "gloo",
) -> dict[str, float]:
    """Run a function in several processes that train together; return rank 0's result.

    Call it inside an objective, with any executor. The trial must hold the resources of all
    ranks, for example `resources={"cpu": 2}` or `{"gpu": 2}`. This call starts the processes on
    this machine and initialises the default process group of `torch.distributed` before `fn`.
    The ranks share the trial's devices (use `f"cuda:{rank_trial.local_rank}"`) and its threads:
    each gets `OMP_NUM_THREADS`, or the machine's cores, divided by `world_size`.

    With `RayExecutor(processes=world_size)`, each rank has its own place with its own devices and
    cores, possibly on another node. If a place is lost, the trial runs again. As always with
    `torch.distributed`, ranks trust every peer that connects: keep the nodes' network private.

    If a rank raises or dies, all other ranks and the trial end. All ranks die with this process.

    Args:
        trial: argument of the objective.
        fn: called with a `RankTrial`; `fn` and its closure are pickled. With a define-by-run
            space, call `trial.suggest_*` first.
        world_size: number of processes, 1 or more.
        backend: backend of the default process group: "gloo", or "nccl" with one device per
            rank.

    Returns:
        The metrics returned by rank 0, by name.

    Raises:
        InvalidArgument: the backend is unavailable, `fn` cannot be pickled, or the executor
            reserves another number of processes.
        TrialStopped: the stopper ended the trial, or a rank raised it.
        RankFailed: a rank died, or raised an exception that cannot be sent. Any other exception
            of a rank is raised here, with that rank's traceback as its cause.
        RankLost: the place of a rank is lost; do not catch this.
    """
    check_whole(world_size, "world_size", low=1)
    if not dist.is_backend_available(backend):
        raise InvalidArgument(
            f"backend={backend!r} is missing from this build of PyTorch; use "
            '"gloo", or install a build that includes it.'
        )
    if trial.ranks is not None and trial.ranks.world_size != world_size:
        raise InvalidArgument(
            f"world_size={world_size}, but the executor keeps {trial.ranks.world_size} places "
            f"per trial; give the executor processes={world_size}, or use world_size="
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
        del store  # the store must live until all ranks have ended


@dataclass(frozen=True, slots=True)
class _Facts:
    """Describes the trial to its ranks, apart from the params."""

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
    """Joins the process group, then calls the function; the objective of a rank's process."""

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
        # After any other error, keep the group until this process is killed. Leaving it would
        # make the other ranks fail before the first cause is known.
        dist.destroy_process_group()
        return result if rank == 0 else 0.0


def _serve_store(host: str) -> TCPStore:
    """Serve the rendezvous store of the ranks until the returned object is deleted.

    Args:
        host: address to bind to; only machines that can reach it can reach the store.
    """
    listener = socket.create_server(
        (host, 0)
    )  # bound here, so that no other process takes the port
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
    """Carries the traceback text of another process."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _names(rank: int, world_size: int, store: TCPStore) -> Mapping[str, str]:
    """Return torchrun's environment variables for a rank with its own place."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": "0",
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": store.host,
        "MASTER_PORT": str(store.port),
    }


def _shared(rank: int, world_size: int, store: TCPStore) -> Mapping[str, str]:
    """Return torchrun's environment variables for a rank that shares a place with the others."""
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
        # Handle a death first, since it causes the other ranks' errors, even simultaneous ones.
        for ended in sorted(executor.poll(POLL_S), key=lambda e: not _was_killed(e)):
            outcomes[ended.number] = ended.outcome
            if ended.outcome.state == TrialState.FAILED:
                _fail(_first_cause(executor, ended), world_size)
            if _has_stopped(ended.outcome) and not trial.should_prune():
                _stop(ended.outcome)  # raised by this rank alone, unknown to the others
    if _has_stopped(outcomes[0]):
        _stop(outcomes[0])
    return dict(outcomes[0].metrics)


def _has_stopped(outcome: Outcome) -> bool:
    return outcome.state in (TrialState.STOPPED, TrialState.PAUSED)


def _stop(outcome: Outcome) -> None:
    raise (TrialPaused if outcome.state == TrialState.PAUSED else TrialStopped)(outcome.reason)


def _first_cause(executor: ProcessExecutor | RankExecutor, ended: Ended) -> Ended:
    """Return the rank that died or was killed, if its loss made `ended` fail.

    The kernel reports a death at the same time to the peers, by closed connections, and to us.
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
    """Return whether a rank ended without raising: it died or exceeded its memory limit."""
    return ended.outcome.state == TrialState.FAILED and ended.exception is None


def _fail(ended: Ended, world_size: int) -> None:
    outcome, who = ended.outcome, f"rank {ended.number} of {world_size}"
    text = _RankTraceback(f"{who}: {outcome.reason}\n{outcome.error}".strip())
    if ended.exception is not None:
        raise ended.exception from text
    raise RankFailed(f"{who}: {outcome.reason}") from text
