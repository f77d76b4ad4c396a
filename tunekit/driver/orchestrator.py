"""The main loop: claims trials, proposes, starts, collects, decides and tells; safe to kill.

Everything that must survive is in the storage: a trial that was claimed but not told runs again
when its lease expires, or at once if its worker is known to be dead.

One trial, from its claim to its end:

    step()                        one turn of the loop
      _exchange(want)             writes what is due and claims numbers    storage.exchange
      worker.propose(leases)      proposes params                          sampler.suggest
      _trials.start(task)         finds its checkpoint and starts it       executor.start
        objective(trial)            trial.report(...) comes back as
        _trials.on_report         buffers the report, asks the stopper     stopper.decide
      collect()                   takes what has ended                     executor.poll
        _trials._end              makes a Tell, a Pause or a Release of it
      _exchange(want)             writes its start and end, claims again   storage.exchange
      _call_back()                calls the callbacks of what was told
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

from tunekit.driver.display import Display
from tunekit.driver.early_stopping import EarlyStopping
from tunekit.driver.held_leases import BEAT_S, HeldLeases
from tunekit.driver.interrupts import Interrupts
from tunekit.driver.outbox import Written, not_stored, write, write_last
from tunekit.driver.run_settings import Callback, Ending, Failures, Goal, Progress, Settings
from tunekit.driver.running_trials import INTERRUPTED, POLL_S, RunningTrials
from tunekit.driver.start_limit import StartLimit
from tunekit.driver.suggesting import Suggesting
from tunekit.driver.trial_budget import TrialBudget
from tunekit.driver.worker import Worker
from tunekit.errors import SpaceExhausted, StorageUnreachable
from tunekit.executors.base import Executor, Task
from tunekit.heartbeat import Heartbeat
from tunekit.records import Outcome, StudyState, TrialState
from tunekit.stoppers.base import Stopper
from tunekit.storages.base import Lease, Release, Saved, Start, Tell

T = TypeVar("T")

log = logging.getLogger("tunekit")

WAIT_S = 0.2
LOOK_S = 1.0
SUGGESTING_S = 0.02  # the longest wait for running trials while a sampler works beside them
CANCELLED = Outcome(TrialState.CANCELLED, reason="the study was cancelled")


class Orchestrator:
    """Runs trials of one study on one executor until a goal is reached.

    Attributes:
        is_idle: whether the last step found nothing to do, because the study is paused or other
            workers hold the last trials.
    """

    def __init__(
        self,
        worker: Worker,
        executor: Executor,
        *,
        goal: Goal,
        settings: Settings,
        stopper: Stopper | None = None,
        callbacks: Sequence[Callback] = (),
        progress: Progress | None = None,
        interrupts: Interrupts | None = None,
        limit: StartLimit | None = None,
    ) -> None:
        self.worker = worker
        self.executor = executor
        self.settings = settings
        self.callbacks = callbacks
        self.is_idle = False
        self._display = Display(progress)
        self._leases = HeldLeases(worker, settings.lease_s)
        self._running = self._leases.held
        self._told: list[int] = []  # whose callbacks are due
        self._suggesting = Suggesting(worker.reader, is_beside=not executor.runs_in_caller)
        self._stopping = EarlyStopping(worker.reader, stopper, worker.curves)
        self._last_look = time.monotonic()
        self._is_told_paused = False
        self._budget = TrialBudget(goal, worker.reader.history, worker.name, limit)
        self._wish = StudyState.ACTIVE
        self._failures = Failures(settings, worker.reader.history)
        self._trials = RunningTrials(
            worker,
            executor,
            held=self._running,
            stopping=self._stopping,
            budget=self._budget,
            failures=self._failures,
            display=self._display,
            write=self._write_reports,
        )
        self._owns_interrupts = interrupts is None
        self._interrupts = interrupts or Interrupts(self._display.show_sentence_now)

    def run(self, objective: Callable[..., Any]) -> Ending:
        """Run until a goal is reached, the study is stopped, or the run is interrupted.

        Raises:
            ObjectiveFailed: the objective raised an error that `settings.catch` does not cover.
            TooManyFailures: more trials failed than `settings` allows, or all in the same way.
            ExecutorFailed: nothing is left to run trials on.
            StorageUnreachable: the storage did not return; unfinished trials run again later.
        """
        with self.opened(objective):
            while (ending := self.step()) is None:
                if self.is_suggesting and not self._running:
                    self._suggesting.wait(WAIT_S)
                elif self.is_idle:
                    time.sleep(WAIT_S)
                    self.look_around()
            return ending

    @contextmanager
    def opened(self, objective: Callable[..., Any]) -> Iterator[None]:
        """Prepare for steps, and release running trials if they end with an error."""
        reader = self.worker.reader
        reader.refresh_space()
        reader.refresh()
        self.worker.expire_dead()
        self._stopping.follow(())
        self._display.start(reader.record.spec.name, reader.history, self._budget.total())
        try:
            self.executor.open(objective, self._trials.on_report)
            self._budget.start_clock()
            interrupts = self._interrupts if self._owns_interrupts else nullcontext()
            with interrupts, Heartbeat(self._leases.beat, BEAT_S):
                yield
        except BaseException as error:
            self._abandon(error)
            raise
        finally:
            self._suggesting.close()
            reader.planned = None  # of the next run it is another one
            self.executor.close()
            self._display.close()

    def step(self) -> Ending | None:
        """Perform one iteration; return how the run ends, `None` while it continues.

        Raises:
            What `run` raises.
        """
        claims = self._write_and_claim()
        for number in self._leases.strays():
            self._trials.lose(number)
        if self._interrupts.count >= 2 or self._wish is StudyState.CANCELLED:
            self._end_running()
        self._display.update(self.worker.reader.history, len(self._running))
        self.collect()
        if self._trials.broken is not None:
            raise self._trials.broken
        self.is_idle = False
        if self._running or self._trials.outbox or self.is_suggesting:
            return None
        ending = self._ending()
        if ending is not None and not (self.executor.slots == 0 and self.demand()):
            if self._failures.error is not None:
                raise self._failures.error
            return ending
        self.is_idle = not claims
        return None

    def demand(self) -> int:
        """Return how many more trials it could start now with enough slots."""
        if not self._may_claim():
            return 0
        known = self._budget.demand() or len(self._stopping.due())
        # What was lost elsewhere is not known until it is tried: one at a time.
        return known or int(
            self._budget.n_wanted(1) > 0 and self.worker.reader.has_orphans(self._running)
        )

    def preempt(self, numbers: Sequence[int], reason: str) -> None:
        """Pre-empt running trials, which resume later from their last checkpoints."""
        for number in numbers:
            self._trials.force(number, Outcome(TrialState.PREEMPTED, reason=reason))

    @property
    def is_suggesting(self) -> bool:
        """Return whether a sampler is at work beside the loop."""
        return self._suggesting.is_pending

    def _write_and_claim(self) -> bool:
        """Write the outbox and claim trials for free slots; return whether any may start."""
        self._trials.take_due_reports()
        if self.is_suggesting:
            if not self._suggesting.wait():
                if self._trials.outbox:
                    self._exchange()
                self._look_sometimes()
                return True
            if self._suggested() and self.is_suggesting:  # for what it has claimed with this
                return True
        if self._trials.outbox and self._tells_first():
            self._exchange()
        self._call_back()
        free = self._free()
        for number in self._stopping.promote(free) if free else ():
            self._display.show_sentence(f"trial {number} goes on")
        if self.worker.exhausted and self.worker.reader.history.n_waiting:  # enqueued since
            self._budget.is_exhausted = False
        want = self._budget.n_wanted(free, is_idle=not self._running)
        if not want and not self._trials.outbox:
            self._look_sometimes()
            return False
        most = self._budget.max_trials()
        if want and self.worker.may_end:
            ask = partial(self.worker.most_trials, want, most)
            return self._suggest(ask, partial(self._claim, want))
        return self._claim(want, most)

    def _claim(self, want: int, most: int | None) -> bool:
        """Write the outbox and claim up to `want` trials; return whether any may start."""
        # While the sampler was asked, another run may have taken what they both may start.
        want = self._budget.n_wanted(want, is_idle=not self._running)
        leases = self._exchange(want, most)
        if want and not leases and self.worker.exhausted and self._may_claim():
            self._exhaust(self.worker.exhausted)
        for lease in leases:
            if (number := lease.number) in self._running:  # taken back while ours still runs
                self._trials.outbox.append(Release(number, lease.epoch, "still runs elsewhere"))
        fresh = tuple(x for x in leases if x.number not in self._running)
        self._budget.claim(fresh)
        ask = partial(self.worker.propose, fresh, lease_s=self.settings.lease_s)
        return bool(fresh) and self._suggest(ask, self._start_all)

    def _suggest(self, ask: Callable[[], T], then: Callable[[T], bool]) -> bool:
        self.worker.reader.planned = self._budget.planned()
        self._suggesting.start_work(ask, then)
        return not self._suggesting.wait() or self._suggested()

    def _suggested(self) -> bool:
        """Go on with what the sampler has found; return whether any trial may start."""
        try:
            return self._suggesting.finish()
        except SpaceExhausted as error:
            self._exhaust(error)
            self.worker.exhausted = None  # of points that it was not asked for before
            self._budget.drop_claims()
            return False

    def _start_all(self, proposed: tuple[list[Task], list[Start]]) -> bool:
        """Start trials; those for which no slot is left any more wait for the next one."""
        tasks, starts = proposed
        free = 0 if self._interrupts.count else self.executor.slots - len(self._running)
        self._leases.defer(starts)
        for i, task in enumerate(tasks):
            if i < free:
                self._trials.start(task, self._interrupts)
            else:
                self._trials.outbox.append(Release(task.number, task.epoch, "not started"))
        self._leases.claimed = ()
        self._budget.drop_claims()
        if self.worker.may_end:  # it is asked before the next claim, and is to see these
            self._exchange()
        return True

    def _exhaust(self, error: SpaceExhausted) -> None:
        if self._budget.exhaust(error):
            self._display.show_sentence(error.message)

    def _tells_first(self) -> bool:
        """Return whether results must be visible before the next claim, in one more exchange."""
        if self.callbacks and any(isinstance(op, Tell) for op in self._trials.outbox):
            return True
        return self._free() > 0 and (self._stopping.can_promote or self.worker.may_end)

    def _call_back(self) -> None:
        """Call the callbacks for told trials; they may stop the study or enqueue trials."""
        told, self._told = self._told if self.callbacks else [], []
        if told:
            self.worker.reader.refresh()  # it may have been held when they were told
        for number in told:
            trial = self.worker.reader.history.get(number)
            assert trial is not None
            for callback in self.callbacks:
                callback(trial)
        if told:
            self.worker.reader.refresh()
            self._last_look = -math.inf

    def _exchange(self, want: int = 0, most: int | None = None) -> tuple[Lease, ...]:
        overdue = self._leases.overdue() if want else []
        self._trials.outbox = [*overdue, *self._leases.take_starts(), *self._trials.outbox]
        written = write(
            self.worker, self._trials.outbox, claim=want, max_trials=most,
            lease_s=self.settings.lease_s,
        )  # fmt: skip
        if want:
            self._display.show_held_back(written.answer.held_back)
        self._trials.outbox = []
        if want:  # a report may be written while others that were claimed are yet to start
            self._leases.claimed = written.answer.leases
        self._wish = written.answer.study_state
        self._last_look = time.monotonic()
        self._process_answers(written)
        return written.answer.leases

    def _free(self) -> int:
        """Return how many trials may start now."""
        return max(self.executor.slots - len(self._running), 0) if self._may_claim() else 0

    def _may_claim(self) -> bool:
        is_ending = (
            self._budget.is_late or self._interrupts.count or self._failures.error is not None
        )
        return not is_ending and self._wish is StudyState.ACTIVE

    def collect(self) -> None:
        """Collect ended trials from the executor, to be told with the next step."""
        self._trials.collect(SUGGESTING_S if self.is_suggesting else POLL_S)

    def _process_answers(self, written: Written) -> None:
        """Process the answers to our writes and refresh the study."""
        told = []
        for operation, status in zip(written.operations, written.statuses, strict=True):
            if status != "ok":
                self._trials.lose(operation.number)
            elif isinstance(operation, Tell):
                told.append(operation.number)
            elif isinstance(operation, Saved):
                self.worker.checkpoints.stored(operation)
        for lease, outcome in written.failed.items():
            self._trials.fail(*lease, outcome)
        self._told += told
        self.worker.reader.refresh(written.answer.changes)
        self._stopping.follow({*told, *self._running})
        self._display.best(self.worker.reader.history)

    def _ending(self) -> Ending | None:
        """Return how the run ends if nothing is running and nothing more will come."""
        if self._interrupts.count:
            return "interrupted"
        history = self.worker.reader.history
        n_left = history.n_waiting if self.worker.exhausted else history.n_promoted
        if self._budget.is_exhausted and not n_left:
            return "exhausted"
        if self._wish in (StudyState.STOPPED, StudyState.CANCELLED):
            return "stopped" if self._wish is StudyState.STOPPED else "cancelled"
        if self._budget.is_late:
            return "timeout"
        is_done = self._failures.error is not None or self._budget.is_reached()
        return "done" if is_done else None

    def look_around(self) -> None:
        """Check for changes while there is nothing to do."""
        if self._wish is StudyState.PAUSED and not self._is_told_paused:
            self._is_told_paused = True
            self._display.show_sentence("the study is paused; waiting", logging.WARNING)
        self._look()
        self.worker.expire_dead()

    def _look_sometimes(self) -> None:
        if time.monotonic() - self._last_look >= LOOK_S:
            self._look()

    def _look(self) -> None:
        """Read, without writing, the study's requested state and changes to our trials."""
        self._last_look = time.monotonic()
        self._wish = self.worker.reader.state()
        self.worker.reader.refresh()
        for number, ours in list(self._running.items()):
            known = self.worker.reader.history.get(number)
            if known is not None and (known.state.is_finished or known.epoch > ours.epoch):
                self._trials.lose(number)

    def _write_reports(self) -> None:
        self._exchange()
        if self._wish is StudyState.CANCELLED:
            self._end_running()

    def _end_running(self) -> None:
        is_cancelled = self._wish is StudyState.CANCELLED
        self._trials.force_all(CANCELLED if is_cancelled else INTERRUPTED)

    def _abandon(self, error: BaseException) -> None:
        """Abort the run: store ended trials and release all others, so that no trial hangs."""
        self._budget.drop_claims()
        self._trials.give_back(error)
        held_too = [x for x in self._leases.claimed if x.number not in self._running]
        outbox = [*self._leases.take_starts(), *self._trials.outbox]
        outbox += [Release(x.number, x.epoch, "not started") for x in held_too]
        if isinstance(error, StorageUnreachable):
            not_stored(outbox)
        else:
            write_last(self.worker, outbox, lease_s=self.settings.lease_s)
