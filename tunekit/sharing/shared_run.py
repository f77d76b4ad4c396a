"""Runs several owners' studies in one driver, over one pool of slots."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

from tunekit.checks import above_zero, count, from_zero, is_whole
from tunekit.driver.interrupts import Interrupts
from tunekit.driver.orchestrator import LOOK_S, SUGGESTING_S, WAIT_S, Orchestrator
from tunekit.driver.run_settings import Ending
from tunekit.driver.running_trials import POLL_S
from tunekit.errors import (
    ExecutorFailed,
    InvalidArgument,
    StorageUnreachable,
)
from tunekit.executors.base import Executor
from tunekit.executors.choose import make_executor
from tunekit.executors.trial import Trial
from tunekit.sharing.fair_share import Claimant, decide
from tunekit.sharing.pool import Pool, Slice
from tunekit.studies import arguments
from tunekit.studies.study import Callback, Study

log = logging.getLogger("tunekit")


@dataclass(slots=True)
class _Member:
    """A study with what it may claim; `served` is in slot-seconds.

    It is away while it neither runs nor waits for anything.
    """

    study: Study
    objective: Callable[[Trial], Any]
    runner: Orchestrator
    slice: Slice
    owner: str
    weight: float
    priority: int
    stack: ExitStack
    served: float = 0.0
    is_away: bool = True


class SharedRun:
    """Runs several studies over the slots of one executor, each by its fair share.

    The slots go to the studies in proportion to their weights (weighted max-min fairness: what
    one cannot use, the others get), to those of a higher priority first, and to all studies of
    an owner together no more than its quota. Where a study lacks a whole slot of its share,
    running trials of those that have more give way: the ones that lose least since their last
    checkpoint. They are PREEMPTED and go on from there with the next slot of their study.

    Several drivers may run the same studies; each shares its own slots.

    Args:
        executor: the slots, all alike; on Ray as many as the cluster has.
        min_run_s: minimum seconds that a started trial runs before it can be pre-empted.

    Attributes:
        errors: by study, the error with which it ended; such as a callback's.

    Raises:
        InvalidArgument: an argument that cannot be right.
    """

    def __init__(self, executor: Executor, *, min_run_s: float = 30.0) -> None:
        self.errors: dict[str, Exception] = {}
        self._pool = Pool(executor)
        self._min_run_s = from_zero(min_run_s, "min_run_s")
        self._interrupts = Interrupts(log.warning)
        self._new: deque[_Member] = deque()
        self._members: list[_Member] = []
        self._endings: dict[str, Ending | Literal["failed"]] = {}
        self._quotas: dict[str, int | None] = {}
        self._names: set[str] = set()
        self._lock = threading.Lock()  # of what `add` changes
        self._is_over = False
        self._polled_at = self._pool.now_s
        self._looked_at = time.monotonic()

    def add(
        self,
        study: Study,
        objective: Callable[[Trial], Any],
        n_trials: int | None = None,
        timeout: float | str | None = None,
        *,
        owner: str = "",
        weight: float = 1.0,
        priority: int = 0,
        quota: int | None = None,
        total_trials: int | None = None,
        callbacks: Callback | Sequence[Callback] = (),
        catch: Sequence[type[BaseException]] | type[BaseException] = (Exception,),
        lease_s: float = 60.0,
        max_failed_trials: int | None = None,
    ) -> None:
        """Add a study, also during `run`, from a callback or another thread.

        Args:
            study: each takes part once.
            objective: as for `Study.optimize`. In worker processes every task carries it, so
                let it read large data itself.
            n_trials: number of further trials to start.
            timeout: seconds after which no trial starts.
            total_trials: as for `Study.optimize`.
            callbacks: as for `Study.optimize`.
            catch: as for `Study.optimize`.
            lease_s: as for `Study.optimize`.
            max_failed_trials: end this study once more of its trials have failed.
            owner: of the study.
            weight: of its share, above 0.
            priority: a whole number; studies of a higher one are served in full before.
            quota: slots that all studies of the owner hold at most; `None` leaves it as it is,
                without a bound at first.

        Raises:
            InvalidArgument: an argument that cannot be right, a study that is in already, or
                the run is over.
        """
        if not isinstance(study, Study):
            raise InvalidArgument(f"study={study!r}, expected what tk.study(...) returns.")
        if not isinstance(owner, str):
            raise InvalidArgument(f"owner={owner!r}, expected a name, for example 'ada'.")
        if not is_whole(priority):
            raise InvalidArgument(
                f"priority={priority!r}, expected a whole number, for example 1."
            )
        arguments.function(objective)
        weight = above_zero(weight, "weight")
        quota = count(quota, "quota")
        goal = arguments.goal(n_trials, total_trials, timeout)
        settings = arguments.settings(catch, lease_s, max_failed_trials)
        calls = arguments.functions(callbacks)
        with self._lock:
            self._check_place(study)
            share = self._pool.slice()
            runner = study.orchestrator(share, goal, settings, calls, interrupts=self._interrupts)
            self._names.add(study.name)
            if quota is not None or owner not in self._quotas:
                self._quotas[owner] = quota
            self._new.append(
                _Member(study, objective, runner, share, owner, weight, priority, ExitStack())
            )

    def _check_place(self, study: Study) -> None:
        if self._is_over:
            raise InvalidArgument("the run is over; make another with tk.share(...).")
        if study.name in self._names:
            raise InvalidArgument(
                f"study {study.name!r} takes part already; each takes part once and by its name."
            )

    def run(self) -> dict[str, Ending | Literal["failed"]]:
        """Run until every study has ended; results are kept however the run ends.

        A study with an error of its own ends with it (see `errors`), the others go on. Ctrl-C
        works as in `Study.optimize`.

        Returns:
            Study name -> reason of its end, as returned by `Study.optimize`; "failed" if it
            ended with an error.

        Raises:
            ExecutorFailed: no trial can run.
            StorageUnreachable: a storage stayed away.
            KeyboardInterrupt: it was interrupted; the state is saved.
        """
        with self._lock:
            if self._is_over:
                raise InvalidArgument("it has run; make another with tk.share(...).")
        with ExitStack() as stack:
            stack.callback(self._end)
            stack.enter_context(self._interrupts)
            while not self._is_done():
                while self._new:
                    self._admit(stack, self._new.popleft())
                self._round()
        if self._interrupts.count:
            raise KeyboardInterrupt("the studies were interrupted; their state is saved")
        return dict(self._endings)

    def _is_done(self) -> bool:
        with self._lock:  # so that nobody is let in when the last has left
            self._is_over = not self._new and not self._members
        return self._is_over

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
        self._pool.close()

    def _admit(self, stack: ExitStack, member: _Member) -> None:
        stack.enter_context(member.stack)
        self._members.append(member)
        self._act_for(member, lambda: _open(member))

    def _round(self) -> None:
        """Share the slots, let each study take a step, and wait for what comes of it."""
        for m in list(self._members):
            self._act_for(m, m.runner.collect)
        self._share()
        for m in list(self._members):
            self._act_for(m, m.runner.step)
        idle = [m for m in self._members if m.runner.is_idle]
        if self._members:
            self._poll()
        if not self._pool.n_running and all(
            m.runner.is_idle or m.runner.is_suggesting for m in self._members
        ):
            time.sleep(SUGGESTING_S if len(idle) < len(self._members) else WAIT_S)
        is_due = not self._pool.n_running or time.monotonic() - self._looked_at >= LOOK_S
        if idle and is_due:
            self._looked_at = time.monotonic()
            for m in idle:
                m.runner.look_around()

    def _act_for(self, member: _Member, act: Callable[[], Ending | None]) -> None:
        """Perform a study's action; the study leaves if it ends or fails."""
        ending: Ending | Literal["failed"] | None
        try:
            ending = act()
        except (ExecutorFailed, StorageUnreachable):
            raise
        except Exception as error:
            self.errors[member.study.name] = error
            log.error("study %r ends: %s: %s", member.study.name, type(error).__name__, error)
            member.stack.__exit__(type(error), error, error.__traceback__)
            ending = "failed"
        if ending is not None:
            member.stack.close()
            self._members.remove(member)
            self._endings[member.study.name] = ending

    def _poll(self) -> None:
        held = [(m, len(m.slice.running)) for m in self._members]
        # Also where nothing runs: slots may come and go with each poll.
        wait_s = SUGGESTING_S if any(m.runner.is_suggesting for m in self._members) else POLL_S
        self._pool.poll(wait_s if self._pool.n_running else 0.0)
        now = self._pool.now_s
        for m, n in held:
            m.served += n * (now - self._polled_at)
        self._polled_at = now

    def _share(self) -> None:
        capacity = self._pool.executor.slots
        claimants = []
        for m in self._members:
            held, waiting = m.slice.held(), min(m.runner.demand(), capacity)
            self._catch_up(m, is_away=not held and not waiting)
            claimants.append(
                Claimant(
                    m.study.name,
                    m.owner,
                    m.weight,
                    m.priority,
                    self._quotas[m.owner],
                    held,
                    waiting,
                    m.served,
                )
            )
        decision = decide(claimants, capacity, min_run_s=self._min_run_s)
        for m, slots, giving in zip(self._members, decision.slots, decision.preempt, strict=True):
            m.slice.slots = slots
            if giving:
                m.runner.preempt(giving, "another study was below its share")

    def _catch_up(self, member: _Member, *, is_away: bool) -> None:
        """Let a study that comes, or comes back, begin as if served as those that are there.

        The time that it was away gives it no claim: else it had the others wait as long.
        """
        if member.is_away and not is_away:
            others = [m for m in self._members if m.priority == member.priority and not m.is_away]
            least = min((m.served / m.weight for m in others), default=0.0)
            member.served = max(member.served, least * member.weight)
        member.is_away = is_away


def _open(member: _Member) -> None:
    member.stack.enter_context(member.runner.opened(member.objective))


def share(
    workers: int | None = None,
    *,
    executor: str | Executor | None = None,
    resources: Mapping[str, float] | None = None,
    trial_timeout_s: float | None = None,
    memory_mib: float | None = None,
    devices: Sequence[str | int] | None = None,
    min_run_s: float = 30.0,
) -> SharedRun:
    """Return a run that several studies share; `add` them and `run` it.

    Args:
        workers: slots, as in `Study.optimize`.
        executor: as in `Study.optimize`; a name, or an instance that has its own limits.
        resources: what each slot holds, such as `{"gpu": 1}`.
        trial_timeout_s: kill and fail a trial after this many seconds.
        memory_mib: kill and fail a trial whose resident memory grows beyond this.
        devices: the devices that "gpu" units stand for.
        min_run_s: minimum seconds that a started trial runs before it can be pre-empted.

    Raises:
        InvalidArgument: an argument that cannot be right.
    """
    limits = arguments.trial_limits(resources, trial_timeout_s, memory_mib)
    made = make_executor(executor, workers, limits, devices)
    return SharedRun(made, min_run_s=min_run_s)
