"""The Ray executor: trials run on the nodes of a Ray cluster."""

from __future__ import annotations

import importlib.util
import itertools
import logging
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunekit.checks import check_whole
from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.executors.base import Ended, Limits, ReportHandler, Task
from tunekit.executors.process.executor import check_watched, shipped, unpickled
from tunekit.executors.ray.agent import ClusterPlan
from tunekit.executors.ray.placement import Strategy, checked_group, checked_need
from tunekit.executors.ray.quarantine import Place, Quarantine
from tunekit.executors.ray.workers import JoinedWorker, RayPool
from tunekit.records import CONTINUE, Outcome, Report, TrialState

log = logging.getLogger("tunekit")

TEND_S = 0.5
_NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class _Run:
    """A task on a worker; unlike a trial's number, its id is never reused."""

    id: int
    task: Task


class RayExecutor:
    """Runs trials in a pool of reused Ray actors.

    Each worker is one actor, which holds the resources of one trial, and a process below it,
    in which the objective runs as `ProcessExecutor` runs it: a crash, a hang and hunger cost
    one trial. A trial whose actor or node was lost is given back and runs again. Reports and
    results come straight from the worker to this process, which the nodes must be able to reach.

    With `processes` a worker is a Ray placement group: one place for each process of a
    distributed trial, which may be on several nodes, with an actor in each. The objective runs
    in the first, and `tunekit_integrations.torch.run_distributed` starts the other ranks in the
    others. A group that has lost one of its actors is lost as a whole.

    Args:
        workers: trials at a time; `None` for all that the cluster has room for, also on nodes
            that join later.
        limits: of one trial; with several `processes`, its resources and memory are those of
            each. Resources are "cpu" (1 if not given), "gpu" (a whole number, or a
            fraction of one device) and the custom ones of the cluster.
        processes: places of one trial, each with the resources of `limits`.
        strategy: how these lie on the nodes: "PACK" (together where that can be), "SPREAD"
            (apart where that can be), "STRICT_PACK" (on one node) or "STRICT_SPREAD" (each on a
            node of its own).
        address: "auto", "host:port" or "ray://host:port"; else `RAY_ADDRESS`, else the cluster
            that this process is connected to, else one is started here and ended with the run.
        runtime_env: the environment of the workers, as Ray takes it.
        local: the resources of a cluster that is started here, such as `{"gpu": 2}`; its
            "cpu" are the cores of the machine if not given.
        max_failures: how often a trial that lost its worker runs again before it is FAILED.
        quarantine_after: consecutive failures after which a node, or a device of one, gets no
            more trials if these succeed elsewhere; 0 for never.
        placement_timeout_s: seconds without a place for any worker after which the run ends.
        log_folder: takes the last 8 KiB that each trial has printed, a file a trial.
        host: the address of this machine as the cluster reaches it, if Ray's view is wrong.

    Attributes:
        slots: the workers that are there now and may be used.
        runs_in_caller: `False`.

    Raises:
        InvalidArgument: an argument outside its range.
        MissingExtra: Ray is not installed.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        limits: Limits = _NO_LIMITS,
        processes: int = 1,
        strategy: Strategy = "PACK",
        address: str | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        local: Mapping[str, float] | None = None,
        max_failures: int = 3,
        quarantine_after: int = 3,
        placement_timeout_s: float = 300.0,
        log_folder: str | Path | None = None,
        host: str | None = None,
    ) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingExtra("ray", 'executor="ray"')
        _check_counts(workers, max_failures, quarantine_after)
        if not placement_timeout_s > 0:
            raise InvalidArgument(
                f"placement_timeout_s={placement_timeout_s!r}, expected a number above 0."
            )
        check_watched(limits)
        self.runs_in_caller = False
        need, group = checked_need(limits.resources), checked_group(processes, strategy)
        address = address or os.environ.get("RAY_ADDRESS") or _connected_cluster()
        if local is not None and address is not None:
            raise InvalidArgument(
                f"local={dict(local)!r} conflicts with address={address}: it sets the resources "
                "of a cluster started here; remove one of them."
            )
        places = None if workers is None else workers * processes
        resources = _local_resources(local or {}, places, limits.resources)
        self._pool = RayPool(
            ClusterPlan(address, resources, dict(runtime_env or {})),
            workers,
            need=need,
            group=group,
            limits=limits,
            placement_timeout_s=placement_timeout_s,
            host=host,
        )
        self._max_failures = max_failures
        self._log_folder = None if log_folder is None else Path(log_folder)
        self._sick: set[Place] = set()
        self._quarantine = Quarantine(quarantine_after)
        self._on_report: ReportHandler | None = None
        self._ids = itertools.count()
        self._runs: dict[int, _Run] = {}
        self._idle: deque[JoinedWorker] = deque()
        self._backlog: deque[Task] = deque()
        self._ended: list[Ended] = []
        self._losses: Counter[int] = Counter()

    @property
    def slots(self) -> int:
        """Return the number of trials that can run now."""
        return sum(not w.is_parked for w in self._pool.workers.values())

    def open(self, objective: Callable[..., Any], on_report: ReportHandler) -> None:
        """Ship the objective, ask for workers and wait for the first.

        Raises:
            InvalidArgument: the objective cannot be pickled.
            ExecutorFailed: no cluster, or no place on it for `placement_timeout_s`.
        """
        self._on_report = on_report
        self._pool.open(shipped(objective))
        while not self.slots:
            self._serve(TEND_S)

    def start(self, task: Task) -> None:
        """Give a task to an idle worker, or to the next one that joins."""
        while self._idle:
            worker = self._idle.popleft()
            if self._pool.workers.get(worker.key) is worker and not worker.is_parked:
                self._give(worker, task)
                return
        self._backlog.append(task)

    def poll(self, timeout_s: float) -> list[Ended]:
        """Serve reports until a task ends or the time is over; return the ended ones.

        A trial that lost its worker and is to run again ends as WAITING.

        Raises:
            ExecutorFailed: no worker has had a place for `placement_timeout_s`.
        """
        until = time.monotonic() + timeout_s
        while not self._ended:
            left = until - time.monotonic()
            self._serve(min(max(left, 0.0), TEND_S))
            if left <= 0:
                break
        ended, self._ended = self._ended, []
        return sorted(ended, key=lambda e: e.number)

    def stop(self, number: int, outcome: Outcome) -> None:
        """End a running task now by killing its process; its worker stays."""
        for task in [t for t in self._backlog if t.number == number]:
            self._backlog.remove(task)
            self._ended.append(Ended(number, task.epoch, outcome))
        for key, run in list(self._runs.items()):
            if run.task.number == number:
                self._halt(self._pool.workers[key], outcome)

    def close(self) -> None:
        """End all workers, and the cluster if it was started here."""
        self._pool.close()
        self._runs.clear()
        self._idle.clear()
        self._backlog.clear()
        self._ended.clear()

    # What happens

    def _serve(self, timeout_s: float) -> None:
        for event in self._pool.poll(timeout_s):
            worker, run = event.worker, self._runs.get(event.worker.key)
            if event.kind == "joined":
                self._welcome(worker)
            elif event.kind == "lost":
                self._lose(worker, *event.content)
            elif run is not None and event.content[0] == run.id:
                if event.kind == "reports":
                    self._take_reports(worker, run, event.content[1])
                else:
                    self._finish(worker, run, *event.content[1:])

    def _welcome(self, worker: JoinedWorker) -> None:
        if any(_is_in(worker, place) for place in self._sick):
            worker.is_parked = True
        else:
            self._free(worker)

    def _free(self, worker: JoinedWorker) -> None:
        if worker.is_parked:
            return
        if self._backlog:
            self._give(worker, self._backlog.popleft())
        else:
            self._idle.append(worker)

    def _give(self, worker: JoinedWorker, task: Task) -> None:
        run = self._runs[worker.key] = _Run(next(self._ids), task)
        self._send(worker, "run", run.id, task)

    def _take_reports(self, worker: JoinedWorker, run: _Run, reports: Sequence[Report]) -> None:
        """Take a batch of reports, and answer with the first decision that ends the trial."""
        assert self._on_report is not None
        answer = CONTINUE
        for report in reports:
            decision = self._on_report(run.task.number, report)
            if self._runs.get(worker.key) is not run:
                return  # the handler has stopped this very trial
            if answer.action == "continue":
                answer = decision
        self._send(worker, "decision", run.id, answer)

    def _finish(
        self,
        worker: JoinedWorker,
        run: _Run,
        outcome: Outcome,
        raised: bytes,
        has_died: bool,
        was_killed: bool,
        printed: str,
    ) -> None:
        del self._runs[worker.key]
        number = run.task.number
        self._losses.pop(number, None)
        if printed and self._log_folder is not None:
            study = "" if run.task.guest is None else f"{run.task.study}-"
            path = self._log_folder / f"{study}trial-{run.task.trial_number:06d}.log"
            path.write_text(printed + "\n", encoding="utf-8", errors="replace")
        if printed and outcome.state is TrialState.FAILED and "Traceback" in outcome.error:
            error = f"{outcome.error}\nThe last that it printed:\n{printed}"
            outcome = replace(outcome, error=error)
        exception, epoch = unpickled(raised), run.task.epoch
        self._ended.append(Ended(number, epoch, outcome, exception, has_died, was_killed))
        self._judge(worker, is_failure=outcome.state is TrialState.FAILED)
        self._free(worker)

    def _halt(self, worker: JoinedWorker, outcome: Outcome) -> None:
        """End the task of a worker, which kills the process before it takes another task."""
        run = self._runs.pop(worker.key)
        self._ended.append(Ended(run.task.number, run.task.epoch, outcome))
        self._send(worker, "stop", run.id, outcome)
        self._free(worker)

    def _send(self, worker: JoinedWorker, *message: Any) -> None:
        try:
            worker.line.send(*message)
        except OSError as error:
            self._pool.drop(worker, f"lost its {worker}: {error}")

    # Losses and sick places

    def _lose(self, worker: JoinedWorker, reason: str, is_its_own: bool = True) -> None:
        """Release the trial of a lost worker to run again; too many losses fail it."""
        if worker in self._idle:
            self._idle.remove(worker)
        run = self._runs.pop(worker.key, None)
        if run is None:
            return
        number = run.task.number
        self._losses[number] += is_its_own
        outcome = Outcome(TrialState.WAITING, reason=reason)
        if self._losses[number] > self._max_failures:
            n = self._losses.pop(number)
            outcome = Outcome(TrialState.FAILED, reason=f"{reason}; that was loss {n} of workers")
        self._ended.append(Ended(number, run.task.epoch, outcome))
        if is_its_own:
            self._judge(worker, is_failure=True)

    def _judge(self, worker: JoinedWorker, *, is_failure: bool) -> None:
        place = self._quarantine.note(worker.node, worker.devices, is_failure=is_failure)
        if place is None or place in self._sick:
            return
        there = [w for w in self._pool.workers.values() if _is_in(w, place)]
        is_all = self.slots == sum(not w.is_parked for w in there)
        if is_all and not self._pool.room_outside({worker.node, *(p[0] for p in self._sick)}):
            return  # nothing would be left to run on
        self._sick.add(place)
        streak = self._quarantine.streak(place)
        where = f"node {worker.host} ({worker.node[:8]})"
        where += f", devices {', '.join(place[1:])}," if place[1:] else ""
        log.warning("%s has failed %d trials in a row and gets no more", where, streak)
        for neighbour in there:
            neighbour.is_parked = True
            if neighbour in self._idle:
                self._idle.remove(neighbour)
            if neighbour.key in self._runs:
                self._halt(neighbour, Outcome(TrialState.WAITING, reason=f"{where} is sick"))


def _is_in(worker: JoinedWorker, place: Place) -> bool:
    return place in ((worker.node,), (worker.node, *worker.devices))


def _check_counts(workers: int | None, max_failures: int, quarantine_after: int) -> None:
    counts = {
        "workers": (1 if workers is None else workers, 1),
        "max_failures": (max_failures, 0),
        "quarantine_after": (quarantine_after, 0),
    }
    for name, (value, least) in counts.items():
        check_whole(value, name, low=least)


def _connected_cluster() -> str | None:
    """Return the address of the cluster this process is connected to, `None` without one."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    return str(ray.get_runtime_context().gcs_address)


def _local_resources(
    given: Mapping[str, float], places: int | None, resources: Mapping[str, float]
) -> dict[str, float]:
    """Return the resources of a cluster started on this machine.

    As with processes, as many workers as were asked for, with as many places each, share the
    cores, unless the resources set the cores of a trial.
    """
    cores = float(os.cpu_count() or 1)
    if "cpu" not in resources and places is not None:
        cores = max(cores, places)
    return {"cpu": cores, **given}
