"""Runs several owners' studies in one driver, over one pool of slots."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Literal, TypeAlias

from tunekit.checks import above_zero, count, from_zero
from tunekit.driver.interrupts import Interrupts
from tunekit.driver.orchestrator import LOOK_S, SUGGESTING_S, WAIT_S
from tunekit.driver.run_settings import Ending
from tunekit.driver.running_trials import POLL_S
from tunekit.driver.start_limit import StartLimit
from tunekit.errors import (
    ExecutorFailed,
    InvalidArgument,
    StorageUnreachable,
    TunekitError,
)
from tunekit.executors.base import Executor
from tunekit.executors.choose import make_executor
from tunekit.executors.trial import Trial
from tunekit.sharing.fair_share import Claimant, decide
from tunekit.sharing.member import Member, check_priority
from tunekit.sharing.pool import Pool
from tunekit.studies import arguments
from tunekit.studies.study import Callback, Study

log = logging.getLogger("tunekit")

SharedEnding: TypeAlias = Ending | Literal["failed", "left"]


class Left(TunekitError):
    """A study was taken out of a shared run."""


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
        n_trials: number of trials that all studies together start, not counting promoted ones.
        interrupts: counts Ctrl-C and SIGTERM; by default as `Study.optimize` does.

    Attributes:
        errors: by study, the error with which it ended; such as a callback's.

    Raises:
        InvalidArgument: an argument that cannot be right.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        min_run_s: float = 30.0,
        n_trials: int | None = None,
        interrupts: Interrupts | None = None,
    ) -> None:
        self.errors: dict[str, Exception] = {}
        self._pool = Pool(executor)
        self._min_run_s = from_zero(min_run_s, "min_run_s")
        self._limit = StartLimit(count(n_trials, "n_trials"))
        self._interrupts = interrupts or Interrupts(log.warning)
        self._new: deque[Member] = deque()
        self._members: list[Member] = []
        self._leaving: dict[str, str] = {}  # name -> reason
        self._endings: dict[str, SharedEnding] = {}
        self._quotas: dict[str, int | None] = {}
        self._names: set[str] = set()
        self._lock = threading.Lock()  # of what `add` changes
        self._is_over = False
        self._stays = False
        self._attended_at = -math.inf
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
        most: int | None = None,
        total_trials: int | None = None,
        callbacks: Callback | Sequence[Callback] = (),
        catch: Sequence[type[BaseException]] | type[BaseException] = (Exception,),
        lease_s: float = 60.0,
        max_failed_trials: int | None = None,
    ) -> None:
        """Add a study, also during `run`, from a callback or another thread.

        Args:
            study: each takes part once at a time.
            objective: as for `Study.optimize`. In worker processes every task carries it, so
                let it read large data itself.
            n_trials: number of further trials of this study to start.
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
            most: slots that this study holds at most.

        Raises:
            InvalidArgument: an argument that cannot be right, a study that is in already, or
                the run is over.
        """
        if not isinstance(study, Study):
            raise InvalidArgument(f"study={study!r}, expected what tk.study(...) returns.")
        if not isinstance(owner, str):
            raise InvalidArgument(f"owner={owner!r}, expected a name, for example 'ada'.")
        check_priority(priority)
        arguments.function(objective)
        weight = above_zero(weight, "weight")
        quota, most = count(quota, "quota"), count(most, "most")
        goal = arguments.goal(n_trials, total_trials, timeout)
        settings = arguments.settings(catch, lease_s, max_failed_trials)
        calls = arguments.functions(callbacks)
        with self._lock:
            self._check_place(study)
            share = self._pool.slice()
            shared: dict[str, Any] = {"interrupts": self._interrupts, "limit": self._limit}
            runner = study.orchestrator(share, goal, settings, calls, **shared)
            self._names.add(study.name)
            self._endings.pop(study.name, None)
            self.errors.pop(study.name, None)
            if quota is not None or owner not in self._quotas:
                self._quotas[owner] = quota
            self._new.append(
                Member(study, objective, runner, share, owner, weight, priority, ExitStack(), most)
            )

    @property
    def endings(self) -> dict[str, SharedEnding]:
        """Return how those studies ended that take part no longer."""
        with self._lock:
            return dict(self._endings)

    def change(
        self, name: str, *, weight: float | None = None, priority: int | None = None
    ) -> None:
        """Change the weight or the priority of a study that takes part, also during `run`.

        Raises:
            InvalidArgument: a value that cannot be right, or the study does not take part.
        """
        if weight is not None:
            above_zero(weight, "weight")
        if priority is not None:
            check_priority(priority)
        for m in (*self._members, *self._new):
            if m.study.name == name:
                m.weight = m.weight if weight is None else float(weight)
                m.priority = m.priority if priority is None else priority
                return
        raise InvalidArgument(f"study {name!r} does not take part; add it first.")

    def set_quota(self, owner: str, quota: int | None) -> None:
        """Change the slots that all studies of an owner hold at most; `None` for no bound.

        Trials that run above a lower quota end on their own.
        """
        self._quotas[owner] = count(quota, "quota")

    def leave(self, name: str, reason: str) -> None:
        """Take a study out of the run: its running trials are given back, and go on elsewhere.

        It happens with the next turn of the loop; a study that has ended is left alone.
        """
        self._leaving[name] = reason

    def _check_place(self, study: Study) -> None:
        if self._is_over:
            raise InvalidArgument("the run is over; make another with tk.share(...).")
        if study.name in self._names:
            raise InvalidArgument(
                f"study {study.name!r} takes part already; each takes part once and by its name."
            )

    def run(self, *, attend: Callable[[], bool] | None = None) -> dict[str, SharedEnding]:
        """Run until every study has ended; results are kept however the run ends.

        A study with an error of its own ends with it (see `errors`), the others go on. Ctrl-C
        works as in `Study.optimize`.

        Args:
            attend: called about once a second on this thread, until an interrupt; it may add,
                change and take out studies. It returns whether to go on without any study.

        Returns:
            Study name -> reason of its end, as returned by `Study.optimize`; "failed" if it
            ended with an error, "left" if it was taken out.

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
            self._attend(attend)
            while not self._is_done():
                self._attend(attend)
                while self._new:
                    self._admit(stack, self._new.popleft())
                self._round()
        if self._interrupts.count:
            raise KeyboardInterrupt("the studies were interrupted; their state is saved")
        return dict(self._endings)

    def _is_done(self) -> bool:
        with self._lock:  # so that nobody is let in when the last has left
            stays = self._stays and not self._limit.is_reached
            self._is_over = not (self._new or self._members or stays)
        return self._is_over

    def _attend(self, attend: Callable[[], bool] | None) -> None:
        if self._interrupts.count:
            self._stays = False
        elif attend is not None and time.monotonic() - self._attended_at >= LOOK_S:
            self._stays = attend()
            self._attended_at = time.monotonic()

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
        self._pool.close()

    def _admit(self, stack: ExitStack, member: Member) -> None:
        stack.enter_context(member.stack)
        self._members.append(member)
        self._act_for(member, member.open)

    def _round(self) -> None:
        """Share the slots, let each study take a step, and wait for what comes of it."""
        leaving, self._leaving = self._leaving, {}
        for m in [m for m in self._members if m.study.name in leaving]:
            self._take_out(m, "left", Left(leaving[m.study.name]))
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

    def _act_for(self, member: Member, act: Callable[[], Ending | None]) -> None:
        """Perform a study's action; the study leaves if it ends or fails."""
        try:
            ending = act()
        except (ExecutorFailed, StorageUnreachable):
            raise
        except Exception as error:
            self.errors[member.study.name] = error
            log.error("study %r ends: %s: %s", member.study.name, type(error).__name__, error)
            self._take_out(member, "failed", error)
        else:
            if ending is not None:
                self._take_out(member, ending)

    def _take_out(
        self, member: Member, ending: SharedEnding, error: Exception | None = None
    ) -> None:
        """Let a study leave; with an error its running trials are given back before."""
        if error is not None:
            member.stack.__exit__(type(error), error, error.__traceback__)
        member.stack.close()
        self._members.remove(member)
        with self._lock:
            self._endings[member.study.name] = ending
            self._names.discard(member.study.name)

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
            if m.most is not None:
                waiting = max(min(waiting, m.most - len(held)), 0)
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

    def _catch_up(self, member: Member, *, is_away: bool) -> None:
        """Let a study that comes, or comes back, begin as if served as those that are there.

        The time that it was away gives it no claim: else it had the others wait as long.
        """
        if member.is_away and not is_away:
            others = [m for m in self._members if m.priority == member.priority and not m.is_away]
            least = min((m.served / m.weight for m in others), default=0.0)
            member.served = max(member.served, least * member.weight)
        member.is_away = is_away


def share(
    workers: int | None = None,
    *,
    executor: str | Executor | None = None,
    resources: Mapping[str, float] | None = None,
    trial_timeout_s: float | None = None,
    memory_mib: float | None = None,
    devices: Sequence[str | int] | None = None,
    min_run_s: float = 30.0,
    n_trials: int | None = None,
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
        n_trials: number of trials that all studies together start, not counting promoted ones.

    Raises:
        InvalidArgument: an argument that cannot be right.
    """
    limits = arguments.trial_limits(resources, trial_timeout_s, memory_mib)
    made = make_executor(executor, workers, limits, devices)
    return SharedRun(made, min_run_s=min_run_s, n_trials=n_trials)
